//! Who the client is, when proxies stand in between.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use http::HeaderMap;
use http::header::{FORWARDED, HeaderName};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
/// Hops of a header that are looked at. A longer chain is nobody's real one.
const MOST_HOPS: usize = 16;

/// An address, or a range of them: `10.0.0.0/8`, `192.0.2.1`, `fd00::/8`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Network {
    base: IpAddr,
    bits: u8,
}

/// Text that is no [`Network`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("must be an address or a range, such as 10.0.0.0/8 or fd00::1")]
pub struct NotANetwork;

impl Network {
    /// Whether `address` lies in it.
    #[must_use]
    pub fn has(&self, address: IpAddr) -> bool {
        match (self.base, address.to_canonical()) {
            (IpAddr::V4(base), IpAddr::V4(other)) => {
                same(u32::from(base).into(), u32::from(other).into(), 32, self.bits)
            }
            (IpAddr::V6(base), IpAddr::V6(other)) => same(base.into(), other.into(), 128, self.bits),
            _ => false,
        }
    }
}

/// Whether the first `bits` of two numbers of `width` bits are the same.
fn same(a: u128, b: u128, width: u32, bits: u8) -> bool {
    (a ^ b).checked_shr(width - u32::from(bits)).unwrap_or(0) == 0
}

impl FromStr for Network {
    type Err = NotANetwork;
    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let (base, bits) = text.split_once('/').map_or((text, None), |(base, bits)| (base, Some(bits)));
        let base: IpAddr = base.parse().map_err(|_| NotANetwork)?;
        let most = if base.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), str::parse).map_err(|_| NotANetwork)?;
        if bits <= most { Ok(Self { base, bits }) } else { Err(NotANetwork) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.bits)
    }
}

/// The client as far as it can be believed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Client<'a> {
    /// Its address; the last hop that is not one of our proxies.
    pub(crate) address: IpAddr,
    /// Whether it speaks to our side encrypted.
    pub(crate) https: bool,
    /// The host it asked for, as the outermost trusted proxy or the client itself says.
    pub(crate) host: Option<&'a str>,
    /// Whether someone claims to stand in between, trusted or not.
    pub(crate) forwarded: bool,
}

/// Believes `Forwarded` (or the `X-Forwarded-...` it replaced) as far as trusted proxies wrote it: read from the right,
/// every hop that is a trusted proxy vouches for the one before it.
pub(crate) fn client<'a>(headers: &'a HeaderMap, peer: IpAddr, tls: bool, trusted: &[Network]) -> Client<'a> {
    let host = text(headers, &http::header::HOST);
    let forwarded = headers.contains_key(FORWARDED) || headers.contains_key(X_FORWARDED_FOR);
    let mut client = Client { address: peer, https: tls, host, forwarded };
    if !forwarded || !trusted.iter().any(|network| network.has(peer)) {
        return client;
    }
    if headers.contains_key(FORWARDED) {
        standard(headers, trusted, &mut client);
    } else {
        customary(headers, trusted, &mut client);
    }
    client
}

fn standard<'a>(headers: &'a HeaderMap, trusted: &[Network], client: &mut Client<'a>) {
    for hop in hops(headers, &FORWARDED) {
        let mut address = None;
        for pair in hop.split(';') {
            let Some((name, value)) = pair.split_once('=') else { continue };
            let value = value.trim().trim_matches('"');
            match name.trim() {
                name if name.eq_ignore_ascii_case("for") => address = node(value),
                name if name.eq_ignore_ascii_case("proto") => client.https = value.eq_ignore_ascii_case("https"),
                name if name.eq_ignore_ascii_case("host") => client.host = Some(value),
                _ => {}
            }
        }
        let Some(address) = address else { return };
        client.address = address;
        if !trusted.iter().any(|network| network.has(address)) {
            return;
        }
    }
}

fn customary<'a>(headers: &'a HeaderMap, trusted: &[Network], client: &mut Client<'a>) {
    if let Some(proto) = hops(headers, &X_FORWARDED_PROTO).next() {
        client.https = proto.eq_ignore_ascii_case("https");
    }
    if let Some(host) = hops(headers, &X_FORWARDED_HOST).next() {
        client.host = Some(host);
    }
    for hop in hops(headers, &X_FORWARDED_FOR) {
        let Some(address) = node(hop) else { return };
        client.address = address;
        if !trusted.iter().any(|network| network.has(address)) {
            return;
        }
    }
}

/// The elements of a list header over all its lines, the last first.
fn hops<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let lines: Vec<&str> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    lines.into_iter().rev().flat_map(|line| line.rsplit(',')).map(str::trim).take(MOST_HOPS)
}

/// An address with or without port: `192.0.2.1`, `192.0.2.1:99`, `[2001:db8::1]:99`, `2001:db8::1`.
fn node(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.split_once(']')).map(|(address, _)| address);
    let parsed = match bare {
        Some(six) => six.parse::<IpAddr>(),
        None => text.parse::<IpAddr>().or_else(|_| text.rsplit_once(':').map_or(text, |(host, _)| host).parse()),
    };
    parsed.ok().map(|address| address.to_canonical())
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in lines {
            map.append(*name, value.parse().unwrap());
        }
        map
    }

    fn address(lines: &[(&'static str, &'static str)], peer: &str) -> String {
        let trusted = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        client(&headers(lines), peer.parse().unwrap(), false, &trusted).address.to_string()
    }

    #[test]
    fn a_stranger_is_not_believed_about_who_it_is() {
        assert_eq!(address(&[("x-forwarded-for", "192.0.2.9")], "198.51.100.1"), "198.51.100.1");
        assert_eq!(address(&[("forwarded", "for=192.0.2.9")], "198.51.100.1"), "198.51.100.1");
    }

    #[test]
    fn the_last_hop_that_is_not_ours_is_the_client_whatever_it_wrote_in_front() {
        assert_eq!(address(&[("x-forwarded-for", "1.1.1.1, 192.0.2.9, 10.0.0.2")], "10.0.0.1"), "192.0.2.9");
        let two = [("x-forwarded-for", "1.1.1.1"), ("x-forwarded-for", "192.0.2.9")];
        assert_eq!(address(&two, "10.0.0.1"), "192.0.2.9");
        let standard = [("forwarded", "for=1.1.1.1, for=\"[2001:db8::7]:4711\";proto=https, for=10.1.1.1")];
        assert_eq!(address(&standard, "fd00::1"), "2001:db8::7");
    }

    #[test]
    fn what_is_no_address_ends_the_chain_at_the_hop_before() {
        assert_eq!(address(&[("x-forwarded-for", "unknown, 10.0.0.2")], "10.0.0.1"), "10.0.0.2");
        assert_eq!(address(&[("forwarded", "for=_hidden")], "10.0.0.1"), "10.0.0.1");
    }

    #[test]
    fn scheme_and_host_come_from_a_trusted_proxy_only() {
        let map = headers(&[
            ("host", "in:80"),
            ("x-forwarded-for", "192.0.2.9"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "shop.example"),
        ]);
        let trusted = ["10.0.0.1".parse().unwrap()];
        let believed = client(&map, "10.0.0.1".parse().unwrap(), false, &trusted);
        assert_eq!((believed.https, believed.host), (true, Some("shop.example")));
        let doubted = client(&map, "10.0.0.2".parse().unwrap(), false, &trusted);
        assert_eq!((doubted.https, doubted.host, doubted.forwarded), (false, Some("in:80"), true));
    }

    #[test]
    fn networks_are_read_and_compared_by_their_bits() {
        let all: Network = "0.0.0.0/0".parse().unwrap();
        assert!(all.has("203.0.113.1".parse().unwrap()) && !all.has("::1".parse().unwrap()));
        let one: Network = "192.0.2.1".parse().unwrap();
        assert!(one.has("::ffff:192.0.2.1".parse().unwrap()) && !one.has("192.0.2.2".parse().unwrap()));
        assert_eq!("10.0.0.0/33".parse::<Network>(), Err(NotANetwork));
        assert_eq!("ten".parse::<Network>(), Err(NotANetwork));
    }
}
