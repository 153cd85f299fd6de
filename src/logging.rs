//! The log: to stderr, as text for people or as JSON for machines.

use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::LogSettings;
use crate::failure::Failure;

/// Starts logging for the whole process. Call it once.
///
/// # Errors
/// The level is no filter.
pub(crate) fn start(settings: &LogSettings) -> Result<(), Failure> {
    let filter: Targets = settings.level.parse().map_err(|error| {
        Failure::usage(
            format!("log.level {:?}", settings.level),
            error,
            "write error, warn, info, debug or trace, or a list such as info,booker=debug",
        )
    })?;
    let log = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let log = if settings.json { log.json().boxed() } else { log.with_target(false).compact().boxed() };
    let started = tracing_subscriber::registry().with(log.with_filter(filter)).try_init();
    started.map_err(|error| Failure::new("log", error, ""))
}

/// A panic is a bug: it is told in one line, and the process ends as if it had been killed, which is a normal event for the
/// stores. Going on with a thread less would leave a lane or a line without anybody noticing.
pub(crate) fn end_on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(String::new, |place| format!(" at {}:{}", place.file(), place.line()));
        let payload = panic.payload();
        let text = payload.downcast_ref::<&str>().copied();
        let why = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
        crate::out::say(format_args!(
            "holdfast: bug{place}: {why}; start it again, nothing acknowledged is lost, and report this line"
        ));
        std::process::exit(crate::failure::Exit::Failed as i32);
    }));
}
