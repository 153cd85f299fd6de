//! Rules, runbooks and dashboards against each other and against the code.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::expression::Exported;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &str, end: &str) -> Vec<(PathBuf, String)> {
    let mut files: Vec<_> = fs::read_dir(root().join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(end))
        .map(|path| (path.clone(), fs::read_to_string(&path).unwrap()))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{folder} has no {end}");
    files
}

/// One rule of a file, as far as these tests look.
struct Rule {
    /// `alert` or `record`.
    kind: &'static str,
    name: String,
    expr: String,
    runbook: Option<String>,
}

/// The rules are written in one plain way (a key at the beginning of a line), so a reader of lines is enough; promtool reads them as YAML.
fn rules() -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::new();
    for (_, text) in files("deploy/prometheus/rules", ".rules.yml") {
        let mut in_expr = false;
        for line in text.lines() {
            let words = line.trim_start();
            let new = ["alert", "record"]
                .into_iter()
                .find_map(|kind| Some((kind, words.strip_prefix("- ")?.strip_prefix(kind)?.strip_prefix(": ")?)));
            if let Some((kind, name)) = new {
                rules.push(Rule { kind, name: name.to_owned(), expr: String::new(), runbook: None });
                in_expr = false;
                continue;
            }
            let Some(rule) = rules.last_mut() else { continue };
            if let Some(expr) = words.strip_prefix("expr: ") {
                in_expr = true;
                rule.expr = expr.trim_start_matches('|').to_owned();
            } else if ["for: ", "labels: ", "annotations:", "- name: ", "#"].iter().any(|key| words.starts_with(key)) {
                in_expr = false;
            } else if let Some(page) = words.strip_prefix("runbook: ") {
                rule.runbook = Some(page.to_owned());
            } else if in_expr {
                rule.expr.push('\n');
                rule.expr.push_str(words);
            }
        }
    }
    assert!(rules.iter().all(|rule| !rule.expr.trim().is_empty()), "an expression was not found");
    rules
}

fn alerts() -> Vec<Rule> {
    rules().into_iter().filter(|rule| rule.kind == "alert").collect()
}

/// Every word of the text that is the name of an alert by its form.
fn named_alerts(text: &str) -> BTreeSet<String> {
    let words = text.split(|char: char| !char.is_ascii_alphanumeric());
    let is_alert = |word: &&str| {
        word.strip_prefix("Holdfast").is_some_and(|rest| rest.starts_with(|char: char| char.is_ascii_uppercase()))
    };
    words.filter(is_alert).map(str::to_owned).collect()
}

#[test]
fn rules_and_dashboards_use_only_what_the_program_exports() {
    let (exported, rules) = (Exported::read(root()), rules());
    let recorded: BTreeSet<String> =
        rules.iter().filter(|rule| rule.kind == "record").map(|rule| rule.name.clone()).collect();
    let mut mistakes = BTreeMap::new();
    for rule in &rules {
        mistakes.insert(rule.name.clone(), exported.mistakes(&rule.expr, &recorded));
    }
    for (path, text) in files("deploy/grafana", ".json") {
        let dashboard: serde_json::Value = serde_json::from_str(&text).unwrap();
        let panels = dashboard["panels"].as_array().unwrap();
        let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
        for expression in targets.map(|target| target["expr"].as_str().unwrap()) {
            let name = format!("{}: {expression}", path.file_name().unwrap().to_string_lossy());
            mistakes.insert(name, exported.mistakes(expression, &recorded));
        }
    }
    mistakes.retain(|_, found| !found.is_empty());
    assert!(mistakes.is_empty(), "{mistakes:#?}");
}

#[test]
fn every_alert_leads_to_a_page_that_names_it() {
    for Rule { name, runbook, .. } in alerts() {
        let page = runbook.unwrap_or_else(|| panic!("{name} has no runbook"));
        let text = fs::read_to_string(root().join(&page)).unwrap_or_else(|_| panic!("{name}: {page} is missing"));
        // An armed alert may be named as "the same with Sale".
        let twin = name.replacen("HoldfastSale", "Holdfast", 1);
        let names = named_alerts(&text);
        assert!(
            names.contains(&name) || (names.contains(&twin) && text.contains("the same with `Sale`")),
            "{page} does not name {name}"
        );
        for part in ["**Meaning.**", "**What to do.**"] {
            assert!(text.contains(part), "{page} has no {part}");
        }
    }
}

#[test]
fn every_page_is_led_to_and_names_only_alerts_there_are() {
    let alerts = alerts();
    let names: BTreeSet<&str> = alerts.iter().map(|rule| rule.name.as_str()).collect();
    let led: BTreeSet<&str> = alerts.iter().filter_map(|rule| rule.runbook.as_deref()).collect();
    let pages = files("docs/runbooks", ".md");
    let linked = |file: &str| {
        let link = format!("]({file})");
        let from_docs = format!("](runbooks/{file})");
        pages.iter().any(|(_, text)| text.contains(&link))
            || files("docs", ".md").iter().any(|(_, text)| text.contains(&from_docs))
    };
    for (path, text) in &pages {
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        let is_led = led.contains(format!("docs/runbooks/{file}").as_str());
        assert!(is_led || file == "README.md" || linked(&file), "nothing leads to docs/runbooks/{file}");
        for name in named_alerts(text) {
            assert!(names.contains(name.as_str()), "docs/runbooks/{file} names {name}, which is no alert");
        }
    }
}

#[test]
fn every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_is_quiet() {
    let mut cases: BTreeMap<String, (u32, u32)> = BTreeMap::new();
    for (_, text) in files("deploy/prometheus/tests", ".test.yml") {
        for case in text.split("alertname: ").skip(1) {
            let (fires, quiet) = cases.entry(case.lines().next().unwrap().to_owned()).or_default();
            if case.lines().nth(1).unwrap().contains("exp_alerts: []") { *quiet += 1 } else { *fires += 1 }
        }
    }
    for Rule { name, .. } in alerts() {
        let found = cases.remove(&name).unwrap_or_default();
        assert!(found.0 > 0 && found.1 > 0, "{name}: fires in {} cases, is quiet in {}", found.0, found.1);
    }
    assert!(cases.is_empty(), "cases of alerts that are not there: {cases:?}");
}
