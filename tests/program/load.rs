//! The load harness against the real program: shipped scenarios find nothing, and what is planted in the program is found.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::process::{Dev, beside, dev, holdfast, run};

/// Writes a file and says where it is.
fn file(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// A program of its own with one sale, and perhaps a bug.
struct Place {
    folder: tempfile::TempDir,
    data: PathBuf,
    dev: Dev,
}

impl Place {
    fn start(sale: &str, bug: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("d");
        let sale = file(folder.path(), "sale.toml", sale);
        let mut command = dev(&data);
        command.args(["--no-demo", "--sale", &sale]);
        command.envs(bug.map(|bug| ("PLANTED_BUG", bug)));
        let dev = Dev::of(command, &data);
        assert_eq!(dev.banner["planted"].as_str(), bug, "the program must say what is planted in it");
        Self { folder, data, dev }
    }

    /// Exit code and report of a run of this load.
    fn load(&self, load: &str, flags: &[&str]) -> (i32, Value) {
        let words = [&["load", load, "--sale", "small", "--json"], flags].concat();
        let (code, out, err) = beside(&self.data, &words);
        (code, serde_json::from_str(&out).unwrap_or_else(|_| panic!("{code}: {out}{err}; log: {}", self.dev.log())))
    }
}

const BOX_OFFICE: &str = "id = \"small\"\nadmission = \"none\"\nlimits = { units_per_visitor = 2 }\nitems = [{ id = \"seat\", units = 40 }]\n";

fn room(pace: u32) -> String {
    format!(
        "id = \"small\"\nadmission = {{ pace_per_minute = {pace}, active_passes = 2000 }}\nlimits = {{ units_per_visitor = 2 }}\n\
         items = [{{ id = \"seat\", units = 100000 }}]\n"
    )
}

#[test]
fn a_flash_sale_is_sold_with_a_good_verdict_and_a_page() {
    let place = Place::start(&room(600_000), None);
    let html = place.folder.path().join("report.html");
    let load =
        file(place.folder.path(), "flash.toml", &shipped("flash-sale").replace("visitors = 5000", "visitors = 150"));
    let flags = ["--duration", "10s", "--finish-within", "20s", "--rate", "40", "--html", html.to_str().unwrap()];
    let (code, report) = place.load(&load, &flags);
    assert_eq!(code, 0, "{report}");
    assert!(
        report["bookings"].as_u64().unwrap() + report["journeys"]["walked_away"].as_u64().unwrap() > 20,
        "{report}"
    );
    assert_eq!(
        (&report["not_checked"], &report["found"]),
        (&serde_json::json!([]), &serde_json::json!({})),
        "{report}"
    );
    let page = std::fs::read_to_string(html).unwrap();
    assert!(page.contains("What the server says") && page.contains("Latency of confirm"), "{page}");
    place.dev.end();
}

fn shipped(name: &str) -> String {
    let (code, out, err) = run(holdfast().args(["load", "scenarios", name]));
    assert_eq!(code, 0, "{err}");
    out
}

#[test]
fn abuse_gets_nobody_anything() {
    let place = Place::start(&room(600_000), None);
    let (code, report) = place.load("abuse", &["--duration", "3s", "--finish-within", "20s"]);
    assert_eq!(code, 0, "{report}");
    let refused = &report["calls"]["abuse"]["problems"];
    assert!(
        refused["unauthenticated"].is_u64() && refused["forbidden"].is_u64() && refused["key-reused"].is_u64(),
        "{report}"
    );
    assert!(report["calls"]["hold"]["problems"]["limit-reached"].is_u64(), "{report}");
    place.dev.end();
}

/// The names of what the oracle found; the exit code says the same.
fn found((code, report): (i32, Value)) -> Vec<String> {
    let names: Vec<String> = report["found"].as_object().unwrap().keys().cloned().collect();
    assert_eq!((code == 4, code), (!names.is_empty(), if names.is_empty() { 0 } else { 4 }), "{report}");
    names
}

const DODGE: &str = "name = \"dodge\"\nclosed = { visitors = 2 }\n[[scenarios]]\nname = \"dodger\"\n\
                     transactions = [{ do = \"dodge-limit\" }]\n";

#[test]
fn a_hold_script_that_forgets_the_limit_is_found() {
    let few = ["--count", "4", "--duration", "20s"];
    for (bug, names) in [(None, vec![]), (Some("no-limit"), vec!["over-limit"])] {
        let place = Place::start(BOX_OFFICE, bug);
        let load = file(place.folder.path(), "dodge.toml", DODGE);
        assert_eq!(found(place.load(&load, &few)), names, "{bug:?}");
        place.dev.end();
    }
}

#[test]
fn a_settle_that_runs_twice_is_found() {
    let place = Place::start(BOX_OFFICE, Some("settle-twice"));
    let names = found(place.load("book", &["--visitors", "4", "--count", "200", "--duration", "20s"]));
    let signs = ["sold-out-but-free", "limit-too-early", "audit"];
    assert!(names.iter().any(|name| signs.contains(&name.as_str())), "{names:?}");
}

#[test]
fn a_frontier_that_jumps_is_found() {
    let join = "name = \"joiners\"\nclosed = { visitors = 60 }\n[[scenarios]]\nname = \"joiner\"\n\
                transactions = [{ do = \"join\" }, { do = \"wait\" }]\n";
    for (bug, names) in [(None, vec![]), (Some("frontier-jumps"), vec!["called-over-pace"])] {
        let place = Place::start(&room(600), bug);
        let load = file(place.folder.path(), "join.toml", join);
        assert_eq!(found(place.load(&load, &["--count", "60", "--duration", "20s"])), names, "{bug:?}");
        place.dev.end();
    }
}

#[test]
fn mistakes_of_a_file_are_told_together_and_an_unknown_name_with_those_there_are() {
    let folder = tempfile::tempdir().unwrap();
    let bad =
        file(folder.path(), "bad.toml", "name = \"x\"\nduration = \"soon\"\nclosed = { visitors = 0 }\nscenario = 1\n");
    let (code, out, err) = run(holdfast().args(["load", &bad]));
    assert_eq!((code, out.as_str()), (2, ""), "{err}");
    for part in
        ["duration = \"soon\": must be a duration", "closed.visitors = 0: must be 1 to", "did you mean \"scenarios\"?"]
    {
        assert!(err.contains(part), "{err}\nshould say {part}");
    }
    let (code, _, err) = run(holdfast().args(["load", "flush-sale"]));
    assert!(code == 2 && err.contains("flash-sale") && err.contains("journey"), "{err}");
    let (code, _, err) = run(holdfast().args(["load", "book", "--threshold", "confirm.p98 < 5ms"]));
    assert!(code == 2 && err.contains(".p99"), "{err}");
}

#[test]
fn two_reports_are_compared() {
    let folder = tempfile::tempdir().unwrap();
    let report = |name: &str, p99: f64| {
        let text = serde_json::json!({"calls": {"confirm": {"accepted": 9, "ms": {"p99": p99}}}}).to_string();
        file(folder.path(), name, &text)
    };
    let (before, after) = (report("a.json", 10.0), report("b.json", 20.0));
    let (code, out, _) = run(holdfast().args(["load", "compare", &before, &after, "--within", "50%"]));
    assert!(code == 3 && out.contains("WORSE     confirm p99 by 100 %"), "{out}");
    assert_eq!(run(holdfast().args(["load", "compare", &after, &before, "--within", "50%"])).0, 0);
}
