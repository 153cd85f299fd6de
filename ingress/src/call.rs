//! One request, as the handlers see it.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use domain::Millis;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, Method};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::app::App;
use crate::edge::address::{self, Client};
use crate::problem::{Name, Problem, bad};
use crate::server::answer::Connection;

/// One request with everything it takes to answer it.
pub(crate) struct Call {
    pub(crate) app: Arc<App>,
    pub(crate) head: http::request::Parts,
    pub(crate) from: Arc<Connection>,
    pub(crate) body: Content,
    /// Where the path's parameter stands.
    pub(crate) param: Range<usize>,
}

/// A request's body.
pub(crate) enum Content {
    /// It comes from the socket.
    Coming(Incoming),
    /// It is here: the page asks the API in a browser's name.
    Here(Bytes),
}

impl Content {
    fn is_end(&self) -> bool {
        match self {
            Self::Coming(body) => body.is_end_stream(),
            Self::Here(bytes) => bytes.is_empty(),
        }
    }
}

impl Call {
    /// The text of the path's parameter; empty where it has none.
    pub(crate) fn param(&self) -> &str {
        self.head.uri.path().get(self.param.clone()).unwrap_or_default()
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    pub(crate) fn method(&self) -> &Method {
        &self.head.method
    }

    /// One parameter of the query, percent-decoded.
    pub(crate) fn query(&self, name: &str) -> Option<String> {
        let pairs = self.head.uri.query()?.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs.into_iter().find_map(|(key, value)| (key == name).then(|| decoded(value)))
    }

    /// This process' wall clock.
    #[allow(clippy::unused_self, reason = "handlers have no other clock")]
    pub(crate) fn now(&self) -> Millis {
        Self::clock()
    }

    /// The same, for what goes on after its call.
    pub(crate) fn clock() -> Millis {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    /// The client behind the proxies.
    pub(crate) fn client(&self) -> Client<'_> {
        let trusted = &self.app.parts.settings.trusted_proxies;
        address::client(&self.head.headers, self.from.peer, self.from.tls, trusted)
    }

    /// Reads the whole body, at most `most` bytes, within the time for bodies.
    pub(crate) async fn read(&mut self, most: usize) -> Result<Bytes, Problem> {
        if self.body.is_end() {
            return Ok(Bytes::new());
        }
        self.expect_plain()?;
        let announced = self.head.headers.get(CONTENT_LENGTH).and_then(|n| n.to_str().ok()?.parse::<u64>().ok());
        if announced.is_some_and(|n| n > most as u64) {
            return Err(too_large(most));
        }
        let body = match &mut self.body {
            Content::Here(bytes) => return Ok(std::mem::take(bytes)),
            Content::Coming(body) => body,
        };
        let patience = self.app.parts.settings.server.body;
        let read = tokio::time::timeout(patience, collect(body, most)).await;
        let bytes = read.map_err(|_| Problem::new(Name::TooSlow, "The body did not arrive in time.").close())??;
        self.from.phase.body_read();
        Ok(bytes)
    }

    /// Reads a body of JSON. An absent Content-Type is taken for JSON, another one is not.
    pub(crate) async fn json<T: DeserializeOwned>(&mut self, most: usize) -> Result<T, Problem> {
        self.expect_json()?;
        let bytes = self.read(most).await?;
        parse(&bytes)
    }

    /// Like [`Call::json`]; no body is as good as an empty object.
    pub(crate) async fn json_if_any<T: DeserializeOwned>(&mut self, most: usize) -> Result<T, Problem> {
        if self.body.is_end() {
            return parse(b"{}");
        }
        self.expect_json()?;
        let bytes = self.read(most).await?;
        if bytes.is_empty() { parse(b"{}") } else { parse(&bytes) }
    }

    /// For calls that need no body: none, or an empty object.
    pub(crate) async fn no_body(&mut self, most: usize) -> Result<(), Problem> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Nothing {}

        if self.body.is_end() {
            return Ok(());
        }
        self.expect_json()?;
        let bytes = self.read(most).await?;
        if bytes.is_empty() { Ok(()) } else { parse::<Nothing>(&bytes).map(drop) }
    }

    /// Refuses a body that is announced as anything but JSON.
    pub(crate) fn expect_json(&self) -> Result<(), Problem> {
        match self.content_type()? {
            None => Ok(()),
            Some(kind) if kind.eq_ignore_ascii_case("application/json") => Ok(()),
            Some(other) => {
                Err(Problem::new(Name::WrongContentType, format!("{other} came, application/json is taken.")))
            }
        }
    }

    /// The media type without its parameters, in the sender's case.
    pub(crate) fn content_type(&self) -> Result<Option<&str>, Problem> {
        let mut values = self.head.headers.get_all(CONTENT_TYPE).iter();
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(bad("Content-Type", "sent twice", "say once what the body is"));
        }
        Ok(Some(value.to_str().unwrap_or("?").split(';').next().unwrap_or_default().trim()))
    }

    /// Bodies are taken as they are: what would have to be unpacked first is refused.
    fn expect_plain(&self) -> Result<(), Problem> {
        let mut encodings = self.head.headers.get_all(CONTENT_ENCODING).iter();
        match encodings.find(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
            None => Ok(()),
            Some(_) => Err(Problem::new(Name::WrongContentType, "Send the body without a Content-Encoding.")),
        }
    }
}

/// Text with its `%2F`s and `+`s resolved; what is no escape stays as it is.
pub(crate) fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escape = after.first_chunk::<2>().filter(|_| *first == b'%').and_then(|pair| {
            let digits = std::str::from_utf8(pair).ok().filter(|pair| pair.bytes().all(|b| b.is_ascii_hexdigit()))?;
            u8::from_str_radix(digits, 16).ok()
        });
        bytes.push(escape.unwrap_or(if *first == b'+' { b' ' } else { *first }));
        rest = if escape.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

async fn collect(body: &mut Incoming, most: usize) -> Result<Bytes, Problem> {
    let (mut first, mut more) = (Bytes::new(), BytesMut::new());
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::new(Name::BadRequest, "The body broke off.").close())?;
        let Ok(data) = frame.into_data() else { continue };
        if first.len() + more.len() + data.len() > most {
            return Err(too_large(most));
        }
        // Nearly every body is one frame, which is then used as it is.
        match (first.is_empty(), more.is_empty()) {
            (true, true) => first = data,
            (false, true) => {
                more.extend_from_slice(&first);
                more.extend_from_slice(&data);
                first.clear();
            }
            _ => more.extend_from_slice(&data),
        }
    }
    Ok(if more.is_empty() { first } else { more.freeze() })
}

fn too_large(most: usize) -> Problem {
    Problem::new(Name::TooLarge, format!("This call takes bodies of at most {most} bytes.")).close()
}

/// Something written as a JSON object. serde takes a list of the fields' values for a struct too, which nobody was told of;
/// and its words for anything else name our types.
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }

        deserializer.deserialize_map(Fields(PhantomData))
    }
}

/// Reads a JSON object, and says where it goes wrong.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice::<Object<T>>(bytes).map(|Object(value)| value).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        // The message repeats the place; the part before it says what.
        let text = error.to_string();
        let what = text.split(" at line ").next().unwrap_or_default().to_owned();
        bad("body", place, what)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_in_a_query_are_resolved_and_other_text_is_left_alone() {
        assert_eq!(decoded("lane%2Fdemo%2f0:12"), "lane/demo/0:12");
        assert_eq!(decoded("a+b%20c"), "a b c");
        assert_eq!(decoded("100%"), "100%");
        assert_eq!(decoded("%zz%+1%4"), "%zz% 1%4");
        assert_eq!(decoded("%ff"), "\u{fffd}");
    }
}
