//! Bringing the triggers of one table up to date.

use super::busy::BusyTables;
use super::hist::{ActiveHist, Place};
use super::install;
use super::names::Taken;
use super::plan::{Histories, Plan};
use super::report::{BuildReason, Built, Note, Removed, SyncReport, Updated};
use super::wanted::{Refusal, Surroundings, joined, specify, warnings};
use crate::dialect::capturing;
use crate::dialect::trigger::{ForeignTrigger, Survey};
use std::collections::HashSet;
use std::time::Instant;
use symstream_shared::catalog::{self, TableDef};
use symstream_shared::db::{Database, DatabaseKind, DbError, TxKind};
use symstream_shared::model::Trigger;
use symstream_shared::retry::Disposition;
use symstream_shared::schema::Tables;

/// A table and its surroundings, of one moment.
pub(super) struct Sight {
    table: TableDef,
    survey: Survey,
}

impl Sight {
    pub(super) fn place(&self) -> Place {
        Place {
            schema: self.table.schema.clone(),
            table: self.table.name.clone(),
        }
    }
}

/// One synchronisation, table by table.
pub(super) struct TableSync<'a> {
    pub db: &'a Database,
    pub tables: &'a Tables,
    pub dry_run: bool,
    pub busy: &'a mut BusyTables,
    pub histories: Histories,
    /// Triggers that can not be what they say now. What was captured for them before goes on being captured.
    pub stuck: HashSet<String>,
    /// The names that the configuration gives triggers, by table.
    pub given: Vec<(Place, String)>,
    pub report: SyncReport,
}

impl TableSync<'_> {
    /// Looks at the table of a trigger. `None`: a problem that the report has now.
    pub(super) async fn look_for(&mut self, trigger: &Trigger) -> Result<Option<Sight>, DbError> {
        let schema = trigger.source_schema.as_deref();
        let found = match self.look_at(schema, &trigger.source_table).await {
            Ok(Some(sight)) => return Ok(Some(sight)),
            Ok(None) => {
                let place = schema.map_or_else(String::new, |schema| format!(" in schema {schema}"));
                DbError::unexpected(format!(
                    "there is no such table{place}; create it or correct sym_trigger.source_table_name"
                ))
            }
            Err(err) => err,
        };
        if found.connection_lost || found.disposition == Disposition::Fatal {
            return Err(found);
        }
        self.stuck.insert(trigger.trigger_id.clone());
        self.note(trigger.trigger_id.clone(), &trigger.source_table, found.message);
        Ok(None)
    }

    /// One snapshot, so that the columns and the table's shape are of one moment.
    pub(super) async fn look_at(&self, schema: Option<&str>, table: &str) -> Result<Option<Sight>, DbError> {
        let mut tx = self.db.begin(TxKind::ReadOnly).await?;
        let Some(table) = catalog::read_table(&mut tx, schema, table).await? else {
            return Ok(None);
        };
        let survey = capturing::survey(&mut tx, self.tables, &table).await?;
        tx.rollback().await?;
        Ok(Some(Sight { table, survey }))
    }

    /// Gives the table the triggers that `triggers` want, and no others.
    pub(super) async fn tend(
        &mut self,
        place: &Place,
        sight: Option<&Sight>,
        triggers: &[&Trigger],
    ) -> Result<(), DbError> {
        if self.is_captured_for(place, |trigger_id| self.stuck.contains(trigger_id)) {
            self.hold_back(place, triggers);
            return Ok(());
        }
        match sight {
            None => self.forget(place).await,
            Some(sight) => match self.bring_up_to_date(sight, triggers).await {
                Ok(()) => Ok(()),
                Err((concerned, err)) => self.note_error(place, concerned, err),
            },
        }
    }

    /// The error comes with the triggers that it concerns.
    async fn bring_up_to_date(
        &mut self,
        sight: &Sight,
        triggers: &[&Trigger],
    ) -> Result<(), (String, DbError)> {
        let place = sight.place();
        let all = || joined(triggers.iter().copied());
        let taken = self.names_taken(sight, triggers).await;
        let taken = taken.map_err(|err| (all(), err))?;
        let histories: Vec<ActiveHist> = self.histories_at(&place).cloned().collect();
        let around = Surroundings {
            kind: self.db.kind(),
            tables: self.tables,
            table: &sight.table,
            survey: &sight.survey,
            taken: &taken,
            histories: &histories,
        };
        let (spec, refused) = specify(around, triggers);
        self.report.warnings.extend(warnings(&spec, triggers));
        let Some(mut accepted) = self.without(triggers, &place, refused) else {
            return Ok(());
        };
        let mut plan = Plan::make(spec, &self.histories);
        if !plan.is_done() && !plan.new.is_empty() {
            let checked = install::check_expressions(self.db, &plan.spec).await;
            let refused = checked.map_err(|err| (all(), err))?;
            if !refused.is_empty() {
                let Some(rest) = self.without(&accepted, &place, refused) else {
                    return Ok(());
                };
                let (spec, refused) = specify(around, &rest);
                let Some(rest) = self.without(&rest, &place, refused) else {
                    return Ok(());
                };
                plan = Plan::make(spec, &self.histories);
                accepted = rest;
            }
        }
        self.report.unchanged += accepted.len() - plan.new.len();
        if plan.is_done() {
            self.busy.is_done(&place);
            return Ok(());
        }
        if let Some(message) = self.busy.pausing(&place, Instant::now()) {
            let message = message.to_owned();
            self.note(plan.concerned(), &place.table, message);
            return Ok(());
        }
        let statements = plan.statements();
        if !self.dry_run {
            let installed = install::install(self.db, &plan, &statements).await;
            installed.map_err(|err| (plan.concerned(), err))?;
            self.busy.is_done(&place);
        }
        self.histories.next_id += i64::try_from(plan.new.len()).unwrap_or(i64::MAX);
        self.warn_of_other_types(&plan);
        self.report_done(&plan, statements)
            .await
            .map_err(|err| (all(), err))
    }

    /// The names that triggers of this table can not have, asked for now: the tables before this one have theirs.
    /// Only where names are given; those of our own making are like no others.
    async fn names_taken(&self, sight: &Sight, triggers: &[&Trigger]) -> Result<Taken, DbError> {
        let place = sight.place();
        if !self.given.iter().any(|(given_at, _)| *given_at == place) {
            return Ok(Taken::default());
        }
        let mut conn = self.db.conn().await?;
        let foreign = capturing::foreign_triggers(&mut conn, self.tables, &sight.table).await?;
        let is_going = |other: &&ForeignTrigger| {
            let there = Place {
                schema: place.schema.clone(),
                table: other.table.clone(),
            };
            let mut before = self.histories_at(&there);
            let is_given = |(place, name): &(Place, String)| *place == there && *name == other.name;
            !self.given.iter().any(is_given)
                && before.any(|hist| {
                    let mut moved = triggers.iter();
                    hist.description.has_name(&other.name)
                        && moved.any(|trigger| trigger.trigger_id == hist.trigger_id)
                })
        };
        let going = foreign.iter().filter(|other| other.is_ours).filter(is_going);
        Ok(Taken {
            going: going.map(|other| other.name.clone()).collect(),
            foreign,
        })
    }

    /// Notes what is refused. Returns the triggers that are left; `None` where one that is refused was captured
    /// before: the table's triggers stay as they are then.
    fn without<'t>(
        &mut self,
        triggers: &[&'t Trigger],
        place: &Place,
        refused: Vec<Refusal>,
    ) -> Option<Vec<&'t Trigger>> {
        let ids: HashSet<String> = refused.iter().map(|refusal| refusal.trigger_id.clone()).collect();
        for Refusal {
            trigger_id,
            message,
            passes,
        } in refused
        {
            // What is captured for it elsewhere has to go for that.
            if !passes {
                self.stuck.insert(trigger_id.clone());
            }
            self.note(trigger_id, &place.table, message);
        }
        let (refused, rest): (Vec<&Trigger>, Vec<&Trigger>) = triggers
            .iter()
            .partition(|trigger| ids.contains(&trigger.trigger_id));
        if !refused.is_empty() && self.is_captured_for(place, |trigger_id| ids.contains(trigger_id)) {
            self.hold_back(place, &rest);
            return None;
        }
        Some(rest)
    }

    fn is_captured_for(&self, place: &Place, is_one: impl Fn(&str) -> bool) -> bool {
        self.histories_at(place).any(|hist| is_one(&hist.trigger_id))
    }

    fn histories_at(&self, place: &Place) -> impl Iterator<Item = &ActiveHist> {
        let place = place.clone();
        self.histories
            .active
            .iter()
            .filter(move |hist| hist.description.place == place)
    }

    /// Says of triggers that are not captured yet why they have to wait.
    fn hold_back(&mut self, place: &Place, triggers: &[&Trigger]) {
        for trigger in triggers {
            if !self.is_captured_for(place, |trigger_id| trigger_id == trigger.trigger_id) {
                let message = "the table's triggers stay as they are until the problem of another sym_trigger row that \
                               shares them is solved";
                self.note(trigger.trigger_id.clone(), &place.table, message.to_owned());
            }
        }
    }

    /// Ends the histories of a table that is gone, and took its triggers with it.
    async fn forget(&mut self, place: &Place) -> Result<(), DbError> {
        let gone: Vec<ActiveHist> = self.histories_at(place).cloned().collect();
        if !self.dry_run {
            install::forget(self.db, self.tables, &gone).await?;
        }
        self.report.removed.extend(gone.into_iter().map(|hist| Removed {
            trigger_id: hist.trigger_id,
            table: place.table.clone(),
            statements: Vec::new(),
        }));
        Ok(())
    }

    async fn report_done(&mut self, plan: &Plan<'_>, statements: Vec<String>) -> Result<(), DbError> {
        let table = &plan.spec.table.name;
        let mut statements = Some(statements);
        for new in &plan.new {
            let updated = match new.reason {
                BuildReason::ConfigurationChanged => self.updated(&new.trigger_id).await?,
                _ => None,
            };
            self.report.built.push(Built {
                trigger_id: new.trigger_id.clone(),
                table: table.clone(),
                reason: new.reason,
                hist_id: new.hist_id,
                updated,
                statements: statements.take().unwrap_or_default(),
            });
        }
        for old in plan.removed() {
            self.report.removed.push(Removed {
                trigger_id: old.trigger_id.clone(),
                table: table.clone(),
                statements: statements.take().unwrap_or_default(),
            });
        }
        Ok(())
    }

    /// Says which rows may have been captured in another way than their history says. Only MySQL's triggers write a
    /// value by the type that its column had when they were made.
    fn warn_of_other_types(&mut self, plan: &Plan<'_>) {
        if self.dry_run || self.db.kind() != DatabaseKind::Mysql {
            return;
        }
        for old in &plan.ended {
            let columns = old.other_types(&plan.spec);
            if columns.is_empty() {
                continue;
            }
            let message = format!(
                "columns have another type: {}; what was written after that and before the triggers were rebuilt just \
                 now was captured by the old one, and may be misread or hold its channel: look at the last rows of \
                 {} with trigger_hist_id {}, and correct row_data and old_data where they are wrong",
                columns.join(", "),
                self.tables.name("data"),
                old.hist_id
            );
            self.report.warnings.push(Note {
                trigger_id: old.trigger_id.clone(),
                table: plan.spec.table.name.clone(),
                message,
            });
        }
    }

    /// Who changed a `sym_trigger` row last, and when.
    async fn updated(&self, trigger_id: &str) -> Result<Option<Updated>, DbError> {
        let select = format!(
            "select last_updated_by, {} from {} where trigger_id = ?",
            self.db.kind().time_as_text("last_updated_time"),
            self.tables.name("trigger")
        );
        let row = self.db.query_opt(&select, &[trigger_id.into()]).await?;
        row.map(|row| {
            Ok(Updated {
                by: row.opt_text(0)?,
                time: row.opt_text(1)?,
            })
        })
        .transpose()
    }

    /// A lost connection ends the synchronisation; what one table refuses does not.
    fn note_error(&mut self, place: &Place, concerned: String, err: DbError) -> Result<(), DbError> {
        let message = match err.disposition {
            _ if err.connection_lost => return Err(err),
            Disposition::Fatal => return Err(err),
            Disposition::Retry => {
                let message = format!(
                    "the table is in use, so its triggers could not be changed yet ({})",
                    err.message
                );
                self.busy.found(place, &message, Instant::now());
                message
            }
            Disposition::Hold => err.message,
        };
        self.note(concerned, &place.table, message);
        Ok(())
    }

    fn note(&mut self, trigger_id: String, table: &str, message: String) {
        self.report.problems.push(Note {
            trigger_id,
            table: table.to_owned(),
            message,
        });
    }
}
