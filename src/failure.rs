//! How a command ends without having done its work: one line that says what, why and what to do.

use std::process::ExitCode;
use std::{fmt, io};

use rustix::io::Errno;

/// Exit codes, part of the contract (`docs/API.md`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Exit {
    /// The work was done.
    Done = 0,
    /// It was not.
    Failed = 1,
    /// The command, its flags or its configuration are wrong.
    Usage = 2,
    /// A check found something.
    Found = 3,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// What is printed to stderr as `holdfast: what: why; do this`, and the exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    what: String,
    why: String,
    fix: String,
    /// More mistakes of the same kind, each a line of its own.
    more: Vec<String>,
}

impl Failure {
    /// A failure of the work itself (exit 1). `fix` may be empty when there is nothing to do about it.
    pub(crate) fn new(what: impl Into<String>, why: impl fmt::Display, fix: impl Into<String>) -> Self {
        Self { exit: Exit::Failed, what: what.into(), why: why.to_string(), fix: fix.into(), more: Vec::new() }
    }

    /// The command or its configuration is wrong (exit 2).
    pub(crate) fn usage(what: impl Into<String>, why: impl fmt::Display, fix: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, ..Self::new(what, why, fix) }
    }

    /// Adds lines printed below the first one.
    pub(crate) fn with_lines(mut self, lines: impl IntoIterator<Item = String>) -> Self {
        self.more.extend(lines);
        self
    }

    /// What, why and what to do; more mistakes stand behind the reason.
    pub(crate) fn into_parts(self) -> (String, String, String) {
        let why = [vec![self.why], self.more].concat().join("; ");
        (self.what, why, self.fix)
    }

    /// The exit code.
    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }
}

/// What to do about an error of the system with a file or directory; empty where the error says it all.
pub(crate) fn remedy(error: &io::Error) -> &'static str {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::PermissionDenied => "let this user read and write it",
        Kind::ReadOnlyFilesystem => "mount its file system writable",
        Kind::StorageFull | Kind::QuotaExceeded => "free some space on its disk",
        Kind::NotADirectory | Kind::AlreadyExists => "move the file away that stands in its place",
        Kind::IsADirectory => "move the directory away that stands in its place",
        Kind::NotFound => "check its name",
        _ if no_more_files(error) => "raise the limit of open files (ulimit -n)",
        _ => "",
    }
}

/// Whether the process, or the machine, has as many files open as it may.
pub(crate) fn no_more_files(error: &io::Error) -> bool {
    let errors = [Errno::MFILE, Errno::NFILE].map(|errno| Some(errno.raw_os_error()));
    errors.contains(&error.raw_os_error())
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.why)?;
        if !self.fix.is_empty() {
            write!(f, "; {}", self.fix)?;
        }
        for line in &self.more {
            write!(f, "\n  {line}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_what_why_and_what_to_do_in_one_line() {
        let failure = Failure::new("redis-server", "not found in PATH", "apt-get install redis-server");
        assert_eq!(failure.to_string(), "redis-server: not found in PATH; apt-get install redis-server");
        assert_eq!(Failure::new("a", "b", "").to_string(), "a: b");
    }

    #[test]
    fn what_to_do_fits_the_cause() {
        let remedy = |errno: Errno| remedy(&io::Error::from_raw_os_error(errno.raw_os_error()));
        assert!(remedy(Errno::ACCESS).contains("let this user"));
        assert!(remedy(Errno::ROFS).contains("mount"));
        assert!(remedy(Errno::NOSPC).contains("free some space") && remedy(Errno::DQUOT).contains("free some space"));
        assert!(remedy(Errno::NOTDIR).contains("file away"));
        assert!(remedy(Errno::MFILE).contains("ulimit -n") && remedy(Errno::NFILE).contains("ulimit -n"));
        assert_eq!(remedy(Errno::IO), "");
    }

    #[test]
    fn more_mistakes_follow_on_lines_of_their_own() {
        let failure = Failure::usage("x.toml", "2 mistakes", "").with_lines(["one".to_owned(), "two".to_owned()]);
        assert_eq!(failure.to_string(), "x.toml: 2 mistakes\n  one\n  two");
        assert_eq!(failure.exit(), Exit::Usage);
    }
}
