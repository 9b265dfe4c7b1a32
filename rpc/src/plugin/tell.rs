//! What the daemon says to plugins: requests, and notifications in the shapes of Core Lightning v26.06.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use oddwire_node::{NodeId, PeerInfo};

use super::Plugin;
use super::channel::{Answer, Asked, Told};
use super::hook::Hook;
use super::host::Host;
use super::manifest::PluginMethod;
use crate::json_writer::{ObjectWriter, needs_escape, object};
use crate::limits::HOOK_TIME;
use crate::log::{Level, LogRecord};
use crate::method::address::write_address;

impl Host {
    /// An id for a request: of its own, with the id of the request that caused it in front if there is one.
    pub(super) fn request_id(&self, method: &str, asked_by: Option<&str>) -> String {
        let number = self.inner.next_request.fetch_add(1, Ordering::Relaxed);
        match asked_by {
            None => format!("cln:{method}#{number}"),
            Some(id) => {
                let id = id.strip_prefix('"').and_then(|id| id.strip_suffix('"')).unwrap_or(id);
                // Whoever chose such an id is on his own.
                let id = if needs_escape(id) { "weird-id" } else { id };
                format!("{id}/cln:{method}#{number}")
            }
        }
    }

    /// Sends a request; `params` is JSON.
    pub(super) fn ask(&self, plugin: &Plugin, method: &str, asked_by: Option<&str>, params: &str) -> Asked {
        let id = self.request_id(method, asked_by);
        let mut text = object(|request| {
            request.string("jsonrpc", "2.0");
            request.string("id", &id);
            request.string("method", method);
            request.bare("params", params);
        });
        text.push_str("\n\n");
        plugin.channel.ask(id, text, None)
    }

    /// Asks one plugin for a hook, and waits as long as a hook is waited for. `None` if nothing came of it: that is told and
    /// counted already, and the next one is to be asked.
    pub(super) async fn ask_hook(
        &self,
        plugin: &Arc<Plugin>,
        hook: &Hook,
        asked_by: Option<&str>,
        payload: &str,
    ) -> Option<String> {
        if !plugin.is_callable() {
            return None;
        }
        tracing::trace!("Calling {} hook of plugin {}", hook.name(), plugin.name);
        let answer = self.ask(plugin, hook.name(), asked_by, payload).within(self.patience(HOOK_TIME)).await;
        self.judge_hook(plugin, hook, answer)
    }

    /// The result that a plugin has for a hook, if it has one.
    pub(super) fn judge_hook(&self, plugin: &Arc<Plugin>, hook: &Hook, answer: Answer) -> Option<String> {
        match answer {
            Answer::Result(result) => {
                tracing::trace!("Plugin {} returned from {} hook call", plugin.name, hook.name());
                return Some(result);
            }
            Answer::Gone => tracing::debug!("Plugin died from {} hook call", hook.name()),
            Answer::TimedOut => {
                plugin.health.is_hung.store(true, Ordering::Relaxed);
                let what = format!("no answer within {} s", self.patience(HOOK_TIME).as_secs_f32());
                self.fault(plugin, hook, &what);
            }
            Answer::Full => self.fault(plugin, hook, "it does not read"),
            Answer::Error(error) => self.fault(plugin, hook, &format!("returned the error {error}")),
            Answer::Neither => self.fault(plugin, hook, "returned neither result nor error"),
        }
        None
    }

    /// Whether anybody has subscribed to this topic.
    pub(crate) fn is_wanted(&self, topic: &str) -> bool {
        !self.subscribers(topic).is_empty()
    }

    /// Tells all subscribers of a topic of the daemon's; the member of the topic's name is filled by `fill`.
    pub(crate) fn notify(&self, topic: &str, fill: impl FnOnce(&mut ObjectWriter<'_>)) {
        let subscribers = self.subscribers(topic);
        if !subscribers.is_empty() {
            tell_each(&subscribers, topic, notification(topic, fill));
        }
    }

    pub(super) fn tell_all(&self, topic: &str, text: String) {
        tell_each(&self.subscribers(topic), topic, text);
    }

    /// Tells one plugin, if it has subscribed.
    fn tell_one(&self, plugin: &Arc<Plugin>, topic: &str, fill: impl FnOnce(&mut ObjectWriter<'_>)) -> bool {
        let is_subscribed = self.is_subscribed(plugin, topic);
        if is_subscribed {
            tell(plugin, topic, Bytes::from(notification(topic, fill)));
        }
        is_subscribed
    }

    /// Whether it wants to be told, and is.
    pub(super) fn tell_shutdown(&self, plugin: &Arc<Plugin>) -> bool {
        self.tell_one(plugin, "shutdown", |_| {})
    }

    /// That the client of the next call wants, or does not want, what is deprecated.
    pub(super) fn tell_deprecated_oneshot(&self, plugin: &Arc<Plugin>, is_ok: bool) -> bool {
        self.tell_one(plugin, "deprecated_oneshot", |params| params.bare("deprecated_ok", is_ok))
    }

    pub(super) fn tell_plugin_started(&self, plugin: &Arc<Plugin>) {
        let methods =
            self.lock().find(plugin).map(|entry| entry.manifest.methods.clone()).unwrap_or_default();
        self.notify("plugin_started", |params| describe(params, plugin, &methods));
    }

    pub(super) fn tell_plugin_stopped(&self, plugin: &Plugin, methods: &[PluginMethod]) {
        self.notify("plugin_stopped", |params| describe(params, plugin, methods));
    }

    pub(super) fn tell_connect(&self, peer: &PeerInfo) {
        self.notify("connect", |params| {
            params.string("id", peer.id);
            params.string("direction", peer.direction);
            params.object("address", |address| write_address(address, peer.address));
        });
    }

    pub(super) fn tell_disconnect(&self, id: &NodeId) {
        self.notify("disconnect", |params| params.string("id", id));
    }

    pub(super) fn tell_custom_message(&self, id: &NodeId, message: &str) {
        self.notify("custommsg", |params| {
            params.string("peer_id", id);
            params.string("payload", message);
        });
    }

    /// A line of the log, for those who want the log, and for those who want to hear of what is unusual. Logs nothing itself.
    pub(super) fn tell_log(&self, line: &LogRecord) {
        if line.level >= Level::Unusual && self.is_wanted("warning") {
            let level = if line.level == Level::Broken { "error" } else { "warn" };
            self.tell_all("warning", wrapped("warning", &line.notification_at(level)));
        }
        if self.is_wanted("log") {
            self.tell_all("log", wrapped("log", &line.notification()));
        }
    }
}

fn wrapped(topic: &str, params: &str) -> String {
    format!("{{\"jsonrpc\":\"2.0\",\"method\":\"{topic}\",\"params\":{{\"{topic}\":{params}}}}}\n\n")
}

fn notification(topic: &str, fill: impl FnOnce(&mut ObjectWriter<'_>)) -> String {
    wrapped(topic, &object(fill))
}

fn tell_each(plugins: &[Arc<Plugin>], topic: &str, text: String) {
    let text = Bytes::from(text);
    for plugin in plugins {
        tell(plugin, topic, text.clone());
    }
}

fn tell(plugin: &Plugin, topic: &str, text: Bytes) {
    // The log is told less and less often, and of the log not at all: it would only make it longer.
    if let Told::Missed(missed) = plugin.channel.tell(text)
        && missed.is_power_of_two()
        && !matches!(topic, "log" | "warning")
    {
        tracing::warn!(
            source = plugin.source,
            "does not read fast enough: {missed} notifications it is not told of by now, this one of {topic}"
        );
    }
}

fn describe(params: &mut ObjectWriter<'_>, plugin: &Plugin, methods: &[PluginMethod]) {
    params.string("plugin_name", &plugin.name);
    params.string("plugin_path", &plugin.path);
    params.array("methods", |names| {
        for method in methods {
            names.string(&method.name);
        }
    });
}
