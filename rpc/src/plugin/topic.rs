//! The topics that the daemon itself tells plugins about, those of Core Lightning that never come up here included.

/// Sorted. A plugin may subscribe to each of them; it may send none of them itself.
const NATIVE: [&str; 22] = [
    "balance_snapshot",
    "block_added",
    "channel_open_failed",
    "channel_opened",
    "channel_state_changed",
    "coin_movement",
    "connect",
    "custommsg",
    "deprecated_oneshot",
    "disconnect",
    "forward_event",
    "invoice_creation",
    "invoice_payment",
    "log",
    "onionmessage_forward_fail",
    "openchannel_peer_sigs",
    "plugin_started",
    "plugin_stopped",
    "sendpay_failure",
    "sendpay_success",
    "shutdown",
    "warning",
];

/// Whether the daemon has a topic of this name.
pub(super) fn is_native(topic: &str) -> bool {
    NATIVE.binary_search(&topic).is_ok()
}

/// Whether a subscription to `wanted` covers `topic`. The wildcard leaves out the log, which would tell of itself.
pub(super) fn covers(wanted: &str, topic: &str) -> bool {
    wanted == topic || (wanted == "*" && topic != "log")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted() {
        assert!(NATIVE.is_sorted());
        assert!(is_native("custommsg") && is_native("warning") && !is_native("mine"));
    }

    #[test]
    fn a_wildcard_covers_all_but_the_log() {
        assert!(
            covers("*", "connect")
                && covers("log", "log")
                && !covers("*", "log")
                && !covers("connect", "log")
        );
    }
}
