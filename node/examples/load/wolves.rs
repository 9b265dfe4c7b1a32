//! The hostile peers, made of sockets and the cryptography alone. Who is closed comes again at once.

use std::fmt;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use oddwire_node::{MessageType, Network};
use rustix::process::nice;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval_at, sleep};
use wire_core::frame::Sealer;
use wire_core::limits::{ACT_TWO_LEN, FRAME_OVERHEAD, HEADER_LEN};
use wire_core::noise::Initiator;
use wire_core::secret::{EphemeralKey, StaticKey};

use crate::crowd::{Target, secret};
use crate::hub::KIND;
use crate::player;

/// Bytes of frames that a flooding wolf has ready at a time.
const BATCH: usize = 64 * 1024;
/// Asked of the system for what a wolf sends. An attacker's own buffers are not on the machine that he attacks; by default a
/// thousand wolves fill the hub's memory for sockets with theirs, and then the system takes time from everybody for that.
const SEND_BUFFER: u32 = 64 * 1024;
/// Before a wolf that was not let in tries again.
const PAUSE: Duration = Duration::from_millis(50);
/// Between two bytes of those who drip.
const DRIP: Duration = Duration::from_secs(1);

/// What the wolves have done.
#[derive(Debug, Default)]
struct Deeds {
    connections: AtomicU64,
    messages: AtomicU64,
    bytes: AtomicU64,
}

impl fmt::Display for Deeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let take = |count: &AtomicU64| count.swap(0, Ordering::Relaxed);
        let (connections, messages, bytes) =
            (take(&self.connections), take(&self.messages), take(&self.bytes));
        write!(f, "wolves: {connections} connections, {messages} messages, {} MiB", bytes >> 20)
    }
}

/// Plays the part.
pub(crate) fn play(target: &Target) -> ExitCode {
    // The soak starts them as they are. Beside `SCHED_IDLE` it changes nothing.
    let _ = nice(19);
    player::raise_descriptors();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let deeds = Arc::new(Deeds::default());
    let mut pack = JoinSet::new();
    player::say("ready");
    for command in player::commands() {
        if let Some((kind, count)) = command.split_once(' ') {
            let count = count.parse().expect("a number");
            release(&runtime, &mut pack, kind, count, target, &deeds);
            player::say("released");
        } else {
            runtime.block_on(pack.shutdown());
            player::say(&deeds.to_string());
        }
    }
    std::process::exit(0);
}

fn release(
    runtime: &Runtime,
    pack: &mut JoinSet<()>,
    kind: &str,
    count: u32,
    target: &Target,
    deeds: &Arc<Deeds>,
) {
    for number in 0..count {
        let wolf = Wolf { number, target: target.clone(), deeds: Arc::clone(deeds) };
        let handle = runtime.handle();
        match kind {
            "flood" => pack.spawn_on(wolf.again_and_again(Wolf::flood), handle),
            "silent" => pack.spawn_on(wolf.again_and_again(Wolf::say_nothing), handle),
            // Every second one does so in the handshake already.
            "drip" if number % 2 == 0 => pack.spawn_on(wolf.again_and_again(Wolf::drip_act_one), handle),
            "drip" => pack.spawn_on(wolf.again_and_again(Wolf::drip_message), handle),
            other => panic!("no such wolf: {other}"),
        };
    }
}

struct Wolf {
    number: u32,
    target: Target,
    deeds: Arc<Deeds>,
}

impl Wolf {
    async fn again_and_again(self, attack: impl AsyncFn(&Wolf) -> io::Result<()>) {
        loop {
            // Whatever ended it, the node did.
            if attack(&self).await.is_err() {
                sleep(PAUSE).await;
            }
        }
    }

    /// Sends as fast as it can and reads nothing from `init` on: small messages, large ones, or pings that want long answers.
    async fn flood(&self) -> io::Result<()> {
        let (mut stream, mut sealer) = self.open(3).await?;
        let message = match self.number % 3 {
            0 => custom(30),
            1 => custom(32_000),
            _ => [&MessageType::PING.get().to_be_bytes()[..], &60_000_u16.to_be_bytes(), &[0, 0]].concat(),
        };
        let count = BATCH / (message.len() + FRAME_OVERHEAD) + 1;
        loop {
            let batch: Vec<u8> = (0..count).flat_map(|_| seal(&mut sealer, &message)).collect();
            stream.write_all(&batch).await?;
            self.deeds.messages.fetch_add(count as u64, Ordering::Relaxed);
            self.deeds.bytes.fetch_add(batch.len() as u64, Ordering::Relaxed);
        }
    }

    async fn say_nothing(&self) -> io::Result<()> {
        let mut stream = self.connect().await?;
        stream.read_exact(&mut [0]).await.map(drop)
    }

    async fn drip_act_one(&self) -> io::Result<()> {
        let mut stream = self.connect().await?;
        self.drip(&mut stream, &[0; 50]).await
    }

    async fn drip_message(&self) -> io::Result<()> {
        let (mut stream, mut sealer) = self.open(4).await?;
        let frame = seal(&mut sealer, &custom(60_000));
        self.drip(&mut stream, &frame).await
    }

    async fn drip(&self, stream: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
        // Each at a time of its own, as strangers would; a thousand packets at once are a flood.
        let mut drops = interval_at(Instant::now() + DRIP * (self.number % 100) / 100, DRIP);
        for byte in bytes {
            drops.tick().await;
            stream.write_all(&[*byte]).await?;
            self.deeds.bytes.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    async fn connect(&self) -> io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.set_send_buffer_size(SEND_BUFFER)?;
        let stream = socket.connect(self.target.address(self.number)).await?;
        self.deeds.connections.fetch_add(1, Ordering::Relaxed);
        Ok(stream)
    }

    /// An open connection; the node's `init` is not read.
    async fn open(&self, kind: u8) -> io::Result<(TcpStream, Sealer)> {
        let key = StaticKey::from_bytes(&secret(self.number, kind)).expect("a valid key");
        let ephemeral = EphemeralKey::from_bytes(secret(self.number, 0x5e)).expect("a valid key");
        let (act_one, awaiting) = Initiator::new(&key, self.target.id, ephemeral).act_one();
        let mut stream = self.connect().await?;
        stream.write_all(&act_one).await?;
        let mut act_two = [0; ACT_TWO_LEN];
        stream.read_exact(&mut act_two).await?;
        let (act_three, transport) = awaiting.act_two(&key, &act_two).map_err(io::Error::other)?;
        stream.write_all(&act_three).await?;
        let (mut sealer, _) = transport.split();
        let mut init = vec![0, 16, 0, 0, 0, 0, 1, 32];
        init.extend(Network::Regtest.chain_hash());
        stream.write_all(&seal(&mut sealer, &init)).await?;
        Ok((stream, sealer))
    }
}

/// A message of the type that the hub's program answers.
fn custom(payload_len: usize) -> Vec<u8> {
    let mut message = KIND.get().to_be_bytes().to_vec();
    message.resize(2 + payload_len, 7);
    message
}

fn seal(sealer: &mut Sealer, message: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; message.len() + FRAME_OVERHEAD];
    frame[HEADER_LEN..][..message.len()].copy_from_slice(message);
    sealer.seal(&mut frame).expect("no message is too long");
    frame
}
