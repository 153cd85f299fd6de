//! Checks every value once, so that all mistakes are told together.

use std::net::{Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use domain::table::{Mistake, Reader};
use ingress::Network;
use lua::{Access, Credentials};

use super::layers::{Layers, Origin};
use super::ledger::{self, Said};
use super::{Config, LogSettings, Mode};

/// Threads nobody needs more of: one per core of the largest machines.
const MAX_THREADS: u64 = 1_024;
/// Characters of a path or an address.
const MAX_TEXT: usize = 4_096;
/// Proxies and origins that can be named.
const MAX_NAMES: usize = 64;
/// Milliseconds a wait may be set to: an hour.
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
    let internal_listen = internal_listen(&mut reader);
    let internal_address = optional(&mut reader, "internal_address");
    let threads = reader.number("threads", 0..=MAX_THREADS);
    let redis = redis(&mut reader);
    let redis_server = reader.text("redis_server", MAX_TEXT);
    let ledger = Said::read(&mut reader);
    let start_wait = reader.duration_ms("start_wait", 0..=MAX_WAIT_MS).map(Duration::from_millis);
    let keys = reader.text("keys", MAX_TEXT);
    let operator_key = secret(&mut reader, "operator_key");
    let log = reader.table("log", |reader| {
        let level = reader.text("level", MAX_TEXT);
        let format = reader.choice("format", &["text", "json"]);
        Some(LogSettings { level: level?, json: format? == "json" })
    });
    let cql = reader.table("cql", ledger::access);
    let edge = reader.table("edge", edge);
    let http = reader.table("http", http);
    reader.finish();

    let (edge, tls) = edge?;
    let http = http?;
    let admin_listen_given = layers.origins.get("admin_listen") != Some(&Origin::Default);
    let cql = cql?;
    Some(Config {
        mode: if mode? == "production" { Mode::Production } else { Mode::Dev },
        data: PathBuf::from(data?),
        listen: listen?,
        admin_listen: admin_listen?,
        admin_listen_given,
        internal_listen: internal_listen?,
        internal_address: internal_address?,
        threads: usize::try_from(threads?).ok()?,
        redis: redis?,
        redis_server: redis_server?,
        start_wait: start_wait?,
        cql_password: cql.password.clone(),
        ledger: ledger?.with(cql),
        keys: PathBuf::from(keys?),
        operator_key: operator_key?,
        log: log?,
        http: ingress::Settings {
            server: http.server,
            in_flight: http.in_flight,
            confirm_patience: http.confirm_patience,
            ..edge
        },
        tls,
    })
}

/// Certificate chain and key.
type Tls = (PathBuf, PathBuf);

/// What is trusted, in settings whose other values do not count; and the certificate.
fn edge(reader: &mut Reader<'_>) -> Option<(ingress::Settings, Option<Tls>)> {
    let trusted_proxies = networks(reader, "trusted_proxies");
    let proxy_protocol = reader.flag("proxy_protocol");
    let allowed_origins = origins(reader, "allowed_origins");
    let visitors_per_minute = reader.number_u32("visitors_per_minute", 0..=u32::MAX);
    let joins_per_minute = reader.number_u32("joins_per_minute", 0..=u32::MAX);
    let joins_per_visitor = reader.number_u32("joins_per_visitor", 0..=u32::MAX);
    let bits = |reader: &mut Reader<'_>, key, range| reader.number(key, range).and_then(|n| u8::try_from(n).ok());
    let (ipv4_bits, ipv6_bits) = (bits(reader, "ipv4_bits", 8..=32), bits(reader, "ipv6_bits", 16..=128));
    let (certificate, key) = (optional(reader, "tls_certificate"), optional(reader, "tls_key"));
    let tls = match (certificate?, key?) {
        (Some(certificate), Some(key)) => Some((PathBuf::from(certificate), PathBuf::from(key))),
        (None, None) => None,
        (Some(_), None) => return missing(reader, "tls_key", "tls_certificate"),
        (None, Some(_)) => return missing(reader, "tls_certificate", "tls_key"),
    };
    let settings = ingress::Settings {
        trusted_proxies: trusted_proxies?,
        proxy_protocol: proxy_protocol?,
        allowed_origins: allowed_origins?,
        visitors_per_minute: visitors_per_minute?,
        joins_per_minute: joins_per_minute?,
        joins_per_visitor: joins_per_visitor?,
        address_bits: (ipv4_bits?, ipv6_bits?),
        ..ingress::Settings::default()
    };
    Some((settings, tls))
}

fn missing<T>(reader: &mut Reader<'_>, key: &str, other: &str) -> Option<T> {
    reader.wrong(key, "", format!("must be set as well, because {other} is"));
    None
}

fn networks(reader: &mut Reader<'_>, key: &'static str) -> Option<Vec<Network>> {
    let texts = reader.list::<String>(key, MAX_NAMES)?;
    let mut networks = Vec::new();
    for (n, text) in texts.iter().enumerate() {
        match text.parse() {
            Ok(network) => networks.push(network),
            Err(error) => reader.wrong(&format!("{key}[{n}]"), format!("{text:?}"), format!("{error}")),
        }
    }
    (networks.len() == texts.len()).then_some(networks)
}

/// Origins as browsers write them: scheme, host and port, nothing behind it.
fn origins(reader: &mut Reader<'_>, key: &'static str) -> Option<Vec<String>> {
    let texts = reader.list::<String>(key, MAX_NAMES)?;
    let mut wrong = false;
    for (n, text) in texts.iter().enumerate() {
        if !is_origin(text) {
            let problem = "must be an origin as browsers write it: lower case, no path, no default port, such as \"https://shop.example\"";
            let problem = problem.to_owned();
            reader.wrong(&format!("{key}[{n}]"), format!("{text:?}"), problem);
            wrong = true;
        }
    }
    (!wrong).then_some(texts)
}

fn is_origin(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let default = match scheme {
        "https" => "443",
        "http" => "80",
        _ => return false,
    };
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (rest, None),
    };
    let is_port = |port: &str| port != default && port.parse::<u16>().is_ok_and(|n| n.to_string() == port && n > 0);
    let in_label = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok_and(|parsed| parsed.to_string() == address),
        None => host.split('.').all(|label| !label.is_empty() && label.bytes().all(in_label)),
    };
    is_host && port.is_none_or(is_port)
}

/// Waits and sizes, in settings whose trust does not count.
fn http(reader: &mut Reader<'_>) -> Option<ingress::Settings> {
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
    let server = ingress::Limits {
        connections: connections?,
        connections_per_address: connections_per_address?,
        head_bytes: usize::try_from(head_bytes?).ok()?,
        body_bytes: usize::try_from(body_bytes?).ok()?,
        first_byte: first_byte?,
        head: head?,
        body: body?,
        idle: idle?,
        write: write?,
        drain: drain?,
    };
    Some(ingress::Settings {
        server,
        in_flight: in_flight?,
        confirm_patience: confirm_patience?,
        ..ingress::Settings::default()
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

/// Empty: other processes do not reach this one.
fn internal_listen(reader: &mut Reader<'_>) -> Option<Option<SocketAddr>> {
    optional(reader, "internal_listen")?.map_or(Some(None), |text| {
        let address = text.parse().ok();
        if address.is_none() {
            let problem = "must be an address with a port, such as 10.0.0.7:8082, or empty";
            reader.wrong("internal_listen", format!("{text:?}"), problem);
        }
        address.map(Some)
    })
}

/// Empty text, where that is allowed, as `Some(None)`.
pub(super) fn optional(reader: &mut Reader<'_>, key: &'static str) -> Option<Option<String>> {
    match reader.take(key).and_then(|value| value.as_str()) {
        Some("") => Some(None),
        _ => reader.text(key, MAX_TEXT).map(Some),
    }
}

fn redis(reader: &mut Reader<'_>) -> Option<Option<Access>> {
    let text = optional(reader, "redis");
    let (user, password) = (optional(reader, "redis_user"), secret(reader, "redis_password"));
    let credentials = match (user?, password?) {
        (user, Some(password)) => Some(Credentials { user: user.unwrap_or_default(), password }),
        (None, None) => None,
        (Some(_), None) => return missing(reader, "redis_password", "redis_user"),
    };
    let Some(text) = text? else { return Some(None) };
    let plain = text.strip_prefix("redis://").unwrap_or(&text).trim_end_matches('/');
    // A name or password in it would be taken for a part of the host.
    let at = if plain.contains('@') { None } else { plain.parse().ok() };
    if at.is_none() {
        reader.wrong("redis", format!("{text:?}"), "must be unix:PATH, HOST:PORT or cluster:HOST:PORT,HOST:PORT");
    }
    at.map(|target| Some(Access { target, credentials }))
}

/// Its value is in no message.
fn secret(reader: &mut Reader<'_>, key: &'static str) -> Option<Option<String>> {
    match reader.take(key).map(|value| value.as_str()) {
        Some(Some("")) => Some(None),
        Some(Some(key)) if key.bytes().all(|byte| byte.is_ascii_graphic()) => Some(Some(key.to_owned())),
        _ => {
            reader.wrong(key, "", "must be text without spaces");
            None
        }
    }
}
