//! The description of the API, made from the handlers.

use crate::call::Call;
use crate::reply::Response;

pub(crate) fn document(call: &Call) -> Response {
    let _ = call;
    crate::reply::empty(http::StatusCode::OK)
}
