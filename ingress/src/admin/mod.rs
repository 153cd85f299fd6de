//! The API for operators, and what machines watch.

use crate::call::Call;
use crate::front::Api;
use crate::problem::{Name, Problem};
use crate::reply::Response;
use crate::route::routes;

routes! {
    ROUTES: Op {
        Live = Confirm GET "/livez";
    }
}

/// The operations for operators.
pub(crate) struct Operators;

impl Api for Operators {
    type Op = Op;
    const CORS: bool = false;

    fn quick(_: Op, _: &Call) -> Option<Result<Response, Problem>> {
        None
    }

    async fn run(_: Op, _: Call) -> Result<Response, Problem> {
        Err(Problem::new(Name::NotFound, ""))
    }
}
