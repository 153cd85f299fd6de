//! One call of a script: its keys and arguments as they go over the wire.

use redis::{Arg, Cmd};

use crate::script::{Id, Script};

/// A call being put together. Arguments are written once, straight into the command.
pub(crate) struct Call {
    pub(crate) script: &'static Script,
    pub(crate) slot: u16,
    /// Requests that share this call, for the group size metric.
    pub(crate) group: usize,
    cmd: Cmd,
}

impl Call {
    pub(crate) fn new(script: Id, slot: u16, keys: &[&str]) -> Self {
        Self::of(script.script(), slot, keys)
    }

    pub(crate) fn of(script: &'static Script, slot: u16, keys: &[&str]) -> Self {
        debug_assert_eq!(keys.len(), script.keys, "{}", script.name);
        let mut cmd = Cmd::new();
        cmd.arg("EVALSHA").arg(script.digest.as_str()).arg(keys.len());
        for key in keys {
            cmd.arg(*key);
        }
        Self { script, slot, group: 1, cmd }
    }

    pub(crate) fn group(mut self, size: usize) -> Self {
        self.group = size;
        self
    }

    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        self.cmd.arg(text);
        self
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.cmd.arg(bytes);
        self
    }

    pub(crate) fn int(&mut self, number: u64) -> &mut Self {
        self.cmd.arg(number);
        self
    }

    pub(crate) fn signed(&mut self, number: i64) -> &mut Self {
        self.cmd.arg(number);
        self
    }

    pub(crate) fn size(&mut self, number: usize) -> &mut Self {
        self.cmd.arg(number);
        self
    }

    /// A number, or nothing for none.
    pub(crate) fn maybe(&mut self, number: Option<u64>) -> &mut Self {
        match number {
            Some(number) => self.cmd.arg(number),
            None => self.cmd.arg(""),
        };
        self
    }

    pub(crate) fn by_digest(&self) -> &Cmd {
        &self.cmd
    }

    /// The same call with the script's text, for a server that does not know the script.
    pub(crate) fn by_text(&self) -> Cmd {
        let mut cmd = Cmd::new();
        cmd.arg("EVAL").arg(self.script.text.as_str());
        for arg in self.cmd.args_iter().skip(2) {
            if let Arg::Simple(bytes) = arg {
                cmd.arg(bytes);
            }
        }
        cmd
    }
}
