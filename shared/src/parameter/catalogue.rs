//! Every parameter: its name, type, unit, range and default.

use super::Parameters;
use super::value::{Unit, duration, duration_text, flag, time_of_day, time_of_day_text};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// From where on a wrong name looks like a mistyped one; 1 is the same.
const LIKENESS_MIN: f64 = 0.85;

/// What is to be known of a parameter. A change of any of them in `sym_parameter` takes effect while the services run.
#[derive(Debug)]
pub struct Parameter {
    /// The name, in `sym_parameter`, engine files and `--set`.
    pub name: &'static str,
    /// What it does, in one line.
    pub doc: &'static str,
    /// The value where no layer has another; empty: none.
    pub default: &'static str,
    kind: Kind,
}

/// What values a parameter takes, and where they go.
#[derive(Debug)]
enum Kind {
    Duration {
        unit: Unit,
        least: Duration,
        most: Duration,
        set: fn(&mut Parameters, Duration),
    },
    Count {
        unit: &'static str,
        most: u64,
        set: fn(&mut Parameters, u64),
    },
    TimeOfDay {
        set: fn(&mut Parameters, u32),
    },
    Text {
        chars_max: usize,
        set: fn(&mut Parameters, String),
    },
    Flag {
        set: fn(&mut Parameters, bool),
    },
}

/// All parameters, in the order of their names.
pub static CATALOGUE: [Parameter; 17] = [
    Parameter {
        name: "auto.registration",
        doc: "registers every node of a known group that asks, without an open registration (registration server)",
        default: "false",
        kind: Kind::Flag {
            set: |parameters, value| parameters.auto_registration = value,
        },
    },
    Parameter {
        name: "backlog.age.max",
        doc: "a node that has not taken a batch for so long is marked for a reload, and what waits for it is dropped; 0: never",
        default: "30d",
        kind: Kind::Duration {
            unit: Unit::Seconds,
            least: Duration::ZERO,
            most: Duration::from_secs(3650 * 24 * 3600),
            set: |parameters, value| parameters.backlog_age_max = Some(value).filter(|age| !age.is_zero()),
        },
    },
    Parameter {
        name: "backlog.batches.max",
        doc: "a node for which more batches wait is marked for a reload, and they are dropped; 0: never",
        default: "0",
        kind: Kind::Count {
            unit: "batches",
            most: 1_000_000_000,
            set: |parameters, value| parameters.backlog_batches_max = Some(value).filter(|count| *count > 0),
        },
    },
    Parameter {
        name: "backlog.bytes.max",
        doc: "a node for which more bytes of messages wait is marked for a reload, and they are dropped; 0: never",
        default: "0",
        kind: Kind::Count {
            unit: "bytes",
            most: 1 << 50,
            set: |parameters, value| parameters.backlog_bytes_max = Some(value).filter(|count| *count > 0),
        },
    },
    Parameter {
        name: "capture.poll.interval.max",
        doc: "pause between two looks for changes where the database sends no notifications (MySQL, SQLite)",
        default: "100ms",
        kind: Kind::Duration {
            unit: Unit::Milliseconds,
            least: Duration::from_millis(10),
            most: Duration::from_secs(60),
            set: |parameters, value| parameters.capture_poll_interval_max = value,
        },
    },
    Parameter {
        name: "capture.transaction.max.rows",
        doc: "a transaction with more rows in a channel is cut, and applied in several; 0: never",
        default: "0",
        kind: Kind::Count {
            unit: "rows",
            most: 1_000_000_000,
            set: |parameters, value| {
                parameters.capture_transaction_max_rows = Some(value).filter(|rows| *rows > 0);
            },
        },
    },
    Parameter {
        name: "group.broadcast.nodes.min",
        doc: "from how many nodes on a group gets what is for all of them in messages stored once; in sym_parameter only",
        default: "10",
        kind: Kind::Count {
            unit: "nodes",
            most: 1_000_000_000,
            set: |parameters, value| parameters.group_broadcast_nodes_min = value.max(1),
        },
    },
    Parameter {
        name: "heartbeat.interval",
        doc: "how often a node says that it is alive, in sym_node and to the registration server",
        default: "10m",
        kind: Kind::Duration {
            unit: Unit::Seconds,
            least: SECOND,
            most: DAY,
            set: |parameters, value| parameters.heartbeat_interval = value,
        },
    },
    Parameter {
        name: "initial.load.create.first",
        doc: "an initial load creates tables that the node lacks; in sym_parameter, for the node that is loaded",
        default: "false",
        kind: Kind::Flag {
            set: |parameters, value| parameters.initial_load_create_first = value,
        },
    },
    Parameter {
        name: "initial.load.delete.first",
        doc: "an initial load empties the node's tables first; in sym_parameter, for the node that is loaded",
        default: "false",
        kind: Kind::Flag {
            set: |parameters, value| parameters.initial_load_delete_first = value,
        },
    },
    Parameter {
        name: "pull.interval",
        doc: "how often a node fetches what comes over links with data_event_action W; 0: it always asks",
        default: "0",
        kind: Kind::Duration {
            unit: Unit::Seconds,
            least: Duration::ZERO,
            most: Duration::from_secs(30 * 24 * 3600),
            set: |parameters, value| parameters.pull_interval = value,
        },
    },
    Parameter {
        name: "purge.interval",
        doc: "how often data, batches and histories are purged",
        default: "10m",
        kind: Kind::Duration {
            unit: Unit::Seconds,
            least: SECOND,
            most: DAY,
            set: |parameters, value| parameters.purge_interval = value,
        },
    },
    Parameter {
        name: "purge.retention",
        doc: "how long data, batches and histories are kept that every target has",
        default: "5d",
        kind: Kind::Duration {
            unit: Unit::Seconds,
            least: Duration::ZERO,
            most: Duration::from_secs(3650 * 24 * 3600),
            set: |parameters, value| parameters.purge_retention = value,
        },
    },
    Parameter {
        name: "registration.open.hours",
        doc: "after how long an open registration closes by itself (registration server); 0: never",
        default: "24",
        kind: Kind::Count {
            unit: "hours",
            most: 24 * 3650,
            set: |parameters, value| parameters.registration_open_hours = value,
        },
    },
    Parameter {
        name: "registration.secret.required",
        doc: "a node has to show the secret that open-registration printed also where NATS asks for no login",
        default: "false",
        kind: Kind::Flag {
            set: |parameters, value| parameters.registration_secret_required = value,
        },
    },
    Parameter {
        name: "schema.version",
        doc: "the version of the application's schema, as the node says it in sym_node.schema_version",
        default: "",
        kind: Kind::Text {
            chars_max: 50,
            set: |parameters, value| parameters.schema_version = Some(value).filter(|text| !text.is_empty()),
        },
    },
    Parameter {
        name: "sync.triggers.time",
        doc: "when triggers are compared with the tables each night, in the host's local time",
        default: "00:00",
        kind: Kind::TimeOfDay {
            set: |parameters, value| parameters.sync_triggers_minute = value,
        },
    },
];

/// A value that its parameter does not take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}: expected {expected}, not {value:?}")]
pub struct ParameterError {
    /// The parameter.
    pub name: &'static str,
    /// The value.
    pub value: String,
    /// What it may be.
    pub expected: String,
}

impl Parameter {
    /// The parameter of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        CATALOGUE.iter().find(|parameter| parameter.name == name)
    }

    /// The parameter that a name nobody has may have been meant to be.
    pub fn nearest(name: &str) -> Option<&'static Self> {
        let likeness = |parameter: &&Self| strsim::jaro_winkler(name, parameter.name);
        let nearest = CATALOGUE
            .iter()
            .max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
        (likeness(&nearest) > LIKENESS_MIN).then_some(nearest)
    }

    /// What a bare number counts, or the form of the value.
    pub fn unit(&self) -> &'static str {
        match &self.kind {
            Kind::Duration { unit, .. } => unit.as_str(),
            Kind::Count { unit, .. } => unit,
            Kind::TimeOfDay { .. } => "HH:MM",
            Kind::Text { .. } => "text",
            Kind::Flag { .. } => "true or false",
        }
    }

    /// The values that it takes, in words.
    pub fn range(&self) -> String {
        match &self.kind {
            Kind::Duration {
                unit, least, most, ..
            } => format!(
                "a time from {} to {} such as 90s, 10m, 12h, 7d (a bare number counts {})",
                duration_text(*least),
                duration_text(*most),
                unit.as_str()
            ),
            Kind::Count { most, .. } => format!("a whole number from 0 to {most}"),
            Kind::TimeOfDay { .. } => "a time of day from 00:00 to 23:59".to_owned(),
            Kind::Text { chars_max, .. } => format!("text of at most {chars_max} characters"),
            Kind::Flag { .. } => "true or false (or 1, 0)".to_owned(),
        }
    }

    /// The value in its shortest form.
    ///
    /// # Errors
    /// [`ParameterError`] when the parameter does not take it.
    pub fn canonical(&self, value: &str) -> Result<String, ParameterError> {
        let mut scratch = Parameters::unset();
        self.apply(value, &mut scratch)?;
        let value = self.or_default(value);
        Ok(match &self.kind {
            Kind::Duration { unit, .. } => duration(value, *unit).map(duration_text),
            Kind::TimeOfDay { .. } => time_of_day(value).map(time_of_day_text),
            Kind::Flag { .. } => flag(value).map(|value| value.to_string()),
            Kind::Count { .. } | Kind::Text { .. } => None,
        }
        .unwrap_or_else(|| value.to_owned()))
    }

    /// Whether the parameter takes the value; a blank one stands for the default.
    ///
    /// # Errors
    /// [`ParameterError`] when it does not.
    pub fn check(&self, value: &str) -> Result<(), ParameterError> {
        self.apply(value, &mut Parameters::unset())
    }

    /// Puts the value where it belongs; a blank one stands for the default.
    pub(super) fn apply(&self, value: &str, parameters: &mut Parameters) -> Result<(), ParameterError> {
        let text = self.or_default(value);
        let applied = match &self.kind {
            Kind::Duration {
                unit,
                least,
                most,
                set,
            } => duration(text, *unit)
                .filter(|duration| (least..=most).contains(&duration))
                .map(|duration| set(parameters, duration)),
            Kind::Count { most, set, .. } => text
                .parse()
                .ok()
                .filter(|count| count <= most)
                .map(|count| set(parameters, count)),
            Kind::TimeOfDay { set } => time_of_day(text).map(|minute| set(parameters, minute)),
            Kind::Text { chars_max, set } => {
                (text.chars().count() <= *chars_max).then(|| set(parameters, text.to_owned()))
            }
            Kind::Flag { set } => flag(text).map(|value| set(parameters, value)),
        };
        applied.ok_or_else(|| ParameterError {
            name: self.name,
            value: text.to_owned(),
            expected: self.range(),
        })
    }

    fn or_default<'a>(&self, value: &'a str) -> &'a str
    where
        'static: 'a,
    {
        match value.trim() {
            "" => self.default,
            value => value,
        }
    }
}
