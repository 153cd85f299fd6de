//! What became of a call that has no answer of its script: one table, so that every caller judges alike (I8).

use std::borrow::Cow;

/// A call without an answer of its script.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The script ran and changed nothing: the lane or the line is not loaded.
    #[error("not loaded into Redis")]
    NotLoaded,
    /// For sure not executed; safe to send again.
    #[error("not executed: {why}")]
    NotExecuted {
        /// What stood against it.
        why: Cow<'static, str>,
    },
    /// May have been executed, or may still be.
    #[error("outcome unknown: {why}")]
    Unknown {
        /// What happened instead of an answer.
        why: Cow<'static, str>,
    },
    /// The script failed, or answered what this program cannot read. A bug or damaged data; perhaps half applied.
    #[error("script failed: {why}")]
    Broken {
        /// The server's words.
        why: Cow<'static, str>,
    },
}

impl CallError {
    /// The outcome as metrics name it.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::NotLoaded => "not_loaded",
            Self::NotExecuted { .. } => "not_executed",
            Self::Unknown { .. } => "unknown",
            Self::Broken { .. } => "broken",
        }
    }

    pub(crate) fn not_executed(why: impl Into<Cow<'static, str>>) -> Self {
        Self::NotExecuted { why: why.into() }
    }

    pub(crate) fn unknown(why: impl Into<Cow<'static, str>>) -> Self {
        Self::Unknown { why: why.into() }
    }

    pub(crate) fn broken(why: impl Into<Cow<'static, str>>) -> Self {
        Self::Broken { why: why.into() }
    }
}

/// What a server's error says about the call it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Refused before the script's first command.
    NotExecuted,
    /// The script itself says that there is nothing to work on.
    NotLoaded,
    /// Came out of a running script, perhaps after writes: nothing is rolled back.
    Broken,
}

/// What makes the same call succeed, of what was not executed. A cluster follows all; one server only [`Cure::Text`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cure {
    /// Nothing that a client could do.
    None,
    /// The script is not known: its text instead of its digest.
    Text,
    /// Another node has the slot: its address as the server wrote it.
    Moved(String),
    /// Another node has the keys, but not yet the slot: there, behind ASKING.
    Ask(String),
    /// The cluster is on its way to an answer: again after a pause, where the slot is then.
    Wait,
}

/// How a code is cured, without its address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    None,
    Text,
    Moved,
    Ask,
    Wait,
}

/// Every error code with a meaning of its own. Any other one comes out of a running script: [`Fate::Broken`].
const TABLE: [(&str, Fate, Kind); 21] = [
    // A client of a cluster follows these; each is given before the command is looked at further.
    ("MOVED", Fate::NotExecuted, Kind::Moved),
    ("ASK", Fate::NotExecuted, Kind::Ask),
    ("TRYAGAIN", Fate::NotExecuted, Kind::Wait),
    ("CLUSTERDOWN", Fate::NotExecuted, Kind::Wait),
    ("MASTERDOWN", Fate::NotExecuted, Kind::Wait),
    ("LOADING", Fate::NotExecuted, Kind::Wait),
    ("READONLY", Fate::NotExecuted, Kind::Wait),
    ("NOSCRIPT", Fate::NotExecuted, Kind::Text),
    // Checked before a script with flags begins; an operator has to act.
    ("CROSSSLOT", Fate::NotExecuted, Kind::None),
    ("OOM", Fate::NotExecuted, Kind::None),
    ("NOREPLICAS", Fate::NotExecuted, Kind::None),
    ("BUSY", Fate::NotExecuted, Kind::None),
    ("MISCONF", Fate::NotExecuted, Kind::None),
    ("NOAUTH", Fate::NotExecuted, Kind::None),
    ("NOPERM", Fate::NotExecuted, Kind::None),
    ("WRONGPASS", Fate::NotExecuted, Kind::None),
    // The scripts' own word, given before their first write.
    ("NOTLOADED", Fate::NotLoaded, Kind::None),
    // Named here so that nobody takes them for refusals.
    ("ERR", Fate::Broken, Kind::None),
    ("WRONGTYPE", Fate::Broken, Kind::None),
    ("NOTBUSY", Fate::Broken, Kind::None),
    ("UNKILLABLE", Fate::Broken, Kind::None),
];

/// What is said about a call, and what may be done with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Judgement {
    pub(crate) error: CallError,
    pub(crate) cure: Cure,
}

impl Judgement {
    pub(crate) fn last(error: CallError) -> Self {
        Self { error, cure: Cure::None }
    }
}

/// The judgement of a server's error: its code, the first word, and what follows.
pub(crate) fn refusal(code: &str, detail: Option<&str>) -> Judgement {
    let words = || detail.map_or_else(|| code.to_owned(), |detail| format!("{code} {detail}"));
    let row = TABLE.iter().find(|(known, ..)| *known == code);
    let (fate, kind) = row.map_or((Fate::Broken, Kind::None), |(_, fate, kind)| (*fate, *kind));
    let error = match fate {
        Fate::NotExecuted => CallError::not_executed(words()),
        Fate::NotLoaded => CallError::NotLoaded,
        Fate::Broken => CallError::broken(words()),
    };
    // `MOVED 3999 10.0.0.7:6381`: slot, then address.
    let address = || detail.and_then(|detail| detail.split_ascii_whitespace().nth(1)).map(str::to_owned);
    let cure = match kind {
        Kind::None => Cure::None,
        Kind::Text => Cure::Text,
        Kind::Moved => address().map_or(Cure::Wait, Cure::Moved),
        Kind::Ask => address().map_or(Cure::Wait, Cure::Ask),
        Kind::Wait => Cure::Wait,
    };
    Judgement { error, cure }
}

/// The judgement of a client's error about a call that was sent.
pub(crate) fn judge(error: &redis::RedisError) -> Judgement {
    if let Some(code) = error.code() {
        return refusal(code, error.detail());
    }
    Judgement::last(match error.kind() {
        redis::ErrorKind::Parse | redis::ErrorKind::UnexpectedReturnType => CallError::broken(error.to_string()),
        _ => CallError::unknown(error.to_string()),
    })
}

#[cfg(test)]
#[path = "error_test.rs"]
mod tests;
