//! Bodies of `application/x-www-form-urlencoded`.

use std::fmt::Write as _;

/// A body while it is put together.
#[derive(Default)]
pub(super) struct Form(String);

impl Form {
    pub(super) fn with(mut self, name: &str, value: impl AsRef<str>) -> Self {
        if !self.0.is_empty() {
            self.0.push('&');
        }
        encode(name, &mut self.0);
        self.0.push('=');
        encode(value.as_ref(), &mut self.0);
        self
    }

    pub(super) fn body(self) -> String {
        self.0
    }
}

/// Percent-encodes everything but what stands for itself in paths, queries and bodies alike.
pub(super) fn encode(text: &str, to: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            to.push(char::from(byte));
        } else {
            let _ = write!(to, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_in_it_stays_in_its_field() {
        let body = Form::default().with("metadata[booking]", "a&b=c d/ü").with("x", "").body();
        assert_eq!(body, "metadata%5Bbooking%5D=a%26b%3Dc%20d%2F%C3%BC&x=");
    }
}
