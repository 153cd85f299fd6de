//! Data goes to stdout, talk to stderr. A reader that went away (a closed pipe) is not an error.

use std::fmt;
use std::io::{self, BufWriter, Stdout, Write as _};

use crate::failure::Failure;

/// Data for stdout, written in blocks; [`Out::done`] writes the rest.
pub(crate) struct Out {
    to: BufWriter<Stdout>,
}

impl Out {
    /// Starts writing data.
    pub(crate) fn new() -> Self {
        Self { to: BufWriter::new(io::stdout()) }
    }

    /// Writes one line. False when nobody reads any more: stop producing.
    pub(crate) fn line(&mut self, text: impl fmt::Display) -> Result<bool, Failure> {
        still_read(writeln!(self.to, "{text}"))
    }

    /// Writes text as it is, as [`Out::line`] does.
    pub(crate) fn text(&mut self, text: &str) -> Result<bool, Failure> {
        still_read(self.to.write_all(text.as_bytes()))
    }

    /// Writes what is left.
    pub(crate) fn done(mut self) -> Result<(), Failure> {
        still_read(self.to.flush()).map(|_| ())
    }
}

fn still_read(result: io::Result<()>) -> Result<bool, Failure> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::new("stdout", error, "")),
    }
}

/// Writes one line of data at once.
pub(crate) fn line(text: impl fmt::Display) -> Result<(), Failure> {
    let mut out = Out::new();
    out.line(text)?;
    out.done()
}

/// Says something to the person at the terminal. Nothing is done when stderr is gone.
pub(crate) fn say(text: impl fmt::Display) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}
