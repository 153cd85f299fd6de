//! The support bundle: one text that says what an installation is and how it is doing, without anything that is secret.
//!
//! Nothing in it names a visitor, and no key or password is in it: what is known to be secret is removed by its value, what looks
//! like a secret by its form, and the whole is looked through once more before it is written. It is text, so that whoever sends it
//! can read it first.

mod redact;
mod system;

use std::fmt::{Display, Write as _};
use std::path::{Path, PathBuf};

use ledger::Ledger;

use crate::admin::Admin;
use crate::config::{Config, Shown};
use crate::failure::{Failure, remedy};
use crate::keys::KeyFile;
use crate::running::{self, Build};
use crate::{doctor, stores};
use redact::Redactor;

/// Lines of a log that are taken: the last ones.
const LOG_LINES: usize = 2_000;
/// Logs of the ledger that are listed.
const MAX_LOGS: usize = 1_000;

/// A text of sections.
#[derive(Default)]
struct Text(String);

impl Text {
    fn section(&mut self, name: &str, body: impl Display) {
        // Writing to text cannot fail.
        let _ = write!(self.0, "== {name}\n{}\n\n", body.to_string().trim_end());
    }

    /// What is not there is said, so that nobody thinks that it is empty.
    fn try_section(&mut self, name: &str, body: Result<String, Failure>) {
        match body {
            Ok(body) => self.section(name, body),
            Err(failure) => self.section(name, format_args!("left out: {failure}")),
        }
    }
}

/// Puts everything together. `logs`: files of which the end is taken along.
///
/// # Errors
/// Something secret would be in it: nothing is given out then.
pub(crate) async fn bundle(config: &Config, shown: &[Shown], logs: &[PathBuf]) -> Result<String, Failure> {
    let keys = KeyFile::new(config.keys());
    // Without the file its keys are not known, and nothing of what is gathered can have them but by their form.
    let loaded = if keys.exists() { Some(keys.load()?) } else { None };
    let secrets: Vec<String> = loaded.iter().flat_map(crate::keys::Keys::secrets).chain(config.secrets()).collect();
    let redactor = Redactor::new(secrets);
    let mut text = Text::default();
    about(&mut text, config, shown);
    let findings: Vec<String> = doctor::examine(config).await.iter().map(ToString::to_string).collect();
    text.section("findings of doctor", if findings.is_empty() { "none".to_owned() } else { findings.join("\n") });
    program(&mut text, config);
    text.try_section("logs of the ledger", of_ledger(config).await);
    if let Some(access) = &config.redis {
        let facts = lua::facts::gather(access, std::time::Duration::from_secs(2)).await;
        text.section("Redis", format_args!("{facts:#?}"));
    }
    text.section("machine", system::text());
    text.try_section("data directory", system::listing(config.layout().root()));
    let own = config.layout().path("redis.log");
    for log in logs.iter().chain(own.exists().then_some(&own)) {
        text.try_section(&format!("end of {}", log.display()), tail(log));
    }
    redactor.clean(&text.0)
}

fn about(text: &mut Text, config: &Config, shown: &[Shown]) {
    let Build { version, scripts } = Build::own();
    let now = (admission::clock::system())();
    text.section(
        "holdfast",
        format_args!("version {version}\nscripts {scripts}\nmade at {now}\nmode {:?}", config.mode),
    );
    let mut settings = String::new();
    for Shown { key, value, origin } in shown {
        let _ = writeln!(settings, "{key} = {value}  # {origin}");
    }
    text.section("configuration", settings);
}

/// What the program that runs says of itself.
fn program(text: &mut Text, config: &Config) {
    match running::now(&config.layout()) {
        None => text.section("running program", "none on this data directory"),
        Some(running) => text.section("running program", format_args!("{running:#?}")),
    }
    let admin = Admin::new(config);
    for path in ["/readyz?verbose", "/metrics", "/admin/v1/sales"] {
        let asked = admin.as_ref().map_err(|failure| failure.to_string());
        let answer = match asked {
            Ok(admin) => admin.call("GET", path, &[], "").map(|answer| format!("{}\n{}", answer.status, answer.body)),
            Err(why) => Err(Failure::new("operators' listener", why, "")),
        };
        text.try_section(path, answer);
    }
}

/// Names and heads of all logs; no event.
async fn of_ledger(config: &Config) -> Result<String, Failure> {
    let ledger: Ledger = stores::existing_ledger(config).await?;
    let mut text = String::new();
    let logs = ledger.list("").await.map_err(stores::ledger_failure)?;
    for log in logs.iter().take(MAX_LOGS) {
        let head = ledger.head(log).await.map_err(stores::ledger_failure)?;
        let _ = writeln!(text, "{log}\t{head:?}");
    }
    if logs.len() > MAX_LOGS {
        let _ = writeln!(text, "and {} more", logs.len() - MAX_LOGS);
    }
    Ok(text)
}

fn tail(path: &Path) -> Result<String, Failure> {
    let bytes =
        std::fs::read(path).map_err(|error| Failure::new(format!("log {}", path.display()), &error, remedy(&error)))?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    Ok(lines.get(lines.len().saturating_sub(LOG_LINES)..).unwrap_or_default().join("\n"))
}
