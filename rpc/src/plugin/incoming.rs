//! What a plugin says: answers, log lines, words about a request's progress, notifications for other plugins.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::channel::{Answer, Received};
use super::host::{Host, log_at};
use super::{Plugin, topic};
use crate::json_writer::object;
use crate::log::Level;
use crate::tokenizer::Kind;
use crate::value::Value;

impl Host {
    /// Handles one message.
    ///
    /// # Errors
    /// Why the plugin cannot be talked with.
    pub(super) fn hear(&self, plugin: &Arc<Plugin>, message: Value<'_>) -> Result<(), String> {
        match message.get("id") {
            Some(id) => {
                self.hear_answer(plugin, id.raw(), message);
                Ok(())
            }
            None => self.hear_notification(plugin, message),
        }
    }

    fn hear_answer(&self, plugin: &Arc<Plugin>, id: &str, message: Value<'_>) {
        let answer = match (message.get("result"), message.get("error")) {
            (Some(result), _) => Answer::Result(result.quoted().to_owned()),
            (None, Some(error)) => Answer::Error(error.quoted().to_owned()),
            (None, None) => Answer::Neither,
        };
        match plugin.channel.answer(id, answer) {
            Received::Expected => {}
            Received::Late => {
                tracing::debug!(source = plugin.source, "answer to {id} came too late");
                self.did_well(plugin);
            }
            Received::Stray => {
                let strays = plugin.health.strays.fetch_add(1, Ordering::Relaxed).saturating_add(1);
                // A plugin may do it a million times; the log is told less and less often.
                if strays.is_power_of_two() {
                    tracing::warn!(
                        source = plugin.source,
                        "answer with an id that nobody waits for: {id} ({strays} of them now)"
                    );
                }
            }
        }
    }

    fn hear_notification(&self, plugin: &Arc<Plugin>, message: Value<'_>) -> Result<(), String> {
        let (Some(method), Some(params)) = (message.get("method"), message.get("params")) else {
            return Err(format!(
                "Malformed JSON-RPC notification missing \"method\" or \"params\": {}",
                message.raw()
            ));
        };
        match method.raw() {
            "log" => return hear_log(plugin, params),
            method @ ("message" | "progress") => {
                let id = params.get("id").ok_or("JSON-RPC notify \"id\"-field is not present")?;
                plugin.channel.progress(id.raw(), &params, method);
            }
            _ => self.pass_on(plugin, &method.text(), params),
        }
        Ok(())
    }

    /// Passes a notification on to the plugins that have subscribed to it.
    fn pass_on(&self, plugin: &Arc<Plugin>, topic: &str, params: Value<'_>) {
        if topic::is_native(topic) || !self.may_send(plugin, topic) {
            tracing::warn!(
                source = plugin.source,
                "Plugin attempted to send a notification to topic \"{topic}\" it hasn't declared in its manifest, not \
                 forwarding to subscribers."
            );
            return;
        }
        let mut text = object(|message| {
            message.string("jsonrpc", "2.0");
            message.string("method", topic);
            message.string("origin", &plugin.name);
            message.bare("params", params.quoted());
        });
        text.push_str("\n\n");
        self.tell_all(topic, text);
    }
}

fn hear_log(plugin: &Plugin, params: Value<'_>) -> Result<(), String> {
    let Some(text) = params.get("message").filter(|text| text.kind() == Kind::String) else {
        return Err("Log notification from plugin doesn't have a string \"message\" field".to_owned());
    };
    let level = match params.get("level") {
        None => Level::Info,
        Some(level) => level.raw().parse().ok().filter(|level| *level != Level::Io).ok_or_else(|| {
            format!(
                "Unknown log-level {}, valid values are \"trace\", \"debug\", \"info\", \"warn\", or \"error\".",
                level.quoted()
            )
        })?,
    };
    for line in text.text().split('\n') {
        log_at(level, &plugin.source, line);
    }
    Ok(())
}
