//! `cargo xtask demo`: the main job, done before the reader's eyes.
//!
//! Two `oddwired` on loopback, each in a temporary directory, are connected and send each other a custom message through
//! the same programs and sockets that a user has. What the demo prints as request, reply and message is what went over
//! the sockets. It ends with status 0 only if both messages arrived unchanged, and removes its processes and directories
//! in every case: success, failure, Ctrl-C.

mod node;
mod relay;

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use serde_json::Value;

use self::node::Node;
use self::relay::Relay;
use crate::patience::Patience;
use crate::run;
use crate::workspace::Workspace;

/// Type 0x7777, odd, so that every node may send it to every node; then two bytes of payload.
const GREETING: &str = "77770012";
/// Type 0x7779 with the payload "hi".
const ANSWER: &str = "77796869";

/// How long anything in the demo may take; all of it happens on one machine in milliseconds.
const LIMIT: Duration = Duration::from_secs(30);

pub(crate) fn demo(workspace: &Workspace) -> Result<()> {
    // The dev profile: its dependencies are optimised, and it builds in a third of the time that release takes.
    run::show(&mut workspace.cargo(&["build", "--quiet", "--locked", "--package=oddwire-rpc", "--bins"]))?;

    let patience = Patience::until_interrupted(LIMIT)?;
    println!("\nTwo Lightning nodes on this machine; no bitcoin backend.");
    let alice = Node::start(workspace, "alice", &patience)?;
    let bob = Node::start(workspace, "bob", &patience)?;

    let outcome = talk(&alice, &bob, &patience);
    if outcome.is_err() {
        for node in [&alice, &bob] {
            println!("\nThe last lines that {} wrote:\n{}", node.name(), node.last_words());
        }
    }
    let stopped = [alice.stop(&patience), bob.stop(&patience)];
    outcome?;
    for stopped in stopped {
        stopped?;
    }
    println!("\nBoth messages arrived. Both nodes have stopped, and their directories are gone.");
    Ok(())
}

fn talk(alice: &Node, bob: &Node, patience: &Patience) -> Result<()> {
    println!("\nalice connects to bob:");
    alice.cli(&["connect", &bob.id, "127.0.0.1", &bob.port.to_string()]).shown().output(patience)?;
    println!("  connected");
    send(alice, bob, GREETING, patience)?;
    send(bob, alice, ANSWER, patience)
}

/// Sends `message` and shows it at each station; fails unless it is seen at the other node as it was sent.
fn send(from: &Node, to: &Node, message: &str, patience: &Patience) -> Result<()> {
    println!("\n{} listens for one message:", to.name());
    let ear = Relay::start(&to.directory().join("ear"), &to.socket())?;
    let listener = to.cli(&["listen", "--count", "1"]).shown().through(&ear).spawn()?;
    // The message must not be sent before someone listens: the daemon's reply to the subscription says so.
    patience
        .wait_for("the subscription", || Ok(ear.written_by_server().contains("\"result\"").then_some(())))?;

    println!("{} sends {message}:", from.name());
    let wire = Relay::start(&from.directory().join("wire"), &from.socket())?;
    from.cli(&["sendcustommsg", &to.id, message]).shown().through(&wire).output(patience)?;
    println!("  request   {}", line_with(&wire.written_by_client(), "\"sendcustommsg\""));
    println!("  reply     {}", line_with(&wire.written_by_server(), "Message sent"));

    let heard = listener.output(patience)?;
    println!("  {:<9} {}", format!("{} saw", to.name()), heard.trim_end());
    let heard: Value = serde_json::from_str(&heard)?;
    ensure!(heard["payload"] == message, "{} was sent, {} arrived", message, heard["payload"]);
    if heard["peer"] != from.id {
        bail!("the message came from {}, not from {}", heard["peer"], from.id);
    }
    Ok(())
}

/// The JSON object of `traffic` that holds `text`; there is one to a line.
fn line_with(traffic: &str, text: &str) -> String {
    traffic.lines().find(|line| line.contains(text)).unwrap_or("(none seen)").to_owned()
}
