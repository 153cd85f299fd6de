//! A sale as its operator sees it: the document, and what it does at the moment.

use booker::LaneStatus;
use domain::sale::{SaleFold, Withdrawal};
use domain::{ItemId, Millis};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::app::SaleHandle;
use crate::schema;

/// A sale as its operator sees it.
#[derive(Serialize, ToSchema)]
#[schema(as = SaleView)]
pub(crate) struct SaleViewBody<'a> {
    /// Its id.
    id: &'a str,
    /// Whether anything can be booked.
    #[schema(value_type = schema::SaleState)]
    state: &'static str,
    /// Counts changes of the document; the ETag, for If-Match.
    revision: u64,
    /// Position of the last event in the sale's log.
    seq: u64,
    /// When it was opened by hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime, nullable = false)]
    opened_at: Option<String>,
    /// When it was closed by hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime, nullable = false)]
    closed_at: Option<String>,
    /// What visitors are told while it is paused; absent when it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pause_message: Option<&'a str>,
    /// What was withdrawn, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    withdrawals: Vec<WithdrawalBody<'a>>,
    /// New visitors may join the line.
    joining: bool,
    /// Everybody is called whom the stock can serve.
    let_through: bool,
    /// The document, as it can be applied again.
    #[schema(value_type = Object)]
    doc: Value,
    /// What this process knows of it; absent while it does not serve it yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    live: Option<LiveBody<'a>>,
}

/// What a sale does at the moment.
#[derive(Serialize, ToSchema)]
#[schema(as = SaleLive)]
struct LiveBody<'a> {
    /// Stock by item.
    items: Vec<ItemFigures<'a>>,
    /// The line; absent where there is no waiting room.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    line: Option<LineFigures>,
    /// The lanes in order.
    lanes: Vec<LaneFigures>,
    /// When stock and line were last read.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime, nullable = false)]
    as_of: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct ItemFigures<'a> {
    #[schema(value_type = String)]
    item: &'a ItemId,
    /// Units in the document.
    units: u64,
    /// Units that can be held.
    free: u64,
    /// Units in holds that are not decided.
    in_checkout: u64,
    #[schema(value_type = schema::Stock)]
    stock: &'static str,
}

#[derive(Serialize, ToSchema)]
struct LineFigures {
    /// This process owns it.
    owned: bool,
    /// The store has it.
    loaded: bool,
    /// The ledger lost data: an operator has to act.
    stopped: bool,
    redis_failing: bool,
    /// Numbers up to here may enter.
    frontier: u64,
    /// Highest number that may have been given out.
    issued: u64,
    /// Receipts of the lobby, until they are drawn.
    lobby: u64,
    /// Passes alive.
    active: u64,
    /// Called, and not come yet.
    unclaimed: u64,
    /// What holds the frontier.
    binding: &'static str,
    fence: u64,
    head: u64,
}

#[derive(Serialize, ToSchema)]
#[allow(clippy::struct_excessive_bools, reason = "independent facts, shown one by one")]
struct LaneFigures {
    lane: u16,
    /// This process owns it.
    owned: bool,
    /// The store has it, so holds and confirms are taken.
    loaded: bool,
    /// The ledger lost data: an operator has to act.
    stopped: bool,
    fence: u64,
    head: u64,
    /// Up to where the store has the log.
    settled: u64,
    /// Confirms and cancels that wait for the ledger.
    undecided: usize,
    ledger_failing: bool,
    redis_failing: bool,
}

/// Units that were to leave the sale.
#[derive(Serialize, ToSchema)]
#[schema(as = Withdrawal)]
pub(crate) struct WithdrawalBody<'a> {
    /// Seq of the act in the sale's log.
    seq: u64,
    /// Of which item.
    #[schema(value_type = String)]
    item: &'a ItemId,
    /// Units that were asked for.
    units: u64,
    /// Units that have left: fewer where others were faster; absent until all lanes have said.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    withdrawn: Option<u64>,
}

impl<'a> WithdrawalBody<'a> {
    fn of(act: &'a Withdrawal) -> Self {
        Self { seq: act.seq, item: &act.item, units: act.units, withdrawn: act.left }
    }
}

/// The view of one sale; `handle`: what this process serves it with, if it does already.
pub(super) fn view<'a>(fold: &'a SaleFold, handle: Option<&'a SaleHandle>, now: Millis) -> SaleViewBody<'a> {
    SaleViewBody {
        id: fold.doc.id.as_str(),
        state: fold.phase(now).as_str(),
        revision: fold.revision,
        seq: fold.seq,
        opened_at: fold.opened.map(|at| at.to_string()),
        closed_at: fold.closed.map(|at| at.to_string()),
        pause_message: fold.paused.as_deref(),
        withdrawals: fold.withdrawals.iter().map(WithdrawalBody::of).collect(),
        joining: fold.joining,
        let_through: fold.let_through,
        doc: fold.doc.to_value(),
        live: handle.map(live),
    }
}

fn live(sale: &SaleHandle) -> LiveBody<'_> {
    let shot = sale.view.load();
    let stock = |item: &'_ domain::Item| shot.items.iter().find(|stock| stock.item == item.id).cloned();
    let items = sale.fold.doc.items.iter().filter_map(|item| {
        let stock = stock(item)?;
        let (free, in_checkout, stock) = (stock.free, stock.live, stock.band.as_str());
        Some(ItemFigures { item: &item.id, units: item.units, free, in_checkout, stock })
    });
    LiveBody {
        items: items.collect(),
        line: sale.line.as_ref().map(line),
        lanes: sale.lanes.iter().map(|handle| lane(handle.lane(), &handle.status())).collect(),
        as_of: shot.as_of.map(|at| at.to_string()),
    }
}

fn line(line: &admission::Line) -> LineFigures {
    let status = line.status();
    LineFigures {
        owned: status.owned,
        loaded: status.loaded,
        stopped: status.stopped,
        redis_failing: status.redis_failing,
        frontier: status.frontier,
        issued: status.issued,
        lobby: status.lobby,
        active: status.active,
        unclaimed: status.unclaimed,
        binding: status.binding.as_str(),
        fence: status.fence,
        head: status.head,
    }
}

fn lane(lane: u16, status: &LaneStatus) -> LaneFigures {
    LaneFigures {
        lane,
        owned: status.owned,
        loaded: status.loaded,
        stopped: status.stopped,
        fence: status.fence,
        head: status.head,
        settled: status.settled,
        undecided: status.undecided,
        ledger_failing: status.ledger_failing,
        redis_failing: status.redis_failing,
    }
}
