use crate::site::{CLOUD, Site};

const SHOP: &str = r#"<database>
  <table name="ITEM">
    <column name="ID" type="INTEGER" primaryKey="true" required="true" autoIncrement="true"/>
    <column name="KIND" type="VARCHAR" size="10" required="true"/>
    <column name="IMAGE" type="BLOB"/>
    <column name="SOLD" type="BOOLEAN" default="true"/>
    <foreign-key foreignTable="KIND"><reference local="KIND" foreign="NAME"/></foreign-key>
  </table>
  <table name="KIND"><column name="NAME" type="VARCHAR" size="10" primaryKey="true"/></table>
  <table_data name="KIND"><row><field name="NAME">it's ü</field></row></table_data>
  <table_data name="ITEM">
    <row><field name="ID">7</field><field name="KIND">it's ü</field><field name="IMAGE">AP8=</field></row>
    <row><field name="ID">8</field><field name="KIND">it's ü</field><field name="SOLD">false</field></row>
  </table_data>
</database>"#;

fn import(site: &Site, xml: &str) -> crate::site::Ended {
    site.write("shop.xml", xml);
    site.dbimport(&["--engine", CLOUD, "--format", "XML", "--alter-case", "shop.xml"])
}

#[test]
fn tables_and_rows_are_there_in_lower_case_and_once_however_often_they_are_imported() {
    let site = Site::new();
    let first = import(&site, SHOP).ok();
    assert!(
        first
            .stderr
            .contains("2 tables created, 0 were there; 3 rows inserted, 0 were there"),
        "{first:?}"
    );
    let again = import(&site, SHOP).ok();
    assert!(
        again
            .stderr
            .contains("0 tables created, 2 were there; 0 rows inserted, 3 were there"),
        "{again:?}"
    );
    assert_eq!(
        site.query("cloud.db", "select id, kind, image, sold from item order by id"),
        [["7", "it's ü", "00ff", "1"], ["8", "it's ü", "null", "0"]]
    );
    assert_eq!(
        site.query("cloud.db", "select name from sqlite_schema where name = 'ITEM'")
            .len(),
        0
    );
}

#[test]
fn without_alter_case_names_stay_as_they_are() {
    let site = Site::new();
    site.write("shop.xml", SHOP);
    site.dbimport(&["--engine", CLOUD, "--format", "xml", "shop.xml"])
        .ok();
    assert_eq!(
        site.query("cloud.db", "select name from sqlite_schema where name = 'ITEM'"),
        [["ITEM"]]
    );
}

#[test]
fn a_table_that_differs_is_an_error_and_nothing_is_changed() {
    let site = Site::new();
    import(&site, SHOP).ok();
    let other = SHOP
        .replace("SOLD", "GONE")
        .replace("<table name=\"KIND\">", "<table name=\"NEW\">");
    let error = import(&site, &other).error(1);
    assert!(
        error.contains("table item: the database has it already, but it has no column gone"),
        "{error}"
    );
    assert!(
        error.contains("it has a column sold that the file has not"),
        "{error}"
    );
    assert_eq!(
        site.query(
            "cloud.db",
            "select count(*) from sqlite_schema where name = 'new'"
        ),
        [["0"]]
    );
}

#[test]
fn a_row_that_is_refused_takes_everything_back_and_is_named() {
    let site = Site::new();
    let orphan = SHOP.replace(
        "<field name=\"ID\">8</field><field name=\"KIND\">it's ü",
        "<field name=\"KIND\">none",
    );
    let error = import(&site, &orphan).error(1);
    assert!(
        error.contains("shop.xml: table item: a row has none in kind, and table kind has no such row"),
        "{error}"
    );
    assert_eq!(
        site.query(
            "cloud.db",
            "select count(*) from sqlite_schema where name = 'item'"
        ),
        [["0"]]
    );
    let unknown = SHOP.replace("name=\"IMAGE\">AP8=", "name=\"IMAGES\">AP8=");
    let error = import(&site, &unknown).error(1);
    assert!(
        error.contains("line 12: row of table item: the table has no column images"),
        "{error}"
    );
    let binary = SHOP.replace("AP8=", "AP8");
    let error = import(&site, &binary).error(1);
    assert!(error.contains("column image: the value is not base64"), "{error}");
}

#[test]
fn a_file_that_is_no_schema_is_refused_with_its_line() {
    let site = Site::new();
    let error = import(&site, "select 1;\n").error(1);
    assert!(error.contains("shop.xml: line 1: the file is no XML"), "{error}");
    let error = import(&site, &SHOP.replace("<table name=\"KIND\">", "<table>")).error(1);
    assert!(error.contains("shop.xml: line 9: <table> has no name"), "{error}");
    let error = site
        .dbimport(&["--engine", CLOUD, "--format", "XML", "none.xml"])
        .error(1);
    assert!(error.contains("none.xml: No such file"), "{error}");
}
