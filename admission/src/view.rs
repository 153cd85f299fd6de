//! What one process shows of a sale's line and stock, from memory: a poll costs no Redis call.

mod calibration;
pub mod place;
mod poll;
pub mod shown;
mod snapshot;
pub mod stock;

pub use calibration::{Calibration, Told};
pub use place::{Chance, Place, PlaceState, Wait, place};
pub use poll::{LineView, Poller, STOCK_GOOD_FOR_MS};
pub use snapshot::{LineLooked, LineState, Looked, Snapshot};
pub use stock::{Band, ItemStock};
