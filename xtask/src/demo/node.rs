//! One `oddwired` of the demo and the `oddwire-cli` that speaks with it.
//!
//! Every process here is killed and reaped when its owner goes out of scope, and every directory removed.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;

use super::relay::Relay;
use crate::patience::Patience;
use crate::workspace::Workspace;

/// Lines of a daemon's log that are shown when the demo fails.
const LAST_LINES: usize = 15;

/// A running daemon.
pub(super) struct Node {
    name: &'static str,
    cli: PathBuf,
    process: Process,
    // After the process: its directory goes when nobody writes into it any more.
    directory: TempDir,
    pub(super) id: String,
    pub(super) port: u64,
}

impl Node {
    /// Starts `oddwired` on a port of the system's choice and waits until its JSON-RPC socket answers.
    pub(super) fn start(workspace: &Workspace, name: &'static str, patience: &Patience) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("oddwire-demo-").tempdir()?;
        let log = File::create(directory.path().join("log"))?;
        let mut command = Command::new(workspace.binary("oddwired"));
        command.args(["--network=regtest", "--addr=127.0.0.1:0"]);
        command.arg(format!("--lightning-dir={}", directory.path().display()));
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let process = Process::spawn(&mut command)?;
        let cli = workspace.binary("oddwire-cli");
        let mut node = Self { name, cli, process, directory, id: String::new(), port: 0 };
        node.introduce(patience).with_context(|| format!("{name} did not start:\n{}", node.last_words()))?;
        println!("  {name:<6} {} listens on 127.0.0.1:{}", node.id, node.port);
        Ok(node)
    }

    fn introduce(&mut self, patience: &Patience) -> Result<()> {
        let socket = self.socket();
        patience.wait_for("the JSON-RPC socket", || {
            if let Some(status) = self.process.0.try_wait()? {
                bail!("oddwired ended with {status}");
            }
            Ok(UnixStream::connect(&socket).ok())
        })?;
        let info: Value = serde_json::from_str(&self.cli(&["getinfo"]).output(patience)?)?;
        info["id"].as_str().context("getinfo names no id")?.clone_into(&mut self.id);
        self.port = info["binding"][0]["port"].as_u64().context("getinfo names no port")?;
        Ok(())
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    pub(super) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.directory().join("regtest/lightning-rpc")
    }

    /// A call to this daemon.
    pub(super) fn cli(&self, arguments: &[&str]) -> Cli {
        let mut command = Command::new(&self.cli);
        command.args(["--network=regtest"]).arg(format!("--lightning-dir={}", self.directory().display()));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Cli { command, call: arguments.join(" ") }
    }

    /// The end of the daemon's log.
    pub(super) fn last_words(&self) -> String {
        let log = fs::read_to_string(self.directory().join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines.get(lines.len().saturating_sub(LAST_LINES)..).unwrap_or_default().join("\n")
    }

    /// Asks the daemon to stop and sees that it does, and that its directory goes.
    pub(super) fn stop(mut self, patience: &Patience) -> Result<()> {
        self.cli(&["stop"]).output(patience)?;
        let status = patience.wait_for("the end of oddwired", || Ok(self.process.0.try_wait()?))?;
        ensure!(status.success(), "{} ended with {status}:\n{}", self.name, self.last_words());
        let path = self.directory.path().to_owned();
        self.directory.close().with_context(|| format!("could not remove {}", path.display()))
    }
}

/// A call of `oddwire-cli`, not yet made.
pub(super) struct Cli {
    /// The program and its options.
    command: Command,
    /// The method and its parameters; none of the demo's holds a space.
    call: String,
}

impl Cli {
    /// Prints the command as a user would type it who has one node only.
    pub(super) fn shown(self) -> Self {
        println!("  $ oddwire-cli {}", self.call);
        self
    }

    /// Makes the call through `relay`.
    pub(super) fn through(mut self, relay: &Relay) -> Self {
        self.command.arg(format!("--rpc-file={}", relay.path().display()));
        self
    }

    pub(super) fn spawn(mut self) -> Result<RunningCli> {
        let process = Process::spawn(self.command.args(self.call.split(' ')))?;
        Ok(RunningCli { process, call: self.call })
    }

    pub(super) fn output(self, patience: &Patience) -> Result<String> {
        self.spawn()?.output(patience)
    }
}

/// A call that has been made.
pub(super) struct RunningCli {
    process: Process,
    call: String,
}

impl RunningCli {
    /// What it printed, when it has ended well. The demo's answers are far smaller than a pipe, so none blocks on it.
    pub(super) fn output(mut self, patience: &Patience) -> Result<String> {
        let status = patience.wait_for(&format!("the end of `oddwire-cli {}`", self.call), || {
            Ok(self.process.0.try_wait()?)
        })?;
        let (mut output, mut errors) = (String::new(), String::new());
        if let (Some(stdout), Some(stderr)) = (&mut self.process.0.stdout, &mut self.process.0.stderr) {
            stdout.read_to_string(&mut output)?;
            stderr.read_to_string(&mut errors)?;
        }
        ensure!(status.success(), "`oddwire-cli {}` ended with {status}\n{output}{errors}", self.call);
        Ok(output)
    }
}

/// A child that does not outlive us.
struct Process(Child);

impl Process {
    fn spawn(command: &mut Command) -> Result<Self> {
        let program = command.get_program().to_string_lossy().into_owned();
        Ok(Self(command.spawn().with_context(|| format!("could not start {program}"))?))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both answer with an error when the process has ended and been reaped, which is what we want.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
