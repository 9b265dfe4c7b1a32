//! What the fuzzer runs: one plain function per target, from bytes to nothing, which panics when a promise is broken.
//!
//! The bytes are a script, not only a message: they choose roles, splits, damage and time as well, so that most inputs get
//! past the first check. Each body says what it holds against the code beside "does not panic".
//!
//! - `fuzz_targets/` has the entry points for libFuzzer, behind the feature `libfuzzer`.
//! - `corpus/TARGET/` has small inputs, the vectors of the BOLTs among them; `tests/replay.rs` runs all of them in the
//!   ordinary tests, with the ordinary compiler.
//! - An input that broke something is added to the corpus under a name that says what it broke.

#![forbid(unsafe_code)]
#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::panic,
    reason = "a fuzz body reports by panicking; the doc of its module says what it holds"
)]

pub mod connection;
pub mod decoders;
pub mod deframer;
pub mod handshake;
pub mod init;
pub mod json_rpc;
pub mod messages;
pub mod onion;
pub mod parameters;
pub mod plugin;
mod script;
pub mod sealing;
pub mod send_queue;
pub mod tlv;
pub mod transport;

/// One fuzz target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The name of its module, its entry point and its corpus.
    pub name: &'static str,
    /// The body.
    pub run: fn(&[u8]),
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "connection", run: connection::run },
    Target { name: "decoders", run: decoders::run },
    Target { name: "deframer", run: deframer::run },
    Target { name: "handshake", run: handshake::run },
    Target { name: "init", run: init::run },
    Target { name: "json_rpc", run: json_rpc::run },
    Target { name: "messages", run: messages::run },
    Target { name: "onion", run: onion::run },
    Target { name: "parameters", run: parameters::run },
    Target { name: "plugin", run: plugin::run },
    Target { name: "sealing", run: sealing::run },
    Target { name: "send_queue", run: send_queue::run },
    Target { name: "tlv", run: tlv::run },
    Target { name: "transport", run: transport::run },
];
