//! The operating system's limits: what the program takes of them, and what they are.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// A connection is an open file, and shells start programs with room for a thousand: takes what the system allows.
pub(crate) fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if setrlimit(Resource::Nofile, raised).is_err() {
        tracing::warn!(
            limit = limit.current,
            "the limit of open files (ulimit -n) could not be raised; it bounds the connections"
        );
    }
}
