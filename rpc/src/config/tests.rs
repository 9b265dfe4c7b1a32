//! Tests of options and defaults; addresses that need no look-up.

use clap::Parser;
use oddwire_node::Network;

use super::{Config, ConfigError, Listen, Options};

fn config(arguments: &[&str]) -> Result<Config, ConfigError> {
    let line = ["oddwired", "--lightning-dir=/d"].iter().chain(arguments);
    Options::try_parse_from(line).unwrap().resolve()
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
    let place = Options::try_parse_from(["oddwired"]).unwrap().node.resolve().unwrap();
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
