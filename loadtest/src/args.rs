//! What a run is told.

use std::path::PathBuf;
use std::time::Duration;

use domain::{ItemId, Millis, SaleId};

use crate::limits::{MAX_CONNECTIONS, MAX_DURATION, MAX_PARTS, MAX_RATE, MAX_THREADS, MAX_VISITORS, OTHER_FILES};
use crate::scenario::Load;
use crate::threshold::Threshold;

/// What every visitor does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Journey {
    /// Hold and confirm, in a sale without waiting room.
    Book,
    /// The whole way: ticket, waiting, pass, hold, confirm.
    Line,
    /// Get a ticket and leave it at that; a new visitor each time.
    Join,
    /// Read the line document.
    Poll,
    /// Hold and release.
    Hold,
}

impl Journey {
    /// Every journey.
    pub const ALL: [Self; 5] = [Self::Book, Self::Line, Self::Join, Self::Poll, Self::Hold];

    /// The name on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Book => "book",
            Self::Line => "journey",
            Self::Join => "join",
            Self::Poll => "poll",
            Self::Hold => "hold",
        }
    }
}

impl std::str::FromStr for Journey {
    type Err = BadArgs;
    fn from_str(text: &str) -> Result<Self, BadArgs> {
        let names = || Self::ALL.map(Self::as_str).join(", ");
        Self::ALL
            .into_iter()
            .find(|journey| journey.as_str() == text)
            .ok_or_else(|| BadArgs(format!("no journey {text:?}: there is {}", names())))
    }
}

/// An argument that makes no run. The message says which and what would.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadArgs(pub String);

/// All that a run is told. [`Args::default`] is a short run of 64 visitors against a local `holdfast dev`.
#[derive(Clone, PartialEq, Debug)]
pub struct Args {
    /// Public address: `http://HOST:PORT`.
    pub target: String,
    /// Operators' address, `http://HOST:PORT`: tells how many units there are, which visitors are not told.
    pub admin: Option<String>,
    /// The bearer key for it.
    pub operator_key: Option<String>,
    /// Units of the item where there is no `admin`; absent: whether too many were sold is left out.
    pub units: Option<u64>,
    /// The sale.
    pub sale: String,
    /// The item to hold; the sale's first one when absent.
    pub item: Option<String>,
    /// Units of every hold.
    pub quantity: u32,
    /// What every visitor does, where there is no `load`.
    pub journey: Journey,
    /// What visitors do and when they come; `journey`, `visitors` and `rate` are not looked at then.
    pub load: Option<Load>,
    /// Visitors at once. With `rate` the most that are on their way at once.
    pub visitors: u32,
    /// Connections that the visitors share; one each, up to a bound, when absent.
    pub connections: Option<u32>,
    /// Journeys started per second, at random (Poisson) whether or not earlier ones have ended; absent: every visitor
    /// starts the next when the last has ended.
    pub rate: Option<f64>,
    /// How long new journeys are started and counted.
    pub duration: Duration,
    /// How long after that the journeys under way may still wait for their turn. What they do then is checked, and a
    /// journey's whole time counts, but answers and bookings per second end with `duration`. The run ends before when
    /// all have arrived.
    pub finish_within: Duration,
    /// Ends the run after so many journeys, if that is earlier.
    pub count: Option<u64>,
    /// Time before the measurement; checked as well, but not counted.
    pub warm_up: Duration,
    /// Threads, each with its own runtime, visitors and connections.
    pub threads: u16,
    /// Journeys that one visitor makes before a new one takes over: the server bounds holds, units and passes per visitor.
    pub per_visitor: u32,
    /// How long a confirm is repeated after a 202 or a lost answer before its outcome is called unknown.
    pub confirm_within: Duration,
    /// How long, at the end, sampled visitors are asked for their answers once more.
    pub recheck_within: Duration,
    /// How long one answer may take before it counts as lost.
    pub call_timeout: Duration,
    /// Threshold: confirmed bookings per second, at least.
    pub min_bookings_per_s: Option<f64>,
    /// Threshold: 99th percentile of confirms in milliseconds, at most.
    pub max_p99_confirm_ms: Option<f64>,
    /// What must come out besides, together with the thresholds of the load.
    pub thresholds: Vec<Threshold>,
    /// This process sends one part of the load: (part from 1, of so many).
    pub part: Option<(u32, u32)>,
    /// When the run starts, so that several processes start together; at once when absent or past.
    pub start_at: Option<Millis>,
    /// Address of `/metrics`, `http://HOST:PORT`, read along with the run; that of `admin` when absent.
    pub metrics: Option<String>,
    /// Tell the progress also where stderr is no terminal.
    pub progress: bool,
    /// Write the report as one HTML file.
    pub html: Option<PathBuf>,
    /// Write everything that was counted and seen, for [`crate::merge`].
    pub raw: Option<PathBuf>,
    /// Seed of arrivals and waiting times; drawn when absent. Keys of requests are drawn in any case, so that two runs never share one.
    pub seed: Option<u64>,
    /// Print the report as one JSON object.
    pub json: bool,
}

impl Default for Args {
    fn default() -> Self {
        Self {
            target: "http://127.0.0.1:8080".to_owned(),
            admin: None,
            operator_key: None,
            units: None,
            sale: "demo".to_owned(),
            item: None,
            quantity: 1,
            journey: Journey::Book,
            load: None,
            visitors: 64,
            connections: None,
            rate: None,
            duration: Duration::from_secs(10),
            finish_within: Duration::from_secs(20),
            count: None,
            warm_up: Duration::ZERO,
            threads: 1,
            per_visitor: 16,
            confirm_within: Duration::from_secs(30),
            recheck_within: Duration::from_secs(30),
            call_timeout: Duration::from_secs(10),
            min_bookings_per_s: None,
            max_p99_confirm_ms: None,
            thresholds: Vec::new(),
            part: None,
            start_at: None,
            metrics: None,
            progress: false,
            html: None,
            raw: None,
            seed: None,
            json: false,
        }
    }
}

/// Arguments that were checked.
#[derive(Clone, Debug)]
pub(crate) struct Checked {
    pub(crate) args: Args,
    /// `HOST:PORT` of the target, as the Host header and for looking it up.
    pub(crate) authority: String,
    pub(crate) admin: Option<String>,
    /// `HOST:PORT` of the server's metrics.
    pub(crate) metrics: Option<String>,
    pub(crate) sale: SaleId,
    pub(crate) item: Option<ItemId>,
    pub(crate) connections: u32,
    /// The load, or this process' part of it.
    pub(crate) load: Load,
}

impl Args {
    /// A short run of this load against a local `holdfast dev`.
    #[must_use]
    pub fn of(load: Load) -> Self {
        let defaults = Self::default();
        Self {
            sale: load.sale.clone().unwrap_or(defaults.sale),
            quantity: load.quantity.unwrap_or(defaults.quantity),
            duration: load.duration.unwrap_or(defaults.duration),
            finish_within: load.finish_within.unwrap_or(defaults.finish_within),
            warm_up: load.warm_up.unwrap_or(defaults.warm_up),
            per_visitor: load.per_visitor.unwrap_or(defaults.per_visitor),
            load: Some(load),
            ..defaults
        }
    }

    /// Everything that must come out.
    pub(crate) fn all_thresholds(&self) -> Vec<Threshold> {
        let old = self.min_bookings_per_s.map(Threshold::bookings_per_s);
        let old = old.into_iter().chain(self.max_p99_confirm_ms.map(Threshold::p99_confirm_ms));
        let of_load = self.load.iter().flat_map(|load| load.thresholds.clone());
        of_load.chain(self.thresholds.clone()).chain(old).collect()
    }

    /// The load of this process.
    fn part_of_load(&self) -> Result<Load, BadArgs> {
        let mut load = self.load.clone().unwrap_or_else(|| Load::of(self.journey, self.visitors, self.rate));
        let visitors = load.closed.unwrap_or(0).saturating_add(load.open.as_ref().map_or(0, |open| open.most));
        within("visitors", visitors, 1, MAX_VISITORS)?;
        let Some((part, of)) = self.part else { return Ok(load) };
        if of == 0 || of > MAX_PARTS || !(1..=of).contains(&part) {
            return Err(BadArgs(format!("part {part}/{of} must be 1/N to N/N, N at most {MAX_PARTS}")));
        }
        let share = |all: u32| all / of + u32::from(part <= all % of);
        load.closed = load.closed.map(share).filter(|visitors| *visitors > 0);
        if let Some(open) = &mut load.open {
            open.shape = open.shape.part(part - 1, of);
            open.most = share(open.most).max(1);
        }
        if load.closed.is_none() && load.open.is_none() {
            return Err(BadArgs(format!("part {part}/{of} has no visitors")));
        }
        Ok(load)
    }

    pub(crate) fn check(&self) -> Result<Checked, BadArgs> {
        let address = authority(&self.target)?;
        let admin = self.admin.as_deref().map(authority).transpose()?;
        let metrics = self.metrics.as_deref().map(authority).transpose()?.or_else(|| admin.clone());
        let sale = self.sale.parse().map_err(|error| BadArgs(format!("sale {:?} must be {error}", self.sale)))?;
        let item = match &self.item {
            Some(text) => Some(text.parse().map_err(|error| BadArgs(format!("item {text:?} must be {error}")))?),
            None => None,
        };
        within("quantity", self.quantity, 1, domain::limits::MAX_QUANTITY)?;
        within("threads", self.threads, 1, MAX_THREADS)?;
        within("per-visitor", self.per_visitor, 1, u32::MAX)?;
        let load = self.part_of_load()?;
        let visitors = load.closed.unwrap_or(0).saturating_add(load.open.as_ref().map_or(0, |open| open.most));
        let files = u32::try_from(open_files().saturating_sub(OTHER_FILES)).unwrap_or(u32::MAX).max(1);
        let connections = self.connections.unwrap_or_else(|| visitors.min(MAX_CONNECTIONS).min(files));
        within("connections", connections, 1, MAX_CONNECTIONS)?;
        if connections > files {
            let needed = u64::from(connections) + OTHER_FILES;
            return Err(BadArgs(format!(
                "connections {connections} need {needed} open files: raise the limit (ulimit -n {needed})"
            )));
        }
        for (name, threshold) in
            [("min-bookings-per-s", self.min_bookings_per_s), ("max-p99-confirm-ms", self.max_p99_confirm_ms)]
        {
            if threshold.is_some_and(|value| !value.is_finite() || value < 0.0) {
                return Err(BadArgs(format!("{name} must be a number from 0")));
            }
        }
        if self.rate.is_some_and(|rate| !(rate > 0.0 && rate <= MAX_RATE)) {
            return Err(BadArgs(format!("rate must be above 0 and at most {MAX_RATE}")));
        }
        for (name, span) in
            [("duration", self.duration), ("call-timeout", self.call_timeout), ("confirm-within", self.confirm_within)]
        {
            if span.is_zero() || span > MAX_DURATION {
                return Err(BadArgs(format!("{name} must be above 0 and at most {} s", MAX_DURATION.as_secs())));
            }
        }
        for (name, span) in [("warm-up", self.warm_up), ("finish-within", self.finish_within)] {
            if span > MAX_DURATION {
                return Err(BadArgs(format!("{name} must be at most {} s", MAX_DURATION.as_secs())));
            }
        }
        Ok(Checked { args: self.clone(), authority: address, admin, metrics, sale, item, connections, load })
    }
}

/// Files that this process may have open; without bound where the kernel does not say.
fn open_files() -> u64 {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(u64::MAX)
}

fn within<N: PartialOrd + std::fmt::Display + Copy>(name: &str, value: N, least: N, most: N) -> Result<(), BadArgs> {
    if value < least || value > most {
        return Err(BadArgs(format!("{name} {value} must be {least} to {most}")));
    }
    Ok(())
}

/// `HOST:PORT` of a target; the port is 80 when absent.
pub(crate) fn authority(target: &str) -> Result<String, BadArgs> {
    let bad = || BadArgs(format!("target {target:?} must be http://HOST:PORT"));
    let rest = target.strip_prefix("http://").ok_or_else(bad)?;
    let host = rest.strip_suffix('/').unwrap_or(rest);
    if host.is_empty() || host.contains(['/', '?', '#', '@', ' ', '\r', '\n']) || !host.is_ascii() {
        return Err(bad());
    }
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    Ok(if has_port { host.to_owned() } else { format!("{host}:80") })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn said(change: impl FnOnce(&mut Args)) -> String {
        let mut args = Args::default();
        change(&mut args);
        args.check().map_or_else(|error| error.to_string(), |_| "good".to_owned())
    }

    #[test]
    fn the_default_is_good() {
        assert_eq!(said(|_| {}), "good");
    }

    #[test]
    fn a_target_is_an_address_without_path() {
        assert_eq!(authority("http://127.0.0.1:8080/").unwrap(), "127.0.0.1:8080");
        assert_eq!(authority("http://[::1]:8080").unwrap(), "[::1]:8080");
        assert_eq!(authority("http://example.org").unwrap(), "example.org:80");
        for bad in ["", "127.0.0.1:8080", "https://a:1", "http://", "http://a:1/v1", "http://a@b:1", "http://a b:1"] {
            assert!(authority(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_makes_no_run_is_said() {
        assert_eq!(said(|a| a.visitors = 0), format!("visitors 0 must be 1 to {MAX_VISITORS}"));
        assert_eq!(said(|a| a.quantity = 1001), "quantity 1001 must be 1 to 1000");
        assert!(said(|a| a.rate = Some(0.0)).starts_with("rate must be above 0"));
        assert!(said(|a| a.rate = Some(f64::NAN)).starts_with("rate must be above 0"));
        assert!(said(|a| a.duration = Duration::ZERO).starts_with("duration must be above 0"));
        assert!(said(|a| a.sale = "Demo".to_owned()).starts_with("sale \"Demo\" must be 1 to 63"));
        assert!(said(|a| a.min_bookings_per_s = Some(-1.0)).starts_with("min-bookings-per-s"));
    }

    #[test]
    fn parts_add_up_to_the_whole_load() {
        let of = |part| {
            Args { visitors: 64, part: Some((part, 3)), ..Args::default() }.check().unwrap().load.closed.unwrap()
        };
        assert_eq!([of(1), of(2), of(3)], [22, 21, 21]);
        let rate = Args { rate: Some(90.0), part: Some((2, 3)), ..Args::default() }.check().unwrap();
        assert_eq!(rate.load.open.unwrap().shape, crate::Shape::steady(30.0));
        for bad in [(0, 3), (4, 3), (1, 0), (1, 100_000)] {
            assert!(said(|a| a.part = Some(bad)).starts_with("part "), "{bad:?}");
        }
        assert_eq!(said(|a| (a.visitors, a.part) = (1, Some((2, 2)))), "part 2/2 has no visitors");
    }

    #[test]
    fn journeys_read_back_from_their_names() {
        for journey in Journey::ALL {
            assert_eq!(journey.as_str().parse::<Journey>().unwrap(), journey);
        }
        assert!("".parse::<Journey>().is_err());
    }
}
