//! The judge is judged: on databases where nothing replicates, what is put there by hand is found right or wrong.

use super::history::{Piece, Transaction};
use super::oracle::Era;
use super::plan::{
    Channel, Condition, Conditions, Events, GroupLink, Habits, LoadSelect, Node, Plan, Trigger,
};
use super::run::{judge, script};
use super::selection::{EVERYBODY, Selection};
use super::table::{FAMILIES, FIRST_ROWS, Key, LINKS, Table};
use super::write::{Attributes, Bond, Row, What, Which, Write};
use symstream_shared::db::DatabaseKind::Sqlite;
use symstream_tests::database::TestDatabase;
use symstream_tests::folder::Folder;

const BOND: Bond = Bond { family: 1, life: 0 };

fn node(id: &str, group: &str) -> Node {
    Node {
        id: id.to_owned(),
        group: group.to_owned(),
        kind: Sqlite,
    }
}

fn trigger(source: &str, target: &str, selection: Selection) -> Trigger {
    Trigger {
        id: format!("{source}_{target}"),
        table: FIRST_ROWS,
        channel: "main".to_owned(),
        events: Events::ALL,
        conditions: Conditions::default(),
        excluded: Vec::new(),
        target_table: None,
        incoming: false,
        column_level: false,
        load_order: 1,
        load_select: None,
        own: Some((source.to_owned(), target.to_owned(), selection)),
        active: true,
    }
}

/// Three nodes of a group each; `000` sends to `001`, and that to `002`.
fn plan(first: Trigger, second: Option<Trigger>) -> Plan {
    let link = |source: &str, target: &str| GroupLink {
        source: source.to_owned(),
        target: target.to_owned(),
        action: 'P',
    };
    let table = |name: &str, key: Key, number: usize| Table {
        name: name.to_owned(),
        key,
        journal: format!("journal_{number}"),
        has_parent: false,
    };
    Plan {
        nodes: vec![node("000", "a"), node("001", "b"), node("002", "c")],
        group_links: vec![link("a", "b"), link("b", "c")],
        channels: vec![Channel {
            id: "main".to_owned(),
            order: 1,
            batch_rows: 1,
            batches: 1,
        }],
        tables: vec![
            table(LINKS, Key::Link, 0),
            table(FAMILIES, Key::Family, 1),
            table("stock", Key::Number, 2),
        ],
        triggers: std::iter::once(first).chain(second).collect(),
        routers: Vec::new(),
        trigger_routers: Vec::new(),
        habits: Habits {
            preload: false,
            handover: false,
            rebirth: false,
            reload: false,
            reload_at_once: false,
            misses: false,
            changes: false,
            phases: 1,
        },
    }
}

/// The nodes' databases, with the tables.
async fn databases(plan: &Plan, folder: &Folder) -> Vec<TestDatabase> {
    let mut all = Vec::new();
    for node in &plan.nodes {
        let database = TestDatabase::sqlite(folder, &node.id);
        for table in &plan.tables {
            database.run(&table.ddl(Sqlite)).await;
        }
        all.push(database);
    }
    all
}

/// Two rows of everybody's at `000`; the first is changed afterwards, the amount of the second is raised above 50.
async fn write(plan: &Plan, source: &TestDatabase) {
    let row = |number: i64, note: &str| Row {
        number,
        amount: 40,
        note: Some(note.to_owned()),
        extra: Some("extra".to_owned()),
    };
    let change = |number: i64, raise: Option<i64>, note: &str| What::Update {
        bond: BOND,
        which: Which::One(number),
        raise,
        note: Some(Some(note.to_owned())),
        extra: None,
    };
    let insert = What::Insert {
        attributes: Attributes {
            bond: BOND,
            owner: Some(EVERYBODY.to_owned()),
            region: 2,
            tags: None,
        },
        rows: vec![row(1, "one"), row(2, "two"), row(3, "three")],
    };
    let delete = What::Delete {
        bond: BOND,
        which: Which::One(3),
    };
    let all = [
        insert,
        change(1, None, "changed"),
        change(2, Some(20), "raised"),
        delete,
    ];
    let writes = (1..).zip(all).map(|(step, what)| Write {
        step,
        table: FIRST_ROWS,
        what,
    });
    let transaction = Transaction {
        pieces: vec![Piece::Plain(writes.collect())],
        commits: true,
    };
    source.transaction(&script(plan, Sqlite, &transaction).sql).await;
}

fn stock(number: i64, edits: i64, amount: i64, note: &str, extra: &str) -> String {
    format!(
        "insert into stock (id, item, bond, owner, region, tags, edits, amount, note, extra) values \
         ({}, {number}, 1, '{EVERYBODY}', 2, null, {edits}, {amount}, '{note}', {extra})",
        1_000_000 + number
    )
}

/// What `001` holds when everything arrives.
fn all() -> Vec<String> {
    vec![
        stock(1, 1, 40, "changed", "'extra'"),
        stock(2, 1, 60, "raised", "'extra'"),
    ]
}

async fn judged(
    first: Trigger,
    second: Option<Trigger>,
    at_001: &[String],
    at_002: &[String],
) -> Result<usize, String> {
    let folder = Folder::new();
    let plan = plan(first, second);
    let databases = databases(&plan, &folder).await;
    write(&plan, &databases[0]).await;
    for (database, rows) in [(&databases[1], at_001), (&databases[2], at_002)] {
        for row in rows {
            database.run(row).await;
        }
    }
    let verdict = judge(&[Era::whole(&plan)], &databases, &[]).await;
    for database in &databases {
        database.close().await;
    }
    verdict
}

#[tokio::test]
async fn a_lost_row_an_extra_row_and_a_changed_value_are_each_caught() {
    let whole = || trigger("a", "b", Selection::All);
    assert_eq!(judged(whole(), None, &all(), &[]).await, Ok(4));

    let cases: [(&str, &str); 7] = [
        ("1 lost", "delete from stock where item = 1"),
        (
            "1 extra",
            "insert into stock select 7, item, bond, owner, region, tags, edits, amount, note, extra from stock where item = 1",
        ),
        ("1 changed", "update stock set note = 'one' where item = 1"),
        ("1 changed", "update stock set amount = amount + 1 where item = 2"),
        ("1 changed", "update stock set note = null where item = 2"),
        ("1 changed", "update stock set tags = '' where item = 2"),
        (
            "1 extra",
            "insert into \"stock copy\" select * from stock where item = 1",
        ),
    ];
    for (complaint, damage) in cases {
        let mut rows = all();
        rows.push(damage.to_owned());
        let verdict = judged(whole(), None, &rows, &[]).await;
        let found = verdict.expect_err(damage);
        assert!(
            found.contains(complaint) && found.contains("at 001"),
            "{damage}: {found}"
        );
    }
    // A key that is another one is a row too many and one too few.
    let mut rows = all();
    rows.push("update stock set id = id + 10 where item = 2".to_owned());
    let found = judged(whole(), None, &rows, &[]).await.expect_err("another key");
    assert!(found.contains("1 lost") && found.contains("1 extra"), "{found}");
}

#[tokio::test]
async fn rules_decide_what_is_right() {
    let conditions = |insert, update| Conditions {
        insert,
        update,
        delete: None,
    };
    let above = Some(Condition::AmountAbove(50));
    let whole = || trigger("a", "b", Selection::All);
    let (one, two) = (
        || stock(1, 0, 40, "one", "'extra'"),
        || stock(2, 0, 40, "two", "'extra'"),
    );
    let cases = [
        ("nobody's owner", trigger("a", "b", Selection::Owner), vec![]),
        (
            "an owner for all",
            trigger("a", "b", Selection::OwnerOrEverybody),
            all(),
        ),
        ("another region", trigger("a", "b", Selection::Region(1)), vec![]),
        ("its region", trigger("a", "b", Selection::Region(2)), all()),
        ("no link", trigger("a", "b", Selection::Linked), vec![]),
        (
            "no updates",
            Trigger {
                events: Events {
                    update: false,
                    ..Events::ALL
                },
                ..whole()
            },
            vec![one(), two()],
        ),
        (
            "no deletes",
            Trigger {
                events: Events {
                    delete: false,
                    ..Events::ALL
                },
                ..whole()
            },
            all()
                .into_iter()
                .chain([stock(3, 0, 40, "three", "'extra'")])
                .collect(),
        ),
        (
            "no inserts: an update brings the row",
            Trigger {
                events: Events {
                    insert: false,
                    ..Events::ALL
                },
                ..whole()
            },
            all(),
        ),
        (
            "updates that raise",
            Trigger {
                conditions: conditions(None, Some(Condition::Raised)),
                ..whole()
            },
            vec![one(), all().remove(1)],
        ),
        (
            "amounts above",
            Trigger {
                conditions: conditions(above, above),
                ..whole()
            },
            vec![all().remove(1)],
        ),
        (
            "excluded columns",
            Trigger {
                excluded: vec!["extra"],
                ..whole()
            },
            vec![
                stock(1, 1, 40, "changed", "null"),
                stock(2, 1, 60, "raised", "null"),
            ],
        ),
        (
            "loads only",
            Trigger {
                load_select: Some(LoadSelect::RegionBelow(1)),
                ..whole()
            },
            all(),
        ),
        (
            "switched off",
            Trigger {
                active: false,
                ..whole()
            },
            vec![],
        ),
    ];
    for (what, first, rows) in cases {
        let count = 2 + rows.len();
        assert_eq!(judged(first, None, &rows, &[]).await, Ok(count), "{what}");
    }
}

#[tokio::test]
async fn what_a_node_passes_on_is_right_behind_it_and_nowhere_else() {
    let way = |first: Selection, second: Selection, incoming: bool| {
        let second = Trigger {
            incoming,
            ..trigger("b", "c", second)
        };
        (trigger("a", "b", first), Some(second))
    };
    let (whole, none) = (all(), Vec::new());
    for (first, second, incoming, at_001, at_002) in [
        (Selection::All, Selection::All, true, &whole, &whole),
        (Selection::All, Selection::All, false, &whole, &none),
        (Selection::Owner, Selection::All, true, &none, &none),
        (Selection::All, Selection::Owner, true, &whole, &none),
    ] {
        let case = format!("{first:?}, {second:?}, {incoming}");
        let (first, second) = way(first, second, incoming);
        let verdict = judged(first, second, at_001, at_002).await;
        assert_eq!(verdict, Ok(2 + at_001.len() + at_002.len()), "{case}");
    }
    let (first, second) = way(Selection::All, Selection::All, true);
    let found = judged(first, second, &whole, &none)
        .await
        .expect_err("nothing at 002");
    assert!(found.contains("2 lost") && found.contains("at 002"), "{found}");
}
