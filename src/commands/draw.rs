//! `draw verify`: a visitor's place, recomputed from what is published and what the visitor has. Needs no server.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use admission::draw::{Checked, Digest, Held, Noted, Published};
use clap::Subcommand;
use serde::de::DeserializeOwned;

use crate::failure::{Exit, Failure};
use crate::out::{self, Out};

/// Bytes of a file that is read: a proof of a lobby of millions has 2 KiB.
const MAX_FILE_BYTES: u64 = 64 << 10;

/// Commands about the draw of a lobby.
#[derive(Debug, Subcommand)]
pub(crate) enum Draw {
    /// Compute a place anew, and check everything it depends on (docs/draw.md)
    Verify {
        /// The published draw
        draw: PathBuf,
        /// Your receipt and its proof
        receipt: PathBuf,
        /// The commitment, as you noted it down before the sale opened
        #[arg(long, value_name = "HEX")]
        commitment: Option<Digest>,
        /// The root, as you noted it down before the seed was revealed
        #[arg(long, value_name = "HEX")]
        root: Option<Digest>,
    },
}

/// Runs the command.
pub(super) fn run(command: &Draw, json: bool) -> Result<Exit, Failure> {
    let Draw::Verify { draw, receipt, commitment, root } = command;
    let published: Published = read(draw, "the published draw")?;
    let held: Held = read(receipt, "the receipt")?;
    let noted = Noted { commitment: *commitment, root: *root };
    let checked = published.check(&held, &noted).map_err(|error| {
        Failure::new(
            format!("{} with {}", draw.display(), receipt.display()),
            error,
            "download both again, for the same sale",
        )
    })?;
    if json {
        print_json(&checked)?
    } else {
        print(&checked)?
    }
    Ok(if checked.ok() { Exit::Done } else { Exit::Found })
}

fn print_json(checked: &Checked) -> Result<(), Failure> {
    out::line(serde_json::json!({
        "ok": checked.ok(), "place": checked.place, "count": checked.count, "index": checked.index, "checks": checked.checks,
    }))
}

fn print(checked: &Checked) -> Result<(), Failure> {
    let mut out = Out::new();
    out.line(format_args!("place {} of {}", checked.place, checked.count))?;
    for check in &checked.checks {
        let word = if check.ok { "ok    " } else { "FAILED" };
        out.line(format_args!("{word} {}: {}", check.check, check.found))?;
    }
    out.done()
}

fn read<T: DeserializeOwned>(path: &Path, what: &str) -> Result<T, Failure> {
    let file = path.display();
    let failure = |why: String, fix: &str| Failure::new(format!("{what} {file}"), why, fix);
    let mut text = String::new();
    let opened = std::fs::File::open(path).map_err(|error| failure(error.to_string(), "give the path of a file"))?;
    opened
        .take(MAX_FILE_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(|error| failure(error.to_string(), "download it again"))?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(failure(format!("has more than {MAX_FILE_BYTES} bytes"), "it is another file"));
    }
    serde_json::from_str(&text).map_err(|error| failure(error.to_string(), "docs/draw.md shows what it must look like"))
}
