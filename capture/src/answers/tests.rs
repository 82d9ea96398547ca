//! Questions to real databases.

use super::*;
use crate::sync_triggers::sync_triggers;
use crate::testing::TestNode;
use symstream_shared::db::DatabaseKind::{self, Mysql, Postgres, Sqlite};
use symstream_shared::logical::LogicalType;
use symstream_shared::model::local_configuration;
use symstream_shared::wire::{ColumnInfo, Operation};

const LOOKUP: &str =
    "LOOKUP_TABLE=LINKS KEY_COLUMN=PATIENT LOOKUP_KEY_COLUMN=patient_id EXTERNAL_ID_COLUMN=location";

struct Fixture {
    node: TestNode,
    history: HistCache,
}

impl Fixture {
    /// `visit` is routed by `rule`; `links` says where patients are, and is captured itself.
    async fn start(kind: DatabaseKind, router_type: &str, expression: &str) -> Self {
        let node = TestNode::start(kind).await;
        let (key, other_text) = match kind {
            // Another collation than the column that is looked up.
            Mysql => (
                "varchar(50) character set latin1 collate latin1_german1_ci",
                "varchar(50) collate utf8mb4_unicode_ci",
            ),
            Postgres | Sqlite => ("varchar(50)", "varchar(50)"),
        };
        node.db
            .run(&format!(
                "create table links (id integer primary key, patient_id {key}, number integer, location {other_text});
                 create table visit (id integer primary key, patient {other_text}, number integer);
                 insert into links values (1, 'p1', 1, 'north'), (2, 'p1', 1, 'south'), (3, 'p2', 2, 'south'), \
                 (4, 'gone', 3, 'east');
                 insert into sym_router (router_id, source_node_group_id, target_node_group_id, router_type, \
                 router_expression) values ('rule', 'here', 'there', '{router_type}', {expression});
                 insert into sym_trigger (trigger_id, source_table_name, channel_id) values ('visit', 'visit', 'main'), \
                 ('links', 'links', 'main');
                 insert into sym_trigger_router (trigger_id, router_id) values ('visit', 'rule');
                 insert into sym_node (node_id, node_group_id, external_id, sync_enabled) values ('n', 'there', 'north', 1), \
                 ('s', 'there', 'south', 1), ('e', 'there', 'east', 1), ('x', 'elsewhere', 'north', 1);
                 insert into sym_router (router_id, source_node_group_id, target_node_group_id, router_type) \
                 values ('all', 'here', 'there', 'default');
                 insert into sym_trigger_router (trigger_id, router_id) values ('links', 'all')",
                expression = kind.literal(expression),
            ))
            .await;
        Self {
            node,
            history: HistCache::new(),
        }
    }

    async fn ask(&mut self, since: Option<i64>, changes: Vec<Change>) -> Result<Vec<RuleAnswers>, Error> {
        let database = self.node.db.database();
        let mut conn = database.conn().await.expect("connection");
        let config = local_configuration(&mut conn, &self.node.source.tables)
            .await
            .expect("configuration");
        let mut asker = Asker {
            tables: &self.node.source.tables,
            config: &config,
            group: &self.node.source.engine.group,
            target_group: None,
            since,
            history: &mut self.history,
        };
        let column = |name: &str, logical| ColumnInfo {
            name: name.to_owned(),
            logical,
        };
        let visit = TableInfo {
            hist_id: 1,
            trigger_ids: vec!["visit".to_owned()],
            source_schema: None,
            source_table: "visit".to_owned(),
            target_schema: None,
            target_table: "visit".to_owned(),
            columns: vec![
                column("id", LogicalType::Int),
                column("patient", LogicalType::Text),
                column("number", LogicalType::Int),
            ],
            key: vec![0],
            column_level: false,
        };
        asker
            .ask(
                &mut conn,
                &Rows {
                    tables: vec![visit],
                    changes,
                },
            )
            .await
    }

    /// The sets for each change, as text.
    async fn sets(&mut self, since: Option<i64>, changes: Vec<Change>) -> Vec<String> {
        let count = changes.len();
        let answers = self.ask(since, changes).await.expect("answers");
        assert_eq!(answers.len(), 1, "{answers:?}");
        assert_eq!(answers[0].rule, RuleId::Router("rule".to_owned()));
        assert_eq!(answers[0].changes.len(), count, "every change has an answer");
        answers[0]
            .changes
            .iter()
            .map(|(_, set)| answers[0].sets[*set as usize].join(","))
            .collect()
    }

    async fn sync_triggers(&self) {
        let mut conn = self.node.db.database().conn().await.expect("connection");
        let config = local_configuration(&mut conn, &self.node.source.tables)
            .await
            .expect("configuration");
        let source = &self.node.source;
        let report = sync_triggers(
            &source.database,
            &source.tables,
            &config,
            &source.engine.group,
            false,
        )
        .await
        .expect("triggers");
        assert_eq!(report.problems, vec![]);
    }
}

fn row(patient: Option<&str>, number: i64) -> Option<Vec<Cell>> {
    let patient = patient.map_or(Cell::Null, |patient| Cell::Text(patient.to_owned()));
    Some(vec![
        Cell::Text("7".into()),
        patient,
        Cell::Text(number.to_string()),
    ])
}

fn change(new: Option<Vec<Cell>>, old: Option<Vec<Cell>>) -> Change {
    let operation = match (&new, &old) {
        (Some(_), None) => Operation::Insert,
        (Some(_), Some(_)) => Operation::Update,
        _ => Operation::Delete,
    };
    Change {
        data_id: 1,
        table: 0,
        operation,
        new,
        old,
        path: Vec::new(),
    }
}

async fn looks_up(kind: DatabaseKind) {
    let mut f = Fixture::start(kind, "lookuptable", LOOKUP).await;
    let changes = vec![
        change(row(Some("p1"), 1), None),
        change(row(Some("nobody's"), 1), None),
        change(row(Some("p2"), 1), row(Some("p1"), 1)),
        change(None, row(Some("p2"), 1)),
        change(row(None, 1), None),
        change(row(Some("quote ' \" \\ ü 🦀"), 1), None),
    ];
    assert_eq!(
        f.sets(None, changes).await,
        ["north,south", "", "north,south", "south", "", ""]
    );
}

#[tokio::test]
async fn a_lookup_gives_the_external_ids_for_the_key_before_and_after() {
    looks_up(Postgres).await;
    looks_up(Mysql).await;
    looks_up(Sqlite).await;
}

async fn former_links(kind: DatabaseKind) {
    let mut f = Fixture::start(kind, "lookuptable", LOOKUP).await;
    f.sync_triggers().await;
    // GIVEN a link that goes and one that moves, after row 1 of sym_data
    f.node
        .db
        .run("insert into links values (5, 'other', 5, 'west')")
        .await;
    f.node.db.run("delete from links where patient_id = 'gone'").await;
    f.node
        .db
        .run("update links set location = 'west' where id = 3")
        .await;
    let changes = || {
        vec![
            change(None, row(Some("gone"), 1)),
            change(row(Some("p2"), 1), None),
        ]
    };
    // THEN a batch that began before still sees them
    assert_eq!(f.sets(Some(1), changes()).await, ["east", "south,west"]);
    // AND one that began after does not
    assert_eq!(f.sets(Some(4), changes()).await, ["", "west"]);
    assert_eq!(f.sets(None, changes()).await, ["", "west"]);
}

#[tokio::test]
async fn a_lookup_counts_links_that_went_since_the_batch_began() {
    former_links(Postgres).await;
    former_links(Mysql).await;
    former_links(Sqlite).await;
}

#[tokio::test]
async fn padding_is_no_part_of_a_key_or_an_id() {
    let mut f = Fixture::start(Postgres, "lookuptable", LOOKUP).await;
    f.node
        .db
        .run("alter table links alter patient_id type char(12), alter location type char(9)")
        .await;
    f.sync_triggers().await;
    let patients = || vec![change(row(Some("p1"), 1), None), change(row(Some("p2"), 1), None)];
    assert_eq!(f.sets(Some(1), patients()).await, ["north,south", "south"]);
    // The same of links that went.
    f.node.db.run("delete from links").await;
    assert_eq!(f.sets(Some(1), patients()).await, ["north,south", "south"]);
}

async fn selects(kind: DatabaseKind) {
    let expression = "c.external_id in (select location from links where patient_id = :Patient \
                      or (number = :OLD_NUMBER and number <> :NUMBER)) and ':PATIENT' <> ''";
    let mut f = Fixture::start(kind, "subselect", expression).await;
    let changes = vec![
        change(row(Some("p1"), 9), None),
        change(row(Some("p2"), 9), row(Some("p2"), 3)),
        change(None, row(Some("gone"), 9)),
        change(row(None, 9), None),
    ];
    assert_eq!(f.sets(None, changes).await, ["n,s", "e,s", "e", ""]);
}

#[tokio::test]
async fn a_subselect_gives_the_nodes_of_the_group_for_which_it_holds() {
    selects(Postgres).await;
    selects(Mysql).await;
    selects(Sqlite).await;
}

#[tokio::test]
async fn a_condition_without_columns_is_asked_too() {
    for kind in [Postgres, Mysql, Sqlite] {
        let mut f = Fixture::start(kind, "subselect", "c.external_id <> 'east'").await;
        assert_eq!(
            f.sets(None, vec![change(row(Some("p1"), 1), None)]).await,
            ["n,s"]
        );
    }
}

#[tokio::test]
async fn many_different_values_are_asked_in_pieces() {
    let mut f = Fixture::start(Sqlite, "lookuptable", LOOKUP).await;
    let mut changes: Vec<Change> = (0..2 * QUESTIONS_MAX)
        .map(|number| change(row(Some(&format!("x{number}")), 1), None))
        .collect();
    changes.push(change(row(Some("p2"), 1), None));
    let sets = f.sets(None, changes).await;
    assert_eq!(sets.last().map(String::as_str), Some("south"));
    assert!(sets[..2 * QUESTIONS_MAX].iter().all(String::is_empty));
}

#[tokio::test]
async fn a_rule_that_fails_is_named_and_answers_nothing() {
    for (expression, says) in [
        (
            LOOKUP.replace("=PATIENT ", "=nothing "),
            "table visit has no column nothing",
        ),
        (
            LOOKUP.replace("LINKS", "lost"),
            "lookup table lost does not exist",
        ),
        (
            LOOKUP.replace("=location", "=place"),
            "lookup table LINKS has no column place",
        ),
    ] {
        let mut f = Fixture::start(Sqlite, "lookuptable", &expression).await;
        let err = f
            .ask(None, vec![change(row(Some("p1"), 1), None)])
            .await
            .expect_err("rule");
        assert_eq!(err.to_string(), format!("router rule for table visit: {says}"));
    }
    let mut f = Fixture::start(Sqlite, "subselect", "c.no_such = :PATIENT").await;
    let err = f
        .ask(None, vec![change(row(Some("p1"), 1), None)])
        .await
        .expect_err("rule");
    assert!(
        err.to_string().starts_with("router rule for table visit: "),
        "{err}"
    );
}
