//! The options of `oddwired`, under Core Lightning's names: what `clap` reads them into, with the help that `--help` and the
//! manual pages print.
//!
//! A value is read here if its text alone decides whether it is right; what else can be wrong with it is found by
//! [`Options::resolve`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Parser};

use super::{
    Config, ConfigError, DEFAULT_RPC_FILE_MODE, Deprecated, KeyUnlock, Listen, MAX_ALIAS_LEN, Names,
    NodePlace, PluginSettings, RPC_FILE, address,
};
use crate::log::{LevelRule, LogSettings, Timestamps};

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
#[expect(
    clippy::struct_excessive_bools,
    reason = "one for each option, as the user wrote them; `resolve` makes one value of them"
)]
pub struct Options {
    /// Which node.
    #[command(flatten)]
    pub node: NodeOptions,

    /// Read this configuration file, and not those in the node's directories
    #[arg(long, value_name = "FILE")]
    pub conf: Option<PathBuf>,

    /// Where to listen: `IP[:PORT]`, `[IPV6]:PORT`, `HOST[:PORT]`, `:PORT` for all addresses; repeatable, replaces the default.
    // The help is written again, without the backticks that this comment cannot do without.
    #[arg(
        long,
        value_name = "ADDRESS",
        action = ArgAction::Append,
        help = "Listen here: IP[:PORT], [IPV6]:PORT, HOST[:PORT], :PORT for all addresses; repeatable, replaces the default"
    )]
    pub addr: Vec<String>,

    /// The same as --addr: an address that would not be announced (nothing is announced here)
    #[arg(long, value_name = "ADDRESS", action = ArgAction::Append)]
    pub bind_addr: Vec<String>,

    /// Listen on the network's default port on all addresses if no address is given [default: true]
    #[arg(long, value_name = "BOOL", action = ArgAction::Set, value_parser = BoolishValueParser::new())]
    pub autolisten: Option<bool>,

    /// Do not listen, whatever the other options say
    #[arg(long)]
    pub offline: bool,

    /// Look up no names: `connect` takes addresses only
    #[arg(long)]
    pub disable_dns: bool,

    /// Proxies cannot be used here: true is refused
    #[arg(long, value_name = "BOOL", action = ArgAction::Set, value_parser = BoolishValueParser::new())]
    pub always_use_proxy: Option<bool>,

    /// Name of the node, up to 32 bytes [default: made from the node's id]
    #[arg(long, value_name = "TEXT")]
    pub alias: Option<String>,

    /// Colour of the node, RRGGBB [default: the first three bytes of the node's id]
    #[arg(long, value_name = "RRGGBB")]
    pub rgb: Option<String>,

    /// Ask for the passphrase of the `hsm_secret` file's mnemonic, on the terminal or from standard input
    #[arg(long)]
    pub hsm_passphrase: bool,

    /// Permissions of the JSON-RPC socket, four octal digits [default: 0600]
    #[arg(long, value_name = "MODE")]
    pub rpc_file_mode: Option<String>,

    /// Go into the background as soon as the node has started; needs --log-file
    #[arg(long)]
    pub daemon: bool,

    /// Write the process id to this file as well, and remove it at the end; a relative path starts in the lightning directory
    #[arg(long, value_name = "FILE")]
    pub pid_file: Option<PathBuf>,

    /// What to log: io, trace, debug, info, unusual or broken; with :SUBSYSTEM for lines whose source contains it; repeatable
    #[arg(long, value_name = "LEVEL[:SUBSYSTEM]", action = ArgAction::Append)]
    pub log_level: Vec<LevelRule>,

    /// Log to this file, `-` for standard output; repeatable; a relative path starts in the network's directory
    #[arg(long, value_name = "FILE", action = ArgAction::Append)]
    pub log_file: Vec<PathBuf>,

    /// Put this in front of every log line
    #[arg(long, value_name = "TEXT")]
    pub log_prefix: Option<String>,

    /// Begin log lines with the time [default: true]
    #[arg(long, value_name = "BOOL", action = ArgAction::Set, value_parser = BoolishValueParser::new())]
    pub log_timestamps: Option<bool>,

    /// Start this plugin; repeatable
    #[arg(long, value_name = "FILE", action = ArgAction::Append)]
    pub plugin: Vec<PathBuf>,

    /// Start every plugin in this directory; repeatable
    #[arg(long, value_name = "DIR", action = ArgAction::Append)]
    pub plugin_dir: Vec<PathBuf>,

    /// Start this plugin, and stop the node if it ends (but see --restart-important-plugins); repeatable
    #[arg(long, value_name = "FILE", action = ArgAction::Append)]
    pub important_plugin: Vec<PathBuf>,

    /// Start an important plugin that ends again, after a pause that grows each time, instead of stopping the node
    #[arg(long)]
    pub restart_important_plugins: bool,

    /// Do not start this plugin, named by its path or its file's name; repeatable
    #[arg(long, value_name = "PLUGIN", action = ArgAction::Append)]
    pub disable_plugin: Vec<String>,

    /// Forget the plugins of the options before this one, and those that are looked for without any
    #[arg(long)]
    pub clear_plugins: bool,

    /// Take options and parameters that are on their way out [default: true]
    #[arg(long, value_name = "BOOL", action = ArgAction::Set, value_parser = BoolishValueParser::new())]
    pub allow_deprecated_apis: Option<bool>,

    /// Tell clients which parameter was wrong, allow core dumps and debuggers, and what only tests need
    #[arg(long)]
    pub developer: bool,

    /// Print the version and exit
    #[arg(short = 'V', long)]
    pub version: bool,
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
        if self.always_use_proxy == Some(true) {
            return Err(ConfigError::Proxy);
        }
        if self.daemon && self.log_file.iter().all(|file| file.as_os_str() == "-") {
            return Err(ConfigError::DaemonWithoutLog);
        }
        let names = if self.disable_dns { Names::Refused } else { Names::LookedUp };
        Ok(Config {
            listen: self.listen(place.network.default_port(), names)?,
            names,
            alias: self.alias.map(checked_alias).transpose()?,
            rgb: self.rgb.map(checked_rgb).transpose()?,
            key_unlock: if self.hsm_passphrase { KeyUnlock::AskForPassphrase } else { KeyUnlock::None },
            rpc_file_mode: self.rpc_file_mode.map_or(Ok(DEFAULT_RPC_FILE_MODE), checked_mode)?,
            pid_file: self.pid_file.map(|file| place.lightning_dir.join(file)),
            log: LogSettings {
                rules: self.log_level,
                files: self.log_file,
                prefix: self.log_prefix.unwrap_or_default(),
                timestamps: if self.log_timestamps == Some(false) {
                    Timestamps::Left
                } else {
                    Timestamps::Shown
                },
            },
            plugins: PluginSettings::default(),
            deprecated: if self.allow_deprecated_apis == Some(false) {
                Deprecated::Refused
            } else {
                Deprecated::Taken
            },
            developer: self.developer,
            daemon: self.daemon,
            // Known to whoever read the files.
            conf: None,
            place,
        })
    }

    /// `--addr` or `--bind-addr` turn off the default, as `--autolisten=false` does.
    fn listen(&self, port: u16, names: Names) -> Result<Listen, ConfigError> {
        if self.addr.is_empty() && self.bind_addr.is_empty() {
            let addresses = all_addresses(port);
            return Ok(if self.autolisten == Some(false) || self.offline {
                Listen::Nowhere
            } else {
                Listen::Default { addresses }
            });
        }
        let mut all = Vec::new();
        for (option, texts) in [("addr", &self.addr), ("bind-addr", &self.bind_addr)] {
            for text in texts {
                let found = address::parse(text, port, names).map_err(|error| ConfigError::Address {
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
        Ok(if self.offline { Listen::Nowhere } else { Listen::On(all) })
    }
}

/// Every address of this machine.
pub(super) fn all_addresses(port: u16) -> [SocketAddr; 2] {
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
