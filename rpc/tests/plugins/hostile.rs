//! Plugins that do everything wrong: whatever one of them does, the others and the peers notice nothing, and the log says it.

use std::io::Write;
use std::os::unix::net::UnixStream;

use serde_json::{Value, json};

use crate::fixture::{Home, Plugins, option, refusal};
use crate::{peer_of, send};

/// Shorter than any limit on plugins, long enough for a right one to start.
const HURRY: &str = "--dev-plugin-patience=2000";

/// A plugin that sees every message stands behind one that does `action` at the second message; the log says `words`.
async fn nobody_else_notices(action: &str, words: &str) {
    among_others(action, words, "--dev-plugin-patience=60000").await;
}

/// The same with this patience.
async fn among_others(action: &str, words: &str, patience: &str) {
    let plugins = Plugins::new();
    let manifest = json!({"hooks": [{"name": "custommsg", "before": ["honest"]}], "custommessages": [40000]});
    let wrong = plugins.add("wrong", &manifest, &json!({"custommsg": ["continue", action, "continue"]}));
    let honest = plugins.add("honest", &json!({"hooks": ["custommsg"]}), &json!({"custommsg": "seen"}));
    let options = [option("plugin", &wrong), option("plugin", &honest)];
    let home = Home::start(&[&options[0], &options[1], patience]);
    let (peer, id) = peer_of(&home).await;
    for number in 0..3 {
        send(&peer, &id, 32769, &[number]).await;
        if number == 1 {
            home.line(words);
            home.line("connectd: Now allowing 0 custom message types");
        }
        home.line(&format!("plugin-honest: asked custommsg: 80010{number}"));
    }
    assert_eq!(home.call(&["listpeers"])["peers"].as_array().unwrap().len(), 1, "the peer stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_exits_in_the_middle_of_a_hook() {
    nobody_else_notices("exit", "plugin-wrong: Killing plugin: exited during normal operation").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_answers_nonsense() {
    let words = "plugin-wrong: custommsg hook: returned an invalid response: {\"result\": \"perhaps\"}: going on without it (1";
    nobody_else_notices("nonsense", words).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_answers_with_an_error() {
    nobody_else_notices("error", "plugin-wrong: custommsg hook: returned the error {\"code\": -7").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_writes_no_json() {
    let words = "plugin-wrong: Killing plugin: Failed to parse RPC JSON response '??this is no JSON }";
    nobody_else_notices("garbage", words).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_floods_its_standard_output() {
    nobody_else_notices("flood", "plugin-wrong: Killing plugin: Request is longer than 67108864 bytes").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_never_answers_is_skipped_from_then_on() {
    let words = "plugin-wrong: custommsg hook: no answer within 2 s: going on without it (1";
    among_others("hang", words, HURRY).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_answers_with_a_wrong_id() {
    let plugins = Plugins::new();
    let wrong = plugins.add(
        "wrong",
        &json!({"hooks": ["custommsg"]}),
        &json!({"custommsg": ["wrong-id", "continue"]}),
    );
    let honest = plugins.add("honest", &json!({"hooks": ["custommsg"]}), &json!({"custommsg": "seen"}));
    let home = Home::start(&[&option("plugin", &wrong), &option("plugin", &honest), HURRY]);
    let (peer, id) = peer_of(&home).await;
    send(&peer, &id, 32769, &[0]).await;
    send(&peer, &id, 32769, &[1]).await;
    home.line("plugin-wrong: answer with an id that nobody waits for: someone/else (1 of them now)");
    // The second message is answered and goes on; the first one waits for its deadline alone, but in its place.
    home.line("plugin-wrong: custommsg hook: no answer within 2 s");
    home.line("plugin-honest: asked custommsg: 800100");
    home.line("plugin-honest: asked custommsg: 800101");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_killed_while_ten_thousand_messages_arrive() {
    const MESSAGES: u32 = 10_000;
    let plugins = Plugins::new();
    let manifest = json!({"hooks": ["custommsg"], "custommessages": [40000]});
    let victim = plugins.add("victim", &manifest, &json!({"custommsg": "continue"}));
    let counter = plugins.add("counter", &json!({"hooks": ["custommsg"]}), &json!({"custommsg": "count"}));
    let options = [option("plugin", &victim), option("plugin", &counter)];
    let (home, started) = Home::start_seeing(&[&options[0], &options[1]], &format!(") {}", victim.display()));
    let pid = started.split("started(").nth(1).unwrap().split(')').next().unwrap();
    let (peer, id) = peer_of(&home).await;
    for number in 0..MESSAGES {
        send(&peer, &id, 32769, &number.to_be_bytes()).await;
    }
    home.line("plugin-counter: counted 1000");
    let killed =
        std::process::Command::new("sh").args(["-c", &format!("kill -s KILL {pid}")]).status().unwrap();
    assert!(killed.success());
    home.line("plugin-victim: Killing plugin: exited during normal operation");
    // The counter ends if one is missing or out of order.
    home.line(&format!("plugin-counter: counted {MESSAGES}"));
    assert_eq!(home.call(&["plugin", "list"])["plugins"].as_array().unwrap().len(), 1);
    // What it allowed went with it.
    send(&peer, &id, 40_000, &[]).await;
    home.line("Invalid unknown even msg 9c40");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_does_not_read() {
    let plugins = Plugins::new();
    let deaf = plugins.add("deaf", &json!({"subscriptions": ["custommsg"]}), &json!({"custommsg": "sleep"}));
    let honest =
        plugins.add("honest", &json!({"subscriptions": ["disconnect"]}), &json!({"disconnect": "log"}));
    let home = Home::start(&[&option("plugin", &deaf), &option("plugin", &honest)]);
    let (peer, id) = peer_of(&home).await;
    // 30 KB of hex each: a little more than what may wait.
    for _ in 0..600 {
        send(&peer, &id, 32769, &[0; 15_000]).await;
    }
    home.line("plugin-deaf: does not read fast enough: 1 notifications it is not told of by now, this one of custommsg");
    peer.disconnect(&id).await.unwrap();
    home.line("plugin-honest: told disconnect: ");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_calls_us_from_inside_its_own_hook_on_calls() {
    let plugins = Plugins::new();
    let manifest = json!({"hooks": ["rpc_command"]});
    let own = plugins.add("own", &manifest, &json!({"rpc_command": ["call", "continue"]}));
    let home = Home::start(&[&option("plugin", &own), HURRY]);
    // The call that it makes waits for itself, until its time is up; both calls are carried out.
    assert_eq!(home.call(&["listpeers"]), json!({"peers": []}));
    home.line("plugin-own: rpc_command hook: no answer within 2 s");
    home.line("plugin-own: called: {'jsonrpc': '2.0', 'id': 'scripted', 'result': {'peers': []}}");
    home.line("plugin-own: answers hooks again");
    assert_eq!(home.call(&["listpeers"]), json!({"peers": []}));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_disconnects_or_connects_the_peer_that_it_is_asked_about() {
    let plugins = Plugins::new();
    let on = json!({"peer_connected": ["disconnect-then-continue", "connect-then-continue", "continue"]});
    let own = plugins.add("own", &json!({"hooks": ["peer_connected"]}), &on);
    let (home, other) = (Home::start(&[&option("plugin", &own), HURRY]), Home::start(&[]));
    let port = home.call(&["getinfo"])["binding"][0]["port"].to_string();
    let connect = ["connect", &home.daemon.id, "127.0.0.1", &port];
    let _ = other.daemon.cli(&connect);
    home.line("plugin-own: disconnect: ");
    let _ = other.daemon.cli(&["disconnect", &home.daemon.id]);
    other.call(&connect);
    home.line("plugin-own: connect: ");
    assert_eq!(home.call(&["listpeers"])["peers"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_stopped_while_it_is_asked() {
    let plugins = Plugins::new();
    let manifest = json!({"hooks": [{"name": "custommsg", "before": ["honest"]}], "custommessages": [40000]});
    let slow = plugins.add("slow", &manifest, &json!({"custommsg": "hang"}));
    let honest = plugins.add("honest", &json!({"hooks": ["custommsg"]}), &json!({"custommsg": "count"}));
    let home = Home::start(&[&option("plugin", &slow), &option("plugin", &honest)]);
    let (peer, id) = peer_of(&home).await;
    for number in 0..1_000_u32 {
        send(&peer, &id, 32769, &number.to_be_bytes()).await;
    }
    home.call(&["plugin", "stop", "slow"]);
    home.line("connectd: Now allowing 0 custom message types");
    home.line("plugin-honest: counted 1000");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_with_the_same_even_type() {
    let plugins = Plugins::new();
    let manifest = json!({"custommessages": [40000], "hooks": ["custommsg"]});
    let [first, second] =
        ["first", "second"].map(|name| plugins.add(name, &manifest, &json!({"custommsg": "seen"})));
    let home = Home::start(&[&option("plugin", &first), &option("plugin", &second)]);
    let (peer, id) = peer_of(&home).await;
    home.call(&["plugin", "stop", "first"]);
    send(&peer, &id, 40000, &[1]).await;
    home.line("plugin-second: asked custommsg: 9c4001");
    home.call(&["plugin", "stop", "second"]);
    send(&peer, &id, 40000, &[2]).await;
    home.line("Invalid unknown even msg 9c4002");
}

#[test]
fn one_that_answers_no_calls_leaves_room_for_others() {
    let plugins = Plugins::new();
    let manifest = json!({"rpcmethods": [{"name": "wait", "usage": ""}]});
    let slow = plugins.add("slow", &manifest, &json!({"wait": "hang"}));
    let home = Home::start(&[&option("plugin", &slow)]);
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"wait","params":[]}"#;
    let connect = || UnixStream::connect(home.daemon.dir.join("regtest/lightning-rpc")).unwrap();
    let answer = |client: &mut UnixStream| {
        let answer = serde_json::Deserializer::from_reader(client).into_iter::<Value>().next();
        answer.unwrap().unwrap()
    };
    // Clients that call as often as one may at a time, see that it was heard, and go.
    for _ in 0..1_024 / 64 {
        let mut client = connect();
        client.write_all(call.repeat(63).as_bytes()).unwrap();
        client.write_all(br#"{"jsonrpc":"2.0","id":2,"method":"getinfo","params":[]}"#).unwrap();
        assert_eq!(answer(&mut client)["id"], 2);
    }
    let mut client = connect();
    client.write_all(call.repeat(17).as_bytes()).unwrap();
    let refused = answer(&mut client);
    assert_eq!(refused["error"]["code"], -3, "{refused}");
    let words = refused["error"]["message"].as_str().unwrap();
    assert!(words.starts_with("The plugin slow has not answered 1024 calls: "), "{words}");
    home.call(&["plugin", "stop", "slow"]);
    assert_eq!(refusal(&home.daemon, &["wait"]).0, -32601);
}

#[test]
fn ten_thousand_calls_at_once_are_all_answered() {
    const CALLS: u64 = 10_000;
    let plugins = Plugins::new();
    let manifest = json!({"rpcmethods": [{"name": "work", "usage": ""}]});
    let home =
        Home::start(&[&option("plugin", &plugins.add("worker", &manifest, &json!({"work": "params"})))]);
    let mut client = UnixStream::connect(home.daemon.dir.join("regtest/lightning-rpc")).unwrap();
    let answers = client.try_clone().unwrap();
    let asking = std::thread::spawn(move || {
        for id in 0..CALLS {
            // Every second one with the id of the one before.
            let call = json!({"jsonrpc": "2.0", "id": id / 2, "method": "work", "params": [id]});
            client.write_all(call.to_string().as_bytes()).unwrap();
        }
        client
    });
    let answers =
        serde_json::Deserializer::from_reader(std::io::BufReader::new(answers)).into_iter::<Value>();
    let mut seen = vec![false; usize::try_from(CALLS).unwrap()];
    for answer in answers.take(seen.len()) {
        let answer = answer.unwrap();
        let number = answer["result"]["params"][0].as_u64().unwrap();
        assert_eq!(answer["id"], number / 2, "{answer}");
        let was_seen = std::mem::replace(&mut seen[usize::try_from(number).unwrap()], true);
        assert!(!was_seen, "{answer}");
    }
    drop(asking.join().unwrap());
}

#[test]
fn one_with_huge_answers() {
    let plugins = Plugins::new();
    let methods = ["large", "too-large", "small"].map(|name| json!({"name": name, "usage": ""}));
    // Far more than anything else here has, and more than is taken.
    let on = json!({"large": "large", "too-large": "too-large", "small": "continue"});
    let path = plugins.add("verbose", &json!({"rpcmethods": methods}), &on);
    let home = Home::start(&[&option("plugin", &path)]);
    let large = home.call(&["large"]);
    assert_eq!(large["text"].as_str().unwrap().len(), 16 << 20);
    home.call(&["small"]);
    let refused = refusal(&home.daemon, &["too-large"]);
    assert_eq!(refused, (-4, "Plugin terminated before replying to RPC call.".to_owned()));
    home.line("plugin-verbose: Killing plugin: Request is longer than 67108864 bytes");
    assert_eq!(home.call(&["listpeers"]), json!({"peers": []}));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_answers_twice() {
    let plugins = Plugins::new();
    let manifest = json!({"hooks": [{"name": "custommsg", "before": ["honest"]}]});
    let twice = plugins.add("twice", &manifest, &json!({"custommsg": "twice"}));
    let honest = plugins.add("honest", &json!({"hooks": ["custommsg"]}), &json!({"custommsg": "count"}));
    let home = Home::start(&[&option("plugin", &twice), &option("plugin", &honest)]);
    let (peer, id) = peer_of(&home).await;
    for number in 0..1_000_u32 {
        send(&peer, &id, 32769, &number.to_be_bytes()).await;
    }
    home.line("plugin-twice: answer with an id that nobody waits for: cln:custommsg#");
    home.line("(512 of them now)");
    home.line("plugin-honest: counted 1000");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_closes_its_standard_input() {
    let plugins = Plugins::new();
    let manifest = json!({"hooks": [{"name": "custommsg", "before": ["honest"]}], "custommessages": [40000],
        "rpcmethods": [{"name": "work", "usage": ""}]});
    let deaf = plugins.add("deaf", &manifest, &json!({"custommsg": "close-input", "work": "params"}));
    let honest = plugins.add("honest", &json!({"hooks": ["custommsg"]}), &json!({"custommsg": "seen"}));
    let home = Home::start(&[&option("plugin", &deaf), &option("plugin", &honest)]);
    let (peer, id) = peer_of(&home).await;
    send(&peer, &id, 32769, &[0]).await;
    home.line("plugin-honest: asked custommsg: 800100");
    // It has answered, and still runs; what it is asked from now on is refused without a wait.
    send(&peer, &id, 32769, &[1]).await;
    home.line("plugin-deaf: custommsg hook: it does not read: going on without it (1");
    home.line("connectd: Now allowing 0 custom message types");
    home.line("plugin-honest: asked custommsg: 800101");
    let refused = refusal(&home.daemon, &["work"]);
    assert_eq!(refused.0, -3);
    assert!(refused.1.starts_with("The plugin deaf does not read what it is sent"), "{refused:?}");
    home.call(&["plugin", "stop", "deaf"]);
    home.line("plugin-deaf: Killing plugin: stopped by lightningd via RPC");
}

#[test]
fn one_that_exits_whatever_it_is_asked() {
    let plugins = Plugins::new();
    let manifest = json!({"hooks": ["peer_connected", {"name": "rpc_command", "filters": ["listpeers"]}], "cancheck": true,
        "rpcmethods": [{"name": "work", "usage": ""}],
        "options": [{"name": "word", "type": "string", "description": "", "default": "a", "dynamic": true}]});
    let questions = ["peer_connected", "rpc_command", "setconfig", "check", "work"];
    let on: serde_json::Map<_, _> =
        questions.iter().map(|question| ((*question).to_owned(), json!("exit"))).collect();
    let path = plugins.add("frail", &manifest, &on.into());
    let (home, other) = (Home::start(&[]), Home::start(&[]));
    let ends = |what: &dyn Fn()| {
        home.start_plugin(&path);
        what();
        home.line("plugin-frail: Killing plugin: exited during normal operation");
    };
    ends(&|| other.daemon.connect(&home.daemon));
    ends(&|| {
        let peers = home.call(&["listpeers"]);
        assert_eq!(
            peers["peers"].as_array().unwrap().len(),
            1,
            "the peer stays, and the call is carried out"
        );
    });
    for call in [&["setconfig", "word", "b"][..], &["check", "work"], &["work"]] {
        ends(&|| assert_eq!(refusal(&home.daemon, call).0, -4, "{call:?}"));
    }
    assert_eq!(refusal(&home.daemon, &["listconfigs", "word"]).0, -32602);
    assert_eq!(home.call(&["plugin", "list"])["plugins"], json!([]));
}
