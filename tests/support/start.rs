//! The one way in which tests and benchmarks start the program: `dev` on free ports, told by its banner.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long a start may take. Generous: the machine may build something beside the test.
const START: Duration = Duration::from_secs(30);

/// `dev` on free ports and this directory, not started.
pub(crate) fn dev(program: Command, data: &Path) -> Command {
    on_free_ports("dev", program, data)
}

/// `dev` or `serve` in this way.
pub(crate) fn on_free_ports(command: &str, mut program: Command, data: &Path) -> Command {
    program.args([command, "--json", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--data"]).arg(data);
    program.stdin(Stdio::null());
    program
}

/// Starts what prints a banner (`dev` or `serve`), adds its talk to `log`, and returns it with its banner once it serves.
pub(crate) fn serving(mut command: Command, log: &Path) -> (Child, Value) {
    let begun = Instant::now();
    let talk = File::options().create(true).append(true).open(log).expect("a log file");
    let mut child = command.stdout(Stdio::piped()).stderr(talk).spawn().expect("the program is built");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
    let banner: Value = serde_json::from_str(&line).unwrap_or_else(|_| {
        let _ = child.kill();
        let _ = child.wait();
        panic!("no banner but {line:?}; log: {}", tail(log))
    });
    assert!(banner["ready"] == true && begun.elapsed() < START, "{banner} after {:?}", begun.elapsed());
    (child, banner)
}

/// The last lines of a log.
pub(crate) fn tail(file: &Path) -> String {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}
