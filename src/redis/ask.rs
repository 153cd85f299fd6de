//! A few words with a redis-server as a process: is it up, whose is it, how is it set, end. Everything about data goes through
//! the crate `lua`.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// How long one answer may take; a frozen server gives none.
const ANSWER_IN: Duration = Duration::from_millis(500);
/// Bytes of an answer that are read: INFO's server section has about 1 KiB.
const MAX_ANSWER: usize = 16 * 1024;

/// Whether it serves commands (it does not while it reads its files).
pub(super) fn answers(socket: &Path) -> bool {
    ask(unix(socket), "PING", 5).is_ok_and(|answer| answer.starts_with("+PONG"))
}

/// Whether it says anything at all, also that it is loading or busy.
pub(super) fn lives(socket: &Path) -> bool {
    ask(unix(socket), "PING", 1).is_ok_and(|answer| !answer.is_empty())
}

/// Its working directory, as it says.
pub(super) fn dir(socket: &Path) -> io::Result<String> {
    value(&ask(unix(socket), "CONFIG GET dir", 0)?)
}

/// The value in an answer of CONFIG GET: `*2`, then name and value, each after a line with its length.
fn value(answer: &str) -> io::Result<String> {
    let refused = || io::Error::other(format!("answered {:?}", answer.lines().next().unwrap_or_default()));
    answer.split("\r\n").nth(4).map(str::to_owned).ok_or_else(refused)
}

/// Its process id, as it says.
pub(super) fn process_id(socket: &Path) -> io::Result<u32> {
    let answer = ask(unix(socket), "INFO server", 0)?;
    let pid = answer.lines().find_map(|line| line.strip_prefix("process_id:"));
    pid.and_then(|pid| pid.trim().parse().ok()).ok_or_else(|| io::Error::other("no process_id in INFO"))
}

/// Asks it to end; it writes out its append-only file first.
pub(super) fn shut_down(socket: &Path) {
    // It answers only when it refuses, and then the caller's next means is a signal.
    let _ = ask(unix(socket), "SHUTDOWN", 1);
}

fn unix(socket: &Path) -> io::Result<UnixStream> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(ANSWER_IN))?;
    stream.set_write_timeout(Some(ANSWER_IN))?;
    Ok(stream)
}

/// One inline command and what comes back until `enough` bytes (0: the connection is told to close after the answer).
fn ask<S: Read + Write>(stream: io::Result<S>, command: &str, enough: usize) -> io::Result<String> {
    let mut stream = stream?;
    let quit = if enough == 0 { "QUIT\r\n" } else { "" };
    stream.write_all(format!("{command}\r\n{quit}").as_bytes())?;
    let mut answer = Vec::new();
    let mut block = [0; 1024];
    while answer.len() < MAX_ANSWER && (enough == 0 || answer.len() < enough) {
        match stream.read(&mut block)? {
            0 => break,
            read => answer.extend_from_slice(block.get(..read).unwrap_or_default()),
        }
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
