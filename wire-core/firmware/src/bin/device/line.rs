//! A serial line with a modem at its other end: calls, and the bytes of the call that is up.
//!
//! ```text
//!  to the modem       1 len bytes: data     2: dial          3: hang up
//!  from the modem     1 len bytes: data     2: connected     3: no call (any more)     4: somebody calls
//! ```
//!
//! Both sides end a call with a 3, each once, and the next call begins after both. [`Line`] is a stream of
//! `embedded-io-async` while a call is up, and nothing above knows that it is a UART.

use core::convert::Infallible;
use core::future::poll_fn;
use core::task::Poll;

use embedded_io_async::{ErrorType, Read, Write};

use super::board::Uart;

const DATA: u8 = 1;
const DIAL: u8 = 2;
const CONNECTED: u8 = 2;
const END: u8 = 3;
const CALLED: u8 = 4;

/// How a call came about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    /// We dialed and the other side has answered.
    Connected,
    /// The other side dialed us.
    Incoming,
}

/// The line.
pub(crate) struct Line {
    uart: Uart,
    /// Bytes of data that follow.
    data: u8,
    /// The next byte is their count.
    counts: bool,
    /// The other side has ended the call, or there is none.
    ended: bool,
}

/// What the modem says.
enum Heard {
    Data(u8),
    Connected,
    End,
    Called,
}

impl Line {
    pub(crate) fn new(uart: Uart) -> Self {
        Self { uart, data: 0, counts: false, ended: true }
    }

    /// Dials. `None` if nobody answers.
    pub(crate) async fn dial(&mut self) -> Option<Call> {
        self.uart.send(DIAL).await;
        loop {
            match self.hear().await {
                Heard::End => return None,
                Heard::Connected => return Some(self.up(Call::Connected)),
                Heard::Called => return Some(self.up(Call::Incoming)),
                Heard::Data(_) => {}
            }
        }
    }

    /// Waits to be called.
    pub(crate) async fn called(&mut self) -> Call {
        while !matches!(self.hear().await, Heard::Called) {}
        self.up(Call::Incoming)
    }

    /// Ends the call and throws away what still comes of it.
    pub(crate) async fn hang_up(&mut self) {
        self.uart.send(END).await;
        while !self.ended {
            self.ended = matches!(self.hear().await, Heard::End);
        }
    }

    fn up(&mut self, call: Call) -> Call {
        self.ended = false;
        call
    }

    /// The next byte of data, or the next other thing.
    async fn hear(&mut self) -> Heard {
        poll_fn(|_| {
            while let Some(byte) = self.uart.receive() {
                if let Some(heard) = self.understand(byte) {
                    return Poll::Ready(heard);
                }
            }
            Poll::Pending
        })
        .await
    }

    fn understand(&mut self, byte: u8) -> Option<Heard> {
        if let Some(left) = self.data.checked_sub(1) {
            self.data = left;
            return Some(Heard::Data(byte));
        }
        if self.counts {
            (self.data, self.counts) = (byte, false);
            return None;
        }
        match byte {
            DATA => {
                self.counts = true;
                None
            }
            CONNECTED => Some(Heard::Connected),
            END => Some(Heard::End),
            CALLED => Some(Heard::Called),
            _ => None,
        }
    }
}

impl ErrorType for &mut Line {
    type Error = Infallible;
}

impl Read for &mut Line {
    /// As much as is there, at least one byte; 0 when the call has ended. Dropping the future loses nothing.
    async fn read(&mut self, room: &mut [u8]) -> Result<usize, Infallible> {
        let len = poll_fn(|_| {
            let mut len = 0;
            while let Some(place) = room.get_mut(len).filter(|_| !self.ended) {
                let Some(byte) = self.uart.receive() else { break };
                match self.understand(byte) {
                    Some(Heard::Data(byte)) => {
                        *place = byte;
                        len += 1;
                    }
                    Some(Heard::End) => self.ended = true,
                    _ => {}
                }
            }
            if len > 0 || self.ended { Poll::Ready(len) } else { Poll::Pending }
        })
        .await;
        Ok(len)
    }
}

impl Write for &mut Line {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        let len = u8::try_from(bytes.len()).unwrap_or(u8::MAX);
        self.uart.send(DATA).await;
        self.uart.send(len).await;
        for byte in bytes.iter().take(len.into()) {
            self.uart.send(*byte).await;
        }
        Ok(len.into())
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}
