//! Taking possession of a node's directory: it exists, it is ours alone, and nothing else runs in it.
//!
//! Two nodes with one key confuse every peer, so a second daemon must not come up, whichever program the first one is. Our own
//! hold a lock for as long as they live; Core Lightning's is recognised by a socket that answers.
//!
//! Who starts a node anew right after `stop`, or after a kill, meets the one before, which ends and still holds the lock. It
//! is waited for.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use tokio::net::UnixStream;
use tokio::time::{Instant, sleep, timeout};

use crate::config::{NodePlace, RPC_FILE};
use crate::limits::{ANSWERED_PATIENCE, CLAIM_RETRY, LOCK_PATIENCE, PROBE_TIME};

#[cfg(test)]
mod tests;

/// The file that is locked. It holds the process id for people; the lock alone decides.
const LOCK_FILE: &str = "oddwired.pid";

/// Why a directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DirectoryError {
    /// It does not exist and cannot be made.
    #[error("cannot make the directory {}: {error}. Give --lightning-dir a directory that this user may write to", path.display())]
    Make {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// It cannot be entered.
    #[error("cannot enter the directory {}: {error}. Give --lightning-dir a directory that this user may use", path.display())]
    Enter {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The lock file cannot be made, opened or locked.
    #[error("cannot use the lock file {}: {error}. This user must be able to write it, and its file system to lock it", path.display())]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Another `oddwired` runs in it.
    #[error(
        "another oddwired{process} is running in {}. Stop it first (`oddwire-cli stop`), or give --lightning-dir or --network for another node",
        path.display(),
        process = pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
    )]
    Running {
        /// The network's directory.
        path: PathBuf,
        /// Its process id, if the lock file tells it.
        pid: Option<u32>,
    },
    /// Something else answers on a socket in it, most likely Core Lightning.
    #[error(
        "another program, perhaps Core Lightning, answers on {}. Two nodes with one key would take each other's connections: \
         stop it first, or give --lightning-dir or --network for another node",
        path.display()
    )]
    Answered {
        /// The socket.
        path: PathBuf,
    },
}

/// Possession of a node's directory, for as long as this value lives.
#[derive(Debug)]
pub struct Claim {
    /// Closing it ends the lock. The file stays: if it were removed, a second daemon could lock the old one while a third
    /// makes a new one.
    _lock: File,
}

impl Claim {
    /// Makes the directories with mode 0700 if they are missing, takes the lock and makes sure that nothing answers on the
    /// sockets. Waits [`LOCK_PATIENCE`] for a daemon that holds the lock and answers nobody: it ends, or it just starts.
    ///
    /// # Errors
    /// [`DirectoryError`]; then nothing but the directories and the lock file has been made.
    pub async fn take(place: &NodePlace) -> Result<Claim, DirectoryError> {
        let network_dir = place.network_dir();
        make_private(&place.lightning_dir)?;
        make_private(&network_dir)?;
        let sockets = [network_dir.join(RPC_FILE), place.rpc_path()];
        let begun = Instant::now();
        loop {
            let locked = lock(&network_dir);
            let is_held = matches!(locked, Err(DirectoryError::Running { .. }));
            let (refused, patience) = match (locked, answering(&sockets).await) {
                (Ok(lock), None) => return Ok(Claim { _lock: lock }),
                (Ok(_), Some(socket)) => {
                    (DirectoryError::Answered { path: socket.clone() }, ANSWERED_PATIENCE)
                }
                (Err(held), Some(_)) if is_held => (held, ANSWERED_PATIENCE),
                (Err(held), None) if is_held => (held, LOCK_PATIENCE),
                (Err(error), _) => return Err(error),
            };
            if begun.elapsed() >= patience {
                return Err(refused);
            }
            sleep(CLAIM_RETRY).await;
        }
    }
}

/// Makes a directory that only this user may enter; one that exists keeps the mode its owner gave it.
fn make_private(path: &Path) -> Result<(), DirectoryError> {
    if path.is_dir() {
        return Ok(());
    }
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|error| DirectoryError::Make { path: path.to_owned(), error })
}

fn lock(network_dir: &Path) -> Result<File, DirectoryError> {
    let path = network_dir.join(LOCK_FILE);
    let failed = |error| DirectoryError::Lock { path: path.clone(), error };
    let options =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o640).open(&path);
    let mut file = options.map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            // Only for the message: the other daemon may not have written it yet.
            let _ = (&mut file).take(32).read_to_string(&mut text);
            return Err(DirectoryError::Running {
                path: network_dir.to_owned(),
                pid: text.trim().parse().ok(),
            });
        }
        Err(TryLockError::Error(error)) => return Err(failed(error)),
    }
    // A daemon that was killed leaves its own id behind.
    file.set_len(0).and_then(|()| file.rewind()).map_err(failed)?;
    writeln!(file, "{}", std::process::id()).map_err(failed)?;
    Ok(file)
}

/// The first of the sockets that a process listens on.
async fn answering(sockets: &[PathBuf]) -> Option<&PathBuf> {
    for socket in sockets {
        if answers(socket).await {
            return Some(socket);
        }
    }
    None
}

/// Whether a process listens on the socket. A socket file that nobody listens on is what a killed daemon leaves behind.
async fn answers(socket: &Path) -> bool {
    let (Some(directory), Some(name)) = (socket.parent(), socket.file_name()) else { return false };
    // What cannot be entered has no socket that could be in our way.
    let Ok(directory) = File::open(directory) else { return false };
    // The directory's path may be longer than a socket's may be; through its descriptor it is short.
    let short = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd())).join(name);
    match timeout(PROBE_TIME, UnixStream::connect(short)).await {
        Ok(Ok(_)) | Err(_) => true,
        // Its queue of new connections is full.
        Ok(Err(error)) => error.kind() == io::ErrorKind::WouldBlock,
    }
}
