//! A batch is applied once, on its predecessor, whole.

use crate::node::{CREATE_ITEM, KINDS, Node, insert, item, part, rows};
use std::time::{SystemTime, UNIX_EPOCH};
use symstream_loader::{Content, LoadError};
use symstream_shared::db::{Param, Sql};
use symstream_shared::wire::{LanePart, Message};

async fn spool(node: &Node, part: &LanePart, number: u32, body: Vec<u8>) {
    let mut conn = node.db.database().conn().await.expect("connection");
    conn.execute(
        "insert into sym_incoming_spool (source_node_id, channel_id, batch_id, part, part_last, \
         previous_batch_id, body, sent_ms) values ('cloud', 'default', ?, ?, ?, ?, ?, 0)",
        &[
            part.batch_id.into(),
            i64::from(number).into(),
            i64::from(part.part_last).into(),
            part.previous_batch_id.into(),
            Param::Bytes(body),
        ],
    )
    .await
    .expect("spool");
}

#[tokio::test]
async fn a_batch_that_comes_again_is_not_applied_again() {
    for kind in KINDS {
        let mut node = Node::start(kind).await;
        node.db.run(CREATE_ITEM).await;
        let key = node.next_key();
        let batch = part(&key, 1, 1, rows(item(), vec![insert(&["1", "a"])]));
        let content = Content::Message(&batch, 0);
        let done = node.loader.load(&key, &content).await.expect("applied");
        assert_eq!((done.batch_id, done.change_count), (2, 1));
        node.db.run("update item set name = 'mine'").await;

        assert!(
            matches!(node.loader.load(&key, &content).await, Err(LoadError::Overtaken)),
            "{kind}"
        );

        assert_eq!(node.rows("select name from item").await, ["mine"], "{kind}");
        assert_eq!(
            node.rows("select batch_id, node_id, status from sym_incoming_batch")
                .await,
            ["2|cloud|OK"]
        );
        assert_eq!(
            node.rows("select batch_id, node_id, status, hostname from sym_incoming_batch_hist")
                .await,
            ["2|cloud|OK|here"]
        );
        assert_eq!(node.db.number("select batch_id from sym_incoming_lane").await, 2);
    }
}

#[tokio::test]
async fn the_parts_of_a_batch_are_one_transaction_and_none_may_be_missing() {
    for kind in KINDS {
        // GIVEN a batch of a plain part 1 and a part that came in pieces 2 to 4
        let mut node = Node::start(kind).await;
        node.db.run(CREATE_ITEM).await;
        let key = node.next_key();
        let first = part(&key, 1, 4, rows(item(), vec![insert(&["1", "a"])]));
        let last = part(
            &key,
            4,
            4,
            rows(item(), vec![insert(&["2", "b"]), insert(&["3", "c"])]),
        );
        let whole = Message::Lane(last.clone());
        let size = whole.encode().expect("encode").len();
        let pieces = whole.encode_within(size.div_ceil(3)).expect("encode");
        assert_eq!(pieces.len(), 3);
        for (piece, number) in pieces.into_iter().zip(2..) {
            spool(&node, &last, number, piece).await;
        }

        // WHEN part 1 is missing THEN nothing is applied
        assert!(matches!(
            node.loader.load(&key, &Content::Spool).await,
            Err(LoadError::Incomplete)
        ));
        assert_eq!(node.db.number("select count(*) from item").await, 0);

        // WHEN it comes THEN all is, and the spool is empty
        spool(
            &node,
            &first,
            1,
            Message::Lane(first.clone()).encode().expect("encode"),
        )
        .await;
        node.loader
            .load(&key, &Content::Spool)
            .await
            .unwrap_or_else(|err| panic!("{kind}: {err}"));
        assert_eq!(
            node.rows("select id, name from item order by id").await,
            ["1|a", "2|b", "3|c"]
        );
        assert_eq!(node.db.number("select count(*) from sym_incoming_spool").await, 0);
    }
}

#[tokio::test]
async fn the_times_of_a_batch_are_measured() {
    for kind in KINDS {
        // GIVEN a batch that was sent five seconds ago, with values to fit and rows to write
        let mut node = Node::start(kind).await;
        node.db.run(CREATE_ITEM).await;
        let names: Vec<String> = (0..20_000).map(|number| number.to_string()).collect();
        let changes = names.iter().map(|name| insert(&[name, name])).collect();
        let key = node.next_key();
        let batch = part(&key, 1, 1, rows(item(), changes));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        let sent = i64::try_from(now.as_millis()).expect("small") - 5_000;
        let content = Content::Message(&batch, sent);
        let result = node.loader.load(&key, &content).await.expect("applied");

        assert!((5_000..10_000).contains(&result.network_ms), "{kind}: {result:?}");
        assert!(
            result.filter_ms > 0 && result.database_ms > 0,
            "{kind}: {result:?}"
        );
        assert!(
            result.end_ms - result.start_ms >= result.filter_ms + result.database_ms - 1,
            "{kind}: {result:?}"
        );
        let times = [result.network_ms, result.filter_ms, result.database_ms];
        assert_eq!(
            node.rows("select network_millis, filter_millis, database_millis from sym_incoming_batch_hist")
                .await,
            [times.map(|time| time.to_string()).join("|")],
            "{kind}"
        );
    }
}
