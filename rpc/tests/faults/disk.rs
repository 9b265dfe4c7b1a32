//! A disk that is full, and directories that may not be written in.
//!
//! The full disk is a file system of 16 MiB in memory, in a mount namespace of its own, so that it goes with its processes.
//! Where that is not allowed (it takes root or user namespaces), the daemon's files may not grow beyond a size instead; what
//! was used is told.

use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::Receiver;

use rustix::process::{Pid, Resource, Rlimit, geteuid, getrlimit, prlimit};
use serde_json::json;
use tempfile::{TempDir, tempdir};

use crate::client::Client;
use crate::figures::record;
use crate::running::{Daemon, Process, follow, oddwired, wait_for};

/// A shell in which a small disk is mounted at `$1`; it does what it is told.
struct SmallDisk {
    shell: Child,
    commands: ChildStdin,
    lines: Receiver<String>,
    /// Where the disk is, for the shell alone.
    mount: TempDir,
}

impl SmallDisk {
    /// With a ballast of 8 MiB on it; `None` where that is not allowed.
    fn mount() -> Option<SmallDisk> {
        const SCRIPT: &str = r#"mount -t tmpfs -o size=16m tmpfs "$1" && head -c 8388608 /dev/zero >"$1/ballast" && echo mounted || exit
            while read -r command; do eval "$command"; done"#;
        let mount = tempdir().unwrap();
        let namespaces = if geteuid().is_root() { "-m" } else { "-rm" };
        let mut command = Command::new("unshare");
        command.args([namespaces, "sh", "-c", SCRIPT, "sh"]).arg(mount.path());
        let mut shell =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
        let (commands, lines) = (shell.stdin.take()?, follow(shell.stdout.take()?));
        // Ends without a line if it is not allowed.
        if lines.recv().is_err() {
            shell.wait().unwrap();
            return None;
        }
        Some(SmallDisk { shell, commands, lines, mount })
    }

    fn run(&mut self, command: &str) {
        writeln!(self.commands, "{command}").unwrap();
    }

    fn wait_for_line(&self, text: &str) -> String {
        wait_for(&self.lines, text)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

/// Writes until the store refuses; how many writes it took, and why the next one was refused.
fn fill(client: &mut Client, prefix: &str) -> (usize, String) {
    let value = "x".repeat(100_000);
    for number in 0..1_000 {
        let params = json!({"key": [prefix, number.to_string()], "string": value});
        if let Err(error) = client.try_call("datastore", &params).unwrap() {
            return (number, error["message"].as_str().unwrap().to_owned());
        }
    }
    panic!("there is no end to this disk");
}

fn count(client: &mut Client, prefix: &str) -> usize {
    client.call("listdatastore", &json!({"key": [prefix]}))["datastore"].as_array().unwrap().len()
}

#[test]
fn a_full_disk_costs_what_cannot_be_written_and_nothing_else() {
    let Some(mut disk) = SmallDisk::mount() else {
        let reason = "not tried: no file system may be mounted here, which takes root or user namespaces";
        record("a full disk", reason);
        // Past the test harness, which would keep it from whoever looks at tests that pass.
        writeln!(
            std::io::stderr(),
            "\nSKIPPED a_full_disk_costs_what_cannot_be_written_and_nothing_else: {reason}"
        )
        .unwrap();
        return;
    };
    let (outside, other_dir) = (tempdir().unwrap(), tempdir().unwrap());
    let socket = outside.path().join("rpc");
    let home = disk.mount.path().join("node");
    let daemon = format!(
        "{} --lightning-dir={} --network=regtest --addr=127.0.0.1:0 --rpc-file={} --log-file=log --log-file=-",
        env!("CARGO_BIN_EXE_oddwired"),
        home.display(),
        socket.display()
    );
    disk.run(&format!("{daemon} & echo pid $!"));
    let pid = disk.wait_for_line("pid ").trim_start_matches("pid ").to_owned();
    let id = disk.wait_for_line("Server started with public key").split("public key ").nth(1).unwrap()[..66]
        .to_owned();
    let mut client = Client::connect_to(&socket).unwrap();
    let other = Daemon::start(other_dir.path(), &[]);
    let port = other.call(&["getinfo"])["binding"][0]["port"].clone();
    client.call("connect", &json!([other.id, "127.0.0.1", port]));

    let (kept, refused) = fill(&mut client, "full");
    assert!(kept > 0 && refused.contains("No space left on device"), "{refused}");
    // The rest of it is filled up too, and the log has no room left. Each of these calls is a line.
    disk.run(&format!("cat /dev/zero >{}/filler 2>/dev/null; echo filled", disk.mount.path().display()));
    disk.wait_for_line("filled");
    for _ in 0..100 {
        client.refusal("ping", &json!(["x".repeat(100)]));
    }
    // Neither reading nor talking needs a disk.
    assert_eq!(count(&mut client, "full"), kept);
    let mut subscriber = Client::connect(other_dir.path()).unwrap();
    subscriber.call("subscribecustommsg", &json!({}));
    client.call("sendcustommsg", &json!([other.id, "80010203"]));
    assert_eq!(subscriber.next().unwrap()["params"]["payload"], "80010203");
    // What starts now says why it cannot, and leaves nothing half done.
    let second = disk.mount.path().join("second");
    disk.run(&format!(
        "{} --lightning-dir={} --network=regtest --addr=127.0.0.1:0 --rpc-file=/nowhere 2>&1; echo status $?; ls -A {}/regtest; echo listed",
        env!("CARGO_BIN_EXE_oddwired"), second.display(), second.display()
    ));
    let said = disk.wait_for_line("oddwired:");
    assert!(said.contains("No space left on device") && said.contains(second.to_str().unwrap()), "{said}");
    assert!(disk.wait_for_line("status").ends_with('1'));
    while let line = disk.wait_for_line("")
        && line != "listed"
    {
        assert!(!line.contains("hsm_secret") && !line.contains("rpc"), "{line}");
    }

    // Somebody makes room: everything works again, without a restart.
    disk.run(&format!("rm {0}/ballast {0}/filler; echo freed", disk.mount.path().display()));
    disk.wait_for_line("freed");
    client.call("datastore", &json!({"key": ["after"], "string": "x"}));
    client.refusal("ping", &json!(["again"]));
    // The log is written by a thread of its own, which has what was waiting and that call still to write.
    let log = home.join("regtest/log");
    disk.run(&format!(
        "until tail -n 1 {} | grep -q again; do sleep 0.05; done; echo written",
        log.display()
    ));
    disk.wait_for_line("written");
    disk.run(&format!("kill -KILL {pid}; wait {pid}; echo killed"));
    disk.wait_for_line("killed");
    disk.run(&format!("cat {}; echo shown", log.display()));
    let mut log = Vec::new();
    while let line = disk.wait_for_line("")
        && line != "shown"
    {
        log.push(line);
    }
    assert!(log.iter().any(|line| line.contains("lines of the log are missing here")), "{log:#?}");
    // Every line is whole, but for one that the disk cut off.
    let broken = log.iter().filter(|line| !line.starts_with("20") || !line.contains("Z ")).count();
    assert!(broken <= 1, "{log:#?}");

    disk.run(&format!("{daemon} & echo pid $!"));
    assert!(disk.wait_for_line("Server started with public key").contains(&id));
    let mut client = Client::connect_to(&socket).unwrap();
    assert_eq!((count(&mut client, "full"), count(&mut client, "after")), (kept, 1));
    record(
        "a full disk (a file system of 16 MiB)",
        format!("{kept} acknowledged writes, all kept; messages go on"),
    );
}

#[test]
fn files_that_may_not_grow_cost_what_cannot_be_written_and_nothing_else() {
    let dir = tempdir().unwrap();
    let mut shell = Command::new("sh");
    // Whoever limits the size of files for a daemon ignores the signal, which would end it.
    let ignoring = format!("trap '' XFSZ; exec '{}' \"$@\"", env!("CARGO_BIN_EXE_oddwired"));
    shell.args(["-c", &ignoring, "sh"]).args(oddwired(dir.path()).get_args());
    let daemon = Process::spawn(&mut shell);
    daemon.wait_for_line("Server started with public key");
    let pid = Pid::from_child(&daemon.child);
    let limit = |bytes| {
        let limit = Rlimit { current: bytes, ..getrlimit(Resource::Fsize) };
        prlimit(Some(pid), Resource::Fsize, limit).unwrap();
    };
    let mut client = Client::connect(dir.path()).unwrap();
    limit(Some(4_000_000));
    let (kept, refused) = fill(&mut client, "full");
    assert!(kept > 0 && refused.contains("File too large"), "{refused}");
    assert_eq!(count(&mut client, "full"), kept);
    limit(getrlimit(Resource::Fsize).current);
    client.call("datastore", &json!({"key": ["after"], "string": "x"}));
    daemon.signal("KILL");
    daemon.wait();
    let _daemon = Daemon::start(dir.path(), &[]);
    let mut client = Client::connect(dir.path()).unwrap();
    assert_eq!((count(&mut client, "full"), count(&mut client, "after")), (kept, 1));
    record("files that may not grow", format!("{kept} acknowledged writes, all kept"));
}

/// A user and a group without privileges.
pub(crate) const NOBODY: u32 = 65_534;

/// The daemon as a user without privileges, whom permissions hold back. A test that runs as root makes itself one.
pub(crate) fn unprivileged(dir: &Path) -> Command {
    let mut command = oddwired(dir);
    if geteuid().is_root() {
        // The program may lie where nobody else may go; here it does not.
        let program = dir.with_file_name("oddwired");
        if !program.exists() {
            std::fs::copy(env!("CARGO_BIN_EXE_oddwired"), &program).unwrap();
        }
        let home = dir.parent().unwrap();
        std::fs::set_permissions(home, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::create_dir_all(dir).unwrap();
        chown(dir, Some(NOBODY), Some(NOBODY)).unwrap();
        let mut other = Command::new(program);
        other.args(command.get_args()).uid(NOBODY).gid(NOBODY);
        command = other;
    }
    command
}

#[test]
fn a_directory_that_may_not_be_written_in_is_told_and_costs_only_what_would_be_there() {
    let dir = tempdir().unwrap();
    let home = dir.path().join("home");
    let network_dir = home.join("regtest");
    let set =
        |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    std::fs::create_dir(&home).unwrap();
    let mut starting = unprivileged(&home);
    set(&home, 0o500);
    let refused = starting.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("Permission denied") && said.contains(home.to_str().unwrap()), "{said}");
    set(&home, 0o700);

    let daemon = Process::spawn(&mut starting);
    daemon.wait_for_line("Server started with public key");
    let mut client = Client::connect(&home).unwrap();
    // It becomes so while the daemon runs.
    set(&network_dir, 0o500);
    let refused = client.refusal("datastore", &json!(["a", "b"]));
    assert!(refused.contains("datastore.redb") && refused.contains("Permission denied"), "{refused}");
    client.call("getinfo", &json!({}));
    set(&network_dir, 0o700);
    client.call("datastore", &json!(["a", "b"]));
    // A file that is open stays open.
    set(&network_dir, 0o500);
    client.call("datastore", &json!({"key": "a", "string": "c", "mode": "must-replace"}));
    daemon.signal("TERM");
    let (status, log) = daemon.wait();
    assert_eq!(status.code(), Some(0), "{log:?}");
    assert!(log.iter().any(|line| line.contains("Removing rpc file")), "{log:?}");
    // What is left there is in nobody's way.
    set(&network_dir, 0o700);
    let daemon = Process::spawn(&mut unprivileged(&home));
    daemon.wait_for_line("Server started with public key");
    assert_eq!(
        Client::connect(&home).unwrap().call("listdatastore", &json!(["a"]))["datastore"][0]["string"],
        "c"
    );
    record(
        "a directory that may not be written in",
        "told at the start and with each call; the rest goes on",
    );
}
