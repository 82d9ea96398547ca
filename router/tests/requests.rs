//! Statements and reloads: events for one node, each a batch of its own.

use crate::world::{PATIENCE, World, channel, next_report, node, part};
use symstream_shared::model::LinkAction;
use symstream_shared::wire::{LanePart, Message, Part, Request};

fn statement(batch_id: i64, version: i64, target: &str) -> Part {
    Part {
        targets: vec![node(target)],
        request: Some(Request::Statement {
            data_id: 40 + batch_id,
            sql: "delete from sale".to_owned(),
        }),
        ..part("c0", batch_id, version, &[])
    }
}

/// A part of a reload; all rows have the event's id. Even places are for `a`.
fn reload(batch_id: i64, version: i64, target: &str, places: &[i64]) -> Part {
    let mut part = part("c0", batch_id, version, places);
    for change in &mut part.rows.changes {
        change.data_id = 40 + batch_id;
    }
    Part {
        targets: vec![node(target)],
        request: Some(Request::Reload {
            data_id: 40 + batch_id,
        }),
        ..part
    }
}

async fn publish(world: &World, batch_id: i64, version: i64, parts: Vec<Part>) {
    let bodies = parts
        .into_iter()
        .map(|part| (Message::Captured(part).encode().expect("encode"), 0))
        .collect();
    world.publish("c0", batch_id, version, bodies).await;
}

/// The next batches of one message each in `a`'s lane.
async fn received(world: &World, count: usize) -> Vec<LanePart> {
    let mut deliveries = world
        .bus
        .lane_deliveries(&node("a"), &channel("c0"), LinkAction::Push);
    let mut parts = Vec::new();
    while parts.len() < count {
        let delivery = deliveries.next_within(PATIENCE).await.expect("a batch");
        delivery.ack().await.expect("acknowledge");
        match Message::decode(delivery.body()).expect("message") {
            Message::Lane(part) => parts.push(part),
            other => panic!("{other:?}"),
        }
    }
    parts
}

/// (node, first and last `data_id`, number of changes), and the `data_id`s for nobody.
type Reported = (Vec<(String, Vec<(i64, i64)>, u64)>, Vec<(i64, i64)>);

/// The last report of each of the next batches.
async fn reported(world: &World, batches: usize) -> Vec<Reported> {
    let mut reports = world.reports();
    let mut reported = Vec::new();
    while reported.len() < batches {
        let report = next_report(&mut reports).await;
        if !report.last {
            assert!(report.unrouted.is_empty(), "only the last part knows: {report:?}");
            continue;
        }
        let targets = report.targets.into_iter();
        reported.push((
            targets
                .map(|target| (target.node.to_string(), target.ranges, target.change_count))
                .collect(),
            report.unrouted,
        ));
    }
    reported
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_goes_to_its_node_in_order_or_to_nobody() {
    let (world, router) = World::with_router().await;
    let version = world.version().await;
    world.capture("c0", 1, version, &[&[2]]).await;
    publish(&world, 2, version, vec![statement(2, version, "a")]).await;
    world.capture("c0", 3, version, &[&[4]]).await;
    publish(&world, 4, version, vec![statement(4, version, "gone")]).await;

    let got: Vec<(i64, i64, Option<String>, u64, usize)> = received(&world, 3)
        .await
        .into_iter()
        .map(|part| {
            (
                part.batch_id,
                part.previous_batch_id,
                part.statement,
                part.change_count,
                part.rows.changes.len(),
            )
        })
        .collect();
    let sql = Some("delete from sale".to_owned());
    assert_eq!(got, [(1, 0, None, 1, 1), (2, 1, sql, 1, 0), (3, 2, None, 1, 1)]);
    let b = world.receive("b", "c0", 2).await;
    assert_eq!(b.batches, [(1, 0, vec![2]), (3, 1, vec![4])]);
    let reported = reported(&world, 4).await;
    assert_eq!(reported[1], (vec![("a".to_owned(), vec![(42, 42)], 1)], vec![]));
    assert_eq!(reported[3], (vec![], vec![(44, 44)]));
    router.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_goes_to_its_node_by_the_rules_or_to_nobody() {
    let (world, router) = World::with_router().await;
    let before = world.version().await;
    world
        .database
        .run(
            "update sym_router set router_type = 'column', router_expression = 'place=:EXTERNAL_ID', \
             sync_on_insert = 0 where router_id = 'down'",
        )
        .await;
    let version = world
        .version_with(|configuration| configuration.version > before)
        .await;
    let to_a = |batch_id, places: &[i64]| reload(batch_id, version, "a", places);
    // Rows of some parts only are for the node, those of the last are not; none at all; no rows; no such node.
    let some = vec![to_a(1, &[1, 3]), to_a(1, &[2, 5, 4]), to_a(1, &[7])];
    publish(&world, 1, version, some).await;
    publish(&world, 2, version, vec![to_a(2, &[1]), to_a(2, &[3])]).await;
    publish(&world, 3, version, vec![to_a(3, &[])]).await;
    publish(&world, 4, version, vec![reload(4, version, "gone", &[2])]).await;
    publish(&world, 5, version, vec![to_a(5, &[6])]).await;

    let a = world.receive("a", "c0", 2).await;
    assert_eq!(a.batches, [(1, 0, vec![41, 41]), (5, 1, vec![45])]);
    assert!(world.is_quiet("b", "c0").await);
    let reported = reported(&world, 5).await;
    // The range was in an earlier report, with the part whose rows it is about.
    assert_eq!(reported[0], (vec![("a".to_owned(), vec![], 2)], vec![]));
    assert_eq!(reported[1], (vec![], vec![(42, 42)]));
    assert_eq!(reported[2], (vec![], vec![(43, 43)]));
    assert_eq!(reported[3], (vec![], vec![(44, 44)]));
    assert_eq!(reported[4], (vec![("a".to_owned(), vec![(45, 45)], 1)], vec![]));
    router.stop().await;
}
