//! The socket in the file system: made so that nobody but the owner can ever connect, removed when it is done with.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use crate::limits::MAX_SOCKET_PATH;

#[cfg(test)]
mod tests;

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// The path does not fit into a socket address.
    #[error(
        "rpc file {path:?} has {len} bytes; a unix socket's path has at most {MAX_SOCKET_PATH}: choose another with --rpc-file"
    )]
    TooLong {
        /// The path.
        path: PathBuf,
        /// Its length in bytes.
        len: usize,
    },
    /// Somebody answers there.
    #[error("rpc file {0:?} is in use: is the daemon running already?")]
    InUse(PathBuf),
    /// There is a file that is not a socket. It is left alone.
    #[error("rpc file {0:?} exists and is not a socket: move it away or choose another with --rpc-file")]
    NotASocket(PathBuf),
    /// The system refused.
    #[error("{step} for rpc file {path:?}: {error}")]
    System {
        /// The path.
        path: PathBuf,
        /// What was being done.
        step: &'static str,
        /// What the system said.
        error: io::Error,
    },
}

/// The file of a bound socket. Dropping it removes the file, if it is still the same one.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    mode: u32,
    identity: FileIdentity,
    /// That it could not be made again has been told.
    is_given_up: bool,
}

/// What tells a file from another one of the same name.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
struct FileIdentity {
    device: u64,
    inode: u64,
}

impl FileIdentity {
    fn of(path: &Path) -> io::Result<FileIdentity> {
        let metadata = fs::symlink_metadata(path)?;
        Ok(FileIdentity { device: metadata.dev(), inode: metadata.ino() })
    }
}

impl SocketFile {
    /// Binds another socket in the place of one whose file somebody has removed: nobody can connect to the old one any more.
    /// What stands there instead stays. Either is told in the log, once.
    pub(super) fn restore(&mut self) -> Option<UnixListener> {
        if self.is_in_place() {
            self.is_given_up = false;
            return None;
        }
        match make(&self.path, self.mode) {
            Ok((listener, identity)) => {
                tracing::warn!("rpc file {:?} was removed: it is made again", self.path);
                self.identity = identity;
                Some(listener)
            }
            Err(error) => {
                if !std::mem::replace(&mut self.is_given_up, true) {
                    tracing::error!(
                        "rpc file {:?} was removed, and no client can connect: {error}. It is tried again and again; SIGTERM stops \
                         the node",
                        self.path
                    );
                }
                None
            }
        }
    }

    fn is_in_place(&self) -> bool {
        FileIdentity::of(&self.path).is_ok_and(|identity| identity == self.identity)
    }
}

/// Binds the socket. Its file lasts as long as the second value.
pub(super) fn bind(path: &Path, mode: u32) -> Result<(UnixListener, SocketFile), BindError> {
    let (listener, identity) = make(path, mode)?;
    Ok((listener, SocketFile { path: path.to_owned(), mode, identity, is_given_up: false }))
}

/// Binds the socket in a directory that only we can enter, gives it its mode, and then moves it to its place. (The mode that
/// `bind` gives depends on the process's umask, which other threads share.) Moving replaces a stale socket in one step.
fn make(path: &Path, mode: u32) -> Result<(UnixListener, FileIdentity), BindError> {
    let len = path.as_os_str().len();
    if len > MAX_SOCKET_PATH {
        return Err(BindError::TooLong { path: path.to_owned(), len });
    }
    let system = |step: &'static str| move |error| BindError::System { path: path.to_owned(), step, error };
    check_unused(path)?;

    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let private = parent.join(format!(".rpc-{}", std::process::id()));
    let _ = fs::remove_dir_all(&private);
    DirBuilder::new().mode(0o700).create(&private).map_err(system("making a private directory"))?;
    let bound = make_in(&private, path, mode).map_err(system("making the socket"));
    let _ = fs::remove_dir_all(&private);
    bound
}

fn make_in(private: &Path, path: &Path, mode: u32) -> io::Result<(UnixListener, FileIdentity)> {
    let bound = private.join("s");
    // The directory's path may be longer than a socket's may be; through its descriptor it is short.
    let directory = fs::File::open(private)?;
    let listener = UnixListener::bind(format!("/proc/self/fd/{}/s", directory.as_raw_fd()))?;
    fs::set_permissions(&bound, Permissions::from_mode(mode))?;
    let identity = FileIdentity::of(&bound)?;
    fs::rename(&bound, path)?;
    Ok((listener, identity))
}

fn check_unused(path: &Path) -> Result<(), BindError> {
    let system = |error| BindError::System { path: path.to_owned(), step: "looking at what is there", error };
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(system(error)),
    };
    if !metadata.file_type().is_socket() {
        return Err(BindError::NotASocket(path.to_owned()));
    }
    match UnixStream::connect(path) {
        // Full, but alive.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(BindError::InUse(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(error) => Err(system(error)),
        Ok(_) => Err(BindError::InUse(path.to_owned())),
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.is_in_place()
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!("Removing rpc file {:?}: {error}", self.path);
        }
    }
}
