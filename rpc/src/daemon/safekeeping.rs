//! What the other users of this machine may do with the node's files, looked at before anything of value is read: whoever
//! reads the key is the node, and whoever writes in its directories puts plugins there that run as the node's user.
//!
//! What can only be a mistake is refused, with the command that mends it; what may be somebody's intention is a line in the
//! log. Nothing is changed: the files are their owner's.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

use crate::config::NodePlace;
use crate::service::Audience;

#[cfg(test)]
mod tests;

/// Permission bits of a file that are not its owner's.
const NOT_OWNERS: u32 = 0o077;
const OTHERS_WRITE: u32 = 0o002;
const GROUP_WRITES: u32 = 0o020;

/// Something that others may do with the node's files, and must not.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SafekeepingError {
    /// The key file gives its group or everybody rights.
    #[error(
        "the key {} is open to other users (mode {mode:04o}), and whoever reads it is this node. Close it: chmod 400 {}",
        path.display(), path.display()
    )]
    Key {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Everybody may write in a directory of the node's.
    #[error(
        "every user of this machine may write in {} (mode {mode:04o}), and could put another key or a plugin there. Close it: \
         chmod o-w {}",
        path.display(), path.display()
    )]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// One of them cannot be looked at.
    #[error("cannot look at {}: {error}", path.display())]
    Look {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

/// Looks at the directories and at the files of a node that others must not read; what is not there yet is going to be made
/// well. Test tools make key files that everybody may read, so for developers that is only a line in the log.
///
/// # Errors
/// [`SafekeepingError`].
pub(super) fn check(
    place: &NodePlace,
    key: &Path,
    datastore: &Path,
    audience: Audience,
) -> Result<(), SafekeepingError> {
    for directory in [&place.lightning_dir, &place.network_dir(), &place.lightning_dir.join("plugins")] {
        if let Some(metadata) = look_at(directory)? {
            check_directory(directory, &metadata)?;
        }
    }
    if let Some(metadata) = look_at(key)? {
        name_strange_owner(key, &metadata);
        let mode = mode_of(&metadata);
        // What is no file is told when it is read.
        if metadata.is_file() && mode & NOT_OWNERS != 0 {
            let refusal = SafekeepingError::Key { path: key.to_owned(), mode };
            match audience {
                Audience::Users => return Err(refusal),
                Audience::Developers => tracing::warn!(source = "lightningd", "{refusal}"),
            }
        }
    }
    if let Some(metadata) = look_at(datastore)?
        && mode_of(&metadata) & NOT_OWNERS != 0
    {
        tracing::warn!(
            source = "lightningd",
            "the datastore {path} is open to other users (mode {mode:04o}), and what plugins keep may be secret. Close it: \
             chmod 600 {path}",
            path = datastore.display(),
            mode = mode_of(&metadata)
        );
    }
    Ok(())
}

/// Says in the log what it means that others than the owner may open the socket, if they may.
pub(super) fn name_open_socket(path: &Path, mode: u32) {
    if mode & NOT_OWNERS != 0 {
        tracing::warn!(
            source = "lightningd",
            "whoever may open {} (mode {mode:04o}) may do everything that this node can do, as --rpc-file-mode has it",
            path.display()
        );
    }
}

fn check_directory(path: &Path, metadata: &Metadata) -> Result<(), SafekeepingError> {
    name_strange_owner(path, metadata);
    let mode = mode_of(metadata);
    if mode & OTHERS_WRITE != 0 {
        return Err(SafekeepingError::Directory { path: path.to_owned(), mode });
    }
    if mode & GROUP_WRITES != 0 {
        tracing::warn!(
            source = "lightningd",
            "the group of {path} may write in it (mode {mode:04o}), and could put another key or a plugin there: chmod g-w \
             {path} if that is not meant",
            path = path.display()
        );
    }
    Ok(())
}

/// The system's administrator may do everything anyway; any other owner knows what is in there, and can change it.
fn name_strange_owner(path: &Path, metadata: &Metadata) {
    let owner = metadata.uid();
    if owner != 0 && owner != geteuid().as_raw() {
        tracing::warn!(
            source = "lightningd",
            "{} belongs to another user ({owner}), who can read and replace what is there",
            path.display()
        );
    }
}

/// Follows links, as whoever opens the file does. `None` if there is nothing.
fn look_at(path: &Path) -> Result<Option<Metadata>, SafekeepingError> {
    match path.metadata() {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(SafekeepingError::Look { path: path.to_owned(), error }),
    }
}

fn mode_of(metadata: &Metadata) -> u32 {
    metadata.permissions().mode() & 0o7777
}
