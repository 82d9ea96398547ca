//! A node's own tables are no targets.

use crate::fixture::{Fixture, PATIENCE, Running, batch};
use crate::loads::begin;
use crate::node::KINDS;
use symstream_shared::wire::{ClearTable, LanePart, LoadBegin};
use symstream_tests::eventually::eventually;

impl Fixture {
    /// Waits until a batch of `cloud` has failed with a message that says this.
    async fn fails(&self, batch_id: i64, why: &str) {
        let question = format!(
            "select sql_message from sym_incoming_batch_hist where node_id = 'cloud' and batch_id = {batch_id} \
             and status = 'ER'"
        );
        eventually(PATIENCE, format!("{why}: {question}"), || async {
            let rows = self.db.try_rows(&question).await.map_err(|err| err.to_string())?;
            match rows.first().and_then(|row| row.first()) {
                Some(message) if message.contains(why) => Ok(()),
                _ => Err(format!("{rows:?}")),
            }
        })
        .await;
    }
}

const OWN: &str = "is one of this node's own";

#[tokio::test]
async fn neither_changes_nor_loads_write_a_nodes_own_tables() {
    for kind in KINDS {
        let fixture = Fixture::of(kind, &["default"]).await;
        fixture.register().await;
        let channels = "select count(*) from sym_channel";
        let before = fixture.db.rows(channels).await;
        let agent = Running::start(&fixture.engine);

        let mut change = batch("cloud", 3, 0, &["1", "x"]);
        change.rows.tables[0].target_table = "SYM_Channel".into();
        fixture.publish(&change).await;
        fixture.fails(3, OWN).await;

        let clear = LoadBegin {
            clear: vec![ClearTable {
                schema: None,
                table: "sym_channel".into(),
            }],
            ..LoadBegin::default()
        };
        fixture.publish(&begin(5, 0, clear)).await;
        fixture.fails(5, OWN).await;
        assert_eq!(fixture.db.rows(channels).await, before, "{kind}");
        agent.stop().await;
    }
}

#[tokio::test]
async fn a_load_creates_no_table_like_a_nodes_own() {
    for kind in KINDS {
        let fixture = Fixture::of(kind, &["default"]).await;
        fixture.register().await;
        let agent = Running::start(&fixture.engine);
        let create = LoadBegin {
            create: Some(
                "<database name=\"d\"><table name=\"sym_extra\"><column name=\"id\" type=\"INTEGER\"/></table></database>"
                    .into(),
            ),
            ..LoadBegin::default()
        };
        let create: LanePart = begin(5, 0, create);
        fixture.publish(&create).await;
        fixture.fails(5, "one of this node's own").await;
        assert!(fixture.db.try_rows("select id from sym_extra").await.is_err());
        agent.stop().await;
    }
}
