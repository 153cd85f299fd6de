//! `support bundle`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::config::Loaded;
use crate::failure::{Exit, Failure, remedy};
use crate::out::{self, Out};
use crate::{files, stores, support};

#[derive(Debug, Subcommand)]
pub(crate) enum Support {
    /// Write what an installation is and how it is doing into one text, without keys, passwords or visitors
    Bundle(Bundle),
}

#[derive(Debug, Args)]
pub(crate) struct Bundle {
    /// Where [default: stdout]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Take the end of this log along (may be repeated)
    #[arg(long = "log", value_name = "FILE")]
    logs: Vec<PathBuf>,
}

/// Runs the command.
pub(super) fn run(loaded: Loaded, command: &Support) -> Result<Exit, Failure> {
    let Support::Bundle(Bundle { output, logs }) = command;
    let shown = loaded.shown();
    let config = loaded.config()?;
    let text = stores::block_on(support::bundle(&config, &shown, logs))?;
    match output {
        None => {
            let mut out = Out::new();
            out.text(&text)?;
            out.done()?;
        }
        Some(path) => {
            files::write_atomically(path, &text, 0o600)
                .map_err(|error| Failure::new(format!("file {}", path.display()), &error, remedy(&error)))?;
            out::line(path.display())?;
            out::say(
                "read it before you send it: it names hosts, sales and settings, and should have nothing secret in it",
            );
        }
    }
    Ok(Exit::Done)
}
