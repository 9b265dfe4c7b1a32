//! Plugins made of `scripted.py` and what it is to do, and a daemon that runs them.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::running::{Daemon, Process, follow, oddwire_cli, oddwired, text, wait_for};

/// A directory with plugins in it.
pub(crate) struct Plugins {
    path: PathBuf,
    /// Removed in the end.
    _temporary: Option<TempDir>,
}

impl Plugins {
    pub(crate) fn new() -> Plugins {
        let directory = tempfile::tempdir().unwrap();
        Plugins { path: directory.path().to_owned(), _temporary: Some(directory) }
    }

    /// In a directory of somebody else's, which is made.
    pub(crate) fn at(path: &Path) -> Plugins {
        std::fs::create_dir_all(path).unwrap();
        Plugins { path: path.to_owned(), _temporary: None }
    }

    /// A plugin with this manifest (`options` and `rpcmethods` may be left out) that does these things.
    pub(crate) fn add(&self, name: &str, manifest: &Value, on: &Value) -> PathBuf {
        let mut whole = json!({"options": [], "rpcmethods": [], "dynamic": true});
        for (key, value) in manifest.as_object().unwrap() {
            whole[key] = value.clone();
        }
        self.add_script(name, &json!({"manifest": whole, "on": on}))
    }

    pub(crate) fn add_script(&self, name: &str, script: &Value) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(path.with_file_name(format!("{name}.json")), script.to_string()).unwrap();
        let mut options = std::fs::OpenOptions::new();
        let mut program = options.create(true).truncate(true).write(true).mode(0o755).open(&path).unwrap();
        program.write_all(include_bytes!("scripted.py")).unwrap();
        path.canonicalize().unwrap()
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// `--OPTION=PATH`.
pub(crate) fn option(name: &str, path: &Path) -> String {
    format!("--{name}={}", path.display())
}

/// The error of a call that must fail: code and text.
pub(crate) fn refusal(daemon: &Daemon, arguments: &[&str]) -> (i64, String) {
    let output = daemon.cli(arguments);
    assert!(!output.status.success(), "{arguments:?}: {output:?}");
    let error: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}{}", text(&output.stdout), text(&output.stderr)));
    (error["code"].as_i64().unwrap(), error["message"].as_str().unwrap().to_owned())
}

/// A daemon in a directory of its own.
pub(crate) struct Home {
    pub(crate) daemon: Daemon,
    _directory: TempDir,
}

impl Home {
    pub(crate) fn start(options: &[&str]) -> Home {
        let directory = tempfile::tempdir().unwrap();
        let options = [&["--log-level=debug", "--developer"], options].concat();
        let daemon = Daemon::start(directory.path(), &options);
        Home { daemon, _directory: directory }
    }

    /// The same, with the line of the log of its start that contains this text.
    pub(crate) fn start_seeing(options: &[&str], wanted: &str) -> (Home, String) {
        let directory = tempfile::tempdir().unwrap();
        let dir = directory.path().to_owned();
        let process = Process::spawn(oddwired(&dir).args(["--log-level=debug", "--developer"]).args(options));
        let line = process.wait_for_line(wanted);
        let started = process.wait_for_line("Server started with public key ");
        let id = started.split("public key ").nth(1).unwrap().split(',').next().unwrap().to_owned();
        (Home { daemon: Daemon { process, dir, id }, _directory: directory }, line)
    }

    /// Waits for its end, which somebody else has caused: its exit status and what it still said.
    pub(crate) fn end(self) -> (ExitStatus, Vec<String>) {
        self.daemon.process.wait()
    }

    pub(crate) fn line(&self, text: &str) -> String {
        self.daemon.process.wait_for_line(text)
    }

    pub(crate) fn call(&self, arguments: &[&str]) -> Value {
        self.daemon.call(arguments)
    }

    /// Follows the messages that arrive.
    pub(crate) fn listen(&self) -> Process {
        let mut listening =
            Process::spawn(oddwire_cli(&self.daemon.dir).arg("listen").stderr(Stdio::piped()));
        wait_for(&follow(listening.child.stderr.take().unwrap()), "# listening");
        listening
    }

    pub(crate) fn start_plugin(&self, path: &Path) -> Value {
        self.call(&["plugin", "start", &path.display().to_string()])
    }
}
