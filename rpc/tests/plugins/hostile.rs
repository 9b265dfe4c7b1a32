//! Plugins that do everything wrong: whatever one of them does, the others and the peers notice nothing, and the log says it.

use serde_json::json;

use crate::fixture::{Home, Plugins, option};
use crate::{peer_of, send};

/// A plugin that sees every message stands behind one that does `action` at the second message; the log says `words`.
async fn nobody_else_notices(action: &str, words: &str) {
    let plugins = Plugins::new();
    let manifest = json!({"hooks": [{"name": "custommsg", "before": ["honest"]}], "custommessages": [40000]});
    let wrong = plugins.add("wrong", &manifest, &json!({"custommsg": ["continue", action, "continue"]}));
    let honest = plugins.add("honest", &json!({"hooks": ["custommsg"]}), &json!({"custommsg": "seen"}));
    let home = Home::start(&[&option("plugin", &wrong), &option("plugin", &honest)]);
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
    nobody_else_notices(
        "hang",
        "plugin-wrong: custommsg hook: no answer within 30 s: going on without it (1",
    )
    .await;
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
    let home = Home::start(&[&option("plugin", &wrong), &option("plugin", &honest)]);
    let (peer, id) = peer_of(&home).await;
    send(&peer, &id, 32769, &[0]).await;
    send(&peer, &id, 32769, &[1]).await;
    home.line("plugin-wrong: answer with an id that nobody waits for: someone/else (1 of them now)");
    // The second message is answered and goes on; the first one waits for its deadline alone, but in its place.
    home.line("plugin-wrong: custommsg hook: no answer within 30 s");
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
    home.line("connectd: Now allowing 0 custom message types");
    // The counter ends if one is missing or out of order.
    home.line(&format!("plugin-counter: counted {MESSAGES}"));
    assert_eq!(home.call(&["plugin", "list"])["plugins"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_does_not_read() {
    let plugins = Plugins::new();
    let deaf = plugins.add("deaf", &json!({"subscriptions": ["custommsg"]}), &json!({"custommsg": "sleep"}));
    let honest =
        plugins.add("honest", &json!({"subscriptions": ["disconnect"]}), &json!({"disconnect": "log"}));
    let home = Home::start(&[&option("plugin", &deaf), &option("plugin", &honest)]);
    let (peer, id) = peer_of(&home).await;
    // 30 KB of hex each, a thousand times: twice what may wait.
    for _ in 0..1_000 {
        send(&peer, &id, 32769, &[0; 15_000]).await;
    }
    home.line("plugin-deaf: does not read fast enough: 1 notifications it is not told of by now, this one of custommsg");
    peer.disconnect(&id).await.unwrap();
    home.line("plugin-honest: told disconnect: ");
}
