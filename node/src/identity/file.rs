//! The `hsm_secret` file: its forms, reading it without surprises, making it without ever overwriting anything.
//!
//! | bytes | form | seed |
//! |---|---|---|
//! | 32 | plain secret | the 32 bytes |
//! | 32 zero bytes, then words | BIP 39 mnemonic without passphrase | the BIP 39 seed, 64 bytes |
//! | SHA-256 of the BIP 39 seed, then words | BIP 39 mnemonic with passphrase | the BIP 39 seed, 64 bytes |
//! | 73 | plain secret, encrypted (Core Lightning before 25.12) | refused |

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use bip39::{Language, Mnemonic};
use sha2::{Digest as _, Sha256};
use zeroize::{Zeroize as _, Zeroizing};

use super::IdentityError;

/// Size of the plain form, and of what precedes the words in the other, in bytes.
const PLAIN_LEN: usize = 32;
/// Size of the encrypted form: a header of 24 bytes, the secret, a tag of 17.
const ENCRYPTED_LEN: usize = 73;
/// No mnemonic of 24 words comes near this many bytes; a larger file is not read to its end.
const MAX_LEN: usize = PLAIN_LEN + 1024;

/// The whole file.
pub(super) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, IdentityError> {
    let failed = |error| IdentityError::Io { path: path.to_owned(), action: "read", error };
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(missing(path)),
        Err(error) => return Err(failed(error)),
    };
    // Looked at before it is opened: opening a pipe would wait for its other end.
    if !metadata.is_file() {
        return Err(IdentityError::NotAFile { path: path.to_owned(), found: name_of(metadata.file_type()) });
    }
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        tracing::warn!("{} can be read by others (mode {mode:04o}): make it 0400", path.display());
    }
    // One more than allowed, so that a file that is too long can be told from one that just fits. The buffer has its
    // final size from the start: growing would leave copies of the secret behind.
    let mut contents = Zeroizing::new(Vec::with_capacity(MAX_LEN + 1));
    let limit = u64::try_from(contents.capacity()).unwrap_or(u64::MAX);
    File::open(path).map_err(failed)?.take(limit).read_to_end(&mut contents).map_err(failed)?;
    if contents.len() > MAX_LEN {
        return Err(IdentityError::WrongSize { path: path.to_owned(), len: metadata.len() });
    }
    Ok(contents)
}

/// What the node key and all other secrets are derived from.
pub(super) fn seed(
    path: &Path,
    contents: &[u8],
    passphrase: Option<&str>,
) -> Result<Zeroizing<Vec<u8>>, IdentityError> {
    let path = || path.to_owned();
    let Some((first, words)) = contents.split_first_chunk::<PLAIN_LEN>() else {
        return Err(IdentityError::WrongSize {
            path: path(),
            len: u64::try_from(contents.len()).unwrap_or(u64::MAX),
        });
    };
    let is_zero = first.iter().all(|byte| *byte == 0);
    match (words, passphrase) {
        ([], _) if is_zero => Err(IdentityError::Zeros { path: path() }),
        ([], None) => Ok(Zeroizing::new(first.to_vec())),
        ([], Some(_)) => Err(IdentityError::PassphraseNotNeeded { path: path() }),
        _ if contents.len() == ENCRYPTED_LEN && !is_mnemonic_like(words) => {
            Err(IdentityError::Encrypted { path: path() })
        }
        _ if !is_zero && !is_mnemonic_like(words) => Err(IdentityError::WrongSize {
            path: path(),
            len: u64::try_from(contents.len()).unwrap_or(u64::MAX),
        }),
        (_, Some(_)) if is_zero => Err(IdentityError::PassphraseNotNeeded { path: path() }),
        (words, passphrase) => {
            let mnemonic = parse_mnemonic(words)
                .map_err(|problem| IdentityError::BadMnemonic { path: path(), problem })?;
            if !is_zero && passphrase.is_none() {
                return Err(IdentityError::PassphraseNeeded { path: path() });
            }
            let seed = Zeroizing::new(mnemonic.to_seed_normalized(passphrase.unwrap_or_default()));
            if !is_zero && *first != <[u8; 32]>::from(Sha256::digest(*seed)) {
                return Err(IdentityError::WrongPassphrase { path: path() });
            }
            Ok(Zeroizing::new(seed.to_vec()))
        }
    }
}

/// Makes a new plain secret at `path`, which did not exist a moment ago. If it does by now, that one stays.
pub(super) fn create(path: &Path) -> Result<(), IdentityError> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let failed = |path: &Path, action| {
        let path = path.to_owned();
        move |error| IdentityError::Io { path, action, error }
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(parent)
        .map_err(failed(parent, "make the directory"))?;

    // Under a name of its own first, so that a crash leaves no half secret under the real one.
    let unfinished = Unfinished(parent.join(format!(".hsm_secret.{:016x}", random_name(path)?)));
    let mut secret = Zeroizing::new([0; PLAIN_LEN]);
    getrandom::fill(secret.as_mut())
        .map_err(|error| failed(path, "draw random bytes for")(io::Error::other(error)))?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o400);
    let mut file = options.open(&unfinished.0).map_err(failed(&unfinished.0, "create"))?;
    file.write_all(secret.as_ref()).map_err(failed(&unfinished.0, "write"))?;
    secret.zeroize();
    file.sync_all().map_err(failed(&unfinished.0, "write"))?;

    // A second name for the file, where renaming would silently replace what somebody else made meanwhile.
    match fs::hard_link(&unfinished.0, path) {
        Ok(()) => tracing::info!("created new hsm_secret file {}", path.display()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(failed(path, "create")(error)),
    }
    drop(unfinished);
    // The names are the directory's content: without this they may be gone after a power cut.
    File::open(parent)
        .and_then(|directory| directory.sync_all())
        .map_err(failed(parent, "write the directory"))
}

/// A file that is removed again, whether it got its real name or not.
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        // It may never have come to exist, and nobody is left who could do more about it.
        let _ = fs::remove_file(&self.0);
    }
}

fn random_name(path: &Path) -> Result<u64, IdentityError> {
    getrandom::u64().map_err(|error| IdentityError::Io {
        path: path.to_owned(),
        action: "draw random bytes for",
        error: io::Error::other(error),
    })
}

/// Nothing at all, or a link to nothing.
fn missing(path: &Path) -> IdentityError {
    match fs::read_link(path) {
        Ok(target) => IdentityError::DanglingLink { path: path.to_owned(), target },
        Err(_) => IdentityError::Missing { path: path.to_owned() },
    }
}

fn name_of(kind: fs::FileType) -> &'static str {
    if kind.is_dir() {
        "a directory"
    } else if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

/// At least as many words as the shortest mnemonic has, and nothing but words; the rest is damage or another format.
fn is_mnemonic_like(words: &[u8]) -> bool {
    const FEWEST_WORDS: usize = 12;
    let words = words.trim_ascii_end();
    words.iter().all(|byte| byte.is_ascii_lowercase() || *byte == b' ')
        && words.split(|byte| *byte == b' ').count() >= FEWEST_WORDS
}

fn parse_mnemonic(words: &[u8]) -> Result<Mnemonic, &'static str> {
    // An editor's newline at the end is not part of the mnemonic.
    let words = core::str::from_utf8(words.trim_ascii_end()).map_err(|_| "not text")?;
    let mnemonic = Mnemonic::parse_in_normalized(Language::English, words).map_err(|error| match error {
        bip39::Error::BadWordCount(_) => "not 12, 15, 18, 21 or 24 words",
        bip39::Error::UnknownWord(_) => "a word is not in the English list",
        bip39::Error::InvalidChecksum => "its checksum is wrong",
        _ => "it cannot be parsed",
    })?;
    // The seed is computed from the words with single spaces: anything else would be another seed elsewhere.
    if mnemonic.words().eq(words.split(' ')) {
        Ok(mnemonic)
    } else {
        Err("its words are not separated by single spaces")
    }
}
