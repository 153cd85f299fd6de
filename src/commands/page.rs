//! `page export`: the waiting page as a file, for whatever stands before the servers. Needs no server.

use std::path::{Path, PathBuf};

use clap::Subcommand;

use crate::failure::{Exit, Failure, remedy};
use crate::out;

/// The name that CDNs and file servers look for.
const FILE: &str = "index.html";

/// Commands about the page.
#[derive(Debug, Subcommand)]
pub(crate) enum Page {
    /// Write the static waiting page that a CDN shows while no server answers; it tries again by itself and keeps tickets
    Export {
        /// Where; made when absent
        dir: PathBuf,
    },
}

/// Runs the command.
pub(super) fn run(command: &Page, json: bool) -> Result<Exit, Failure> {
    let Page::Export { dir } = command;
    let (file, page) = (dir.join(FILE), ingress::waiting_page());
    write(dir, &file, &page)
        .map_err(|error| Failure::new(format!("waiting page {}", file.display()), &error, remedy(&error)))?;
    if json {
        out::line(serde_json::json!({ "file": file, "bytes": page.len() }))?;
    } else {
        out::line(file.display())?;
    }
    Ok(Exit::Done)
}

fn write(dir: &Path, file: &Path, page: &str) -> std::io::Result<()> {
    std::fs::create_dir_all(dir)?;
    std::fs::write(file, page)
}
