//! The entries of the store inside one transaction: what can be done with them, and when it is refused. Rules, codes and words
//! are Core Lightning's, except for the bounds on sizes, which it does not have.

use redb::{
    Database, ReadTransaction, ReadableTable as _, StorageError, Table, TableDefinition, TableError,
    WriteTransaction,
};

use super::Job;
use super::key::Key;
use crate::error::{ErrorCode, RpcError};
use crate::limits::{
    DATASTORE_BATCH_ANSWERS, MAX_DATASTORE_BYTES, MAX_DATASTORE_LISTING, MAX_DATASTORE_VALUE,
};

/// Generation and value, by the key as [`Key`] joins it.
const ENTRIES: TableDefinition<'_, &'static [u8], (u64, &'static [u8])> = TableDefinition::new("entries");
/// Bytes of all keys and values together, so that nobody has to count them.
const TOTAL: TableDefinition<'_, (), u64> = TableDefinition::new("total");

/// Why a job has no result.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// It is against the rules; nothing was changed by it.
    Rules(RpcError),
    /// The file cannot be read or written.
    Storage(StorageError),
}

impl From<RpcError> for Refusal {
    fn from(error: RpcError) -> Refusal {
        Refusal::Rules(error)
    }
}

impl From<StorageError> for Refusal {
    fn from(error: StorageError) -> Refusal {
        Refusal::Storage(error)
    }
}

/// A value and how often it was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) generation: u64,
    pub(crate) data: Vec<u8>,
}

/// What must hold of the key when it is written to, and what becomes of its value.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    MustCreate,
    MustReplace,
    CreateOrReplace,
    MustAppend,
    CreateOrAppend,
}

impl Mode {
    pub(crate) fn must_exist(self) -> bool {
        matches!(self, Mode::MustReplace | Mode::MustAppend)
    }

    fn appends(self) -> bool {
        matches!(self, Mode::MustAppend | Mode::CreateOrAppend)
    }
}

/// One write, as it was asked for.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) key: Key,
    pub(crate) data: Vec<u8>,
    pub(crate) mode: Mode,
    pub(crate) generation: Option<u64>,
}

/// Does the jobs in one transaction and answers when it is on disk. A transaction that changed nothing writes nothing. Ends
/// with the job that brings the answers to [`DATASTORE_BATCH_ANSWERS`]; those behind it are left in `jobs`.
///
/// # Errors
/// The file cannot be read or written; nothing was changed by any of those taken from `jobs`.
pub(super) fn transact(
    database: &Database,
    jobs: &mut impl Iterator<Item = Job>,
) -> Result<Vec<Result<String, RpcError>>, String> {
    let transaction = database.begin_write().map_err(|error| error.to_string())?;
    let (results, is_changed) = run(&transaction, jobs)?;
    if is_changed {
        transaction.commit().map_err(|error| error.to_string())?;
    } else {
        transaction.abort().map_err(|error| error.to_string())?;
    }
    Ok(results)
}

type Results = Vec<Result<String, RpcError>>;

fn run(
    transaction: &WriteTransaction,
    jobs: &mut impl Iterator<Item = Job>,
) -> Result<(Results, bool), String> {
    let unopened = |error: TableError| error.to_string();
    let mut entries = Entries {
        table: transaction.open_table(ENTRIES).map_err(unopened)?,
        total: transaction.open_table(TOTAL).map_err(unopened)?,
        is_changed: false,
    };
    let mut results = Vec::new();
    let mut answered: usize = 0;
    for job in jobs {
        match job(&mut entries) {
            Ok(result) => {
                answered = answered.saturating_add(result.len());
                results.push(Ok(result));
                if answered >= DATASTORE_BATCH_ANSWERS {
                    break;
                }
            }
            Err(Refusal::Rules(error)) => results.push(Err(error)),
            Err(Refusal::Storage(error)) => return Err(error.to_string()),
        }
    }
    Ok((results, entries.is_changed))
}

/// Whether the tables are ours. They are missing from a file that was made and never written to.
pub(super) fn check_tables(reading: &ReadTransaction) -> Result<(), String> {
    let missing_or_ours = |error: TableError| match error {
        TableError::TableDoesNotExist(_) => Ok(()),
        other => Err(other.to_string()),
    };
    reading.open_table(ENTRIES).map(drop).or_else(missing_or_ours)?;
    reading.open_table(TOTAL).map(drop).or_else(missing_or_ours)
}

/// All entries, within a transaction.
pub(crate) struct Entries<'t> {
    table: Table<'t, &'static [u8], (u64, &'static [u8])>,
    total: Table<'t, (), u64>,
    is_changed: bool,
}

impl Entries<'_> {
    /// The value of this key itself.
    pub(crate) fn get(&self, key: &Key) -> Result<Option<Entry>, Refusal> {
        let found = self.table.get(key.as_bytes())?;
        Ok(found.map(|found| {
            let (generation, data) = found.value();
            Entry { generation, data: data.to_vec() }
        }))
    }

    /// What there is under the key before the change.
    ///
    /// # Errors
    /// The change is against the rules, which are looked at in Core Lightning's order.
    pub(crate) fn before(&self, change: &Change) -> Result<Option<Entry>, Refusal> {
        let Change { key, mode, generation, .. } = change;
        let refused = |code, text: String| Err(RpcError::new(code, text).into());
        let before = self.get(key)?;
        if before.is_none() {
            if let Some(next) = self.table.range(key.as_bytes()..)?.next()
                && key.begins(next?.0.value())
            {
                return refused(ErrorCode::DatastoreHasChildren, "Key has children already".to_owned());
            }
            for parent in key.parents() {
                if self.table.get(parent.as_bytes())?.is_some() {
                    return refused(ErrorCode::DatastoreHasParent, format!("Parent key {parent} exists"));
                }
            }
        }
        match &before {
            Some(_) if *mode == Mode::MustCreate => {
                refused(ErrorCode::DatastoreExists, "Key already exists".to_owned())
            }
            None if mode.must_exist() => {
                refused(ErrorCode::DatastoreMissing, "Key does not exist".to_owned())
            }
            Some(entry) if generation.is_some_and(|wanted| wanted != entry.generation) => {
                refused(ErrorCode::DatastoreGeneration, "generation is different".to_owned())
            }
            _ => Ok(before),
        }
    }

    /// Carries a change out.
    ///
    /// # Errors
    /// As [`before`](Self::before), or a bound would be passed.
    pub(crate) fn change(&mut self, change: Change) -> Result<Entry, Refusal> {
        let before = self.before(&change)?;
        let Change { key, data, mode, .. } = change;
        let generation = before.as_ref().map_or(0, |entry| entry.generation.saturating_add(1));
        let old_len = before.as_ref().map(|entry| entry.data.len());
        let data = match before {
            Some(entry) if mode.appends() => [entry.data, data].concat(),
            _ => data,
        };
        if data.len() > MAX_DATASTORE_VALUE {
            return Err(RpcError::failed(format_args!(
                "The value would have {} bytes, but the datastore takes at most {MAX_DATASTORE_VALUE} under one key: \
                 spread it over several keys",
                data.len()
            ))
            .into());
        }
        let weight = |len: usize| bytes(key.as_bytes().len().saturating_add(len));
        let total =
            self.total()?.saturating_sub(old_len.map_or(0, weight)).saturating_add(weight(data.len()));
        if total > MAX_DATASTORE_BYTES {
            return Err(RpcError::failed(format_args!(
                "The datastore would have {total} bytes, but it takes at most {MAX_DATASTORE_BYTES}: delete something first"
            ))
            .into());
        }
        self.table.insert(key.as_bytes(), (generation, data.as_slice()))?;
        self.set_total(total)?;
        Ok(Entry { generation, data })
    }

    /// The entry that [`delete`](Self::delete) would delete.
    ///
    /// # Errors
    /// There is none, or it is of another generation.
    pub(crate) fn deletable(&self, key: &Key, generation: Option<u64>) -> Result<Entry, Refusal> {
        let refused = |code, text| Err(RpcError::new(code, text).into());
        match self.get(key)? {
            None => refused(ErrorCode::DatastoreDeleteMissing, "Key does not exist"),
            Some(entry) if generation.is_some_and(|wanted| wanted != entry.generation) => {
                refused(ErrorCode::DatastoreDeleteGeneration, "generation is different")
            }
            Some(entry) => Ok(entry),
        }
    }

    /// Deletes an entry and hands it out.
    ///
    /// # Errors
    /// As [`deletable`](Self::deletable).
    pub(crate) fn delete(&mut self, key: &Key, generation: Option<u64>) -> Result<Entry, Refusal> {
        let entry = self.deletable(key, generation)?;
        self.table.remove(key.as_bytes())?;
        let weight = bytes(key.as_bytes().len().saturating_add(entry.data.len()));
        self.set_total(self.total()?.saturating_sub(weight))?;
        Ok(entry)
    }

    /// Shows `each` the entries one level below the key, and the key's own; of those further below only their beginning, once
    /// and without an entry.
    ///
    /// # Errors
    /// There is more than one answer may carry.
    pub(crate) fn list(
        &self,
        under: Option<&Key>,
        mut each: impl FnMut(&Key, Option<&Entry>),
    ) -> Result<(), Refusal> {
        let shown_depth = under.map_or(0, Key::depth).saturating_add(1);
        let mut listed: usize = 0;
        let mut summary: Option<Key> = None;
        for entry in self.table.range(under.map_or(&[][..], Key::as_bytes)..)? {
            let (stored, value) = entry?;
            if under.is_some_and(|under| !under.begins(stored.value())) {
                break;
            }
            // What is summed up already is not looked at.
            if summary.as_ref().is_some_and(|summary| summary.begins(stored.value())) {
                continue;
            }
            let key = Key::stored(stored.value());
            let (generation, data) = value.value();
            let is_deeper = key.depth() > shown_depth;
            let len = key.as_bytes().len().saturating_add(if is_deeper { 0 } else { data.len() });
            listed = listed.saturating_add(len);
            if listed > MAX_DATASTORE_LISTING {
                return Err(RpcError::failed(format_args!(
                    "There are more than {MAX_DATASTORE_LISTING} bytes to list: list less at once by naming a longer key"
                ))
                .into());
            }
            if is_deeper {
                let beginning = key.beginning(shown_depth);
                each(&beginning, None);
                summary = Some(beginning);
            } else {
                each(&key, Some(&Entry { generation, data: data.to_vec() }));
            }
        }
        Ok(())
    }

    /// Bytes of the keys and values from this key on down; of everything without one.
    pub(crate) fn usage(&self, under: Option<&Key>) -> Result<u64, Refusal> {
        let Some(under) = under else { return self.total() };
        let mut used: u64 = 0;
        for entry in self.table.range(under.as_bytes()..)? {
            let (stored, value) = entry?;
            if !under.begins(stored.value()) {
                break;
            }
            let len = stored.value().len().saturating_add(value.value().1.len());
            used = used.saturating_add(bytes(len));
        }
        Ok(used)
    }

    fn total(&self) -> Result<u64, Refusal> {
        Ok(self.total.get(())?.map_or(0, |total| total.value()))
    }

    fn set_total(&mut self, total: u64) -> Result<(), Refusal> {
        self.total.insert((), total)?;
        self.is_changed = true;
        Ok(())
    }
}

fn bytes(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}
