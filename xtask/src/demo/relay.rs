//! A unix socket in front of another one, which keeps what goes through it: the demo shows real traffic, not a drawing.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result};

/// Relays one connection.
pub(super) struct Relay {
    path: PathBuf,
    client: Record,
    server: Record,
}

#[derive(Clone, Default)]
struct Record(Arc<Mutex<Vec<u8>>>);

impl Relay {
    /// Listens at `path` and passes the first connection on to `server`.
    pub(super) fn start(path: &Path, server: &Path) -> Result<Self> {
        let _ = std::fs::remove_file(path);
        let listener =
            UnixListener::bind(path).with_context(|| format!("could not listen at {}", path.display()))?;
        let relay = Self { path: path.to_owned(), client: Record::default(), server: Record::default() };
        let (from_client, from_server) = (relay.client.clone(), relay.server.clone());
        let server = server.to_owned();
        // The threads end with the connection, at the latest with this process; a failure shows up as silence, which the
        // demo does not wait on for ever.
        thread::spawn(move || -> std::io::Result<()> {
            let (client, _) = listener.accept()?;
            let server = UnixStream::connect(server)?;
            let (client_reads, server_reads) = (client.try_clone()?, server.try_clone()?);
            thread::spawn(move || pass(client_reads, server, &from_client));
            pass(server_reads, client, &from_server);
            Ok(())
        });
        Ok(relay)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn written_by_client(&self) -> String {
        self.client.text()
    }

    pub(super) fn written_by_server(&self) -> String {
        self.server.text()
    }
}

impl Record {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    fn add(&self, bytes: &[u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
    }
}

/// Copies until one side ends, then ends the other.
fn pass(mut from: UnixStream, mut to: UnixStream, record: &Record) {
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        let bytes = buffer.get(..length).unwrap_or_default();
        record.add(bytes);
        if to.write_all(bytes).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
