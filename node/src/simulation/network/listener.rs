//! The listening socket.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Poll, Waker};

use super::{Death, TcpStream};
use crate::simulation::process::Process;

/// One attempt to accept in so many finds that the system has no descriptor left.
const REFUSES_ONE_IN: usize = 50;

/// What [`crate::system`] has for tokio's.
#[derive(Debug)]
pub(crate) struct TcpListener {
    process: Arc<Process>,
    address: SocketAddr,
}

/// An address that somebody listens on.
#[derive(Debug)]
pub(super) struct Listening {
    pub(super) process: usize,
    /// Connections that were not accepted yet, and where they come from.
    pub(super) waiting: VecDeque<(u64, SocketAddr)>,
    pub(super) waker: Option<Waker>,
}

impl TcpListener {
    #[expect(clippy::unused_async, reason = "as tokio has it")]
    pub(crate) async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
        let process = Process::current().ok_or(io::ErrorKind::Unsupported)?;
        let listening = Listening { process: process.number, waiting: VecDeque::new(), waker: None };
        process.network.with(|state| {
            if state.listening.contains_key(&address) {
                return Err(io::Error::from(io::ErrorKind::AddrInUse));
            }
            state.listening.insert(address, listening);
            Ok(())
        })?;
        Ok(TcpListener { process, address })
    }

    #[expect(clippy::unnecessary_wraps, reason = "as tokio has it")]
    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }

    pub(crate) async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let (number, from) = poll_fn(|context| {
            self.process.network.with(|state| {
                let Some(listening) = state.listening.get_mut(&self.address) else {
                    return Poll::Ready(Err(io::Error::from(io::ErrorKind::NotConnected)));
                };
                if listening.waiting.is_empty() {
                    listening.waker = Some(context.waker().clone());
                    return Poll::Pending;
                }
                if state.dice.one_in(REFUSES_ONE_IN) {
                    // EMFILE.
                    return Poll::Ready(Err(io::Error::from_raw_os_error(24)));
                }
                match listening.waiting.pop_front() {
                    Some(accepted) => Poll::Ready(Ok(accepted)),
                    None => Poll::Pending,
                }
            })
        })
        .await?;
        Ok((TcpStream::of(&self.process, number, 1), from))
    }
}

impl Drop for TcpListener {
    fn drop(&mut self) {
        self.process.network.with(|state| {
            // Another process may have the address by now.
            if state.listening.get(&self.address).is_some_and(|it| it.process == self.process.number) {
                state.stop_listening(self.address, Death::Killed);
            }
        });
    }
}
