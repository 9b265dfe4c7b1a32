//! A client of the JSON-RPC socket that does one thing after the other, and notices when the daemon is gone.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

/// Far above what any answer takes, even on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) struct Client {
    output: UnixStream,
    input: BufReader<UnixStream>,
    calls: u64,
}

impl Client {
    /// Connects to the daemon of this directory.
    pub(crate) fn connect(dir: &Path) -> io::Result<Client> {
        Client::connect_to(&dir.join("regtest/lightning-rpc"))
    }

    pub(crate) fn connect_to(socket: &Path) -> io::Result<Client> {
        let output = UnixStream::connect(socket)?;
        output.set_read_timeout(Some(PATIENCE))?;
        let input = BufReader::new(output.try_clone()?);
        Ok(Client { output, input, calls: 0 })
    }

    /// Sends a request without waiting for its answer, and returns its id.
    pub(crate) fn ask(&mut self, method: &str, params: &Value) -> io::Result<u64> {
        self.calls += 1;
        let request = json!({"jsonrpc": "2.0", "id": self.calls, "method": method, "params": params});
        self.output.write_all(request.to_string().as_bytes())?;
        Ok(self.calls)
    }

    /// Bytes that need not be a request.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.output.write_all(bytes)
    }

    /// The next message, or the end: `None` if the daemon is gone, however it went.
    pub(crate) fn next(&mut self) -> Option<Value> {
        let mut message = String::new();
        loop {
            let mut line = String::new();
            match self.input.read_line(&mut line) {
                Ok(0) => return None,
                Ok(_) if line == "\n" && !message.is_empty() => break,
                Ok(_) => message.push_str(&line),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("no answer ({error}) after {message:?}"),
            }
        }
        Some(serde_json::from_str(&message).unwrap())
    }

    /// Calls and waits: result or error, or `None` if the daemon is gone. Notifications that come first are lost.
    pub(crate) fn try_call(&mut self, method: &str, params: &Value) -> Option<Result<Value, Value>> {
        let id = self.ask(method, params).ok()?;
        loop {
            let mut answer = self.next()?;
            if answer["id"] == id {
                return Some(match answer.get("error") {
                    Some(error) => Err(error.clone()),
                    None => Ok(answer["result"].take()),
                });
            }
        }
    }

    /// The result of a call that must succeed.
    pub(crate) fn call(&mut self, method: &str, params: &Value) -> Value {
        self.try_call(method, params).expect("the daemon is gone").unwrap()
    }

    /// The text of the error of a call that must fail.
    pub(crate) fn refusal(&mut self, method: &str, params: &Value) -> String {
        let error = self.try_call(method, params).expect("the daemon is gone").unwrap_err();
        error["message"].as_str().unwrap().to_owned()
    }
}
