//! A plugin as its author would write it for Core Lightning, on the crate `cln-plugin`: nothing in it knows of this daemon.
//!
//! It has two hooks, one with a filter, an even type, subscriptions, a notification of its own, a method, options of every kind
//! and one that `setconfig` changes; and it looks at how the daemon is set up before it decides to run.
//! `tests/plugins/rust.rs` starts it.

use std::sync::{Arc, Mutex, PoisonError};

use cln_plugin::options::{
    BooleanConfigOption, DefaultIntegerConfigOption, DefaultStringConfigOption, FlagConfigOption,
    StringArrayConfigOption, Value as OptionValue,
};
use cln_plugin::{Builder, Error, HookBuilder, HookFilter, Plugin, RpcMethodBuilder, messages};
use serde_json::{Value, json};

const GREETING: DefaultStringConfigOption<'_> =
    DefaultStringConfigOption::new_str_with_default("rust-greeting", "hello", "What the plugin says");

const FRIENDS: StringArrayConfigOption<'_> =
    StringArrayConfigOption::new_str_arr_no_default("rust-friend", "Somebody to greet");

const QUIET: FlagConfigOption<'_> = FlagConfigOption::new_flag("rust-quiet", "It says nothing");

const POLITE: BooleanConfigOption<'_> =
    BooleanConfigOption::new_bool_no_default("rust-polite", "It says thank you");

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
        .option(FRIENDS)
        .option(QUIET)
        .option(POLITE)
        .option(volume)
        .setconfig_callback(on_setconfig)
        .custommessages(vec![EVEN])
        .hook_from_builder(hook)
        .hook("peer_connected", on_peer)
        .subscribe("connect", on_connect)
        .subscribe("shutdown", on_shutdown)
        .notification(messages::NotificationTopic::new("rust_heard"))
        .rpcmethod_from_builder(RpcMethodBuilder::new("rust-heard", heard).usage("[most]"))
        .configure()
        .await?;
    let Some(plugin) = plugin else { return Ok(()) };
    if plugin.option(&QUIET)? && plugin.option(&POLITE)? == Some(true) {
        return plugin.disable("nobody can say thank you and nothing").await;
    }
    plugin.start(Seen::default()).await?.join().await
}

async fn on_message(plugin: Plugin<Seen>, message: Value) -> Result<Value, Error> {
    let payload = message["payload"].as_str().unwrap_or_default().to_owned();
    tracing::info!("rust heard {payload} from {}", message["peer_id"].as_str().unwrap_or_default());
    plugin.state().lock().unwrap_or_else(PoisonError::into_inner).push(payload.clone());
    plugin.send_custom_notification("rust_heard".to_owned(), json!({"payload": payload})).await?;
    Ok(json!({"result": "continue"}))
}

async fn on_peer(_: Plugin<Seen>, event: Value) -> Result<Value, Error> {
    tracing::info!("rust welcomes {}", event["peer"]["id"].as_str().unwrap_or_default());
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

async fn heard(plugin: Plugin<Seen>, params: Value) -> Result<Value, Error> {
    let mut messages = plugin.state().lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some(most) = params.get(0) {
        let most = most.as_u64().ok_or_else(|| Error::msg(format!("{most} is no number")))?;
        messages.truncate(most.try_into()?);
    }
    let volume = plugin.option_str("rust-volume")?.and_then(|volume| volume.as_i64());
    Ok(json!({
        "messages": messages, "volume": volume, "network": plugin.configuration().network,
        "greeting": plugin.option(&GREETING)?, "friends": plugin.option(&FRIENDS)?,
        "quiet": plugin.option(&QUIET)?, "polite": plugin.option(&POLITE)?,
    }))
}
