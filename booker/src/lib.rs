//! Holds, the committer and the reconciler
