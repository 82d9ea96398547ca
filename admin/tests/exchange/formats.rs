use super::shop::assert_same;
use super::{KINDS, Servers};
use crate::site::CLOUD;

const TABLE: &str = r#"<database><table name="t">
  <column name="id" type="INTEGER" primaryKey="true"/><column name="Name" type="LONGVARCHAR"/>
  <column name="b" type="BLOB"/><column name="d" type="DOUBLE"/></table>
  <table_data name="t">
    <row><field name="id">1</field><field name="Name">a,"b"&#13;&#10;c</field><field name="b">AP8=</field></row>
    <row><field name="id">2</field><field name="Name"></field><field name="d">0.1</field></row>
    <row><field name="id">3</field><field name="Name"> x </field><field name="b"></field></row>
  </table_data></database>"#;

#[tokio::test]
async fn csv_keeps_line_breaks_quotes_null_and_binary_data() {
    let servers = Servers::start().await;
    let mut first = None;
    for kind in KINDS {
        let place = servers.place(kind).await;
        place.import(TABLE, &["--format", "XML"]).ok();
        let csv = place.export("t.csv", &["--format", "CSV", "t"]);
        let want =
            "id,Name,b,d\n\"1\",\"a,\"\"b\"\"\r\nc\",\"AP8=\",\n\"2\",\"\",,\"0.1\"\n\"3\",\" x \",\"\",\n";
        assert_eq!(csv, want, "{kind}");
        let xml = place.export("t.xml", &["--format", "XML"]);
        place.database.run("delete from t").await;
        let done = place.import(&csv, &["--format", "CSV", "--table", "t"]).ok();
        assert!(done.stderr.contains("3 rows inserted, 0 were there"), "{done:?}");
        let again = place
            .import(&csv, &["--format", "CSV", "--table", "T", "--alter-case"])
            .ok();
        assert!(
            again.stderr.contains("0 rows inserted, 3 were there"),
            "{again:?}"
        );
        assert_same(&xml, &place.export("t2.xml", &["--format", "XML"]), "again");
        assert_same(first.get_or_insert(xml.clone()), &xml, "the same everywhere");
    }
}

#[tokio::test]
async fn rows_without_a_key_are_there_as_often_as_in_the_file() {
    const ROWS: &str = "a,b\n1,x\n1,x\n2,\n1,x\n2,\n";
    let servers = Servers::start().await;
    for kind in KINDS {
        let place = servers.place(kind).await;
        place
            .database
            .run("create table t (a integer, b varchar(9))")
            .await;
        let import = |text| {
            let done = place.import(text, &["--format", "CSV", "--table", "t"]).ok();
            done.stderr
        };
        let counts = "select a, count(*) from t group by a order by a";
        let done = import(ROWS);
        assert!(done.contains("5 rows inserted, 0 were there"), "{kind}: {done}");
        // What was there before counts once for each row of the file.
        place.database.run("delete from t").await;
        place
            .database
            .run("insert into t values (1, 'x'), (3, 'y')")
            .await;
        let done = import(ROWS);
        assert!(done.contains("4 rows inserted, 1 were there"), "{kind}: {done}");
        for _ in 0..2 {
            let want = [["1", "3"], ["2", "2"], ["3", "1"]];
            assert_eq!(place.database.rows(counts).await, want, "{kind}");
            let again = import(ROWS);
            assert!(again.contains("0 rows inserted, 5 were there"), "{kind}: {again}");
        }
    }
}

#[tokio::test]
async fn structure_and_rows_can_be_had_alone_and_tables_of_engines_are_left_out() {
    let servers = Servers::start().await;
    for kind in KINDS {
        let place = servers.place(kind).await;
        place.import(TABLE, &["--format", "XML"]).ok();
        place.site.symadmin(&["create-sym-tables"]).ok();
        place
            .site
            .symadmin(&["--set", "sync.table.prefix=other", "create-sym-tables"])
            .ok();
        let structure = place.export("s.xml", &["--format", "XML", "--no-data"]);
        assert_eq!(structure.matches("<table ").count(), 1, "{kind}: {structure}");
        assert!(!structure.contains("<row>"), "{structure}");
        let rows = place.export("r.xml", &["--format", "XML", "--no-create-info"]);
        assert!(
            !rows.contains("<table ") && rows.matches("<row>").count() == 3,
            "{rows}"
        );
        let script = place.export("s.sql", &["--no-create-info", "t"]);
        assert!(!script.contains("create table"), "{script}");

        // Both together are the whole.
        let whole = place.export("w.xml", &["--format", "XML"]);
        let target = servers.place(kind).await;
        target.import(&structure, &["--format", "XML"]).ok();
        target.import(&script, &[]).ok();
        assert_same(
            &whole,
            &target.export("again.xml", &["--format", "XML"]),
            "script",
        );
        target.database.run("delete from t").await;
        target.import(&rows, &["--format", "XML"]).ok();
        assert_same(&whole, &target.export("again.xml", &["--format", "XML"]), "rows");
    }
}

#[tokio::test]
async fn names_become_lower_case_on_request() {
    let servers = Servers::start().await;
    for kind in KINDS {
        let place = servers.place(kind).await;
        let upper = TABLE
            .replace("name=\"t\"", "name=\"T\"")
            .replace("name=\"id\"", "name=\"ID\"");
        place.import(&upper, &["--format", "XML", "--alter-case"]).ok();
        assert_eq!(
            place.database.rows("select name from t where id = 3").await,
            [[" x "]],
            "{kind}"
        );
        assert!(
            place
                .export("t.xml", &["--format", "XML"])
                .contains("<table name=\"t\">")
        );
        let listed = place
            .site
            .dbexport(&["--engine", CLOUD, "--format", "csv", "t"])
            .ok();
        assert!(listed.stdout.starts_with("id,name,b,d\n"), "{listed:?}");
    }
}
