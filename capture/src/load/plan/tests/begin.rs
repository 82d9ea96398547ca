//! How loads begin.

use super::world::World;
use symstream_shared::db::DatabaseKind::{Mysql, Postgres, Sqlite};

#[tokio::test]
async fn a_load_begins_as_its_target_wants_it() {
    for kind in [Postgres, Mysql, Sqlite] {
        let world = World::start(kind).await;
        world
            .run(
                "create table parent (id integer primary key, name varchar(9)); create table child (id integer primary key, \
                 parent integer, foreign key (parent) references parent (id));
                 insert into parent values (1, 'x'), (2, 'y'); insert into child values (1, 1);
                 insert into sym_node (node_id, node_group_id, external_id) values ('1', 'there', 'x'), ('2', 'there', 'y');
                 insert into sym_trigger (trigger_id, source_table_name, channel_id) values ('child', 'child', 'main'), \
                 ('parent', 'parent', 'main');
                 insert into sym_router (router_id, source_node_group_id, target_node_group_id, target_table_name) \
                 values ('same', 'here', 'there', null), ('copy', 'here', 'there', 'Copy');
                 insert into sym_trigger_router (trigger_id, router_id) values ('child', 'same'), ('parent', 'same'), \
                 ('parent', 'copy');
                 insert into sym_incoming_lane (source_node_id, channel_id, batch_id) values ('1', 'main', 7), ('1', 'other', 8), \
                 ('3', 'main', 9);
                 insert into sym_parameter (external_id, node_group_id, param_key, param_value) \
                 values ('x', 'there', 'initial.load.create.first', 'true'), ('y', 'there', 'initial.load.delete.first', 'true')",
            )
            .await;
        world.sync_triggers().await;
        if kind != Sqlite {
            world
                .run(if kind == Postgres {
                    "analyze"
                } else {
                    "analyze table parent, child"
                })
                .await;
        }

        // WHEN one wants its tables made
        let (begin, rows) = world.begin("1", false).await;
        let create = begin.create.expect("tables");
        for name in ["\"parent\"", "\"child\"", "\"Copy\""] {
            assert!(
                create.contains(&format!("<table name={name}")),
                "{kind}: {create}"
            );
        }
        assert!(begin.clear.is_empty());
        // THEN the load says how far it knows that one's own changes, and how much there is
        let seen: Vec<_> = begin
            .seen
            .iter()
            .map(|seen| (seen.node.as_str(), seen.channel.as_str(), seen.batch_id))
            .collect();
        assert_eq!(seen, [("1", "main", 7), ("1", "other", 8)], "{kind}");
        assert_eq!(rows, 5, "{kind}");

        // WHEN another wants them cleared THEN children go first
        let (begin, _) = world.begin("2", false).await;
        assert_eq!(begin.create, None);
        let cleared = |begin: &symstream_shared::wire::LoadBegin| -> Vec<String> {
            begin.clear.iter().map(|table| table.table.clone()).collect()
        };
        assert_eq!(cleared(&begin), ["child", "parent", "Copy"], "{kind}");
        // AND also where the load itself has to
        let (begin, _) = world.begin("1", true).await;
        assert_eq!(cleared(&begin), ["child", "parent", "Copy"], "{kind}");
        let [one, two] = world.signatures(["1", "2"]).await;
        assert_ne!(one, two, "{kind}");
    }
}
