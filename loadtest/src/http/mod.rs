//! A lean HTTP/1.1 client: one request at a time per connection, kept alive, no allocation per request.

mod connection;
mod decode;
mod pool;

pub(crate) use connection::Lost;
pub(crate) use decode::Reply;
pub(crate) use pool::Pool;
