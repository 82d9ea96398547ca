use super::*;
use crate::ddl::ReferenceAction;

fn items(xml: &str) -> Result<Vec<Item>, XmlError> {
    let mut reader = DatabaseReader::new(xml.as_bytes(), true);
    let mut items = Vec::new();
    while let Some(item) = reader.next_item()? {
        items.push(item);
    }
    Ok(items)
}

fn why(xml: &str) -> String {
    items(xml).expect_err("wrong").to_string()
}

#[test]
fn a_table_comes_with_its_columns_keys_and_indexes() {
    let xml = r#"<?xml version="1.0"?><!DOCTYPE database SYSTEM "http://db.apache.org/torque/dtd/database">
        <database name="d"><table name="Items" description="ignored">
          <column name="ID" type="INTEGER" primaryKey="true" required="true" autoIncrement="true"/>
          <column name="Name" type="VARCHAR" size="20" default="a &amp; b"><platform-column name="h2"/></column>
          <foreign-key name="FK" foreignTable="Names" onDelete="cascade">
            <reference local="Name" foreign="Name"/></foreign-key>
          <unique name="U"><unique-column name="Name"/></unique>
          <index><index-column name="Name"/><index-column name="ID"/></index>
        </table></database>"#;
    let items = items(xml);
    let Ok([Item::Table(table)]) = items.as_deref() else {
        panic!("one table: {items:?}")
    };
    assert_eq!(table.name, "items");
    assert!(table.columns[0].primary_key && table.columns[0].auto_increment && table.columns[0].required);
    assert_eq!(table.columns[1].default.as_deref(), Some("a & b"));
    assert_eq!(
        table.foreign_keys[0].references,
        [("name".to_owned(), "name".to_owned())]
    );
    assert_eq!(table.foreign_keys[0].on_delete, Some(ReferenceAction::Cascade));
    assert_eq!(
        table.indexes[0],
        Index {
            name: Some("u".into()),
            unique: true,
            columns: vec!["name".into()]
        }
    );
    assert_eq!(table.indexes[1].columns, ["name", "id"]);
}

#[test]
fn rows_keep_their_text_and_tell_null_from_empty() {
    let xml = "<mysqldump><database name='d'><table_structure name='t'><x>y</x></table_structure>\n\
               <table_data name='T'>\n<row><field name='A'> x &lt;\n&#252;<![CDATA[<]]></field><field name='b'/>\
               <field name='c' xsi:nil='true'/><field name='d' xsi:type='xs:hexBinary'>00</field></row>\
               </table_data></database></mysqldump>";
    let field = |name: &str, text: Option<&str>, form| Field {
        name: name.to_owned(),
        text: text.map(str::to_owned),
        form,
    };
    let fields = vec![
        field("a", Some(" x <\nü<"), FieldForm::Plain),
        field("b", Some(""), FieldForm::Plain),
        field("c", None, FieldForm::Plain),
        field("d", Some("00"), FieldForm::Hexadecimal),
    ];
    assert_eq!(
        items(xml),
        Ok(vec![Item::Row(DataRow {
            table: "t".into(),
            fields,
            line: 3
        })])
    );
}

#[test]
fn an_error_says_what_and_on_which_line() {
    assert_eq!(
        why("<database>\n<tabel name='x'/>"),
        "line 2: <tabel> has no meaning inside of <database>"
    );
    assert_eq!(why("-- Some\nSQL;\n"), "line 1: the file is no XML");
    assert_eq!(
        why("<html/>"),
        "line 1: <html> stands where <database> is expected"
    );
    assert_eq!(
        why("<database>\n\n<table name='x'/></database>"),
        "line 3: table x has no columns"
    );
    assert_eq!(why("<database>\n"), "line 2: the file ends inside of <database>");
    assert!(why("<database></databse>").starts_with("line 1: "));
    assert!(
        why("<database><table name='t'><column name='c' type='VARCHA'/></table></database>")
            .starts_with("line 1: column c: type \"VARCHA\" is not known")
    );
    assert_eq!(
        why(
            "<database><table_data name='t'><row><field name='a'>&nbsp;</field></row></table_data></database>"
        ),
        "line 1: the entity &nbsp; is not known"
    );
}
