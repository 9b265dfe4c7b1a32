//! SIGTERM: what was accepted goes out, and nobody can delay the end beyond its deadline.

use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tempfile::tempdir;

use crate::client::Client;
use crate::figures::record;
use crate::fixture::{Plugins, option};
use crate::running::Daemon;

#[test]
fn what_was_accepted_before_the_signal_arrives() {
    const MESSAGES: u64 = 2_000;
    let (dir, other_dir) = (tempdir().unwrap(), tempdir().unwrap());
    let (sender, receiver) = (Daemon::start(dir.path(), &[]), Daemon::start(other_dir.path(), &[]));
    sender.connect(&receiver);
    let mut subscriber = Client::connect(other_dir.path()).unwrap();
    subscriber.call("subscribecustommsg", &json!({}));
    let mut client = Client::connect(dir.path()).unwrap();
    let filler = "00".repeat(500);
    for number in 0..MESSAGES {
        client.call("sendcustommsg", &json!([receiver.id, format!("8001{number:016x}{filler}")]));
    }
    sender.process.signal("TERM");
    let (status, log) = sender.process.wait();
    assert!(status.success() && !log.iter().any(|line| line.contains("not sent")), "{log:?}");
    for number in 0..MESSAGES {
        let message = subscriber.next().unwrap();
        assert_eq!(message["params"]["payload"], format!("8001{number:016x}{filler}"));
    }
    record("messages accepted right before SIGTERM, all arrived", MESSAGES);
}

#[test]
fn who_starts_while_the_node_before_still_stops_waits_for_its_end() {
    let (dir, other_dir) = (tempdir().unwrap(), tempdir().unwrap());
    let before = Daemon::start(dir.path(), &[]);
    let peer = Daemon::start(other_dir.path(), &[]);
    before.connect(&peer);
    let queued = queue_for_one_that_does_not_read(&before, &peer);
    before.call(&["stop"]);
    let after = Daemon::start(dir.path(), &[]);
    let (status, log) = before.process.wait();
    assert!(status.success() && log.iter().any(|line| line.contains("messages were not sent")), "{log:#?}");
    assert_eq!(after.id, before.id);
    record("messages queued for one that does not read, while the next start waited for the stop", queued);
}

#[test]
fn neither_peers_nor_plugins_nor_clients_delay_the_end() {
    /// What the daemon promises: 8 s, and two times 1 s for the log and the datastore. The rest is for a busy machine.
    const MOST: Duration = Duration::from_secs(10 + 10);
    let (dir, other_dir) = (tempdir().unwrap(), tempdir().unwrap());
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let plugins = Plugins::new();
    // It wants to be told of the end, and then neither ends nor reads.
    let manifest = json!({"subscriptions": ["shutdown"], "rpcmethods": [{"name": "work", "usage": ""}]});
    let stubborn = plugins.add("stubborn", &manifest, &json!({"work": "sleep"}));
    let daemon = Daemon::start(dir.path(), &["--log-level=debug", &option("plugin", &stubborn)]);
    let peer = Daemon::start(other_dir.path(), &[]);
    daemon.connect(&peer);

    queue_for_one_that_does_not_read(&daemon, &peer);
    // A plugin that does not read; a client that waits for it, one that waits for a stranger who says nothing, one that
    // does not read its answers, one in the middle of a request.
    let clients = ["work", "connect", "help", "half"].map(|what| {
        let mut client = Client::connect(dir.path()).unwrap();
        match what {
            "work" => assert!(client.ask("work", &json!([])).is_ok()),
            "connect" => {
                // The generator of secp256k1: any valid id will do.
                let nobody = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
                let port = silent.local_addr().unwrap().port();
                client.ask("connect", &json!([nobody, "127.0.0.1", port])).unwrap();
            }
            "help" => (0..50).for_each(|_| assert!(client.ask("help", &json!([])).is_ok())),
            _ => client.write(br#"{"jsonrpc":"2.0","id":0,"meth"#).unwrap(),
        }
        client
    });
    let _connection = silent.accept().unwrap();

    let begun = Instant::now();
    daemon.process.signal("TERM");
    let (status, log) = daemon.process.wait();
    let took = begun.elapsed();
    assert_eq!((status.code(), status.signal()), (Some(0), None), "{log:#?}");
    assert!(took < MOST, "{took:?}: {log:#?}");
    assert!(log.iter().any(|line| line.contains("messages were not sent")), "{log:#?}");
    assert!(log.last().unwrap().ends_with("Stopped"), "{log:#?}");
    drop(clients);
    record(
        "SIGTERM while peer, plugin and clients all hang",
        format!("ended after {:.1} s", took.as_secs_f64()),
    );
}

/// Stops the peer, then queues as much for it as may be. Returns how many messages were accepted.
fn queue_for_one_that_does_not_read(daemon: &Daemon, peer: &Daemon) -> u64 {
    kill_process(Pid::from_child(&peer.process.child), Signal::STOP).unwrap();
    let mut client = Client::connect(&daemon.dir).unwrap();
    let message = format!("8001{}", "00".repeat(60_000));
    let mut accepted = 0;
    loop {
        match client.try_call("sendcustommsg", &json!([peer.id, message])).unwrap() {
            Ok(_) => accepted += 1,
            Err(refused) => {
                assert_eq!(refused["code"], -1, "{refused}");
                return accepted;
            }
        }
    }
}
