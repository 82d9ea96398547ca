//! Fields that older processes wrote in another form: one where there are several now.

use super::load::LoadPart;
use crate::id::NodeId;
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;

/// The triggers of a table: at first it was always one.
pub(super) fn trigger_ids<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(Several::deserialize(deserializer)?.0)
}

/// The nodes that a change has been at, or that a batch is for: at first it was one, or none.
pub(super) fn nodes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<NodeId>, D::Error> {
    let nodes = Option::<Several<NodeId>>::deserialize(deserializer)?;
    Ok(nodes.map_or_else(Vec::new, |several| several.0))
}

/// What a batch is in an initial load: at first it only said whether the load was complete with it.
pub(super) fn load_or_flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<LoadPart>, D::Error> {
    #[derive(serde::Deserialize)]
    #[serde(untagged)]
    enum LoadOrFlag {
        Flag(bool),
        Load(Option<LoadPart>),
    }
    Ok(match LoadOrFlag::deserialize(deserializer)? {
        LoadOrFlag::Flag(true | false) => None,
        LoadOrFlag::Load(load) => load,
    })
}

/// A list, or one text that stands for a list of one.
struct Several<T>(Vec<T>);

impl<'de, T> Deserialize<'de> for Several<T>
where
    T: Deserialize<'de> + TryFrom<String>,
    T::Error: fmt::Display,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SeveralVisitor(PhantomData))
    }
}

struct SeveralVisitor<T>(PhantomData<T>);

impl<'de, T> Visitor<'de> for SeveralVisitor<T>
where
    T: Deserialize<'de> + TryFrom<String>,
    T::Error: fmt::Display,
{
    type Value = Several<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a list of texts")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Several<T>, E> {
        let one = T::try_from(text.to_owned()).map_err(E::custom)?;
        Ok(Several(vec![one]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Several<T>, A::Error> {
        let mut several = Vec::new();
        while let Some(one) = list.next_element()? {
            several.push(one);
        }
        Ok(Several(several))
    }
}

#[cfg(test)]
mod tests;
