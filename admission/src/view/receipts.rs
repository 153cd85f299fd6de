//! The receipts of a lobby that has closed, for those who check the draw: read from the line's log when somebody first asks.

use std::sync::Arc;

use domain::event::Event as _;
use domain::{LineEvent, LobbyEvent, LogId, SaleId, VisitorHash};
use ledger::Ledger;
use tokio::runtime::Handle;
use tokio::sync::OnceCell;

use crate::draw::Book;

/// Why there is no book of receipts.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum NoBook {
    /// The lobby has not closed, or nobody came.
    #[error("the lobby has not closed yet, or nobody came")]
    NotClosed,
    /// The ledger cannot be read.
    #[error(transparent)]
    Store(#[from] ledger::Error),
    /// The line's log cannot be read, or its receipts do not lead to its root.
    #[error("the line's log is damaged: look at it with `holdfast log read`")]
    Damaged,
    /// The program is stopping.
    #[error("the program is stopping")]
    Stopping,
}

/// Where the receipts of one sale's lobby can be read. Cheap to clone; all clones share one book.
#[derive(Clone)]
pub(crate) struct Receipts(Arc<Inner>);

struct Inner {
    ledger: Ledger,
    sale: SaleId,
    book: OnceCell<Arc<Book>>,
}

impl std::fmt::Debug for Receipts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Receipts({})", self.0.sale)
    }
}

impl Receipts {
    pub(crate) fn new(ledger: Ledger, sale: SaleId) -> Self {
        Self(Arc::new(Inner { ledger, sale, book: OnceCell::new() }))
    }

    /// The book, read once. Those who ask meanwhile wait for the same one.
    pub(crate) async fn book(&self) -> Result<Arc<Book>, NoBook> {
        let read = || async {
            let (inner, runtime) = (Arc::clone(&self.0), Handle::current());
            // Decoding and hashing a large lobby takes a second: on a thread of its own.
            let work = move || runtime.block_on(read_book(&inner.ledger, &inner.sale));
            tokio::task::spawn_blocking(work).await.unwrap_or(Err(NoBook::Stopping)).map(Arc::new)
        };
        self.0.book.get_or_try_init(read).await.cloned()
    }
}

async fn read_book(ledger: &Ledger, sale: &SaleId) -> Result<Book, NoBook> {
    let (mut receipts, mut root, mut readable) = (Vec::<VisitorHash>::new(), None, true);
    let take = |entry: ledger::Entry| match LineEvent::decode(&entry.event) {
        Ok(LineEvent { lobby: Some(LobbyEvent::Came { receipts: came, .. }), .. }) => receipts.extend(came),
        Ok(LineEvent { lobby: Some(LobbyEvent::Closed { root: closed, .. }), .. }) => root = Some(closed),
        Ok(_) => {}
        Err(_) => readable = false,
    };
    ledger.read_all(&LogId::line(sale), 0, take).await?;
    let root = root.ok_or(NoBook::NotClosed)?;
    let book = Book::new(sale.clone(), receipts);
    if readable && book.root() == root { Ok(book) } else { Err(NoBook::Damaged) }
}
