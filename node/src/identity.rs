//! Who the node is: the static key behind the node id, and how Core Lightning derives it.
//!
//! An `hsm_secret` file that moves from Core Lightning to here, or back, keeps the node id: the same two forms are read,
//! the same derivation is used. What stands in the file and how it is made is the business of `identity/file.rs`.

mod file;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};

use hkdf::Hkdf;
use sha2::Sha256;
use wire_core::secret::{Secret, StaticKey};

use crate::NodeId;

/// A node's static key, and what further secrets of the node are derived from. One node is made of it; it can be neither
/// copied nor printed, and is wiped at the end.
#[derive(Debug)]
pub struct Identity {
    key: StaticKey,
    secrets: SecretBase,
}

impl Identity {
    /// Reads the `hsm_secret` file at `path`. If nothing is there, makes one first: 32 random bytes, mode 0400, in a
    /// directory that is made with mode 0700 if it is missing too.
    ///
    /// The file appears complete or not at all, and whatever exists at `path` is never changed: two processes that
    /// start at once end up with the same identity.
    ///
    /// # Errors
    /// [`IdentityError`], as for [`Identity::load`], and what the system says when the file cannot be made.
    pub fn load_or_create(path: &Path) -> Result<Identity, IdentityError> {
        match Identity::load(path, None) {
            Err(IdentityError::Missing { .. }) => {
                file::create(path)?;
                Identity::load(path, None)
            }
            done => done,
        }
    }

    /// Reads the `hsm_secret` file at `path`, with the passphrase that its mnemonic was made with, if any.
    ///
    /// A file that others than its owner may read is used all the same, with a line in the log: Core Lightning takes
    /// such files too, and plugin authors' test suites make them.
    ///
    /// # Errors
    /// [`IdentityError`] names the path, what was found there and what to do about it.
    pub fn load(path: &Path, passphrase: Option<&str>) -> Result<Identity, IdentityError> {
        let contents = file::read(path)?;
        let seed = file::seed(path, &contents, passphrase)?;
        derive(&seed)
    }

    /// The identity whose static key is `secret` itself. Further secrets ([`Node::derive_secret`](crate::Node::derive_secret))
    /// are derived from it as they would be from a file of these bytes.
    ///
    /// # Errors
    /// [`IdentityError::InvalidKey`] for zero and for what is not below the order of the curve.
    pub fn from_secret(secret: &Secret<32>) -> Result<Identity, IdentityError> {
        let key = StaticKey::from_bytes(secret).map_err(|_| IdentityError::InvalidKey)?;
        Ok(Identity { key, secrets: SecretBase::derive(secret.expose()) })
    }

    /// The node id: the public half.
    pub fn node_id(&self) -> NodeId {
        self.key.node_id()
    }

    pub(crate) fn into_parts(self) -> (StaticKey, SecretBase) {
        (self.key, self.secrets)
    }
}

/// What secrets for other purposes than the node key are derived from: Core Lightning's `makesecret`.
#[derive(Debug)]
pub(crate) struct SecretBase(Secret<32>);

impl SecretBase {
    /// From the whole seed of 32 or 64 bytes, where the node key takes the first 32.
    fn derive(seed: &[u8]) -> SecretBase {
        SecretBase(expand(None, seed, b"derived secrets"))
    }

    /// The secret that belongs to `info`.
    pub(crate) fn derive_secret(&self, info: &[u8]) -> Secret<32> {
        expand(None, self.0.expose(), info)
    }
}

fn derive(seed: &[u8]) -> Result<Identity, IdentityError> {
    let half = seed.get(..32).ok_or(IdentityError::InvalidKey)?;
    Ok(Identity { key: derive_node_key(half)?, secrets: SecretBase::derive(seed) })
}

/// The node key as Core Lightning derives it from the seed: HKDF-SHA256 with the info `nodeid` and a 32-bit
/// little-endian counter as salt. The counter starts at 0 and goes on only if the result is no secret key, which has a
/// chance of 1 in 2^127.
fn derive_node_key(seed: &[u8]) -> Result<StaticKey, IdentityError> {
    for counter in 0..ATTEMPTS {
        let derived = expand(Some(&counter.to_le_bytes()), seed, b"nodeid");
        if let Ok(key) = StaticKey::from_bytes(&derived) {
            return Ok(key);
        }
    }
    Err(IdentityError::InvalidKey)
}

/// HKDF-SHA256 to 32 bytes.
fn expand(salt: Option<&[u8]>, seed: &[u8], info: &[u8]) -> Secret<32> {
    let mut derived = zeroize::Zeroizing::new([0; 32]);
    // RFC 5869, 2.3: it fails for more than 255 blocks of output; this is one.
    let _: Result<(), hkdf::InvalidLength> = Hkdf::<Sha256>::new(salt, seed).expand(info, derived.as_mut());
    Secret::new(*derived)
}

/// Derivations that are tried; a second one is never needed in practice, and a loop must end.
const ATTEMPTS: u32 = 4;

/// An identity could not be read or made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// Nothing is there.
    #[error("{} does not exist", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// A symbolic link that leads nowhere. The file may lie on a disk that is not mounted: a new identity would be
    /// the wrong answer.
    #[error(
        "{} is a symbolic link to {}, which does not exist: mount or restore what it points to, or remove the link",
        path.display(), target.display()
    )]
    DanglingLink {
        /// The link.
        path: PathBuf,
        /// Where it points.
        target: PathBuf,
    },
    /// Something other than a file is there.
    #[error("{} is {found}, not a file: name a file, or move it away to have a new one made", path.display())]
    NotAFile {
        /// What was looked at.
        path: PathBuf,
        /// What it is.
        found: &'static str,
    },
    /// The file has a size that neither form of an `hsm_secret` has.
    #[error(
        "{} has {len} bytes, but an hsm_secret is 32 bytes, or 32 bytes and a BIP 39 mnemonic: restore it from a backup, \
         or move it away to have a new one made",
        path.display()
    )]
    WrongSize {
        /// The file.
        path: PathBuf,
        /// Its size in bytes.
        len: u64,
    },
    /// 32 bytes, all of them zero: what a crash leaves of a file, and no secret at all.
    #[error("{} holds 32 zero bytes and no secret: restore it from a backup, or move it away to have a new one made", path.display())]
    Zeros {
        /// The file.
        path: PathBuf,
    },
    /// The old form with a password, 73 bytes, which this program cannot decrypt.
    #[error(
        "{} is encrypted (73 bytes): decrypt it first with Core Lightning's `lightning-hsmtool decrypt`",
        path.display()
    )]
    Encrypted {
        /// The file.
        path: PathBuf,
    },
    /// The mnemonic in the file is not one.
    #[error("{} does not hold a valid BIP 39 mnemonic ({problem}): restore it from a backup", path.display())]
    BadMnemonic {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, without the words themselves.
        problem: &'static str,
    },
    /// The mnemonic was made with a passphrase and none was given.
    #[error("{} needs the passphrase that its mnemonic was made with, and none was given", path.display())]
    PassphraseNeeded {
        /// The file.
        path: PathBuf,
    },
    /// A passphrase was given for a file that has none.
    #[error("{} was made without a passphrase: start without one", path.display())]
    PassphraseNotNeeded {
        /// The file.
        path: PathBuf,
    },
    /// The passphrase is not the one that the mnemonic was made with.
    #[error("the passphrase for {} is wrong", path.display())]
    WrongPassphrase {
        /// The file.
        path: PathBuf,
    },
    /// The system refused.
    #[error("cannot {action} {}: {error}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What was tried: a verb.
        action: &'static str,
        /// What the system said.
        error: io::Error,
    },
    /// The bytes are not a secret key of secp256k1.
    #[error("the secret is not a valid secp256k1 secret key: it is zero or not below the order of the curve")]
    InvalidKey,
}
