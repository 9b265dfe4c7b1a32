//! Configuration files: options without their dashes, one a line, as Core Lightning reads them.
//!
//! ```text
//! # a comment, which starts at the beginning of its line
//! alias=bob
//! developer
//! include other-file
//! ```
//!
//! An included file's path starts in the directory of the file that includes it. Nothing is unquoted, and no end of line is
//! part of a value.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::ConfigError;
use super::setting::{FileRole, Setting, Source};
use crate::limits::{MAX_CONFIG_LEN, MAX_INCLUDE_DEPTH};

/// Whether a file may be missing.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// The user named it.
    Must,
    /// It is looked for where it may be.
    May,
}

/// Reads a file and what it includes, in their order.
///
/// # Errors
/// A file cannot be read, is no text, is larger than a configuration is, or is included by itself.
pub(super) fn settings(path: &Path, role: FileRole, need: Need) -> Result<Vec<Setting>, ConfigError> {
    let mut found = Vec::new();
    match read(path) {
        // A directory that is none is told by whoever makes the directories.
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
                && need == Need::May => {}
        Err(error) => return Err(ConfigError::ReadFile { path: path.to_owned(), error }),
        Ok(text) => collect(path, &text, role, &mut Vec::new(), &mut found)?,
    }
    Ok(found)
}

/// `outer` are the files that are being read, from the first to the one that includes `path`.
fn collect(
    path: &Path,
    text: &str,
    role: FileRole,
    outer: &mut Vec<PathBuf>,
    found: &mut Vec<Setting>,
) -> Result<(), ConfigError> {
    outer.push(path.to_owned());
    for (place, line) in text.lines().enumerate() {
        let line_number = place.saturating_add(1);
        // Spaces at the end are no part of any value, at the beginning of a line they are a mistake to be told.
        let line = line.trim_end();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(included) = line.strip_prefix("include ") {
            let directory = path.parent().unwrap_or(Path::new(""));
            let included = directory.join(included.trim_start());
            let failed = |error| ConfigError::Include { path: path.to_owned(), line: line_number, error };
            if outer.contains(&included) || outer.len() >= MAX_INCLUDE_DEPTH {
                return Err(failed(IncludeError::Loop(included)));
            }
            let text =
                read(&included).map_err(|error| failed(IncludeError::Read(included.clone(), error)))?;
            collect(&included, &text, role, outer, found)?;
            continue;
        }
        let (name, value) = match line.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (line, None),
        };
        let source = Source::File { path: path.to_owned(), line: line_number, role };
        found.push(Setting { name: name.to_owned(), value, source });
    }
    outer.pop();
    Ok(())
}

/// Why an `include` leads nowhere.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IncludeError {
    /// The file is being read already, or it is included too deep for that not to be.
    #[error("{} is included by itself, or more than {MAX_INCLUDE_DEPTH} files deep", .0.display())]
    Loop(PathBuf),
    /// It cannot be read.
    #[error("cannot read {}: {}", .0.display(), .1)]
    Read(PathBuf, io::Error),
}

fn read(path: &Path) -> io::Result<String> {
    let limit = u64::try_from(MAX_CONFIG_LEN).unwrap_or(u64::MAX);
    let mut text = String::new();
    let length = File::open(path)?.take(limit.saturating_add(1)).read_to_string(&mut text)?;
    if length > MAX_CONFIG_LEN {
        let what = format!("it is longer than {MAX_CONFIG_LEN} bytes, which no configuration is");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, what));
    }
    Ok(text)
}
