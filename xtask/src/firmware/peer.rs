//! The host's side played by hand: a node that speaks the protocol as the real one, up to the point where it does not.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::{Context as _, Result, anyhow};
use wire_core::frame::{Opener, Sealer};
use wire_core::limits::{FRAME_OVERHEAD, HEADER_LEN};
use wire_core::noise::{Initiator, Responder};
use wire_core::secret::{EphemeralKey, Secret, StaticKey};

use super::PATIENCE;
use super::line::{Call, Line};
use super::secrets::{DEVICE_KEY, host_key};

/// The peer's ephemeral key: known, so that what comes of it can be looked for.
pub(super) const EPHEMERAL: [u8; 32] = *b"the host's ephemeral secret key.";

/// A TCP connection with the device, and the call that carries it.
pub(super) struct Wire {
    stream: TcpStream,
    call: JoinHandle<Result<()>>,
}

/// The same after the handshake.
pub(super) struct Peer {
    wire: Wire,
    sealer: Sealer,
    opener: Opener,
}

impl Wire {
    /// Answers the device's next call, or calls it.
    pub(super) fn open(line: &Arc<Line>, call: Call) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let theirs = TcpStream::connect(listener.local_addr()?)?;
        let (stream, _) = listener.accept()?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, call: line.serve(call, theirs) })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).context("the device has closed")
    }

    pub(super) fn read<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.stream.read_exact(&mut bytes).context("the device says nothing")?;
        Ok(bytes)
    }

    /// Waits until the device has hung up.
    pub(super) fn end(mut self) -> Result<()> {
        // Whatever it still sends.
        let _ = self.stream.read_to_end(&mut Vec::new());
        drop(self.stream);
        self.call.join().map_err(|_| anyhow!("the line broke"))?
    }

    /// The handshake as the one who was called, and `init` both ways.
    pub(super) fn shake_as_responder(mut self, before_act_two: impl FnOnce() -> Result<()>) -> Result<Peer> {
        let key = StaticKey::from_bytes(&Secret::new(host_key()))?;
        let act_one = self.read()?;
        let (act_two, awaiting) = Responder::new(&key, EphemeralKey::from_bytes(Secret::new(EPHEMERAL))?)
            .act_one(&key, &act_one)?;
        before_act_two()?;
        self.write(&act_two)?;
        let (_, transport) = awaiting.act_three(&self.read()?)?;
        let (sealer, opener) = transport.split();
        Peer { wire: self, sealer, opener }.introduced()
    }

    /// The handshake as the one who calls, up to act three, which is handed over and not sent.
    pub(super) fn shake_up_to_act_three(&mut self) -> Result<([u8; 66], wire_core::noise::Transport)> {
        let key = StaticKey::from_bytes(&Secret::new(host_key()))?;
        let device = StaticKey::from_bytes(&Secret::new(DEVICE_KEY))?.node_id();
        let initiator = Initiator::new(&key, device, EphemeralKey::from_bytes(Secret::new(EPHEMERAL))?);
        let (act_one, awaiting) = initiator.act_one();
        self.write(&act_one)?;
        Ok(awaiting.act_two(&key, &self.read()?)?)
    }

    pub(super) fn shake_as_initiator(mut self) -> Result<Peer> {
        let (act_three, transport) = self.shake_up_to_act_three()?;
        self.write(&act_three)?;
        let (sealer, opener) = transport.split();
        Peer { wire: self, sealer, opener }.introduced()
    }
}

impl Peer {
    fn introduced(mut self) -> Result<Self> {
        self.send(&[0, 16, 0, 0, 0, 0])?;
        let init = self.receive()?;
        anyhow::ensure!(init.starts_with(&[0, 16]), "the device's first message is {init:02x?}");
        Ok(self)
    }

    pub(super) fn send(&mut self, message: &[u8]) -> Result<()> {
        let frame = self.sealed(message)?;
        self.wire.write(&frame)
    }

    pub(super) fn sealed(&mut self, message: &[u8]) -> Result<Vec<u8>> {
        let mut frame = vec![0; message.len() + FRAME_OVERHEAD];
        frame[HEADER_LEN..HEADER_LEN + message.len()].copy_from_slice(message);
        self.sealer.seal(&mut frame)?;
        Ok(frame)
    }

    pub(super) fn receive(&mut self) -> Result<Vec<u8>> {
        let len = self.opener.open_header(&mut self.wire.read()?)?;
        let mut body = vec![0; len.with_tag()];
        self.wire.stream.read_exact(&mut body)?;
        Ok(self.opener.open_body(len, &mut body)?.to_vec())
    }

    pub(super) fn raw(&mut self) -> &mut Wire {
        &mut self.wire
    }

    /// A second hand on the stream, to write from another thread.
    pub(super) fn writer(&self) -> Result<TcpStream> {
        Ok(self.wire.stream.try_clone()?)
    }

    pub(super) fn end(self) -> Result<()> {
        self.wire.end()
    }
}
