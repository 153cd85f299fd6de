//! Fenced logs: the interface and its stores
