//! A plugin on the crate `cln-plugin`, which nobody shaped to this daemon: `examples/rust_speaker.rs`.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::fixture::{Home, Plugins, option, refusal};
use crate::{peer_of, send};

/// The example's program, which plain `cargo test` builds beside the daemon.
fn speaker() -> PathBuf {
    let daemon = Path::new(env!("CARGO_BIN_EXE_oddwired"));
    let program = daemon.with_file_name("examples").join("rust_speaker");
    assert!(program.exists(), "it is not built: cargo build --package oddwire-rpc --example rust_speaker");
    program
}

#[tokio::test(flavor = "multi_thread")]
async fn hook_filter_even_type_notifications_method_and_options() {
    let plugins = Plugins::new();
    // It asks to be called before this one, which is registered first.
    let on = json!({"custommsg": "seen", "rust_heard": "log"});
    let last = plugins.add("last", &json!({"hooks": ["custommsg"], "subscriptions": ["rust_heard"]}), &on);
    let speaker = speaker();
    let options = [option("plugin", &last), option("plugin", &speaker)];
    let given = ["--rust-greeting=hi", "--rust-friend=ann", "--rust-friend=bob", "--rust-polite=false"];
    let home = Home::start(&[&[&*options[0], &options[1]][..], &given].concat());
    let (peer, id) = peer_of(&home).await;
    home.line(&format!("plugin-rust_speaker: rust welcomes {}", peer.id()));
    home.line("plugin-rust_speaker: rust was told of a connection: ");
    for (kind, is_wanted) in [(32768, true), (32769, false), (32771, true)] {
        send(&peer, &id, kind, b"\x01").await;
        let payload = format!("{kind:04x}01");
        if is_wanted {
            // The library sends the members twice, bare and under the topic's name.
            let params = json!({"payload": payload, "rust_heard": {"payload": payload}});
            home.line(&format!("plugin-last: told rust_heard: {params}"));
        }
        home.line(&format!("plugin-last: asked custommsg: {payload}"));
    }
    let heard = json!({
        "messages": ["800001", "800301"], "volume": 3, "network": "regtest",
        "greeting": "hi", "friends": ["ann", "bob"], "quiet": false, "polite": false,
    });
    assert_eq!(home.call(&["rust-heard"]), heard);
    assert_eq!(home.call(&["rust-heard", "1"])["messages"], json!(["800001"]));
    let refused = refusal(&home.daemon, &["rust-heard", "x"]);
    assert!(refused.1.contains("\"x\" is no number"), "{refused:?}");
    assert_eq!(home.call(&["-J", "help", "rust-heard"])["help"][0]["command"], "rust-heard [most]");

    let set = home.call(&["setconfig", "rust-volume", "7"]);
    assert_eq!((&set["config"]["value_int"], &set["config"]["dynamic"]), (&json!(7), &json!(true)));
    assert_eq!(home.call(&["rust-heard"])["volume"], 7);
    let refused = refusal(&home.daemon, &["setconfig", "rust-volume", "11"]);
    assert!(refused.1.contains("too loud"), "{refused:?}");
    assert_eq!(home.call(&["listconfigs", "rust-volume"])["configs"]["rust-volume"]["value_int"], 7);
    let refused = refusal(&home.daemon, &["setconfig", "rust-greeting", "x"]);
    assert!(refused.1.contains("Not a dynamic config option"), "{refused:?}");

    // With the plugin goes what it allowed; it leaves by itself when it is told.
    home.call(&["plugin", "stop", "rust_speaker"]);
    home.line("connectd: Now allowing 0 custom message types");
    send(&peer, &id, 32768, b"\x02").await;
    home.line("Invalid unknown even msg 800002");
    assert_eq!(refusal(&home.daemon, &["rust-heard"]).0, -32601);
}

#[test]
fn it_may_decide_not_to_run_when_it_knows_its_options() {
    let options = [&*option("plugin", &speaker()), "--rust-quiet", "--rust-polite=true"];
    let words =
        "plugin-rust_speaker: Killing plugin: disabled itself at init: nobody can say thank you and nothing";
    let (home, _) = Home::start_seeing(&options, words);
    assert_eq!(home.call(&["plugin", "list"])["plugins"], json!([]));
}
