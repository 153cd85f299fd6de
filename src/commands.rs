//! One function per command.

mod log;
mod settings;

use clap::CommandFactory as _;

use crate::cli::{Cli, Command, Keys};
use crate::config::{Config, Loaded};
use crate::failure::{Exit, Failure};
use crate::keys::KeyFile;
use crate::out;

/// Runs the command. `Ok` with another exit code than done means that it said why by itself.
pub(crate) fn run(cli: &Cli) -> Result<Exit, Failure> {
    let json = cli.common.json;
    match &cli.command {
        Command::Log(command) => log::run(&config(cli)?, command, json),
        Command::Config(command) => settings::show(&loaded(cli), command, json),
        Command::CheckConfig => settings::check(&loaded(cli), json),
        Command::Keys(Keys::Create { file }) => create_keys(&config(cli)?, file.as_ref()),
        Command::Version => version(json),
        Command::Completion { shell } => completion(*shell),
        Command::MetricsPage => metrics_page(),
        _ => Err(Failure::usage("command", "not there yet", "")),
    }
}

fn loaded(cli: &Cli) -> Loaded {
    Loaded::new(&cli.common.given())
}

fn config(cli: &Cli) -> Result<Config, Failure> {
    loaded(cli).config()
}

fn create_keys(config: &Config, file: Option<&std::path::PathBuf>) -> Result<Exit, Failure> {
    let path = file.cloned().unwrap_or_else(|| config.keys());
    let file = KeyFile::new(path.clone());
    if file.exists() {
        return Err(Failure::new(
            format!("keys file {}", path.display()),
            "exists already",
            "move it away first, or name another one",
        ));
    }
    file.create("operator")?;
    out::line(path.display())?;
    Ok(Exit::Done)
}

fn version(json: bool) -> Result<Exit, Failure> {
    let version = env!("CARGO_PKG_VERSION");
    if json {
        out::line(serde_json::json!({ "version": version }))?;
    } else {
        out::line(format_args!("holdfast {version}"))?;
    }
    Ok(Exit::Done)
}

fn completion(shell: clap_complete::Shell) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "holdfast", &mut script);
    let mut out = out::Out::new();
    out.text(&String::from_utf8_lossy(&script))?;
    out.done()?;
    Ok(Exit::Done)
}

fn metrics_page() -> Result<Exit, Failure> {
    let mut out = out::Out::new();
    out.text(&crate::observe::page())?;
    out.done()?;
    Ok(Exit::Done)
}
