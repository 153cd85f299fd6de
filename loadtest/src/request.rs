//! Requests as bytes, written into one buffer per visitor.

use std::io::Write as _;

use domain::HoldId;

/// The `Idempotency-Key` of an attempt: the run's own number and the attempt's; its confirm has one of its own, with a
/// `c` behind it. Never shared by two runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Key {
    pub(crate) run: u64,
    pub(crate) attempt: u64,
}

/// Who asks, and with what in hand.
#[derive(Clone, Default, Debug)]
pub(crate) struct Bearer {
    pub(crate) visitor: String,
    pub(crate) ticket: Option<String>,
    pub(crate) pass: Option<String>,
}

/// What all requests of a run share, made once.
pub(crate) struct Templates {
    host: Vec<u8>,
    visitors: Vec<u8>,
    challenge: Vec<u8>,
    tickets: Vec<u8>,
    line: Vec<u8>,
    place: Vec<u8>,
    passes: Vec<u8>,
    leave: Vec<u8>,
    holds: Vec<u8>,
    hold_body: Vec<u8>,
    other_body: Vec<u8>,
    bookings: Vec<u8>,
}

const EMPTY: &[u8] = b"Content-Length: 0\r\n\r\n";
const END: &[u8] = b"\r\n";

impl Templates {
    pub(crate) fn new(authority: &str, sale: &str, item: &str, quantity: u32) -> Self {
        let start =
            |method: &str, path: &str| format!("{method} {path} HTTP/1.1\r\nHost: {authority}\r\n").into_bytes();
        let body = |quantity: u32| {
            let body = format!(r#"{{"lines":[{{"item":"{item}","quantity":{quantity}}}]}}"#);
            let length = body.len();
            format!("Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
        };
        // Another quantity that is allowed as well.
        let other = if quantity > 1 { quantity - 1 } else { quantity + 1 };
        let of_sale = |method: &str, rest: &str| start(method, &format!("/v1/sales/{sale}{rest}"));
        Self {
            host: format!(" HTTP/1.1\r\nHost: {authority}\r\n").into_bytes(),
            visitors: start("POST", "/v1/visitors"),
            challenge: of_sale("GET", "/challenge"),
            tickets: of_sale("POST", "/tickets"),
            line: [of_sale("GET", "/line"), END.to_vec()].concat(),
            place: of_sale("GET", "/ticket"),
            passes: of_sale("POST", "/passes"),
            leave: of_sale("DELETE", "/pass"),
            holds: of_sale("POST", "/holds"),
            hold_body: body(quantity),
            other_body: body(other),
            bookings: start("GET", "/v1/bookings"),
        }
    }

    pub(crate) fn visitor(&self, out: &mut Vec<u8>) {
        begin(out, &self.visitors).extend_from_slice(EMPTY);
    }

    pub(crate) fn challenge(&self, out: &mut Vec<u8>, bearer: &Bearer) {
        shown(begin(out, &self.challenge), bearer).extend_from_slice(END);
    }

    pub(crate) fn ticket(&self, out: &mut Vec<u8>, bearer: &Bearer, proof: Option<&str>) {
        let out = shown(begin(out, &self.tickets), bearer);
        if let Some(proof) = proof {
            out.extend_from_slice(b"Holdfast-Proof: ");
            out.extend_from_slice(proof.as_bytes());
            out.extend_from_slice(END);
        }
        out.extend_from_slice(EMPTY);
    }

    pub(crate) fn line(&self, out: &mut Vec<u8>) {
        begin(out, &self.line);
    }

    pub(crate) fn place(&self, out: &mut Vec<u8>, bearer: &Bearer) {
        shown(begin(out, &self.place), bearer).extend_from_slice(END);
    }

    pub(crate) fn pass(&self, out: &mut Vec<u8>, bearer: &Bearer) {
        shown(begin(out, &self.passes), bearer).extend_from_slice(EMPTY);
    }

    pub(crate) fn leave(&self, out: &mut Vec<u8>, bearer: &Bearer) {
        shown(begin(out, &self.leave), bearer).extend_from_slice(END);
    }

    pub(crate) fn hold(&self, out: &mut Vec<u8>, bearer: &Bearer, key: Key) {
        keyed(shown(begin(out, &self.holds), bearer), key, "").extend_from_slice(&self.hold_body);
    }

    /// A hold of another quantity.
    pub(crate) fn hold_other(&self, out: &mut Vec<u8>, bearer: &Bearer, key: Key) {
        keyed(shown(begin(out, &self.holds), bearer), key, "").extend_from_slice(&self.other_body);
    }

    pub(crate) fn confirm(&self, out: &mut Vec<u8>, bearer: &Bearer, id: HoldId, key: Key) {
        begin(out, b"POST /v1/holds/");
        // Writing into a Vec does not fail.
        let _ = write!(out, "{id}/confirm");
        out.extend_from_slice(&self.host);
        keyed(shown(out, bearer), key, "-c")
            .extend_from_slice(b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}");
    }

    pub(crate) fn release(&self, out: &mut Vec<u8>, bearer: &Bearer, id: HoldId) {
        begin(out, b"DELETE /v1/holds/");
        let _ = write!(out, "{id}");
        out.extend_from_slice(&self.host);
        shown(out, bearer).extend_from_slice(END);
    }

    pub(crate) fn bookings(&self, out: &mut Vec<u8>, bearer: &Bearer) {
        shown(begin(out, &self.bookings), bearer).extend_from_slice(END);
    }
}

fn begin<'o>(out: &'o mut Vec<u8>, start: &[u8]) -> &'o mut Vec<u8> {
    out.clear();
    out.extend_from_slice(start);
    out
}

fn shown<'o>(out: &'o mut Vec<u8>, bearer: &Bearer) -> &'o mut Vec<u8> {
    let headers = [
        (&b"Holdfast-Visitor: "[..], Some(&bearer.visitor)),
        (b"Holdfast-Ticket: ", bearer.ticket.as_ref()),
        (b"Holdfast-Pass: ", bearer.pass.as_ref()),
    ];
    for (name, value) in headers {
        if let Some(value) = value {
            out.extend_from_slice(name);
            out.extend_from_slice(value.as_bytes());
            out.extend_from_slice(END);
        }
    }
    out
}

fn keyed<'o>(out: &'o mut Vec<u8>, key: Key, of: &str) -> &'o mut Vec<u8> {
    let _ = write!(out, "Idempotency-Key: {:016x}-{:x}{of}\r\n", key.run, key.attempt);
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn requests_are_those_of_the_contract() {
        let templates = Templates::new("h:1", "demo", "standing", 2);
        let bearer = Bearer { visitor: "V".to_owned(), ticket: None, pass: Some("P".to_owned()) };
        let id: HoldId = "b328d900-3f85-83a6-be5b-88376bd5816b".parse().unwrap();
        let key = Key { run: 0xab, attempt: 0x1f };
        let mut out = b"left over".to_vec();
        templates.hold(&mut out, &bearer, key);
        assert_eq!(
            String::from_utf8(out.clone()).unwrap(),
            "POST /v1/sales/demo/holds HTTP/1.1\r\nHost: h:1\r\nHoldfast-Visitor: V\r\nHoldfast-Pass: P\r\n\
             Idempotency-Key: 00000000000000ab-1f\r\nContent-Type: application/json\r\nContent-Length: 44\r\n\r\n\
             {\"lines\":[{\"item\":\"standing\",\"quantity\":2}]}"
        );
        templates.confirm(&mut out, &bearer, id, key);
        assert_eq!(
            String::from_utf8(out.clone()).unwrap(),
            "POST /v1/holds/b328d900-3f85-83a6-be5b-88376bd5816b/confirm HTTP/1.1\r\nHost: h:1\r\nHoldfast-Visitor: V\r\n\
             Holdfast-Pass: P\r\nIdempotency-Key: 00000000000000ab-1f-c\r\nContent-Type: application/json\r\n\
             Content-Length: 2\r\n\r\n{}"
        );
        templates.release(&mut out, &bearer, id);
        assert!(out.starts_with(b"DELETE /v1/holds/b328d900-3f85-83a6-be5b-88376bd5816b HTTP/1.1\r\nHost: h:1\r\n"));
        templates.ticket(&mut out, &bearer, Some("W"));
        assert_eq!(
            String::from_utf8(out.clone()).unwrap(),
            "POST /v1/sales/demo/tickets HTTP/1.1\r\nHost: h:1\r\nHoldfast-Visitor: V\r\nHoldfast-Pass: P\r\n\
             Holdfast-Proof: W\r\nContent-Length: 0\r\n\r\n"
        );
        templates.line(&mut out);
        assert_eq!(out, b"GET /v1/sales/demo/line HTTP/1.1\r\nHost: h:1\r\n\r\n");
    }
}
