//! Checks every value once, so that all mistakes are told together.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use domain::table::{Mistake, Reader};

use super::layers::{Layers, Origin};
use super::{Config, HttpSettings, LogSettings, Mode, RedisAt};

/// Threads nobody needs more of: one per core of the largest machines.
const MAX_THREADS: u64 = 1_024;
/// Characters of a path or an address.
const MAX_TEXT: usize = 4_096;
/// Proxies and origins that can be named.
const MAX_NAMES: usize = 64;
/// Milliseconds a wait of the HTTP server may be set to: an hour.
const MAX_WAIT_MS: u64 = 3_600_000;
/// Connections and requests at once: more than the file descriptors of a process.
const MAX_AT_ONCE: u64 = 1_000_000;

/// The configuration, or `None` with at least one mistake.
pub(super) fn read(layers: &Layers, mistakes: &mut Vec<Mistake>) -> Option<Config> {
    let mut reader = Reader::new(&layers.table, mistakes);
    let mode = reader.choice("mode", &["dev", "production"]);
    let data = reader.text("data", MAX_TEXT);
    let listen = address(&mut reader, "listen");
    let admin_listen = address(&mut reader, "admin_listen");
    let threads = reader.number("threads", 0..=MAX_THREADS);
    let redis = redis(&mut reader);
    let redis_server = reader.text("redis_server", MAX_TEXT);
    let ledger = ledger(&mut reader);
    let keys = reader.text("keys", MAX_TEXT);
    let operator_key = operator_key(&mut reader);
    let log = reader.table("log", |reader| {
        let level = reader.text("level", MAX_TEXT);
        let format = reader.choice("format", &["text", "json"]);
        Some(LogSettings { level: level?, json: format? == "json" })
    });
    let edge = reader.table("edge", |reader| {
        let proxies = reader.list::<String>("trusted_proxies", MAX_NAMES);
        let protocol = reader.flag("proxy_protocol");
        let origins = reader.list::<String>("allowed_origins", MAX_NAMES);
        let visitors = reader.number_u32("visitors_per_minute", 0..=u32::MAX);
        Some((proxies?, protocol?, origins?, visitors?))
    });
    let http = reader.table("http", http);
    reader.finish();

    let (trusted_proxies, proxy_protocol, allowed_origins, visitors_per_minute) = edge?;
    let admin_listen_given = layers.origins.get("admin_listen") != Some(&Origin::Default);
    Some(Config {
        mode: if mode? == "production" { Mode::Production } else { Mode::Dev },
        data: PathBuf::from(data?),
        listen: listen?,
        admin_listen: admin_listen?,
        admin_listen_given,
        threads: usize::try_from(threads?).ok()?,
        redis: redis?,
        redis_server: redis_server?,
        ledger: ledger?,
        keys: PathBuf::from(keys?),
        operator_key: operator_key?,
        log: log?,
        http: HttpSettings { trusted_proxies, proxy_protocol, allowed_origins, visitors_per_minute, ..http? },
    })
}

fn http(reader: &mut Reader<'_>) -> Option<HttpSettings> {
    let count = |reader: &mut Reader<'_>, key, least| {
        reader.number(key, least..=MAX_AT_ONCE).and_then(|number| usize::try_from(number).ok())
    };
    let connections = count(reader, "connections", 1);
    let connections_per_address = count(reader, "connections_per_address", 0);
    let in_flight = count(reader, "in_flight", 1);
    // The least is what the server's own buffer needs; the most keeps a connection's memory small.
    let head_bytes = reader.number("head_bytes", 8_192..=1 << 20);
    let body_bytes = reader.number("body_bytes", 1_024..=1 << 20);
    let mut wait = |key| reader.duration_ms(key, 1..=MAX_WAIT_MS).map(Duration::from_millis);
    let (first_byte, head, body) = (wait("first_byte"), wait("head"), wait("body"));
    let (idle, write) = (wait("idle"), wait("write"));
    let (confirm_patience, drain) = (wait("confirm_patience"), wait("drain"));
    Some(HttpSettings {
        connections: connections?,
        connections_per_address: connections_per_address?,
        in_flight: in_flight?,
        head_bytes: usize::try_from(head_bytes?).ok()?,
        body_bytes: usize::try_from(body_bytes?).ok()?,
        first_byte: first_byte?,
        head: head?,
        body: body?,
        idle: idle?,
        write: write?,
        confirm_patience: confirm_patience?,
        drain: drain?,
        ..HttpSettings::default()
    })
}

fn address(reader: &mut Reader<'_>, key: &'static str) -> Option<SocketAddr> {
    let text = reader.text(key, MAX_TEXT)?;
    let address = text.strip_prefix("http://").unwrap_or(&text).replace("localhost:", "127.0.0.1:").parse().ok();
    if address.is_none() {
        reader.wrong(key, format!("{text:?}"), "must be an address with a port, such as 127.0.0.1:8080 or [::1]:8080");
    }
    address
}

/// Empty text, where that is allowed, as `Some(None)`.
fn optional(reader: &mut Reader<'_>, key: &'static str) -> Option<Option<String>> {
    match reader.take(key).and_then(|value| value.as_str()) {
        Some("") => Some(None),
        _ => reader.text(key, MAX_TEXT).map(Some),
    }
}

fn redis(reader: &mut Reader<'_>) -> Option<Option<RedisAt>> {
    let Some(text) = optional(reader, "redis")? else { return Some(None) };
    let at = match text.strip_prefix("unix:") {
        Some(path) if !path.is_empty() => Some(RedisAt::Unix(PathBuf::from(path))),
        Some(_) => None,
        None => text
            .strip_prefix("redis://")
            .unwrap_or(&text)
            .trim_end_matches('/')
            .rsplit_once(':')
            .filter(|(host, _)| !host.is_empty() && !host.contains(['/', '@']))
            .and_then(|(host, port)| Some(RedisAt::Tcp(host.to_owned(), port.parse().ok()?))),
    };
    if at.is_none() {
        reader.wrong("redis", format!("{text:?}"), "must be unix:PATH or HOST:PORT");
    }
    at.map(Some)
}

fn ledger(reader: &mut Reader<'_>) -> Option<PathBuf> {
    let text = reader.text("ledger", MAX_TEXT)?;
    let path = text.strip_prefix("sqlite:").filter(|path| !path.is_empty());
    if path.is_none() {
        reader.wrong("ledger", format!("{text:?}"), "must be sqlite:PATH");
    }
    path.map(PathBuf::from)
}

/// Its value is in no message.
fn operator_key(reader: &mut Reader<'_>) -> Option<Option<String>> {
    match reader.take("operator_key").map(|value| value.as_str()) {
        Some(Some("")) => Some(None),
        Some(Some(key)) if key.bytes().all(|byte| byte.is_ascii_graphic()) => Some(Some(key.to_owned())),
        _ => {
            reader.wrong("operator_key", "", "must be text without spaces");
            None
        }
    }
}
