//! The server: a unix socket, a task per client, and how it all ends.

use std::io;
use std::os::unix::net::UnixListener as StdListener;
use std::path::Path;
use std::sync::Arc;

use tokio::net::UnixListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::limits::{ACCEPT_REFUSAL_QUIET, ACCEPT_RETRY, MAX_CONNECTIONS, SOCKET_LOOK, STOP_GRACE};
use crate::service::Service;
use quota::Quota;
use socket::SocketFile;

mod connection;
mod quota;
mod socket;

pub use socket::BindError;

/// A socket that is bound, with nobody answering yet: clients that connect wait.
#[derive(Debug)]
pub struct Server {
    listener: StdListener,
    file: SocketFile,
}

impl Server {
    /// Makes the socket, with these permission bits from the first moment on. A socket that was left behind by a process
    /// that is gone is replaced; nothing else is ever removed.
    ///
    /// # Errors
    /// [`BindError`], which names the path and what is in the way.
    pub fn bind(path: &Path, mode: u32) -> Result<Server, BindError> {
        let (listener, file) = socket::bind(path, mode)?;
        Ok(Server { listener, file })
    }

    /// Serves clients until the service's stop signal is given. If the socket's file is removed meanwhile, it is made again; who
    /// was connected stays so. Then takes no more requests, waits [`STOP_GRACE`] for those
    /// that run and for their answers to be read, removes the socket and returns.
    ///
    /// # Errors
    /// The runtime cannot use the socket.
    pub async fn run(self, service: Arc<Service>) -> io::Result<()> {
        let Server { listener, mut file } = self;
        let mut listener = listen(listener)?;
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let quota = Quota::default();
        let mut connections = JoinSet::new();
        let mut number: u64 = 0;
        let mut look = interval(SOCKET_LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // When a refusal is worth a line in the log again.
        let mut quiet_until: Option<Instant> = None;
        loop {
            let accepted = tokio::select! {
                biased;
                () = service.stop.triggered() => break,
                // Clients that have gone make room for their results here.
                Some(_) = connections.join_next() => continue,
                _ = look.tick() => {
                    if let Some(anew) = file.restore() {
                        listener = listen(anew)?;
                    }
                    continue;
                }
                accepted = accept(&listener, &places) => accepted,
            };
            match accepted {
                Ok((stream, place)) => {
                    number = number.wrapping_add(1);
                    let connection = connection::serve(stream, number, Arc::clone(&service), quota.clone());
                    connections.spawn(async move {
                        connection.await;
                        drop(place);
                    });
                }
                Err(error) => {
                    let now = Instant::now();
                    if quiet_until.is_none_or(|quiet_until| now >= quiet_until) {
                        tracing::warn!(
                            "RPC clients cannot be accepted: {error}. It is tried again and again"
                        );
                    }
                    quiet_until = Some(now + ACCEPT_REFUSAL_QUIET);
                    tokio::time::sleep(ACCEPT_RETRY).await;
                }
            }
        }
        drop(listener);
        drop(file);
        let all_gone = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP_GRACE, all_gone).await.is_err() {
            tracing::warn!(
                "{} RPC clients had not read their answers when the daemon stopped",
                connections.len()
            );
        }
        Ok(())
    }
}

fn listen(listener: StdListener) -> io::Result<UnixListener> {
    listener.set_nonblocking(true)?;
    UnixListener::from_std(listener)
}

type Place = tokio::sync::OwnedSemaphorePermit;

async fn accept(
    listener: &UnixListener,
    places: &Arc<Semaphore>,
) -> io::Result<(tokio::net::UnixStream, Place)> {
    let place = Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, place))
}
