//! What disturbs the daemons: hostile peers, clients that talk nonsense, that do not read or that read slowly, plugins that
//! are started and stopped and one that does not read, onion messages.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::Programs;
use super::client::Client;
use super::daemon::Daemon;
use super::dice::Dice;
use super::ending::Ending;
use super::stream::{check, listen, message};

/// The type of the stream from alice to bob, which the plugin looks at.
const WATCHED: u16 = 33_001;
/// The type of messages inside onions.
const ONION: u16 = 33_101;

/// All of it, while it goes on.
pub(super) struct Nuisance {
    counts: Arc<Counts>,
    end: Arc<Ending>,
    threads: Vec<JoinHandle<()>>,
    wolves: Wolves,
}

#[derive(Default)]
struct Counts {
    calls: AtomicU64,
    nonsense: AtomicU64,
    restarts: AtomicU64,
    seen_by_plugin: AtomicU64,
    onions_sent: AtomicU64,
    onions_arrived: AtomicU64,
    complaints: Mutex<Vec<String>>,
}

/// What one thread does.
type Work = Box<dyn FnOnce(&Counts, &Ending, Dice) + Send>;

/// What it came to.
pub(super) struct Outcome {
    pub(super) lines: Vec<(String, String)>,
    pub(super) complaints: Vec<String>,
}

impl Nuisance {
    pub(super) fn begin(
        programs: &Programs,
        [alice, bob, carol]: &[Arc<Daemon>; 3],
        dice: &mut Dice,
        hostile: u32,
    ) -> Result<Nuisance> {
        let (counts, end) = (Arc::<Counts>::default(), Arc::<Ending>::default());
        let counting = plugin(bob, &format!("counting-{WATCHED}"))?;
        let deaf = plugin(bob, &format!("deaf-{WATCHED}"))?;
        bob.client()?.call("plugin", &json!(["start", deaf]))?.map_err(anyhow::Error::msg)?;
        let wolves = Wolves::start(programs, bob, hostile)?;
        let mut threads = Vec::new();
        let mut go = |work: Work| {
            let (counts, end, dice) = (Arc::clone(&counts), Arc::clone(&end), dice.fork());
            threads.push(thread::spawn(move || work(&counts, &end, dice)));
        };
        let daemon = Arc::clone(bob);
        go(Box::new(move |counts, end, dice| restart_plugin(&daemon, &counting, counts, end, dice)));
        for daemon in [alice, bob] {
            let (polite, rude, slow) = (Arc::clone(daemon), Arc::clone(daemon), Arc::clone(daemon));
            go(Box::new(move |counts, end, _| ask(&polite, counts, end)));
            go(Box::new(move |counts, end, dice| talk_nonsense(&rude, counts, end, dice)));
            go(Box::new(move |counts, end, _| read_slowly(&slow, counts, end)));
        }
        let (from, over, to) = (Arc::clone(alice), Arc::clone(carol), Arc::clone(bob));
        go(Box::new(move |counts, end, dice| send_onions(&from, &over, &to, counts, end, dice)));
        let daemon = Arc::clone(bob);
        go(Box::new(move |counts, end, _| count_onions(&daemon, counts, end)));
        Ok(Nuisance { counts, end, threads, wolves })
    }

    /// In a few words.
    pub(super) fn summary(&self) -> String {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        format!(
            "{} calls, {} of them nonsense, {} plugin restarts, {} of {} onions",
            count(&self.counts.calls),
            count(&self.counts.nonsense),
            count(&self.counts.restarts),
            count(&self.counts.onions_arrived),
            count(&self.counts.onions_sent)
        )
    }

    /// Ends it.
    pub(super) fn end(self) -> Outcome {
        self.end.come();
        for thread in self.threads {
            if thread.join().is_err() {
                self.counts.complain("something that disturbs has panicked".to_owned());
            }
        }
        let deeds = self.wolves.end();
        let counts = &self.counts;
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed).to_string();
        let lines = [
            ("calls of clients", of(&counts.calls)),
            ("requests that are nonsense", of(&counts.nonsense)),
            ("times that a plugin was stopped and started", of(&counts.restarts)),
            ("messages that it saw, whole and in order", of(&counts.seen_by_plugin)),
            ("onion messages sent over carol", of(&counts.onions_sent)),
            ("of these arrived", of(&counts.onions_arrived)),
            ("hostile peers", deeds),
        ];
        let lines = lines.map(|(what, value)| (what.to_owned(), value)).into();
        let complaints = self.counts.complaints.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Outcome { lines, complaints }
    }
}

impl Counts {
    fn complain(&self, what: String) {
        self.complaints.lock().unwrap_or_else(PoisonError::into_inner).push(what);
    }
}

fn add(count: &AtomicU64) {
    count.fetch_add(1, Ordering::Relaxed);
}

/// Puts the plugin into the daemon's directory, under a name that says what it does.
fn plugin(daemon: &Daemon, name: &str) -> Result<PathBuf> {
    let path = daemon.directory().join(name);
    fs::write(&path, include_str!("listener.py"))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(path)
}

/// Starts it, lets it look at messages for a few seconds, asks what it saw, and stops it.
fn restart_plugin(daemon: &Daemon, path: &PathBuf, counts: &Counts, end: &Ending, mut dice: Dice) {
    let round = |dice: &mut Dice| -> Result<()> {
        let mut client = daemon.client()?;
        let mut call = |method, params| client.call(method, &params)?.map_err(anyhow::Error::msg);
        call("plugin", json!(["start", path]))?;
        end.comes_within(Duration::from_millis(2_000 + dice.below(5_000)));
        let saw = call("soak-count", json!([]))?;
        call("plugin", json!(["stop", path]))?;
        add(&counts.restarts);
        counts.seen_by_plugin.fetch_add(saw["seen"].as_u64().unwrap_or_default(), Ordering::Relaxed);
        ensure!(saw["wrong"] == 0, "the plugin saw messages that were changed or out of order: {saw}");
        Ok(())
    };
    while !end.has_come() {
        if let Err(error) = round(&mut dice) {
            counts.complain(format!("restarting a plugin: {error:#}"));
            return;
        }
    }
}

/// The owner's own programs: they must be answered all the time.
fn ask(daemon: &Daemon, counts: &Counts, end: &Ending) {
    let session = || -> Result<()> {
        let mut client = daemon.client()?;
        for (method, params) in [("getinfo", json!({})), ("listpeers", json!({})), ("help", json!(["ping"]))]
        {
            client.call(method, &params)?.map_err(anyhow::Error::msg)?;
            add(&counts.calls);
        }
        Ok(())
    };
    while !end.has_come() {
        if let Err(error) = session() {
            counts.complain(format!("{} does not answer: {error:#}", daemon.name));
            return;
        }
        end.comes_within(Duration::from_millis(50));
    }
}

/// Requests that are none, and clients that go in the middle of one or of a subscription.
fn talk_nonsense(daemon: &Daemon, counts: &Counts, end: &Ending, mut dice: Dice) {
    const NONSENSE: [&[u8]; 6] = [
        b"GET / HTTP/1.1\r\n\r\n",
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"help\",\"params\":",
        b"[[[[[[[[[[[[[[[[[[[[[[[[[[",
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"sendcustommsg\",\"params\":[\"02\",\"x\"]}",
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"subscribecustommsg\",\"params\":{}}",
        b"\xff\xfe\x00\x80",
    ];
    while !end.has_come() {
        if let Ok(mut client) = daemon.client() {
            let place = usize::try_from(dice.below(6)).unwrap_or_default();
            let words = NONSENSE.get(place).copied().unwrap_or_default();
            add(&counts.calls);
            add(&counts.nonsense);
            // It may hang up on us, or not answer; some of it we do not wait for.
            if client.say(words).is_ok() && dice.one_in(2) {
                let _ = client.read(65_536);
            }
        }
        end.comes_within(Duration::from_millis(30));
    }
}

/// A subscriber to everything that reads a thousand bytes a second or so.
fn read_slowly(daemon: &Daemon, counts: &Counts, end: &Ending) {
    let subscribed = || -> Result<Client> {
        let mut client = daemon.client()?;
        client.call("subscribecustommsg", &json!({}))?.map_err(anyhow::Error::msg)?;
        Ok(client)
    };
    let mut client = match subscribed() {
        Ok(client) => client,
        Err(error) => return counts.complain(format!("{} takes no slow reader: {error:#}", daemon.name)),
    };
    while !end.has_come() {
        let _ = client.read_and_forget(100);
        end.comes_within(Duration::from_millis(100));
    }
}

/// Onion messages have no promise: the pace of the nodes on the way decides, and carol dies now and then.
fn send_onions(from: &Daemon, over: &Daemon, to: &Daemon, counts: &Counts, end: &Ending, mut dice: Dice) {
    let mut client = match from.client() {
        Ok(client) => client,
        Err(error) => return counts.complain(format!("nobody sends onion messages: {error:#}")),
    };
    let mut number = 0;
    while !end.has_come() {
        number += 1;
        // Whoever carries them has to be connected to where they go; after each of her deaths again.
        if let Ok(mut carrier) = over.client() {
            let _ = carrier.call("connect", &json!([to.id, "127.0.0.1", to.port]));
        }
        let params =
            json!({"destination": to.id, "hops": [over.id], "msg": message(ONION, number, &mut dice)});
        match client.call("sendonionmessage", &params) {
            Ok(Ok(_)) => add(&counts.onions_sent),
            // Carol is not there.
            Ok(Err(_)) => {}
            Err(error) => return counts.complain(format!("sending onion messages: {error:#}")),
        }
        end.comes_within(Duration::from_millis(400));
    }
}

fn count_onions(daemon: &Daemon, counts: &Counts, end: &Ending) {
    listen(daemon, &json!({"types": [ONION]}), end, drop, |_, params| {
        match params["payload"].as_str().and_then(check) {
            Some(_) => add(&counts.onions_arrived),
            None => counts.complain(format!("an onion brought something else: {params}")),
        }
    });
}

/// The wolves of the load proof.
struct Wolves {
    process: Child,
    input: Box<dyn Write>,
    output: Box<dyn BufRead>,
}

impl Wolves {
    fn start(programs: &Programs, prey: &Daemon, count: u32) -> Result<Wolves> {
        let mut process = Command::new(&programs.wolves)
            .env("ODDWIRE_LOAD_ROLE", format!("wolves {} 127.0.0.1:{}", prey.id, prey.port))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("could not start the wolves")?;
        let input = process.stdin.take().context("no way to tell them anything")?;
        let output = process.stdout.take().context("no way to hear of them")?;
        let mut wolves = Wolves { process, input: Box::new(input), output: Box::new(BufReader::new(output)) };
        wolves.line()?;
        for kind in ["flood", "silent", "drip"] {
            wolves.ask(&format!("{kind} {count}"))?;
        }
        Ok(wolves)
    }

    fn ask(&mut self, command: &str) -> Result<String> {
        writeln!(self.input, "{command}")?;
        self.line()
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        ensure!(self.output.read_line(&mut line)? > 0, "the wolves have ended");
        Ok(line.trim_end().to_owned())
    }

    /// What they have done.
    fn end(mut self) -> String {
        self.ask("stop").unwrap_or_else(|error| error.to_string())
    }
}

impl Drop for Wolves {
    fn drop(&mut self) {
        // Both answer with an error when it has ended, which is what we want.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
