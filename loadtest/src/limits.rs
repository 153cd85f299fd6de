//! Every bound of a run, with its unit and its reason.

use std::time::Duration;

/// Visitors at once: each is a small task.
pub(crate) const MAX_VISITORS: u32 = 1_000_000;
/// Connections at once: below the usual limit of open files and of ports towards one address.
pub(crate) const MAX_CONNECTIONS: u32 = 16_384;
/// Threads.
pub(crate) const MAX_THREADS: u16 = 64;
/// Journeys started per second.
pub(crate) const MAX_RATE: f64 = 1_000_000.0;
/// Any span of a run.
pub(crate) const MAX_DURATION: Duration = Duration::from_secs(24 * 3600);

/// How long one visitor thinks: longer than any pass or hold lives.
pub(crate) const MAX_THINK: Duration = Duration::from_secs(3600);
/// Bytes of a load's file.
pub(crate) const MAX_LOAD_BYTES: usize = 256 << 10;
/// Scenarios of a load, and steps of a scenario: more than anybody overlooks.
pub(crate) const MAX_SCENARIOS: usize = 50;
/// See [`MAX_SCENARIOS`].
pub(crate) const MAX_STEPS: usize = 100;
/// One step in a row.
pub(crate) const MAX_TIMES: u32 = 1_000_000;
/// Weight of a scenario.
pub(crate) const MAX_WEIGHT: u32 = 1_000_000;
/// Points of a rate that changes.
pub(crate) const MAX_POINTS: usize = 10_000;
/// Thresholds of a run.
pub(crate) const MAX_THRESHOLDS: usize = 100;
/// Processes of one run.
pub(crate) const MAX_PARTS: u32 = 1_000;
/// Open files that are left to everything but connections to the server.
pub(crate) const OTHER_FILES: u64 = 64;
/// Holds by which somebody tries to get above the limit of the sale, where it does not end before.
pub(crate) const MAX_DODGES: u32 = 20;

/// Columns of a plot over time: a longer run has longer columns.
pub(crate) const MAX_COLUMNS: u64 = 600;
/// Time between two looks at the server's own metrics, at least.
pub(crate) const SCRAPE_EVERY: Duration = Duration::from_secs(1);
/// Time-series of the server that are kept; each is one number per column.
pub(crate) const MAX_SCRAPED: usize = 200;
/// Between two lines of progress.
pub(crate) const PROGRESS_EVERY: Duration = Duration::from_secs(1);
/// How long a thread of the client naps to see how late it is woken.
pub(crate) const LAG_NAP: Duration = Duration::from_millis(20);
/// From this lateness on (99th percentile, milliseconds) of a thread's naps the client is itself the bottleneck.
pub(crate) const LATE_MS: f64 = 50.0;
/// How much earlier than its deadline something may end before it is a finding: two clocks and the way between them.
pub(crate) const EARLY: Duration = Duration::from_secs(2);

/// Bytes of one answer: a sale of 2,000 items is below 1 MiB.
pub(crate) const MAX_ANSWER_BYTES: usize = 4 << 20;
/// Bytes a connection's buffer starts with: every answer of a journey fits.
pub(crate) const BUFFER_BYTES: usize = 4 << 10;
/// Headers of one answer.
pub(crate) const MAX_HEADERS: usize = 32;
/// Opening a connection.
pub(crate) const CONNECT_WITHIN: Duration = Duration::from_secs(2);

/// Arrivals that wait for a free visitor per thread; more are counted as not started.
pub(crate) const MAX_WAITING_ARRIVALS: usize = 65_536;
/// The pacer's shortest nap: arrivals closer together than this start together.
pub(crate) const SHORTEST_NAP: Duration = Duration::from_micros(100);
/// After the end of a run: arrivals that are late are still started for so long.
pub(crate) const START_LATE: Duration = Duration::from_secs(5);
/// After the end of a run and the patience of its calls: then what is under way is dropped.
pub(crate) const DRAIN: Duration = Duration::from_secs(5);

/// First and longest pause before a request whose answer was lost is sent again, doubled in between.
pub(crate) const RESEND: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(1));
/// Longest pause that a `Retry-After` or `poll_in_ms` is followed.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// Shortest pause between two polls, whatever the server says.
pub(crate) const SHORTEST_PAUSE: Duration = Duration::from_millis(20);

/// Bookings, tickets and passes kept per thread for the oracle (about 40 bytes each); later ones are counted only.
pub(crate) const MAX_KEPT: usize = 4_000_000;
/// Visitors per thread whose answers are asked for once more at the end.
pub(crate) const MAX_SAMPLES: usize = 200;
/// Visitors per thread with a confirm that had no outcome, which are asked for again at the end.
pub(crate) const MAX_OPEN: usize = 10_000;
/// Confirms per sampled visitor that are repeated at the end.
pub(crate) const MAX_REPEATS: usize = 4;
/// At the end one confirm is repeated for as long as during the run, and at least so long.
pub(crate) const RECHECK_EACH: Duration = Duration::from_secs(1);
/// Strange answers that are told one by one.
pub(crate) const MAX_TOLD: usize = 20;
/// Findings of one name that are told one by one; all are counted.
pub(crate) const MAX_TOLD_EACH: u64 = 5;
/// How old what a poll shows may be: `max-age`, the processes' own polling and the time in between, rounded up.
pub(crate) const STALE_SECONDS: usize = 5;
/// Bytes of one page of the event feed: 1,000 events of each of 256 lanes.
pub(crate) const MAX_FEED_PAGE_BYTES: usize = 64 << 20;
/// Events of the feed that are read (about 60 bytes are kept of each); what follows is not checked, and the report says so.
pub(crate) const MAX_FEED_EVENTS: u64 = 4_000_000;
/// Reading the whole feed.
pub(crate) const FEED_WITHIN: Duration = Duration::from_secs(60);
/// Milliseconds between an operator's change of the pace and its coming into force, and between the clocks of both: within
/// them either pace is allowed.
pub(crate) const PACE_SETTLES_MS: u64 = 5_000;
/// Share of its time, running or waiting for a core, from which on a thread of the client is itself the bottleneck.
pub(crate) const BUSY: f64 = 0.9;
