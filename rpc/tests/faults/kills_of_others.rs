//! Clients and plugins that are killed: the daemon serves the others as if nothing had happened, and keeps no place for the
//! dead.

use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use tempfile::tempdir;

use crate::chance::Chance;
use crate::client::Client;
use crate::figures::record;
use crate::fixture::{Plugins, option};
use crate::running::{Daemon, Process, follow, oddwire_cli, wait_for};

#[test]
fn killed_clients_leave_their_places_to_others() {
    /// More than there may be subscriptions at a time.
    const LISTENERS: usize = 80;
    const WRITES: u64 = 200;
    let mut chance = Chance::new(3);
    let (dir, silent) = (tempdir().unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    let _daemon = Daemon::start(dir.path(), &[]);
    let port = silent.local_addr().unwrap().port().to_string();
    // The generator of secp256k1: any valid id will do.
    let nobody = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
    for number in 0..LISTENERS {
        let mut listener = Process::spawn(oddwire_cli(dir.path()).arg("listen").stderr(Stdio::piped()));
        wait_for(&follow(listener.child.stderr.take().unwrap()), "# listening");
        // Its call runs on: the peer never says a word.
        let mut caller =
            Process::spawn(oddwire_cli(dir.path()).args(["connect", nobody, "127.0.0.1", &port]));
        if chance.once_in(8) {
            drop(silent.accept().unwrap());
        }
        for process in [&mut listener, &mut caller] {
            process.child.kill().unwrap();
            process.child.wait().unwrap();
        }
        // One that writes: what it asked for is done up to some place, in order, however it ended.
        let mut client = Client::connect(dir.path()).unwrap();
        let asked = chance.below(WRITES);
        for write in 0..asked {
            let key = ["writer".to_owned(), number.to_string(), format!("{write:03}")];
            client.ask("datastore", &json!({"key": key, "string": "x"})).unwrap();
        }
        client.write(br#"{"jsonrpc":"2.0","id":0,"meth"#).unwrap();
    }
    let mut client = Client::connect(dir.path()).unwrap();
    client.call("subscribecustommsg", &json!({}));
    for number in 0..LISTENERS {
        let listed = client.call("listdatastore", &json!({"key": ["writer", number.to_string()]}));
        let done = listed["datastore"].as_array().unwrap();
        let in_order =
            (done.iter().enumerate()).all(|(place, entry)| entry["key"][2] == format!("{place:03}"));
        assert!(in_order, "{done:?}");
    }
    record("clients killed in the middle of a call or a subscription", LISTENERS * 3);
}

#[test]
fn killed_plugins_take_no_message_with_them() {
    const ROUNDS: u64 = 12;
    const MESSAGES: u64 = 150;
    let mut chance = Chance::new(5);
    let plugins = Plugins::new();
    let manifest = json!({"hooks": [{"name": "custommsg", "before": ["honest"]}],
        "subscriptions": ["custommsg", "disconnect"], "rpcmethods": [{"name": "work", "usage": ""}]});
    let victim = plugins.add("victim", &manifest, &json!({"custommsg": "continue", "work": "hang"}));
    let honest = plugins.add("honest", &json!({"hooks": ["custommsg"]}), &json!({"custommsg": "count"}));
    let (dir, other_dir) = (tempdir().unwrap(), tempdir().unwrap());
    let options = ["--log-level=debug", &option("plugin", &honest)];
    let (daemon, other) = (Daemon::start(dir.path(), &options), Daemon::start(other_dir.path(), &[]));
    other.connect(&daemon);
    let mut subscriber = Client::connect(dir.path()).unwrap();
    subscriber.call("subscribecustommsg", &json!({}));
    let (mut owner, mut sender) =
        (Client::connect(dir.path()).unwrap(), Client::connect(other_dir.path()).unwrap());
    for round in 0..ROUNDS {
        let pid = start_plugin(&daemon, &mut owner, &victim);
        // A call that it will never answer.
        let mut caller = Client::connect(dir.path()).unwrap();
        caller.ask("work", &json!([])).unwrap();
        let moment = chance.below(MESSAGES);
        for number in 0..MESSAGES {
            let message = format!("8001{:08x}", round * MESSAGES + number);
            sender.call("sendcustommsg", &json!([daemon.id, message]));
            if number == moment {
                rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
            }
        }
        daemon.process.wait_for_line("plugin-victim: Killing plugin: exited during normal operation");
        // It had been told of the call or not.
        let code = &caller.next().unwrap()["error"]["code"];
        assert!(*code == -4 || *code == -3, "{code}");
        for number in 0..MESSAGES {
            let seen = subscriber.next().unwrap();
            assert_eq!(seen["params"]["payload"], format!("8001{:08x}", round * MESSAGES + number));
        }
    }
    // The other plugin ends itself if one is missing, doubled or out of order; it says so at every thousandth.
    let all = (ROUNDS * MESSAGES).next_multiple_of(1_000);
    for number in ROUNDS * MESSAGES..all {
        sender.call("sendcustommsg", &json!([daemon.id, format!("8001{number:08x}")]));
    }
    daemon.process.wait_for_line(&format!("plugin-honest: counted {all}"));
    let left = owner.call("plugin", &json!(["list"]));
    assert_eq!(left["plugins"].as_array().map(Vec::len), Some(1), "{left}");
    record("plugins killed while messages passed through them", ROUNDS);
    record("messages that missed their way for it", 0);
}

/// Starts it and finds out its process id, which the log tells.
fn start_plugin(daemon: &Daemon, owner: &mut Client, path: &Path) -> rustix::process::Pid {
    let path = path.display().to_string();
    let started: Value = owner.call("plugin", &json!(["start", path]));
    assert!(started["plugins"].is_array());
    let line = daemon.process.wait_for_line(&format!(") {path}"));
    let pid = line.split("started(").nth(1).unwrap().split(')').next().unwrap().parse().unwrap();
    rustix::process::Pid::from_raw(pid).unwrap()
}
