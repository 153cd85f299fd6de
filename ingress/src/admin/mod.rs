//! The API for operators, and what machines watch.

mod acts;
mod figures;
mod health;
mod key;
mod sales;

use crate::call::Call;
use crate::front::Api;
use crate::problem::{Name, Problem};
use crate::reply::Response;
use crate::route::routes;

routes! {
    ROUTES: Op {
        Live = Confirm GET "/livez";
        Ready = Confirm GET "/readyz";
        Metrics = Confirm GET "/metrics";
        ListSales = Confirm GET "/admin/v1/sales";
        GetSale = Confirm GET "/admin/v1/sales/{sale}";
        PutSale = Confirm PUT "/admin/v1/sales/{sale}";
        OpenSale = Confirm POST "/admin/v1/sales/{sale}/open";
        CloseSale = Confirm POST "/admin/v1/sales/{sale}/close";
        Audit = Confirm GET "/admin/v1/sales/{sale}/audit";
        Events = Confirm GET "/admin/v1/sales/{sale}/events";
    }
}

/// The operations for operators.
pub(crate) struct Operators;

impl Api for Operators {
    type Op = Op;
    const CORS: bool = false;

    fn quick(op: Op, call: &Call) -> Option<Result<Response, Problem>> {
        Some(match op {
            Op::Live => Ok(health::live()),
            Op::Ready => Ok(health::ready(call)),
            Op::Metrics => Ok(health::metrics(call)),
            Op::ListSales => sales::list(call),
            Op::GetSale => sales::get(call),
            Op::PutSale | Op::OpenSale | Op::CloseSale | Op::Audit | Op::Events => return None,
        })
    }

    async fn run(op: Op, call: Call) -> Result<Response, Problem> {
        match op {
            Op::PutSale => sales::put(call).await,
            Op::OpenSale => acts::open(call).await,
            Op::CloseSale => acts::close(call).await,
            Op::Audit => acts::audit(call).await,
            Op::Events => acts::events(call).await,
            // The rest has been answered at once.
            _ => Err(Problem::new(Name::NotFound, "Nothing is here.")),
        }
    }
}
