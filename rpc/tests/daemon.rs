//! `oddwired` as a process: how it starts, what it refuses, how it ends, and one message from node to node.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails, in its helpers too")]

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use tempfile::tempdir;

#[path = "process/running.rs"]
mod running;

use running::{Daemon, Process, follow, oddwire_cli, oddwired, text, wait_for};

/// Starts a daemon that must refuse, and returns what it says.
fn refusal(command: &mut Command) -> String {
    let Output { status, stderr, .. } = command.stdin(Stdio::null()).output().unwrap();
    let stderr = text(&stderr);
    assert_eq!(status.code(), Some(1), "{stderr}");
    stderr
}

/// A key file that nobody else may read.
fn write_key(dir: &Path, contents: &[u8]) {
    let mut options = OpenOptions::new();
    let mut file =
        options.write(true).create_new(true).mode(0o400).open(dir.join("regtest/hsm_secret")).unwrap();
    file.write_all(contents).unwrap();
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[test]
fn two_daemons_exchange_a_message_and_stop() {
    let (a, b) = (tempdir().unwrap(), tempdir().unwrap());
    let (a, b) = (Daemon::start(a.path(), &["--alias=alice"]), Daemon::start(b.path(), &[]));
    assert_eq!(a.call(&["getinfo"])["alias"], "alice");
    let configs = &b.call(&["listconfigs"])["configs"];
    let info = b.call(&["getinfo"]);
    assert_eq!(configs["alias"], serde_json::json!({"value_str": info["alias"], "source": "default"}));
    assert_eq!(configs["rgb"], serde_json::json!({"value_str": info["color"], "source": "default"}));
    a.connect(&b);
    assert_eq!(b.call(&["listpeers"])["peers"][0]["id"], a.id.as_str());

    let mut listen = Process::spawn(oddwire_cli(&b.dir).args(["listen", "--count=1"]).stderr(Stdio::piped()));
    wait_for(&follow(listen.child.stderr.take().unwrap()), "# listening");
    let sent = a.call(&["sendcustommsg", &b.id, "77770012"]);
    assert_eq!(sent["status"], "Message sent to connectd for delivery");
    let printed = listen.wait_for_line("payload");
    let line: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!((&line["peer"], &line["payload"]), (&a.id.as_str().into(), &"77770012".into()));
    assert_eq!(line["type"], 0x7777);
    assert!(listen.wait().0.success());

    // Nobody listens; the message is kept.
    a.call(&["sendcustommsg", &b.id, "77790013"]);
    let later = Process::spawn(oddwire_cli(&b.dir).args(["listen", "--from=1", "--count=2"]));
    assert_eq!(later.wait_for_line("77770012"), printed);
    later.wait_for_line("77790013");
    assert!(later.wait().0.success());
    let stale = oddwire_cli(&b.dir).args(["listen", "--from=1", "--epoch=1", "--count=2"]).output().unwrap();
    assert_eq!(stale.status.code(), Some(1));
    assert!(text(&stale.stdout).contains("is over: the node was started anew"), "{}", text(&stale.stdout));

    for daemon in [a, b] {
        assert!(daemon.cli(&["stop"]).status.success());
        let (status, _) = daemon.process.wait();
        assert_eq!(status.code(), Some(0));
    }
}

#[test]
fn a_killed_daemon_has_kept_what_it_answered() {
    let dir = tempdir().unwrap();
    let daemon = Daemon::start(dir.path(), &[]);
    for number in 0..10 {
        daemon.call(&["-k", "datastore", &format!("key=[\"n\",\"{number}\"]"), "string=kept"]);
    }
    daemon.process.signal("KILL");
    daemon.process.wait();
    let daemon = Daemon::start(dir.path(), &[]);
    let kept = daemon.call(&["listdatastore", "n"]);
    assert_eq!(kept["datastore"].as_array().unwrap().len(), 10, "{kept}");
    daemon.cli(&["stop"]);
    daemon.process.wait();

    // A file that is no datastore is told at the start, by its name, and left alone.
    let file = dir.path().join("regtest/datastore.redb");
    std::fs::write(&file, "no datastore").unwrap();
    let said = refusal(&mut oddwired(dir.path()));
    assert!(said.contains("datastore.redb is damaged") && said.contains("move it away"), "{said}");
    assert_eq!(std::fs::read(&file).unwrap(), b"no datastore");
}

#[test]
fn what_it_makes_is_for_its_user_only_and_the_key_stays() {
    let dir = tempdir().unwrap();
    let home = dir.path().join("home");
    let daemon = Daemon::start(&home, &[]);
    let network_dir = home.join("regtest");
    assert_eq!(mode(&home), 0o700);
    assert_eq!(mode(&network_dir), 0o700);
    assert_eq!(mode(&network_dir.join("hsm_secret")), 0o400);
    assert_eq!(mode(&network_dir.join("lightning-rpc")), 0o600);
    let id = daemon.id.clone();
    daemon.process.signal("TERM");
    let (status, log) = daemon.process.wait();
    assert_eq!(status.code(), Some(0));
    assert!(log.iter().any(|line| line.contains("SIGTERM")), "{log:?}");

    let daemon = Daemon::start(&home, &["--rpc-file-mode=0660"]);
    assert_eq!(daemon.id, id);
    assert_eq!(mode(&network_dir.join("lightning-rpc")), 0o660);
}

#[test]
fn a_second_signal_ends_a_stop_that_waits() {
    let (dir, silent) = (tempdir().unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    let daemon = Daemon::start(dir.path(), &["--log-file=-", "--log-file=log"]);
    let port = silent.local_addr().unwrap().port().to_string();
    // The generator of secp256k1: any valid id will do.
    let peer = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
    let mut connect = Process::spawn(oddwire_cli(dir.path()).args(["connect", peer, "127.0.0.1", &port]));
    // The call runs, and it is going to run for long: this peer never says a word.
    let _connection = silent.accept().unwrap();
    daemon.process.signal("TERM");
    daemon.process.wait_for_line("SIGTERM: stopping");
    // Log rotation does not ask whether the moment suits.
    daemon.process.signal("HUP");
    daemon.process.wait_for_line("Log files opened anew");
    daemon.process.signal("INT");
    let (status, log) = daemon.process.wait();
    assert_eq!(status.code(), Some(1), "{log:?}");
    assert!(log.iter().any(|line| line.contains("SIGINT while stopping")), "{log:?}");
    assert!(!connect.child.wait().unwrap().success());
}

#[test]
fn a_killed_daemon_leaves_nothing_in_the_way() {
    let dir = tempdir().unwrap();
    let daemon = Daemon::start(dir.path(), &[]);
    let id = daemon.id.clone();
    daemon.process.signal("KILL");
    assert_eq!(daemon.process.wait().0.code(), None);
    assert!(dir.path().join("regtest/lightning-rpc").exists());
    let daemon = Daemon::start(dir.path(), &[]);
    assert_eq!(daemon.call(&["getinfo"])["id"], id.as_str());
}

#[test]
fn a_second_daemon_on_a_directory_is_refused_and_the_first_goes_on() {
    let dir = tempdir().unwrap();
    let first = Daemon::start(dir.path(), &[]);
    let said = refusal(&mut oddwired(dir.path()));
    let process = format!("process {}", first.process.child.id());
    for part in [dir.path().to_str().unwrap(), &process, "--lightning-dir"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(first.call(&["getinfo"])["id"], first.id.as_str());
}

#[test]
fn a_directory_where_another_program_answers_is_refused() {
    let dir = tempdir().unwrap();
    std::fs::create_dir(dir.path().join("regtest")).unwrap();
    let _lightningd = UnixListener::bind(dir.path().join("regtest/lightning-rpc")).unwrap();
    let said = refusal(&mut oddwired(dir.path()));
    assert!(said.contains("regtest/lightning-rpc") && said.contains("Core Lightning"), "{said}");
    assert!(!dir.path().join("regtest/hsm_secret").exists());
}

#[test]
fn what_cannot_be_made_or_bound_is_named_with_what_to_do() {
    let dir = tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let said = refusal(&mut oddwired(&file.join("home")));
    assert!(said.contains("file/home") && said.contains("--lightning-dir"), "{said}");

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let said = refusal(oddwired(dir.path()).arg(format!("--addr={address}")));
    assert!(said.contains(&address) && said.contains("--autolisten=false"), "{said}");

    let said = refusal(oddwired(dir.path()).arg("--rpc-file=/nonexistent/rpc"));
    assert!(said.contains("/nonexistent/rpc") && said.contains("--rpc-file"), "{said}");

    let long = dir.path().join("a".repeat(120));
    let said = refusal(oddwired(dir.path()).arg(format!("--rpc-file={}", long.display())));
    assert!(said.contains(long.to_str().unwrap()) && said.contains("--rpc-file"), "{said}");

    let said = refusal(oddwired(dir.path()).arg("--log-file=/nonexistent/log"));
    assert!(said.contains("/nonexistent/log") && said.contains("--log-file"), "{said}");

    std::fs::remove_file(dir.path().join("regtest/hsm_secret")).unwrap();
    write_key(dir.path(), &[1; 31]);
    let said = refusal(&mut oddwired(dir.path()));
    assert!(said.contains("hsm_secret") && said.contains("31"), "{said}");
    assert_eq!(std::fs::read(dir.path().join("regtest/hsm_secret")).unwrap(), [1; 31]);
}

#[test]
fn wrong_options_are_refused_before_anything_is_made() {
    let dir = tempdir().unwrap();
    let home = dir.path().join("home");
    for option in [
        "--nonsense",
        "argument",
        "--network=litecoin",
        "--addr=127.0.0.1:99999",
        "--bind-addr=/tmp/socket",
        "--alias=a-name-of-more-than-thirty-two-bytes",
        "--rgb=red",
        "--rpc-file-mode=777",
        "--log-level=loud",
        "--autolisten=perhaps",
    ] {
        let said = refusal(oddwired(&home).arg(option));
        let name = option.split('=').next().unwrap();
        assert!(said.contains(name), "{option}: {said}");
        assert!(!home.exists(), "{option}");
    }
}

#[test]
fn a_directory_deeper_than_a_socket_path_works_with_the_default_socket() {
    let dir = tempdir().unwrap();
    let deep = dir.path().join("a".repeat(60)).join("b".repeat(60));
    let daemon = Daemon::start(&deep, &[]);
    assert_eq!(daemon.call(&["getinfo"])["id"], daemon.id.as_str());
}

#[test]
fn the_log_goes_where_it_is_told_in_the_lines_that_tools_parse() {
    let dir = tempdir().unwrap();
    let file = dir.path().join("log");
    let option = format!("--log-file={}", file.display());
    // A line goes to the places in their order: what is on standard output is in the file.
    let options =
        [&*option, "--log-file=-", "--log-prefix=l1 ", "--log-level=debug", "--alias=bob", "--rgb=0a0b0c"];
    let daemon = Daemon::start(dir.path(), &options);
    let renamed = dir.path().join("log.1");
    std::fs::rename(&file, &renamed).unwrap();
    daemon.process.signal("HUP");
    daemon.process.wait_for_line("Log files opened anew");
    let id = daemon.id.clone();
    daemon.process.signal("TERM");
    // A daemon that ends has written everything.
    assert!(daemon.process.wait().0.success());
    let anew = std::fs::read_to_string(&file).unwrap();
    assert!(anew.contains("Log files opened anew") && anew.contains("Stopped"), "{anew}");

    let logged = std::fs::read_to_string(&renamed).unwrap();
    let line = logged.lines().find(|line| line.contains("Server started")).unwrap();
    let (head, rest) = line.split_at("l1 2026-11-21T01:02:03.004Z".len());
    assert!(head.starts_with("l1 2") && head.ends_with('Z'), "{line}");
    let version =
        text(&Command::new(env!("CARGO_BIN_EXE_oddwired")).arg("--version").output().unwrap().stdout);
    let expected = format!(
        " INFO    lightningd: Server started with public key {}, alias bob (color #0a0b0c) and lightningd {}",
        id,
        version.trim_end()
    );
    assert_eq!(rest, expected);
    assert!(logged.contains(" DEBUG   connectd: Listening on 127.0.0.1:"), "{logged}");
}

#[test]
fn in_the_background_it_has_started_when_the_command_returns() {
    let dir = tempdir().unwrap();
    let pid_file = dir.path().join("pid");
    // For developers, so that whoever runs this test may look into the process.
    let options = ["--daemon", "--developer", "--log-file=log", "--pid-file=pid", "--addr=127.0.0.1:0"];
    let started = oddwired(dir.path()).args(options).output().unwrap();
    assert_eq!((started.status.code(), text(&started.stderr)), (Some(0), String::new()));
    let answer = text(&oddwire_cli(dir.path()).arg("getinfo").output().unwrap().stdout);
    assert!(answer.contains("\"id\""), "{answer}");
    let pid = std::fs::read_to_string(&pid_file).unwrap();
    // Field 6 of `stat` is the session; its leader has no terminal.
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap();
    let session = stat.rsplit(") ").next().unwrap().split(' ').nth(3).unwrap().to_owned();
    assert_eq!(session, pid.trim());
    for descriptor in 0..3 {
        let open = std::fs::read_link(format!("/proc/{}/fd/{descriptor}", pid.trim())).unwrap();
        assert_eq!(open.to_str(), Some("/dev/null"));
    }
    assert!(oddwire_cli(dir.path()).arg("stop").output().unwrap().status.success());
    wait_until_gone(&pid_file);
    let log = std::fs::read_to_string(dir.path().join("regtest/log")).unwrap();
    assert!(log.contains("Server started with public key"), "{log}");
}

/// The daemon removes its process file at its end; no process of ours is told of that end.
fn wait_until_gone(path: &Path) {
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while path.exists() {
        assert!(std::time::Instant::now() < deadline, "{} is still there", path.display());
        std::thread::yield_now();
    }
}

#[test]
fn what_goes_wrong_in_the_background_is_told_in_the_foreground() {
    let dir = tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("regtest")).unwrap();
    write_key(dir.path(), &[1; 31]);
    let said = refusal(oddwired(dir.path()).args(["--daemon", "--log-file=log"]));
    assert!(said.contains("hsm_secret") && said.contains("31"), "{said}");
    for nowhere in [&["--daemon"][..], &["--daemon", "--log-file=-"]] {
        let said = refusal(oddwired(dir.path()).args(nowhere));
        assert!(said.contains("--daemon needs --log-file"), "{said}");
    }
}

#[test]
fn a_passphrase_is_asked_for_on_standard_input() {
    // BIP 39, test vector 1: its seed's SHA-256, then its words. The passphrase is TREZOR.
    const SEED_HASH: [u8; 32] = [
        0xc0, 0x8d, 0xda, 0x51, 0xda, 0x02, 0xe7, 0x63, 0xc6, 0x4e, 0x89, 0x78, 0xca, 0x31, 0x64, 0x7b, 0x6b,
        0x29, 0xcb, 0x0c, 0x28, 0xef, 0x29, 0xc2, 0x63, 0x3f, 0xad, 0x02, 0xbf, 0x3e, 0xb9, 0xa0,
    ];
    let dir = tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("regtest")).unwrap();
    let words = ["abandon "; 11].concat() + "about";
    let secret = [&SEED_HASH[..], words.as_bytes()].concat();
    write_key(dir.path(), &secret);

    let said = refusal(&mut oddwired(dir.path()));
    assert!(said.contains("passphrase") && said.contains("--hsm-passphrase"), "{said}");
    let with = |passphrase: &str| {
        let mut command = oddwired(dir.path());
        command.args(["--hsm-passphrase", "--daemon", "--log-file=log"]);
        let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(passphrase.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    };
    let wrong = with("trezor\n");
    assert!(!wrong.status.success() && text(&wrong.stderr).contains("is wrong"), "{wrong:?}");
    let none = with("");
    assert!(!none.status.success() && text(&none.stderr).contains("no passphrase was given"), "{none:?}");
    let right = with("TREZOR\n");
    assert!(right.status.success(), "{right:?}");
    assert!(oddwire_cli(dir.path()).arg("stop").output().unwrap().status.success());
}

#[test]
fn a_passphrase_that_is_not_given_after_all_leaves_the_terminal_as_it_was() {
    const SCRIPT: &str = "
import fcntl, os, pty, subprocess, sys, termios
outer, inner = pty.openpty()
shows = lambda: bool(termios.tcgetattr(inner)[3] & termios.ECHO)
control = lambda: fcntl.ioctl(inner, termios.TIOCSCTTY, 0)
daemon = subprocess.Popen(sys.argv[1:], stdin=inner, start_new_session=True, preexec_fn=control)
while shows():
    pass
os.write(outer, b'half a passphr\x03')
sys.exit(daemon.wait() != 1 or not shows())
";
    let dir = tempdir().unwrap();
    let daemon = oddwired(dir.path());
    let mut python = Command::new("python3");
    python.args(["-c", SCRIPT]).arg(daemon.get_program()).args(daemon.get_args()).arg("--hsm-passphrase");
    let output = python.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(!text(&output.stdout).contains("half"), "{output:?}");
}

#[test]
fn a_reader_of_the_log_that_stalls_stalls_nothing_else() {
    let (dir, file) = (tempdir().unwrap(), tempdir().unwrap());
    let file = file.path().join("log");
    let options = [format!("--log-file={}", file.display()), "--log-file=-".to_owned()];
    let mut child = oddwired(dir.path()).args(options).stdout(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(child.stdout.take().unwrap());
    let started = log.by_ref().lines().find(|line| line.as_ref().unwrap().contains("Server started"));
    assert!(started.is_some());
    // From here on nobody reads. Each of these calls logs its parameter; a pipe holds 64 KiB.
    let parameter = "x".repeat(50_000);
    for _ in 0..40 {
        let output = oddwire_cli(dir.path()).args(["ping", &parameter]).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
    }
    assert!(oddwire_cli(dir.path()).arg("stop").output().unwrap().status.success());
    assert!(child.wait().unwrap().success());
    // The other place got all of it.
    let logged = std::fs::read_to_string(&file).unwrap();
    let line =
        "INFO    lightningd: JSON COMMAND ping: Invalid parameter id (should be a node id): token '\"xxx";
    assert_eq!(logged.matches(line).count(), 40);
    assert!(logged.ends_with("Stopped\n"));
}

#[test]
fn version_is_one_line_that_clients_can_compare() {
    let output = Command::new(env!("CARGO_BIN_EXE_oddwired")).arg("--version").output().unwrap();
    let version = text(&output.stdout);
    assert!(
        output.status.success() && version.starts_with("v26.06") && version.lines().count() == 1,
        "{version}"
    );
    let help = Command::new(env!("CARGO_BIN_EXE_oddwired")).arg("--help").output().unwrap();
    assert!(help.status.success() && text(&help.stdout).contains("--lightning-dir"));
}

#[test]
fn it_opens_as_many_files_as_the_system_allows() {
    let dir = tempdir().unwrap();
    let with_few_files = format!("ulimit -S -n 200 && exec '{}' \"$@\"", env!("CARGO_BIN_EXE_oddwired"));
    let mut shell = Command::new("sh");
    shell.args(["-c", &with_few_files, "sh"]).args(oddwired(dir.path()).get_args());
    let daemon = Process::spawn(&mut shell);
    daemon.wait_for_line("Server started with public key");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", daemon.child.id())).unwrap();
    let files: Vec<&str> =
        limits.lines().find(|line| line.starts_with("Max open files")).unwrap().split_whitespace().collect();
    let ["Max", "open", "files", soft, hard, ..] = files[..] else { panic!("{limits}") };
    assert_eq!(soft, hard);
    assert_ne!(soft, "200");
}

/// The most memory that a process has had resident so far, in KiB.
fn peak_memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Writes until everything is written or the other side takes no more for a while. Answers how much it took.
fn write_what_it_takes(socket: &mut UnixStream, bytes: &[u8]) -> usize {
    socket.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    let mut taken = 0;
    while let Some(rest) = bytes.get(taken..).filter(|rest| !rest.is_empty()) {
        match socket.write(rest) {
            Ok(written) if written > 0 => taken += written,
            _ => break,
        }
    }
    taken
}

#[test]
fn hostile_clients_and_strangers_cost_little_memory() {
    const MOST: u64 = 64 * 1024;
    const FLOOD: usize = 100_000_000;
    let dir = tempdir().unwrap();
    let daemon = Daemon::start(dir.path(), &[]);
    let process = daemon.process.child.id();
    let path = dir.path().join("regtest/lightning-rpc");

    // Much that is no request, and much that is one after the other and whose answers nobody reads.
    let mut endless = UnixStream::connect(&path).unwrap();
    write_what_it_takes(&mut endless, &vec![b'['; FLOOD]);
    let mut deaf = UnixStream::connect(&path).unwrap();
    let request = br#"{"jsonrpc":"2.0","id":1,"method":"help","params":{}}"#;
    let taken = write_what_it_takes(&mut deaf, &request.repeat(FLOOD / request.len()));
    assert!(taken < FLOOD / 2, "a client that does not read is read from without end: {taken} bytes");

    // Strangers that say a part of act one, and nothing more.
    let port = daemon.call(&["getinfo"])["binding"][0]["port"].as_u64().unwrap();
    let address = format!("127.0.0.1:{port}");
    let strangers: Vec<TcpStream> = (0..400)
        .map(|_| {
            let mut stranger = TcpStream::connect(&address).unwrap();
            stranger.write_all(&[0; 49]).unwrap();
            stranger
        })
        .collect();

    let other = tempdir().unwrap();
    let honest = Daemon::start(other.path(), &[]);
    honest.connect(&daemon);
    let peak = peak_memory(process);
    assert!(peak < MOST, "{peak} KiB");
    drop((endless, deaf, strangers));
}
