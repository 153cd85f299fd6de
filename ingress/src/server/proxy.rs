//! The PROXY protocol, version 2 (binary), as load balancers send it in front of a connection.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tokio::io::{AsyncRead, AsyncReadExt as _};

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Addresses and their TLVs; what real balancers send is a tenth of it.
const MOST_BYTES: usize = 1_024;

/// Whom the header speaks of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Said {
    /// The client on whose behalf the proxy connects.
    Client(IpAddr),
    /// The proxy itself (a health check, or a family other than IP).
    Itself,
}

/// Reads the header and nothing behind it; `None` when there is no well-formed one.
pub(crate) async fn read<S: AsyncRead + Unpin>(stream: &mut S) -> Option<Said> {
    let mut head = [0; 16];
    stream.read_exact(&mut head).await.ok()?;
    let (signature, rest) = head.split_at(SIGNATURE.len());
    let [version_command, family, high, low] = <[u8; 4]>::try_from(rest).ok()?;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if signature != SIGNATURE || version_command >> 4 != 2 || length > MOST_BYTES {
        return None;
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    match version_command & 0xf {
        0 => Some(Said::Itself),
        1 => client(family, &body),
        _ => None,
    }
}

/// The source address; it comes first in the block of either family.
fn client(family: u8, body: &[u8]) -> Option<Said> {
    match family >> 4 {
        1 if body.len() >= 12 => {
            let four: [u8; 4] = body.first_chunk().copied()?;
            Some(Said::Client(Ipv4Addr::from(four).into()))
        }
        2 if body.len() >= 36 => {
            let sixteen: [u8; 16] = body.first_chunk().copied()?;
            Some(Said::Client(Ipv6Addr::from(sixteen).into()))
        }
        0 | 3 => Some(Said::Itself),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn header(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend([0x20 | command, family]);
        bytes.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
        bytes.extend(body);
        bytes
    }

    async fn said(bytes: &[u8]) -> Option<Said> {
        let mut stream = bytes;
        read(&mut stream).await
    }

    #[tokio::test]
    async fn a_header_names_the_client_of_either_family() {
        let four = [192, 0, 2, 7, 10, 0, 0, 1, 1, 2, 3, 4];
        assert_eq!(said(&header(1, 0x11, &four)).await, Some(Said::Client("192.0.2.7".parse().unwrap())));
        let mut six = [0; 36];
        six[..16].copy_from_slice(&"2001:db8::7".parse::<Ipv6Addr>().unwrap().octets());
        assert_eq!(said(&header(1, 0x21, &six)).await, Some(Said::Client("2001:db8::7".parse().unwrap())));
    }

    #[tokio::test]
    async fn a_health_check_of_the_proxy_speaks_for_itself() {
        assert_eq!(said(&header(0, 0, &[])).await, Some(Said::Itself));
    }

    #[tokio::test]
    async fn what_stands_behind_the_header_is_left_for_http() {
        let mut bytes = header(1, 0x11, &[192, 0, 2, 7, 10, 0, 0, 1, 1, 2, 3, 4, 9, 9, 9]);
        bytes.extend(b"GET /");
        let mut stream = bytes.as_slice();
        read(&mut stream).await.unwrap();
        assert_eq!(stream, b"GET /");
    }

    #[tokio::test]
    async fn anything_else_is_no_header() {
        assert_eq!(said(b"GET / HTTP/1.1\r\n\r\n").await, None);
        assert_eq!(said(&SIGNATURE).await, None);
        assert_eq!(said(&header(7, 0x11, &[0; 12])).await, None);
        assert_eq!(said(&header(1, 0x11, &[0; 4])).await, None);
        assert_eq!(said(&header(1, 0x11, &[0; MOST_BYTES + 1])).await, None);
        let mut old = header(1, 0x11, &[0; 12]);
        old[12] = 0x11;
        assert_eq!(said(&old).await, None);
    }
}
