//! Who may enter: the step, the line and its owner, the registry of sales, and what each process shows of a line.

pub mod clock;
pub mod conversion;
pub mod draw;
pub mod fold;
pub mod habits;
pub mod line;
pub mod lobby;
pub mod meter;
pub mod metrics;
pub mod pilot;
pub mod remote;
pub mod sales;
pub mod simulate;
pub mod step;
pub mod view;

pub use clock::Clock;
pub use line::{Came, Claim, Fee, Joined, Line, LineConfig, LineError, LineOwner, LineStatus, NotYet, line};
pub use sales::{Acted, SaleMap, Sales, SalesError, StockChange};
pub use view::{LineView, LobbyView, Snapshot};
