//! The machine, as it says of itself, and what lies in the data directory.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::failure::{Failure, remedy};

/// What is read of the system.
const FILES: [&str; 10] = [
    "/etc/os-release",
    "/proc/version",
    "/proc/uptime",
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/self/limits",
    "/proc/sys/net/core/somaxconn",
    "/proc/sys/vm/overcommit_memory",
    "/proc/sys/fs/file-nr",
    "/sys/kernel/mm/transparent_hugepage/enabled",
];
/// Files of the data directory that are listed.
const MAX_FILES: usize = 500;

/// All of it.
pub(super) fn text() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let mut text = format!("{cores} cores\n");
    for path in FILES {
        let body = std::fs::read_to_string(path).unwrap_or_else(|error| format!("left out: {error}"));
        // Writing to text cannot fail.
        let _ = writeln!(text, "-- {path}\n{}", body.trim_end());
    }
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let mut names: Vec<String> = names.filter(|name| name.starts_with("HOLDFAST_")).collect();
    names.sort();
    let _ = writeln!(text, "-- variables that are set (without their values)\n{}", names.join("\n"));
    text
}

/// Mode, size and name of every file below the directory.
pub(super) fn listing(root: &Path) -> Result<String, Failure> {
    let (mut text, mut folders, mut count) = (String::new(), vec![root.to_owned()], 0);
    while let Some(folder) = folders.pop() {
        let failed = |error: std::io::Error| {
            Failure::new(format!("data directory {}", folder.display()), &error, remedy(&error))
        };
        for entry in std::fs::read_dir(&folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            // One that goes meanwhile is nobody to ask.
            let Ok(meta) = std::fs::symlink_metadata(&path) else { continue };
            count += 1;
            if count > MAX_FILES {
                text.push_str("and more\n");
                return Ok(text);
            }
            let name = path.strip_prefix(root).unwrap_or(&path).display();
            let _ = writeln!(text, "{:o} {:>12} {name}", meta.permissions().mode() & 0o7777, meta.len());
            if meta.is_dir() {
                folders.push(path);
            }
        }
    }
    Ok(text)
}
