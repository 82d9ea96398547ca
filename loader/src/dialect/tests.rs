use super::*;
use symstream_shared::catalog::ColumnDef;
use symstream_shared::logical::LogicalType;

fn column(kind: DatabaseKind, name: &str, type_name: &str, logical: LogicalType) -> TargetColumn {
    TargetColumn {
        source: logical,
        sql_name: kind.quote(name),
        def: ColumnDef {
            name: name.into(),
            type_name: type_name.into(),
            sql_type: type_name.into(),
            logical,
            nullable: true,
            length: None,
            precision: None,
            scale: None,
            unsigned: false,
            generated: false,
            identity_always: false,
            auto_increment: false,
        },
    }
}

fn item(kind: DatabaseKind, key: Vec<usize>) -> Target {
    let columns = vec![
        column(kind, "id", "int4", LogicalType::Int),
        column(kind, "Na me", "varchar", LogicalType::Text),
        column(kind, "raw", "bytea", LogicalType::Bytes),
    ];
    Target {
        sql_name: kind.quote_table(None, "item"),
        name: "item".into(),
        whole_row: key.len() == columns.len(),
        conflict_clauses: false,
        upserts: false,
        columns,
        key,
    }
}

fn row(id: i64) -> Vec<Param> {
    vec![Param::Text(id.to_string()), "a".into(), Param::Bytes(vec![1])]
}

fn keyed(id: i64) -> KeyedRow {
    KeyedRow {
        values: vec!["b".into()],
        key: vec![Param::Text(id.to_string())],
    }
}

#[test]
fn postgres_writes_any_number_of_rows_with_one_text() {
    let kind = DatabaseKind::Postgres;
    let (postgres, table) = (of(kind), item(kind, vec![0]));
    let insert = postgres.insert(&table, &[0, 1, 2], &[row(1), row(2)]);
    assert_eq!(
        insert.sql,
        "insert into \"item\" (\"id\", \"Na me\", \"raw\") \
         select cast(v.c0 as \"int4\"), cast(v.c1 as \"varchar\"), v.c2 \
         from unnest(?, ?, ?) with ordinality as v(c0, c1, c2, n) order by v.n"
    );
    assert_eq!(
        insert.params,
        vec![
            Param::TextArray(vec![Some("1".into()), Some("2".into())]),
            Param::TextArray(vec![Some("a".into()), Some("a".into())]),
            Param::BytesArray(vec![Some(vec![1]), Some(vec![1])]),
        ]
    );
    assert_eq!(
        postgres.update(&table, &[1], &[keyed(1), keyed(2)]).sql,
        "update \"item\" as t set \"Na me\" = cast(v.c0 as \"varchar\") \
         from unnest(?, ?) with ordinality as v(c0, c1, n) where t.\"id\" = cast(v.c1 as \"int4\")"
    );
    assert_eq!(
        postgres.delete(&table, &[vec!["1".into()], vec!["2".into()]]).sql,
        "delete from \"item\" as t using unnest(?) with ordinality as v(c0, n) \
         where t.\"id\" = cast(v.c0 as \"int4\")"
    );
}

#[test]
fn rows_without_a_key_are_touched_one_at_a_time() {
    let key: &[Vec<Param>] = &[vec!["1".into(), Param::Null, Param::Bytes(vec![1])]];
    let sql = |kind| of(kind).delete(&item(kind, vec![0, 1, 2]), key).sql;
    assert_eq!(
        sql(DatabaseKind::Postgres),
        "delete from \"item\" as t where (t.tableoid, t.ctid) = (select t.tableoid, t.ctid from \"item\" as t \
         where t.\"id\" = cast(? as \"int4\") and t.\"Na me\" is not distinct from ? and t.\"raw\" = ? limit 1)"
    );
    assert_eq!(
        sql(DatabaseKind::Mysql),
        "delete from `item` where `id` = cast(? as unsigned) and `Na me` <=> ? and `raw` = ? limit 1"
    );
    assert_eq!(
        sql(DatabaseKind::Sqlite),
        "delete from \"item\" where rowid = (select rowid from \"item\" where \"id\" = ? collate binary \
         and \"Na me\" is ? and \"raw\" = ? collate binary limit 1)"
    );
}

#[test]
fn mysql_and_sqlite_insert_rows_in_their_order_and_never_touch_another() {
    let rows = [row(1), row(2)];
    let sql = |kind| of(kind).insert(&item(kind, vec![0]), &[0, 1, 2], &rows).sql;
    assert_eq!(
        sql(DatabaseKind::Mysql),
        "insert into `item` (`id`, `Na me`, `raw`) values (cast(? as unsigned), ?, ?), (cast(? as unsigned), ?, ?)"
    );
    assert_eq!(
        sql(DatabaseKind::Sqlite),
        "insert into \"item\" (\"id\", \"Na me\", \"raw\") values (?, ?, ?), (?, ?, ?)"
    );
    let update = |kind| of(kind).update(&item(kind, vec![0]), &[1], &[keyed(7)]);
    assert_eq!(
        update(DatabaseKind::Sqlite),
        Statement {
            sql: "update \"item\" set \"Na me\" = ? where \"id\" = ? and \"id\" = ? collate binary".into(),
            params: vec!["b".into(), "7".into(), "7".into()],
        }
    );
}

#[test]
fn a_cast_never_has_a_length() {
    let kind = DatabaseKind::Postgres;
    let sql = |type_name: &str, sql_type: &str, logical| {
        let mut table = item(kind, vec![0]);
        let mut def = column(kind, "id", type_name, logical);
        def.def.sql_type = sql_type.into();
        table.columns[0] = def;
        let sql = of(kind).insert(&table, &[0], &[vec!["x".into()]]).sql;
        sql.split("cast(v.c0 as ")
            .nth(1)
            .and_then(|rest| rest.split(") from").next().map(str::to_owned))
    };
    for (type_name, sql_type, logical, want) in [
        (
            "varchar",
            "character varying(3)",
            LogicalType::Text,
            "\"varchar\"",
        ),
        ("bpchar", "character(3)", LogicalType::Text, "\"bpchar\""),
        ("bit", "bit(3)", LogicalType::Bits, "\"bit\""),
        ("mood", "shop.mood", LogicalType::Enum, "shop.mood"),
        (
            "_varchar",
            "character varying(3)[]",
            LogicalType::Array,
            "\"_varchar\"",
        ),
        ("_mood", "shop.mood[]", LogicalType::Array, "shop.mood[]"),
    ] {
        assert_eq!(
            sql(type_name, sql_type, logical).as_deref(),
            Some(want),
            "{sql_type}"
        );
    }
}

#[test]
fn what_a_database_can_not_hold_is_refused() {
    let refused = |kind, source, logical, cell: Cell| {
        let mut column = column(kind, "c", "t", logical);
        column.source = source;
        of(kind)
            .param(&column, &cell)
            .map_err(|unfit| unfit.to_string())
            .err()
    };
    let text = |text: &str| Cell::Text(text.into());
    use DatabaseKind as K;
    use LogicalType as L;
    for (kind, source, logical, cell) in [
        (K::Postgres, L::Text, L::Text, text("a\0b")),
        (K::Postgres, L::Date, L::Date, text("0000-00-00")),
        (
            K::Postgres,
            L::Timestamp,
            L::Timestamp,
            text("2024-00-10 00:00:00"),
        ),
        (K::Postgres, L::Time, L::Time, text("-01:00:00")),
        (K::Mysql, L::Float64, L::Float64, text("NaN")),
        (K::Mysql, L::Float32, L::Float32, text("-Infinity")),
        (K::Mysql, L::Decimal, L::Decimal, text("NaN")),
        (K::Mysql, L::Date, L::Date, text("0044-03-15 BC")),
        (K::Mysql, L::Date, L::Date, text("10000-01-01")),
        (K::Mysql, L::Timestamp, L::Timestamp, text("infinity")),
        (
            K::Mysql,
            L::Text,
            L::TimestampTz,
            text("2024-01-01 00:00:00+05:30"),
        ),
        (K::Sqlite, L::Float64, L::Float64, text("NaN")),
    ] {
        assert!(
            refused(kind, source, logical, cell.clone()).is_some(),
            "{kind} {cell:?}"
        );
    }
    assert_eq!(
        refused(
            K::Mysql,
            L::TimestampTz,
            L::TimestampTz,
            text("2024-01-01 00:00:00+00")
        ),
        None
    );
}

#[test]
fn sqlite_keeps_what_a_value_is() {
    let param = |declared: &str, source, cell: Cell| {
        let mut column = column(DatabaseKind::Sqlite, "c", "t", LogicalType::Any);
        column.def.sql_type = declared.into();
        column.source = source;
        of(DatabaseKind::Sqlite).param(&column, &cell).ok()
    };
    let text = |text: &str| Cell::Text(text.into());
    use LogicalType as L;
    assert_eq!(
        param("DECIMAL(30,20)", L::Decimal, text("0.1")),
        Some(Param::Real(0.1))
    );
    assert_eq!(
        param("DECIMAL(30,20)", L::Decimal, text("0.12345678901234567890")),
        None
    );
    assert_eq!(
        param("TEXT", L::Decimal, text("0.12345678901234567890")),
        Some("0.12345678901234567890".into())
    );
    assert_eq!(param("NUMERIC", L::Text, text("007")), None);
    assert_eq!(param("VARCHAR(5)", L::Text, text("007")), Some("007".into()));
    assert_eq!(
        param("DATETIME", L::Timestamp, text("2024-02-29 10:00:00")),
        Some("2024-02-29 10:00:00".into())
    );
    assert_eq!(param("BIGINT", L::Int, text("18446744073709551615")), None);
    assert_eq!(param("INTEGER", L::Int, text("-5")), Some(Param::Int(-5)));
    assert_eq!(param("REAL", L::Float32, text("0.1")), Some(Param::Real(0.1)));
    assert_eq!(param("", L::Any, Cell::Real(1.5)), Some(Param::Real(1.5)));
    assert_eq!(param("TEXT", L::Any, Cell::Real(1e300)), Some("1e300".into()));
    assert_eq!(param("INTEGER", L::Any, text("abc")), Some("abc".into()));
}
