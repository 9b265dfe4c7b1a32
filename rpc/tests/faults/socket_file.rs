//! The socket's file is removed while the daemon runs, or another program's stands in its place; and several daemons want the
//! same one.

use std::fs;
use std::process::{Output, Stdio};
use std::thread;

use serde_json::json;
use tempfile::tempdir;

use crate::client::Client;
use crate::figures::record;
use crate::running::{Daemon, oddwired, text};

#[test]
fn a_socket_that_is_removed_comes_back() {
    let dir = tempdir().unwrap();
    let daemon = Daemon::start(dir.path(), &[]);
    let mut connected = Client::connect(dir.path()).unwrap();
    connected.call("getinfo", &json!({}));
    let socket = dir.path().join("regtest/lightning-rpc");
    fs::remove_file(&socket).unwrap();
    daemon.process.wait_for_line("was removed: it is made again");
    assert_eq!(daemon.call(&["getinfo"])["id"], daemon.id.as_str());
    connected.call("getinfo", &json!({}));

    // What somebody else puts there is not ours to remove; a signal ends the daemon all the same.
    fs::remove_file(&socket).unwrap();
    fs::write(&socket, "somebody else's").unwrap();
    let line = daemon.process.wait_for_line("was removed, and no client can connect");
    assert!(line.contains("is not a socket"), "{line}");
    connected.call("getinfo", &json!({}));
    daemon.process.signal("TERM");
    assert_eq!(daemon.process.wait().0.code(), Some(0));
    assert_eq!(fs::read_to_string(&socket).unwrap(), "somebody else's");
    record("a socket file that is removed", "made again within 5 s; who was connected notices nothing");
}

#[test]
fn another_node_with_the_same_socket_is_refused_and_the_first_goes_on() {
    let (dir, other) = (tempdir().unwrap(), tempdir().unwrap());
    let first = Daemon::start(dir.path(), &[]);
    let socket = dir.path().join("regtest/lightning-rpc");
    let mut second = oddwired(other.path());
    let Output { status, stderr, .. } =
        second.arg(format!("--rpc-file={}", socket.display())).stdin(Stdio::null()).output().unwrap();
    let said = text(&stderr);
    assert!(status.code() == Some(1) && said.contains(socket.to_str().unwrap()), "{said}");
    assert_eq!(first.call(&["getinfo"])["id"], first.id.as_str());
}

#[test]
fn of_many_that_start_at_once_in_one_directory_one_comes_up() {
    const DAEMONS: usize = 8;
    let dir = tempdir().unwrap();
    thread::scope(|scope| {
        let started: Vec<_> = (0..DAEMONS)
            .map(|_| {
                let mut command = oddwired(dir.path());
                command.arg(format!("--pid-file={}", dir.path().join("up").display()));
                scope.spawn(move || command.stdin(Stdio::null()).output().unwrap())
            })
            .collect();
        // All but one have ended by themselves when they were refused; then the one is told to end as well.
        let mut up = None;
        let mut refused = 0;
        let mut left = started;
        while left.len() > 1 {
            let (ended, running): (Vec<_>, Vec<_>) =
                left.into_iter().partition(thread::ScopedJoinHandle::is_finished);
            left = running;
            for output in ended.into_iter().map(|ended| ended.join().unwrap()) {
                let said = text(&output.stderr);
                assert!(output.status.code() == Some(1) && said.contains("another oddwired"), "{said}");
                refused += 1;
            }
            thread::yield_now();
        }
        assert_eq!(refused, DAEMONS - 1);
        while up.is_none() {
            up = Client::connect(dir.path()).ok();
            thread::yield_now();
        }
        up.unwrap().call("stop", &json!({}));
        let output = left.pop().unwrap().join().unwrap();
        assert!(output.status.success(), "{output:?}");
    });
    record(
        "daemons started at once in one directory",
        format!("{DAEMONS}: one comes up, the others say why not"),
    );
}
