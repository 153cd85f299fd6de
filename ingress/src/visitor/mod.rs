//! The API for visitors: `/v1` and the pages beside it.

pub(crate) mod bookings;
pub(crate) mod catalogue;
pub(crate) mod codes;
pub(crate) mod draw;
pub(crate) mod events;
pub(crate) mod holds;
pub(crate) mod identity;
pub(crate) mod line;
pub(crate) mod moving;
mod order;
mod outcome;
pub(crate) mod pages;
pub(crate) mod passes;
pub(crate) mod proof;
pub(crate) mod tickets;

use crate::call::Call;
use crate::front::Api;
use crate::openapi;
use crate::page;
use crate::problem::{Name, Problem};
use crate::reply::Response;
use crate::route::routes;

routes! {
    ROUTES: Op {
        Home = Catalogue GET "/";
        Page = Status GET "/sales/{sale}";
        PageStyle = Catalogue GET "/page/style.css";
        PageScript = Catalogue GET "/page/script.js";
        PageWorker = Catalogue GET "/page/proof.js";
        PageJoin = Hold POST "/sales/{sale}/join";
        PageEnter = Hold POST "/sales/{sale}/enter";
        PageLeave = Hold POST "/sales/{sale}/leave";
        PageOffer = Hold POST "/sales/{sale}/offer";
        PageTake = Hold POST "/sales/{sale}/take";
        PageHold = Hold POST "/sales/{sale}/hold";
        PageRelease = Hold POST "/sales/{sale}/release";
        PageConfirm = Confirm POST "/sales/{sale}/confirm";
        PageAgain = Hold POST "/sales/{sale}/again";
        Description = Catalogue GET "/openapi.json";
        Problems = Catalogue GET "/problems";
        DrawPage = Catalogue GET "/draw";
        ProblemPage = Catalogue GET "/problems/{name}";
        ListSales = Catalogue GET "/v1/sales";
        GetSale = Catalogue GET "/v1/sales/{sale}";
        GetLine = Status GET "/v1/sales/{sale}/line";
        GetDraw = Catalogue GET "/v1/sales/{sale}/draw";
        GetReceipt = Catalogue GET "/v1/sales/{sale}/draw/receipt";
        GetLeaves = Catalogue GET "/v1/sales/{sale}/draw/leaves";
        GetChallenge = Status GET "/v1/sales/{sale}/challenge";
        GetTicket = Status GET "/v1/sales/{sale}/ticket";
        FollowTicket = Status GET "/v1/sales/{sale}/ticket/events";
        OfferPlace = Hold POST "/v1/sales/{sale}/ticket/code";
        TakePlace = Hold POST "/v1/sales/{sale}/ticket/move";
        MakeVisitor = Hold POST "/v1/visitors";
        JoinLine = Hold POST "/v1/sales/{sale}/tickets";
        ClaimPass = Hold POST "/v1/sales/{sale}/passes";
        Leave = Hold DELETE "/v1/sales/{sale}/pass";
        Hold = Hold POST "/v1/sales/{sale}/holds";
        GetHold = Status GET "/v1/holds/{hold_id}";
        ReleaseHold = Hold DELETE "/v1/holds/{hold_id}";
        Confirm = Confirm POST "/v1/holds/{hold_id}/confirm";
        ListBookings = Status GET "/v1/bookings";
        GetBooking = Status GET "/v1/bookings/{booking_id}";
        CancelBooking = Confirm POST "/v1/bookings/{booking_id}/cancel";
    }
}

/// The operations for visitors.
pub(crate) struct Visitors;

impl Api for Visitors {
    type Op = Op;
    const CORS: bool = true;

    fn quick(op: Op, call: &Call) -> Option<Result<Response, Problem>> {
        Some(match op {
            Op::Home => Ok(page::home(call)),
            Op::PageStyle => Ok(page::style(call)),
            Op::PageScript => Ok(page::script(call)),
            Op::PageWorker => Ok(page::worker(call)),
            Op::Page | Op::PageJoin | Op::PageEnter | Op::PageLeave => return None,
            Op::PageOffer | Op::PageTake => return None,
            Op::PageHold | Op::PageRelease | Op::PageConfirm | Op::PageAgain => return None,
            Op::Description => Ok(openapi::visitor_description(call)),
            Op::Problems => Ok(pages::problems()),
            Op::ProblemPage => pages::problem(call),
            Op::ListSales => Ok(catalogue::list(call)),
            Op::GetSale => catalogue::show(call),
            Op::GetLine => line::get(call),
            Op::DrawPage => Ok(pages::draw(call)),
            Op::GetDraw => draw::get(call),
            Op::GetReceipt | Op::GetLeaves => return None,
            Op::GetChallenge => proof::get(call),
            Op::GetTicket => tickets::get(call),
            Op::FollowTicket => events::get(call),
            Op::OfferPlace | Op::TakePlace => return None,
            Op::MakeVisitor | Op::JoinLine | Op::ClaimPass | Op::Leave | Op::Hold => return None,
            Op::GetHold | Op::ReleaseHold | Op::Confirm => return None,
            Op::ListBookings | Op::GetBooking | Op::CancelBooking => return None,
        })
    }

    fn crowded(op: Op, call: &Call) -> Option<Response> {
        let page = matches!(op, Op::Page | Op::PageJoin | Op::PageEnter | Op::PageLeave | Op::PageHold)
            || matches!(op, Op::PageRelease | Op::PageConfirm | Op::PageAgain | Op::PageOffer | Op::PageTake);
        page.then(|| page::crowded(call))
    }

    async fn run(op: Op, call: Call) -> Result<Response, Problem> {
        match op {
            Op::Page => page::sale(call).await,
            Op::PageJoin => page::join(call).await,
            Op::PageEnter => page::enter(call).await,
            Op::PageLeave => page::leave(call).await,
            Op::PageOffer => page::offer(call).await,
            Op::PageTake => page::take(call).await,
            Op::PageHold => page::hold(call).await,
            Op::PageRelease => page::release(call).await,
            Op::PageConfirm => page::confirm(call).await,
            Op::PageAgain => page::again(call).await,
            Op::OfferPlace => moving::offer(call).await,
            Op::TakePlace => moving::take(call).await,
            Op::MakeVisitor => tickets::visitor(call).await,
            Op::JoinLine => tickets::join(call).await,
            Op::GetReceipt => draw::receipt(call).await,
            Op::GetLeaves => draw::leaves(call).await,
            Op::ClaimPass => passes::claim(call).await,
            Op::Leave => passes::leave(call).await,
            Op::Hold => holds::post(call).await,
            Op::GetHold => holds::get(call).await,
            Op::ReleaseHold => holds::delete(call).await,
            Op::Confirm => bookings::confirm(call).await,
            Op::ListBookings => bookings::list(call).await,
            Op::GetBooking => bookings::get(call).await,
            Op::CancelBooking => bookings::cancel(call).await,
            // The rest has been answered at once.
            _ => Err(Problem::new(Name::NotFound, "Nothing is here.")),
        }
    }
}
