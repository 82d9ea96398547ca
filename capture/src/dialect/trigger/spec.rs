//! Everything that the triggers of one table depend on.

use super::capture::Capture;
use super::event::Event;
use super::mark::Mark;
use super::survey::Survey;
use symstream_shared::catalog::TableDef;
use symstream_shared::db::DatabaseKind;
use symstream_shared::model::Trigger;
use symstream_shared::schema::Tables;

/// The most bytes of a name that we make (`spec/design.md`).
const NAME_BYTES_MAX: usize = 50;

/// Everything that the triggers of one table depend on.
#[derive(Debug, Clone)]
pub(crate) struct TriggerSpec<'a> {
    pub kind: DatabaseKind,
    pub tables: &'a Tables,
    pub table: &'a TableDef,
    pub survey: &'a Survey,
    /// In the order of their lowest `trigger_id`s.
    pub captures: Vec<Capture<'a>>,
    /// The names that users want.
    pub names: Names<'a>,
    /// The hash in the triggers' marks.
    pub build: u32,
}

/// The names that `sym_trigger` rows give the triggers they share.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Names<'a> {
    insert: Option<&'a str>,
    update: Option<&'a str>,
    delete: Option<&'a str>,
}

impl<'a> Names<'a> {
    /// For each event the name that the first of `triggers` gives which gives one.
    pub(crate) fn of(triggers: &[&'a Trigger]) -> Self {
        let first = |event: Event| triggers.iter().find_map(|trigger| event.given_name(trigger));
        Self {
            insert: first(Event::Insert),
            update: first(Event::Update),
            delete: first(Event::Delete),
        }
    }

    /// The name for an event's trigger, if one is given.
    pub(crate) fn get(&self, event: Event) -> Option<&'a str> {
        match event {
            Event::Insert => self.insert,
            Event::Update => self.update,
            Event::Delete => self.delete,
        }
    }
}

impl<'a> TriggerSpec<'a> {
    /// A `sym_` table's name for the trigger's body.
    pub(crate) fn home_table(&self, table: &str) -> String {
        let name = self.tables.name(table);
        match &self.survey.home {
            Some(home) => format!("{}.{name}", self.kind.quote(home)),
            None => name,
        }
    }

    /// The captured table's name, quoted.
    pub(crate) fn table_name(&self) -> String {
        self.kind
            .quote_table(self.table.schema.as_deref(), &self.table.name)
    }

    /// The events that any capture wants.
    pub(crate) fn events(&self) -> impl Iterator<Item = Event> {
        Event::ALL
            .into_iter()
            .filter(|event| self.captures.iter().any(|capture| capture.wants(*event)))
    }

    /// The captures that want an event.
    pub(crate) fn captures_of(&self, event: Event) -> impl Iterator<Item = &Capture<'a>> {
        self.captures.iter().filter(move |capture| capture.wants(event))
    }

    /// What the triggers say about themselves.
    pub(crate) fn mark(&self) -> Mark {
        Mark {
            captures: self.captures.iter().map(|capture| capture.mark).collect(),
            build: self.build,
        }
    }

    /// A name of our own that says what it is for. The hash keeps names apart whose parts are shortened, and those of
    /// tables of one name in several schemas.
    pub(crate) fn generated_name(&self, what: &str) -> String {
        let table = self.table.name.as_str();
        let mut hasher = crc32fast::Hasher::new();
        for part in [what, self.table.schema.as_deref().unwrap_or(""), table] {
            hasher.update(part.as_bytes());
            hasher.update(&[0]);
        }
        let hash = format!("_{:08x}", hasher.finalize());
        let mut name = format!("{}_on_{what}_for_{table}", self.tables.prefix());
        // One byte is left for the sign that makes PostgreSQL's triggers sort first.
        let room = NAME_BYTES_MAX - 1 - hash.len();
        let end = (0..=room.min(name.len()))
            .rev()
            .find(|end| name.is_char_boundary(*end))
            .unwrap_or(0);
        name.truncate(end);
        name + &hash
    }
}
