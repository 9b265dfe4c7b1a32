//! The load proof: a node with thousands of honest peers, and then thousands of hostile ones beside them.
//!
//! ```text
//!   crowd (a process)  ── messages, each with its number, time and checksum ──►  hub (a process): one node, and a
//!          ◄── the same, sent back ────────────────────────────────────────────  program that answers every message
//!   wolves (a process) ── flood and never read / say nothing / a byte a second ──►
//! ```
//!
//! Measured is what the crowd sees, from the call that queues a message until the answer is there: with each kind of wolf, with
//! all of them, and in quiet before and after each. What must hold, or the status is 1: every honest message is answered, unchanged
//! and once; no honest peer is disconnected; newcomers get in; the hub's memory stays within what its limits add up to.
//! The 99th percentile of the latency is compared with the two quiet ones around it, since what else a machine does comes and goes;
//! of several rounds the middle one counts, and must hold if `--ratio` says so.
//!
//! An attacker brings processors and memory of his own. So wolves get the time that others leave (`chrt`, of util-linux), and small
//! buffers for what they send; what they send lies in the hub's buffers all the same, and fills them.
//!
//! `cargo xtask load` builds and runs it.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a proof that cannot be set up has failed, and says so by a panic"
)]

mod crowd;
mod hub;
mod measure;
mod options;
mod player;
mod proof;
mod wolves;

use std::process::ExitCode;

use options::Options;

fn main() -> ExitCode {
    match player::role().unwrap_or_default().iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => proof::prove(&Options::read()),
        ["hub", peers] => hub::play(peers.parse().expect("a number")),
        ["crowd", ref hub @ ..] => crowd::play(&crowd::Target::read(hub)),
        ["wolves", ref hub @ ..] => wolves::play(&crowd::Target::read(hub)),
        ref other => panic!("no such role: {other:?}"),
    }
}
