use crate::site::{CLOUD, Ended, Site};

fn import(site: &Site, sql: &str) -> Ended {
    site.write("script.sql", sql);
    site.dbimport(&["--engine", CLOUD, "script.sql"])
}

#[test]
fn a_script_runs_whole() {
    let site = Site::new();
    let script = "-- a comment; with a semicolon\ncreate table t (a text, n integer);\n\
                  create trigger up after insert on t begin update t set n = 1; update t set n = n + 1; end;\n\
                  insert into t values ('a;''b', 0); /* ; */ insert into t (a) values ('?')";
    let done = import(&site, script).ok();
    assert!(done.stderr.contains("4 statements run"), "{done:?}");
    assert_eq!(
        site.query("cloud.db", "select a, n from t order by a"),
        [["?", "2"], ["a;'b", "2"]]
    );
}

#[test]
fn an_error_names_the_statement_and_its_line_and_changes_nothing() {
    let site = Site::new();
    import(&site, "create table t (a integer primary key);").ok();
    let error = import(
        &site,
        "insert into t values (1);\n\n-- twice\ninsert into t\nvalues (1);\n",
    )
    .error(1);
    assert!(
        error.contains("script.sql: statement 2 (line 4): UNIQUE constraint failed"),
        "{error}"
    );
    assert!(error.ends_with("nothing was changed"), "{error}");
    assert_eq!(site.query("cloud.db", "select count(*) from t"), [["0"]]);
}

#[test]
fn a_script_may_not_end_its_transaction() {
    let site = Site::new();
    let error = import(&site, "create table t (a integer);\ncommit;").error(1);
    assert!(
        error.contains("statement 2 (line 2): the file runs as one transaction; take COMMIT out"),
        "{error}"
    );
    assert_eq!(
        site.query("cloud.db", "select count(*) from sqlite_schema where name = 't'"),
        [["0"]]
    );
}

#[test]
fn a_text_without_an_end_is_found_before_it_is_run() {
    let site = Site::new();
    let error = import(&site, "create table t (a text);\ninsert into t values ('a);\n").error(1);
    assert!(
        error.contains("script.sql: line 2: a text that begins here has no end"),
        "{error}"
    );
    assert_eq!(
        site.query("cloud.db", "select count(*) from sqlite_schema where name = 't'"),
        [["0"]]
    );
}

#[test]
fn a_file_of_the_other_format_is_recognised() {
    let site = Site::new();
    let error = import(&site, "<?xml version=\"1.0\"?>\n<database/>\n").error(1);
    assert!(error.contains("it looks like XML; give --format XML"), "{error}");
}
