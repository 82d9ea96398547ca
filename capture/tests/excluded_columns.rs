//! Excluded columns that are gone, mistyped or renamed: nothing comes to be sent that was left out.

use crate::source::on_each;

#[tokio::test]
async fn an_excluded_column_may_be_dropped() {
    on_each("dropped", async |source| {
        source
            .db
            .run("create table item (id int primary key, a int, secret int)")
            .await;
        source
            .trigger("items", "item", "excluded_column_names = 'secret'")
            .await;
        source.sync().await;
        source
            .on_one_connection(&[
                "insert into item values (1, 2, 3)",
                "alter table item drop column secret",
                "insert into item values (4, 5)",
            ])
            .await;
        let report = source.try_sync().await.expect("triggers");
        assert_eq!((report.problems.len(), report.built.len()), (0, 1), "{report:?}");
        let says = |note: &symstream_capture::sync_triggers::Note| note.message.contains("\"secret\"");
        assert!(report.warnings.iter().any(says), "{report:?}");
        assert_eq!(source.sync().await, [""; 0]);
        source.db.run("alter table item add column b int").await;
        assert_eq!(source.sync().await, ["items:S"]);
        source.db.run("insert into item values (6, 7, 8)").await;
        assert_eq!(source.take_texts().await, ["I 1|2 <-", "I 4|5 <-", "I 6|7|8 <-"]);
    })
    .await;
}

#[tokio::test]
async fn an_excluded_column_of_another_name_is_not_let_through() {
    on_each("not_let_through", async |source| {
        source
            .db
            .run("create table item (id int primary key, a int, secret int)")
            .await;
        source
            .trigger("items", "item", "excluded_column_names = 'secret'")
            .await;
        source.sync().await;
        let refused = async || {
            let report = source.try_sync().await.expect("triggers");
            assert_eq!((report.problems.len(), report.built.len()), (1, 0), "{report:?}");
            assert!(
                report.problems[0].message.contains("excluded_column_names has"),
                "{report:?}"
            );
        };
        // Mistyped, or the column was renamed.
        let exclude = async |name: &str| {
            source
                .db
                .run(&format!(
                    "update sym_trigger set excluded_column_names = '{name}'"
                ))
                .await;
        };
        exclude("sceret").await;
        refused().await;
        exclude("secret").await;
        source.sync().await;
        source
            .db
            .run("alter table item rename column secret to hidden")
            .await;
        refused().await;
        source.db.run("insert into item values (1, 2, 3)").await;
        exclude("hidden").await;
        assert_eq!(source.sync().await, ["items:S"]);
        assert_eq!(source.take_texts().await, ["I 1|2 <-"]);
    })
    .await;
}
