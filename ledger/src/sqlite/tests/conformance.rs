//! The embedded store passes the suite.

use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use proptest::prelude::{ProptestConfig, proptest};
use tempfile::TempDir;

use crate::conformance::{Doubts, Factory, random_history};
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

proptest! {
    // Nothing is written beside the sources: a failure prints its seed and its fewest steps.
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_history_agrees_with_the_model(seed: u64, steps in 1_usize..150) {
        let factory = File(tempfile::tempdir().expect("a folder"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(random_history(&factory, seed, steps));
    }
}
