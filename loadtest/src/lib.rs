//! The load harness: journeys over HTTP, a history and an oracle
