//! Onions, their errors, blinded paths and onion messages against the vectors of BOLT 4, and against each other on random
//! routes.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "this is a test throughout; clippy.toml exempts only the functions marked as tests, not what they call"
)]

mod blinding;
mod errors;
mod hostile;
mod messages;
mod payments;
mod routes;
mod vectors;
