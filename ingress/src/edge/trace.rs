//! W3C Trace Context: the caller's trace goes on here, or one begins.

use std::cell::Cell;

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};

/// The header, in and out.
pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const HEX: &[u8; 16] = b"0123456789abcdef";

/// A request's place in a trace: `00-TRACE-SPAN-FLAGS`, the span our own.
#[derive(Clone, Copy)]
pub(crate) struct Trace([u8; 55]);

impl Trace {
    /// Goes on with the caller's trace under a span of our own; begins one where there is none, or none that can be read.
    pub(crate) fn of(headers: &HeaderMap, random: [u8; 24]) -> Self {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        let (trace, span) = random.split_at(16);
        hex(&mut text[36..52], span);
        match headers.get(TRACEPARENT).and_then(|value| read(value.as_bytes())) {
            Some(theirs) => {
                text[3..35].copy_from_slice(&theirs[3..35]);
                text[53..].copy_from_slice(&theirs[53..55]);
            }
            None => hex(&mut text[3..35], trace),
        }
        Self(text)
    }

    /// The trace's id, 32 hexadecimal digits.
    pub(crate) fn id(&self) -> &str {
        std::str::from_utf8(&self.0[3..35]).unwrap_or_default()
    }

    /// The header of the answer.
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        HeaderValue::from_bytes(&self.0).ok()
    }
}

/// Bytes for the ids of a trace and a span: all different, and no secret, so a generator of a few nanoseconds will do
/// (splitmix64, seeded per thread).
pub(crate) fn random() -> [u8; 24] {
    thread_local!(static STATE: Cell<u64> = Cell::new(rand::random()));
    let mut bytes = [0; 24];
    STATE.with(|state| {
        for word in bytes.chunks_exact_mut(8) {
            state.set(state.get().wrapping_add(0x9e37_79b9_7f4a_7c15));
            let mut mixed = state.get();
            mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            word.copy_from_slice(&(mixed ^ mixed >> 31).to_be_bytes());
        }
    });
    bytes
}

/// The first 55 bytes of a well-formed `traceparent`, of this or a later version.
fn read(value: &[u8]) -> Option<&[u8; 55]> {
    let head: &[u8; 55] = value.first_chunk()?;
    let version = &head[..2];
    let digits = |range: std::ops::Range<usize>| head[range].iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let zero = |range: std::ops::Range<usize>| head[range].iter().all(|b| *b == b'0');
    let shape = head[2] == b'-' && head[35] == b'-' && head[52] == b'-';
    let known = version == b"00" && value.len() == 55;
    let later = version != b"00" && version != b"ff" && (value.len() == 55 || value.get(55) == Some(&b'-'));
    let fields = digits(0..2) && digits(3..35) && digits(36..52) && digits(53..55) && !zero(3..35) && !zero(36..52);
    (shape && fields && (known || later)).then_some(head)
}

fn hex(to: &mut [u8], from: &[u8]) {
    for (pair, byte) in to.chunks_exact_mut(2).zip(from) {
        if let [high, low] = pair {
            *high = HEX[usize::from(byte >> 4)];
            *low = HEX[usize::from(byte & 0xf)];
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn answered(incoming: Option<&str>) -> String {
        let mut headers = HeaderMap::new();
        if let Some(text) = incoming {
            headers.insert(TRACEPARENT, text.parse().unwrap());
        }
        let value = Trace::of(&headers, std::array::from_fn(|n| n as u8 + 1)).header().unwrap();
        value.to_str().unwrap().to_owned()
    }

    #[test]
    fn the_callers_trace_goes_on_under_our_own_span() {
        let theirs = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(answered(Some(theirs)), "00-4bf92f3577b34da6a3ce929d0e0e4736-1112131415161718-01");
    }

    #[test]
    fn a_trace_begins_where_none_came() {
        assert_eq!(answered(None), "00-0102030405060708090a0b0c0d0e0f10-1112131415161718-00");
    }

    #[test]
    fn what_is_not_well_formed_is_not_gone_on_with() {
        for bad in [
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-extra",
        ] {
            assert!(answered(Some(bad)).starts_with("00-01020304"), "{bad}");
        }
    }

    #[test]
    fn a_later_version_is_read_as_far_as_it_is_known() {
        let later = "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more";
        assert!(answered(Some(later)).starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-1112"));
    }
}
