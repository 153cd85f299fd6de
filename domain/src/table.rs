//! Reading TOML (and JSON) tables so that all mistakes are reported together, each with key, value and what would be right.
//!
//! A reader takes keys out of a table one by one; a wrong value leaves a [`Mistake`] behind and reads as `None`, so the
//! caller goes on to the next key. Keys that nobody asked for are mistakes as well, with the nearest name that was asked for.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use toml::{Table, Value};

use crate::limits::{MAX_MISTAKE_VALUE_CHARS, MAX_MISTAKES};
use crate::time::{Millis, duration_text, parse_duration_ms};

/// One thing that is wrong in a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Where: `items[0].units`; empty for the document as a whole.
    pub key: String,
    /// What stands there, as text; empty when nothing does.
    pub value: String,
    /// What is wrong with it, or what would be right: `must be 1 to 100000000`.
    pub problem: String,
}

impl Mistake {
    /// A mistake at this key. A long value is cut, control characters are escaped: a mistake is one line.
    #[must_use]
    pub fn new(key: impl Into<String>, value: impl fmt::Display, problem: impl Into<String>) -> Self {
        let mut value = one_line(&value.to_string());
        if let Some((end, _)) = value.char_indices().nth(MAX_MISTAKE_VALUE_CHARS) {
            value.truncate(end);
            value.push_str("...");
        }
        Self { key: key.into(), value, problem: problem.into() }
    }
}

/// `items[0].units = -3: must be 1 to 100000000`.
impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.key.as_str(), self.value.as_str()) {
            ("", "") => f.write_str(&self.problem),
            ("", value) => write!(f, "{value}: {}", self.problem),
            (key, "") => write!(f, "{key}: {}", self.problem),
            (key, value) => write!(f, "{key} = {value}: {}", self.problem),
        }
    }
}

fn one_line(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut line, c| {
        if c.is_control() {
            line.extend(c.escape_default())
        } else {
            line.push(c)
        }
        line
    })
}

/// Reads TOML text as a table.
///
/// # Errors
/// One mistake with the line and column of the first place that is no TOML.
pub fn parse_toml(text: &str) -> Result<Table, Mistake> {
    text.parse::<Table>().map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |rest| rest.chars().count()) + 1;
        Mistake::new("", format!("line {line}, column {column}"), format!("not TOML: {}", error.message()))
    })
}

/// Reads a JSON object as a table; `null` counts as absent.
///
/// # Errors
/// One mistake when the text is no JSON object.
pub fn parse_json(text: &str) -> Result<Table, Mistake> {
    match serde_json::from_str(text) {
        Ok(serde_json::Value::Object(object)) => {
            Ok(object.into_iter().filter_map(|(key, value)| Some((key, from_json(value)?))).collect())
        }
        Ok(other) => Err(Mistake::new("", other, "must be a JSON object")),
        Err(error) => {
            let place = format!("line {}, column {}", error.line(), error.column());
            Err(Mistake::new("", place, "not JSON"))
        }
    }
}

fn from_json(value: serde_json::Value) -> Option<Value> {
    use serde_json::Value as Json;
    Some(match value {
        Json::Null => return None,
        Json::Bool(flag) => Value::Boolean(flag),
        Json::Number(number) => {
            number.as_i64().map_or_else(|| Value::Float(number.as_f64().unwrap_or(f64::INFINITY)), Value::Integer)
        }
        Json::String(text) => Value::String(text),
        Json::Array(values) => Value::Array(values.into_iter().filter_map(from_json).collect()),
        Json::Object(object) => {
            Value::Table(object.into_iter().filter_map(|(key, value)| Some((key, from_json(value)?))).collect())
        }
    })
}

/// Takes values out of one table; see the module.
pub struct Reader<'a> {
    table: &'a Table,
    path: String,
    known: Vec<&'static str>,
    mistakes: &'a mut Vec<Mistake>,
}

impl<'a> Reader<'a> {
    /// A reader of a document's outermost table. Call [`Reader::finish`] when every key was asked for.
    pub fn new(table: &'a Table, mistakes: &'a mut Vec<Mistake>) -> Self {
        Self { table, path: String::new(), known: Vec::new(), mistakes }
    }

    /// The full name of a key of this table: `items[0].units`.
    #[must_use]
    pub fn path(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Notes a mistake at a key of this table.
    pub fn wrong(&mut self, key: &str, value: impl fmt::Display, problem: impl Into<String>) {
        let mistake = Mistake::new(self.path(key), value, problem);
        self.push(mistake);
    }

    fn push(&mut self, mistake: Mistake) {
        if self.mistakes.len() < MAX_MISTAKES {
            self.mistakes.push(mistake);
        }
    }

    /// Whether the key is there, whatever its value.
    pub fn has(&mut self, key: &'static str) -> bool {
        self.take(key).is_some()
    }

    /// The raw value; the key counts as known from here on.
    pub fn take(&mut self, key: &'static str) -> Option<&'a Value> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        self.table.get(key)
    }

    /// Passes a value on and notes a mistake when its key is absent (a wrong value has its mistake already).
    pub fn need<T>(&mut self, key: &'static str, value: Option<T>) -> Option<T> {
        if value.is_none() && !self.has(key) {
            self.wrong(key, "", "is missing");
        }
        value
    }

    fn read<T>(&mut self, key: &'static str, rule: &str, read: impl FnOnce(&Value) -> Option<T>) -> Option<T> {
        let value = self.take(key)?;
        let result = read(value);
        if result.is_none() {
            self.wrong(key, value, rule);
        }
        result
    }

    /// A whole number in this range.
    pub fn number(&mut self, key: &'static str, range: RangeInclusive<u64>) -> Option<u64> {
        let rule = format!("must be {} to {}", range.start(), range.end());
        self.read(key, &rule, |value| {
            value.as_integer().and_then(|n| u64::try_from(n).ok()).filter(|n| range.contains(n))
        })
    }

    /// Like [`Reader::number`], for values that fit 32 bits.
    pub fn number_u32(&mut self, key: &'static str, range: RangeInclusive<u32>) -> Option<u32> {
        let range = u64::from(*range.start())..=u64::from(*range.end());
        self.number(key, range).and_then(|n| u32::try_from(n).ok())
    }

    /// Like [`Reader::number`], for values that fit 16 bits.
    pub fn number_u16(&mut self, key: &'static str, range: RangeInclusive<u16>) -> Option<u16> {
        let range = u64::from(*range.start())..=u64::from(*range.end());
        self.number(key, range).and_then(|n| u16::try_from(n).ok())
    }

    /// `true` or `false`.
    pub fn flag(&mut self, key: &'static str) -> Option<bool> {
        self.read(key, "must be true or false", Value::as_bool)
    }

    /// Text of 1 to `most` characters without control characters.
    pub fn text(&mut self, key: &'static str, most: usize) -> Option<String> {
        let rule = format!("must be text of 1 to {most} characters without control characters");
        self.read(key, &rule, |value| {
            let text = value.as_str()?;
            let good = !text.is_empty() && text.chars().count() <= most && !text.chars().any(char::is_control);
            good.then(|| text.to_owned())
        })
    }

    /// One of these words.
    pub fn choice(&mut self, key: &'static str, words: &[&'static str]) -> Option<&'static str> {
        let rule = format!("must be one of {}", words.join(", "));
        self.read(key, &rule, |value| words.iter().copied().find(|word| value.as_str() == Some(word)))
    }

    /// Text that this type reads; its error says what would be right.
    pub fn parsed<T: FromStr>(&mut self, key: &'static str) -> Option<T>
    where
        T::Err: fmt::Display,
    {
        let value = self.take(key)?;
        match value.as_str().map(str::parse) {
            Some(Ok(read)) => return Some(read),
            Some(Err(error)) => self.wrong(key, value, format!("must be {error}")),
            None => self.wrong(key, value, "must be text"),
        }
        None
    }

    /// A duration such as `"5m"`, in milliseconds, in this range of milliseconds.
    pub fn duration_ms(&mut self, key: &'static str, range: RangeInclusive<u64>) -> Option<u64> {
        let (least, most) = (duration_text(*range.start()), duration_text(*range.end()));
        let rule = format!("must be a duration from \"{least}\" to \"{most}\"");
        self.read(key, &rule, |value| parse_duration_ms(value.as_str()?).filter(|ms| range.contains(ms)))
    }

    /// An RFC 3339 time, as text or as TOML's own type.
    pub fn time(&mut self, key: &'static str) -> Option<Millis> {
        let rule = "must be an RFC 3339 time with offset, such as \"2027-06-01T10:00:00+09:00\"";
        self.read(key, rule, |value| match value {
            Value::String(text) => Millis::parse_rfc3339(text).ok(),
            Value::Datetime(time) => Millis::parse_rfc3339(&time.to_string()).ok(),
            _ => None,
        })
    }

    /// A list of texts that this type reads, at most `most` of them.
    pub fn list<T: FromStr>(&mut self, key: &'static str, most: usize) -> Option<Vec<T>>
    where
        T::Err: fmt::Display,
    {
        let rule = format!("must be a list of at most {most} texts");
        let values = self.read(key, &rule, |value| value.as_array().filter(|list| list.len() <= most).cloned())?;
        let mut read = Vec::with_capacity(values.len());
        for (n, value) in values.iter().enumerate() {
            match value.as_str().map(str::parse) {
                Some(Ok(good)) => read.push(good),
                Some(Err(error)) => self.wrong(&format!("{key}[{n}]"), value, format!("must be {error}")),
                None => self.wrong(&format!("{key}[{n}]"), value, "must be text"),
            }
        }
        (read.len() == values.len()).then_some(read)
    }

    /// A table inside this one. `None` when it is absent, no table, or `read` returns `None`.
    pub fn table<T>(&mut self, key: &'static str, read: impl FnOnce(&mut Reader<'_>) -> Option<T>) -> Option<T> {
        let value = self.take(key)?;
        let Some(table) = value.as_table() else {
            self.wrong(key, value, "must be a table");
            return None;
        };
        self.inner(table, key, read)
    }

    /// A list of tables, read one by one. `None` when it is absent, no list of 1 to `most` tables, or one reads as `None`;
    /// all are read in any case, so that all mistakes come up.
    pub fn tables<T>(
        &mut self,
        key: &'static str,
        most: usize,
        mut read: impl FnMut(&mut Reader<'_>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let value = self.take(key)?;
        let Some(values) = value.as_array().filter(|list| (1..=most).contains(&list.len())) else {
            let found = value.as_array().map_or_else(|| value.to_string(), |list| format!("{} tables", list.len()));
            self.wrong(key, found, format!("must be a list of 1 to {most} tables"));
            return None;
        };
        let mut all = Vec::with_capacity(values.len());
        for (n, value) in values.iter().enumerate() {
            let place = format!("{key}[{n}]");
            match value.as_table() {
                Some(table) => all.extend(self.inner(table, &place, &mut read)),
                None => self.wrong(&place, value, "must be a table"),
            }
        }
        (all.len() == values.len()).then_some(all)
    }

    fn inner<T>(&mut self, table: &Table, key: &str, read: impl FnOnce(&mut Reader<'_>) -> Option<T>) -> Option<T> {
        let path = self.path(key);
        let mut reader = Reader { table, path, known: Vec::new(), mistakes: &mut *self.mistakes };
        let result = read(&mut reader);
        reader.finish();
        result
    }

    /// Notes a mistake for every key that nobody asked for. Inner tables are finished by themselves.
    pub fn finish(mut self) {
        for (key, value) in self.table {
            if !self.known.contains(&key.as_str()) {
                let problem = match nearest(key, &self.known) {
                    Some(name) => format!("unknown key, did you mean {name:?}?"),
                    None => format!("unknown key, there is {}", self.known.join(", ")),
                };
                let shown = if value.is_table() || value.is_array() { String::new() } else { value.to_string() };
                let mistake = Mistake::new(self.path(key), shown, problem);
                self.push(mistake);
            }
        }
    }
}

/// The name most like `key`, when one is like it at all.
#[must_use]
pub fn nearest<'n>(key: &str, names: &[&'n str]) -> Option<&'n str> {
    let like = names.iter().map(|name| (strsim::normalized_damerau_levenshtein(key, name), *name));
    like.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(likeness, _)| *likeness >= 0.5).map(|(_, name)| name)
}
