//! The modem at the other end of the device's serial line: QEMU bridges the UART to a TCP socket, and here each call of the
//! device becomes a TCP connection.
//!
//! `wire-core/firmware/src/bin/device/line.rs` has the few bytes that are spoken on the line.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use anyhow::{Context as _, Result, anyhow, bail};

use super::PATIENCE;

const DATA: u8 = 1;
const DIAL: u8 = 2;
const END: u8 = 3;

/// How a call comes about.
#[derive(Clone, Copy)]
pub(super) enum Call {
    /// The device dials, and is connected.
    Dialed,
    /// Somebody calls the device.
    Incoming,
}

/// The line, from the modem's side.
pub(super) struct Line {
    to_device: Mutex<TcpStream>,
    said: Mutex<Receiver<Said>>,
}

enum Said {
    Data(Vec<u8>),
    Dial,
    End,
}

impl Line {
    /// Waits for QEMU to connect the UART.
    pub(super) fn accept(listener: &TcpListener) -> Result<Arc<Self>> {
        let (stream, _) = listener.accept().context("QEMU did not connect the UART")?;
        stream.set_nodelay(true)?;
        let mut from_device = stream.try_clone()?;
        let (sender, said) = channel();
        thread::spawn(move || {
            while let Ok(heard) = hear(&mut from_device) {
                if sender.send(heard).is_err() {
                    break;
                }
            }
        });
        Ok(Arc::new(Self { to_device: Mutex::new(stream), said: Mutex::new(said) }))
    }

    /// Serves the device's next call with `stream`, in the background, until both sides have ended it.
    pub(super) fn serve(self: &Arc<Self>, call: Call, stream: TcpStream) -> JoinHandle<Result<()>> {
        let line = Arc::clone(self);
        thread::spawn(move || line.carry(call, &stream))
    }

    fn carry(&self, call: Call, mut stream: &TcpStream) -> Result<()> {
        while !matches!(self.next()?, Said::Dial) {}
        self.say(&[match call {
            Call::Dialed => 2,
            Call::Incoming => 4,
        }])?;
        thread::scope(|scope| {
            let there = scope.spawn(|| self.to_device(stream));
            loop {
                match self.next() {
                    // A peer that has closed already misses it.
                    Ok(Said::Data(bytes)) => drop(stream.write_all(&bytes)),
                    Ok(Said::End) => break,
                    Ok(Said::Dial) => bail!("the device dials during a call"),
                    Err(error) => {
                        let _ = stream.shutdown(Shutdown::Both);
                        return Err(error);
                    }
                }
            }
            // All that the device has sent is out; the peer may read it to its end.
            let _ = stream.shutdown(Shutdown::Both);
            there.join().map_err(|_| anyhow!("the line broke"))?
        })
    }

    /// What the peer sends, until it or the device closes.
    fn to_device(&self, mut stream: &TcpStream) -> Result<()> {
        let mut bytes = [0; 255];
        while let Ok(len @ 1..) = stream.read(&mut bytes) {
            let mut framed = vec![DATA, u8::try_from(len)?];
            framed.extend_from_slice(&bytes[..len]);
            self.say(&framed)?;
        }
        self.say(&[END])
    }

    fn say(&self, bytes: &[u8]) -> Result<()> {
        let mut stream = self.to_device.lock().unwrap_or_else(PoisonError::into_inner);
        stream.write_all(bytes).context("the UART is gone")
    }

    fn next(&self) -> Result<Said> {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.recv_timeout(PATIENCE).context("nothing from the device on its line")
    }
}

fn hear(stream: &mut TcpStream) -> Result<Said> {
    let byte = |stream: &mut TcpStream| -> Result<u8> {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        Ok(byte[0])
    };
    match byte(stream)? {
        DATA => {
            let mut bytes = vec![0; byte(stream)?.into()];
            stream.read_exact(&mut bytes)?;
            Ok(Said::Data(bytes))
        }
        DIAL => Ok(Said::Dial),
        END => Ok(Said::End),
        other => bail!("the device says {other} on its line, which means nothing"),
    }
}
