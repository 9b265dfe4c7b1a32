//! The store by itself: what survives, what a damaged file says, what is bounded. What the calls answer is tested through the
//! socket.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::StorageBackend;
use redb::backends::FileBackend;

use super::entries::{Change, Entry, Mode};
use super::key::Key;
use super::*;

struct Store {
    open: Option<Datastore>,
    path: PathBuf,
    _directory: tempfile::TempDir,
}

impl Store {
    fn new() -> Store {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE);
        Store { open: Some(Datastore::open(&path).unwrap()), path, _directory: directory }
    }

    async fn run(
        &self,
        job: impl FnOnce(&mut Entries<'_>) -> Result<String, Refusal> + Send + 'static,
    ) -> Result<String, RpcError> {
        self.open.as_ref().unwrap().run(Box::new(job)).await
    }

    async fn put(&self, key: &[&str], data: Vec<u8>, mode: Mode) -> Result<String, RpcError> {
        let change = Change { key: Key::of(key.iter().copied()), data, mode, generation: None };
        self.run(move |entries| Ok(entries.change(change)?.generation.to_string())).await
    }

    async fn get(&self, key: &[&str]) -> Option<Entry> {
        let key = Key::of(key.iter().copied());
        let (found, seen) = std::sync::mpsc::channel();
        let read = self.run(move |entries| {
            found.send(entries.get(&key)?).unwrap();
            Ok(String::new())
        });
        read.await.unwrap();
        seen.recv().unwrap()
    }

    fn close(&mut self) {
        drop(self.open.take());
    }
}

fn entry(generation: u64, data: &[u8]) -> Entry {
    Entry { generation, data: data.to_vec() }
}

#[tokio::test]
async fn what_was_answered_is_there_after_a_restart() {
    let mut store = Store::new();
    assert!(!store.path.exists(), "nobody needed it yet");
    store.put(&["a", "b"], vec![1], Mode::MustCreate).await.unwrap();
    store.put(&["a", "b"], vec![2], Mode::MustAppend).await.unwrap();
    assert_eq!(std::fs::metadata(&store.path).unwrap().permissions().mode() & 0o777, 0o600);
    store.close();
    store.open = Some(Datastore::open(&store.path).unwrap());
    assert_eq!(store.get(&["a", "b"]).await, Some(entry(1, &[1, 2])));
    assert_eq!(store.get(&["a"]).await, None);
}

/// A copy of the file while the daemon is alive is what a crash or a power cut leaves.
#[tokio::test]
async fn what_was_answered_is_there_after_a_crash() {
    let store = Store::new();
    for number in 0..50_u8 {
        store.put(&["n", &number.to_string()], vec![number; 1_000], Mode::MustCreate).await.unwrap();
        if number % 10 == 9 {
            let left = store.path.with_extension(number.to_string());
            std::fs::copy(&store.path, &left).unwrap();
            let reopened = Store {
                open: Some(Datastore::open(&left).unwrap()),
                path: left,
                _directory: tempfile::tempdir().unwrap(),
            };
            for earlier in 0..=number {
                let found = reopened.get(&["n", &earlier.to_string()]).await;
                assert_eq!(found, Some(entry(0, &[earlier; 1_000])));
            }
        }
    }
}

/// What a process leaves behind that is killed while it makes the file.
#[tokio::test]
async fn half_a_file_from_a_killed_start_is_in_nobodys_way() {
    let store = Store::new();
    let unfinished = store.path.with_extension("redb.new");
    std::fs::write(&unfinished, [0; 4_096]).unwrap();
    store.put(&["a"], vec![1], Mode::MustCreate).await.unwrap();
    assert!(store.path.exists() && !unfinished.exists());
    assert_eq!(std::fs::metadata(&store.path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn a_damaged_file_is_refused_and_left_as_it_is() {
    let mut store = Store::new();
    for number in 0..200_u8 {
        store.put(&[&number.to_string()], vec![number; 2_000], Mode::MustCreate).await.unwrap();
    }
    store.close();
    let whole = std::fs::read(&store.path).unwrap();
    let damaged = |contents: &[u8]| {
        std::fs::write(&store.path, contents).unwrap();
        let error = Datastore::open(&store.path).unwrap_err();
        assert!(matches!(error, DatastoreError::Damaged { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains("is damaged") && text.contains(&store.path.display().to_string()), "{text}");
    };
    damaged(b"not a database at all");
    damaged(&vec![0; whole.len()]);
    damaged(&whole[..whole.len() / 2]);
    // One value of the entry 100 is another: the checksums tell.
    let place = whole.windows(100).rposition(|window| window == [100; 100]).unwrap();
    let mut altered = whole.clone();
    altered[place] ^= 1;
    damaged(&altered);
    std::fs::write(&store.path, &whole).unwrap();
    store.open = Some(Datastore::open(&store.path).unwrap());
    assert_eq!(store.get(&["100"]).await, Some(entry(0, &[100; 2_000])));
}

#[tokio::test]
async fn one_process_at_a_time() {
    let store = Store::new();
    store.put(&["a"], vec![1], Mode::MustCreate).await.unwrap();
    assert!(matches!(Datastore::open(&store.path), Err(DatastoreError::InUse { .. })));
}

#[tokio::test]
async fn a_directory_that_is_gone_is_told_with_each_call() {
    let store = Store {
        open: Some(Datastore::open("/nowhere/at/all".as_ref()).unwrap()),
        path: PathBuf::new(),
        _directory: tempfile::tempdir().unwrap(),
    };
    for _ in 0..2 {
        let error = store.put(&["a"], vec![1], Mode::MustCreate).await.unwrap_err();
        assert!(error.message.contains("cannot open the datastore /nowhere/at/all"), "{error}");
    }
}

/// A file on a disk that can be full.
#[derive(Debug)]
struct OnDisk {
    file: FileBackend,
    is_full: Arc<AtomicBool>,
}

impl OnDisk {
    fn room(&self) -> io::Result<()> {
        if self.is_full.load(Ordering::Relaxed) { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

impl StorageBackend for OnDisk {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.room()?;
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.room()?;
        self.file.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }
}

#[tokio::test]
async fn a_disk_that_was_full_needs_no_restart() {
    let mut store = Store::new();
    store.put(&["before"], vec![1], Mode::MustCreate).await.unwrap();
    store.close();
    let is_full = Arc::new(AtomicBool::new(false));
    let file = OpenOptions::new().read(true).write(true).open(&store.path).unwrap();
    let disk = OnDisk { file: FileBackend::new(file).unwrap(), is_full: Arc::clone(&is_full) };
    let database = Database::builder().create_with_backend(disk).unwrap();
    store.open = Some(start(File { path: store.path.clone(), database: Some(database) }).unwrap());

    is_full.store(true, Ordering::Relaxed);
    let error = store.put(&["lost"], vec![2; 100_000], Mode::MustCreate).await.unwrap_err();
    assert!(error.message.contains("The datastore cannot be used"), "{error}");
    is_full.store(false, Ordering::Relaxed);
    store.put(&["after"], vec![3], Mode::MustCreate).await.unwrap();
    assert_eq!(store.get(&["before"]).await, Some(entry(0, &[1])));
    assert_eq!(store.get(&["lost"]).await, None, "it was refused");
    assert_eq!(store.get(&["after"]).await, Some(entry(0, &[3])));
}

#[tokio::test]
async fn jobs_are_done_in_the_order_in_which_they_were_handed_in() {
    let store = Store::new();
    let handle = store.open.as_ref().unwrap();
    let change = |data: u8| Change {
        key: Key::of(["k"]),
        data: vec![data],
        mode: Mode::CreateOrAppend,
        generation: None,
    };
    let answers: Vec<Work> = (0..=255)
        .map(|data| {
            handle.run(Box::new(move |entries| Ok(entries.change(change(data))?.generation.to_string())))
        })
        .collect();
    for (generation, answer) in answers.into_iter().enumerate() {
        assert_eq!(answer.await.unwrap(), generation.to_string());
    }
    assert_eq!(store.get(&["k"]).await.unwrap().data, (0..=255).collect::<Vec<u8>>());
}

#[tokio::test]
async fn a_refused_job_does_not_undo_its_neighbours() {
    let store = Store::new();
    let handle = store.open.as_ref().unwrap();
    let create = |key: &'static str| -> Job {
        let change = Change { key: Key::of([key]), data: vec![1], mode: Mode::MustCreate, generation: None };
        Box::new(move |entries| Ok(entries.change(change)?.generation.to_string()))
    };
    let answers = ["a", "a", "b"].map(|key| handle.run(create(key)));
    let [one, again, other] = answers;
    assert!(one.await.is_ok());
    assert_eq!(again.await.unwrap_err().code.number(), 1202);
    assert!(other.await.is_ok());
    assert_eq!(store.get(&["b"]).await, Some(entry(0, &[1])));
}

#[tokio::test]
async fn values_are_bounded_and_the_total_is_kept() {
    let store = Store::new();
    let usage = || async {
        store.run(|entries| Ok(entries.usage(None)?.to_string())).await.unwrap().parse::<usize>().unwrap()
    };
    store.put(&["big"], vec![7; crate::limits::MAX_DATASTORE_VALUE], Mode::MustCreate).await.unwrap();
    let error = store.put(&["big"], vec![7], Mode::MustAppend).await.unwrap_err();
    assert!(error.message.contains("spread it over several keys"), "{error}");
    assert_eq!(usage().await, crate::limits::MAX_DATASTORE_VALUE + 3);
    store.put(&["big"], vec![7; 10], Mode::MustReplace).await.unwrap();
    store.put(&["a", "b"], vec![7; 10], Mode::MustCreate).await.unwrap();
    assert_eq!(usage().await, 13 + 13);
    store.run(|entries| entries.delete(&Key::of(["big"]), None).map(|_| String::new())).await.unwrap();
    assert_eq!(usage().await, 13);
    let counted = store.run(|entries| Ok(entries.usage(Some(&Key::of(["a"])))?.to_string())).await;
    assert_eq!(counted.unwrap(), "13");
}

#[tokio::test]
async fn a_listing_is_bounded() {
    let store = Store::new();
    for number in 0..3 {
        let key = ["p", &number.to_string()];
        store.put(&key, vec![1; crate::limits::MAX_DATASTORE_VALUE], Mode::MustCreate).await.unwrap();
    }
    let list = |key: Option<Key>| {
        store.run(move |entries| {
            let mut count = 0;
            entries.list(key.as_ref(), |_, _| count += 1)?;
            Ok(count.to_string())
        })
    };
    assert_eq!(list(None).await.unwrap(), "1", "what is below is only summed up");
    assert!(list(Some(Key::of(["p"]))).await.unwrap_err().message.contains("naming a longer key"));
    assert_eq!(list(Some(Key::of(["p", "1"]))).await.unwrap(), "1");
}

/// However many wait, their answers are not all made before the first is handed out.
#[test]
fn a_transaction_ends_with_its_answers_bound() {
    const LEN: usize = 1024 * 1024;
    let directory = tempfile::tempdir().unwrap();
    let database = open(&directory.path().join(FILE)).unwrap();
    let mut jobs = (0..40).map(|_| -> Job { Box::new(|_| Ok("x".repeat(LEN))) });
    let results = entries::transact(&database, &mut jobs).unwrap();
    assert_eq!(results.len(), crate::limits::DATASTORE_BATCH_ANSWERS / LEN);
    assert_eq!(jobs.len(), 40 - results.len(), "the others wait for the next one");
}

#[tokio::test]
async fn a_store_that_ends_does_not_work_on_for_ever() {
    let store = Store::new();
    let (begin, has_begun) = std::sync::mpsc::channel();
    let (go, released) = std::sync::mpsc::channel();
    let handle = store.open.as_ref().unwrap();
    // Its answer ends the transaction.
    let long = "x".repeat(crate::limits::DATASTORE_BATCH_ANSWERS);
    let first = handle.run(Box::new(move |_| {
        begin.send(()).unwrap();
        released.recv().unwrap();
        Ok(long)
    }));
    let second = handle.run(Box::new(|_| Ok(String::new())));
    has_begun.recv().unwrap();
    handle.deadline.set(Instant::now()).unwrap();
    go.send(()).unwrap();
    assert!(first.await.is_ok());
    assert!(second.await.unwrap_err().message.contains("The datastore has ended"));
}

#[test]
fn keys_stand_before_their_children() {
    let key = |parts: &[&str]| Key::of(parts.iter().copied());
    let abc = key(&["a", "b", "c"]);
    assert_eq!(abc.depth(), 3);
    assert_eq!(abc.beginning(1), key(&["a"]));
    assert_eq!(abc.beginning(3), abc);
    assert_eq!(abc.parents().collect::<Vec<_>>(), [key(&["a"]), key(&["a", "b"])]);
    assert!(key(&["a"]).begins(abc.as_bytes()));
    assert!(!key(&["a"]).begins(key(&["ab"]).as_bytes()));
    assert!(key(&["a"]).as_bytes() < abc.as_bytes() && abc.as_bytes() < key(&["a!"]).as_bytes());
    // An empty part is a part; at the end Core Lightning loses it.
    assert_eq!(key(&["a", ""]).depth(), 2);
    assert_eq!(key(&["", "b"]).to_string(), "[,b]");
    assert!(key(&["", "b"]).begins_empty() && key(&[""]).begins_empty() && !abc.begins_empty());
}
