//! A client of a daemon's JSON-RPC socket that waits, with a limit for everything.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// Far above what any call should take, on a machine that is busy with this.
const PATIENCE: Duration = Duration::from_mins(1);

/// Between two looks at whether everything is over.
const LOOK: Duration = Duration::from_millis(200);

/// One connection. Messages on it end in a blank line.
pub(super) struct Client {
    stream: UnixStream,
    input: Vec<u8>,
    /// How much of `input` is known to hold no end of a message.
    searched: usize,
    calls: u64,
}

/// What came of a call that the daemon answered.
pub(super) type Answer = std::result::Result<Value, String>;

impl Client {
    pub(super) fn connect(socket: &Path) -> Result<Client> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(LOOK))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Client { stream, input: Vec::new(), searched: 0, calls: 0 })
    }

    /// Makes a call and waits for its answer; notifications that come before it are dropped.
    ///
    /// # Errors
    /// The connection is lost, or nothing came for a minute. A refusal is an [`Answer`].
    pub(super) fn call(&mut self, method: &str, params: &Value) -> Result<Answer> {
        self.calls += 1;
        let id = self.calls;
        let request = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        self.stream.write_all(request.to_string().as_bytes())?;
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let Some(message) = self.next()? else { continue };
            if message["id"] == id {
                let refusal = message["error"]["message"].as_str().map(str::to_owned);
                return Ok(refusal.map_or_else(|| Ok(message["result"].clone()), Err));
            }
        }
        bail!("no answer to {method} within {} s", PATIENCE.as_secs())
    }

    /// The next message, or nothing for a moment.
    ///
    /// # Errors
    /// The connection is lost.
    pub(super) fn next(&mut self) -> Result<Option<Value>> {
        loop {
            if let Some(message) = self.whole_message()? {
                return Ok(Some(message));
            }
            if !self.read(65_536)? {
                return Ok(None);
            }
        }
    }

    /// Reads once, at most so many bytes, and answers whether there were any.
    pub(super) fn read(&mut self, most: usize) -> Result<bool> {
        let len = self.input.len();
        self.input.resize(len + most, 0);
        let read = self.stream.read(self.input.get_mut(len..).unwrap_or_default());
        self.input.truncate(len + read.as_ref().copied().unwrap_or_default());
        match read {
            Ok(0) => bail!("the daemon has closed the connection"),
            Ok(_) => Ok(true),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Sends these bytes, whatever they are.
    pub(super) fn say(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(bytes)?)
    }

    /// Reads once, at most so many bytes, and does not look at them.
    pub(super) fn read_and_forget(&mut self, most: usize) -> Result<bool> {
        let read = self.read(most);
        self.input.clear();
        self.searched = 0;
        read
    }

    fn whole_message(&mut self) -> Result<Option<Value>> {
        let unsearched = self.input.get(self.searched..).unwrap_or_default();
        let Some(place) = unsearched.windows(2).position(|pair| pair == b"\n\n") else {
            self.searched = self.input.len().saturating_sub(1);
            return Ok(None);
        };
        let rest = self.input.split_off(self.searched + place + 2);
        let message = std::mem::replace(&mut self.input, rest);
        self.searched = 0;
        Ok(Some(serde_json::from_slice(&message).context("the daemon wrote something that is not JSON")?))
    }
}
