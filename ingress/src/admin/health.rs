//! Whether this process lives, whether it should be sent requests, and its figures.

use std::fmt::Write as _;

use http::StatusCode;
use http::header::HeaderValue;

use crate::call::Call;
use crate::reply::{self, Response};

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
/// 503 while the process drains, or something it needs is away. With `?verbose` every check is listed.
#[utoipa::path(get, path = "/readyz", tag = "health", operation_id = "ready",
    params(("verbose" = Option<String>, Query, description = "List every check")),
    responses(
        (status = 200, description = "ready", body = String, content_type = "text/plain"),
        (status = 503, description = "not ready, and why", body = String, content_type = "text/plain"),
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
    let (status, last) =
        if failed { (StatusCode::SERVICE_UNAVAILABLE, "not ready\n") } else { (StatusCode::OK, "ready\n") };
    text.push_str(last);
    reply::body(status, reply::TEXT, text)
}

/// The process' figures, as Prometheus reads them.
#[utoipa::path(get, path = "/metrics", tag = "health", operation_id = "metrics",
    responses((status = 200, description = "Prometheus text", body = String, content_type = "text/plain")))]
pub(crate) fn metrics(call: &Call) -> Response {
    reply::body(StatusCode::OK, PROMETHEUS, (call.app.parts.metrics_text)())
}
