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
pub(crate) use crate::simulation::{TcpListener, TcpStream, prepare, random_bytes, spawn};

/// Makes a connection ready for messages: small ones go out when they are sent, not when the peer has acknowledged the last, and
/// the system takes few that it cannot send yet.
///
/// # Errors
/// The connection is gone already.
#[cfg(any(not(test), oddwire_loom))]
pub(crate) fn prepare(stream: &TcpStream) -> std::io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Err(error) = socket2::SockRef::from(stream).set_tcp_notsent_lowat(crate::limits::UNSENT_IN_SYSTEM)
    {
        // One that does not know the option takes more.
        tracing::debug!("the system does not limit what it keeps unsent: {error}");
    }
    stream.set_nodelay(true)
}
