//! A host and the node on it: started, stopped, killed and started again with the same key.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::sleep;

use super::dice::Dice;
use super::network::Weather;
use super::process::{Host, Process};
use crate::{
    Consideration, Gatekeeper, Identity, Limits, Network, Node, NodeId, PeerInfo, Secret, StartError, Verdict,
};

/// A host with its node's key and settings, whether it runs or not.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) host: Host,
    pub(super) id: NodeId,
    pub(super) limits: Limits,
    /// Whether somebody is asked about each peer.
    pub(super) has_doorman: bool,
    pub(super) running: Option<Running>,
}

/// A node that runs.
#[derive(Debug, Clone)]
pub(super) struct Running {
    pub(super) process: Arc<Process>,
    pub(super) node: Handle,
}

/// The node's handle, until its program lets go of it.
#[derive(Debug, Clone)]
pub(super) struct Handle(Arc<Mutex<Option<Node>>>);

impl Handle {
    pub(super) fn get(&self) -> Option<Node> {
        self.lock().clone()
    }

    pub(super) fn let_go(&self) -> Option<Node> {
        self.lock().take()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Node>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn identity(host: Host) -> Identity {
    Identity::from_secret(&Secret::new([host.0; 32])).expect("a key")
}

impl Site {
    pub(super) fn new(host: Host, dice: &mut Dice) -> Site {
        let id = identity(host).node_id();
        let has_doorman = dice.one_in(5);
        Site { host, id, limits: limits(dice), has_doorman, running: None }
    }

    /// Starts the node in this process.
    pub(super) async fn start(&mut self, process: &Arc<Process>) -> Result<Node, StartError> {
        let mut builder = Node::builder()
            .identity(identity(self.host))
            .network(Network::Regtest)
            .listen(self.host.address())
            .limits(self.limits);
        if self.has_doorman {
            let dice = Mutex::new(process.dice().split());
            builder = builder.gatekeeper(Arc::new(Doorman { dice }));
        }
        let node = process.run(builder.start()).await?;
        let handle = Handle(Arc::new(Mutex::new(Some(node.clone()))));
        self.running = Some(Running { process: Arc::clone(process), node: handle });
        Ok(node)
    }
}

/// Thinks about some peers for a while and sends some of them away.
struct Doorman {
    dice: Mutex<Dice>,
}

impl Gatekeeper for Doorman {
    fn consider(&self, _peer: &PeerInfo) -> Option<Consideration> {
        let mut dice = self.dice.lock().unwrap_or_else(PoisonError::into_inner);
        if dice.one_in(3) {
            return None;
        }
        let thinking = if dice.one_in(8) { Duration::from_mins(3) } else { dice.millis(0..=3_000) };
        let warning = dice.one_in(2).then(|| "not today".to_owned());
        let verdict = if dice.one_in(3) { Verdict::TurnAway { warning } } else { Verdict::Welcome };
        Some(Box::pin(async move {
            sleep(thinking).await;
            verdict
        }))
    }
}

/// Mostly the usual limits; often some that are reached at once.
fn limits(dice: &mut Dice) -> Limits {
    let usual = Limits::default();
    let rarely = |dice: &mut Dice, usual: usize, small: &[usize]| {
        if dice.one_in(3) { dice.pick(small) } else { usual }
    };
    Limits {
        handshakes_per_second_per_ip: if dice.one_in(5) { 1 } else { usual.handshakes_per_second_per_ip },
        handshake_burst_per_ip: if dice.one_in(5) { 1 } else { usual.handshake_burst_per_ip },
        peers: rarely(dice, usual.peers, &[1, 2, 3]),
        pending_inbound: rarely(dice, usual.pending_inbound, &[1, 2, 4]),
        pending_inbound_per_ip: rarely(dice, usual.pending_inbound_per_ip, &[1, 2]),
        pending_outbound: rarely(dice, usual.pending_outbound, &[1, 2]),
        send_queue_messages: rarely(dice, usual.send_queue_messages, &[1, 3, 20]),
        send_queue_bytes: rarely(dice, usual.send_queue_bytes, &[5_000, 66_000, 200_000]),
        backlog_events: if dice.one_in(8) { dice.pick(&[1, 5, 50]) } else { usual.backlog_events },
        backlog_bytes: if dice.one_in(8) { dice.pick(&[1, 10_000]) } else { usual.backlog_bytes },
        history_messages: rarely(dice, usual.history_messages, &[0, 1, 30]),
        history_bytes: rarely(dice, usual.history_bytes, &[0, 5_000]),
        frames_per_turn: rarely(dice, usual.frames_per_turn, &[1, 2, 7]),
        frames_per_write: rarely(dice, usual.frames_per_write, &[1, 2, 7]),
        onion_in_burst: if dice.one_in(4) { 2 } else { usual.onion_in_burst },
        ..usual
    }
}

/// Weather for one direction of a link.
pub(super) fn weather(dice: &mut Dice) -> Weather {
    let slowest = dice.pick(&[0, 1, 10, 100, 1_000]);
    Weather {
        latency: 0..=slowest,
        room: dice.pick(&[64, 1_000, 10_000, 100_000, 1_000_000]),
        pieces_one_in: dice.pick(&[0, 0, 2, 10]),
        damage_one_in: dice.pick(&[0, 0, 0, 0, 300, 1_000]),
        silent_one_in: dice.pick(&[0, 0, 0, 10]),
    }
}
