//! Ids as newtypes: what is a node can not be passed where a channel is wanted.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a text is no id.
#[derive(Debug, thiserror::Error, Clone, PartialEq, Eq)]
#[error("{kind} {text:?} is not valid: {why}")]
pub struct InvalidId {
    /// What the id was meant for, e.g. `node id`.
    pub kind: &'static str,
    /// The text as given.
    pub text: String,
    /// What is wrong with it.
    pub why: &'static str,
}

fn check(kind: &'static str, text: &str) -> Result<(), InvalidId> {
    let why = if text.is_empty() {
        "it is empty"
    } else if text.chars().count() > 50 {
        "it is longer than 50 characters"
    } else if text.chars().any(char::is_control) {
        "it has control characters"
    } else {
        return Ok(());
    };
    Err(InvalidId {
        kind,
        text: text.to_owned(),
        why,
    })
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Builds the id.
            ///
            /// # Errors
            /// [`InvalidId`] when the text is empty, longer than 50 characters (the width of the seed's
            /// columns) or has control characters.
            pub fn new(text: impl Into<String>) -> Result<Self, InvalidId> {
                let text = text.into();
                check($kind, &text)?;
                Ok(Self(text))
            }

            /// The id as text, as it stands in the `sym_` tables.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }
    };
}

id!(
    /// One database endpoint (`sym_node.node_id`).
    NodeId,
    "node id"
);
id!(
    /// A group of nodes with the same role (`sym_node_group.node_group_id`).
    GroupId,
    "node group id"
);
id!(
    /// A node's id in the user's own terms (`sym_node.external_id`).
    ExternalId,
    "external id"
);
id!(
    /// An independent lane of data (`sym_channel.channel_id`).
    ChannelId,
    "channel id"
);
id!(
    /// The name of an engine (`engine.name`).
    EngineName,
    "engine name"
);

impl ExternalId {
    /// What stands for every external id in `sym_parameter`.
    pub fn all() -> Self {
        Self("ALL".to_owned())
    }
}

impl ChannelId {
    /// The channel of initial loads. Its name is reserved: no user's channel may have it.
    pub const RELOAD: &'static str = "reload";

    /// The channel of initial loads.
    pub fn reload() -> Self {
        Self(Self::RELOAD.to_owned())
    }

    /// Whether this is the channel of initial loads.
    pub fn is_reload(&self) -> bool {
        self.0 == Self::RELOAD
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_checked_when_it_is_built() {
        assert!(NodeId::new("").is_err());
        assert!(NodeId::new("a".repeat(51)).is_err());
        assert!(NodeId::new("a\nb").is_err());
        assert_eq!(NodeId::new("shop 7").expect("valid").as_str(), "shop 7");
    }
}
