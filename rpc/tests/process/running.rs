//! The real programs in directories of the test's own: started, watched line by line, killed when the test ends.
//!
//! Nothing here sleeps. What a test waits for is a line, a socket's answer or a process's end, and [`PATIENCE`] is only what
//! turns a hang into a failure.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// Far above what any step takes, even on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// A process and the lines of its standard output.
pub(crate) struct Process {
    pub(crate) child: Child,
    lines: Receiver<String>,
}

impl Process {
    pub(crate) fn spawn(command: &mut Command) -> Process {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = follow(child.stdout.take().unwrap());
        Process { child, lines }
    }

    /// The next line of standard output that contains the text; those before it are gone.
    pub(crate) fn wait_for_line(&self, text: &str) -> String {
        wait_for(&self.lines, text)
    }

    pub(crate) fn signal(&self, name: &str) {
        // The shell's own `kill`: there may be no program of that name.
        let kill = format!("kill -s {name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Waits for the end and returns what was printed and not read before.
    pub(crate) fn wait(mut self) -> (ExitStatus, Vec<String>) {
        // The lines end when the process does, unless it hangs.
        let mut rest = Vec::new();
        let deadline = Instant::now() + PATIENCE;
        while let Ok(line) = self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            rest.push(line);
        }
        assert!(Instant::now() < deadline, "it does not end: {rest:?}");
        (self.child.wait().unwrap(), rest)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lines of a stream, as they come.
pub(crate) fn follow(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel();
    thread::spawn(move || {
        BufReader::new(stream).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
    });
    lines
}

/// The next line that contains the text.
pub(crate) fn wait_for(lines: &Receiver<String>, text: &str) -> String {
    let deadline = Instant::now() + PATIENCE;
    let mut seen = Vec::new();
    loop {
        match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) if line.contains(text) => return line,
            Ok(line) => seen.push(line),
            Err(error) => panic!("no line with {text:?} ({error}) after {seen:#?}"),
        }
    }
}

/// A daemon on regtest that has started.
pub(crate) struct Daemon {
    pub(crate) process: Process,
    pub(crate) dir: PathBuf,
    pub(crate) id: String,
}

impl Daemon {
    pub(crate) fn start(dir: &Path, options: &[&str]) -> Daemon {
        let process = Process::spawn(oddwired(dir).args(options));
        let line = process.wait_for_line("lightningd: Server started with public key ");
        let id = line.split("public key ").nth(1).unwrap().split(',').next().unwrap().to_owned();
        Daemon { process, dir: dir.to_owned(), id }
    }

    /// Runs `oddwire-cli` on this daemon.
    pub(crate) fn cli(&self, arguments: &[&str]) -> Output {
        oddwire_cli(&self.dir).args(arguments).output().unwrap()
    }

    /// The result of a call that must succeed.
    pub(crate) fn call(&self, arguments: &[&str]) -> Value {
        let output = self.cli(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Connects this daemon to another one.
    pub(crate) fn connect(&self, to: &Daemon) {
        let port = to.call(&["getinfo"])["binding"][0]["port"].to_string();
        let connected = self.call(&["connect", &to.id, "127.0.0.1", &port]);
        assert_eq!(connected["id"], to.id.as_str());
    }
}

/// `oddwired` on regtest in this directory, on a port that the system chooses.
pub(crate) fn oddwired(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_oddwired"));
    command
        .arg(format!("--lightning-dir={}", dir.display()))
        .args(["--network=regtest", "--addr=127.0.0.1:0"]);
    command
}

/// `oddwire-cli` for the node in this directory.
pub(crate) fn oddwire_cli(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_oddwire-cli"));
    command.arg(format!("--lightning-dir={}", dir.display())).arg("--regtest");
    command
}

/// A process's standard output or standard error.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}
