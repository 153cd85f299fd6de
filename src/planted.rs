//! A program with a bug planted on purpose (`domain::planted`, only in tests) says so, loudly, before it says that it is ready.

use domain::planted::{Bug, POSSIBLE, plant, planted};

use crate::failure::Failure;
use crate::out;

/// Names the bug in the environment.
const NAME: &str = "PLANTED_BUG";

/// Plants what the environment names. In a build for use nothing is looked at.
///
/// # Errors
/// There is no bug of this name.
pub(crate) fn begin() -> Result<(), Failure> {
    match std::env::var(NAME) {
        Ok(name) if POSSIBLE && !plant(&name) => {
            Err(Failure::usage(NAME, format!("there is no bug {name:?}"), "unset it"))
        }
        _ => Ok(()),
    }
}

/// The bug's name, for the banner; said aloud as well.
pub(crate) fn shout() -> Option<&'static str> {
    let name = planted().map(Bug::as_str)?;
    out::say(format_args!("holdfast: {name} IS PLANTED IN THIS PROGRAM. IT SELLS THINGS TWICE. DO NOT USE IT."));
    Some(name)
}
