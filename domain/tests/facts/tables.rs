use domain::table::{Mistake, Reader, nearest, parse_json, parse_toml};
use domain::time::{duration_text, parse_duration_ms};
use domain::{Millis, SaleId};
use proptest::prelude::*;

fn read(text: &str, read: impl FnOnce(&mut Reader<'_>)) -> Vec<String> {
    let table = parse_toml(text).unwrap();
    let mut mistakes = Vec::new();
    let mut reader = Reader::new(&table, &mut mistakes);
    read(&mut reader);
    reader.finish();
    mistakes.iter().map(Mistake::to_string).collect()
}

#[test]
fn good_values_are_read_and_leave_no_mistake() {
    let text = r#"
        port = 8080
        tls = false
        name = "box office"
        sale = "summer"
        format = "json"
        ttl = "5m"
        from = 2027-06-01T10:00:00+09:00
        proxies = ["a", "b"]
        [inner]
        units = 3
    "#;
    let mistakes = read(text, |t| {
        assert_eq!(t.number_u16("port", 1..=u16::MAX), Some(8080));
        assert_eq!(t.flag("tls"), Some(false));
        assert_eq!(t.text("name", 20).as_deref(), Some("box office"));
        assert_eq!(t.parsed::<SaleId>("sale").unwrap().as_str(), "summer");
        assert_eq!(t.choice("format", &["text", "json"]), Some("json"));
        assert_eq!(t.duration_ms("ttl", 1..=1_000_000), Some(300_000));
        assert_eq!(t.time("from"), Some(Millis(1_811_811_600_000)));
        assert_eq!(t.list::<SaleId>("proxies", 2).unwrap().len(), 2);
        assert_eq!(t.table("inner", |t| t.number("units", 1..=3)), Some(3));
        assert_eq!(t.number("absent", 0..=1), None);
    });
    assert_eq!(mistakes, Vec::<String>::new());
}

#[test]
fn every_wrong_value_is_said_with_key_value_and_range() {
    let text = r#"
        port = 70000
        tls = "yes"
        name = "a\nb"
        sale = "Summer"
        format = "xml"
        ttl = "5 m"
        from = "tomorrow"
        proxies = ["a", "B", 3]
        inner = 4
        many = []
    "#;
    let mistakes = read(text, |t| {
        t.number_u16("port", 1..=u16::MAX);
        t.flag("tls");
        t.text("name", 20);
        t.parsed::<SaleId>("sale");
        t.choice("format", &["text", "json"]);
        t.duration_ms("ttl", 1..=3_600_000);
        t.time("from");
        t.list::<SaleId>("proxies", 5);
        t.table("inner", |_| Some(()));
        t.tables("many", 3, |_| Some(()));
        let absent = t.number("absent", 1..=2);
        t.need("absent", absent);
    });
    assert_eq!(
        mistakes,
        [
            "port = 70000: must be 1 to 65535",
            "tls = \"yes\": must be true or false",
            "name = \"\"\"\\na\\nb\"\"\": must be text of 1 to 20 characters without control characters",
            "sale = \"Summer\": must be 1 to 63 characters of a-z, 0-9 and '-', not starting or ending with '-'",
            "format = \"xml\": must be one of text, json",
            "ttl = \"5 m\": must be a duration from \"1ms\" to \"1h\"",
            "from = \"tomorrow\": must be an RFC 3339 time with offset, such as \"2027-06-01T10:00:00+09:00\"",
            "proxies[1] = \"B\": must be 1 to 63 characters of a-z, 0-9 and '-', not starting or ending with '-'",
            "proxies[2] = 3: must be text",
            "inner = 4: must be a table",
            "many = 0 tables: must be a list of 1 to 3 tables",
            "absent: is missing",
        ]
    );
}

#[test]
fn an_unknown_key_is_said_with_the_nearest_name() {
    let mistakes = read("lsten = 1\nzzz = 2\n[inner]\nunit = 1\nlisten = 3", |t| {
        t.number("listen", 0..=9);
        t.table("inner", |t| t.number("units", 0..=9));
    });
    assert_eq!(
        mistakes,
        [
            "inner.listen = 3: unknown key, there is units",
            "inner.unit = 1: unknown key, did you mean \"units\"?",
            "lsten = 1: unknown key, did you mean \"listen\"?",
            "zzz = 2: unknown key, there is listen, inner",
        ]
    );
    assert_eq!(nearest("redis_url", &["redis.url", "ledger"]), Some("redis.url"));
    assert_eq!(nearest("anything", &[]), None);
}

#[test]
fn a_place_that_is_no_toml_or_json_is_named() {
    let mistake = parse_toml("a = 1\nb = = 2").unwrap_err();
    assert!(mistake.to_string().starts_with("line 2, column 5: not TOML: "), "{mistake}");
    assert_eq!(parse_json("{\"a\": }").unwrap_err().to_string(), "line 1, column 7: not JSON");
    assert_eq!(parse_json("[]").unwrap_err().to_string(), "[]: must be a JSON object");
    assert!(parse_json("{\"a\": null}").unwrap().is_empty());
}

#[test]
fn mistakes_are_bounded_in_number_and_length() {
    let text: String = (0..500).map(|n| format!("x{n} = \"{}\"\n", "y".repeat(500))).collect();
    let mistakes = read(&text, |_| {});
    assert_eq!(mistakes.len(), domain::limits::MAX_MISTAKES);
    assert!(mistakes.iter().all(|mistake| mistake.len() < 120), "{}", mistakes[0]);
}

#[test]
fn durations_have_one_number_and_one_unit() {
    for (text, ms) in
        [("500ms", 500), ("60s", 60_000), ("5m", 300_000), ("1h", 3_600_000), ("2d", 172_800_000), ("0s", 0)]
    {
        assert_eq!(parse_duration_ms(text), Some(ms), "{text}");
    }
    for bad in ["", "5", "m", "5 m", "-5m", "5M", "1.5h", "1h30m", "99999999999999999999s", "999999999999999999d"] {
        assert_eq!(parse_duration_ms(bad), None, "{bad}");
    }
    assert_eq!(duration_text(60_000), "1m");
    assert_eq!(duration_text(90_000), "90s");
}

#[test]
fn times_are_utc_with_milliseconds() {
    let at = Millis::parse_rfc3339("2027-06-01T10:00:00+09:00").unwrap();
    assert_eq!(at.to_string(), "2027-06-01T01:00:00.000Z");
    assert!(Millis::parse_rfc3339("2027-06-01T10:00:00").is_err());
    assert!(Millis::parse_rfc3339("1969-12-31T23:59:59Z").is_err());
    assert_eq!(Millis(u64::MAX).to_string(), "9999-12-31T23:59:59.999Z");
    assert_eq!(Millis(u64::MAX).plus(1), Millis(u64::MAX));
    assert_eq!(Millis(1).since(Millis(2)), 0);
}

proptest! {
    #[test]
    fn every_duration_reads_back(ms: u64) {
        prop_assert_eq!(parse_duration_ms(&duration_text(ms)), Some(ms));
    }

    #[test]
    fn every_time_reads_back(ms in 0_u64..253_402_207_200_000) {
        prop_assert_eq!(Millis::parse_rfc3339(&Millis(ms).to_string()), Ok(Millis(ms)));
    }
}
