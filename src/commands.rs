//! One function per command.

mod audit;
mod doctor;
pub(crate) mod draw;
mod ledger;
pub(crate) mod load;
mod log;
pub(crate) mod page;
mod sale;
mod settings;
pub(crate) mod support;

use std::process::ExitCode;

use clap::CommandFactory as _;

use crate::appliance::{self, Options};
use crate::cli::{Cli, Command, Dev, Keys, Serve};
use crate::config::{Config, Given, Loaded};
use crate::failure::{Exit, Failure};
use crate::keys::KeyFile;
use crate::out;
use crate::roles::Roles;

/// Runs the command. `Ok` with another exit code than done means that it said why by itself.
pub(crate) fn run(cli: &Cli) -> Result<ExitCode, Failure> {
    let json = cli.common.json;
    let exit = match &cli.command {
        Command::Dev(dev) => run_dev(&config(cli)?, dev, json),
        Command::Serve(serve) => run_serve(&config(cli)?, serve, json),
        Command::Sale(command) => sale::run(&config(cli)?, command, json),
        Command::Audit { sale } => audit::run(&config(cli)?, sale, json),
        Command::Log(command) => log::run(&config(cli)?, command, json),
        Command::Ledger(command) => ledger::run(&config(cli)?, command, json),
        Command::Doctor => doctor::run(&config(cli)?, json),
        Command::Support(command) => support::run(loaded(cli), command),
        Command::Page(command) => page::run(command, json),
        Command::Draw(command) => draw::run(command, json),
        Command::Load(load) => {
            if let Some(done) = load.without_run(json) {
                return done;
            }
            let config = config(cli)?;
            return Ok(load::run(load, &config, operator_key(&config), json));
        }
        Command::Config(command) => settings::show(&loaded(cli), command, json),
        Command::CheckConfig => settings::check(&loaded(cli), json),
        Command::Keys(command) => keys(&config(cli)?, command),
        Command::Version => version(json),
        Command::Completion { shell } => completion(*shell),
        Command::Journey { public } => text(&crate::banner::journey(public)),
        Command::Man => crate::pages::man(Cli::command())
            .map_err(|error| Failure::new("man page", error, ""))
            .and_then(|page| text(&page)),
        Command::MetricsPage => text(&crate::observe::page()),
        Command::CliPage => text(&crate::pages::cli(Cli::command())),
        Command::ErrorsPage => text(&ingress::problems_page()),
    };
    exit.map(ExitCode::from)
}

fn run_dev(config: &Config, dev: &Dev, json: bool) -> Result<Exit, Failure> {
    let options =
        Options { own_redis: true, demo: !dev.no_demo, sales: dev.sales.clone(), roles: Roles::EMBEDDED, json };
    appliance::run(config, &options).map(|()| Exit::Done)
}

fn run_serve(config: &Config, serve: &Serve, json: bool) -> Result<Exit, Failure> {
    let roles = Roles::parse(&serve.role)?;
    let options = Options { own_redis: false, demo: false, sales: Vec::new(), roles, json };
    appliance::run(config, &options).map(|()| Exit::Done)
}

/// The key of the settings, or the first one of the data directory, where there is one.
fn operator_key(config: &Config) -> Option<String> {
    let of_file = || KeyFile::new(config.keys()).load().ok()?.operator.into_iter().next().map(|operator| operator.key);
    config.operator_key.clone().or_else(of_file)
}

/// What `dev` sets for itself: everybody who tries it comes from one machine, and a load test is no attack.
const OF_DEV: &[(&str, &str)] = &[("edge.visitors_per_minute", "0"), ("edge.joins_per_minute", "0")];

fn loaded(cli: &Cli) -> Loaded {
    let of_dev = matches!(cli.command, Command::Dev(_)).then_some(("dev", OF_DEV));
    Loaded::new(&Given { command: of_dev, ..cli.common.given() })
}

fn config(cli: &Cli) -> Result<Config, Failure> {
    loaded(cli).config()
}

fn keys(config: &Config, command: &Keys) -> Result<Exit, Failure> {
    let at = |file: &Option<std::path::PathBuf>| file.clone().unwrap_or_else(|| config.keys());
    match command {
        Keys::Create { file } => return create_keys(config, file.as_ref()),
        Keys::Complete { file } => {
            KeyFile::new(at(file)).complete()?;
            out::line(at(file).display())?;
        }
        Keys::Rotate { step, file } => {
            KeyFile::new(at(file)).rotate(*step)?;
            out::line(at(file).display())?;
            out::say(
                "give every process this file and send SIGHUP; the next step when each has said that it read its keys\n",
            );
        }
        Keys::Forget { sale, file } => {
            let id = sale
                .parse()
                .map_err(|error| Failure::usage(format!("sale {sale:?}"), error, "name it as its document does"))?;
            KeyFile::new(at(file)).forget(&id)?;
            out::say(
                "forgotten here; give every process this file and send SIGHUP, and destroy the copies of the old one\n",
            );
        }
    }
    Ok(Exit::Done)
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
    text(&String::from_utf8_lossy(&script))
}

fn text(text: &str) -> Result<Exit, Failure> {
    let mut out = out::Out::new();
    out.text(text)?;
    out.done()?;
    Ok(Exit::Done)
}
