//! Random tables and rows, from any database to any.

use super::shop::assert_same;
use super::{KINDS, Place, Servers};
use std::fmt::Write;
use symstream_shared::db::Param;

/// How many seeds are tried.
const SEEDS: u64 = 6;

/// A generator that is the same everywhere: <https://prng.di.unimi.it/splitmix64.c>
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let bound = u64::try_from(bound).expect("bound");
        usize::try_from((mixed ^ (mixed >> 31)) % bound).expect("small")
    }

    fn one_in(&mut self, bound: usize) -> bool {
        self.below(bound) == 0
    }

    fn pick<'t, T>(&mut self, from: &'t [T]) -> &'t T {
        &from[self.below(from.len())]
    }
}

/// A type with its size, and values of it as the databases write them.
const TYPES: [(&str, &[&str]); 10] = [
    ("type=\"SMALLINT\"", &["0", "-32768", "7"]),
    ("type=\"INTEGER\"", &["2147483647", "-1", "42"]),
    (
        "type=\"BIGINT\"",
        &["9223372036854775807", "-9223372036854775808", "1"],
    ),
    ("type=\"DECIMAL\" size=\"9,2\"", &["0.25", "-1234567.5", "12.75"]),
    ("type=\"DOUBLE\"", &["0.1", "1e300", "-2.5"]),
    (
        "type=\"VARCHAR\" size=\"40\"",
        &["", " ", "it's", "a\\b", "<&>", "\"q\"", "ü😀", "x\r\ny", "\u{2}"],
    ),
    ("type=\"LONGVARCHAR\"", &["", "null", "line\nline", "]]>", "\t"]),
    ("type=\"DATE\"", &["2024-02-29", "1970-01-01"]),
    ("type=\"TIME\"", &["00:00:00", "23:59:59.25"]),
    (
        "type=\"TIMESTAMP\"",
        &["2024-02-29 12:00:00", "1999-12-31 23:59:59.5"],
    ),
];

const WORDS: [&str; 12] = [
    "order",
    "Group",
    "a b",
    "x\"y",
    "ü",
    "select",
    "Table",
    "back`tick",
    "c",
    "d",
    "per%cent",
    "semi;colon",
];

struct Made {
    xml: String,
    /// For each table: its name, its columns and how many of the types are texts.
    tables: Vec<(String, Vec<(String, usize)>)>,
}

fn attribute(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('"', "&quot;")
        .replace('<', "&lt;")
}

fn tables(random: &mut Random) -> Made {
    let mut made = Made {
        xml: "<database>".to_owned(),
        tables: Vec::new(),
    };
    let count = 1 + random.below(4);
    for number in 0..count {
        let name = format!("{}{number}", random.pick(&WORDS));
        let mut columns = Vec::new();
        let quoted = attribute(&name);
        let _infallible = write!(
            made.xml,
            "<table name=\"{quoted}\"><column name=\"id\" type=\"INTEGER\" primaryKey=\"true\"{}/>",
            if random.one_in(2) {
                " autoIncrement=\"true\""
            } else {
                ""
            }
        );
        for column in 0..1 + random.below(6) {
            let name = format!("{}{column}", random.pick(&WORDS));
            let kind = random.below(TYPES.len());
            let value = TYPES[kind].1[0];
            let default = match random.one_in(3) && kind != 4 {
                true => format!(" default=\"{}\"", attribute(value)),
                false => String::new(),
            };
            let _infallible = write!(
                made.xml,
                "<column name=\"{}\" {}{default}/>",
                attribute(&name),
                TYPES[kind].0
            );
            columns.push((name, kind));
        }
        // Any table may refer to any, itself and later ones too.
        for key in 0..random.below(3) {
            let _infallible = write!(made.xml, "<column name=\"ref{key}\" type=\"INTEGER\"/>");
        }
        let other = random.below(count);
        if random.one_in(2) && made.xml.ends_with("\"INTEGER\"/>") && made.xml.contains("ref0") {
            made.tables.push((name.clone(), columns.clone()));
            let _infallible = write!(made.xml, "@{other}@{number}@");
        } else {
            made.tables.push((name.clone(), columns.clone()));
        }
        if let Some((column, _)) = columns.iter().find(|(_, kind)| *kind < 3) {
            let column = attribute(column);
            let _infallible = write!(
                made.xml,
                "<index name=\"idx{number}\"><index-column name=\"{column}\"/><index-column name=\"id\"/></index>"
            );
        }
        made.xml.push_str("</table>");
    }
    made.xml.push_str("</database>");
    // References are written when all names are known.
    for other in 0..count {
        for number in 0..count {
            let has_column = made
                .xml
                .split("<table ")
                .nth(number + 1)
                .is_some_and(|table| table.contains("name=\"ref0\""));
            let key = match has_column {
                true => format!(
                    "<foreign-key name=\"fk{number}\" foreignTable=\"{}\"><reference local=\"ref0\" foreign=\"id\"/></foreign-key>",
                    attribute(&made.tables[other].0)
                ),
                false => String::new(),
            };
            made.xml = made.xml.replace(&format!("@{other}@{number}@"), &key);
        }
    }
    made
}

async fn fill(place: &Place, made: &Made, random: &mut Random) {
    let kind = place.database.kind();
    for (table, columns) in &made.tables {
        for id in 0..random.below(40) {
            let mut names = vec!["id".to_owned()];
            let mut literals = vec![(id * 3 + 1).to_string()];
            for (name, kind_of_column) in columns {
                if random.one_in(4) {
                    continue;
                }
                names.push(kind.quote(name));
                let value = random.pick(TYPES[*kind_of_column].1);
                literals.push(kind.literal(value));
            }
            let insert = format!(
                "insert into {} ({}) values ({})",
                kind.quote(table),
                names.join(", "),
                literals.join(", ")
            );
            place.database.run(&insert).await;
        }
    }
    // References to rows that are there, in any direction.
    for (number, (table, _)) in made.tables.iter().enumerate() {
        let Some(key) = made
            .xml
            .split(&format!("name=\"fk{number}\" foreignTable=\""))
            .nth(1)
        else {
            continue;
        };
        let other = made
            .tables
            .iter()
            .find(|(name, _)| key.starts_with(&format!("{}\"", attribute(name))))
            .expect("the table");
        let ids = place
            .database
            .rows(&format!("select id from {} order by id", kind.quote(&other.0)))
            .await;
        if ids.is_empty() {
            continue;
        }
        for row in place
            .database
            .rows(&format!("select id from {}", kind.quote(table)))
            .await
        {
            let id = random.pick(&ids)[0].parse::<i64>().expect("id");
            let own = row[0].parse::<i64>().expect("id");
            let update = format!("update {} set ref0 = ? where id = ?", kind.quote(table));
            place
                .database
                .database()
                .execute(&update, &[Param::Int(id), Param::Int(own)])
                .await
                .expect("refer");
        }
    }
}

#[tokio::test]
async fn random_tables_and_rows_come_back_from_any_database_to_any() {
    let first = std::env::var("SYM_TEST_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seeds = first.map_or(1..=SEEDS, |seed: u64| seed..=seed);
    let servers = Servers::start().await;
    for seed in seeds {
        let mut random = Random(seed);
        let made = tables(&mut random);
        let from = *random.pick(&KINDS);
        println!("seed {seed} from {from}: {}", made.xml);
        let source = servers.place(from).await;
        source.import(&made.xml, &["--format", "XML"]).ok();
        fill(&source, &made, &mut random).await;
        let xml = source.export("all.xml", &["--format", "XML"]);
        for to in KINDS {
            let whence = format!("SYM_TEST_SEED={seed}: {from} to {to}");
            let by_xml = servers.place(to).await;
            by_xml.import(&xml, &["--format", "XML"]).ok();
            assert_same(&xml, &by_xml.export("again.xml", &["--format", "XML"]), &whence);
            let by_script = servers.place(to).await;
            let dialect = to.product().to_lowercase();
            by_script
                .import(&source.export("all.sql", &["--compatible", &dialect]), &[])
                .ok();
            assert_same(
                &xml,
                &by_script.export("again.xml", &["--format", "XML"]),
                &format!("{whence} by SQL"),
            );
        }
    }
}
