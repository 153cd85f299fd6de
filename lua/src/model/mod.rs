//! The scripts in Rust, as the reference that tests compare them with.
