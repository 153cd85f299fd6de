//! Room, and whether the ledger's file system keeps what it says it has written.

use std::path::{Path, PathBuf};

use super::{Finding, Part, Severity, in_production};
use crate::config::{Config, LedgerAt};

/// Bytes below which a night may not fit, and below which it ends soon.
const LITTLE: u64 = 5_000_000_000;
const NOTHING: u64 = 1_000_000_000;
/// Files that may still be made.
const FEW_FILES: u64 = 1_000;

/// What a file system is, where that matters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// On another machine.
    Network,
    /// In memory.
    Memory,
    /// The layer of a container.
    Layer,
    Other,
}

impl Kind {
    /// By the number that statfs tells (linux/magic.h).
    const fn of(magic: u64) -> Self {
        match magic {
            0x6969 | 0x517b | 0xff53_4d42 | 0xfe53_4d42 | 0x00c3_6400 => Self::Network,
            0x0102_1994 | 0x8584_58f6 => Self::Memory,
            0x794c_7630 => Self::Layer,
            _ => Self::Other,
        }
    }
}

/// What one place offers.
#[derive(Debug)]
struct Facts {
    place: PathBuf,
    free: u64,
    files: u64,
    kind: Kind,
}

impl Facts {
    /// Of the directory, or of the first one above it that is there.
    fn read(place: &Path) -> Option<Self> {
        let there = place.ancestors().find(|path| path.is_dir())?;
        let stat = rustix::fs::statvfs(there).ok()?;
        let kind = rustix::fs::statfs(there).ok()?.f_type;
        // Some systems count files without a bound, and say none.
        let files = if stat.f_files == 0 { u64::MAX } else { stat.f_favail };
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        #[allow(clippy::cast_sign_loss, clippy::unnecessary_cast, reason = "a magic number, signed on some systems")]
        let magic = kind as u64 & 0xffff_ffff;
        Some(Self { place: place.to_owned(), free, files, kind: Kind::of(magic) })
    }
}

/// What is found about the disks.
pub(super) fn examine(config: &Config) -> Vec<Finding> {
    let data = config.layout().root().to_owned();
    let ledger = match config.ledger() {
        LedgerAt::File(path) => path.parent().map(Path::to_owned),
        LedgerAt::Cql(_) => None,
    };
    let mut found = Vec::new();
    let places: Vec<PathBuf> = [Some(data), ledger.clone()].into_iter().flatten().collect();
    for (n, place) in places.iter().enumerate() {
        if !places.get(..n).is_some_and(|before| before.contains(place))
            && let Some(facts) = Facts::read(place)
        {
            found.extend(judge(&facts, ledger.as_ref() == Some(place), config));
        }
    }
    found
}

fn judge(facts: &Facts, ledger: bool, config: &Config) -> Vec<Finding> {
    let what = facts.place.display().to_string();
    let mut found = Vec::new();
    let mut add = |severity, why: String, fix: &str| found.push(Finding::new(Part::Disk, severity, &what, why, fix));
    let full = in_production(config, Severity::Error, Severity::Warning);
    let warning = in_production(config, Severity::Warning, Severity::Note);
    if facts.free < NOTHING {
        let why = format!("{} MB are left: when it is full, nothing is booked", facts.free / 1_000_000);
        add(full, why, "df -h; make room, or enlarge the volume");
    } else if facts.free < LITTLE {
        let why = format!(
            "{} MB are left: a night writes some hundred bytes for each booking, and Redis more",
            facts.free / 1_000_000
        );
        add(warning, why, "df -h; make room, or enlarge the volume");
    }
    if facts.files < FEW_FILES {
        add(full, format!("only {} more files can be made", facts.files), "df -i; remove what is not needed");
    }
    let fix = "put the ledger on a local disk (the setting ledger or data), or into a CQL cluster";
    match facts.kind {
        Kind::Network if ledger => {
            let why = "is on another machine: locks and syncs of network file systems do not hold what SQLite needs";
            add(full, why.to_owned(), fix);
        }
        Kind::Memory if ledger => {
            add(full, "is in memory: a restart of the machine loses every booking".to_owned(), fix)
        }
        Kind::Layer if ledger => {
            add(
                warning,
                "is in the layer of a container: it goes with the container".to_owned(),
                "mount a volume there",
            );
        }
        _ => {}
    }
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::config::{Given, Loaded};

    fn said(free: u64, files: u64, kind: Kind, ledger: bool) -> Vec<(&'static str, String)> {
        let config =
            Loaded::new(&Given { flags: vec![("mode", "--mode", "production".to_owned())], ..Given::default() });
        let facts = Facts { place: PathBuf::from("/data"), free, files, kind };
        let found = judge(&facts, ledger, &config.config().unwrap());
        found.into_iter().map(|one| (one.severity.as_str(), one.why)).collect()
    }

    #[test]
    fn a_place_is_judged_by_its_room_and_its_kind() {
        assert_eq!(said(LITTLE, FEW_FILES, Kind::Other, true), []);
        assert!(matches!(&said(NOTHING, FEW_FILES, Kind::Other, true)[..], [("warning", _)]));
        assert!(
            matches!(&said(NOTHING - 1, 3, Kind::Other, true)[..], [("error", room), ("error", _)] if room.contains("999 MB"))
        );
        assert!(matches!(&said(LITTLE, FEW_FILES, Kind::Network, true)[..], [("error", why)] if why.contains("locks")));
        assert!(matches!(&said(LITTLE, FEW_FILES, Kind::Memory, true)[..], [("error", _)]));
        assert!(matches!(&said(LITTLE, FEW_FILES, Kind::Layer, true)[..], [("warning", _)]));
        assert_eq!(said(LITTLE, FEW_FILES, Kind::Network, false), [], "without the ledger there nothing is lost");
    }

    #[test]
    fn a_place_that_is_not_there_yet_is_judged_by_where_it_will_be() {
        let folder = tempfile::tempdir().unwrap();
        let facts = Facts::read(&folder.path().join("a/b/c")).unwrap();
        assert!(facts.free > 0 && facts.files > 0);
        assert_eq!(
            (Kind::of(0x6969), Kind::of(0x0102_1994), Kind::of(0xef53)),
            (Kind::Network, Kind::Memory, Kind::Other)
        );
        assert_eq!(Facts::read(Path::new("/dev/shm")).map(|facts| facts.kind), Some(Kind::Memory));
    }
}
