//! The wall clock jumps by a year, back and forth, whenever the daemon looks at it. Whatever waits goes by the other clock.
//!
//! A library that is loaded before the system's own answers the question for the time (`jumping_clock.c`); the rules for the
//! code, no wall clock but where people read a time, are in `clippy.toml`.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::{TempDir, tempdir};

use crate::client::Client;
use crate::figures::record;
use crate::fixture::{Plugins, option};
use crate::running::{Daemon, Process, oddwired};

/// Compiles the library, as the daemon's own C code was.
fn library(dir: &TempDir) -> PathBuf {
    let library = dir.path().join("jumping_clock.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/faults/jumping_clock.c");
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source);
    assert!(cc.status().unwrap().success());
    library
}

#[test]
fn a_clock_that_jumps_by_years_changes_nothing_but_the_times_that_are_shown() {
    let (built, dir, other_dir) = (tempdir().unwrap(), tempdir().unwrap(), tempdir().unwrap());
    let plugins = Plugins::new();
    let plugin = plugins.add("honest", &json!({"hooks": ["custommsg"]}), &json!({"custommsg": "continue"}));
    let mut command = oddwired(dir.path());
    command.args(["--log-level=debug", &option("plugin", &plugin)]).env("LD_PRELOAD", library(&built));
    let process = Process::spawn(&mut command);
    let started = process.wait_for_line("Server started with public key ");
    let id = started.split("public key ").nth(1).unwrap()[..66].to_owned();
    let daemon = Daemon { process, dir: dir.path().to_owned(), id };
    let other = Daemon::start(other_dir.path(), &[]);
    daemon.connect(&other);

    let mut client = Client::connect(dir.path()).unwrap();
    let mut at_other = Client::connect(other_dir.path()).unwrap();
    let mut subscribers = [dir.path(), other_dir.path()].map(|dir| Client::connect(dir).unwrap());
    for subscriber in &mut subscribers {
        subscriber.call("subscribecustommsg", &json!({}));
    }
    let mut years = std::collections::BTreeSet::new();
    for number in 0..300 {
        let message = format!("8001{number:08x}");
        client.call("sendcustommsg", &json!([other.id, message]));
        at_other.call("sendcustommsg", &json!([daemon.id, message]));
        for subscriber in &mut subscribers {
            assert_eq!(subscriber.next().unwrap()["params"]["payload"], message);
        }
        let shown = client.call("ping", &json!([other.id, 1, 1]));
        assert_eq!(shown["totlen"], 5);
    }
    // It did jump, and what shows times shows them.
    for line in client.call("getlog", &json!(["debug"]))["log"].as_array().unwrap() {
        assert!(line["type"] == "SKIPPED" || line["time"].as_str().is_some(), "{line}");
    }
    client.call("datastore", &json!(["a", "b"]));
    daemon.process.signal("TERM");
    let begun = Instant::now();
    let (status, log) = daemon.process.wait();
    assert!(status.success() && begun.elapsed() < Duration::from_secs(5), "{log:#?}");
    for line in &log {
        years.insert(line[..4].to_owned());
    }
    assert!(years.len() > 1, "the clock has not jumped: {years:?}");
    let gone = log.iter().any(|line| line.contains("timed out") || line.contains("going on without it"));
    assert!(!gone, "{log:#?}");
    record(
        "a wall clock that jumps by a year at every look",
        "300 messages each way, 300 pings, an ordinary end",
    );
}
