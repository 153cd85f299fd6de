//! Whether this process lives, whether it should be sent requests, and its figures.

use std::fmt::Write as _;

use http::StatusCode;
use http::header::HeaderValue;

use crate::call::Call;
use crate::problem::retry_after;
use crate::reply::{self, Response};

/// When to look again whether it is ready, milliseconds: what is away is asked each second.
const ASK_AGAIN_MS: u64 = 1_000;
const PROMETHEUS: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// The process lives.
///
/// 200 as long as it answers at all; restart it when it does not.
#[utoipa::path(get, path = "/livez", tag = "health", operation_id = "live",
    responses((status = 200, description = "ok", body = String, content_type = "text/plain")))]
pub(crate) fn live() -> Response {
    reply::body(StatusCode::OK, reply::TEXT, "ok\n")
}

/// Whether requests should be sent here.
///
/// 503 while the process drains, or something it needs is away. With `?verbose` every check is listed, and every lane that
/// sells nothing now.
#[utoipa::path(get, path = "/readyz", tag = "health", operation_id = "ready",
    params(("verbose" = Option<String>, Query, description = "List every check")),
    responses(
        (status = 200, description = "ready", body = String, content_type = "text/plain"),
        (status = 503, description = "not ready, and why", body = String, content_type = "text/plain",
            headers(("Retry-After" = u64), ("RateLimit" = String))),
    ))]
pub(crate) fn ready(call: &Call) -> Response {
    let verbose = call.query("verbose").is_some_and(|value| value != "false" && value != "0");
    let draining = if call.app.is_draining() { Err("the program is stopping".to_owned()) } else { Ok(()) };
    let checks = call.app.parts.checks.iter().map(|(name, check)| (*name, check()));
    let (mut failed, mut text) = (false, String::new());
    for (name, result) in std::iter::once(("serving", draining)).chain(checks) {
        failed |= result.is_err();
        // Writing to text cannot fail.
        let _ = match result {
            Ok(()) if verbose => writeln!(text, "[+] {name}"),
            Ok(()) => Ok(()),
            Err(why) => writeln!(text, "[-] {name}: {why}"),
        };
    }
    if verbose {
        lanes(call, &mut text);
    }
    let (status, last) =
        if failed { (StatusCode::SERVICE_UNAVAILABLE, "not ready\n") } else { (StatusCode::OK, "ready\n") };
    text.push_str(last);
    let mut answer = reply::body(status, reply::TEXT, text);
    if failed {
        retry_after(status, ASK_AGAIN_MS, answer.headers_mut());
    }
    answer
}

/// Lanes that sell nothing now. They do not make the process unready: every other process would say the same, and other
/// sales go on.
fn lanes(call: &Call, text: &mut String) {
    for lane in call.app.sales().iter().flat_map(|sale| &sale.lanes) {
        let status = lane.status();
        let state = match (status.stopped, status.loaded || status.unloaded) {
            (true, _) => "stopped, because the ledger lost data: restore it, then start again",
            (false, false) => "not in service here",
            (false, true) => continue,
        };
        // Writing to text cannot fail.
        let _ = writeln!(text, "[!] {}: {state}", lane.log());
    }
}

/// The process' figures, as Prometheus reads them.
#[utoipa::path(get, path = "/metrics", tag = "health", operation_id = "metrics",
    responses((status = 200, description = "Prometheus text", body = String, content_type = "text/plain")))]
pub(crate) fn metrics(call: &Call) -> Response {
    reply::body(StatusCode::OK, PROMETHEUS, (call.app.parts.metrics_text)())
}
