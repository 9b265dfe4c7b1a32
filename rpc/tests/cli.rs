//! `oddwire-cli` as a process: what it sends, every form in which it prints, how it ends. Most tests play the daemon
//! themselves, so that they see the request and choose the answer.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails, in its helpers too")]

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Output, Stdio};
use std::thread;

use tempfile::tempdir;

#[path = "process/running.rs"]
mod running;

use running::{Daemon, Process, follow, oddwire_cli, text, wait_for};

/// Runs `oddwire-cli` against a daemon that answers any request with this result or error member. Returns the request too.
fn run(arguments: &[&str], answer: &str) -> (Output, String) {
    let dir = tempdir().unwrap();
    let (listener, answer) = (listen_in(dir.path()), answer.to_owned());
    let daemon = thread::spawn(move || serve_one(&listener, &answer).0);
    let output = oddwire_cli(dir.path()).args(arguments).output().unwrap();
    (output, daemon.join().unwrap())
}

fn listen_in(dir: &Path) -> UnixListener {
    std::fs::create_dir(dir.join("regtest")).unwrap();
    UnixListener::bind(dir.join("regtest/lightning-rpc")).unwrap()
}

/// Answers `notifications` as every daemon does, then the first other request with `"id":ID` in front of `answer`. Returns
/// that request and the connection.
fn serve_one(listener: &UnixListener, answer: &str) -> (String, UnixStream) {
    let (stream, _) = listener.accept().unwrap();
    let mut input = BufReader::new(stream);
    loop {
        let mut request = String::new();
        while !request.ends_with("\n\n") {
            assert_ne!(input.read_line(&mut request).unwrap(), 0, "closed after {request:?}");
        }
        let request = request.trim_end();
        let parsed: serde_json::Value = serde_json::from_str(request).unwrap();
        let about_notifications = parsed["method"] == "notifications";
        let answer = if about_notifications { r#""result":{}"# } else { answer };
        let whole = answer.replace("$ID", &parsed["id"].to_string());
        let whole = if whole.starts_with('{') {
            whole
        } else {
            format!("{{\"jsonrpc\":\"2.0\",\"id\":{},{whole}}}\n\n", parsed["id"])
        };
        input.get_mut().write_all(whole.as_bytes()).unwrap();
        if !about_notifications {
            return (request.to_owned(), input.into_inner());
        }
    }
}

fn printed(arguments: &[&str], answer: &str) -> String {
    let (output, _) = run(arguments, answer);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    text(&output.stdout)
}

#[test]
fn parameters_arrive_as_they_were_typed() {
    let (_, request) = run(&["-N", "none", "sendcustommsg", "02ab", "8001616263"], r#""result":{}"#);
    assert!(
        request.starts_with(r#"{"jsonrpc":"2.0","method":"sendcustommsg","id":"cli:sendcustommsg#"#),
        "{request}"
    );
    assert!(request.ends_with(r#""params":["02ab",8001616263]}"#), "{request}");

    let (_, request) = run(&["-k", "x", "msg=0012", "n=1.50", r#"list=["a", 1]"#], r#""result":{}"#);
    assert!(request.ends_with(r#""params":{"msg":"0012","n":1.50,"list":["a", 1]}}"#), "{request}");
    let (_, request) = run(&["connect", "id=02ab", "host=127.0.0.1"], r#""result":{}"#);
    assert!(request.ends_with(r#""params":{"id":"02ab","host":"127.0.0.1"}}"#), "{request}");
    let (_, request) = run(&["-o", "x", "id=02ab"], r#""result":{}"#);
    assert!(request.ends_with(r#""params":["id=02ab"]}"#), "{request}");

    let (_, request) = run(&["--filter", r#"{"id":true}"#, "getinfo", "--network=regtest"], r#""result":{}"#);
    assert!(request.ends_with(r#""filter":{"id":true},"params":[]}"#), "{request}");
    let (_, request) = run(&["we\"ird"], r#""result":{}"#);
    assert!(request.contains(r#""method":"we\"ird","id":"cli:weirdmethod!#"#), "{request}");
}

#[test]
fn a_result_is_printed_in_every_form() {
    let answer = r#""result":{"id":"02ab","n":1.50,"list":[{"a":12345678901234567890}]}"#;
    let json = "{\n   \"id\": \"02ab\",\n   \"n\": 1.50,\n   \"list\": [\n      {\n         \"a\": 12345678901234567890\n      }\n   ]\n}\n";
    assert_eq!(printed(&["x"], answer), json);
    assert_eq!(printed(&["-J", "x"], answer), json);
    assert_eq!(printed(&["--raw", "--json", "x"], answer), json);
    assert_eq!(
        printed(&["-R", "x"], answer),
        "{\"id\":\"02ab\",\"n\":1.50,\"list\":[{\"a\":12345678901234567890}]}\n"
    );
    assert_eq!(printed(&["-F", "x"], answer), "id=02ab\nn=1.50\nlist[0].a=12345678901234567890\n");
    assert_eq!(printed(&["-H", "x"], answer), "id=02ab\nn=1.50\nlist=12345678901234567890\n");
    assert_eq!(printed(&["x"], r#""result":{"a":"b","format-hint":"simple"}"#), "b\n");
}

#[test]
fn a_refusal_is_printed_on_standard_output_with_status_1() {
    let answer = r#""error":{"code":-32601,"message":"Unknown command 'x'"}"#;
    let (output, _) = run(&["x"], answer);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stdout), "{\n   \"code\": -32601,\n   \"message\": \"Unknown command 'x'\"\n}\n");
    assert!(output.stderr.is_empty());
    let (output, _) = run(&["-R", "x"], answer);
    assert_eq!(text(&output.stdout), "{\"code\":-32601,\"message\":\"Unknown command 'x'\"}\n");
}

#[test]
fn remarks_are_printed_from_the_level_that_was_asked_for() {
    let remark = |level| {
        format!(
            "{{\"jsonrpc\":\"2.0\",\"method\":\"message\",\"params\":{{\"id\":$ID,\"level\":\"{level}\",\"message\":\"{level}!\"}}}}\n\n"
        )
    };
    let answer = remark("debug")
        + &remark("info")
        + &remark("unusual")
        + "{\"jsonrpc\":\"2.0\",\"id\":$ID,\"result\":7}\n\n";
    assert_eq!(printed(&["x"], &answer), "# info!\n# unusual!\n7\n");
    assert_eq!(printed(&["-N", "debug", "x"], &answer), "# debug!\n# info!\n# unusual!\n7\n");
    assert_eq!(printed(&["--notifications=none", "x"], &answer), "7\n");
}

#[test]
fn without_a_daemon_it_says_where_it_looked_with_status_2() {
    let dir = tempdir().unwrap();
    let output = oddwire_cli(dir.path()).arg("getinfo").output().unwrap();
    let socket = dir.path().join("regtest/lightning-rpc");
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains(socket.to_str().unwrap()) && said.contains("Is oddwired running"), "{said}");

    // A socket file without a daemon behind it, then a daemon that hangs up.
    drop(listen_in(dir.path()));
    let output = oddwire_cli(dir.path()).arg("getinfo").output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    std::fs::remove_file(&socket).unwrap();
    let listener = UnixListener::bind(&socket).unwrap();
    let daemon = thread::spawn(move || drop(listener.accept()));
    let output = oddwire_cli(dir.path()).arg("getinfo").output().unwrap();
    daemon.join().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(text(&output.stderr).contains("closed the connection"), "{output:?}");
}

#[test]
fn wrong_usage_has_status_3_and_reaches_no_daemon() {
    let dir = tempdir().unwrap();
    for arguments in [
        &["--nonsense", "getinfo"][..],
        &["-k", "getinfo", "novalue"],
        &["x", "[1,]"],
        &["--filter={", "x"],
        &["-N", "loud", "x"],
        &["--network=litecoin", "x"],
        &["getinfo", "--type=5"],
        &["listen", "parameter"],
        &["listen", "--type=65536"],
        &["listen", "--count=0"],
        &["listen", "--peer=02"],
    ] {
        let output = oddwire_cli(dir.path()).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(3), "{arguments:?}: {output:?}");
        assert!(!output.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn version_and_help_need_no_daemon() {
    let dir = tempdir().unwrap();
    for (argument, part) in
        [("--version", "v26.06"), ("-V", "v26.06"), ("--help", "--lightning-dir"), ("-h", "-k")]
    {
        let output = oddwire_cli(dir.path()).arg(argument).output().unwrap();
        assert!(output.status.success() && text(&output.stdout).contains(part), "{argument}: {output:?}");
    }
    let output = oddwire_cli(dir.path()).args(["help", "sendcustommsg"]).output().unwrap();
    assert!(output.status.success() && text(&output.stdout).contains("node_id"), "{output:?}");
}

#[test]
fn the_methods_are_listed_and_a_bare_call_shows_usage_first() {
    let dir = tempdir().unwrap();
    let daemon = Daemon::start(dir.path(), &[]);
    let list = text(&daemon.cli(&["help"]).stdout);
    assert!(list.contains("sendcustommsg node_id msg\n\n"), "{list}");
    assert!(
        list.ends_with("---\nrun `oddwire-cli help <command>` for more information on a specific command\n"),
        "{list}"
    );
    let bare = text(&daemon.cli(&[]).stdout);
    assert!(bare.contains("Usage:") && bare.ends_with(&list), "{bare}");
    assert!(text(&daemon.cli(&["-F", "help"]).stdout).contains("help[0].command="));
}

#[test]
fn listen_picks_types_ends_on_a_signal_and_fails_when_the_daemon_goes() {
    let (a, b) = (tempdir().unwrap(), tempdir().unwrap());
    let (a, b) = (Daemon::start(a.path(), &[]), Daemon::start(b.path(), &[]));
    a.connect(&b);
    let listen = |arguments: &[&str]| {
        let mut process =
            Process::spawn(oddwire_cli(&b.dir).arg("listen").args(arguments).stderr(Stdio::piped()));
        let stderr = follow(process.child.stderr.take().unwrap());
        wait_for(&stderr, "# listening");
        (process, stderr)
    };
    let (one_type, _) = listen(&["--type=32769", "--type", "32771"]);
    let (one_peer, _) = listen(&["--peer", &a.id, "--count=2"]);
    let (everything, stderr) = listen(&[]);
    for message in ["8003aa", "8005bb", "8001cc"] {
        a.call(&["sendcustommsg", &b.id, message]);
    }
    one_type.wait_for_line(r#""payload":"8003aa""#);
    let line = one_type.wait_for_line("payload");
    assert!(line.contains(r#""type":32769,"payload":"8001cc""#), "{line}");
    one_type.signal("INT");
    assert_eq!(one_type.wait().0.code(), Some(0));

    let (status, lines) = one_peer.wait();
    assert_eq!((status.code(), lines.len()), (Some(0), 2), "{lines:?}");
    let numbers: Vec<u64> = lines
        .iter()
        .map(|l| serde_json::from_str::<serde_json::Value>(l).unwrap()["number"].as_u64().unwrap())
        .collect();
    assert!(numbers[0] < numbers[1], "{numbers:?}");

    everything.wait_for_line("8001cc");
    b.process.signal("KILL");
    assert_eq!(everything.wait().0.code(), Some(1));
    wait_for(&stderr, "closed the connection");
}

#[test]
fn a_reader_that_leaves_early_is_no_failure() {
    let dir = tempdir().unwrap();
    let listener = listen_in(dir.path());
    let message = |number| {
        format!(
            "{{\"jsonrpc\":\"2.0\",\"method\":\"custommsg\",\"params\":{{\"number\":{number},\"peer_id\":\"02ab\",\
             \"type\":32769,\"payload\":\"8001\",\"time\":\"T\"}}}}\n\n"
        )
    };
    let gap = "{\"jsonrpc\":\"2.0\",\"method\":\"custommsg_gap\",\"params\":{\"missed\":3}}\n\n";
    let answer = "{\"jsonrpc\":\"2.0\",\"id\":$ID,\"result\":{}}\n\n".to_owned() + &message(1) + gap;
    let daemon = thread::spawn(move || {
        let (request, mut stream) = serve_one(&listener, &answer);
        // Until the program is gone.
        while stream.write_all(message(5).as_bytes()).is_ok() {}
        request
    });
    let mut listen =
        oddwire_cli(dir.path()).arg("listen").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut output = BufReader::new(listen.stdout.take().unwrap());
    let mut lines = String::new();
    for _ in 0..2 {
        output.read_line(&mut lines).unwrap();
    }
    let first = "{\"peer\":\"02ab\",\"type\":32769,\"payload\":\"8001\",\"time\":\"T\",\"number\":1}\n";
    assert_eq!(lines, first.to_owned() + "{\"gap\":3}\n");
    drop(output);
    assert_eq!(listen.wait().unwrap().code(), Some(0));
    let request = daemon.join().unwrap();
    assert!(request.ends_with(r#""params":{}}"#), "{request}");
    let mut said = String::new();
    listen.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(said, "# listening\n");
}
