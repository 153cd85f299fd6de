//! What one process shows of a sale's line and stock, from memory: a poll costs no Redis call.

mod calibration;
pub mod place;
mod poll;
mod receipts;
pub mod shown;
mod snapshot;
pub mod stock;

pub use calibration::{Calibration, Told};
pub use place::{Chance, Place, PlaceState, Wait, lobby_poll_ms, place};
pub use poll::{LineView, Poller, STOCK_GOOD_FOR_MS};
pub use receipts::NoBook;
pub use snapshot::{LineLooked, LineState, LobbyView, Looked, Snapshot};
pub use stock::{Band, ItemStock};
