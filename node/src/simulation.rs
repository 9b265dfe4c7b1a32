//! Several whole nodes in a world of their own, where everything that can go wrong does, and every run can be repeated.
//!
//! A run has a seed. From it come the hosts and their limits, the weather on each link, what the nodes' users do and when,
//! every latency, every reset, the order of tasks, and the nodes' own random numbers. Time is simulated: it jumps to the next
//! thing that happens, so an hour takes milliseconds. The nodes are the real ones, from [`crate::Node`] down to the bytes;
//! only what they take from the machine is replaced ([`crate::system`]).
//!
//! What is held against every run:
//!
//! - what becomes of accepted messages (`ledger`);
//! - what a node holds, at every step and when nobody is connected any more (`census`);
//! - that every operation ends, every task and socket goes, and nothing panics (`world`, `process`);
//! - that subscribers miss nothing without being told, and onions go where they are to go (`script`, `onions`).
//!
//! What is not simulated: threads that run at the same time (loom and the stress tests do that for the send queue), the heap,
//! files, and the clock on the wall.
//!
//! `cargo xtask simulate` runs thousands of seeds, and one of them with its whole story.

mod census;
mod dice;
mod ending;
mod ledger;
mod network;
mod onions;
mod process;
mod script;
mod site;
mod tests;
mod trace;
mod world;

use self::ledger::Sums;
pub(crate) use self::network::{TcpListener, TcpStream, prepare};
pub(crate) use self::process::{Process, machines, random_bytes, spawn};
use self::trace::Story;
use self::world::World;

/// One run from its beginning to its end.
fn run(seed: u64) -> (Story, Sums) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let mut world = World::begin(seed).await;
        world.play().await;
        let trace = std::sync::Arc::clone(&world.trace);
        let sums = if trace.is_spoilt() { Sums::default() } else { world.end().await };
        (trace.story(), sums)
    })
}
