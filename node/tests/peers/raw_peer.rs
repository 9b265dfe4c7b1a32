//! A peer made of a socket and the cryptography alone: it sends what the test says, when the test says it.

use std::net::SocketAddr;

use oddwire_node::{Network, Node, NodeId, Secret};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use wire_core::frame::{Opener, Sealer};
use wire_core::limits::{FRAME_OVERHEAD, HEADER_LEN, TAG_LEN};
use wire_core::noise::{AwaitActTwo, Initiator, Responder};
use wire_core::secret::{EphemeralKey, StaticKey};

use crate::PATIENCE;

/// The scripted peer.
pub(crate) struct RawPeer {
    pub(crate) stream: TcpStream,
    pub(crate) id: NodeId,
    sealer: Sealer,
    opener: Opener,
}

/// Where the handshake stands after act one.
pub(crate) struct HalfWay {
    pub(crate) stream: TcpStream,
    key: StaticKey,
    awaiting: AwaitActTwo,
}

impl HalfWay {
    /// Connects and sends act one.
    pub(crate) async fn begin(address: SocketAddr, node: NodeId, seed: u8) -> HalfWay {
        let key = StaticKey::from_bytes(&Secret::new([seed; 32])).unwrap();
        let ephemeral = EphemeralKey::from_bytes(Secret::new([0x5e; 32])).unwrap();
        let (act, awaiting) = Initiator::new(&key, node, ephemeral).act_one();
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        stream.write_all(&act).await.unwrap();
        HalfWay { stream, key, awaiting }
    }

    /// Receives act two; returns act three, not sent yet.
    pub(crate) async fn act_three(mut self) -> (Vec<u8>, RawPeer) {
        let mut act = [0; 50];
        timeout(PATIENCE, self.stream.read_exact(&mut act)).await.unwrap().unwrap();
        let (act_three, transport) = self.awaiting.act_two(&self.key, &act).unwrap();
        let (sealer, opener) = transport.split();
        (act_three.to_vec(), RawPeer { stream: self.stream, id: self.key.node_id(), sealer, opener })
    }
}

impl RawPeer {
    /// Connects and finishes the handshake; nothing else is sent.
    pub(crate) async fn handshake(node: &Node, seed: u8) -> RawPeer {
        let (act_three, mut peer) =
            HalfWay::begin(node.listening()[0], node.id(), seed).await.act_three().await;
        peer.stream.write_all(&act_three).await.unwrap();
        peer
    }

    /// As [`RawPeer::handshake`], and exchanges `init`.
    pub(crate) async fn open(node: &Node, seed: u8) -> RawPeer {
        let mut peer = RawPeer::handshake(node, seed).await;
        peer.send(&init()).await;
        let theirs = peer.receive().await.unwrap();
        assert_eq!(theirs[..2], [0, 16], "the first message is not init");
        peer
    }

    /// Answers the next one who connects to `listener`; nothing but the acts is sent.
    pub(crate) async fn answer(listener: &TcpListener, seed: u8) -> RawPeer {
        let key = StaticKey::from_bytes(&Secret::new([seed; 32])).unwrap();
        let ephemeral = EphemeralKey::from_bytes(Secret::new([0x5f; 32])).unwrap();
        let (mut stream, _) = timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
        let (mut act_one, mut act_three) = ([0; 50], [0; 66]);
        timeout(PATIENCE, stream.read_exact(&mut act_one)).await.unwrap().unwrap();
        let (act_two, awaiting) = Responder::new(&key, ephemeral).act_one(&key, &act_one).unwrap();
        stream.write_all(&act_two).await.unwrap();
        timeout(PATIENCE, stream.read_exact(&mut act_three)).await.unwrap().unwrap();
        let (_, transport) = awaiting.act_three(&act_three).unwrap();
        let (sealer, opener) = transport.split();
        RawPeer { stream, id: key.node_id(), sealer, opener }
    }

    /// The frame of a message.
    pub(crate) fn seal(&mut self, message: &[u8]) -> Vec<u8> {
        let mut frame = vec![0; message.len() + FRAME_OVERHEAD];
        frame[HEADER_LEN..][..message.len()].copy_from_slice(message);
        self.sealer.seal(&mut frame).unwrap();
        frame
    }

    pub(crate) async fn send(&mut self, message: &[u8]) {
        let frame = self.seal(message);
        self.stream.write_all(&frame).await.unwrap();
    }

    /// The next message; `None` when the node has hung up.
    pub(crate) async fn receive(&mut self) -> Option<Vec<u8>> {
        let mut header = [0; HEADER_LEN];
        timeout(PATIENCE, self.stream.read_exact(&mut header)).await.expect("the node says nothing").ok()?;
        let len = self.opener.open_header(&mut header).unwrap();
        let mut body = vec![0; len.get() + TAG_LEN];
        timeout(PATIENCE, self.stream.read_exact(&mut body)).await.expect("half a frame").ok()?;
        Some(self.opener.open_body(len, &mut body).unwrap().to_vec())
    }

    /// The text of the warning that comes before the node hangs up.
    pub(crate) async fn last_word(&mut self) -> String {
        let mut warning = None;
        while let Some(message) = self.receive().await {
            if let [0, 1, rest @ ..] = &message[..] {
                warning = Some(String::from_utf8(rest[34..].to_vec()).unwrap());
            }
        }
        warning.expect("the node hung up without a warning")
    }

    /// Waits until the node hangs up.
    pub(crate) async fn hung_up(&mut self) {
        hung_up(&mut self.stream).await;
    }
}

/// Reads until the other side has closed.
pub(crate) async fn hung_up(stream: &mut TcpStream) {
    let mut waste = vec![0; 65_536];
    loop {
        match timeout(PATIENCE, stream.read(&mut waste)).await.expect("the node does not hang up") {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
}

/// An `init` without features for the network of these tests.
pub(crate) fn init() -> Vec<u8> {
    let mut message = vec![0, 16, 0, 0, 0, 0, 1, 32];
    message.extend(Network::Regtest.chain_hash());
    message
}

/// A message of [`crate::ODD`] type.
pub(crate) fn odd(payload: &[u8]) -> Vec<u8> {
    [&crate::ODD.get().to_be_bytes()[..], payload].concat()
}

/// A ping.
pub(crate) fn ping(num_pong_bytes: u16) -> Vec<u8> {
    [&[0, 18][..], &num_pong_bytes.to_be_bytes(), &[0, 0]].concat()
}
