//! Reading what scripts answer. Anything unexpected is [`CallError::Broken`]: the script or the data is not what this program was built with.

use domain::Millis;
use redis::Value;

use crate::error::CallError;

/// A reply being read from front to back.
pub(crate) struct Reader {
    values: std::vec::IntoIter<Value>,
}

fn unexpected(want: &'static str, got: &Value) -> CallError {
    CallError::broken(format!("expected {want}, got {got:?}"))
}

impl Reader {
    /// Opens an array.
    pub(crate) fn new(value: Value) -> Result<Self, CallError> {
        match value {
            Value::Array(values) => Ok(Self { values: values.into_iter() }),
            other => Err(unexpected("an array", &other)),
        }
    }

    /// How many values are left.
    pub(crate) fn left(&self) -> usize {
        self.values.len()
    }

    pub(crate) fn value(&mut self) -> Result<Value, CallError> {
        self.values.next().ok_or_else(|| CallError::broken("reply is too short"))
    }

    /// A whole number, as integer or as text.
    pub(crate) fn signed(&mut self) -> Result<i64, CallError> {
        signed(&self.value()?)
    }

    pub(crate) fn int(&mut self) -> Result<u64, CallError> {
        u64::try_from(self.signed()?).map_err(|_| CallError::broken("negative where none can be"))
    }

    pub(crate) fn millis(&mut self) -> Result<Millis, CallError> {
        self.int().map(Millis)
    }

    pub(crate) fn bytes(&mut self) -> Result<Vec<u8>, CallError> {
        bytes(self.value()?)
    }

    pub(crate) fn text(&mut self) -> Result<String, CallError> {
        String::from_utf8(self.bytes()?).map_err(|_| CallError::broken("text that is not UTF-8"))
    }

    /// Refuses values that nobody read.
    pub(crate) fn end(&mut self) -> Result<(), CallError> {
        match self.values.next() {
            None => Ok(()),
            Some(more) => Err(unexpected("the end", &more)),
        }
    }
}

pub(crate) fn signed(value: &Value) -> Result<i64, CallError> {
    match value {
        Value::Int(number) => Ok(*number),
        Value::BulkString(bytes) => std::str::from_utf8(bytes)
            .ok()
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| unexpected("a whole number", value)),
        other => Err(unexpected("a whole number", other)),
    }
}

pub(crate) fn bytes(value: Value) -> Result<Vec<u8>, CallError> {
    match value {
        Value::BulkString(bytes) => Ok(bytes),
        Value::SimpleString(text) => Ok(text.into_bytes()),
        other => Err(unexpected("text", &other)),
    }
}
