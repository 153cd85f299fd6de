//! A sale on a virtual clock: the real step and the real fold against modelled or recorded visitors, beside a fixed rate
//! and a plain cap with the same visitors. Settings are recommended from it (`docs/admission-settings.md`).

mod chart;
mod figures;
mod policy;
mod replay;
mod visitors;
mod world;

pub use chart::chart;
pub use figures::{Outcome, Second};
pub use policy::Policy;
pub use replay::{BadRecord, Recorded};
pub use visitors::{Model, Visitor};
pub use world::{Sale, run};

#[cfg(test)]
mod tests;
