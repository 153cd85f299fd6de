//! Between processes: the listener on which owners take groups of requests from other processes, and the client that sends them.
//!
//! Whoever shows the shared key may do everything a visitor may, as any visitor: the listener belongs on a network of its own.

mod caller;

use domain::limits::MAX_FORWARD_BYTES;
use http::StatusCode;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use subtle::{Choice, ConstantTimeEq as _};

use crate::call::Call;
use crate::front::Api;
use crate::problem::{Name, Problem};
use crate::reply::{self, Response};
use crate::route::routes;
pub use caller::{Caller, NotAnswered};

routes! {
    ROUTES: Op {
        Lane = Confirm POST "/internal/v1/lanes/{lane}";
        Line = Confirm POST "/internal/v1/lines/{sale}";
        Figures = Confirm POST "/internal/v1/metrics";
    }
}

/// Where the owner of a lane is asked.
#[must_use]
pub fn lane_path(sale: &domain::SaleId, lane: u16) -> String {
    format!("/internal/v1/lanes/{sale}:{lane}")
}

/// Where a process is asked for its figures.
#[must_use]
pub const fn metrics_path() -> &'static str {
    "/internal/v1/metrics"
}

/// Where the owner of a line is asked.
#[must_use]
pub fn line_path(sale: &domain::SaleId) -> String {
    format!("/internal/v1/lines/{sale}")
}

/// The operations for other processes.
pub(crate) struct Others;

impl Api for Others {
    type Op = Op;
    const CORS: bool = false;

    fn quick(_op: Op, call: &Call) -> Option<Result<Response, Problem>> {
        if knows_key(call) {
            return None;
        }
        let problem = Problem::new(Name::Unauthenticated, "The key of the processes is another one.");
        Some(Err(problem.header(WWW_AUTHENTICATE, http::HeaderValue::from_static("Bearer"))))
    }

    async fn run(op: Op, mut call: Call) -> Result<Response, Problem> {
        let group = call.read(MAX_FORWARD_BYTES).await?;
        let sales = std::sync::Arc::clone(&call.app.sales());
        let answer = match op {
            Op::Figures => (call.app.parts.metrics_text)().into_bytes(),
            Op::Lane => {
                let (sale, lane) = call.param().split_once(':').ok_or_else(nothing)?;
                let sale = sales.get(sale).ok_or_else(nothing)?;
                let lane = lane.parse().ok().and_then(|n: usize| sale.lanes.get(n)).ok_or_else(nothing)?;
                booker::remote::serve(lane, &group).await.map_err(|error| unread(&error))?
            }
            Op::Line => {
                let line = sales.get(call.param()).and_then(|sale| sale.line.as_ref()).ok_or_else(nothing)?;
                admission::remote::serve(line, &group).await.map_err(|error| unread(&error))?
            }
        };
        Ok(reply::body(StatusCode::OK, reply::JSON, answer))
    }
}

/// A sale that this process does not know yet, or a lane of one.
fn nothing() -> Problem {
    Problem::new(Name::NotFound, "This process has no such lane or line.")
}

/// A group of another version, or no group at all.
fn unread(error: &dyn std::fmt::Display) -> Problem {
    Problem::new(Name::BadRequest, format!("The group cannot be read: {error}."))
}

/// Every key is compared, each in constant time.
fn knows_key(call: &Call) -> bool {
    let shown = call.headers().get(AUTHORIZATION).map_or(&b""[..], http::HeaderValue::as_bytes);
    let shown = shown.strip_prefix(b"Bearer ").unwrap_or_default();
    let mut known = Choice::from(0);
    for key in call.app.process_keys.load().iter() {
        known |= shown.ct_eq(key.as_bytes()) & Choice::from(u8::from(!key.is_empty()));
    }
    known.into()
}
