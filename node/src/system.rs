//! What a node takes from the machine it runs on: sockets, tasks and random numbers.
//!
//! All of it comes through here, so that the tests of this crate can put a machine of their own in its place: a network that
//! misbehaves on purpose, processes that can be killed, and nothing that is random but a seed (`simulation`). Time is tokio's,
//! which tests can pause. Everywhere else, the tests in `tests/` included, these are the real ones.

#[cfg(any(not(test), oddwire_loom))]
pub(crate) use getrandom::fill as random_bytes;
#[cfg(any(not(test), oddwire_loom))]
pub(crate) use tokio::net::{TcpListener, TcpStream};
#[cfg(any(not(test), oddwire_loom))]
pub(crate) use tokio::spawn;

#[cfg(all(test, not(oddwire_loom)))]
pub(crate) use crate::simulation::{TcpListener, TcpStream, random_bytes, spawn};
