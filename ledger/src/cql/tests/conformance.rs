//! The CQL store passes the suite, on a real Cassandra.

use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use crate::cassandra::{Shared, shared};
use crate::conformance::{Doubts, Factory};
use crate::{Cql, Ledger, Limits};

impl Factory for &'static Shared {
    fn open<'a>(&'a self, limits: Limits, doubts: &'a Doubts) -> BoxFuture<'a, Ledger> {
        async move {
            let store = Cql::open_with(&self.ledger(), limits).await.expect("the store opens");
            Ledger::new(Arc::new(store.with_doubts(doubts)))
        }
        .boxed()
    }
}

crate::conformance_suite!(shared());
