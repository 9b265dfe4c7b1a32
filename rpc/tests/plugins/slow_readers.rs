//! Everybody who can stop reading does so at the same time: a client in the middle of its calls, a subscriber, a plugin, a
//! peer. Each costs a bounded amount of memory, each is told what it missed or gets all of it later, and nobody else notices.

use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;

use oddwire_node::{Limits, Network, Secret};
use oddwire_rpc::client::{Client, ClientError, Notification};
use oddwire_rpc::limits::{HIGH_WATER, PLUGIN_BACKLOG};
use serde_json::{Value, json};
use wire_core::frame::{Opener, Sealer};
use wire_core::limits::{ACT_TWO_LEN, FRAME_OVERHEAD, HEADER_LEN, TAG_LEN};
use wire_core::noise::Initiator;
use wire_core::secret::{EphemeralKey, StaticKey};

use crate::fixture::{Home, Plugins, option};
use crate::{peer_with_key, send};

/// Messages of the peer that sends much, and the length of their payloads.
const FLOOD: u64 = 30_000;
const FLOOD_LEN: usize = 1_000;
/// Messages of a quiet peer, which nobody may miss.
const HONEST: u64 = 500;
/// Of the peer that does not read.
const LARGE: usize = 60_000;

#[tokio::test(flavor = "multi_thread")]
async fn each_is_bounded_and_told_and_nobody_else_notices() {
    let plugins = Plugins::new();
    let deaf = plugins.add("deaf", &json!({"subscriptions": ["custommsg"]}), &json!({"custommsg": "sleep"}));
    let home = Home::start(&[&option("plugin", &deaf)]);
    let socket = home.daemon.dir.join("regtest/lightning-rpc");
    let before = memory(&home, "VmRSS:");

    // The client that calls and does not read: until the daemon reads no more of it.
    let mut caller = Caller::connect(&socket);
    let calls = caller.call_until_stuck(&home);

    // The subscriber, which has seen that it is one.
    let mut subscriber = Client::connect(&socket).await.unwrap();
    subscriber.call("subscribecustommsg", &json!({"types": [32769]})).await.unwrap();

    // The peer that does not read, until its queue is full, which whoever sends is told.
    let mut mute = MutePeer::connect(&home);
    let mut owner = Client::connect(&socket).await.unwrap();
    owner.call("subscribecustommsg", &json!({"types": [32771], "unsent": true})).await.unwrap();
    let (accepted, full) = send_until_full(&mut owner, &mute.id).await;
    assert!(full.contains("the send queue is full"), "{full}");

    // Much for the subscriber and the plugin, and a quiet peer among it.
    let (loud, id) = peer_with_key(&home, 7).await;
    let (quiet, _) = peer_with_key(&home, 8).await;
    let flooding = tokio::spawn(async move {
        for _ in 0..FLOOD {
            send(&loud, &id, 32769, &[7; FLOOD_LEN]).await;
        }
        loud
    });
    for number in 0..HONEST {
        send(&quiet, &id, 32771, &number.to_be_bytes()).await;
    }
    for number in 0..HONEST {
        let payload = format!("8003{number:016x}");
        assert_eq!(next(&mut owner, "custommsg").await["payload"], payload, "of the quiet peer");
    }
    let loud = flooding.await.unwrap();
    send(&loud, &id, 32771, b"end").await;
    assert_eq!(next(&mut owner, "custommsg").await["payload"], "8003656e64");

    // The plugin was told less, and the log says so.
    home.line("plugin-deaf: does not read fast enough: 1 notifications it is not told of by now");
    let held = memory(&home, "VmHWM:").saturating_sub(before);
    let budget = budget();
    assert!(held <= budget, "{held} bytes more than before, limits add up to {budget}");

    // The subscriber is told how much it missed.
    let (mut seen, mut missed) = (0, 0);
    while seen + missed < FLOOD {
        match subscriber.next_notification().await.unwrap() {
            Notification::Message { method, params } if method == "custommsg_gap" => {
                missed += serde_json::from_str::<Value>(params.get()).unwrap()["missed"].as_u64().unwrap();
            }
            Notification::Message { .. } => seen += 1,
            Notification::Missed(_) => panic!("the client reads all the time"),
        }
    }
    assert_eq!(seen + missed, FLOOD);
    assert!(missed > 0, "it read faster than the test wants");

    // The client gets every answer after all.
    let answered = caller.answers(calls);
    assert_eq!(answered, calls);

    // What the mute peer was not sent is told, and the rest is there for it to read.
    owner.call("disconnect", &json!([mute.id])).await.unwrap();
    let received = mute.messages();
    let mut unsent = 0;
    while received + unsent < accepted {
        let told = next(&mut owner, "custommsg_unsent").await;
        assert_eq!((&told["peer_id"], &told["length"]), (&json!(mute.id), &json!(LARGE + 2)));
        unsent += 1;
    }
    home.call(&["getinfo"]);
    figures(&[
        (
            "calls of a client that did not read, and the answers it got later",
            format!("{calls} and {answered}"),
        ),
        (
            "messages for a subscriber that did not read: seen, told as missed",
            format!("{seen} and {missed} of {FLOOD}"),
        ),
        (
            "messages for a peer that did not read: sent, told as unsent",
            format!("{received} and {unsent} of {accepted}"),
        ),
        ("messages of a quiet peer meanwhile", HONEST.to_string()),
        ("of these lost", "0".to_owned()),
        ("memory", format!("{} MiB more than before, of {} that limits add up to", held >> 20, budget >> 20)),
    ]);
}

/// What all of them may hold: two backlogs of subscriptions and the plugins' own, what the plugin has not read, the answers
/// that wait, the peer's queue, what is kept for subscribers that come back; and what the allocator makes of it.
fn budget() -> u64 {
    let limits = Limits::default();
    let entries = limits.backlog_events * 160;
    let sum = 3 * (limits.backlog_bytes + entries)
        + PLUGIN_BACKLOG
        + 2 * HIGH_WATER
        + limits.send_queue_bytes
        + limits.history_bytes;
    u64::try_from(sum).unwrap() + (32 << 20)
}

fn memory(home: &Home, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", home.daemon.process.child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() * 1024
}

/// If somebody wants them.
fn figures(lines: &[(&str, String)]) {
    let text: Vec<String> = lines.iter().map(|(what, value)| format!("{what}\t{value}")).collect();
    println!("{}", text.join("\n"));
    if let Some(directory) = std::env::var_os("ODDWIRE_FIGURES") {
        fs::write(Path::new(&directory).join("slow-readers.tsv"), text.join("\n") + "\n").unwrap();
    }
}

/// The parameters of the next notification of this name.
async fn next(client: &mut Client, wanted: &str) -> Value {
    loop {
        match client.next_notification().await.unwrap() {
            Notification::Message { method, params } if method == wanted => {
                return serde_json::from_str(params.get()).unwrap();
            }
            Notification::Message { .. } => {}
            Notification::Missed(missed) => panic!("{missed} notifications missed"),
        }
    }
}

/// Sends to a peer until that is refused: how many messages were taken, and what the refusal says.
async fn send_until_full(client: &mut Client, id: &str) -> (u64, String) {
    let params = json!({"node_id": id, "msg": format!("8001{}", "07".repeat(LARGE))});
    let mut accepted = 0;
    loop {
        match client.call("sendcustommsg", &params).await {
            Ok(_) => accepted += 1,
            Err(ClientError::Refused(error)) => return (accepted, error.message),
            Err(error) => panic!("{error}"),
        }
    }
}

/// A client that calls `help` and does not read.
struct Caller(UnixStream);

impl Caller {
    fn connect(socket: &Path) -> Caller {
        let stream = UnixStream::connect(socket).unwrap();
        stream.set_nonblocking(true).unwrap();
        Caller(stream)
    }

    /// How many calls it has made when no more are taken.
    fn call_until_stuck(&mut self, home: &Home) -> u64 {
        const CALL: &[u8] = br#"{"jsonrpc":"2.0","id":1,"method":"help","params":[]}"#;
        let (mut written, mut stuck) = (0, 0);
        // While it takes nothing, others are answered: then the daemon has had the time to take more.
        while stuck < 3 {
            match self.0.write(&CALL[written % CALL.len()..]) {
                Ok(len) => (written, stuck) = (written + len, 0),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    home.call(&["getinfo"]);
                    stuck += 1;
                }
                Err(error) => panic!("{error}"),
            }
        }
        // A call that is half written is finished when there is room again; it does not count.
        u64::try_from(written / CALL.len()).unwrap()
    }

    /// Reads until so many calls are answered.
    fn answers(&mut self, calls: u64) -> u64 {
        self.0.set_nonblocking(false).unwrap();
        let (mut answered, mut last, mut buffer) = (0, 0, vec![0; 65_536]);
        while answered < calls {
            let len = self.0.read(&mut buffer).unwrap();
            assert!(len > 0, "the daemon has hung up");
            for byte in &buffer[..len] {
                answered += u64::from(*byte == b'\n' && last == b'\n');
                last = *byte;
            }
        }
        answered
    }
}

/// A peer made of a socket and the cryptography alone, which reads nothing from `init` on until it is asked to.
struct MutePeer {
    stream: TcpStream,
    id: String,
    opener: Opener,
    _sealer: Sealer,
}

impl MutePeer {
    fn connect(home: &Home) -> MutePeer {
        let port = home.call(&["getinfo"])["binding"][0]["port"].as_u64().unwrap();
        let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
        let key = StaticKey::from_bytes(&Secret::new([9; 32])).unwrap();
        let ephemeral = EphemeralKey::from_bytes(Secret::new([0x5e; 32])).unwrap();
        let (act_one, awaiting) = Initiator::new(&key, home.daemon.id.parse().unwrap(), ephemeral).act_one();
        stream.write_all(&act_one).unwrap();
        let mut act_two = [0; ACT_TWO_LEN];
        stream.read_exact(&mut act_two).unwrap();
        let (act_three, transport) = awaiting.act_two(&key, &act_two).unwrap();
        stream.write_all(&act_three).unwrap();
        let (mut sealer, opener) = transport.split();
        let init = [&[0, 16, 0, 0, 0, 0, 1, 32][..], &Network::Regtest.chain_hash()].concat();
        let mut frame = vec![0; init.len() + FRAME_OVERHEAD];
        frame[HEADER_LEN..][..init.len()].copy_from_slice(&init);
        sealer.seal(&mut frame).unwrap();
        stream.write_all(&frame).unwrap();
        let peer = MutePeer { stream, id: key.node_id().to_string(), opener, _sealer: sealer };
        // Connected for the daemon too.
        while home.call(&["listpeers", &peer.id])["peers"].as_array().unwrap().is_empty() {}
        peer
    }

    /// Reads all there is, until the daemon has hung up, and answers how many custom messages were whole.
    fn messages(&mut self) -> u64 {
        let mut count = 0;
        loop {
            let mut header = [0; HEADER_LEN];
            if self.stream.read_exact(&mut header).is_err() {
                return count;
            }
            let len = self.opener.open_header(&mut header).unwrap();
            let mut body = vec![0; len.get() + TAG_LEN];
            if self.stream.read_exact(&mut body).is_err() {
                return count;
            }
            let message = self.opener.open_body(len, &mut body).unwrap();
            count += u64::from(message.starts_with(&[0x80, 1]));
        }
    }
}
