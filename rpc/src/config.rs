//! What the user wants of the daemon: from words on a command line and in files to a [`Config`] with every default filled in.
//!
//! ```text
//! command_line ─┐
//!               ├─► Setting ... ─► OptionTable (who has this option?) ─► Options (clap) ─► Config
//! file ─────────┘
//! ```
//!
//! Files come first and the command line last, since of two settings the later one counts. [`read`] does all of it as far as
//! it can be done before plugins run: it reads configuration files, looks up host names in `--addr`, and makes nothing, so
//! that a mistake is reported before anything is changed. What only a plugin can know stays in the table for it.

use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::{CommandFactory, Parser};
use oddwire_node::Network;

use crate::log::LogSettings;
use file::Need;
use saved::SavedSettings;
use setting::{FileRole, Setting, Source};
use table::{OptionTable, Policy, SettingError};

mod address;
mod command_line;
mod file;
pub mod option;
mod options;
mod own;
pub mod saved;
pub mod setting;
pub mod table;
#[cfg(test)]
mod tests;

pub use address::AddressError;
pub use file::IncludeError;
pub use options::{NodeOptions, Options};

/// Longest alias in bytes (BOLT 7, `node_announcement`); a longer one is refused.
const MAX_ALIAS_LEN: usize = 32;

/// Mode of the RPC socket if none is given: whoever may write to it owns the node, so its user only.
const DEFAULT_RPC_FILE_MODE: u32 = 0o600;

/// Name of the RPC socket in the network's directory, the same as Core Lightning's.
pub const RPC_FILE: &str = "lightning-rpc";

/// Name of a configuration file in the lightning directory and in the network's directory.
pub const CONFIG_FILE: &str = "config";

/// What a command line asks for.
#[derive(Debug)]
pub enum Request {
    /// A running daemon.
    Run(Box<Config>, Arc<OptionTable>),
    /// The help, which is this text.
    Help(String),
    /// The version.
    Version,
}

/// What the daemon runs with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Where the node keeps everything.
    pub place: NodePlace,
    /// The file of `--conf`, absolute.
    pub conf: Option<PathBuf>,
    /// Where to listen for peers.
    pub listen: Listen,
    /// Whether `connect` may look up names.
    pub names: Names,
    /// The node's name, if the user gave one.
    pub alias: Option<String>,
    /// The node's colour, red, green, blue, if the user gave one.
    pub rgb: Option<[u8; 3]>,
    /// How the key is unlocked.
    pub key_unlock: KeyUnlock,
    /// Permissions of the RPC socket.
    pub rpc_file_mode: u32,
    /// A file for the process id, absolute.
    pub pid_file: Option<PathBuf>,
    /// The log.
    pub log: LogSettings,
    /// Which plugins to start.
    pub plugins: PluginSettings,
    /// What is on its way out.
    pub deprecated: Deprecated,
    /// `--developer` was given.
    pub developer: bool,
    /// `--daemon` was given.
    pub daemon: bool,
}

/// The directories and the socket of one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodePlace {
    /// The network.
    pub network: Network,
    /// `--lightning-dir`, absolute.
    pub lightning_dir: PathBuf,
    /// The RPC socket; relative to [`NodePlace::network_dir`] unless the user gave an absolute path.
    pub rpc_file: PathBuf,
}

impl NodePlace {
    /// `<lightning-dir>/<network>`: the key, the socket and the lock are here.
    pub fn network_dir(&self) -> PathBuf {
        self.lightning_dir.join(self.network.name())
    }

    /// The RPC socket, absolute.
    pub fn rpc_path(&self) -> PathBuf {
        self.network_dir().join(&self.rpc_file)
    }
}

/// Where to listen for peers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// Nowhere: `--autolisten=false` or `--offline`.
    Nowhere,
    /// On the network's default port on all addresses: the user said nothing.
    Default {
        /// IPv6 first: where one socket serves both families, the second is not needed.
        addresses: [SocketAddr; 2],
    },
    /// On these, all of which must succeed.
    On(Vec<SocketAddr>),
}

/// Whether names may be looked up.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Names {
    /// They are.
    LookedUp,
    /// They are not: `--disable-dns`.
    Refused,
}

/// How the key in the `hsm_secret` file is unlocked.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum KeyUnlock {
    /// It has no passphrase.
    None,
    /// The user is asked for its passphrase: `--hsm-passphrase`.
    AskForPassphrase,
}

/// What to do with options and parameters that are on their way out.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Deprecated {
    /// They are taken.
    Taken,
    /// They are refused: `--allow-deprecated-apis=false`.
    Refused,
}

/// Which plugins to start. `--clear-plugins` has been heeded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PluginSettings {
    /// `--plugin`, absolute.
    pub files: Vec<PathBuf>,
    /// `--plugin-dir`, absolute.
    pub directories: Vec<PathBuf>,
    /// `--important-plugin`, absolute.
    pub important: Vec<PathBuf>,
    /// `--disable-plugin`: paths or file names.
    pub disabled: Vec<String>,
    /// `--restart-important-plugins`.
    pub important_death: ImportantDeath,
    /// `--dev-plugin-patience`: no wait for a plugin is longer.
    pub patience: Option<Duration>,
}

/// What the end of an important plugin means.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum ImportantDeath {
    /// The daemon ends as well, with exit status 1, as Core Lightning does.
    #[default]
    EndsDaemon,
    /// The plugin is started again, after a pause that grows each time.
    Restarts,
}

impl PluginSettings {
    /// No option asks for any plugin.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.directories.is_empty() && self.important.is_empty()
    }
}

/// An option that cannot be right.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// An argument that does not begin with a dash, or a dash that means nothing.
    #[error("{0}: there are no arguments but options, such as --alias=TEXT")]
    NoOption(String),
    /// An argument that is no UTF-8.
    #[error("{0}: the argument is no text in UTF-8")]
    NoText(String),
    /// A configuration file cannot be read.
    #[error("cannot read the configuration file {}: {error}", path.display())]
    ReadFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A line `include` of a configuration file.
    #[error("Config file {} line {line}: {error}", path.display())]
    Include {
        /// The file that includes another.
        path: PathBuf,
        /// Its line.
        line: usize,
        /// What is wrong.
        error: IncludeError,
    },
    /// An option whose name or value is wrong.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// An option that is not taken in this place.
    #[error("{}: not permitted in {whereabouts}", table::place(setting))]
    Misplaced {
        /// The option.
        setting: Box<Setting>,
        /// Where it does not belong.
        whereabouts: &'static str,
    },
    /// An option's value is not what the option wants.
    #[error("{}: {problem}", table::place(setting))]
    Value {
        /// The option.
        setting: Box<Setting>,
        /// What is wrong.
        problem: String,
    },
    /// The options together make no sense to the parser.
    #[error("{0}")]
    Options(String),
    /// `--lightning-dir` is missing and there is no home directory to derive it from.
    #[error(
        "there is no home directory (HOME is no absolute path), so there is no default for --lightning-dir: give one"
    )]
    NoHome,
    /// The current directory, which a relative path starts in, cannot be found.
    #[error(
        "--lightning-dir or another path is relative and the current directory cannot be read ({0}): give an absolute path"
    )]
    NoCurrentDir(io::Error),
    /// Unknown `--network`.
    #[error("--network={0}: unknown network name; it is one of bitcoin, testnet, testnet4, signet, regtest")]
    Network(String),
    /// An address of `--addr` or `--bind-addr`.
    #[error("--{option}={text}: {error}")]
    Address {
        /// The option's name.
        option: &'static str,
        /// What was written.
        text: String,
        /// What is wrong.
        error: AddressError,
    },
    /// `--alias` is too long.
    #[error("--alias={0}: over {MAX_ALIAS_LEN} bytes, which is what other nodes accept")]
    Alias(String),
    /// `--rgb` is not a colour.
    #[error("--rgb={0}: it is six hex digits, such as 02bf81")]
    Rgb(String),
    /// `--rpc-file-mode` is not a mode.
    #[error("--rpc-file-mode={0}: it is four octal digits that start with 0, such as 0600")]
    Mode(String),
    /// `--always-use-proxy`.
    #[error(
        "--always-use-proxy=true: this daemon can use no proxy, and would connect directly: leave the option out"
    )]
    Proxy,
    /// `--daemon` without `--log-file`.
    #[error("--daemon needs --log-file: nobody sees the standard output of a process in the background")]
    DaemonWithoutLog,
}

/// Reads a command line, which begins with the program's name, and the configuration files that it leads to.
///
/// # Errors
/// The first mistake. An option that nobody knows is none yet, since a plugin may have it: see
/// [`OptionTable::refuse_unknown`].
pub fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Request, ConfigError> {
    let specs = own::specs();
    let given = command_line::settings(arguments.into_iter().skip(1), &specs)?;
    if given.iter().any(|setting| setting.name == "help") {
        return Ok(Request::Help(Options::command().render_help().to_string()));
    }
    if given.iter().any(|setting| setting.name == "version") {
        return Ok(Request::Version);
    }
    let (mut settings, conf) = from_files(&given)?;
    settings.extend(given);
    settings.iter().try_for_each(refuse_misplaced)?;

    let options = own::parse(&specs, &settings)?;
    let policy = Policy {
        developer: options.developer,
        refuse_deprecated: options.allow_deprecated_apis == Some(false),
    };
    let mut config = options.resolve().map_err(|error| in_its_file(error, &settings))?;
    config.conf = conf;
    config.plugins = own::plugins(&settings)?;
    let table = OptionTable::new(own::with_defaults(specs, &config), settings, policy);
    let table = table.saved_in(SavedSettings::new(&config));
    table.judge_own()?;
    Ok(Request::Run(Box::new(config), Arc::new(table)))
}

/// What the configuration files say: that of `--conf` alone, or else those that lie in the node's directories.
fn from_files(given: &[Setting]) -> Result<(Vec<Setting>, Option<PathBuf>), ConfigError> {
    let last = |name| given.iter().rfind(|setting| setting.name == name)?.value.as_deref();
    if let Some(conf) = last("conf") {
        let conf = std::path::absolute(conf).map_err(ConfigError::NoCurrentDir)?;
        let settings = file::settings(&conf, FileRole::Explicit, Need::Must)?;
        return Ok((settings, Some(conf)));
    }
    let place = place_of(given)?;
    let config = |directory: &Path, role| file::settings(&directory.join(CONFIG_FILE), role, Need::May);
    let mut settings = config(&place.lightning_dir, FileRole::Global)?;
    // The global file may name the network; the command line has the last word.
    let place = place_of(&[&settings, given].concat())?;
    settings.extend(config(&place.network_dir(), FileRole::Network)?);
    Ok((settings, None))
}

/// Where the node is, by these settings.
fn place_of(settings: &[Setting]) -> Result<NodePlace, ConfigError> {
    const PLACE: [&str; 7] =
        ["lightning-dir", "network", "mainnet", "testnet", "testnet4", "signet", "regtest"];
    let arguments = settings.iter().filter(|setting| PLACE.contains(&setting.name.as_str()));
    let arguments = arguments.map(|setting| format!("--{setting}"));
    let options = Options::try_parse_from(["oddwired".to_owned()].into_iter().chain(arguments));
    // What is wrong with it is told when all options are looked at.
    options.unwrap_or_default().node.resolve().map_err(|error| in_its_file(error, settings))
}

/// A configuration file cannot name itself, nor the directory or the network in which it was found.
fn refuse_misplaced(setting: &Setting) -> Result<(), ConfigError> {
    let Source::File { role, .. } = setting.source else { return Ok(()) };
    let whereabouts = match (setting.name.as_str(), role) {
        ("conf" | "help" | "version", _) => "configuration files",
        ("lightning-dir", FileRole::Global | FileRole::Network) => "implicit configuration files",
        ("network" | "mainnet" | "testnet" | "testnet4" | "signet" | "regtest", FileRole::Network) => {
            "network-specific configuration files"
        }
        _ => return Ok(()),
    };
    Err(ConfigError::Misplaced { setting: Box::new(setting.clone()), whereabouts })
}

/// Names file and line if that is where the wrong value stands.
fn in_its_file(error: ConfigError, settings: &[Setting]) -> ConfigError {
    let said = error.to_string();
    let is_meant = |setting: &&Setting| {
        matches!(setting.source, Source::File { .. }) && said.starts_with(&format!("--{setting}: "))
    };
    match settings.iter().rfind(is_meant) {
        Some(setting) => {
            let problem = said.get(setting.to_string().len() + "--: ".len()..).unwrap_or_default().to_owned();
            ConfigError::Value { setting: Box::new(setting.clone()), problem }
        }
        None => error,
    }
}
