//! Initial loads at their target: lanes jump, wait and go on.

use crate::fixture::{Fixture, PATIENCE, Running, batch, in_channel};
use crate::node::{KINDS, item, rows};
use std::time::Duration;
use symstream_shared::batch_status::BatchStatus;
use symstream_shared::db::DatabaseKind;
use symstream_shared::wire::{ClearTable, LanePart, LoadBegin, LoadPart, LoadStep, Message, Rows};
use symstream_tests::eventually::eventually;
use tokio::time::timeout;

/// A batch of load `load_id` from `cloud`.
pub fn step(load_id: i64, batch_id: i64, previous: i64, step: LoadStep) -> LanePart {
    let part = in_channel("reload", batch("cloud", batch_id, previous, &["0", "x"]));
    LanePart {
        rows: rows(item(), vec![]),
        load: Some(LoadPart { load_id, step }),
        ..part
    }
}

/// Its first batch.
pub fn begin(load_id: i64, previous: i64, begin: LoadBegin) -> LanePart {
    step(load_id, load_id, previous, LoadStep::Begin(begin))
}

/// One that brings a row.
pub fn row(load_id: i64, batch_id: i64, previous: i64, row: &[&str]) -> LanePart {
    LanePart {
        rows: Rows {
            ..batch("cloud", batch_id, previous, row).rows
        },
        ..step(load_id, batch_id, previous, LoadStep::Rows)
    }
}

/// A batch of changes that names the load it comes after.
pub fn after(load_id: i64, part: LanePart) -> LanePart {
    LanePart {
        after_load: Some(load_id),
        ..part
    }
}

pub fn clear_item() -> LoadBegin {
    LoadBegin {
        clear: vec![ClearTable {
            schema: None,
            table: "item".into(),
        }],
        ..LoadBegin::default()
    }
}

impl Fixture {
    async fn publish_all(&self, parts: &[LanePart]) {
        for part in parts {
            self.publish(part).await;
        }
    }

    /// Waits until a query gives this number.
    pub async fn counts(&self, question: &str, want: i64) {
        eventually(PATIENCE, format!("{want}: {question}"), || async {
            let rows = self.db.try_rows(question).await.map_err(|err| err.to_string())?;
            if rows == [[want.to_string()]] {
                Ok(())
            } else {
                Err(format!("{rows:?}"))
            }
        })
        .await;
    }

    /// `<channel> <batch>` of every batch that the source was told to be applied.
    async fn told(&mut self) -> Vec<String> {
        let mut told = Vec::new();
        while let Ok(delivery) = timeout(Duration::from_secs(1), self.statuses.next()).await {
            let Ok(Message::Status(report)) = Message::decode(delivery.body()) else {
                continue;
            };
            let done = report
                .results
                .iter()
                .filter(|result| result.status == BatchStatus::Ok);
            told.extend(done.map(|result| format!("{} {}", report.channel, result.batch_id)));
        }
        told
    }

    async fn load_is(&self, load_id: i64, status: &str) {
        let question = format!(
            "select count(*) from sym_incoming_load where source_node_id = 'cloud' and load_id = {load_id} \
             and status = '{status}'"
        );
        self.counts(&question, 1).await;
    }

    async fn lane_is_at(&self, channel: &str, position: i64) {
        let question = format!(
            "select batch_id from sym_incoming_lane where source_node_id = 'cloud' and channel_id = '{channel}'"
        );
        self.counts(&question, position).await;
    }
}

const SPOOLED: &str = "select count(*) from sym_incoming_spool";

#[tokio::test]
async fn what_comes_after_a_load_waits_for_its_end() {
    for kind in KINDS {
        // GIVEN a lane that stands at batch 3 and is held by batch 5, and one of the same source that nothing has come in
        let mut fixture = Fixture::of(kind, &["default", "other"]).await;
        fixture.register().await;
        fixture
            .db
            .run("insert into sym_channel (channel_id) values ('other')")
            .await;
        let agent = Running::start(&fixture.engine);
        fixture.publish(&batch("cloud", 3, 0, &["1", "old"])).await;
        fixture.publish(&batch("cloud", 5, 3, &["2", "∅"])).await;
        fixture
            .counts(
                "select count(*) from sym_incoming_lane where held_batch_id = 5",
                1,
            )
            .await;

        // WHEN what comes after a load is there before the load, and the source's lane of loads stands elsewhere
        fixture
            .publish(&after(10, batch("cloud", 12, 5, &["12", "after"])))
            .await;
        fixture
            .publish(&in_channel(
                "other",
                after(10, batch("cloud", 13, 4, &["13", "after"])),
            ))
            .await;
        fixture.counts(SPOOLED, 3).await;
        fixture.publish(&begin(10, 7, clear_item())).await;
        // THEN the lanes are at the load, nothing holds them, the table is empty
        fixture.load_is(10, "NE").await;
        fixture.lane_is_at("default", 10).await;
        fixture.lane_is_at("other", 10).await;
        fixture.has(&[]).await;
        fixture.counts(SPOOLED, 2).await;
        // and a source that is not loaded goes on.
        fixture.publish(&batch("depot", 1, 0, &["100", "depot"])).await;
        fixture.publish(&row(10, 11, 10, &["1", "new"])).await;
        fixture.publish(&batch("cloud", 14, 12, &["14", "unnamed"])).await;
        fixture.has(&["1", "100"]).await;
        fixture.counts(SPOOLED, 3).await;

        // WHEN the loader starts anew in the middle THEN they wait as before
        agent.stop().await;
        let agent = Running::start(&fixture.engine);
        fixture.publish(&row(10, 15, 11, &["2", "new"])).await;
        fixture.has(&["1", "2", "100"]).await;
        assert_eq!(fixture.db.number(SPOOLED).await, 3, "{kind}");
        // A lane that jumped has applied nothing that it could tell of.
        let told = fixture.told().await;
        assert!(told.contains(&"reload 10".to_owned()), "{kind}: {told:?}");
        assert!(!told.contains(&"default 10".to_owned()), "{kind}: {told:?}");

        // WHEN it is complete THEN they go on, each once, and nobody spoke of errors but of batch 5.
        fixture.publish(&step(10, 16, 15, LoadStep::End)).await;
        fixture.has(&["1", "2", "12", "13", "14", "100"]).await;
        fixture.load_is(10, "OK").await;
        fixture.publish(&batch("cloud", 17, 14, &["17", "later"])).await;
        fixture
            .publish(&in_channel("other", batch("cloud", 18, 13, &["18", "later"])))
            .await;
        fixture
            .has(&["1", "2", "12", "13", "14", "17", "18", "100"])
            .await;
        assert_eq!(fixture.db.number(SPOOLED).await, 0, "{kind}");
        assert_eq!(
            fixture
                .db
                .rows("select distinct batch_id from sym_incoming_batch_hist where status = 'ER'")
                .await,
            [["5"]]
        );
        assert_eq!(
            fixture
                .db
                .rows("select row_count from sym_incoming_load where end_time is not null")
                .await,
            [["2"]]
        );
        agent.stop().await;
    }
}

#[tokio::test]
async fn a_newer_load_takes_the_place_of_one_that_was_interrupted() {
    for kind in KINDS {
        // GIVEN a load that stands still at a batch that fails, and changes that wait for it
        let fixture = Fixture::of(kind, &["default"]).await;
        fixture.register().await;
        let agent = Running::start(&fixture.engine);
        let waiting = after(10, batch("cloud", 13, 5, &["13", "in the second"]));
        fixture
            .publish_all(&[
                begin(10, 0, clear_item()),
                row(10, 11, 10, &["1", "first"]),
                row(10, 12, 11, &["2", "∅"]),
                row(10, 14, 12, &["3", "first"]),
                waiting,
            ])
            .await;
        fixture.counts(SPOOLED, 3).await;

        // WHEN another one begins THEN what was left of the first one is nothing any more
        fixture.publish(&begin(20, 14, LoadBegin::default())).await;
        fixture.load_is(20, "NE").await;
        fixture.lane_is_at("reload", 20).await;
        fixture.counts(SPOOLED, 0).await;
        // Its rows come late: they are passed over.
        fixture.publish(&row(10, 21, 20, &["21", "late"])).await;
        // These were cut before the second one was known of, but behind it.
        fixture
            .publish(&after(10, batch("cloud", 22, 13, &["22", "after"])))
            .await;
        fixture
            .publish_all(&[row(20, 23, 21, &["1", "second"]), step(10, 24, 23, LoadStep::End)])
            .await;
        fixture.lane_is_at("reload", 24).await;
        fixture.lane_is_at("default", 20).await;
        fixture.publish(&step(20, 25, 24, LoadStep::End)).await;
        fixture.has(&["1", "22"]).await;
        assert_eq!(
            fixture.db.rows("select name from item order by id").await,
            [["second"], ["after"]],
            "{kind}"
        );
        agent.stop().await;
    }
}

#[tokio::test]
async fn a_load_that_is_cancelled_lets_the_lanes_go_on_with_what_is_there() {
    for kind in KINDS {
        // GIVEN a source that was loaded, and a lane that is not there yet
        let fixture = Fixture::of(kind, &["default", "late"]).await;
        fixture.register().await;
        let agent = Running::start(&fixture.engine);
        fixture
            .publish_all(&[
                begin(10, 0, LoadBegin::default()),
                step(10, 11, 10, LoadStep::End),
            ])
            .await;
        fixture.load_is(10, "OK").await;
        // WHEN a load is announced and cancelled before it began
        fixture
            .publish(&after(20, batch("cloud", 21, 5, &["21", "after"])))
            .await;
        fixture.counts(SPOOLED, 1).await;
        fixture.publish(&step(20, 22, 11, LoadStep::Cancelled)).await;
        fixture.load_is(20, "CA").await;
        // THEN what waited goes on behind the load that was complete, and so does a lane that is new
        fixture
            .db
            .run("insert into sym_channel (channel_id) values ('late')")
            .await;
        fixture
            .publish(&in_channel("late", batch("cloud", 15, 6, &["15", "late"])))
            .await;
        fixture.has(&["15", "21"]).await;

        // WHEN one is cancelled after it began THEN rows of it that come late are passed over
        fixture
            .publish_all(&[
                begin(30, 22, LoadBegin::default()),
                row(30, 31, 30, &["31", "loaded"]),
                after(30, batch("cloud", 32, 21, &["32", "after"])),
                step(30, 33, 31, LoadStep::Cancelled),
                row(30, 34, 33, &["34", "late"]),
            ])
            .await;
        fixture.lane_is_at("reload", 34).await;
        fixture.has(&["15", "21", "31", "32"]).await;
        fixture.load_is(30, "CA").await;
        agent.stop().await;
    }
}

#[tokio::test]
async fn a_load_creates_the_tables_that_are_missing() {
    let xml = "<?xml version=\"1.0\"?><database name=\"d\"><table name=\"made\">\
               <column name=\"id\" type=\"INTEGER\" primaryKey=\"true\" required=\"true\"/>\
               <column name=\"name\" type=\"VARCHAR\" size=\"10\"/></table></database>";
    for kind in KINDS {
        let fixture = Fixture::of(kind, &["default"]).await;
        fixture.register().await;
        let agent = Running::start(&fixture.engine);
        let create = LoadBegin {
            create: Some(xml.to_owned()),
            clear: vec![ClearTable {
                schema: None,
                table: "made".into(),
            }],
            ..LoadBegin::default()
        };
        let mut first = row(10, 11, 10, &["1", "a"]);
        first.rows.tables[0].target_table = "made".into();
        fixture
            .publish_all(&[begin(10, 0, create), first, step(10, 12, 11, LoadStep::End)])
            .await;
        fixture.load_is(10, "OK").await;
        assert_eq!(
            fixture.db.rows("select id, name from made").await,
            [["1", "a"]],
            "{kind}"
        );
        agent.stop().await;
    }
}

#[tokio::test]
async fn a_lane_that_is_loaded_catches_up_while_more_comes() {
    // GIVEN 300 batches that wait for a load
    let fixture = Fixture::of(DatabaseKind::Sqlite, &["default"]).await;
    fixture.register().await;
    let agent = Running::start(&fixture.engine);
    fixture.publish(&begin(10, 0, LoadBegin::default())).await;
    let ids: Vec<i64> = (12..612).collect();
    let publish = async |ids: &[i64]| {
        for &id in ids {
            let name = id.to_string();
            let previous = if id == 12 { 3 } else { id - 1 };
            fixture
                .publish(&after(10, batch("cloud", id, previous, &[&name, &name])))
                .await;
        }
    };
    publish(&ids[..300]).await;
    fixture.counts(SPOOLED, 300).await;
    // WHEN it ends while others come
    fixture.publish(&step(10, 11, 10, LoadStep::End)).await;
    publish(&ids[300..]).await;
    // THEN all are applied in their order
    fixture.counts("select count(*) from item", 600).await;
    assert_eq!(
        fixture
            .db
            .number("select count(*) from sym_incoming_batch_hist where status <> 'OK'")
            .await,
        0
    );
    agent.stop().await;
}

#[tokio::test]
async fn tables_are_cleared_whatever_refers_to_what() {
    for kind in KINDS {
        // GIVEN rows that refer to rows of their own table, and tables that refer to each other
        let fixture = Fixture::of(kind, &["default"]).await;
        fixture.register().await;
        for statement in [
            "create table tree (id int primary key, parent int references tree (id))",
            "insert into tree values (1, null), (2, 1), (3, 2), (5, 3), (4, 5)",
            "create table a (id int primary key, b int)",
            "create table b (id int primary key, a int references a (id))",
            "create table leaf (id int primary key, a int references a (id))",
            "insert into a values (1, null)",
            "insert into leaf values (1, 1)",
            "insert into b values (1, 1)",
            "update a set b = 1",
        ] {
            fixture.db.run(statement).await;
        }
        if kind != DatabaseKind::Sqlite {
            fixture
                .db
                .run("alter table a add foreign key (b) references b (id)")
                .await;
        }
        // WHEN they are cleared, in whatever order THEN they are empty
        let agent = Running::start(&fixture.engine);
        let clear = ["a", "b", "leaf", "tree", "gone"].map(|table| ClearTable {
            schema: None,
            table: table.into(),
        });
        let what = LoadBegin {
            clear: clear.into(),
            ..LoadBegin::default()
        };
        fixture.publish(&begin(10, 0, what)).await;
        fixture.load_is(10, "NE").await;
        for table in ["a", "b", "leaf", "tree"] {
            let question = format!("select count(*) from {table}");
            assert_eq!(fixture.db.number(&question).await, 0, "{kind} {table}");
        }
        agent.stop().await;
    }
}

#[tokio::test]
async fn a_loader_that_is_killed_at_any_time_neither_loses_nor_repeats() {
    for kind in KINDS {
        // GIVEN changes before a load, its rows, changes behind it, all on their way
        let fixture = Fixture::of(kind, &["default"]).await;
        fixture.register().await;
        let text = |id: i64| id.to_string();
        let change = |id, previous| batch("cloud", id, previous, &[&text(id), "change"]);
        let mut parts: Vec<LanePart> = (1..10).map(|id| change(id, id - 1)).collect();
        parts.push(begin(10, 0, clear_item()));
        for id in 11..40 {
            parts.push(row(10, id, id - 1, &[&text(id), "loaded"]));
        }
        for id in 40..60 {
            parts.push(after(10, change(id, if id == 40 { 9 } else { id - 1 })));
        }
        parts.push(step(10, 60, 39, LoadStep::End));
        parts.extend((61..70).map(|id| change(id, if id == 61 { 59 } else { id - 1 })));
        fixture.publish_all(&parts).await;
        // WHEN the loader is killed again and again, at other moments each time
        for millis in [40, 90, 150, 220, 300] {
            let agent = Running::start(&fixture.engine);
            tokio::time::sleep(std::time::Duration::from_millis(millis)).await;
            agent.kill().await;
        }
        // THEN everything is there in the end, and was applied once
        let agent = Running::start(&fixture.engine);
        fixture.lane_is_at("default", 69).await;
        let ids: Vec<String> = (11..70).filter(|id| *id != 60).map(text).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        fixture.has(&ids).await;
        assert_eq!(
            fixture
                .db
                .rows("select batch_id from sym_incoming_batch_hist where status <> 'SK' group by batch_id having count(*) > 1")
                .await,
            Vec::<Vec<String>>::new(),
            "{kind}"
        );
        assert_eq!(fixture.db.number(SPOOLED).await, 0, "{kind}");
        agent.stop().await;
    }
}
