//! What a node tells its sources of itself.

use crate::fixture::{Fixture, Running};
use std::collections::BTreeMap;
use symstream_shared::id::NodeId;
use symstream_shared::restored::RestoredNote;
use symstream_shared::schema::Tables;
use symstream_shared::wire::Contact;

impl Fixture {
    /// The next one for `cloud`.
    async fn contact(&mut self) -> Contact {
        loop {
            if let Some(contact) = self.report().await.contact {
                return contact;
            }
        }
    }

    async fn contact_with(&mut self, unsent: i64) -> Contact {
        loop {
            let contact = self.contact().await;
            if contact.unsent == unsent {
                return contact;
            }
        }
    }
}

#[tokio::test]
async fn a_source_hears_at_once_when_it_has_everything_of_the_node() {
    let mut f = Fixture::new().await;
    f.register().await;
    // GIVEN a row that is not cut, a batch that is not routed, and two that cloud has not applied
    f.db.run(
        "insert into sym_data (data_id, table_name, event_type, trigger_hist_id, channel_id) \
         values (1, 't', 'I', 1, 'default'); \
         insert into sym_capture_batch (batch_id, channel_id, batch_type, routed) values (1, 'default', 'EV', 0); \
         insert into sym_outgoing_batch (batch_id, node_id, channel_id, batch_type, status) \
         values (2, 'cloud', 'default', 'EV', 'ER'), (3, 'cloud', 'default', 'EV', 'SE'), \
         (3, 'depot', 'default', 'EV', 'SE'), (4, 'cloud', 'reload', 'IL', 'SE'), (5, 'cloud', 'default', 'EV', 'OK')",
    )
    .await;
    let running = Running::start(&f.engine);
    assert_eq!(f.contact_with(4).await.reload_wanted, None);
    // WHEN what it is for is known, and applied
    f.db.run(
        "insert into sym_data_event (data_id, node_id, channel_id) values (1, '-1', 'default'); \
         update sym_capture_batch set routed = 1; \
         update sym_outgoing_batch set status = 'OK' where batch_type = 'EV' and node_id = 'cloud'",
    )
    .await;
    // THEN it says so, whatever other nodes lack
    assert_eq!(f.contact_with(0).await.reload_wanted, None);
    running.stop().await;
}

#[tokio::test]
async fn a_restored_node_wants_a_load_from_each_source_until_it_has_begun() {
    let mut f = Fixture::new().await;
    f.register().await;
    let cloud = NodeId::new("cloud").expect("id");
    let note = RestoredNote {
        reason: "ids went backwards".to_owned(),
        sources: BTreeMap::from([(cloud, 5)]),
    };
    let mut tx = f.db.begin().await.expect("transaction");
    note.write(&mut tx, &Tables::default()).await.expect("note");
    tx.commit().await.expect("commit");
    f.db.run("insert into sym_incoming_load (source_node_id, load_id, status) values ('cloud', 5, 'OK')")
        .await;
    let running = Running::start(&f.engine);
    let contact = f.contact().await;
    assert_eq!(contact.reload_wanted.as_deref(), Some("ids went backwards"));
    f.db.run("update sym_incoming_load set load_id = 9, status = 'NE'")
        .await;
    while f.contact().await.reload_wanted.is_some() {}
    running.stop().await;
}
