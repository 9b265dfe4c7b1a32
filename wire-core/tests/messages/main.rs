//! The messages of BOLT 1 and the encodings they are made of, against the published vectors and tables and against
//! their own encoders.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "this is a test throughout; clippy.toml exempts only the functions marked as tests, not what they call"
)]

mod bigsize;
mod cursor;
mod features;
mod init;
mod kinds;
mod random;
mod simple;
mod tlv;
mod vectors;
