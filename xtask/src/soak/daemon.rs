//! One `oddwired` of the soak: killed and started again on the same directory and port, and looked at from outside.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;
use tempfile::TempDir;

use super::client::Client;
use crate::patience::Patience;

/// How long a start and a stop may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A daemon, perhaps between two lives.
pub(super) struct Daemon {
    pub(super) name: &'static str,
    program: PathBuf,
    options: Vec<String>,
    directory: TempDir,
    child: Mutex<Option<Child>>,
    lives: AtomicU64,
    pub(super) id: String,
    pub(super) port: u64,
}

/// What a process holds.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Holding {
    pub(super) resident: u64,
    pub(super) peak: u64,
    pub(super) descriptors: usize,
    pub(super) cpu: Duration,
}

impl Daemon {
    pub(super) fn start(program: PathBuf, name: &'static str, options: &[String]) -> Result<Daemon> {
        let directory = tempfile::Builder::new().prefix("oddwire-soak-").tempdir()?;
        let options = options.to_vec();
        let (child, lives, id) = (Mutex::default(), AtomicU64::new(0), String::new());
        let mut daemon = Daemon { name, program, options, directory, child, lives, id, port: 0 };
        daemon.run()?;
        let info = daemon.client()?.call("getinfo", &json!({}))?.map_err(anyhow::Error::msg)?;
        info["id"].as_str().context("getinfo names no id")?.clone_into(&mut daemon.id);
        daemon.port = info["binding"][0]["port"].as_u64().context("getinfo names no port")?;
        Ok(daemon)
    }

    /// Starts it, for the first time or again, and waits until its socket answers.
    pub(super) fn run(&self) -> Result<()> {
        let log = OpenOptions::new().create(true).append(true).open(self.log())?;
        let mut command = Command::new(&self.program);
        command.arg("--network=regtest").arg(format!("--addr=127.0.0.1:{}", self.port));
        command.arg(format!("--lightning-dir={}", self.directory.path().display())).args(&self.options);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        self.lives.fetch_add(1, Ordering::SeqCst);
        *self.child() = Some(command.spawn().with_context(|| format!("could not start {}", self.name))?);
        let answers = || {
            if self.client().and_then(|mut client| client.call("getinfo", &json!({}))).is_ok() {
                return Ok(Some(()));
            }
            match self.ended()? {
                Some(status) => bail!("it ended with {status}"),
                None => Ok(None),
            }
        };
        let started = Patience::new(PATIENCE).wait_for("its JSON-RPC socket", answers);
        started.with_context(|| format!("{} did not start:\n{}", self.name, self.last_words()))
    }

    /// How often it has been started.
    pub(super) fn lives(&self) -> u64 {
        self.lives.load(Ordering::SeqCst)
    }

    /// Ends it as a power cut would.
    pub(super) fn kill(&self) -> Result<()> {
        if let Some(mut child) = self.child().take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Asks it to stop, and sees that it does and that all is well.
    pub(super) fn stop(&self) -> Result<()> {
        self.client()?.call("stop", &json!({}))?.map_err(anyhow::Error::msg)?;
        let ended = Patience::new(PATIENCE).wait_for("its end", || self.ended()).and_then(|status| {
            ensure!(status.success(), "it ended with {status}");
            Ok(())
        });
        ended.with_context(|| format!("{} did not stop well:\n{}", self.name, self.last_words()))
    }

    /// How it has ended, if it has.
    fn ended(&self) -> Result<Option<ExitStatus>> {
        Ok(self.child().as_mut().map(Child::try_wait).transpose()?.flatten())
    }

    pub(super) fn client(&self) -> Result<Client> {
        Client::connect(&self.directory.path().join("regtest/lightning-rpc"))
    }

    /// Where plugins of its own may be put.
    pub(super) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Lines of the log that must not be there: panics, and what calls itself broken.
    pub(super) fn alarms(&self) -> Vec<String> {
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        let is_alarm = |line: &&str| line.contains("**BROKEN**") || line.contains("panicked at");
        log.lines().filter(is_alarm).map(|line| format!("{}: {line}", self.name)).collect()
    }

    /// `None` between two lives.
    pub(super) fn holding(&self) -> Option<Holding> {
        let process = Path::new("/proc").join(self.child().as_ref()?.id().to_string());
        let status = fs::read_to_string(process.join("status")).ok()?;
        let bytes = |name: &str| -> Option<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
        };
        let stat = fs::read_to_string(process.join("stat")).ok()?;
        // The second field is the program's name in parentheses; 14 and 15 are its times in hundredths of a second.
        let fields = stat.rsplit(") ").next()?.split(' ').skip(11).take(2);
        let ticks: u64 = fields.filter_map(|field| field.parse::<u64>().ok()).sum();
        Some(Holding {
            resident: bytes("VmRSS:")?,
            peak: bytes("VmHWM:")?,
            descriptors: fs::read_dir(process.join("fd")).ok()?.count(),
            cpu: Duration::from_millis(ticks * 10),
        })
    }

    fn log(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    fn last_words(&self) -> String {
        let log = File::open(self.log()).and_then(std::io::read_to_string).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines.get(lines.len().saturating_sub(15)..).unwrap_or_default().join("\n")
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It has ended, or we have failed.
        let _ = self.kill();
    }
}
