//! The layers that an engine's values come from: its file, and over it the environment.

use super::key::{ALTERNATIVES, KEYS, nearest, variable};
use figment::providers::{Format, Serialized, Toml};
use figment::value::{Dict, Value};
use figment::{Figment, Provider};
use std::collections::BTreeMap;

/// The values of an engine by key, all of them text; blank ones are left out.
#[derive(Debug)]
pub(super) struct Values {
    by_key: BTreeMap<String, String>,
    problems: Vec<String>,
}

impl Values {
    /// Reads a file's text and the environment.
    ///
    /// Unknown keys and values that are no text or number are noted among the problems.
    ///
    /// # Errors
    /// What is wrong when the text is no TOML at all.
    pub fn read(text: &str, environment: &dyn Fn(&str) -> Option<String>) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let mut file = file_layer(text, &mut problems)?;
        let environment = environment_layer(environment);
        for (one, other) in ALTERNATIVES {
            if file.contains_key(*one) && file.contains_key(*other) {
                problems.push(format!("{one} and {other} are both given; leave one out"));
            }
            for (here, there) in [(one, other), (other, one)] {
                if environment.contains_key(*here) {
                    file.remove(*there);
                }
            }
        }
        let merged = Figment::from(Serialized::defaults(file)).merge(Serialized::defaults(environment));
        let by_key: BTreeMap<String, String> = merged.extract().map_err(|err| vec![err.to_string()])?;
        let given = by_key.into_iter().filter(|(_, value)| !value.trim().is_empty());
        Ok(Self {
            by_key: given.collect(),
            problems,
        })
    }

    /// The value of a key; `None` where no layer has one.
    pub fn text(&self, key: &'static str) -> Option<String> {
        debug_assert!(KEYS.contains(&key), "{key} is not in the table of keys");
        self.by_key.get(key).cloned()
    }

    /// The value of a key that has to be there; `None` and a problem where it is not.
    pub fn required(&mut self, key: &'static str) -> Option<String> {
        let value = self.text(key);
        if value.is_none() {
            self.problem(
                key,
                format_args!("it is missing; add it to the file or set {}", variable(key)),
            );
        }
        value
    }

    /// Notes a problem with a key's value.
    pub fn problem(&mut self, key: &str, why: impl std::fmt::Display) {
        self.problems.push(format!("{key}: {why}"));
    }

    /// Every problem so far.
    pub fn take_problems(&mut self) -> Vec<String> {
        std::mem::take(&mut self.problems)
    }
}

/// A file's values by dotted key: TOML makes tables of the dots.
fn file_layer(text: &str, problems: &mut Vec<String>) -> Result<BTreeMap<String, String>, Vec<String>> {
    let data = Toml::string(text)
        .data()
        .map_err(|err| vec![one_line(&err.to_string())])?;
    let mut values = BTreeMap::new();
    for (_, dict) in data {
        flatten("", dict, &mut values, problems);
    }
    Ok(values)
}

fn flatten(prefix: &str, dict: Dict, values: &mut BTreeMap<String, String>, problems: &mut Vec<String>) {
    for (name, value) in dict {
        let key = format!("{prefix}{name}");
        let text = match value {
            Value::Dict(_, inner) => {
                flatten(&format!("{key}."), inner, values, problems);
                continue;
            }
            Value::String(_, text) => Ok(text),
            Value::Num(_, number) => number
                .to_i128()
                .map(|number| number.to_string())
                .ok_or("a fraction"),
            Value::Bool(_, flag) => Ok(flag.to_string()),
            Value::Array(..) => Err("a list"),
            Value::Char(_, c) => Ok(c.to_string()),
            Value::Empty(..) => continue,
        };
        match text {
            _ if !KEYS.contains(&key.as_str()) => {
                problems.push(format!("{key} is no known key; did you mean {}?", nearest(&key)));
            }
            Ok(text) => {
                values.insert(key, text);
            }
            Err(what) => problems.push(format!(
                "{key}: expected text in quotes or a whole number, not {what}"
            )),
        }
    }
}

fn environment_layer(environment: &dyn Fn(&str) -> Option<String>) -> BTreeMap<String, String> {
    KEYS.iter()
        .filter_map(|key| Some(((*key).to_owned(), environment(&variable(key))?)))
        .collect()
}

/// TOML's message of several lines in one, without those that quote the file: a secret may stand there.
fn one_line(text: &str) -> String {
    let lines = text
        .split('\n')
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.contains('|'));
    lines.collect::<Vec<_>>().join(": ")
}
