//! The emulator with the image in it: its serial line, its logs, its memory, its end.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;

use super::PATIENCE;
use super::line::Line;
use super::secrets;
use crate::patience::Patience;

/// A running device. It ends with its owner.
pub(super) struct Machine {
    qemu: Child,
    decoder: Child,
    logs: Receiver<String>,
    pub(super) line: Arc<Line>,
    control: BufReader<UnixStream>,
    directory: TempDir,
}

/// Where RAM begins on the board.
pub(super) const RAM: u64 = 0x2000_0000;
/// Enough of it for what any image may use by its `memory.x`.
const RAM_LEN: usize = 32 * 1024;

/// After so long without a line there will be none.
const SILENCE: Duration = Duration::from_millis(500);

impl Machine {
    /// Boots `image`. Its logs are decoded by `defmt-print`.
    pub(super) fn boot(image: &Path, defmt_print: &Path) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("oddwire-firmware-").tempdir()?;
        std::os::unix::fs::symlink("/dev/urandom", directory.path().join("random"))?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let mut qemu = emulator(image);
        qemu.arg("-serial").arg(format!("tcp:127.0.0.1:{}", listener.local_addr()?.port()));
        qemu.args(["-qmp", "unix:control,server=on,wait=off"]);
        qemu.current_dir(directory.path()).stdout(Stdio::piped());
        let mut qemu = qemu.spawn().context("could not start qemu-system-arm")?;
        let log = qemu.stdout.take().context("QEMU has no output")?;
        let mut decoder = Command::new(defmt_print);
        decoder.args(["--log-format", "{L} {s}", "-e"]).arg(image);
        decoder.stdin(Stdio::from(log)).stdout(Stdio::piped());
        let mut decoder = decoder.spawn().context("could not start defmt-print")?;
        let lines = BufReader::new(decoder.stdout.take().context("defmt-print has no output")?);
        let (sender, logs) = channel();
        thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let line = Line::accept(&listener)?;
        let control = control(&directory.path().join("control"))?;
        Ok(Self { qemu, decoder, logs, line, control, directory })
    }

    /// Waits for a line of the log that contains `text` and returns it.
    ///
    /// # Errors
    /// It does not come, or an error of the device comes first.
    pub(super) fn hear(&self, text: &str) -> Result<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line =
                (self.logs.recv_timeout(left)).with_context(|| format!("the device did not log `{text}`"))?;
            println!("    {line}");
            ensure!(!secrets::printed_in(&line), "the device logged one of its keys");
            if line.contains(text) {
                return Ok(line);
            }
            if line.contains("ERROR") || line.contains("closed:") {
                bail!("the device logged `{line}` in place of `{text}`");
            }
        }
    }

    /// From here on the device draws these bytes; `None`: good ones again.
    pub(super) fn set_random(&self, bytes: Option<&[u8; 32]>) -> Result<()> {
        let path = self.directory.path().join("random");
        fs::remove_file(&path)?;
        match bytes {
            Some(bytes) => fs::write(&path, bytes)?,
            None => std::os::unix::fs::symlink("/dev/urandom", &path)?,
        }
        Ok(())
    }

    /// Shows what was logged and not looked at.
    pub(super) fn show_logs(&self) {
        while let Ok(line) = self.logs.recv_timeout(SILENCE) {
            println!("    {line}");
        }
    }

    /// All RAM as it is now.
    pub(super) fn memory(&mut self) -> Result<Vec<u8>> {
        let path = self.directory.path().join("memory");
        self.command("{\"execute\":\"stop\"}")?;
        let name = path.display();
        self.command(&format!(
            "{{\"execute\":\"pmemsave\",\"arguments\":{{\"val\":{RAM},\"size\":{RAM_LEN},\"filename\":\"{name}\"}}}}"
        ))?;
        self.command("{\"execute\":\"cont\"}")?;
        fs::read(&path).context("QEMU saved no memory")
    }

    fn command(&mut self, command: &str) -> Result<()> {
        self.control.get_mut().write_all(command.as_bytes())?;
        loop {
            let mut line = String::new();
            self.control.read_line(&mut line)?;
            if line.contains("\"error\"") || line.is_empty() {
                bail!("QEMU refused {command}: {line}");
            }
            if line.contains("\"return\"") {
                return Ok(());
            }
        }
    }

    /// Waits for the program's end.
    pub(super) fn end(&mut self) -> Result<ExitStatus> {
        Patience::new(PATIENCE).wait_for("the end of the device", || Ok(self.qemu.try_wait()?))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        for child in [&mut self.qemu, &mut self.decoder] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The emulator, in which one instruction takes one nanosecond.
pub(super) fn emulator(image: &Path) -> Command {
    let mut qemu = Command::new("qemu-system-arm");
    qemu.args(["-machine", "mps2-an386", "-display", "none", "-monitor", "none", "-icount", "shift=0"]);
    qemu.args(["-semihosting-config", "enable=on,target=native", "-kernel"]).arg(image);
    qemu.stdin(Stdio::null());
    qemu
}

fn control(path: &Path) -> Result<BufReader<UnixStream>> {
    let mut control = BufReader::new(UnixStream::connect(path).context("QEMU's control socket")?);
    let mut greeting = String::new();
    control.read_line(&mut greeting)?;
    control.get_mut().write_all(b"{\"execute\":\"qmp_capabilities\"}")?;
    greeting.clear();
    control.read_line(&mut greeting)?;
    Ok(control)
}
