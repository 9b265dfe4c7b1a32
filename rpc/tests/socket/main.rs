//! The server on a real unix socket, with real nodes on loopback behind it.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails, in its helpers too"
)]

mod datastore;
mod examples;
mod fixture;
mod golden;
mod misbehaviour;
mod onions;
mod serving;
mod signing;
mod subscription;
