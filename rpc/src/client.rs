//! A client of the daemon's JSON-RPC socket, for Rust programs and for `oddwire-cli`.
//!
//! One [`Client`] is one connection and makes one call at a time; a program that wants calls side by side opens several.
//! There is no task behind it: bytes move only while one of its futures is awaited, so a caller that stops awaiting makes the
//! daemon wait and in the end count what it could not deliver. Dropping a future half-way is safe: what was half written is
//! finished by the next call, and the answer nobody waited for is thrown away.
//!
//! Messages on the socket end in a blank line (JSON needs none inside), which is how they are told apart; numbers stay as
//! they were written, because results are handed out as raw JSON text.
//!
//! Bounds: [`MAX_ANSWER_LEN`] for one message, [`MAX_WAITING_NOTIFICATIONS`] and [`MAX_WAITING_BYTES`] for notifications
//! that arrive while a call waits for its answer.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};

use bytes::BytesMut;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::io::Interest;
use tokio::net::UnixStream;

use crate::limits::{CLIENT_READ_LEN, MAX_ANSWER_LEN, MAX_WAITING_BYTES, MAX_WAITING_NOTIFICATIONS};

#[cfg(test)]
mod tests;

/// Why a call gave no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The socket cannot be connected to.
    #[error("cannot connect to {}: {error}. Is oddwired running, on this network and with this directory?", path.display())]
    Connect {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Reading or writing failed.
    #[error("the connection to the daemon broke: {0}")]
    Io(#[from] io::Error),
    /// The daemon closed the connection.
    #[error("the daemon closed the connection; its log says why")]
    Closed,
    /// The parameters cannot be written as JSON.
    #[error("the parameters cannot be written as JSON: {0}")]
    Parameters(serde_json::Error),
    /// What came is not JSON-RPC.
    #[error("the daemon sent what is no JSON-RPC message: {0}")]
    Malformed(serde_json::Error),
    /// A message is longer than [`MAX_ANSWER_LEN`].
    #[error(
        "the daemon sent a message of over {MAX_ANSWER_LEN} bytes; ask for less, with a filter or a parameter"
    )]
    TooLong,
    /// The daemon refused the call.
    #[error("{0}")]
    Refused(CallError),
}

/// The `error` member of an answer.
#[derive(Debug, thiserror::Error)]
#[error("{message} (code {code})")]
pub struct CallError {
    /// What kind of refusal; -32602 is a wrong parameter.
    pub code: i64,
    /// In words.
    pub message: String,
    /// The whole member as it came.
    pub raw: Box<RawValue>,
}

/// Something that the daemon says without being asked.
#[derive(Debug, Clone)]
pub enum Notification {
    /// A notification of the daemon.
    Message {
        /// Its name, such as `custommsg`.
        method: String,
        /// Its parameters as they came.
        params: Box<RawValue>,
    },
    /// So many were dropped here, because nobody fetched them while a call waited.
    Missed(u64),
}

/// A call to make: what [`Client::call`] sends, for callers who need a member that it does not offer.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Request<'a> {
    jsonrpc: &'static str,
    method: &'a str,
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    filter: Option<&'a RawValue>,
    params: &'a RawValue,
}

impl<'a> Request<'a> {
    /// A call of `method`; `id` comes back in the answer and appears in the daemon's log, and no two calls of a connection may
    /// share one. `params` is a JSON array or object.
    pub fn new(method: &'a str, id: &'a str, params: &'a RawValue) -> Request<'a> {
        Request { jsonrpc: "2.0", method, id, filter: None, params }
    }

    /// Asks for a part of the result only, in the form of Core Lightning's filters.
    #[must_use]
    pub fn filter(mut self, filter: Option<&'a RawValue>) -> Request<'a> {
        self.filter = filter;
        self
    }
}

/// One connection to the daemon.
#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
    calls: u64,
    input: BytesMut,
    /// How much of `input` is known to hold no end of a message.
    searched: usize,
    output: BytesMut,
    /// Each with its length on the wire in bytes.
    waiting: VecDeque<(Notification, usize)>,
    waiting_bytes: usize,
}

impl Client {
    /// Connects to the daemon's socket.
    ///
    /// # Errors
    /// [`ClientError::Connect`] if there is no socket, nobody listens on it, or this user may not use it.
    pub async fn connect(path: impl AsRef<Path>) -> Result<Client, ClientError> {
        let path = path.as_ref();
        match UnixStream::connect(path).await {
            Ok(stream) => Ok(Client {
                stream,
                calls: 0,
                input: BytesMut::new(),
                searched: 0,
                output: BytesMut::new(),
                waiting: VecDeque::new(),
                waiting_bytes: 0,
            }),
            Err(error) => Err(ClientError::Connect { path: path.to_owned(), error }),
        }
    }

    /// Calls a method and waits for its result. There is no time limit, since some calls wait on purpose: drop the future
    /// to give up.
    ///
    /// # Errors
    /// [`ClientError::Refused`] if the daemon answers with an error; every other one means that the connection is lost,
    /// except [`ClientError::Parameters`].
    pub async fn call(
        &mut self,
        method: &str,
        params: &impl Serialize,
    ) -> Result<Box<RawValue>, ClientError> {
        let params = serde_json::value::to_raw_value(params).map_err(ClientError::Parameters)?;
        self.calls += 1;
        let id = format!("{method}#{}", self.calls);
        self.send(&Request::new(method, &id, &params)).await
    }

    /// Makes a call with an id and perhaps a filter of the caller's own, as [`call`](Client::call) does.
    ///
    /// # Errors
    /// As [`call`](Client::call).
    pub async fn send(&mut self, request: &Request<'_>) -> Result<Box<RawValue>, ClientError> {
        self.exchange(request, Client::keep).await
    }

    /// As [`send`](Client::send), but hands each notification to `watch` as it arrives instead of keeping it.
    ///
    /// # Errors
    /// As [`call`](Client::call).
    pub async fn send_watching(
        &mut self,
        request: &Request<'_>,
        mut watch: impl FnMut(Notification),
    ) -> Result<Box<RawValue>, ClientError> {
        self.exchange(request, |_, notification, _| watch(notification)).await
    }

    /// The next notification, in the order of arrival.
    ///
    /// # Errors
    /// The connection is lost.
    pub async fn next_notification(&mut self) -> Result<Notification, ClientError> {
        if let Some(notification) = self.waiting_notification() {
            return Ok(notification);
        }
        loop {
            if let Incoming::Notification(notification, _) = self.receive().await? {
                return Ok(notification);
            }
        }
    }

    /// A notification that is here already: one that arrived while a call was waiting for its answer.
    pub fn waiting_notification(&mut self) -> Option<Notification> {
        let (notification, len) = self.waiting.pop_front()?;
        self.waiting_bytes -= len;
        Some(notification)
    }

    async fn exchange(
        &mut self,
        request: &Request<'_>,
        mut notified: impl FnMut(&mut Client, Notification, usize),
    ) -> Result<Box<RawValue>, ClientError> {
        self.queue(request)?;
        let id = serde_json::to_string(request.id).map_err(ClientError::Parameters)?;
        loop {
            match self.receive().await? {
                // Another id belongs to a call that was given up.
                Incoming::Answer { id: theirs, outcome } if theirs == id => {
                    return outcome.map_err(ClientError::Refused);
                }
                Incoming::Answer { .. } => {}
                Incoming::Notification(notification, len) => notified(self, notification, len),
            }
        }
    }

    fn queue(&mut self, request: &Request<'_>) -> Result<(), ClientError> {
        let text = serde_json::to_vec(request).map_err(ClientError::Parameters)?;
        self.output.extend_from_slice(&text);
        self.output.extend_from_slice(b"\n\n");
        Ok(())
    }

    fn keep(&mut self, notification: Notification, len: usize) {
        if self.waiting.len() < MAX_WAITING_NOTIFICATIONS && self.waiting_bytes + len <= MAX_WAITING_BYTES {
            self.waiting_bytes += len;
            self.waiting.push_back((notification, len));
        } else if let Some((Notification::Missed(count), _)) = self.waiting.back_mut() {
            *count += 1;
        } else {
            self.waiting.push_back((Notification::Missed(1), 0));
        }
    }

    /// The next message. Writes what is queued meanwhile, so that a daemon which writes before it reads cannot block us.
    async fn receive(&mut self) -> Result<Incoming, ClientError> {
        loop {
            if let Some(message) = self.take_message()? {
                if message.iter().all(u8::is_ascii_whitespace) {
                    continue;
                }
                return Incoming::parse(&message);
            }
            let interest = if self.output.is_empty() {
                Interest::READABLE
            } else {
                Interest::READABLE | Interest::WRITABLE
            };
            let ready = self.stream.ready(interest).await?;
            if ready.is_writable() && !self.output.is_empty() {
                match self.stream.try_write(&self.output) {
                    Ok(written) => drop(self.output.split_to(written)),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    // The daemon hung up. What it said before that, if anything, is still to be read and says why.
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => self.output.clear(),
                    Err(error) => return Err(error.into()),
                }
            }
            if ready.is_readable() {
                self.input.reserve(CLIENT_READ_LEN);
                match self.stream.try_read_buf(&mut self.input) {
                    Ok(0) => return Err(ClientError::Closed),
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                        return Err(ClientError::Closed);
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        }
    }

    /// Takes one message with its blank line off the input, if it is complete.
    fn take_message(&mut self) -> Result<Option<BytesMut>, ClientError> {
        let unsearched = self.input.get(self.searched..).unwrap_or_default();
        if let Some(position) = unsearched.windows(2).position(|pair| pair == b"\n\n") {
            let end = self.searched + position + 2;
            self.searched = 0;
            return Ok(Some(self.input.split_to(end)));
        }
        // The last byte may be the first half of a blank line.
        self.searched = self.input.len().saturating_sub(1);
        if self.input.len() > MAX_ANSWER_LEN { Err(ClientError::TooLong) } else { Ok(None) }
    }
}

#[derive(Debug)]
enum Incoming {
    Answer {
        id: String,
        outcome: Result<Box<RawValue>, CallError>,
    },
    /// With its length in bytes.
    Notification(Notification, usize),
}

impl Incoming {
    fn parse(message: &[u8]) -> Result<Incoming, ClientError> {
        use serde::de::Error;

        #[derive(Deserialize)]
        struct Wire {
            id: Option<Box<RawValue>>,
            method: Option<String>,
            params: Option<Box<RawValue>>,
            result: Option<Box<RawValue>>,
            error: Option<Box<RawValue>>,
        }

        let malformed = |what| ClientError::Malformed(serde_json::Error::custom(what));
        let wire: Wire = serde_json::from_slice(message).map_err(ClientError::Malformed)?;
        match wire {
            Wire { id: None, method: Some(method), params: Some(params), .. } => {
                Ok(Incoming::Notification(Notification::Message { method, params }, message.len()))
            }
            Wire { id: Some(id), error: Some(error), .. } => {
                Ok(Incoming::Answer { id: id.get().to_owned(), outcome: Err(CallError::parse(error)?) })
            }
            Wire { id: Some(id), result: Some(result), .. } => {
                Ok(Incoming::Answer { id: id.get().to_owned(), outcome: Ok(result) })
            }
            // A request that the daemon could not read has no id to answer to; it ends the connection.
            Wire { id: None, error: Some(error), .. } => Err(ClientError::Refused(CallError::parse(error)?)),
            _ => Err(malformed("it is neither an answer nor a notification")),
        }
    }
}

impl CallError {
    fn parse(raw: Box<RawValue>) -> Result<CallError, ClientError> {
        #[derive(Deserialize)]
        struct Wire {
            code: i64,
            message: String,
        }
        let Wire { code, message } = serde_json::from_str(raw.get()).map_err(ClientError::Malformed)?;
        Ok(CallError { code, message, raw })
    }
}
