//! The hook `peer_connected`: plugins decide who may stay.

use oddwire_node::{Consideration, Direction, Gatekeeper, PeerInfo, Verdict};

use super::host::Host;
use super::{Hook, Subject};
use crate::json_writer::object;
use crate::value::Document;

/// While the daemon starts, every peer waits until the plugins run: they are to hear of all of them.
impl Gatekeeper for Host {
    fn consider(&self, peer: &PeerInfo) -> Option<Consideration> {
        let is_ready = *self.inner.is_ready.borrow();
        if is_ready && self.chain(&Hook::PeerConnected).about(Subject::Any).next().is_none() {
            return None;
        }
        let (host, peer) = (self.clone(), peer.clone());
        Some(Box::pin(async move {
            // The sender lives as long as the host.
            let _ = host.inner.is_ready.subscribe().wait_for(|is_ready| *is_ready).await;
            host.decide_on(&peer).await
        }))
    }
}

impl Host {
    /// Asks one plugin after the other; the first that refuses decides.
    async fn decide_on(&self, peer: &PeerInfo) -> Verdict {
        let payload = payload(peer);
        for plugin in self.chain(&Hook::PeerConnected).about(Subject::Any) {
            let Some(result) = self.ask_hook(&plugin, &Hook::PeerConnected, None, &payload).await else {
                continue;
            };
            match verdict(&result) {
                Some(Verdict::Welcome) => self.did_well(&plugin),
                Some(Verdict::TurnAway { warning }) => {
                    self.did_well(&plugin);
                    let text = warning.as_deref().unwrap_or_default();
                    tracing::debug!(source = "lightningd", "peer_connected hook rejects and says '{text}'");
                    return Verdict::TurnAway { warning };
                }
                None => self.fault(
                    &plugin,
                    &Hook::PeerConnected,
                    &format!("returned an invalid response: {result}"),
                ),
            }
        }
        Verdict::Welcome
    }
}

fn payload(peer: &PeerInfo) -> String {
    object(|payload| {
        payload.object("peer", |entry| {
            entry.string("id", peer.id);
            entry.string("direction", if peer.direction == Direction::In { "in" } else { "out" });
            entry.string("addr", peer.address);
            if let Some(seen_as) = peer.seen_as {
                entry.string("remote_addr", seen_as);
            }
            entry.hex("features", &peer.features);
        });
    })
}

/// What a plugin's result means; `None` if it means nothing.
pub(super) fn verdict(result: &str) -> Option<Verdict> {
    let document = Document::parse(result)?;
    let result = document.root()?;
    match result.get("result")?.raw() {
        "continue" => Some(Verdict::Welcome),
        "disconnect" => {
            let warning = result.get("error_message").map(|text| text.text());
            Some(Verdict::TurnAway { warning })
        }
        _ => None,
    }
}

/// Whether a result has this member with this text.
pub(super) fn says(result: &str, member: &str, text: &str) -> bool {
    let document = Document::parse(result);
    let value = document.as_ref().and_then(Document::root).and_then(|result| result.get(member));
    value.is_some_and(|value| value.raw() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_continue_or_disconnect() {
        assert_eq!(verdict(r#"{"result":"continue"}"#), Some(Verdict::Welcome));
        let told = verdict(r#"{"result":"disconnect","error_message":"not \"today\""}"#);
        assert_eq!(told, Some(Verdict::TurnAway { warning: Some("not \"today\"".into()) }));
        assert_eq!(verdict(r#"{"result":"disconnect"}"#), Some(Verdict::TurnAway { warning: None }));
        for nonsense in ["{}", "[]", r#""continue""#, r#"{"result":"maybe"}"#, r#"{"result":{}}"#, ""] {
            assert_eq!(verdict(nonsense), None, "{nonsense}");
        }
    }
}
