use crate::site::{CLOUD, Site};

fn site() -> Site {
    let site = Site::new();
    site.write(
        "t.xml",
        "<database><table name='t'><column name='id' type='INTEGER' primaryKey='true'/>\
                         <column name='a' type='VARCHAR' size='9'/></table><table name='u'>\
                         <column name='id' type='INTEGER'/></table></database>",
    );
    site.dbimport(&["--engine", CLOUD, "--format", "XML", "t.xml"])
        .ok();
    site
}

#[test]
fn a_wrong_command_line_of_an_export_ends_with_2_and_says_what_to_do() {
    let site = site();
    for (args, want) in [
        (&["--format", "JSON"][..], "invalid value 'JSON'"),
        (&["--format", "CSV"], "--format CSV takes one table: name it"),
        (
            &["--format", "CSV", "t", "u"],
            "--format CSV takes one table: name it",
        ),
        (&["--format", "CSV", "--no-data", "t"], "--no-data leaves nothing"),
        (
            &["--format", "XML", "--compatible", "mysql"],
            "--compatible goes with --format SQL",
        ),
        (&["--compatible", "oracle"], "invalid value 'oracle'"),
        (&["--no-data", "--no-create-info"], "cannot be used with"),
        (&["--engine", "nobody"], "nobody"),
    ] {
        let error = site.dbexport(args).error(2);
        assert!(error.contains(want), "{args:?}: {error}");
    }
}

#[test]
fn an_export_that_fails_names_the_table_or_the_file() {
    let site = site();
    for (args, want) in [
        (
            &["--format", "XML", "t", "nothing"][..],
            "table nothing: the database has no such table",
        ),
        (&["t", "T"], "table t is named twice"),
        (&["--output", "no/folder/t.sql"], "no/folder/t.sql: No such file"),
    ] {
        let error = site.dbexport(args).error(1);
        assert!(error.contains(want), "{args:?}: {error}");
    }
}

#[test]
fn a_wrong_import_of_csv_says_what_and_where_and_changes_nothing() {
    let site = site();
    let import = |text: &str, args: &[&str]| {
        site.write("t.csv", text);
        let mut all = vec!["--engine", CLOUD, "--format", "CSV"];
        all.extend_from_slice(args);
        all.push("t.csv");
        site.dbimport(&all)
    };
    let error = import("id\n1\n", &[]).error(2);
    assert!(
        error.contains("--format CSV needs the table: give --table NAME"),
        "{error}"
    );
    for (text, table, want) in [
        (
            "id\n1\n",
            "nothing",
            "t.csv: table nothing: the database has no such table",
        ),
        (
            "id,b\n1,2\n",
            "t",
            "t.csv: table t: it has no column b, which the file's first line names; its columns are id, a",
        ),
        (
            "id,a\n1,x\n2\n",
            "t",
            "t.csv: line 3: 1 values, but the first line names 2 columns",
        ),
        (
            "id,a\n1,x\n2,\"y\n",
            "t",
            "t.csv: line 3: a quoted value that begins here has no end",
        ),
        (
            "id,a\n1,x\n\"\",y\n",
            "t",
            "t.csv: line 3: row of table t: column id: the value is empty",
        ),
        ("", "t", "t.csv: the file is empty"),
    ] {
        let error = import(text, &["--table", table]).error(1);
        assert!(error.contains(want), "{error}");
    }
    assert_eq!(site.query("cloud.db", "select count(*) from t"), [["0"]]);
    let error = site
        .dbimport(&["--engine", CLOUD, "--table", "t", "--format", "XML", "t.xml"])
        .error(2);
    assert!(error.contains("--table goes with --format CSV"), "{error}");
}
