//! A plugin as its author would write it for Core Lightning, on the crate `cln-plugin`: nothing in it knows of this daemon.
//!
//! It has a hook with a filter, an even type, subscriptions, a notification of its own, a method, an option and one that
//! `setconfig` changes. `tests/plugins/rust.rs` starts it.

use std::sync::{Arc, Mutex, PoisonError};

use cln_plugin::options::{DefaultIntegerConfigOption, DefaultStringConfigOption, Value as OptionValue};
use cln_plugin::{Builder, Error, HookBuilder, HookFilter, Plugin, messages};
use serde_json::{Value, json};

const GREETING: DefaultStringConfigOption<'_> =
    DefaultStringConfigOption::new_str_with_default("rust-greeting", "hello", "What the plugin says");

/// An even type: peers may send it while this plugin runs.
const EVEN: u16 = 32768;

/// Payloads of the messages that the hook was asked about.
type Seen = Arc<Mutex<Vec<String>>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let volume = DefaultIntegerConfigOption::new_i64_with_default("rust-volume", 3, "How loud").dynamic();
    let hook = HookBuilder::new("custommsg", on_message)
        .before(vec!["last".to_owned()])
        .filters(vec![HookFilter::Int(EVEN.into()), HookFilter::Int(32771)]);
    let plugin = Builder::new(tokio::io::stdin(), tokio::io::stdout())
        .dynamic()
        .option(GREETING)
        .option(volume)
        .setconfig_callback(on_setconfig)
        .custommessages(vec![EVEN])
        .hook_from_builder(hook)
        .subscribe("connect", on_connect)
        .subscribe("shutdown", on_shutdown)
        .notification(messages::NotificationTopic::new("rust_heard"))
        .rpcmethod("rust-heard", "What arrived so far", heard)
        .start(Seen::default())
        .await?;
    match plugin {
        Some(plugin) => plugin.join().await,
        None => Ok(()),
    }
}

async fn on_message(plugin: Plugin<Seen>, message: Value) -> Result<Value, Error> {
    let payload = message["payload"].as_str().unwrap_or_default().to_owned();
    tracing::info!("rust heard {payload} from {}", message["peer_id"].as_str().unwrap_or_default());
    plugin.state().lock().unwrap_or_else(PoisonError::into_inner).push(payload.clone());
    plugin.send_custom_notification("rust_heard".to_owned(), json!({"payload": payload})).await?;
    Ok(json!({"result": "continue"}))
}

async fn on_connect(_: Plugin<Seen>, event: Value) -> Result<(), Error> {
    tracing::info!("rust was told of a connection: {event}");
    Ok(())
}

async fn on_shutdown(_: Plugin<Seen>, _: Value) -> Result<(), Error> {
    // As in Core Lightning's own examples: a runtime that ends by itself waits for what reads standard input.
    std::process::exit(0)
}

async fn on_setconfig(plugin: Plugin<Seen>, change: Value) -> Result<Value, Error> {
    let (Some(name), Some(value)) = (change["config"].as_str(), change["val"].as_str()) else {
        return Err(Error::msg("an option and its value are needed"));
    };
    let value: i64 = value.parse()?;
    if value > 10 {
        return Err(Error::msg("too loud"));
    }
    plugin.set_option_str(name, OptionValue::Integer(value))?;
    Ok(json!({}))
}

async fn heard(plugin: Plugin<Seen>, _: Value) -> Result<Value, Error> {
    let messages = plugin.state().lock().unwrap_or_else(PoisonError::into_inner).clone();
    let volume = plugin.option_str("rust-volume")?.and_then(|volume| volume.as_i64());
    Ok(json!({"messages": messages, "greeting": plugin.option(&GREETING)?, "volume": volume}))
}
