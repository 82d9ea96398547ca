//! One row of `sym_data` for each change, whoever shares it.

use super::event::{Event, given};
use super::mark::CaptureMark;
use symstream_shared::catalog::ColumnDef;
use symstream_shared::model::Trigger;

/// What several `sym_trigger` rows of a table capture together, because they want the same captured: the channel, the
/// conditions, the columns, the transactions' ids and what is done about the loader's writes. Which of them an event
/// is for is a matter of their rules.
#[derive(Debug, Clone)]
pub(crate) struct Capture<'a> {
    /// In the order of their ids; never empty.
    pub triggers: Vec<&'a Trigger>,
    /// The captured columns in the table's order.
    pub columns: Vec<&'a ColumnDef>,
    /// The key's columns; all captured ones where the table has no primary key.
    pub key: Vec<&'a ColumnDef>,
    /// Whether some of the table's columns are not captured.
    pub leaves_out_columns: bool,
    /// The history that its rows name, and a hash of all this.
    pub mark: CaptureMark,
}

impl<'a> Capture<'a> {
    /// The trigger with the lowest id: in what they share it stands for all of them.
    pub(crate) fn lead(&self) -> &'a Trigger {
        self.triggers[0]
    }

    /// Whether `trigger` may share this capture's rows.
    pub(crate) fn is_shared_by(&self, trigger: &Trigger, columns: &[&ColumnDef]) -> bool {
        let lead = self.lead();
        lead.channel == trigger.channel
            && lead.on_incoming_batch == trigger.on_incoming_batch
            && given(&lead.tx_id_expression) == given(&trigger.tx_id_expression)
            && Event::ALL
                .iter()
                .all(|event| event.condition(lead) == event.condition(trigger))
            && self.columns == columns
    }

    /// Whether any of the triggers wants the event.
    pub(crate) fn wants(&self, event: Event) -> bool {
        self.triggers.iter().any(|trigger| event.is_wanted(trigger))
    }

    /// The condition that a row has to meet, if there is one.
    pub(crate) fn condition(&self, event: Event) -> Option<&'a str> {
        event.condition(self.lead())
    }

    /// The expression for `sym_data.transaction_id`, if there is one.
    pub(crate) fn transaction(&self) -> Option<&'a str> {
        given(&self.lead().tx_id_expression)
    }

    /// Whether the loader's writes are captured, too.
    pub(crate) fn on_incoming_batch(&self) -> bool {
        self.lead().on_incoming_batch
    }

    /// The triggers' ids.
    pub(crate) fn trigger_ids(&self) -> Vec<&'a str> {
        self.triggers
            .iter()
            .map(|trigger| trigger.trigger_id.as_str())
            .collect()
    }
}
