//! Several processes as one run: what each of them wrote is added up and judged together.

use std::path::PathBuf;

use crate::args::authority;
use crate::run::{Gathered, Raw, Sources, conclude};
use crate::threshold::Threshold;
use crate::{FAILED, USAGE, failed, tell};

/// What is merged, and how it is judged.
#[derive(Clone, Debug, Default)]
pub struct Merge {
    /// Files written by [`crate::Args::raw`].
    pub files: Vec<PathBuf>,
    /// See [`crate::Args::admin`].
    pub admin: Option<String>,
    /// See [`crate::Args::operator_key`].
    pub operator_key: Option<String>,
    /// What must come out of all together.
    pub thresholds: Vec<Threshold>,
    /// Print the report as one JSON object.
    pub json: bool,
    /// Write the report as one HTML file.
    pub html: Option<PathBuf>,
}

/// Why files make no run.
#[derive(Debug, thiserror::Error)]
enum NoRun {
    #[error("there is nothing to merge: name the files that --raw wrote")]
    Nothing,
    #[error("{0} cannot be read ({1}): name files that --raw wrote")]
    Unread(String, String),
    #[error("{0} is of another run than {1}: {2} differs")]
    Other(String, String, &'static str),
}

/// Adds up what several processes wrote, judges it as one run, and prints the report to `out`. Exit codes as of
/// [`crate::run`]; [`USAGE`] for files that make no run.
#[must_use]
pub fn merge(merge: &Merge, out: &mut dyn std::io::Write) -> u8 {
    let gathered = match read(&merge.files) {
        Ok(gathered) => gathered,
        Err(error) => {
            let _ = failed(&error);
            return USAGE;
        }
    };
    let admin = merge.admin.as_deref().map(authority).transpose();
    let sources = match (authority(&gathered.head.target), admin, gathered.head.sale.parse()) {
        (Ok(target), Ok(admin), Ok(sale)) => Sources { target, admin, operator_key: merge.operator_key.clone(), sale },
        (Err(error), ..) | (_, Err(error), _) => {
            let _ = failed(&error);
            return USAGE;
        }
        (.., Err(error)) => {
            let _ = failed(&error);
            return USAGE;
        }
    };
    match conclude(gathered, &sources) {
        Ok(outcome) => tell(&outcome, &merge.thresholds, merge.json, merge.html.as_deref(), out),
        Err(error) => {
            let _ = failed(&error);
            FAILED
        }
    }
}

fn read(files: &[PathBuf]) -> Result<Gathered, NoRun> {
    let mut sum: Option<(String, u64, Gathered)> = None;
    for path in files {
        let name = path.display().to_string();
        let unread = |why: String| NoRun::Unread(name.clone(), why);
        let text = std::fs::read(path).map_err(|error| unread(error.to_string()))?;
        let raw: Raw = serde_json::from_slice(&text).map_err(|error| unread(error.to_string()))?;
        if !raw.is_readable() {
            return Err(unread("it was written by another version".to_owned()));
        }
        let Some((first, column_s, all)) = &mut sum else {
            let column_s = raw.column_s();
            sum = Some((name, column_s, raw.gathered()));
            continue;
        };
        let (head, of_first) = (raw.head(), &all.head);
        let same = [
            ("the load", head.journey == of_first.journey),
            ("the sale", head.sale == of_first.sale),
            ("the item", head.item == of_first.item),
            ("the quantity", head.quantity == of_first.quantity),
            ("the length", raw.column_s() == *column_s),
        ];
        if let Some((what, _)) = same.into_iter().find(|(_, same)| !same) {
            return Err(NoRun::Other(name, first.clone(), what));
        }
        all.add(raw.gathered());
    }
    sum.map(|(_, _, gathered)| gathered).ok_or(NoRun::Nothing)
}
