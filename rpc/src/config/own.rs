//! The daemon's own options as the table knows them: described from what `clap` knows about [`Options`], so that there is one
//! description; and the options of Core Lightning that are taken although they mean nothing here.

use std::any::TypeId;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, CommandFactory, Parser};

use super::option::{Change, OptionKind, OptionSpec, Standing, Times};
use super::setting::Setting;
use super::{Config, ConfigError, DEFAULT_RPC_FILE_MODE, ImportantDeath, Listen, Options, PluginSettings};

/// Options of Core Lightning about channels, fees and the chain, of which there are none here. Whoever starts nodes for
/// tests passes them; that they do nothing is said once in the log.
#[rustfmt::skip]
const WITHOUT_MEANING: &[(&str, OptionKind)] = {
    use OptionKind::{Bool, Flag, Int, Secret, Text};
    &[
        ("announce-addr", Text), ("announce-addr-discovered", Text), ("announce-addr-discovered-port", Int),
        ("autoconnect-seeker-peers", Int),
        ("bitcoin-cli", Text), ("bitcoin-datadir", Text), ("bitcoin-retry-timeout", Int),
        ("bitcoin-rpcclienttimeout", Int), ("bitcoin-rpcconnect", Text), ("bitcoin-rpcpassword", Secret),
        ("bitcoin-rpcport", Text), ("bitcoin-rpcuser", Text),
        ("cltv-delta", Int), ("cltv-final", Int), ("commit-fee", Int), ("commit-feerate-offset", Int),
        ("commit-time", Int), ("experimental-dual-fund", Flag), ("experimental-offers", Flag),
        ("experimental-onion-messages", Flag), ("experimental-peer-storage", Flag),
        ("experimental-shutdown-wrong-funding", Flag), ("experimental-splicing", Flag),
        ("fee-base", Int), ("fee-per-satoshi", Int), ("grpc-port", Int), ("force-feerates", Text), ("funding-confirms", Int),
        ("htlc-maximum-msat", Text), ("htlc-minimum-msat", Text), ("ignore-fee-limits", Bool), ("large-channels", Flag),
        ("max-concurrent-htlcs", Int), ("max-dust-htlc-exposure-msat", Text), ("min-capacity-sat", Int),
        ("min-emergency-msat", Text), ("require-confirmed-inputs", Bool), ("rescan", Int), ("wallet", Text),
        ("watchtime-blocks", Int), ("wumbo", Flag),
    ]
};

/// The same for options that only developers may give; none of these does anything here.
#[rustfmt::skip]
const FOR_DEVELOPERS: &[(&str, OptionKind)] = {
    use OptionKind::{Flag, Int, Text};
    &[
        ("dev-allow-localhost", Flag), ("dev-allowdustreserve", Text), ("dev-any-channel-type", Flag),
        ("dev-bitcoind-poll", Int), ("dev-crash-after", Int), ("dev-debug-self", Flag), ("dev-debugger", Text),
        ("dev-disconnect", Text), ("dev-fail-on-subdaemon-fail", Flag), ("dev-fast-gossip", Flag),
        ("dev-fast-gossip-prune", Flag), ("dev-fast-reconnect", Flag), ("dev-keep-nagle", Flag),
        ("dev-max-fee-multiplier", Int), ("dev-no-htlc-timeout", Flag), ("dev-no-ping-timer", Flag),
        ("dev-no-plugin-checksum", Flag), ("dev-no-reconnect", Flag), ("dev-no-reconnect-private", Flag),
        ("dev-no-version-checks", Flag), ("dev-save-plugin-io", Text), ("dev-throttle-gossip", Flag),
        ("dev-timeout-secs", Int), ("dev-warn-on-overgrind", Flag),
    ]
};

/// Shortens every wait for a plugin to so many milliseconds, so that tests need not sit them out.
const PATIENCE: &str = "dev-plugin-patience";

/// Every option that the daemon knows, without defaults.
pub(super) fn specs() -> Vec<OptionSpec> {
    let mut command = Options::command();
    command.build();
    let mut specs: Vec<OptionSpec> = command.get_arguments().filter_map(described).collect();
    let strangers = |names: &[(&str, OptionKind)], standing| {
        let spec = |(name, kind): &(&str, OptionKind)| OptionSpec {
            name: (*name).to_owned(),
            kind: *kind,
            times: if *name == "announce-addr" { Times::Many } else { Times::Once },
            change: Change::AtStart,
            standing,
            help: "Taken for the sake of those who pass it; means nothing here".to_owned(),
            default: None,
        };
        names.iter().map(spec).collect::<Vec<_>>()
    };
    specs.push(OptionSpec {
        name: PATIENCE.to_owned(),
        kind: OptionKind::Int,
        times: Times::Once,
        change: Change::AtStart,
        standing: Standing::Testing,
        help: "Wait for plugins no longer than so many milliseconds".to_owned(),
        default: None,
    });
    specs.extend(strangers(WITHOUT_MEANING, Standing::WithoutMeaning));
    specs.extend(strangers(FOR_DEVELOPERS, Standing::Developer));
    specs
}

fn described(argument: &clap::Arg) -> Option<OptionSpec> {
    let name = argument.get_long()?;
    let kind = match argument.get_action() {
        ArgAction::SetTrue => OptionKind::Flag,
        // They end the program.
        ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong | ArgAction::Version => return None,
        _ if argument.get_value_parser().type_id() == TypeId::of::<bool>() => OptionKind::Bool,
        _ => OptionKind::Text,
    };
    if name == "version" {
        return None;
    }
    Some(OptionSpec {
        name: name.to_owned(),
        kind,
        // Rules of `log-level` add up, but it is listed as an option with one value, the last, as Core Lightning does.
        times: if matches!(argument.get_action(), ArgAction::Append) && name != "log-level" {
            Times::Many
        } else {
            Times::Once
        },
        change: Change::AtStart,
        standing: Standing::Current,
        help: argument.get_help().map(ToString::to_string).unwrap_or_default(),
        default: None,
    })
}

/// The descriptions with what counts where nothing was given.
pub(super) fn with_defaults(mut specs: Vec<OptionSpec>, config: &Config) -> Vec<OptionSpec> {
    for spec in &mut specs {
        spec.default = match spec.name.as_str() {
            "lightning-dir" => Some(config.place.lightning_dir.display().to_string()),
            "network" => Some(config.place.network.name().to_owned()),
            "rpc-file" => Some(config.place.rpc_file.display().to_string()),
            "rpc-file-mode" => Some(format!("{DEFAULT_RPC_FILE_MODE:04o}")),
            "autolisten" => Some((!matches!(config.listen, Listen::Nowhere)).to_string()),
            "always-use-proxy" => Some("false".to_owned()),
            "allow-deprecated-apis" | "log-timestamps" => Some("true".to_owned()),
            "log-prefix" => Some(String::new()),
            _ => None,
        };
    }
    specs
}

/// What `clap` makes of the daemon's own options.
pub(super) fn parse(specs: &[OptionSpec], settings: &[Setting]) -> Result<Options, ConfigError> {
    let is_own = |setting: &&Setting| {
        specs.iter().any(|spec| spec.name == setting.name && spec.standing == Standing::Current)
    };
    let own: Vec<&Setting> = settings.iter().filter(is_own).collect();
    let parse = |settings: &[&Setting]| {
        let words = settings.iter().map(|setting| format!("--{setting}"));
        Options::try_parse_from(["oddwired".to_owned()].into_iter().chain(words))
    };
    parse(&own).map_err(|error| {
        // Each by itself, so that the one that is wrong can be named with its place.
        let wrong = own.iter().find_map(|setting| Some((*setting, parse(&[*setting]).err()?)));
        match wrong {
            Some((setting, error)) => {
                ConfigError::Value { setting: Box::new(setting.clone()), problem: first_line(&error) }
            }
            None => ConfigError::Options(first_line(&error)),
        }
    })
}

/// What `clap` found, without its hints about usage.
fn first_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

/// Which plugins the settings ask for, in their order.
pub(super) fn plugins(settings: &[Setting]) -> Result<PluginSettings, ConfigError> {
    let mut plugins = PluginSettings::default();
    for setting in settings {
        let Some(value) = setting.value.as_deref() else {
            match setting.name.as_str() {
                "clear-plugins" => {
                    plugins.files.clear();
                    plugins.directories.clear();
                    plugins.important.clear();
                }
                "restart-important-plugins" => plugins.important_death = ImportantDeath::Restarts,
                _ => {}
            }
            continue;
        };
        // From where the daemon was started: it is going to work in another directory.
        let path = || std::path::absolute(PathBuf::from(value)).map_err(ConfigError::NoCurrentDir);
        match setting.name.as_str() {
            "plugin" => plugins.files.push(path()?),
            "plugin-dir" => plugins.directories.push(path()?),
            "important-plugin" => plugins.important.push(path()?),
            "disable-plugin" => plugins.disabled.push(value.to_owned()),
            // What is no number is told of with all other values.
            PATIENCE => plugins.patience = value.parse().ok().map(Duration::from_millis),
            _ => {}
        }
    }
    Ok(plugins)
}
