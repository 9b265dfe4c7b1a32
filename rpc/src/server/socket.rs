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
    device: u64,
    inode: u64,
}

/// Binds the socket in a directory that only we can enter, gives it its mode, and then moves it to its place. (The mode that
/// `bind` gives depends on the process's umask, which other threads share.) Moving replaces a stale socket in one step.
pub(super) fn bind(path: &Path, mode: u32) -> Result<(UnixListener, SocketFile), BindError> {
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
    let bound = bind_in(&private, path, mode).map_err(system("making the socket"));
    let _ = fs::remove_dir_all(&private);
    bound
}

fn bind_in(private: &Path, path: &Path, mode: u32) -> io::Result<(UnixListener, SocketFile)> {
    let bound = private.join("s");
    // The directory's path may be longer than a socket's may be; through its descriptor it is short.
    let directory = fs::File::open(private)?;
    let listener = UnixListener::bind(format!("/proc/self/fd/{}/s", directory.as_raw_fd()))?;
    fs::set_permissions(&bound, Permissions::from_mode(mode))?;
    let metadata = fs::symlink_metadata(&bound)?;
    fs::rename(&bound, path)?;
    Ok((listener, SocketFile { path: path.to_owned(), device: metadata.dev(), inode: metadata.ino() }))
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
        let is_ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|metadata| metadata.dev() == self.device && metadata.ino() == self.inode);
        if is_ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!("Removing rpc file {:?}: {error}", self.path);
        }
    }
}
