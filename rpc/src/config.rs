//! The options of `oddwired`, under Core Lightning's names, and what they come to: a [`Config`] with every default filled in.
//!
//! [`Options`] is what was written; [`Options::resolve`] checks it and knows the defaults. Nothing here touches the disk, the
//! network (except to resolve a host name in `--addr`) or the log, so a mistake is reported before anything is made.
//!
//! A configuration file is a list of these same options without their dashes: whoever reads one puts its lines in front of the
//! command line, and because a later option overrides an earlier one the command line wins. Options that are not known when
//! the daemon is built would be added to [`Options`]' `clap` command before it is parsed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Parser};
use oddwire_node::Network;

use crate::log::{LevelRule, LogSettings};

mod address;
#[cfg(test)]
mod tests;

pub use address::AddressError;

/// Longest alias in bytes (BOLT 7, `node_announcement`); a longer one is refused.
const MAX_ALIAS_LEN: usize = 32;

/// Mode of the RPC socket if none is given: whoever may write to it owns the node, so its user only.
const DEFAULT_RPC_FILE_MODE: u32 = 0o600;

/// Name of the RPC socket in the network's directory, the same as Core Lightning's.
pub const RPC_FILE: &str = "lightning-rpc";

/// The options that say which node is meant. `oddwired` and `oddwire-cli` share them.
#[derive(Clone, Debug, Default, clap::Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "one for each option, as the user wrote them; `resolve` makes one value of them"
)]
pub struct NodeOptions {
    /// Directory for everything the node keeps; each network has its own subdirectory [default: ~/.oddwire]
    #[arg(long, value_name = "DIR")]
    pub lightning_dir: Option<PathBuf>,

    /// Network: bitcoin, testnet, testnet4, signet or regtest [default: bitcoin]
    #[arg(long, value_name = "NAME", overrides_with_all = ["mainnet", "testnet", "testnet4", "signet", "regtest"])]
    pub network: Option<String>,

    /// Same as --network=bitcoin
    #[arg(long, overrides_with_all = ["network", "testnet", "testnet4", "signet", "regtest"])]
    pub mainnet: bool,

    /// Same as --network=testnet
    #[arg(long, overrides_with_all = ["network", "mainnet", "testnet4", "signet", "regtest"])]
    pub testnet: bool,

    /// Same as --network=testnet4
    #[arg(long, overrides_with_all = ["network", "mainnet", "testnet", "signet", "regtest"])]
    pub testnet4: bool,

    /// Same as --network=signet
    #[arg(long, overrides_with_all = ["network", "mainnet", "testnet", "testnet4", "regtest"])]
    pub signet: bool,

    /// Same as --network=regtest
    #[arg(long, overrides_with_all = ["network", "mainnet", "testnet", "testnet4", "signet"])]
    pub regtest: bool,

    /// JSON-RPC socket; a relative path starts in the network's directory [default: lightning-rpc]
    #[arg(long, value_name = "FILE")]
    pub rpc_file: Option<PathBuf>,
}

/// The command line of `oddwired`.
#[derive(Clone, Debug, Default, Parser)]
#[command(
    name = "oddwired",
    about = "A Lightning node that does nothing but connect to peers and pass messages, without a bitcoin backend",
    disable_version_flag = true,
    args_override_self = true
)]
pub struct Options {
    /// Which node.
    #[command(flatten)]
    pub node: NodeOptions,

    /// Where to listen: `IP[:PORT]`, `[IPV6]:PORT`, `HOST[:PORT]`, `:PORT` for all addresses; repeatable, replaces the default.
    // The help is written again, without the backticks that this comment cannot do without.
    #[arg(
        long,
        value_name = "ADDRESS",
        action = ArgAction::Append,
        help = "Listen here: IP[:PORT], [IPV6]:PORT, HOST[:PORT], :PORT for all addresses; repeatable, replaces the default"
    )]
    pub addr: Vec<String>,

    /// The same as --addr, for those who do not want the address announced (nothing is announced yet)
    #[arg(long, value_name = "ADDRESS", action = ArgAction::Append)]
    pub bind_addr: Vec<String>,

    /// Listen on the network's default port on all addresses if no address is given [default: true]
    #[arg(long, value_name = "BOOL", action = ArgAction::Set, value_parser = BoolishValueParser::new())]
    pub autolisten: Option<bool>,

    /// Name of the node, up to 32 bytes [default: made from the node's id]
    #[arg(long, value_name = "TEXT")]
    pub alias: Option<String>,

    /// Colour of the node, RRGGBB [default: the first three bytes of the node's id]
    #[arg(long, value_name = "RRGGBB")]
    pub rgb: Option<String>,

    /// Permissions of the JSON-RPC socket, four octal digits [default: 0600]
    #[arg(long, value_name = "MODE")]
    pub rpc_file_mode: Option<String>,

    /// What to log: io, trace, debug, info, unusual or broken; with :SUBSYSTEM for lines whose source contains it; repeatable
    #[arg(long, value_name = "LEVEL[:SUBSYSTEM]", action = ArgAction::Append)]
    pub log_level: Vec<LevelRule>,

    /// Log to this file, `-` for standard output; repeatable; a relative path starts in the network's directory
    #[arg(long, value_name = "FILE", action = ArgAction::Append)]
    pub log_file: Vec<PathBuf>,

    /// Put this in front of every log line
    #[arg(long, value_name = "TEXT")]
    pub log_prefix: Option<String>,

    /// Tell clients which parameter was wrong, and allow what only tests need
    #[arg(long)]
    pub developer: bool,

    /// Print the version and exit
    #[arg(short = 'V', long)]
    pub version: bool,
}

/// What the daemon runs with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Where the node keeps everything.
    pub place: NodePlace,
    /// Where to listen for peers.
    pub listen: Listen,
    /// The node's name, if the user gave one.
    pub alias: Option<String>,
    /// The node's colour, red, green, blue, if the user gave one.
    pub rgb: Option<[u8; 3]>,
    /// Permissions of the RPC socket.
    pub rpc_file_mode: u32,
    /// The log.
    pub log: LogSettings,
    /// `--developer` was given.
    pub developer: bool,
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
    /// Nowhere: `--autolisten=false`.
    Nowhere,
    /// On the network's default port on all addresses: the user said nothing.
    Default {
        /// IPv6 first: where one socket serves both families, the second is not needed.
        addresses: [SocketAddr; 2],
    },
    /// On these, all of which must succeed.
    On(Vec<SocketAddr>),
}

/// An option that cannot be right.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// `--lightning-dir` is missing and there is no home directory to derive it from.
    #[error(
        "there is no home directory (HOME is no absolute path), so there is no default for --lightning-dir: give one"
    )]
    NoHome,
    /// The current directory, which a relative `--lightning-dir` starts in, cannot be found.
    #[error(
        "--lightning-dir is relative and the current directory cannot be read ({0}): give an absolute path"
    )]
    NoCurrentDir(std::io::Error),
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
}

impl NodeOptions {
    /// Fills in the defaults: `~/.oddwire`, bitcoin, `lightning-rpc`.
    ///
    /// # Errors
    /// If the network is unknown, or there is no home directory or current directory to start from.
    pub fn resolve(&self) -> Result<NodePlace, ConfigError> {
        let shortcuts = [
            (self.mainnet, "bitcoin"),
            (self.testnet, "testnet"),
            (self.testnet4, "testnet4"),
            (self.signet, "signet"),
            (self.regtest, "regtest"),
        ];
        let shortcut = shortcuts.iter().find(|(given, _)| *given).map(|(_, name)| *name);
        let name = shortcut.or(self.network.as_deref()).unwrap_or("bitcoin");
        let network = name.parse().map_err(|_| ConfigError::Network(name.to_owned()))?;

        // Never Core Lightning's own default: a real node with real money may live there.
        let lightning_dir = match &self.lightning_dir {
            Some(dir) => std::path::absolute(dir).map_err(ConfigError::NoCurrentDir)?,
            None => std::env::home_dir()
                .filter(|home| home.is_absolute())
                .ok_or(ConfigError::NoHome)?
                .join(".oddwire"),
        };
        let rpc_file = self.rpc_file.clone().unwrap_or_else(|| PathBuf::from(RPC_FILE));
        Ok(NodePlace { network, lightning_dir, rpc_file })
    }
}

impl Options {
    /// Checks every option and fills in the defaults. Host names in addresses are looked up, which may take seconds.
    ///
    /// # Errors
    /// The first option that cannot be right.
    pub fn resolve(self) -> Result<Config, ConfigError> {
        let place = self.node.resolve()?;
        let port = place.network.default_port();
        Ok(Config {
            listen: self.listen(port)?,
            alias: self.alias.map(checked_alias).transpose()?,
            rgb: self.rgb.map(checked_rgb).transpose()?,
            rpc_file_mode: self.rpc_file_mode.map_or(Ok(DEFAULT_RPC_FILE_MODE), checked_mode)?,
            log: LogSettings {
                rules: self.log_level,
                files: self.log_file,
                prefix: self.log_prefix.unwrap_or_default(),
            },
            developer: self.developer,
            place,
        })
    }

    /// `--addr` or `--bind-addr` turn off the default, as `--autolisten=false` does.
    fn listen(&self, port: u16) -> Result<Listen, ConfigError> {
        if self.addr.is_empty() && self.bind_addr.is_empty() {
            let addresses = all_addresses(port);
            return Ok(if self.autolisten == Some(false) {
                Listen::Nowhere
            } else {
                Listen::Default { addresses }
            });
        }
        let mut all = Vec::new();
        for (option, texts) in [("addr", &self.addr), ("bind-addr", &self.bind_addr)] {
            for text in texts {
                let found = address::parse(text, port).map_err(|error| ConfigError::Address {
                    option,
                    text: text.clone(),
                    error,
                })?;
                for address in found {
                    if !all.contains(&address) {
                        all.push(address);
                    }
                }
            }
        }
        Ok(Listen::On(all))
    }
}

/// Every address of this machine.
fn all_addresses(port: u16) -> [SocketAddr; 2] {
    [IpAddr::V6(Ipv6Addr::UNSPECIFIED), IpAddr::V4(Ipv4Addr::UNSPECIFIED)].map(|ip| SocketAddr::new(ip, port))
}

fn checked_alias(alias: String) -> Result<String, ConfigError> {
    if alias.len() > MAX_ALIAS_LEN { Err(ConfigError::Alias(alias)) } else { Ok(alias) }
}

fn checked_rgb(text: String) -> Result<[u8; 3], ConfigError> {
    let mut rgb = [0; 3];
    let right = text.len() == 2 * rgb.len() && faster_hex::hex_decode(text.as_bytes(), &mut rgb).is_ok();
    if right { Ok(rgb) } else { Err(ConfigError::Rgb(text)) }
}

fn checked_mode(text: String) -> Result<u32, ConfigError> {
    let octal = text.len() == 4 && text.starts_with('0') && text.bytes().all(|digit| digit.is_ascii_digit());
    match u32::from_str_radix(&text, 8) {
        Ok(mode) if octal => Ok(mode),
        _ => Err(ConfigError::Mode(text)),
    }
}
