//! Tests of options and defaults; addresses that need no look-up.

use std::path::Path;
use std::sync::Arc;

use clap::Parser;
use oddwire_node::Network;
use serde_json::Value;
use tempfile::{TempDir, tempdir};

use super::table::OptionTable;
use super::{Config, ConfigError, Listen, NodePlace, Options, Request, read};

fn config(arguments: &[&str]) -> Result<Config, ConfigError> {
    Ok(run(["--lightning-dir=/d"].iter().chain(arguments).copied())?.0)
}

fn run<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Result<(Config, Arc<OptionTable>), ConfigError> {
    let line = ["oddwired"].into_iter().chain(arguments).map(Into::into);
    match read(line)? {
        Request::Run(config, options) => Ok((*config, options)),
        other => panic!("{other:?}"),
    }
}

fn listen(arguments: &[&str]) -> Vec<String> {
    match config(arguments).unwrap().listen {
        Listen::Nowhere => Vec::new(),
        Listen::Default { addresses } => addresses.iter().map(ToString::to_string).collect(),
        Listen::On(addresses) => addresses.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn without_options_the_node_is_on_bitcoin_and_listens_on_all_addresses() {
    let config = config(&[]).unwrap();
    assert_eq!(config.place.network, Network::Bitcoin);
    assert_eq!(config.place.rpc_path().to_str(), Some("/d/bitcoin/lightning-rpc"));
    assert_eq!(config.rpc_file_mode, 0o600);
    assert_eq!(listen(&[]), ["[::]:9735", "0.0.0.0:9735"]);
}

#[test]
fn the_default_directory_is_never_core_lightnings() {
    let place: NodePlace = Options::try_parse_from(["oddwired"]).unwrap().node.resolve().unwrap();
    assert!(place.lightning_dir.ends_with(".oddwire"), "{place:?}");
}

#[test]
fn the_last_network_option_counts() {
    assert_eq!(config(&["--regtest", "--signet"]).unwrap().place.network, Network::Signet);
    assert_eq!(config(&["--signet", "--network=regtest"]).unwrap().place.network, Network::Regtest);
    assert_eq!(config(&["--network=regtest", "--mainnet"]).unwrap().place.network, Network::Bitcoin);
    assert!(matches!(config(&["--network=litecoin"]), Err(ConfigError::Network(_))));
}

#[test]
fn addresses_are_read_in_every_form_and_replace_the_default() {
    assert_eq!(listen(&["--addr=127.0.0.1:0"]), ["127.0.0.1:0"]);
    assert_eq!(listen(&["--addr=127.0.0.1", "--regtest"]), ["127.0.0.1:19846"]);
    assert_eq!(listen(&["--addr=::1"]), ["[::1]:9735"]);
    assert_eq!(listen(&["--addr=[::1]"]), ["[::1]:9735"]);
    assert_eq!(listen(&["--bind-addr=[::1]:7"]), ["[::1]:7"]);
    assert_eq!(listen(&["--addr=:7"]), ["[::]:7", "0.0.0.0:7"]);
    assert_eq!(listen(&["--addr=127.0.0.1:7", "--bind-addr=127.0.0.1:7", "--addr=127.0.0.1:8"]).len(), 2);
    assert!(listen(&["--autolisten=false"]).is_empty());
    assert_eq!(listen(&["--autolisten=false", "--addr=127.0.0.1:7"]), ["127.0.0.1:7"]);
}

#[test]
fn bad_addresses_are_refused_with_the_option_and_the_reason() {
    for (text, word) in [
        ("", "empty"),
        ("127.0.0.1:", "port"),
        ("127.0.0.1:65536", "port"),
        ("127.0.0.1:+1", "port"),
        ("[::1]x", "port"),
        ("/tmp/socket", "unix socket"),
        ("autotor:127.0.0.1:9051", "Tor"),
        ("abcdef.onion:9735", "Tor"),
        ("ws:127.0.0.1:1", "WebSocket"),
    ] {
        let error = config(&[&format!("--addr={text}")]).unwrap_err().to_string();
        assert!(error.starts_with(&format!("--addr={text}: ")) && error.contains(word), "{error}");
    }
}

/// A lightning directory with these files in it.
fn directory(files: &[(&str, &str)]) -> TempDir {
    let directory = tempdir().unwrap();
    for (name, text) in files {
        let path = directory.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    directory
}

fn run_in(directory: &Path, arguments: &[&str]) -> Result<(Config, Arc<OptionTable>), ConfigError> {
    let home = format!("--lightning-dir={}", directory.display());
    run([&*home].into_iter().chain(arguments.iter().copied()))
}

fn listed(options: &OptionTable, name: &str) -> Value {
    serde_json::from_str::<Value>(&options.listing(Some(name))).unwrap()["configs"][name].clone()
}

#[test]
fn files_are_read_from_the_general_to_the_particular_and_the_command_line_wins() {
    let home = directory(&[
        ("config", "# a comment\n\nregtest\nalias=global\nrgb=010203\nlog-file=a\n"),
        ("regtest/config", "alias=network\nlog-file=b\ninclude more/other\r\n"),
        ("regtest/more/other", "rpc-file-mode=0640\n"),
    ]);
    let (config, options) = run_in(home.path(), &["--rgb=040506"]).unwrap();
    assert_eq!(config.place.network, Network::Regtest);
    assert_eq!((config.alias.as_deref(), config.rgb), (Some("network"), Some([4, 5, 6])));
    assert_eq!((config.rpc_file_mode, config.log.files.len()), (0o640, 2));
    let source = |name| listed(&options, name)["source"].as_str().unwrap().to_owned();
    let path = |name, line| format!("{}:{line}", home.path().join(name).display());
    assert_eq!(source("alias"), path("regtest/config", 1));
    assert_eq!(source("rpc-file-mode"), path("regtest/more/other", 1));
    assert_eq!(source("rgb"), "cmdline");
    assert_eq!(source("autolisten"), "default");
    let files = listed(&options, "log-file");
    assert_eq!(files["values_str"], serde_json::json!(["a", "b"]));
    assert_eq!(files["sources"], serde_json::json!([path("config", 6), path("regtest/config", 2)]));
}

#[test]
fn a_named_file_takes_the_place_of_the_others() {
    let home = directory(&[("config", "alias=global\n"), ("mine", "network=signet\n")]);
    let conf = format!("--conf={}", home.path().join("mine").display());
    let (config, _) = run_in(home.path(), &[&conf]).unwrap();
    assert_eq!((config.place.network, config.alias), (Network::Signet, None));
    let gone = format!("--conf={}", home.path().join("gone").display());
    assert!(run_in(home.path(), &[&gone]).unwrap_err().to_string().contains("/gone"));
}

#[test]
fn a_mistake_in_a_file_is_told_with_file_and_line() {
    for (text, line, problem) in [
        ("alias=bob\nrgb=red\n", 2, "rgb=red: it is six hex digits"),
        ("log-level=loud\n", 1, "log-level=loud: invalid value 'loud'"),
        ("regtest=1\n", 1, "regtest=1: "),
        ("developer=true\n", 1, "developer=true: "),
        ("addr=127.0.0.1:x\n", 1, "addr=127.0.0.1:x: the port is not a number"),
        ("rescan=ten\n", 1, "rescan=ten: 'ten' is not a number"),
        ("dev-fast-gossip\n", 1, "dev-fast-gossip: requires --developer"),
        ("conf=other\n", 1, "conf=other: not permitted in configuration files"),
        ("lightning-dir=/x\n", 1, "lightning-dir=/x: not permitted in implicit configuration files"),
        ("\ninclude config\n", 2, "is included by itself"),
        ("include nowhere\n", 1, "nowhere"),
    ] {
        let home = directory(&[("config", text)]);
        let error = run_in(home.path(), &[]).unwrap_err().to_string();
        let place = format!("Config file {} line {line}: ", home.path().join("config").display());
        assert!(error.starts_with(&place) && error.contains(problem), "{text}: {error}");
    }
    let home = directory(&[("regtest/config", "network=signet\n")]);
    let error = run_in(home.path(), &["--regtest"]).unwrap_err().to_string();
    assert!(error.contains("not permitted in network-specific configuration files"), "{error}");
}

#[test]
fn an_option_that_nobody_has_is_refused_when_all_are_known() {
    let (_, options) = run(["--nonsense", "5", "--regtest"]).unwrap();
    let error = options.refuse_unknown().unwrap_err().to_string();
    assert!(error.starts_with("--nonsense: unknown option"), "it may be a password: {error}");
    assert!(matches!(run(["word"]), Err(ConfigError::NoOption(_))));
    assert!(matches!(run(["-x"]), Err(ConfigError::NoOption(_))));
    assert!(matches!(run(["--"]), Err(ConfigError::NoOption(_))));
}

#[test]
fn what_pyln_testing_passes_is_taken_and_named() {
    let line = "--developer --log-level=trace --cltv-delta=6 --cltv-final=5 --watchtime-blocks=5 --rescan=1 \
        --disable-dns --lightning-dir=/d --addr=127.0.0.1:7 --allow-deprecated-apis=false --network=regtest \
        --ignore-fee-limits=false --bitcoin-rpcuser=u --bitcoin-rpcpassword=p --bitcoin-datadir=/b \
        --bitcoin-rpcport=1 --dev-fast-gossip --dev-bitcoind-poll=1 --log-file=- --log-file=/d/log --log-prefix=l1 \
        --dev-fail-on-subdaemon-fail --dev-no-reconnect --autoconnect-seeker-peers=0 --dev-save-plugin-io=/d/io \
        --dev-crash-after=3600";
    let (config, options) = run(line.split_whitespace()).unwrap();
    options.refuse_unknown().unwrap();
    assert_eq!(config.log.files.len(), 2);
    let named = options.without_meaning();
    for name in ["cltv-delta", "bitcoin-rpcport", "dev-fast-gossip", "dev-crash-after", "ignore-fee-limits"] {
        assert!(named.iter().any(|one| one == name), "{name}: {named:?}");
    }
    assert!(!named.iter().any(|one| one == "disable-dns"));
    assert_eq!(listed(&options, "bitcoin-rpcpassword")["value_str"], "...");
    assert_eq!(listed(&options, "rescan")["value_int"], 1);
}

#[test]
fn what_would_break_a_promise_is_refused() {
    assert!(matches!(config(&["--always-use-proxy=true"]), Err(ConfigError::Proxy)));
    assert!(config(&["--always-use-proxy=false"]).is_ok());
    assert!(matches!(config(&["--daemon"]), Err(ConfigError::DaemonWithoutLog)));
    let named = config(&["--disable-dns", "--addr=node.example"]).unwrap_err().to_string();
    assert!(named.contains("--disable-dns"), "{named}");
    assert!(listen(&["--offline", "--addr=127.0.0.1:7"]).is_empty());
}

#[test]
fn plugins_are_asked_for_in_order() {
    let (config, _) =
        run(["--plugin=/a", "--clear-plugins", "--plugin=/b", "--important-plugin", "/c"]).unwrap();
    assert_eq!((config.plugins.files, config.plugins.important), (vec!["/b".into()], vec!["/c".into()]));
}

#[test]
fn alias_colour_and_mode_are_checked() {
    assert!(config(&[&format!("--alias={}", "a".repeat(32))]).is_ok());
    assert!(matches!(config(&[&format!("--alias={}", "a".repeat(33))]), Err(ConfigError::Alias(_))));
    assert_eq!(config(&["--rgb=02BF81"]).unwrap().rgb, Some([0x02, 0xbf, 0x81]));
    for rgb in ["", "02bf8", "02bf811", "02bf8g"] {
        assert!(matches!(config(&[&format!("--rgb={rgb}")]), Err(ConfigError::Rgb(_))), "{rgb}");
    }
    assert_eq!(config(&["--rpc-file-mode=0660"]).unwrap().rpc_file_mode, 0o660);
    for mode in ["660", "0680", "1600", "06600", "+660"] {
        assert!(matches!(config(&[&format!("--rpc-file-mode={mode}")]), Err(ConfigError::Mode(_))), "{mode}");
    }
}
