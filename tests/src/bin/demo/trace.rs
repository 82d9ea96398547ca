//! Which change went where, why, and what waits: as the `sym_` tables of its source tell it.

use crate::screen::{row, say};
use std::collections::BTreeMap;
use symstream_tests::clinic::{CLOUD, LOCALS};
use symstream_tests::eventually::eventually;
use symstream_tests::network::{PATIENCE, Site};

/// The changes that a site has captured since a moment.
pub struct Trace {
    after: i64,
}

/// A change, with each node that got it and the batch's status there.
struct Change {
    text: String,
    router: String,
    deliveries: Vec<(String, String)>,
}

/// What a node is called in the story.
pub fn name(node: &str) -> &'static str {
    match node {
        CLOUD => "cloud",
        _ if node == LOCALS[0] => "location 1",
        _ if node == LOCALS[1] => "location 2",
        _ => "nobody",
    }
}

impl Trace {
    /// From now on.
    pub async fn begin(site: &Site) -> Self {
        Self {
            after: site
                .database
                .number("select coalesce(max(data_id), 0) from sym_data")
                .await,
        }
    }

    /// How many changes there are.
    pub async fn count(&self, site: &Site) -> i64 {
        site.database
            .number(&format!(
                "select count(*) from sym_data where data_id > {}",
                self.after
            ))
            .await
    }

    /// Shows all changes once every batch is `OK`.
    pub async fn show_finished(&self, site: &Site) {
        self.show(site, |deliveries| {
            deliveries
                .iter()
                .all(|(_, status)| matches!(status.as_str(), "OK" | ""))
        })
        .await;
    }

    /// Shows all changes once those for `away` are sent and all others are `OK`.
    pub async fn show_waiting(&self, site: &Site, away: &str) {
        self.show(site, |deliveries| {
            let settled = |(node, status): &(String, String)| match status.as_str() {
                "SE" => node == away,
                "NE" => false,
                _ => true,
            };
            deliveries.iter().all(settled)
        })
        .await;
    }

    async fn show(&self, site: &Site, settled: impl Fn(&[(String, String)]) -> bool) {
        let changes = eventually(PATIENCE, "the changes' batches", || async {
            let changes = self.changes(site).await;
            let open = changes
                .iter()
                .filter(|change| change.deliveries.is_empty() || !settled(&change.deliveries));
            match open.count() {
                0 => Ok(changes),
                open => Err(format!("{open} changes are open")),
            }
        })
        .await;
        for change in changes {
            for (node, status) in &change.deliveries {
                let status = match status.as_str() {
                    "OK" => "",
                    "SE" => ": waits in NATS",
                    "" => "",
                    other => other,
                };
                row([
                    &change.text,
                    &format!("→ {}{status}", name(node)),
                    &reason(&change, node),
                ]);
            }
        }
        say("");
    }

    async fn changes(&self, site: &Site) -> Vec<Change> {
        let sql = format!(
            "select d.data_id, d.event_type, d.table_name, coalesce(d.row_data, d.old_data), r.router_id, \
             e.node_id, coalesce(b.status, '') \
             from sym_data d \
             join sym_trigger_hist h on h.trigger_hist_id = d.trigger_hist_id \
             join sym_trigger_router r on r.trigger_id = h.trigger_id \
             left join sym_data_event e on e.data_id = d.data_id \
             left join sym_outgoing_batch b on b.batch_id = e.batch_id and b.node_id = e.node_id \
             where d.data_id > {} order by d.data_id, e.node_id",
            self.after
        );
        let mut changes: BTreeMap<i64, Change> = BTreeMap::new();
        for row in site.database.rows(&sql).await {
            let [id, event, table, data, router, node, status] =
                <[String; 7]>::try_from(row).expect("seven columns");
            let event = match event.as_str() {
                "I" => "insert",
                "U" => "update",
                _ => "delete",
            };
            let change = changes.entry(id.parse().expect("a data_id")).or_insert_with(|| {
                let data: String = data
                    .replace(LOCALS[0], "location 1")
                    .replace(LOCALS[1], "location 2");
                let data = data.replace('"', "");
                Change {
                    text: format!("{event} {table} {data}"),
                    router,
                    deliveries: Vec::new(),
                }
            });
            if node != "∅" {
                change.deliveries.push((node, status));
            }
        }
        changes.into_values().collect()
    }
}

fn reason(change: &Change, node: &str) -> String {
    let why = match (change.router.as_str(), name(node)) {
        (_, "nobody") => "no node is linked to this patient".to_owned(),
        ("cloud_2_select_local", node) => format!("locations links the patient to {node}"),
        ("cloud_2_local", _) => "every location gets all codes".to_owned(),
        _ => "the cloud gets everything".to_owned(),
    };
    format!("{why} ({})", change.router)
}
