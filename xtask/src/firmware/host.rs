//! The real `oddwired` that the device talks with, and its JSON-RPC socket.

use std::fs::{self, OpenOptions};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::PATIENCE;
use crate::patience::Patience;
use crate::workspace::Workspace;

/// What the daemon's key is made from; the device knows the node id that comes of it.
pub(super) const HSM_SECRET: [u8; 32] = [0x21; 32];

/// A running daemon. It ends with its owner.
pub(super) struct Host {
    process: Child,
    directory: TempDir,
    port: u16,
}

/// One connection to its JSON-RPC socket.
pub(super) struct Rpc {
    stream: UnixStream,
    unread: Vec<u8>,
}

impl Host {
    pub(super) fn start(workspace: &Workspace) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("oddwire-host-").tempdir()?;
        fs::create_dir(directory.path().join("regtest"))?;
        // A key that others may read is refused.
        let mut options = OpenOptions::new();
        let key = options.write(true).create_new(true).mode(0o400);
        key.open(directory.path().join("regtest/hsm_secret"))?.write_all(&HSM_SECRET)?;
        let mut command = Command::new(workspace.binary("oddwired"));
        command.args(["--network=regtest", "--addr=127.0.0.1:0"]);
        command.arg(format!("--lightning-dir={}", directory.path().display()));
        command.arg(format!("--log-file={}", directory.path().join("log").display()));
        let process = command.stdin(Stdio::null()).spawn().context("could not start oddwired")?;
        let mut host = Self { process, directory, port: 0 };
        let info = host.rpc()?.call("getinfo", &json!([]))?;
        let port = info["binding"][0]["port"].as_u64().context("getinfo names no port")?;
        host.port = u16::try_from(port)?;
        Ok(host)
    }

    /// A new connection to the JSON-RPC socket; waits until there is one.
    pub(super) fn rpc(&mut self) -> Result<Rpc> {
        let path = self.directory.path().join("regtest/lightning-rpc");
        Patience::new(PATIENCE).wait_for("the JSON-RPC socket", || {
            if let Ok(stream) = UnixStream::connect(&path) {
                stream.set_read_timeout(Some(PATIENCE))?;
                return Ok(Some(Rpc { stream, unread: Vec::new() }));
            }
            match self.process.try_wait()? {
                Some(status) => bail!("oddwired ended with {status}"),
                None => Ok(None),
            }
        })
    }

    /// A connection to the port for peers.
    pub(super) fn connect(&self) -> Result<TcpStream> {
        TcpStream::connect(("127.0.0.1", self.port)).context("oddwired does not listen")
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Rpc {
    /// Makes a call and returns its result.
    pub(super) fn call(&mut self, method: &str, params: &Value) -> Result<Value> {
        let request = json!({"jsonrpc": "2.0", "id": "firmware", "method": method, "params": params});
        self.stream.write_all(request.to_string().as_bytes())?;
        let answer = self.next()?;
        ensure!(answer["error"].is_null(), "{method} {params}: {}", answer["error"]);
        Ok(answer["result"].clone())
    }

    /// The next object that the daemon writes.
    pub(super) fn next(&mut self) -> Result<Value> {
        loop {
            if let Some(end) = self.unread.windows(2).position(|two| two == b"\n\n") {
                let object: Vec<u8> = self.unread.drain(..end + 2).collect();
                return Ok(serde_json::from_slice(&object)?);
            }
            let mut bytes = [0; 4096];
            let len = self.stream.read(&mut bytes).context("oddwired says nothing")?;
            ensure!(len > 0, "oddwired closed its socket");
            self.unread.extend_from_slice(&bytes[..len]);
        }
    }
}
