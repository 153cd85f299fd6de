//! The embedded store passes the suite.

use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tempfile::TempDir;

use crate::conformance::{Doubts, Factory};
use crate::{Ledger, Limits, Sqlite};

struct File(TempDir);

impl Factory for File {
    fn open<'a>(&'a self, limits: Limits, doubts: &'a Doubts) -> BoxFuture<'a, Ledger> {
        async move {
            let store = Sqlite::open_with(&self.0.path().join("ledger.db"), limits).expect("the store opens");
            Ledger::new(Arc::new(store.with_doubts(doubts)))
        }
        .boxed()
    }
}

crate::conformance_suite!(File(tempfile::tempdir().expect("a folder")));
