//! The API for visitors: `/v1` and the pages beside it.

pub(crate) mod catalogue;
mod pages;

use crate::call::Call;
use crate::front::Api;
use crate::problem::{Name, Problem};
use crate::reply::Response;
use crate::route::routes;

routes! {
    ROUTES: Op {
        Home = Catalogue GET "/";
        Problems = Catalogue GET "/problems";
        ProblemPage = Catalogue GET "/problems/{name}";
        ListSales = Catalogue GET "/v1/sales";
        ShowSale = Catalogue GET "/v1/sales/{sale}";
    }
}

/// The operations for visitors.
pub(crate) struct Visitors;

impl Api for Visitors {
    type Op = Op;
    const CORS: bool = true;

    fn quick(op: Op, call: &Call) -> Option<Result<Response, Problem>> {
        Some(match op {
            Op::Home => Ok(pages::home(call)),
            Op::Problems => Ok(pages::problems()),
            Op::ProblemPage => pages::problem(call),
            Op::ListSales => Ok(catalogue::list(call)),
            Op::ShowSale => catalogue::show(call),
        })
    }

    async fn run(_: Op, _: Call) -> Result<Response, Problem> {
        Err(Problem::new(Name::NotFound, ""))
    }
}
