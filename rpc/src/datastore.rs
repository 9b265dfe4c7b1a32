//! The store in which plugins keep their state: keys of several parts, a value and its generation under each.
//!
//! ```text
//! handlers --jobs, in the order of the requests--> one thread -- a transaction for all that wait --> the file
//!     ^                                                |
//!     +------------ answers, once it is on disk -------+
//! ```
//!
//! One thread works on the file ([`Datastore`]); the async runtime never waits for a disk. Jobs are done in the order in which
//! they were handed in, so that whoever reads after writing reads what was written, also on another connection. All jobs that
//! wait at the same moment share one transaction and one write to the disk; none is answered before that write is done.
//!
//! The file is a [`redb`] database: one file, no process of its own, no C code, copy-on-write pages with checksums, so that a
//! crash at any moment leaves the last transaction that was answered. `SQLite` would do as well and brings a C library; the
//! log-structured stores (`sled`, `fjall`) spread over a directory and work in threads of their own for loads that plugins do
//! not have.
//!
//! What a key is: `key`. What can be done with the entries: `entries`.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Instant;

use redb::{Database, DatabaseError, ReadableDatabase as _, StorageError};
use tokio::sync::oneshot;

use crate::error::RpcError;
use crate::limits::{DATASTORE_BATCH, DATASTORE_CACHE, DATASTORE_STOP, MAX_RUNNING};
use crate::method::Work;
use entries::{Entries, Refusal};

pub(crate) mod entries;
pub(crate) mod key;
#[cfg(test)]
mod tests;

/// The file's name in the network's directory.
pub const FILE: &str = "datastore.redb";

/// What is to be done with the entries. It changes at most one of them, as its last step.
pub(crate) type Job = Box<dyn FnOnce(&mut Entries<'_>) -> Result<String, Refusal> + Send>;

/// The store. Dropping it waits until what was handed in is done, or until [`DATASTORE_STOP`] is over.
#[derive(Debug)]
pub struct Datastore {
    jobs: Option<SyncSender<Waiting>>,
    thread: Option<JoinHandle<()>>,
    /// When the thread begins no more transactions, once that is known.
    deadline: Arc<OnceLock<Instant>>,
}

struct Waiting {
    job: Job,
    answer: oneshot::Sender<Result<String, RpcError>>,
}

impl Datastore {
    /// Opens the store in this file. A file that is not there is made when it is first needed.
    ///
    /// # Errors
    /// [`DatastoreError`]: the file is damaged, in use, or cannot be read.
    pub fn open(path: &Path) -> Result<Datastore, DatastoreError> {
        let database = if path.exists() { Some(open(path)?) } else { None };
        start(File { path: path.to_owned(), database })
    }

    /// Hands a job in, behind all others. The result comes when the job is done and on disk.
    pub(crate) fn run(&self, job: Job) -> Work {
        let (answer, answered) = oneshot::channel();
        let handed_in = self.jobs.as_ref().is_some_and(|jobs| jobs.try_send(Waiting { job, answer }).is_ok());
        Box::pin(async move {
            if !handed_in {
                return Err(RpcError::failed(format_args!(
                    "The datastore has {MAX_RUNNING} calls to work on already: try again later"
                )));
            }
            let ended = "The datastore has ended, as the log says: restart the daemon";
            answered.await.unwrap_or_else(|_| Err(RpcError::failed(ended)))
        })
    }
}

impl Drop for Datastore {
    fn drop(&mut self) {
        self.deadline.get_or_init(|| Instant::now() + DATASTORE_STOP);
        // The thread ends when nobody can hand in any more.
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            // It has said in the log why, if it did not end well.
            let _ = thread.join();
        }
    }
}

/// The store cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatastoreError {
    /// What is in the file is not what we wrote.
    #[error(
        "the datastore {} is damaged ({problem}): restore it from a backup, or move it away to start with an empty one; \
         what plugins kept there is lost then",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        problem: String,
    },
    /// Another process has it open.
    #[error("the datastore {} is open in another process: end that one first", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// A newer or older version of its format.
    #[error("the datastore {} has format {format}, which this version does not read", path.display())]
    OtherFormat {
        /// The file.
        path: PathBuf,
        /// The number of the format.
        format: u8,
    },
    /// The system refused.
    #[error("cannot open the datastore {}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

fn start(file: File) -> Result<Datastore, DatastoreError> {
    let path = file.path.clone();
    let (jobs, waiting) = sync_channel(MAX_RUNNING);
    let deadline = Arc::new(OnceLock::new());
    let known = Arc::clone(&deadline);
    let thread = std::thread::Builder::new()
        .name("datastore".to_owned())
        .spawn(move || work(file, &waiting, &known))
        .map_err(|error| DatastoreError::Io { path, error })?;
    Ok(Datastore { jobs: Some(jobs), thread: Some(thread), deadline })
}

struct File {
    path: PathBuf,
    /// `None` until it is needed.
    database: Option<Database>,
}

impl File {
    fn database(&mut self) -> Result<&Database, DatastoreError> {
        let database = match self.database.take() {
            Some(database) => database,
            None => open(&self.path)?,
        };
        Ok(self.database.insert(database))
    }
}

/// Opens or makes the file and reads all of it, so that damage shows now and not in the middle of a call.
fn open(path: &Path) -> Result<Database, DatastoreError> {
    if fs::symlink_metadata(path).is_err() {
        make(path).map_err(|error| DatastoreError::Io { path: path.to_owned(), error })?;
    }
    let database = Database::builder()
        .set_cache_size(DATASTORE_CACHE)
        .set_check_integrity_on_open(true)
        .create(path)
        .map_err(|error| refusal(path, error))?;
    let damaged = |problem: String| DatastoreError::Damaged { path: path.to_owned(), problem };
    let reading = database.begin_read().map_err(|error| damaged(error.to_string()))?;
    entries::check_tables(&reading).map_err(damaged)?;
    drop(reading);
    Ok(database)
}

/// Makes an empty store, under another name first: a process that is killed meanwhile leaves no half file in the place, which
/// the next one would have to take for a damaged one.
fn make(path: &Path) -> io::Result<()> {
    let unfinished = path.with_added_extension("new");
    let made = make_empty(&unfinished).and_then(|()| fs::rename(&unfinished, path));
    if made.is_err() {
        // On a full disk it would be in the way of others.
        let _ = fs::remove_file(&unfinished);
    }
    made?;
    // The name is the directory's content: without this it may be gone after a power cut, with all that was answered.
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::File::open(directory)?.sync_all()
}

/// Over what a killed process may have left there. When this returns, the store is on disk.
fn make_empty(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // Values may be secrets: nobody but the owner reads them.
    drop(OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?);
    match Database::create(path) {
        Ok(database) => {
            drop(database);
            fs::File::open(path)?.sync_all()
        }
        Err(DatabaseError::Storage(StorageError::Io(error))) => Err(error),
        Err(other) => Err(io::Error::other(other)),
    }
}

fn refusal(path: &Path, error: DatabaseError) -> DatastoreError {
    let path = path.to_owned();
    match error {
        DatabaseError::DatabaseAlreadyOpen => DatastoreError::InUse { path },
        DatabaseError::UpgradeRequired(format) => DatastoreError::OtherFormat { path, format },
        // A file that does not begin as ours do is reported as invalid data.
        DatabaseError::Storage(StorageError::Io(error)) if error.kind() != io::ErrorKind::InvalidData => {
            DatastoreError::Io { path, error }
        }
        other => DatastoreError::Damaged { path, problem: other.to_string() },
    }
}

/// The thread: until nobody is left who could hand in a job, or the deadline is over.
fn work(mut file: File, waiting: &Receiver<Waiting>, deadline: &OnceLock<Instant>) {
    while let Ok(first) = waiting.recv() {
        if deadline.get().is_some_and(|deadline| Instant::now() >= *deadline) {
            let left = waiting.try_iter().count().saturating_add(1);
            tracing::warn!(
                source = "lightningd",
                "datastore: {left} calls were neither carried out nor answered: the daemon ended before their turn"
            );
            return;
        }
        let mut answers = Vec::new();
        let mut jobs = std::iter::once(first).chain(waiting.try_iter()).take(DATASTORE_BATCH).map(
            |Waiting { job, answer }| {
                answers.push(answer);
                job
            },
        );
        let results = match file.database() {
            Ok(database) => entries::transact(database, &mut jobs),
            Err(error) => Err(error.to_string()),
        };
        if results.is_err() {
            // The rest of the batch is not tried: it is refused with what was.
            jobs.for_each(drop);
        }
        let results = results.unwrap_or_else(|problem| {
            tracing::error!(source = "lightningd", "datastore: {problem}");
            // After an error `redb` takes no more calls. The next ones open the file anew, and find it as the last
            // transaction that was answered left it: a disk that was full for a moment needs no restart.
            file.database = None;
            let refused = RpcError::failed(format_args!("The datastore cannot be used: {problem}"));
            vec![Err(refused); answers.len()]
        });
        for (answer, result) in answers.into_iter().zip(results) {
            // Whoever asked may have gone.
            let _ = answer.send(result);
        }
    }
}
