//! One option as somebody gave it, and where: what `command_line` and `file` find,
//! before anybody knows whether there is such an option.

use core::fmt;
use std::path::PathBuf;

/// An option that was given, with or without a value.
#[derive(Clone, PartialEq, Eq)]
pub struct Setting {
    /// The option's name, without dashes.
    pub name: String,
    /// What follows the `=`.
    pub value: Option<String>,
    /// Where it was given.
    pub source: Source,
}

impl Setting {
    /// The same for those who may not see the value.
    pub(super) fn without_value(&self) -> Setting {
        Setting { value: None, ..self.clone() }
    }
}

/// Where a setting comes from. As text, what `listconfigs` calls it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The command line of the daemon.
    CommandLine,
    /// A configuration file.
    File {
        /// Its path.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// Which kind of file it is.
        role: FileRole,
    },
    /// The parameters of `plugin start`.
    PluginStart,
    /// `setconfig` with `transient`.
    Transient,
}

/// What a configuration file is there for. Some options make no sense in some of them.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum FileRole {
    /// The file of `--conf`.
    Explicit,
    /// `<lightning-dir>/config`.
    Global,
    /// `<lightning-dir>/<network>/config`.
    Network,
}

/// As it would stand in a configuration file.
impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{}={value}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// The value may be a secret of a plugin's.
impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setting")
            .field("name", &self.name)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::CommandLine => f.write_str("cmdline"),
            Source::File { path, line, .. } => write!(f, "{}:{line}", path.display()),
            Source::PluginStart => f.write_str("pluginstart"),
            Source::Transient => f.write_str("setconfig transient"),
        }
    }
}
