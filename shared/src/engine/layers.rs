//! The layers that an engine's values come from: its file, over it the environment, over that the command line.

use super::key::{ALTERNATIVES, KEYS, all, is_known, nearest, variable};
use super::overrides::Override;
use figment::Provider;
use figment::providers::{Format, Toml};
use figment::value::{Dict, Value};
use std::collections::BTreeMap;

/// Where a value of an engine is written; a later layer goes before an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// The engine's file.
    File,
    /// The process's environment: for all its engines.
    Environment,
    /// `--set` on the command line: for all engines of the process.
    CommandLine,
}

impl Layer {
    /// From the lowest to the highest.
    pub(super) const ALL: [Self; 3] = [Self::File, Self::Environment, Self::CommandLine];
}

/// The values of an engine by layer and key, all of them text. A blank one stands for the default.
#[derive(Debug)]
pub(super) struct Values {
    layers: BTreeMap<Layer, BTreeMap<String, String>>,
    problems: Vec<String>,
}

impl Values {
    /// Reads a file's text, the environment and the command line.
    ///
    /// Unknown keys and values that are no text or number are noted among the problems.
    ///
    /// # Errors
    /// What is wrong when the text is no TOML at all.
    pub fn read(
        text: &str,
        environment: &dyn Fn(&str) -> Option<String>,
        overrides: &[Override],
    ) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let file = file_layer(text, &mut problems)?;
        let command_line = command_line_layer(overrides, &mut problems);
        let mut layers = BTreeMap::from([
            (Layer::File, file),
            (Layer::Environment, environment_layer(environment)),
            (Layer::CommandLine, command_line),
        ]);
        for layer in Layer::ALL {
            one_of_each_pair(&mut layers, layer, &mut problems);
        }
        Ok(Self { layers, problems })
    }

    /// The value of a parameter in one layer.
    pub fn parameter(&self, layer: Layer, name: &str) -> Option<&str> {
        self.layers.get(&layer)?.get(name).map(String::as_str)
    }

    /// The value of a key; `None` where no layer has one.
    pub fn text(&self, key: &'static str) -> Option<String> {
        debug_assert!(KEYS.contains(&key), "{key} is not in the table of keys");
        let highest = Layer::ALL
            .iter()
            .rev()
            .find_map(|layer| self.layers.get(layer)?.get(key));
        highest.filter(|value| !value.trim().is_empty()).cloned()
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
            _ if !is_known(&key) => problems.push(unknown(&key)),
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
    all()
        .filter_map(|key| Some((key.to_owned(), environment(&variable(key))?)))
        .collect()
}

/// The last one holds where a key is given several times.
fn command_line_layer(overrides: &[Override], problems: &mut Vec<String>) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    for Override { key, value } in overrides {
        if is_known(key) {
            values.insert(key.clone(), value.clone());
        } else {
            problems.push(format!("--set: {}", unknown(key)));
        }
    }
    values
}

/// Of two keys that say the same, the one of the higher layer holds.
fn one_of_each_pair(
    layers: &mut BTreeMap<Layer, BTreeMap<String, String>>,
    layer: Layer,
    problems: &mut Vec<String>,
) {
    for (one, other) in ALTERNATIVES {
        let has = |key: &str| layers.get(&layer).is_some_and(|values| values.contains_key(key));
        match (has(one), has(other)) {
            (true, true) => problems.push(format!("{one} and {other} are both given; leave one out")),
            (false, false) => {}
            (has_one, _) => {
                let replaced = if has_one { *other } else { *one };
                let lower = layers.range_mut(..layer);
                lower.for_each(|(_, values)| drop(values.remove(replaced)));
            }
        }
    }
}

fn unknown(key: &str) -> String {
    format!("{key} is no known key; did you mean {}?", nearest(key))
}

/// TOML's message of several lines in one, without those that quote the file: a secret may stand there.
fn one_line(text: &str) -> String {
    let lines = text
        .split('\n')
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.contains('|'));
    lines.collect::<Vec<_>>().join(": ")
}
