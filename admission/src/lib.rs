//! Who may enter: the step, the line and its owner, the registry of sales, and what each process shows of a line.

pub mod fold;
pub mod line;
pub mod meter;
pub mod step;

pub use line::{Claim, Joined, Line, LineError, LineStatus, NotYet};
