//! What a trigger fires on.

use symstream_shared::model::Trigger;

/// What a trigger fires on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Event {
    Insert,
    Update,
    Delete,
}

impl Event {
    pub(crate) const ALL: [Self; 3] = [Self::Insert, Self::Update, Self::Delete];

    /// `insert`, `update`, `delete`.
    pub(crate) fn verb(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }

    /// The letter in `sym_data.event_type`.
    pub(crate) fn letter(self) -> &'static str {
        match self {
            Self::Insert => "I",
            Self::Update => "U",
            Self::Delete => "D",
        }
    }

    /// Whether there is a row before it, which has a key.
    pub(crate) fn has_old(self) -> bool {
        self != Self::Insert
    }

    /// Whether there is a row after it.
    pub(crate) fn has_new(self) -> bool {
        self != Self::Delete
    }

    /// Whether a `sym_trigger` row wants it.
    pub(crate) fn is_wanted(self, trigger: &Trigger) -> bool {
        match self {
            Self::Insert => trigger.on_insert,
            Self::Update => trigger.on_update,
            Self::Delete => trigger.on_delete,
        }
    }

    /// The condition in the dialect's SQL over `old` and `new`, if there is one.
    pub(crate) fn condition(self, trigger: &Trigger) -> Option<&str> {
        given(match self {
            Self::Insert => &trigger.insert_condition,
            Self::Update => &trigger.update_condition,
            Self::Delete => &trigger.delete_condition,
        })
    }

    /// The name that the user wants, if any.
    pub(crate) fn given_name(self, trigger: &Trigger) -> Option<&str> {
        given(match self {
            Self::Insert => &trigger.name_for_insert,
            Self::Update => &trigger.name_for_update,
            Self::Delete => &trigger.name_for_delete,
        })
    }
}

/// A text without the blanks around it; nothing where nothing else is there.
pub(super) fn given(text: &Option<String>) -> Option<&str> {
    text.as_deref().map(str::trim).filter(|text| !text.is_empty())
}
