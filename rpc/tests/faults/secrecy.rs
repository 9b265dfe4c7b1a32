//! What other users and programs of the machine can get at: the key file, the memory, the log.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::geteuid;
use serde_json::json;
use tempfile::tempdir;

use crate::client::Client;
use crate::disk::{NOBODY, unprivileged};
use crate::figures::record;
use crate::fixture::{Plugins, option};
use crate::running::{Daemon, Process, follow, oddwired};

#[test]
fn a_key_that_others_may_read_is_refused_before_anything_runs() {
    let dir = tempdir().unwrap();
    let plugins = Plugins::at(&dir.path().join("plugins"));
    let plugin = plugins.add("started", &json!({}), &json!({"getmanifest": "stderr"}));
    fs::create_dir(dir.path().join("regtest")).unwrap();
    let key = dir.path().join("regtest/hsm_secret");
    fs::write(&key, [7; 32]).unwrap();
    fs::set_permissions(&key, Permissions::from_mode(0o640)).unwrap();
    let (said, printed) = refusal(dir.path());
    let mend = format!("chmod 400 {}", key.display());
    assert!(said.contains("mode 0640") && said.contains(&mend), "{said}");
    assert!(!printed.contains("standard error"), "the plugin was started");
    fs::remove_file(plugin).unwrap();

    // What the message says mends it.
    assert!(Command::new("sh").args(["-c", &mend]).status().unwrap().success());
    drop(Daemon::start(dir.path(), &[]));
    fs::set_permissions(dir.path(), Permissions::from_mode(0o777)).unwrap();
    let (said, _) = refusal(dir.path());
    assert!(said.contains(&format!("chmod o-w {}", dir.path().display())), "{said}");
    record(
        "a key that others may read, a directory that all may write in",
        "refused, with the command that mends it",
    );
}

/// What a daemon that must not start says on standard error, and on standard output before that.
fn refusal(dir: &Path) -> (String, String) {
    let mut process = Process::spawn(oddwired(dir).stderr(Stdio::piped()));
    let said = follow(process.child.stderr.take().unwrap());
    let (status, printed) = process.wait();
    let said: Vec<String> = said.iter().collect();
    assert_eq!(status.code(), Some(1), "{said:?}");
    (said.join("\n"), printed.join("\n"))
}

/// Ends a daemon in the way that leaves a core behind, if anything does. Answers whether the system made one.
fn leaves_core(options: &[&str]) -> bool {
    let dir = tempdir().unwrap();
    let as_large_as_may_be =
        format!("ulimit -c $(ulimit -H -c); exec '{}' \"$@\"", env!("CARGO_BIN_EXE_oddwired"));
    let mut shell = Command::new("sh");
    shell.args(["-c", &as_large_as_may_be, "sh"]).args(oddwired(dir.path()).get_args()).args(options);
    let daemon = Process::spawn(&mut shell);
    daemon.wait_for_line("Server started with public key");
    daemon.signal("ABRT");
    let (status, _) = daemon.wait();
    assert!(status.signal().is_some());
    status.core_dumped()
}

#[test]
fn no_core_is_left_behind() {
    assert!(!leaves_core(&[]));
    // Whether this system makes cores at all; what is asked for developers shows that the question can be answered with yes.
    let dir = tempdir().unwrap();
    let mut aborted = Command::new("sh");
    aborted.args(["-c", "ulimit -c $(ulimit -H -c); kill -s ABRT $$"]).current_dir(dir.path());
    let makes_cores = aborted.status().unwrap().core_dumped();
    assert_eq!(leaves_core(&["--developer"]), makes_cores);
    let compared =
        if makes_cores { "none; a developer's daemon leaves one" } else { "none, nor does anything here" };
    record("core of a daemon that is aborted", compared);
}

#[test]
fn other_programs_of_the_same_user_do_not_read_its_memory() {
    let reads = |pid: u32| {
        let mut reading = Command::new("cat");
        reading.arg(format!("/proc/{pid}/maps")).stdout(Stdio::null()).stderr(Stdio::null());
        if geteuid().is_root() {
            // As one of the same user as the daemon, which is not ours.
            reading.uid(NOBODY).gid(NOBODY);
        }
        reading.status().unwrap().success()
    };
    let dir = tempdir().unwrap();
    for (options, may_read) in [(&[][..], false), (&["--developer"], true)] {
        let daemon = Process::spawn(unprivileged(&dir.path().join("home")).args(options));
        daemon.wait_for_line("Server started with public key");
        assert_eq!(reads(daemon.child.id()), may_read, "{options:?}");
    }
    record("memory of the daemon, for other processes of its user", "closed; open for developers");
}

/// Everything that steers a terminal or begins a line anew, as JSON has it and as it is.
const HOSTILE: &str = "\\u001b[2J\\n2026-11-21T01:02:03.004Z INFO    lightningd: all is well\\r\\u0007";
const HOSTILE_NAME: &str = "\x1b[2J\n2026-11-21T01:02:03.004Z INFO    lightningd: all is well";

#[test]
fn the_log_has_neither_secrets_nor_lines_of_others_whatever_is_asked_and_answered() {
    let (dir, other_dir) = (tempdir().unwrap(), tempdir().unwrap());
    let plugins = Plugins::new();
    let script =
        json!({"hooks": ["custommsg"], "rpcmethods": [{"name": HOSTILE_NAME, "usage": HOSTILE_NAME}]});
    let hostile =
        plugins.add(HOSTILE_NAME, &script, &json!({"custommsg": "nonsense", HOSTILE_NAME: "garbage"}));
    let log = dir.path().join("log");
    let options = ["--log-level=io", &format!("--log-file={}", log.display()), "--log-file=-"];
    let daemon = Daemon::start(dir.path(), &[&options[..], &[&option("plugin", &hostile)]].concat());
    let other = Daemon::start(other_dir.path(), &[]);
    other.connect(&daemon);
    other.call(&["sendcustommsg", &daemon.id, "80011b5b324a0a"]);

    let mut client = Client::connect(dir.path()).unwrap();
    let secret =
        client.call("makesecret", &json!({"string": "a plugin's"}))["secret"].as_str().unwrap().to_owned();
    client.call("signmessage", &json!(["a message"]));
    client.call("sendcustommsg", &json!([other.id, "80010203"]));
    for (id, method, params) in [
        (HOSTILE, "getinfo", "{}"),
        ("1", HOSTILE, "{}"),
        ("1", "ping", &format!("[\"{HOSTILE}\"]")),
        ("1", "datastore", &format!("[\"{HOSTILE}\",\"{HOSTILE}\"]")),
        ("1", "plugin", &format!("[\"start\",\"{HOSTILE}\"]")),
        ("1", "setconfig", &format!("[\"{HOSTILE}\",\"{HOSTILE}\"]")),
    ] {
        let request =
            format!("{{\"jsonrpc\":\"2.0\",\"id\":\"{id}\",\"method\":\"{method}\",\"params\":{params}}}");
        client.write(request.as_bytes()).unwrap();
        client.next().unwrap();
    }
    client.refusal(HOSTILE_NAME, &json!([]));
    // No request at all: it is refused, and the connection ends.
    client.write(format!("}}{HOSTILE_NAME}").as_bytes()).unwrap();
    while client.next().is_some() {}
    daemon.process.signal("TERM");
    assert!(daemon.process.wait().0.success());

    let written = fs::read(&log).unwrap();
    let is_harmless = |byte: &u8| *byte == b'\n' || *byte == b' ' || byte.is_ascii_graphic();
    assert!(written.iter().all(is_harmless));
    let written = String::from_utf8(written).unwrap();
    assert!(written.contains("[IN] 80011b5b324a0a") && written.contains("[OUT] 80010203"), "{written}");
    let forged: Vec<&str> =
        written.lines().filter(|line| line.ends_with("lightningd: all is well")).collect();
    assert!(forged.iter().all(|line| !line.starts_with("2026-11-21T01:02:03.004Z")), "{forged:#?}");
    assert!(written.contains("all is well"), "nothing of it was logged at all: {written}");
    let key = fs::read(dir.path().join("regtest/hsm_secret")).unwrap();
    assert!(!written.contains(&faster_hex::hex_string(&key)) && !written.contains(&secret));
    assert_eq!(log.metadata().unwrap().permissions().mode() & 0o007, 0, "everybody may read the log");
    record("secrets in a log at level io", 0);
    record("lines or control characters of others in it", 0);
}
