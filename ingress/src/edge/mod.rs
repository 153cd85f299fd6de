//! What stands between the socket and the handlers: who asks, from where, and whether it may.

pub(crate) mod address;
pub(crate) mod cookie;
pub(crate) mod cors;
pub(crate) mod overload;
pub(crate) mod pressure;
pub(crate) mod rate;
pub(crate) mod trace;
