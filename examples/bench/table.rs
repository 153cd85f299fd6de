//! The figures, for people and for programs.

use serde_json::{Map, Value, json};

#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<(String, f64, &'static str)>,
    notes: Map<String, Value>,
}

impl Table {
    pub(crate) fn row(&mut self, what: &str, value: f64, unit: &'static str) {
        eprintln!("{what}: {} {unit}", figure(value));
        self.rows.push((what.to_owned(), value, unit));
    }

    pub(crate) fn value(&self, what: &str) -> f64 {
        self.rows.iter().find(|row| row.0 == what).expect("a row of that name").1
    }

    /// Keeps a whole report for whoever wants to know more.
    pub(crate) fn note(&mut self, name: &str, report: Value) {
        self.notes.insert(name.to_owned(), report);
    }

    pub(crate) fn print(&self) {
        println!("| what | figure | unit |\n|---|---:|---|");
        for (what, value, unit) in &self.rows {
            println!("| {what} | {} | {unit} |", figure(*value));
        }
    }

    pub(crate) fn save(&self) {
        let rows: Vec<Value> =
            self.rows.iter().map(|(what, value, unit)| json!({"what": what, "value": value, "unit": unit})).collect();
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench.json");
        let text =
            serde_json::to_string_pretty(&json!({"rows": rows, "reports": self.notes})).expect("figures are JSON");
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("target/ can be made");
        std::fs::write(&file, text).expect("target/bench.json can be written");
    }
}

/// Three digits that mean something.
fn figure(value: f64) -> String {
    if value >= 100.0 {
        format!("{value:.0}")
    } else if value >= 1.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.3}")
    }
}
