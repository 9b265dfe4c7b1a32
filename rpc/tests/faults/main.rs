//! The daemon as a process, when everything around it fails: processes that are killed, a disk that is full, no descriptors,
//! a socket file that is gone, a clock that jumps, an end that somebody delays, users of the machine who are not the owner.
//!
//! What is asked in all of them: is anything lost that was promised, is it told, does the rest go on, does it end.
//! Where a moment is chosen at random, the seed is printed; `ODDWIRE_SEED` repeats it.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic is how a test fails, in its helpers too"
)]

mod account;
mod chance;
mod client;
mod clock;
mod descriptors;
mod disk;
mod figures;
#[path = "../plugins/fixture.rs"]
#[expect(dead_code, reason = "what these tests use of the plugins' fixture is less than all")]
mod fixture;
mod kills;
mod kills_of_others;
#[path = "../process/running.rs"]
mod running;
mod secrecy;
mod socket_file;
mod stop;
