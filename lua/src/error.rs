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

/// What an error of the server says about the call it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The script is not known: send its body.
    NoScript,
    /// Refused before the script's first command.
    NotExecuted,
    /// The script itself says that there is nothing to work on.
    NotLoaded,
    /// Came out of a running script.
    Broken,
}

/// Error codes that the server answers before it executes anything.
const BEFORE_EXECUTION: [&str; 14] = [
    "MOVED",
    "ASK",
    "TRYAGAIN",
    "CLUSTERDOWN",
    "CROSSSLOT",
    "MASTERDOWN",
    "LOADING",
    "READONLY",
    "OOM",
    "NOREPLICAS",
    "BUSY",
    "MISCONF",
    "NOAUTH",
    "NOPERM",
];

/// The class of an error code, the first word of an error reply.
pub(crate) fn refusal(code: &str) -> Refusal {
    match code {
        "NOSCRIPT" => Refusal::NoScript,
        "NOTLOADED" => Refusal::NotLoaded,
        code if BEFORE_EXECUTION.contains(&code) => Refusal::NotExecuted,
        _ => Refusal::Broken,
    }
}

/// The class of a client's error. `None`: the script is not known to the server.
pub(crate) fn judge(error: &redis::RedisError) -> Option<CallError> {
    if let Some(code) = error.code() {
        let words = || match error.detail() {
            Some(detail) => format!("{code} {detail}"),
            None => code.to_owned(),
        };
        return match refusal(code) {
            Refusal::NoScript => None,
            Refusal::NotExecuted => Some(CallError::not_executed(words())),
            Refusal::NotLoaded => Some(CallError::NotLoaded),
            Refusal::Broken => Some(CallError::broken(words())),
        };
    }
    match error.kind() {
        redis::ErrorKind::Parse | redis::ErrorKind::UnexpectedReturnType => Some(CallError::broken(error.to_string())),
        _ => Some(CallError::unknown(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_refuses_before_executing_is_not_executed() {
        for code in BEFORE_EXECUTION {
            assert_eq!(refusal(code), Refusal::NotExecuted, "{code}");
        }
        assert_eq!(refusal("NOSCRIPT"), Refusal::NoScript);
        assert_eq!(refusal("NOTLOADED"), Refusal::NotLoaded);
    }

    #[test]
    fn an_error_out_of_a_script_is_broken_and_a_lost_connection_unknown() {
        for code in ["ERR", "WRONGTYPE", "SOMETHINGNEW"] {
            assert_eq!(refusal(code), Refusal::Broken, "{code}");
        }
        let lost = redis::RedisError::from(std::io::Error::from(std::io::ErrorKind::BrokenPipe));
        assert!(matches!(judge(&lost), Some(CallError::Unknown { .. })));
    }
}
