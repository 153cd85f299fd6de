//! The command line: words and flags, nothing else.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::config::Given;
use crate::keys::Step;

/// A queue-fronted booking appliance: waiting room, holds, bookings that are never sold twice.
#[derive(Debug, Parser)]
#[command(name = "holdfast", version, disable_help_subcommand = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags of every command. Every setting can also be given as HOLDFAST_... in the environment.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// Read settings from this file
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Directory of everything kept on this machine [default: holdfast-data]
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<String>,
    /// Address for visitors; port 0 takes a free one [default: 127.0.0.1:8080]
    #[arg(long, global = true, value_name = "ADDR")]
    listen: Option<String>,
    /// Address for operators [default: 127.0.0.1:8081]
    #[arg(long, global = true, value_name = "ADDR")]
    admin_listen: Option<String>,
    /// Write data as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

impl Common {
    /// What the flags say about settings.
    pub(crate) fn given(&self) -> Given {
        let flags = [
            ("data", "--data", &self.data),
            ("listen", "--listen", &self.listen),
            ("admin_listen", "--admin-listen", &self.admin_listen),
        ];
        let flags = flags.into_iter().filter_map(|(key, flag, value)| Some((key, flag, value.clone()?))).collect();
        Given { command: None, file: self.config.clone(), flags }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run everything in one process on stores of its own, with a demo sale
    Dev(Dev),
    /// Run roles on a configured Redis and ledger
    Serve(Serve),
    /// Operate a sale of a running program
    #[command(subcommand)]
    Sale(Sale),
    /// Prove from the stores themselves that nothing was sold twice, lost or orphaned
    Audit {
        /// The sale's id
        sale: String,
    },
    /// Read the ledger
    #[command(subcommand)]
    Log(Log),
    /// Prepare the ledger
    #[command(subcommand)]
    Ledger(Ledger),
    /// Find what is wrong with this installation, or unsafe, and what ends it
    Doctor,
    /// Help others to help
    #[command(subcommand)]
    Support(crate::commands::support::Support),
    /// The page that visitors see
    #[command(subcommand)]
    Page(crate::commands::page::Page),
    /// Check the order that a lobby was put in
    #[command(subcommand)]
    Draw(crate::commands::draw::Draw),
    /// Send visitors, measure, and check what they saw
    Load(Box<crate::commands::load::Load>),
    /// Look at the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Check the configuration and print every mistake
    CheckConfig,
    /// Keys of tokens, operators and visitors
    #[command(subcommand)]
    Keys(Keys),
    /// Print the version
    Version,
    /// Print a completion script for this shell
    Completion { shell: clap_complete::Shell },
    /// Print the commands of the banner that book a ticket at this address
    #[command(hide = true)]
    Journey {
        /// Where visitors are served: http://HOST:PORT
        public: String,
    },
    /// Print the man page
    Man,
    /// Print docs/metrics.md
    #[command(hide = true)]
    MetricsPage,
    /// Print docs/cli.md
    #[command(hide = true)]
    CliPage,
    /// Print docs/errors.md
    #[command(hide = true)]
    ErrorsPage,
}

#[derive(Debug, Args)]
pub(crate) struct Dev {
    /// Apply and open the sale of this file as well (may be repeated)
    #[arg(long = "sale", value_name = "FILE")]
    pub(crate) sales: Vec<PathBuf>,
    /// Start without the demo sales
    #[arg(long)]
    pub(crate) no_demo: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Roles of this process, separated by commas: ingress, admission, booker, reconciler [default: all]
    #[arg(long, value_name = "ROLES", value_delimiter = ',')]
    pub(crate) role: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Sale {
    /// Create or change a sale from its document
    Apply {
        /// A TOML file; - reads stdin
        file: PathBuf,
    },
    /// All sales
    List,
    /// One sale with its figures
    Show { sale: String },
    /// Open now, whatever the document says
    Open {
        sale: String,
        /// Why, for the record
        #[arg(long, default_value = "")]
        why: String,
    },
    /// Call, let in and hold nobody until resumed; places, holds and confirms go on
    Pause {
        sale: String,
        /// What visitors are told
        #[arg(long, default_value = "")]
        reason: String,
        /// Why, for the record; the reason when absent
        #[arg(long, default_value = "")]
        why: String,
    },
    /// Go on after a pause
    Resume {
        sale: String,
        /// Time in which the pace grows to its full height: 90s, 5m
        #[arg(long, default_value = "30s", value_parser = crate::commands::load::duration)]
        ramp: Duration,
        /// Why, for the record
        #[arg(long, default_value = "")]
        why: String,
    },
    /// Set how many passes are issued per minute at most
    Pace {
        sale: String,
        per_minute: u32,
        /// Why, for the record
        #[arg(long, default_value = "")]
        why: String,
    },
    /// Set how many passes may be alive at once
    Cap {
        sale: String,
        active_passes: u32,
        /// Why, for the record
        #[arg(long, default_value = "")]
        why: String,
    },
    /// Take no new visitors into the line; who has a place keeps it
    StopJoining {
        sale: String,
        /// Take them again
        #[arg(long)]
        undo: bool,
        /// Why, for the record
        #[arg(long, default_value = "")]
        why: String,
    },
    /// Call everybody whom the stock can serve; passes are issued within pace and cap all the same
    LetThrough {
        sale: String,
        /// Go back to calling at the pace
        #[arg(long)]
        undo: bool,
        /// Why, for the record
        #[arg(long, default_value = "")]
        why: String,
    },
    /// Add units to an item, or withdraw units that nobody has
    Stock {
        sale: String,
        item: String,
        /// Below zero: withdraw as many
        #[arg(allow_negative_numbers = true)]
        units: i64,
        /// The same key counts once, however often it is sent; a new random one when absent
        #[arg(long)]
        key: Option<String>,
        /// Why, for the record
        #[arg(long, default_value = "")]
        why: String,
    },
    /// Make signed access codes for a class, one a line; they are stored nowhere
    Codes {
        sale: String,
        /// The class' id in the sale's document
        #[arg(long)]
        class: String,
        /// How many codes, up to 10000
        #[arg(long, default_value_t = 1)]
        count: u64,
        /// How many visitors may use each
        #[arg(long, default_value_t = 1)]
        uses: u64,
        /// Why, for the program's log
        #[arg(long, default_value = "")]
        why: String,
    },
    /// Close now, for good
    Close {
        sale: String,
        /// Why, for the record
        #[arg(long, default_value = "")]
        why: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Log {
    /// Names of all logs
    List {
        /// Only those that begin like this: lane/demo/
        #[arg(default_value = "")]
        prefix: String,
    },
    /// A log's events, one a line
    Read {
        /// Its name, such as lane/demo/0
        log: String,
        /// First event to print
        #[arg(long, value_name = "SEQ", default_value_t = 1)]
        from: u64,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Ledger {
    /// Make the keyspace of a CQL ledger and bring its tables to this version; may be run again
    Migrate,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print every setting as it counts now
    Show {
        /// And where it comes from
        #[arg(long)]
        origin: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Keys {
    /// Write a file of fresh random keys; one that exists is never touched
    Create {
        /// Where; the configured keys file when absent
        file: Option<PathBuf>,
    },
    /// Add what an older file lacks for several processes; keys that are there stay
    Complete {
        /// Where; the configured keys file when absent
        file: Option<PathBuf>,
    },
    /// Change token and process keys without downtime: add, use, drop; after each step every process reads the file again (SIGHUP)
    Rotate {
        step: Step,
        /// Where; the configured keys file when absent
        file: Option<PathBuf>,
    },
    /// Delete the visitor key of a sale for good: nobody can connect its logs with a visitor any more
    Forget {
        sale: String,
        /// Where; the configured keys file when absent
        file: Option<PathBuf>,
    },
}
