//! Which processes are alive, as far as they say so: a hint for spreading work, never a right to anything.

use crate::call::Call;
use crate::client::Redis;
use crate::error::CallError;
use crate::key::{VERSION, slot_of_tag};
use crate::reply::Reader;
use crate::script::Id;

/// Says that this process is alive for `ttl_ms` (0: that it goes), and tells which ones are. `kind` is a short word: what the
/// process may own.
///
/// # Errors
/// [`CallError`]; safe to send again.
pub async fn alive(redis: &Redis, kind: &str, token: &str, ttl_ms: u64) -> Result<Vec<String>, CallError> {
    let (tag, key) = (format!("members-{kind}"), format!("{VERSION}:{{members-{kind}}}:alive"));
    let mut call = Call::new(Id::Members, slot_of_tag(&tag), &[&key]);
    call.text(token).int(ttl_ms);
    let mut reply = Reader::new(redis.call(&call).await?)?;
    let mut members = Vec::new();
    while reply.left() > 0 {
        members.push(reply.text()?);
    }
    Ok(members)
}
