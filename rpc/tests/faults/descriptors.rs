//! No descriptors left: whoever is connected is served, the owner can still look and stop, nobody spins, and it passes.

use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::tempdir;

use crate::client::Client;
use crate::figures::record;
use crate::running::{Daemon, follow, oddwired, wait_for};

/// What the daemon is left with.
const FILES: usize = 64;

/// A daemon that may have so many files open, and not one more.
struct Limited {
    child: Child,
    lines: Receiver<String>,
    id: String,
}

impl Limited {
    fn start(dir: &Path) -> Limited {
        let few = format!("ulimit -n {FILES} && exec '{}' \"$@\"", env!("CARGO_BIN_EXE_oddwired"));
        let mut shell = Command::new("sh");
        shell.args(["-c", &few, "sh"]).args(oddwired(dir).get_args()).arg("--log-level=debug");
        let mut child = shell.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = follow(child.stdout.take().unwrap());
        wait_for(&lines, "no more than 32 peers at a time: the system lets us open 64 files");
        let started = wait_for(&lines, "Server started with public key ");
        let id = started.split("public key ").nth(1).unwrap()[..66].to_owned();
        Limited { child, lines, id }
    }

    /// The processor's time that it has used, in the kernel's ticks, which are 10 ms on every Linux of note.
    fn cpu_ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }

    /// Whether such a line comes within this time.
    fn says(&self, text: &str, time: Duration) -> bool {
        let end = Instant::now() + time;
        let next = || self.lines.recv_timeout(end.saturating_duration_since(Instant::now())).ok();
        std::iter::from_fn(next).any(|line| line.contains(text))
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn strangers_leave_room_for_the_owner() {
    const STRANGERS: usize = 4 * FILES;
    let dir = tempdir().unwrap();
    let daemon = Limited::start(dir.path());
    let id = &daemon.id;
    let mut client = Client::connect(dir.path()).unwrap();
    let port = client.call("getinfo", &json!({}))["binding"][0]["port"].as_u64().unwrap();
    let strangers: Vec<TcpStream> =
        (0..STRANGERS).map(|_| TcpStream::connect(format!("127.0.0.1:{port}")).unwrap()).collect();
    // Now they have as many descriptors as they can get.
    wait_for(&daemon.lines, "too many connections without init: closing the oldest");
    for _ in 0..8 {
        assert_eq!(Client::connect(dir.path()).unwrap().call("getinfo", &json!({}))["id"], id.as_str());
    }
    drop(strangers);
    let other_dir = tempdir().unwrap();
    let other = Daemon::start(other_dir.path(), &[]);
    other.call(&["connect", id, "127.0.0.1", &port.to_string()]);
    record(
        "strangers in front of a daemon that may open 64 files",
        format!("{STRANGERS}; its owner is served"),
    );
}

#[test]
fn without_descriptors_what_is_connected_goes_on_and_the_rest_waits() {
    let (dir, other_dir) = (tempdir().unwrap(), tempdir().unwrap());
    let mut daemon = Limited::start(dir.path());
    let id = daemon.id.clone();
    let other = Daemon::start(other_dir.path(), &[]);
    let mut client = Client::connect(dir.path()).unwrap();
    let port = client.call("getinfo", &json!({}))["binding"][0]["port"].to_string();
    other.call(&["connect", &id, "127.0.0.1", &port]);
    client.call("subscribecustommsg", &json!({}));

    // The owner's own clients take them all. Those that are not accepted wait in the socket's queue.
    let clients: Vec<UnixStream> = (0..2 * FILES)
        .map(|_| UnixStream::connect(dir.path().join("regtest/lightning-rpc")).unwrap())
        .collect();
    wait_for(&daemon.lines, "RPC clients cannot be accepted: Too many open files");
    // The generator of secp256k1: any valid id will do.
    let nobody = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
    // Whoever is there is served; what needs a file is refused with the reason.
    other.call(&["sendcustommsg", &id, "80010203"]);
    assert_eq!(client.next().unwrap()["params"]["payload"], "80010203");
    for (method, params) in [
        ("datastore", json!(["a", "b"])),
        ("connect", json!([nobody, "127.0.0.1", 1])),
        ("plugin", json!(["start", "/bin/true"])),
    ] {
        let refused = client.refusal(method, &params);
        assert!(refused.contains("Too many open files"), "{method}: {refused}");
    }
    // For a while nothing happens: no second line about it, and hardly any work.
    let before = daemon.cpu_ticks();
    assert!(!daemon.says("cannot be accepted", Duration::from_secs(2)), "it is told again");
    let spent = daemon.cpu_ticks() - before;
    assert!(spent < 50, "{spent} ticks of 10 ms in 2 s");

    drop(clients);
    let mut later = Client::connect(dir.path()).unwrap();
    later.call("datastore", &json!(["a", "b"]));
    later.call("stop", &json!({}));
    assert!(daemon.child.wait().unwrap().success());
    record(
        "no descriptors left",
        format!("told once; {spent} ticks of 10 ms in 2 s; passes when clients go"),
    );
}
