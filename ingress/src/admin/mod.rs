//! The API for operators, and what machines watch.

pub(crate) mod acts;
pub(crate) mod codes;
mod figures;
pub(crate) mod hand;
pub(crate) mod health;
mod key;
pub(crate) mod sales;
pub(crate) mod stock;

use crate::call::Call;
use crate::front::Api;
use crate::openapi;
use crate::problem::{Name, Problem};
use crate::reply::Response;
use crate::route::routes;
use crate::visitor::pages;

routes! {
    ROUTES: Op {
        Live = Confirm GET "/livez";
        Ready = Confirm GET "/readyz";
        Metrics = Confirm GET "/metrics";
        Description = Confirm GET "/openapi.json";
        ProblemPage = Confirm GET "/problems/{name}";
        ListSales = Confirm GET "/admin/v1/sales";
        GetSale = Confirm GET "/admin/v1/sales/{sale}";
        PutSale = Confirm PUT "/admin/v1/sales/{sale}";
        OpenSale = Confirm POST "/admin/v1/sales/{sale}/open";
        PauseSale = Confirm POST "/admin/v1/sales/{sale}/pause";
        ResumeSale = Confirm POST "/admin/v1/sales/{sale}/resume";
        CloseSale = Confirm POST "/admin/v1/sales/{sale}/close";
        SetPace = Confirm PUT "/admin/v1/sales/{sale}/pace";
        SetCap = Confirm PUT "/admin/v1/sales/{sale}/cap";
        SetJoining = Confirm PUT "/admin/v1/sales/{sale}/joining";
        LetThrough = Confirm PUT "/admin/v1/sales/{sale}/let-through";
        ChangeStock = Confirm POST "/admin/v1/sales/{sale}/items/{item}/stock";
        MakeCodes = Confirm POST "/admin/v1/sales/{sale}/classes/{class}/codes";
        Audit = Confirm GET "/admin/v1/sales/{sale}/audit";
        Events = Confirm GET "/admin/v1/sales/{sale}/events";
    }
}

/// What a problem means and what to do.
#[utoipa::path(get, path = "/problems/{name}", tag = "health", operation_id = "adminGetProblem",
    params(("name" = String, Path, description = "The problem's name")),
    responses((status = 200, description = "A page", body = String, content_type = "text/html")))]
pub(crate) fn problem(call: &Call) -> Result<Response, Problem> {
    pages::problem(call)
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
            Op::Description => Ok(openapi::admin_description(call)),
            Op::ProblemPage => problem(call),
            Op::ListSales => sales::list(call),
            Op::GetSale => sales::get(call),
            _ => return None,
        })
    }

    async fn run(op: Op, call: Call) -> Result<Response, Problem> {
        match op {
            Op::PutSale => sales::put(call).await,
            Op::OpenSale => acts::open(call).await,
            Op::PauseSale => hand::pause(call).await,
            Op::ResumeSale => hand::resume(call).await,
            Op::CloseSale => acts::close(call).await,
            Op::SetPace => hand::pace(call).await,
            Op::SetCap => hand::cap(call).await,
            Op::SetJoining => hand::joining(call).await,
            Op::LetThrough => hand::let_through(call).await,
            Op::ChangeStock => stock::change(call).await,
            Op::MakeCodes => codes::make(call).await,
            Op::Audit => acts::audit(call).await,
            Op::Events => acts::events(call).await,
            // The rest has been answered at once.
            _ => Err(Problem::new(Name::NotFound, "Nothing is here.")),
        }
    }
}
