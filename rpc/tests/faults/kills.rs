//! Two nodes talk and write to their datastores, and one of them is killed, round after round, at a moment that chance
//! chooses: in full swing, after a pause in which it did not read, or while it starts.
//!
//! What must hold each time, whoever it was:
//!
//! - what the killed node's clients wrote and were answered is there when it runs again, and nothing else that was not asked;
//! - the other node's client saw a beginning of what the killed one sent: in order, nothing twice, nothing missing in between;
//! - what the other node accepted for the killed one and did not send is told to its client: it is the end of what was
//!   accepted, in order, and the killed node's client saw none of it.
//!
//! What the system had taken and the killed node had not shown to its client is gone, and no protocol without receipts can
//! tell; it is counted.

use std::collections::BTreeSet;
use std::ops::AddAssign;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::chance::Chance;
use crate::client::Client;
use crate::figures::record;
use crate::running::{Daemon, Process, oddwired};

const ROUNDS: u64 = 50;
/// Messages that are accepted while the other node does not read, at most.
const WHILE_STOPPED: u64 = 400;
/// Message types of each test's own: numbered ones, and the one that ends a round.
const NUMBERED: &str = "8001";
const MARK: &str = "8003";

/// A node whose directory outlives its processes.
pub(crate) struct Node {
    _directory: TempDir,
    dir: PathBuf,
    pub(crate) daemon: Daemon,
    /// Has heard all messages since the process started, and what did not go out.
    pub(crate) subscriber: Client,
}

impl Node {
    pub(crate) fn new() -> Node {
        let directory = tempfile::tempdir().unwrap();
        let dir = directory.path().to_owned();
        let (daemon, subscriber) = start(&dir);
        Node { _directory: directory, dir, daemon, subscriber }
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(&self.dir).unwrap()
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.daemon.process.child)
    }

    pub(crate) fn restart(&mut self) {
        self.daemon.process.child.wait().unwrap();
        (self.daemon, self.subscriber) = start(&self.dir);
    }
}

fn start(dir: &Path) -> (Daemon, Client) {
    let daemon = Daemon::start(dir, &[]);
    let mut subscriber = Client::connect(dir).unwrap();
    subscriber.call("subscribecustommsg", &json!({"unsent": true}));
    (daemon, subscriber)
}

/// What became of a round's messages and writes, and of all rounds together.
#[derive(Default)]
struct Account {
    accepted: u64,
    seen: u64,
    told_unsent: u64,
    written: u64,
}

impl AddAssign for Account {
    fn add_assign(&mut self, other: Account) {
        self.accepted += other.accepted;
        self.seen += other.seen;
        self.told_unsent += other.told_unsent;
        self.written += other.written;
    }
}

#[test]
fn a_node_that_is_killed_loses_nothing_that_it_promised() {
    let mut chance = Chance::new(7);
    let mut nodes = [Node::new(), Node::new()];
    let (mut total, mut written) = (Account::default(), Vec::new());
    for round in 0..ROUNDS {
        if chance.once_in(2) {
            nodes.reverse();
        }
        let [survivor, victim] = &mut nodes;
        victim.daemon.connect(&survivor.daemon);
        let (account, writes) = fight(round, survivor, victim, &mut chance);
        total += account;
        written.push((victim.dir.clone(), round, writes));
    }
    // Later kills have not touched what earlier rounds wrote.
    for (dir, round, writes) in &written {
        check_writes(&mut Client::connect(dir).unwrap(), *round, writes);
    }
    let lost = total.accepted - total.seen - total.told_unsent;
    record("a node is killed in full swing", format!("{ROUNDS} rounds"));
    record("acknowledged writes, all there after the restart", total.written);
    record("acknowledged writes lost", 0);
    record("messages accepted for a node that was killed", total.accepted);
    record("of these, seen by its client", total.seen);
    record("of these, told as unsent", total.told_unsent);
    record("of these, lost with the killed process, which had been given them", lost);
    record("messages out of order, doubled, or told as unsent and seen all the same", 0);
}

/// One round, at the end of which the victim runs again and both are still.
fn fight(round: u64, survivor: &mut Node, victim: &mut Node, chance: &mut Chance) -> (Account, Writes) {
    let is_stopped_first = chance.once_in(3);
    let moment = if chance.once_in(10) { 0 } else { chance.below(1_000) };
    let sizes = chance.below(u64::MAX);
    let (mut to_victim, mut from_victim, mut store) = (survivor.client(), victim.client(), victim.client());
    let (victim_id, survivor_id) = (victim.daemon.id.clone(), survivor.daemon.id.clone());
    let pid = victim.pid();
    let (progress, steps) = channel();
    let is_stopped = AtomicBool::new(false);

    let seen_by_victim = &mut victim.subscriber;
    let (accepted, asked_of_victim, writes, seen) = thread::scope(|scope| {
        let accepted = scope.spawn({
            let (progress, is_stopped) = (progress.clone(), &is_stopped);
            move || send_all(&mut to_victim, &victim_id, round, sizes, &progress, is_stopped)
        });
        let asked = scope.spawn({
            let progress = progress.clone();
            move || {
                send_all(&mut from_victim, &survivor_id, round, !sizes, &progress, &AtomicBool::new(false))
            }
        });
        let writes = scope.spawn({
            let progress = progress.clone();
            move || write_all(&mut store, round, &progress)
        });
        let seen = scope.spawn(move || {
            let messages = std::iter::from_fn(|| seen_by_victim.next());
            numbers_of(messages.filter(|message| is_from_round(message, round)))
        });
        drop(progress);
        // The moment: so many answers later.
        for _ in 0..moment {
            steps.recv().unwrap();
        }
        if is_stopped_first {
            kill_process(pid, Signal::STOP).unwrap();
            is_stopped.store(true, Ordering::Relaxed);
            let accepted = accepted.join().unwrap();
            kill_process(pid, Signal::KILL).unwrap();
            (accepted, asked.join().unwrap(), writes.join().unwrap(), seen.join().unwrap())
        } else {
            kill_process(pid, Signal::KILL).unwrap();
            let accepted = accepted.join().unwrap();
            (accepted, asked.join().unwrap(), writes.join().unwrap(), seen.join().unwrap())
        }
    });

    if chance.once_in(4) {
        kill_while_it_starts(&victim.dir, chance);
    }
    victim.restart();
    check_writes(&mut victim.client(), round, &writes);

    // From here on nothing comes any more of this round: the mark stands behind all of it.
    victim.daemon.connect(&survivor.daemon);
    let mark = format!("{MARK}{round:016x}");
    victim.client().call("sendcustommsg", &json!([survivor.daemon.id, mark]));
    let mut heard = Vec::new();
    loop {
        let message = survivor.subscriber.next().unwrap();
        if message["params"]["payload"] == mark {
            break;
        }
        heard.push(message);
    }
    let (unsent, messages): (Vec<Value>, Vec<Value>) =
        heard.into_iter().partition(|message| message["method"] == "custommsg_unsent");

    // The one whose answer did not come any more may have gone out.
    let arrived = numbers_of(messages.into_iter());
    assert_counts(&arrived);
    assert!(arrived.len() as u64 <= asked_of_victim.asked, "round {round}");

    let unsent_from = accepted.accepted - unsent.len() as u64;
    for (place, message) in unsent.iter().enumerate() {
        assert_eq!(message["params"]["type"], 0x8001, "round {round}: {message}");
        // A few had been encrypted in place already; these stand first.
        if message["params"].get("payload").is_some() {
            assert_eq!(number_of(message), unsent_from + place as u64, "round {round}: {message}");
        } else {
            assert!(place < 1_024, "round {round}: {message}");
        }
    }
    assert_counts(&seen);
    assert!(seen.len() as u64 <= unsent_from, "round {round}: {} seen, {unsent_from} sent", seen.len());
    let account = Account {
        accepted: accepted.accepted,
        seen: seen.len() as u64,
        told_unsent: unsent.len() as u64,
        written: writes.acknowledged.len() as u64,
    };
    (account, writes)
}

/// How far a sender came.
struct Sent {
    asked: u64,
    accepted: u64,
}

/// Sends numbered messages until the peer or the daemon is gone, or enough have been accepted for one that does not read.
fn send_all(
    client: &mut Client,
    to: &str,
    round: u64,
    sizes: u64,
    progress: &Sender<()>,
    peer_is_stopped: &AtomicBool,
) -> Sent {
    let mut sizes = Sizes(sizes);
    let mut sent = Sent { asked: 0, accepted: 0 };
    let mut while_stopped = 0;
    while while_stopped < WHILE_STOPPED {
        let is_stopped = peer_is_stopped.load(Ordering::Relaxed);
        let filler = "00".repeat(sizes.next(is_stopped));
        let message = format!("{NUMBERED}{round:016x}{:016x}{filler}", sent.accepted);
        sent.asked = sent.accepted + 1;
        match client.try_call("sendcustommsg", &json!([to, message])) {
            Some(Ok(_)) => {
                sent.accepted += 1;
                while_stopped += u64::from(is_stopped);
                // Nobody listens any more once the moment has come.
                let _ = progress.send(());
            }
            // So much is queued that no more is taken: it was not accepted.
            Some(Err(error)) if error["code"] == -1 && !is_stopped => {}
            Some(Err(_)) | None => break,
        }
    }
    sent
}

/// Mostly small messages; large ones for a peer that does not read, so that the system's buffers are soon full.
struct Sizes(u64);

impl Sizes {
    fn next(&mut self, is_stopped: bool) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let random = usize::try_from(self.0 >> 40).unwrap();
        match (is_stopped, random % 16) {
            (true, _) => 30_000 + random % 10_000,
            (false, 0) => random % 20_000,
            (false, _) => random % 200,
        }
    }
}

/// How many writes a client has asked for, and which were answered.
struct Writes {
    asked: u64,
    acknowledged: BTreeSet<u64>,
}

/// Writes under running numbers, some at a time, until the daemon is gone.
fn write_all(client: &mut Client, round: u64, progress: &Sender<()>) -> Writes {
    const AT_A_TIME: u64 = 16;
    let mut writes = Writes { asked: 0, acknowledged: BTreeSet::new() };
    loop {
        while writes.asked < writes.acknowledged.len() as u64 + AT_A_TIME {
            let number = writes.asked;
            let key = ["rounds".to_owned(), round.to_string(), number.to_string()];
            writes.asked += 1;
            let params = json!({"key": key, "string": value_of(round, number)});
            // The daemon is gone; answers may still be there.
            let Ok(_) = client.ask("datastore", &params) else { break };
        }
        let Some(answer) = client.next() else { return writes };
        let number = answer["result"]["key"][2].as_str().unwrap_or_else(|| panic!("{answer}"));
        writes.acknowledged.insert(number.parse().unwrap());
        let _ = progress.send(());
    }
}

fn value_of(round: u64, number: u64) -> String {
    format!("{round}/{number} ").repeat(usize::try_from(1 + number % 50).unwrap())
}

fn check_writes(client: &mut Client, round: u64, writes: &Writes) {
    let listed = client.call("listdatastore", &json!({"key": ["rounds", round.to_string()]}));
    let mut numbers = BTreeSet::new();
    for entry in listed["datastore"].as_array().unwrap() {
        let number: u64 = entry["key"][2].as_str().unwrap().parse().unwrap();
        assert_eq!(entry["string"], value_of(round, number), "round {round}");
        numbers.insert(number);
    }
    let count = numbers.len() as u64;
    assert!(
        writes.acknowledged.is_subset(&numbers),
        "round {round}: lost {:?}",
        &writes.acknowledged - &numbers
    );
    assert!(count <= writes.asked, "round {round}: {count} are there, {} were asked", writes.asked);
    assert!(numbers.into_iter().eq(0..count), "round {round}: holes in what was written");
}

/// Starts a node and kills it after some line of its log; one that has just been killed leaves nothing that is in the way.
fn kill_while_it_starts(dir: &Path, chance: &mut Chance) {
    const LINES: [&str; 3] = ["v26.06", "Listening on", "Server started"];
    let mut starting = Process::spawn(oddwired(dir).arg("--log-level=debug"));
    match chance.below(LINES.len() as u64 + 1) {
        0 => {}
        line => drop(starting.wait_for_line(LINES[usize::try_from(line).unwrap() - 1])),
    }
    starting.child.kill().unwrap();
    starting.child.wait().unwrap();
}

#[test]
fn a_first_start_that_is_killed_leaves_no_half_key() {
    const STARTS: u32 = 25;
    let mut chance = Chance::new(11);
    for _ in 0..STARTS {
        let directory = tempfile::tempdir().unwrap();
        kill_while_it_starts(directory.path(), &mut chance);
        kill_while_it_starts(directory.path(), &mut chance);
        let key = directory.path().join("regtest/hsm_secret");
        let before = std::fs::read(&key).ok();
        assert!(before.as_ref().is_none_or(|key| key.len() == 32));
        let daemon = Daemon::start(directory.path(), &[]);
        assert!(before.is_none_or(|before| before == std::fs::read(&key).unwrap()));
        assert!(daemon.cli(&["getinfo"]).status.success());
    }
    record("first starts killed, none left half a key", STARTS * 2);
}

#[test]
fn a_first_write_that_is_killed_leaves_a_datastore_that_opens() {
    const WRITES: u32 = 25;
    for _ in 0..WRITES {
        let directory = tempfile::tempdir().unwrap();
        let mut daemon = Daemon::start(directory.path(), &[]);
        let mut client = Client::connect(directory.path()).unwrap();
        client.ask("datastore", &json!(["a", "b"])).unwrap();
        // The moment at which something of it is there.
        let is_begun = || {
            let mut names = std::fs::read_dir(directory.path().join("regtest")).unwrap();
            names.any(|name| name.unwrap().file_name().to_string_lossy().starts_with("datastore"))
        };
        while !is_begun() {
            std::hint::spin_loop();
        }
        daemon.process.child.kill().unwrap();
        daemon.process.child.wait().unwrap();
        let _daemon = Daemon::start(directory.path(), &[]);
        let mut client = Client::connect(directory.path()).unwrap();
        client.call("datastore", &json!({"key": "a", "string": "c", "mode": "create-or-replace"}));
    }
    record("first writes killed, all datastores open", WRITES);
}

/// The numbers in messages, without looking at the round.
pub(crate) fn numbers_of(messages: impl Iterator<Item = Value>) -> Vec<u64> {
    messages.map(|message| number_of(&message)).collect()
}

pub(crate) fn number_of(message: &Value) -> u64 {
    let payload = message["params"]["payload"].as_str().unwrap_or_else(|| panic!("{message}"));
    u64::from_str_radix(&payload[NUMBERED.len() + 16..NUMBERED.len() + 32], 16).unwrap()
}

fn is_from_round(message: &Value, round: u64) -> bool {
    let payload = message["params"]["payload"].as_str().unwrap_or_else(|| panic!("{message}"));
    payload.starts_with(&format!("{NUMBERED}{round:016x}"))
}

/// In order, nothing twice, nothing missing.
pub(crate) fn assert_counts(numbers: &[u64]) {
    assert!(numbers.iter().copied().eq(0..numbers.len() as u64), "{numbers:?}");
}
