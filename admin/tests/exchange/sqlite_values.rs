use crate::exchange::shop::assert_same;
use crate::exchange::{Place, Servers};
use symstream_shared::cell::Cell;
use symstream_shared::db::{DatabaseKind, Param, Sql};

/// SQLite's columns hold values of any type.
const TABLES: &str = "create table t (id integer primary key autoincrement, a, b blob, c text, d integer, e real, \
     f boolean, g timestamp, h decimal(10,2)); \
     insert into t (a, b, c, d, e, f, g, h) values \
     (5, 5, x'00ff', 'abc', 'abc', 'abc', 1732237261, 'x'), (5.0, 5.5, 'a', x'41', 9e999, 2, ' x ', ''), \
     ('5', 'text', '5', '', -9e999, x'01', x'02', x'03'), (x'35', x'', '', 1.5, 'Infinity', 'true', '', 1e300), \
     (null, null, null, null, null, null, null, null), (1e300, 1e300, 'a' || char(0) || 'b', 9223372036854775807, 5, \
     1, '2024-01-01', 0.1)";

const TYPES: &str = "select id, typeof(a), quote(a), typeof(b), quote(b), typeof(c), hex(c), typeof(d), quote(d), \
     typeof(e), quote(e), typeof(f), quote(f), typeof(g), quote(g), typeof(h), quote(h) from t order by id";

async fn filled(servers: &Servers) -> Place {
    let place = servers.place(DatabaseKind::Sqlite).await;
    place.database.run(TABLES).await;
    place
}

#[tokio::test]
async fn values_keep_the_types_that_they_have_whatever_their_columns() {
    let servers = Servers::start().await;
    let source = filled(&servers).await;
    let want = source.database.rows(TYPES).await;
    for options in [&["--format", "XML"][..], &[]] {
        let file = source.export("t", options);
        let target = servers.place(DatabaseKind::Sqlite).await;
        target.import(&file, options).ok();
        let got = target.database.rows(TYPES).await;
        for (want, got) in want.iter().zip(&got) {
            assert_eq!(got, want, "{options:?}\n{file}");
        }
        assert_same(&file, &target.export("again", options), "again");
    }
}

#[tokio::test]
async fn floating_point_numbers_keep_every_bit() {
    let servers = Servers::start().await;
    let source = servers.place(DatabaseKind::Sqlite).await;
    source
        .database
        .run("create table t (id integer primary key, e double)")
        .await;
    let mut tx = source.database.begin().await.expect("transaction");
    let mut bits = 0x3fb9_9999_9999_999a_u64;
    let mut numbers = Vec::new();
    while numbers.len() < 3000 {
        bits = bits
            .wrapping_mul(0x5851_f42d_4c95_7f2d)
            .wrapping_add(0x1405_7b7e_f767_814f);
        let number = f64::from_bits(bits);
        if number.is_finite() {
            let id = i64::try_from(numbers.len()).expect("id");
            let params = [Param::Int(id), Param::Real(number)];
            tx.execute("insert into t values (?, ?)", &params)
                .await
                .expect("insert");
            numbers.push(number);
        }
    }
    tx.commit().await.expect("commit");
    let xml = source.export("t", &["--format", "XML"]);
    let target = servers.place(DatabaseKind::Sqlite).await;
    target.import(&xml, &["--format", "XML"]).ok();
    let rows = target
        .database
        .database()
        .query("select e from t order by id", &[])
        .await
        .expect("rows");
    let got: Vec<_> = rows.into_iter().map(|row| row.0[0].clone()).collect();
    let different = got
        .iter()
        .zip(&numbers)
        .filter(|(got, want)| **got != Cell::Real(**want))
        .count();
    assert_eq!(different, 0);
}

#[tokio::test]
async fn csv_refuses_what_it_can_not_say() {
    let servers = Servers::start().await;
    let source = filled(&servers).await;
    let error = source.site.dbexport(&["--format", "CSV", "t"]).error(1);
    assert!(
        error.contains("table t, column a: a value is not of the column's type"),
        "{error}"
    );
}
