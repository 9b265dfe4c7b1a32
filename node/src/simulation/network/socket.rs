//! The connected socket.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{sleep, sleep_until};

use super::connection::{End, Segment};
use super::{Death, State};
use crate::simulation::process::{Host, Process};

/// One answer in so many to "is it ready?" is yes although it is not, as tokio's may be.
const SPURIOUS_ONE_IN: usize = 64;

/// What [`crate::system`] has for tokio's.
#[derive(Debug)]
pub(crate) struct TcpStream {
    process: Arc<Process>,
    number: u64,
    /// Which end of the connection it is.
    end: usize,
}

impl TcpStream {
    pub(super) fn of(process: &Arc<Process>, number: u64, end: usize) -> TcpStream {
        TcpStream { process: Arc::clone(process), number, end }
    }

    pub(crate) async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
        let process = Process::current().ok_or(io::ErrorKind::Unsupported)?;
        let (here, there) = (process.host, host_of(address).ok_or(io::ErrorKind::HostUnreachable)?);
        let network = &process.network;
        let (latency, is_answered) = network.with(|state| {
            let silent_one_in = state.link(here, there).weather.silent_one_in;
            (state.latency(here, there), !state.dice.one_in(silent_one_in))
        });
        if !is_answered {
            return std::future::pending().await;
        }
        sleep(latency).await;
        while let Some(until) = network.with(|state| state.cut_until(here, there)) {
            sleep_until(until).await;
        }
        if network.with(|state| state.dark.contains(&there)) {
            return std::future::pending().await;
        }
        let number = network.with(|state| {
            state.next_port += 1;
            let from = SocketAddr::from((here.ip(), state.next_port));
            let server = state.listening.get(&address)?.process;
            let number = state.open(End::new(process.number, here), End::new(server, there), state.next_port);
            let listening = state.listening.get_mut(&address)?;
            listening.waiting.push_back((number, from));
            state.woken.extend(listening.waker.take());
            Some(number)
        });
        // Dropped on the way, it closes the connection.
        let stream = number.map(|number| TcpStream::of(&process, number, 0));
        sleep(network.with(|state| state.latency(there, here))).await;
        stream.ok_or_else(|| io::ErrorKind::ConnectionRefused.into())
    }

    pub(crate) fn try_read(&self, room: &mut [u8]) -> io::Result<usize> {
        self.with(|state, number, end| {
            let most = state.piece(number, 1 - end, room.len());
            let (connection, woken) = state.end(number, end)?;
            connection.read(end, most, room, woken)
        })
    }

    pub(crate) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.try_write_vectored(&[IoSlice::new(bytes)])
    }

    pub(crate) fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let total = slices.iter().map(|slice| slice.len()).sum::<usize>();
        self.with(|state, number, end| {
            let (connection, _) = state.end(number, end)?;
            let most = connection.writable(end)?.min(total);
            let most = state.piece(number, end, most);
            let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).take(most).collect();
            state.write(number, end, bytes);
            Ok(most)
        })
    }

    pub(crate) fn poll_read_ready(&self, context: &Context<'_>) -> Poll<io::Result<()>> {
        self.with(|state, number, end| {
            let is_spurious = state.dice.one_in(SPURIOUS_ONE_IN);
            let Ok((connection, _)) = state.end(number, end) else { return Poll::Ready(Ok(())) };
            if is_spurious || connection.is_readable(end) {
                return Poll::Ready(Ok(()));
            }
            connection.ends[end].reader = Some(context.waker().clone());
            Poll::Pending
        })
    }

    pub(crate) fn poll_write_ready(&self, context: &Context<'_>) -> Poll<io::Result<()>> {
        self.with(|state, number, end| {
            let is_spurious = state.dice.one_in(SPURIOUS_ONE_IN);
            let Ok((connection, _)) = state.end(number, end) else { return Poll::Ready(Ok(())) };
            if is_spurious || connection.is_writable(end) {
                return Poll::Ready(Ok(()));
            }
            connection.ends[end].writer = Some(context.waker().clone());
            Poll::Pending
        })
    }

    pub(crate) async fn readable(&self) -> io::Result<()> {
        poll_fn(|context| self.poll_read_ready(context)).await
    }

    fn with<T>(&self, with: impl FnOnce(&mut State, u64, usize) -> T) -> T {
        self.process.network.with(|state| with(state, self.number, self.end))
    }
}

impl Drop for TcpStream {
    fn drop(&mut self) {
        self.with(|state, number, end| state.close(number, end, Death::Killed));
    }
}

impl AsyncRead for TcpStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.poll_read_ready(context)?.is_ready() {
            match self.try_read(room.initialize_unfilled()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                outcome => {
                    return Poll::Ready(outcome.map(|read| room.advance(read)));
                }
            }
        }
        Poll::Pending
    }
}

impl AsyncWrite for TcpStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        while self.poll_write_ready(context)?.is_ready() {
            match self.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                outcome => return Poll::Ready(outcome),
            }
        }
        Poll::Pending
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.with(|state, number, end| {
            let (connection, _) = state.end(number, end)?;
            if let Some(failure) = connection.ends[end].failure {
                return Err(failure.into());
            }
            if connection.shut(end) {
                state.send(number, end, Segment::End);
            }
            Ok(())
        }))
    }
}

impl State {
    /// How much of `len` bytes from this end's pipe one operation moves.
    fn piece(&mut self, number: u64, from: usize, len: usize) -> usize {
        let Some(connection) = self.connections.get(&number) else { return len };
        let (here, there) = (connection.ends[from].host, connection.ends[1 - from].host);
        let pieces_one_in = self.link(here, there).weather.pieces_one_in;
        if len > 1 && self.dice.one_in(pieces_one_in) { self.dice.within(1..=len) } else { len }
    }

    fn write(&mut self, number: u64, end: usize, mut bytes: Vec<u8>) {
        let Some(connection) = self.connections.get_mut(&number) else { return };
        let (here, there) = (connection.ends[end].host, connection.ends[1 - end].host);
        let pipe = &mut connection.pipes[end];
        pipe.written += bytes.len();
        if pipe.swallows {
            pipe.has_lost = true;
            return;
        }
        let is_ordered = std::mem::take(&mut pipe.damages_next);
        let damage_one_in = self.link(here, there).weather.damage_one_in;
        if (is_ordered || self.dice.one_in(damage_one_in)) && !bytes.is_empty() {
            let (place, bit) = (self.dice.below(bytes.len()), self.dice.below(8));
            bytes[place] ^= 1 << bit;
            if let Some(connection) = self.connections.get_mut(&number) {
                connection.pipes[end].has_lost = true;
            }
        }
        while !bytes.is_empty() {
            let len = self.piece(number, end, bytes.len());
            let rest = bytes.split_off(len);
            self.send(number, end, Segment::Bytes(std::mem::replace(&mut bytes, rest)));
        }
    }
}

fn host_of(address: SocketAddr) -> Option<Host> {
    match address {
        SocketAddr::V4(v4) => Some(Host(v4.ip().octets()[3])),
        SocketAddr::V6(_) => None,
    }
}

/// An error if the connection is gone; nothing else of it has a likeness here.
pub(crate) fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.with(|state, number, end| {
        let (connection, _) = state.end(number, end)?;
        connection.ends[end].failure.map_or(Ok(()), |failure| Err(failure.into()))
    })
}
