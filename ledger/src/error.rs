//! What can go wrong with a store. Each message is one line that says what to do.

use std::path::PathBuf;

/// Whether a failed append may still be in the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Applied {
    /// Certainly not in the log, now or later. The same writer may go on.
    No,
    /// It may be in the log, or get there later. Only the log can tell: claim and read again (R4).
    Unknown,
}

/// A call that the store could not carry out. Being fenced is no error: see [`crate::Append::Fenced`].
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Error {
    /// The store did not answer, or could not be reached. Try again.
    #[error("the ledger does not answer: {why}")]
    Unavailable {
        /// What was seen, for the operator.
        why: String,
        /// Whether an append may be in the log all the same.
        applied: Applied,
    },
    /// No space. Nothing was written; works again by itself once there is space.
    #[error("no space left for the ledger {}: free space on that disk, bookings then go on by themselves", path.display())]
    Full {
        /// The store's file.
        path: PathBuf,
    },
    /// The file is damaged. Nothing more is written to it.
    #[error("the ledger {} is damaged ({why}): stop holdfast, keep a copy of the file, restore it from a backup", path.display())]
    Corrupt {
        /// The store's file.
        path: PathBuf,
        /// What was found.
        why: String,
    },
    /// The file or its folder may not be written.
    #[error("the ledger {} cannot be written: let this user write the file and its folder, or mount the disk writable", path.display())]
    ReadOnly {
        /// The store's file.
        path: PathBuf,
    },
    /// The folder of the file is not there.
    #[error("the folder of the ledger {} does not exist: create it, or mount its disk", path.display())]
    NoDirectory {
        /// The store's file.
        path: PathBuf,
    },
    /// Another process holds the file's write lock.
    #[error("the ledger {} is locked by another process: stop that process (another holdfast or an SQL shell)", path.display())]
    Locked {
        /// The store's file.
        path: PathBuf,
    },
    /// Written by a newer program.
    #[error("the ledger {} has version {found}, this program knows up to {known}: run a newer holdfast", path.display())]
    NewerVersion {
        /// The store's file.
        path: PathBuf,
        /// Version of the file.
        found: u32,
        /// Newest version this program reads.
        known: u32,
    },
    /// A database, but not one of Holdfast.
    #[error("{} belongs to another application: choose another data folder or move that file away", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The cluster could not be reached when the store was opened.
    #[error(
        "the ledger at {at} cannot be reached ({why}): start the database, or correct the addresses in ledger = \"cql:...\""
    )]
    Unreachable {
        /// Its contact points.
        at: String,
        /// What was seen.
        why: String,
    },
    /// The cluster does not let us in.
    #[error("the ledger at {at} refuses user {user:?}: correct cql.user and cql.password (HOLDFAST_CQL_PASSWORD)")]
    Credentials {
        /// Its contact points.
        at: String,
        /// Who was refused; empty when nobody was named.
        user: String,
    },
    /// The keyspace or its tables are not there.
    #[error("the ledger at {at} has {what}: run holdfast ledger migrate")]
    NotMigrated {
        /// Its contact points.
        at: String,
        /// What is missing, as `no keyspace x`.
        what: String,
    },
    /// The tables were made by a newer program.
    #[error("the ledger at {at} has schema {found}, this program knows up to {known}: run a newer holdfast")]
    NewerSchema {
        /// Its contact points and keyspace.
        at: String,
        /// Version found.
        found: i32,
        /// Newest version this program knows.
        known: i32,
    },
    /// It is not clear which data centre decides, or another one was named.
    #[error("keyspace {keyspace} at {at} has replicas in the data centres {names}: {why}")]
    Datacenter {
        /// Its contact points.
        at: String,
        /// The keyspace.
        keyspace: String,
        /// Data centres with replicas.
        names: String,
        /// What to do.
        why: String,
    },
    /// Rows of a CQL store contradict each other. Nothing more is written to that log.
    #[error(
        "the ledger {at} is damaged ({why}): stop holdfast, keep a snapshot of the keyspace, restore it from a backup"
    )]
    Damaged {
        /// Its contact points and keyspace.
        at: String,
        /// What was found.
        why: String,
    },
    /// The append is larger than a store takes. Refused before anything was sent.
    #[error("an append of {bytes} bytes is above the limit of {limit}: send smaller groups")]
    TooLarge {
        /// Bytes of its events.
        bytes: usize,
        /// `domain::limits::MAX_APPEND_BYTES`, or what the store was opened with.
        limit: usize,
    },
    /// The append has more events than a store takes. Refused before anything was sent.
    #[error("an append of {events} events is above the limit of {limit}: send smaller groups")]
    TooMany {
        /// Its events.
        events: usize,
        /// `domain::limits::MAX_APPEND_EVENTS`.
        limit: usize,
    },
    /// The caller's bug: no event at all, an empty event, or one with a line break in it. Refused before anything was sent.
    #[error("not an append: {why}")]
    BadAppend {
        /// What is wrong with it.
        why: &'static str,
    },
    /// The caller's bug: a claim without an owner, or with one that is too long.
    #[error("an owner's name has 1 to {limit} bytes and no NUL")]
    BadOwner {
        /// `domain::limits::MAX_OWNER_BYTES`.
        limit: usize,
    },
}

impl Error {
    /// Whether an append that ended so may still be in the log.
    #[must_use]
    pub const fn applied(&self) -> Applied {
        match self {
            Self::Unavailable { applied, .. } => *applied,
            Self::Full { .. }
            | Self::Corrupt { .. }
            | Self::ReadOnly { .. }
            | Self::NoDirectory { .. }
            | Self::Locked { .. }
            | Self::NewerVersion { .. }
            | Self::Foreign { .. }
            | Self::Unreachable { .. }
            | Self::Credentials { .. }
            | Self::NotMigrated { .. }
            | Self::NewerSchema { .. }
            | Self::Datacenter { .. }
            | Self::Damaged { .. }
            | Self::TooLarge { .. }
            | Self::TooMany { .. }
            | Self::BadAppend { .. }
            | Self::BadOwner { .. } => Applied::No,
        }
    }

    /// The kind's name, as label of a metric.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Unavailable { applied: Applied::No, .. } => "unavailable",
            Self::Unavailable { applied: Applied::Unknown, .. } => "unknown",
            Self::Full { .. } => "full",
            Self::Corrupt { .. } => "corrupt",
            Self::ReadOnly { .. } => "read_only",
            Self::NoDirectory { .. } => "no_directory",
            Self::Locked { .. } => "locked",
            Self::NewerVersion { .. } => "newer_version",
            Self::Foreign { .. } => "foreign",
            Self::Unreachable { .. } => "unreachable",
            Self::Credentials { .. } => "credentials",
            Self::NotMigrated { .. } => "not_migrated",
            Self::NewerSchema { .. } => "newer_schema",
            Self::Datacenter { .. } => "datacenter",
            Self::Damaged { .. } => "damaged",
            Self::TooLarge { .. } => "too_large",
            Self::TooMany { .. } => "too_many",
            Self::BadAppend { .. } => "bad_append",
            Self::BadOwner { .. } => "bad_owner",
        }
    }

    /// Every value of [`Error::kind`].
    pub const KINDS: &[&str] = &[
        "unavailable",
        "unknown",
        "full",
        "corrupt",
        "read_only",
        "no_directory",
        "locked",
        "newer_version",
        "foreign",
        "unreachable",
        "credentials",
        "not_migrated",
        "newer_schema",
        "datacenter",
        "damaged",
        "too_large",
        "too_many",
        "bad_append",
        "bad_owner",
    ];

    pub(crate) fn unavailable(why: impl Into<String>) -> Self {
        Self::Unavailable { why: why.into(), applied: Applied::No }
    }

    pub(crate) fn unknown(why: impl Into<String>) -> Self {
        Self::Unavailable { why: why.into(), applied: Applied::Unknown }
    }
}
