use super::*;
use proptest::prelude::*;

fn column(logical: LogicalType) -> ColumnDef {
    ColumnDef {
        name: "c".into(),
        type_name: "t".into(),
        sql_type: "t".into(),
        logical,
        nullable: true,
        length: None,
        precision: None,
        scale: None,
        unsigned: false,
        generated: false,
        identity_always: false,
        auto_increment: false,
    }
}

fn text(source: LogicalType, text: &str, column: &ColumnDef) -> Result<String, String> {
    match fit(source, &Cell::Text(text.into()), column) {
        Ok(Cell::Text(text)) => Ok(text),
        Ok(other) => panic!("{other:?}"),
        Err(unfit) => Err(unfit.to_string()),
    }
}

use LogicalType as L;

#[test]
fn a_decimal_is_neither_rounded_nor_cut() {
    let money = ColumnDef {
        precision: Some(6),
        scale: Some(2),
        ..column(L::Decimal)
    };
    for (value, want) in [
        ("1.20", Some("1.20")),
        ("1.200", Some("1.200")),
        ("-9999.99", Some("-9999.99")),
        ("1e2", Some("100")),
        ("1.205", None),
        ("10000", None),
        ("abc", None),
    ] {
        assert_eq!(text(L::Decimal, value, &money).ok().as_deref(), want, "{value}");
    }
    let hundreds = ColumnDef {
        precision: Some(3),
        scale: Some(-2),
        ..column(L::Decimal)
    };
    assert!(text(L::Int, "12300", &hundreds).is_ok());
    assert!(text(L::Int, "12310", &hundreds).is_err());
}

#[test]
fn a_floating_point_number_keeps_its_last_bit() {
    let (double, single) = (column(L::Float64), column(L::Float32));
    assert_eq!(text(L::Float64, "0.1", &single).as_deref(), Ok("0.1"));
    assert_eq!(text(L::Float64, "0.10000000000000002", &single).ok(), None);
    assert_eq!(
        text(L::Float64, "0.10000000149011612", &single).as_deref(),
        Ok("0.10000000149011612")
    );
    assert_eq!(text(L::Float32, "0.1", &double).as_deref(), Ok("0.1"));
    assert_eq!(text(L::Decimal, "0.1", &double).as_deref(), Ok("0.1"));
    assert_eq!(text(L::Int, "9007199254740993", &double).ok(), None);
    assert_eq!(
        text(L::Int, "1152921504606846976", &double).as_deref(),
        Ok("1152921504606846976")
    );
    assert_eq!(text(L::Decimal, "1.00000000000000000001", &double).ok(), None);
    assert_eq!(text(L::Float64, "NaN", &single).as_deref(), Ok("NaN"));
    assert_eq!(
        fit(L::Any, &Cell::Real(f64::INFINITY), &double),
        Ok(Cell::Text("Infinity".into()))
    );
    assert_eq!(
        fit(L::Any, &Cell::Real(1e300), &double),
        Ok(Cell::Text("1e300".into()))
    );
}

#[test]
fn an_integer_column_takes_whole_numbers_only() {
    let int = column(L::Int);
    for (source, value, want) in [
        (L::Int, "-5", Some("-5")),
        (L::Decimal, "5.00", Some("5")),
        (L::Bool, "1", Some("1")),
        (L::Bits, "0101", Some("5")),
        (L::Float64, "1e3", Some("1000")),
        (L::Decimal, "5.5", None),
        (L::Text, "five", None),
        (L::Text, "", None),
        (L::Text, "-", None),
    ] {
        assert_eq!(text(source, value, &int).ok().as_deref(), want, "{value}");
    }
}

#[test]
fn a_text_that_is_too_long_is_refused_even_if_only_blanks_are_cut() {
    let varchar = ColumnDef {
        length: Some(3),
        type_name: "varchar".into(),
        ..column(L::Text)
    };
    assert_eq!(text(L::Text, "äöü", &varchar).as_deref(), Ok("äöü"));
    assert_eq!(
        text(L::Text, "abc ", &varchar),
        Err("a text is longer than the column's 3 characters".into())
    );
    let char = ColumnDef {
        type_name: "bpchar".into(),
        ..varchar
    };
    assert_eq!(text(L::Text, "abc ", &char).as_deref(), Ok("abc"));
}

#[test]
fn times_keep_their_fraction_and_their_zone() {
    let seconds = ColumnDef {
        precision: Some(0),
        ..column(L::Timestamp)
    };
    assert_eq!(
        text(L::Timestamp, "2024-02-29 12:00:00.500000", &seconds),
        Err("a time has more than the column's 0 digits behind the second".into())
    );
    assert_eq!(
        text(L::Timestamp, "2024-02-29 12:00:00.000", &seconds).as_deref(),
        Ok("2024-02-29 12:00:00.000")
    );
    let (plain, zoned) = (column(L::Timestamp), column(L::TimestampTz));
    assert_eq!(
        text(L::TimestampTz, "0044-03-15 12:00:00+00 BC", &plain).as_deref(),
        Ok("0044-03-15 12:00:00 BC")
    );
    assert_eq!(
        text(L::Timestamp, "2024-02-29 12:00:00", &zoned).as_deref(),
        Ok("2024-02-29 12:00:00+00")
    );
    assert_eq!(
        text(L::Text, "2024-02-29T12:00:00Z", &plain).as_deref(),
        Ok("2024-02-29 12:00:00")
    );
    assert!(text(L::Text, "2024-02-29 12:00:00+02", &plain).is_err());
    assert_eq!(
        text(L::Date, "2024-02-29", &plain).as_deref(),
        Ok("2024-02-29 00:00:00")
    );
    assert_eq!(text(L::Timestamp, "infinity", &zoned).as_deref(), Ok("infinity"));
    assert_eq!(
        text(L::Timestamp, "2024-02-29 00:00:00", &column(L::Date)).as_deref(),
        Ok("2024-02-29")
    );
    assert!(text(L::Timestamp, "2024-02-29 00:00:01", &column(L::Date)).is_err());
    assert!(text(L::Text, "tomorrow", &column(L::Date)).is_err());
    assert_eq!(
        text(L::Time, "-838:59:59", &column(L::Time)).as_deref(),
        Ok("-838:59:59")
    );
    assert_eq!(
        text(L::TimeTz, "12:00:00+05:30", &column(L::TimeTz)).as_deref(),
        Ok("12:00:00+05:30")
    );
    assert!(
        has_zero_date("0000-00-00 00:00:00") && has_zero_date("2024-02-00") && !has_zero_date("2024-02-10")
    );
    assert!(is_within_a_day("24:00:00") && !is_within_a_day("25:00:00") && !is_within_a_day("-01:00:00"));
}

#[test]
fn kinds_that_do_not_belong_together_are_named() {
    assert_eq!(
        fit(L::Bytes, &Cell::Bytes(vec![1]), &column(L::Text)).map_err(|unfit| unfit.to_string()),
        Err("a value of type bytes is no text".into())
    );
    assert!(text(L::Text, "a", &column(L::Bytes)).is_err());
    assert_eq!(text(L::Text, "TRUE", &column(L::Bool)).as_deref(), Ok("1"));
    assert!(text(L::Int, "2", &column(L::Bool)).is_err());
    assert_eq!(
        fit(L::Any, &Cell::Int(5), &column(L::Bits)),
        Ok(Cell::Text("101".into()))
    );
    assert_eq!(fit(L::Text, &Cell::Null, &column(L::Bytes)), Ok(Cell::Null));
}

proptest! {
    #[test]
    fn every_double_comes_back(bits in any::<u64>()) {
        let number = f64::from_bits(bits);
        prop_assume!(number.is_finite());
        let back: f64 = float_text(number).parse().expect("a number");
        prop_assert_eq!(back.to_bits(), bits);
        prop_assert!(Number::parse(&float_text(number)).is_some());
    }

    #[test]
    fn a_number_is_the_same_without_its_exponent(whole in any::<i64>(), exponent in -30_i64..30) {
        let number = Number::parse(&format!("{whole}e{exponent}")).expect("a number");
        prop_assert_eq!(Number::parse(&number.plain()), Some(number));
    }

    #[test]
    fn outside_text_never_panics(value in ".*") {
        for logical in [L::Bool, L::Int, L::Decimal, L::Float32, L::Float64, L::Bits, L::Date, L::Time, L::TimeTz,
            L::Timestamp, L::TimestampTz]
        {
            drop(text(L::Text, &value, &column(logical)));
        }
    }
}
