//! A node's part in what its group gets as a whole.

use crate::fixture::{Fixture, PATIENCE, Running, batch, node};
use symstream_nats::{BatchType, GroupConsumer, PartHeader};
use symstream_shared::id::{ChannelId, GroupId};
use symstream_shared::wire::{Audience, GroupMessage, LanePart, Loading, Message};
use symstream_tests::eventually::eventually;

fn group() -> GroupId {
    GroupId::new("shop").expect("id")
}

impl Fixture {
    /// The node's consumer of its group's lanes.
    async fn take_part(&self) {
        let consumer = GroupConsumer {
            group: group(),
            channel: ChannelId::new("default").expect("id"),
            max_ack_pending: 60,
            registered_ms: 0,
        };
        self.bus
            .ensure_group_consumers(&node("shop"), &[consumer])
            .await
            .expect("consumer");
    }

    async fn publish_to_group(&self, part: LanePart, joined: &[(&str, i64)], excluded: &[&str]) {
        let loading = part.after_load.iter().map(|load_id| Loading {
            load_id: *load_id,
            nodes: vec![node("shop")],
        });
        let audience = Audience {
            joined: joined.iter().map(|(id, before)| (node(id), *before)).collect(),
            excluded: excluded.iter().map(|id| node(id)).collect(),
            loading: loading.collect(),
            registered_until_ms: 1_000,
        };
        let header = PartHeader {
            source: part.source.clone(),
            target: None,
            channel: part.channel.clone(),
            batch_id: part.batch_id,
            previous_batch_id: Some(part.previous_batch_id),
            batch_type: BatchType::Event,
            rows: 1,
            part: part.part,
            part_last: part.part_last,
            configuration_version: 1,
            time_ms: 0,
            load_id: None,
            group: Some(group()),
        };
        let message = Message::Group(GroupMessage {
            group: group(),
            audience,
            content: Box::new(Message::Lane(LanePart {
                target: node("*shop"),
                broadcast: true,
                ..part
            })),
        });
        let body = message.encode().expect("encode");
        self.bus.publish_group(&header, body).await.expect("published");
    }

    async fn lane(&self, want: &[&str]) {
        eventually(PATIENCE, format!("lane {want:?}"), || async {
            let sql = "select batch_id, coalesce(group_batch_id, 0) from sym_incoming_lane \
                       where source_node_id = 'cloud' and channel_id = 'default'";
            let rows = self.db.try_rows(sql).await.map_err(|err| err.to_string())?;
            if rows == [want] {
                Ok(())
            } else {
                Err(format!("{rows:?}"))
            }
        })
        .await;
    }
}

#[tokio::test]
async fn a_node_takes_part_from_the_batch_that_names_it_until_one_excludes_it() {
    let fixture = Fixture::new().await;
    fixture.register().await;
    fixture.take_part().await;
    let agent = Running::start(&fixture.engine);
    // Older than the node's part in it.
    fixture
        .publish_to_group(batch("cloud", 1, 0, &["1", "other's"]), &[("depot", 0)], &[])
        .await;
    fixture.publish(&batch("cloud", 2, 0, &["2", "own"])).await;
    fixture
        .publish_to_group(batch("cloud", 3, 1, &["3", "joined"]), &[("shop", 2)], &[])
        .await;
    fixture
        .publish_to_group(batch("cloud", 4, 3, &["4", "member"]), &[], &["depot"])
        .await;
    fixture.has(&["2", "3", "4"]).await;
    fixture.lane(&["4", "3"]).await;

    // WHEN it is killed and started again, and a batch is its own again
    agent.kill().await;
    let agent = Running::start(&fixture.engine);
    fixture
        .publish_to_group(batch("cloud", 5, 4, &["5", "member"]), &[], &[])
        .await;
    fixture
        .publish_to_group(batch("cloud", 6, 5, &["6", "not for it"]), &[], &["shop"])
        .await;
    fixture.publish(&batch("cloud", 7, 5, &["7", "own"])).await;
    fixture.has(&["2", "3", "4", "5", "7"]).await;
    fixture.lane(&["7", "0"]).await;
    fixture
        .publish_to_group(batch("cloud", 8, 6, &["8", "joined again"]), &[("shop", 7)], &[])
        .await;
    fixture.has(&["2", "3", "4", "5", "7", "8"]).await;
    fixture.lane(&["8", "8"]).await;
    agent.stop().await;
}

#[tokio::test]
async fn what_has_been_at_the_node_is_left_out_and_what_waits_for_a_load_is_spooled() {
    let fixture = Fixture::new().await;
    fixture.register().await;
    fixture.take_part().await;
    let agent = Running::start(&fixture.engine);
    let mut both = batch("cloud", 1, 0, &["1", "own"]);
    let other = batch("cloud", 1, 0, &["2", "other's"]);
    both.rows.changes[0].path = vec![node("shop")];
    both.rows.changes.extend(other.rows.changes);
    both.change_count = 2;
    fixture.publish_to_group(both, &[("shop", 0)], &[]).await;
    fixture.has(&["2"]).await;
    let waits = LanePart {
        after_load: Some(2),
        ..batch("cloud", 3, 1, &["3", "behind a load"])
    };
    fixture.publish_to_group(waits, &[], &[]).await;
    eventually(PATIENCE, "one in the spool", || async {
        let count = fixture.db.number("select count(*) from sym_incoming_spool").await;
        if count == 1 { Ok(()) } else { Err(count) }
    })
    .await;
    fixture.has(&["2"]).await;
    agent.stop().await;
}

#[tokio::test]
async fn a_restored_database_does_not_pass_over_what_it_took_part_in() {
    let fixture = Fixture::new().await;
    fixture.register().await;
    fixture.take_part().await;
    // Its backup is older than the batch that it joined by, which it has acknowledged.
    fixture
        .db
        .run(
            "insert into sym_node_security (node_id, password, registration_time) \
             values ('shop', 'x', '1970-01-01 00:00:01')",
        )
        .await;
    let agent = Running::start(&fixture.engine);
    fixture
        .publish_to_group(batch("cloud", 5, 4, &["5", "member"]), &[], &[])
        .await;
    eventually(PATIENCE, "it waits behind the hole", || async {
        let count = fixture.db.number("select count(*) from sym_incoming_spool").await;
        if count == 1 { Ok(()) } else { Err(count) }
    })
    .await;
    fixture.has(&[]).await;
    agent.stop().await;
}
