//! Holds and confirms, in one of two ways: every call a transaction of its own, or what has piled up in one.

use std::collections::HashMap;

use deadpool_postgres::Pool;
use tokio::sync::{mpsc, oneshot};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Statement};
use uuid::Uuid;

use crate::server::Failed;

/// The one item that is sold.
pub(crate) const ITEM: &str = "seat";
/// Units per visitor: no hindrance, but checked, as by the product.
const MOST: i64 = 1_000_000;
const TTL_MS: i64 = 300_000;
const HOLD_ONE: &str = "SELECT hold_one($1, $2, $3, $4, $5, $6)";
const HOLD_MANY: &str = "SELECT hold, outcome FROM hold_many($1, $2, $3, $4, $5, $6)";
const CONFIRM: &str = "SELECT hold, booking FROM confirm($1, $2)";
/// Calls of one group: more of them make a group no cheaper per call.
const MAX_GROUP: usize = 1_024;

/// What becomes of a hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Hold {
    Held,
    LimitReached,
    SoldOut,
}

impl Hold {
    fn of(outcome: i32) -> Self {
        match outcome {
            0 => Self::LimitReached,
            1 => Self::SoldOut,
            _ => Self::Held,
        }
    }
}

/// A hold that is asked for.
pub(crate) struct HoldCall {
    pub(crate) id: Uuid,
    pub(crate) visitor: String,
    pub(crate) quantity: i64,
}

type HoldWait = (HoldCall, oneshot::Sender<Hold>);
/// The hold, its visitor, and who waits for the number of the booking.
type ConfirmWait = (Uuid, String, oneshot::Sender<Option<i64>>);

/// How calls are committed.
#[derive(Clone)]
pub(crate) enum Store {
    /// Each in a transaction of its own, on a connection of the pool.
    Rows(Pool),
    /// What has piled up, in one transaction.
    Groups { holds: mpsc::Sender<HoldWait>, confirms: mpsc::Sender<ConfirmWait> },
}

impl Store {
    /// Two connections, each with one transaction at a time: holds and confirms do not wait for each other.
    pub(crate) async fn groups(holding: Client, confirming: Client) -> Result<Self, Failed> {
        let (holds, asked) = mpsc::channel(65_536);
        let (confirms, wished) = mpsc::channel(65_536);
        let (hold, confirm) = (holding.prepare(HOLD_MANY).await?, confirming.prepare(CONFIRM).await?);
        tokio::spawn(async move { ended("holds", hold_groups(holding, hold, asked).await) });
        tokio::spawn(async move { ended("confirms", confirm_groups(confirming, confirm, wished).await) });
        Ok(Self::Groups { holds, confirms })
    }

    pub(crate) async fn hold(&self, call: HoldCall) -> Result<Hold, Failed> {
        match self {
            Self::Rows(pool) => {
                let client = pool.get().await?;
                let statement = client.prepare_cached(HOLD_ONE).await?;
                let values: [&(dyn ToSql + Sync); 6] = [&call.id, &call.visitor, &ITEM, &call.quantity, &MOST, &TTL_MS];
                Ok(Hold::of(client.query_one(&statement, &values).await?.get(0)))
            }
            Self::Groups { holds, .. } => {
                let (reply, answer) = oneshot::channel();
                holds.send((call, reply)).await?;
                Ok(answer.await?)
            }
        }
    }

    /// The number of the booking; none when there is no such hold any more.
    pub(crate) async fn confirm(&self, id: Uuid, visitor: String) -> Result<Option<i64>, Failed> {
        match self {
            Self::Rows(pool) => {
                let client = pool.get().await?;
                let statement = client.prepare_cached(CONFIRM).await?;
                let row = client.query_opt(&statement, &[&vec![id], &vec![visitor]]).await?;
                Ok(row.map(|row| row.get(1)))
            }
            Self::Groups { confirms, .. } => {
                let (reply, answer) = oneshot::channel();
                confirms.send((id, visitor, reply)).await?;
                Ok(answer.await?)
            }
        }
    }
}

fn ended(what: &str, result: Result<(), Failed>) {
    if let Err(error) = result {
        eprintln!("{what}: {error}");
    }
}

async fn hold_groups(client: Client, statement: Statement, mut asked: mpsc::Receiver<HoldWait>) -> Result<(), Failed> {
    let mut group = Vec::new();
    while asked.recv_many(&mut group, MAX_GROUP).await > 0 {
        // A visitor's second call of a group would have to see the first; here no visitor has two under way.
        let mut waiting: HashMap<Uuid, oneshot::Sender<Hold>> = HashMap::with_capacity(group.len());
        let (mut ids, mut visitors, mut counts) = (Vec::new(), Vec::new(), Vec::new());
        for (call, reply) in group.drain(..) {
            waiting.insert(call.id, reply);
            ids.push(call.id);
            visitors.push(call.visitor);
            counts.push(call.quantity);
        }
        let values: [&(dyn ToSql + Sync); 6] = [&ids, &visitors, &ITEM, &counts, &MOST, &TTL_MS];
        for row in client.query(&statement, &values).await? {
            if let Some(reply) = waiting.remove(&row.get::<_, Uuid>(0)) {
                let _ = reply.send(Hold::of(row.get(1)));
            }
        }
    }
    Ok(())
}

async fn confirm_groups(
    client: Client,
    statement: Statement,
    mut wished: mpsc::Receiver<ConfirmWait>,
) -> Result<(), Failed> {
    let mut group = Vec::new();
    while wished.recv_many(&mut group, MAX_GROUP).await > 0 {
        let mut waiting: HashMap<Uuid, oneshot::Sender<Option<i64>>> = HashMap::with_capacity(group.len());
        let (mut ids, mut visitors) = (Vec::new(), Vec::new());
        for (id, visitor, reply) in group.drain(..) {
            waiting.insert(id, reply);
            ids.push(id);
            visitors.push(visitor);
        }
        for row in client.query(&statement, &[&ids, &visitors]).await? {
            if let Some(reply) = waiting.remove(&row.get::<_, Uuid>(0)) {
                let _ = reply.send(row.get(1));
            }
        }
        // What is left has no hold.
        for (_, reply) in waiting {
            let _ = reply.send(None);
        }
    }
    Ok(())
}
