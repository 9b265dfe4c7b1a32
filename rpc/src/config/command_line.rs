//! The command line as a list of [`Setting`]s, before anybody knows all the options: `--name=value`, `--name value`, `--name`,
//! and `-h` and `-V`.
//!
//! Of an option that is not known yet, which may be a plugin's, the next word is taken for its value unless it starts with a
//! dash. Whoever wants to be sure writes `--name=value`.

use std::ffi::OsString;

use super::ConfigError;
use super::option::{OptionKind, OptionSpec};
use super::setting::{Setting, Source};

/// Reads the arguments, without the program's name.
///
/// # Errors
/// A word that is no option, or is no text.
pub(super) fn settings(
    arguments: impl IntoIterator<Item = OsString>,
    known: &[OptionSpec],
) -> Result<Vec<Setting>, ConfigError> {
    let mut words = Vec::new();
    for argument in arguments {
        words.push(
            argument
                .into_string()
                .map_err(|word| ConfigError::NoText(word.to_string_lossy().into_owned()))?,
        );
    }
    let mut words = words.into_iter().peekable();
    let mut found = Vec::new();
    while let Some(word) = words.next() {
        let name = match word.as_str() {
            "-h" => "help",
            "-V" => "version",
            _ => word.strip_prefix("--").ok_or_else(|| ConfigError::NoOption(word.clone()))?,
        };
        let (name, mut value) = match name.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (name, None),
        };
        if name.is_empty() {
            return Err(ConfigError::NoOption(word));
        }
        let is_flag = known.iter().any(|spec| spec.name == name && spec.kind == OptionKind::Flag);
        if value.is_none() && !is_flag {
            let is_known = known.iter().any(|spec| spec.name == name);
            value = words.next_if(|next| is_known || !next.starts_with('-'));
        }
        found.push(Setting { name: name.to_owned(), value, source: Source::CommandLine });
    }
    Ok(found)
}
