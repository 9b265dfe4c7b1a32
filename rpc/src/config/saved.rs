//! What `setconfig` writes, so that it lasts: a file of its own, `config.setconfig`, which the configuration file includes.
//!
//! Lines that are overridden by it are commented out where they stand, since a file that says two things helps nobody; in our
//! own file the new value takes their place, so that it does not grow with every change. Every file is written anew beside the
//! old one and takes its place in one step; a line that has been changed by somebody else since the daemon read it is not
//! touched, and then nothing is.

use std::ffi::OsString;
use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::setting::{FileRole, Setting, Source};
use super::{CONFIG_FILE, Config};

#[cfg(test)]
mod tests;

/// Where settings are saved.
#[derive(Clone, Debug)]
pub struct SavedSettings {
    /// The file that includes ours.
    base: PathBuf,
    role: FileRole,
}

/// Why a setting cannot be saved. Nothing is changed then, unless a disk fails in the middle.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SaveError {
    /// A file cannot be read or written.
    #[error("Cannot write to config file {}: {error}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The line is not what the daemon read.
    #[error("Configfile {} line {line} changed since it was read: restart the daemon, or restore the line", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// The value has more than one line, or ends with what is cut off when a line is read.
    #[error("a value in a configuration file cannot have an end of line in it, nor spaces at its end")]
    Unwritable,
}

impl SavedSettings {
    /// Beside the file of `--conf`, or in the network's directory.
    pub fn new(config: &Config) -> SavedSettings {
        match &config.conf {
            Some(conf) => SavedSettings { base: conf.clone(), role: FileRole::Explicit },
            None => {
                SavedSettings { base: config.place.network_dir().join(CONFIG_FILE), role: FileRole::Network }
            }
        }
    }

    /// Beside this file of a network.
    #[cfg(test)]
    pub(super) fn beside(base: PathBuf) -> SavedSettings {
        SavedSettings { base, role: FileRole::Network }
    }

    /// Saves these values of an option, in place of what it was set to, and says where each stands now. Blocks.
    ///
    /// # Errors
    /// [`SaveError`].
    pub fn save(
        &self,
        name: &str,
        before: &[Setting],
        values: &[Option<String>],
    ) -> Result<Vec<Setting>, SaveError> {
        if !values.iter().flatten().all(|value| is_writable(value)) {
            return Err(SaveError::Unwritable);
        }
        let own = self.own_file();
        let mut files = Vec::new();
        for setting in before {
            if let Source::File { path, line, .. } = &setting.source {
                let text = open(&mut files, path)?;
                let place = line.saturating_sub(1);
                let known = setting.to_string();
                match text.lines.get_mut(place).filter(|line| line.trim_end() == known) {
                    // Free for what is written below; other lines keep their numbers, which others know them by.
                    Some(line) if *path == own => line.clear(),
                    Some(line) => *line = format!("# set by setconfig (see {}): {line}", file_name(&own)),
                    None => return Err(SaveError::Changed { path: path.clone(), line: *line }),
                }
            }
        }
        let include = format!("include {}", file_name(&own));
        let base = open(&mut files, &self.base)?;
        if !base.lines.iter().any(|line| line.trim_end() == include) {
            base.lines.push("# Added by setconfig.".to_owned());
            base.lines.push(include);
        }
        let text = open(&mut files, &own)?;
        if text.lines.is_empty() {
            text.lines.push("# Written by setconfig. Edit it while the daemon does not run.".to_owned());
        }
        let mut saved = Vec::new();
        for (value, place) in values.iter().zip(text.free_places()) {
            let source = Source::File { path: own.clone(), line: place.saturating_add(1), role: self.role };
            let setting = Setting { name: name.to_owned(), value: value.clone(), source };
            match text.lines.get_mut(place) {
                Some(line) => *line = setting.to_string(),
                None => text.lines.push(setting.to_string()),
            }
            saved.push(setting);
        }
        // Ours first: should the rest fail, it is included by nobody, or overrides what still stands elsewhere.
        files.reverse();
        files.iter().try_for_each(Text::write)?;
        Ok(saved)
    }

    fn own_file(&self) -> PathBuf {
        let mut path = OsString::from(&self.base);
        path.push(".setconfig");
        path.into()
    }
}

/// Whether a value is read from a file as it was written there.
pub fn is_writable(value: &str) -> bool {
    !value.contains(['\n', '\r']) && value.trim_end() == value
}

/// A file as it is going to be.
struct Text {
    path: PathBuf,
    lines: Vec<String>,
}

/// The file's text, read once. A link is followed now: it is what it leads to that will be replaced.
fn open<'t>(files: &'t mut Vec<Text>, path: &Path) -> Result<&'t mut Text, SaveError> {
    let failed = |error| SaveError::Write { path: path.to_owned(), error };
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let known = files.iter().position(|text| text.path == *path);
    let place = known.unwrap_or(files.len());
    if known.is_none() {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(failed(error)),
        };
        files.push(Text { path: path.to_owned(), lines: text.lines().map(str::to_owned).collect() });
    }
    files.get_mut(place).ok_or_else(|| failed(io::ErrorKind::NotFound.into()))
}

impl Text {
    /// The lines that can be written to, from the first on: empty ones, then those behind the last.
    fn free_places(&self) -> impl Iterator<Item = usize> + use<> {
        let empty: Vec<usize> = self
            .lines
            .iter()
            .enumerate()
            .filter(|(_, line)| line.is_empty())
            .map(|(place, _)| place)
            .collect();
        empty.into_iter().chain(self.lines.len()..)
    }

    /// Puts it in the place of the file that is there, whose permissions stay. A new one is for its user only: values may be
    /// secrets.
    fn write(&self) -> Result<(), SaveError> {
        let failed = |error| SaveError::Write { path: self.path.clone(), error };
        let mut beside = OsString::from(&self.path);
        beside.push(".new");
        let beside = PathBuf::from(beside);
        let write = || {
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
            let present = fs::metadata(&self.path).map(|metadata| metadata.permissions());
            file.set_permissions(present.unwrap_or_else(|_| Permissions::from_mode(0o600)))?;
            for line in &self.lines {
                writeln!(file, "{line}")?;
            }
            file.sync_all()?;
            fs::rename(&beside, &self.path)
        };
        write().map_err(|error| {
            // What is half written is of no use.
            let _ = fs::remove_file(&beside);
            failed(error)
        })
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
