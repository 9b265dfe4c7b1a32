//! From the node's onion messages to plugins: the hooks `onion_message_recv` and `onion_message_recv_secret`, and what went
//! no further.
//!
//! Nobody knows who sent an onion message, so there is no order to keep between two: each goes through its chain by itself,
//! [`ONION_HOOKS`] of them at once.

use std::sync::Arc;

use oddwire_node::{OnionDropped, OnionMessage};
use tokio::task::JoinSet;

use super::gate::says;
use super::host::Host;
use super::{Hook, Subject};
use crate::json_writer::object;
use crate::limits::ONION_HOOKS;
use crate::onion::{path_secret, write_forward_fail, write_message};

/// The onion messages that are on their way through hooks.
#[derive(Debug, Default)]
pub(super) struct OnionHooks {
    calls: JoinSet<()>,
    /// Messages that did not fit.
    missed: u64,
}

impl OnionHooks {
    /// Shows a message to the plugins that want it.
    pub(super) fn take_in(&mut self, host: &Host, message: &Arc<OnionMessage>) {
        // Those that are through make room.
        while self.calls.try_join_next().is_some() {}
        if self.calls.len() >= ONION_HOOKS {
            self.missed = self.missed.saturating_add(1);
            if self.missed.is_power_of_two() {
                tracing::warn!(
                    "plugins are too slow: {} onion messages were not shown to hooks by now",
                    self.missed
                );
            }
            return;
        }
        let hook = if path_secret(message).is_some() { Hook::OnionMessageSecret } else { Hook::OnionMessage };
        let plugins: Vec<_> = host.chain(&hook).about(Subject::Any).collect();
        if plugins.is_empty() {
            return;
        }
        let payload = object(|payload| {
            payload.object("onion_message", |onion| write_message(onion, message));
        });
        let host = host.clone();
        self.calls.spawn(async move {
            for plugin in plugins {
                let Some(result) = host.ask_hook(&plugin, &hook, None, &payload).await else { continue };
                if says(&result, "result", "continue") {
                    host.did_well(&plugin);
                    continue;
                }
                // Core Lightning takes any other word for an end of the chain.
                tracing::debug!(source = plugin.source, "has handled an onion message");
                return;
            }
        });
    }
}

/// Tells of a message that went no further. Of those that were not even read, Core Lightning tells nothing.
pub(super) fn tell_forward_fail(host: &Host, dropped: &OnionDropped) {
    if dropped.path_key.is_some() {
        host.notify("onionmessage_forward_fail", |params| write_forward_fail(params, dropped));
    }
}
