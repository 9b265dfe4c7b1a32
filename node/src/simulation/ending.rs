//! How a run ends: in good weather, with everybody saying something and hanging up, and nothing left behind.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::sleep;

use super::census::Census;
use super::ledger::{Ended, Sums, port};
use super::network::Leftovers;
use super::process::{Host, Process};
use super::world::{Goodbye, World};
use crate::{NodeId, PeerInfo};

/// Longer than any attempt to connect, any deadline of a handshake, and any thinking of a doorman.
const QUIET: Duration = Duration::from_mins(5);

/// Connections that were closed without any trouble, and the process that did it: what it had sent has to arrive.
type Graceful = BTreeSet<(u16, usize)>;

impl World {
    /// Everybody hangs up, in good weather. When nothing happens any more, nothing may be left.
    pub(super) async fn end(mut self) -> Sums {
        self.trace.note(format_args!("the weather is good"));
        self.network.calm_down();
        self.talk().await;
        self.trace.note(format_args!("everybody hangs up"));
        // Both sides are sending when one of them does.
        (0..self.sites.len()).for_each(|index| self.send_to_all(index));
        let graceful = self.hang_up(|host, peer| host < peer);
        sleep(QUIET).await;
        for _ in 0..3 {
            if self.nodes().all(|(_, node)| Census::of(&node).is_quiet()) {
                break;
            }
            self.hang_up(|_, _| true);
            sleep(QUIET).await;
        }
        self.check_quiet();
        for index in 0..self.sites.len() {
            self.let_go(index, Goodbye::Shutdown);
        }
        // What is left of the programs hears that its node has stopped.
        self.strangers.kill().await;
        sleep(QUIET).await;
        for process in &self.over {
            self.check_open(process, &Leftovers { listeners: 0, sockets: 0 });
            let tasks = process.task_count();
            if tasks > 0 {
                self.trace.violation(format_args!("process {} has {tasks} tasks left", process.number));
            }
        }
        self.conclude(&graceful)
    }

    /// Everybody says something, and it goes out at once. Shorter than what wakes idle connections.
    async fn talk(&mut self) {
        sleep(Duration::from_secs(2)).await;
        for _ in 0..2 {
            (0..self.sites.len()).for_each(|index| self.send_to_all(index));
            sleep(Duration::from_secs(10)).await;
        }
        for (site, node) in self.nodes() {
            for peer in node.peers().iter().filter(|peer| self.is_well(site.id, peer)) {
                let queued = peer.traffic.queued_messages;
                if queued > 0 {
                    let (host, peer) = (site.host.0, self.books.name(&peer.id));
                    self.trace
                        .violation(format_args!("n{host} has {queued} messages for {peer} and sends none"));
                }
            }
        }
    }

    /// Whether nothing is wrong with a connection as one side sees it: the network carries it, the other side means the same
    /// one, and no doorman is thinking about it.
    fn is_well(&self, id: NodeId, peer: &PeerInfo) -> bool {
        let means_the_same = self.nodes().filter(|(site, _)| site.id == peer.id && !site.has_doorman);
        self.network.is_sound(port(peer))
            && means_the_same.filter_map(|(_, node)| node.peer(&id)).any(|info| port(&info) == port(peer))
    }

    /// Every node hangs up on those peers.
    fn hang_up(&self, is_chosen: impl Fn(Host, Host) -> bool) -> Graceful {
        let mut graceful = Graceful::new();
        for (site, node) in self.nodes() {
            let Some(running) = &site.running else { continue };
            for peer in node.peers() {
                let there = self.sites.iter().find(|other| other.id == peer.id).map(|other| other.host);
                if !there.is_some_and(|there| is_chosen(site.host, there)) {
                    continue;
                }
                if self.is_well(site.id, &peer) {
                    graceful.insert((port(&peer), running.process.number));
                }
                let (name, node) = (format!("disconnect {}", self.books.name(&peer.id)), node.clone());
                self.operate(running, name, Duration::from_secs(10), async move {
                    node.disconnect(&peer.id).await.map_or_else(|no| no.to_string(), |()| "done".to_owned())
                });
            }
        }
        graceful
    }

    /// Nobody is connected, and nothing is under way.
    fn check_quiet(&self) {
        for (process, name, begun) in self.books.operations().under_way.values() {
            self.trace.violation(format_args!("process {process}: {name} has not ended since {begun:?}"));
        }
        for (site, node) in self.nodes() {
            let name = format!("n{}", site.host.0);
            Census::of(&node).check_empty(&name, &self.trace);
            let traffic = node.onion_traffic();
            if traffic.received != traffic.delivered + traffic.forwarded + traffic.dropped {
                self.trace.violation(format_args!("{name} has lost onions without a word: {traffic:?}"));
            }
        }
        for running in self.sites.iter().filter_map(|site| site.running.as_ref()) {
            self.check_open(&running.process, &Leftovers { listeners: 1, sockets: 0 });
        }
    }

    fn check_open(&self, process: &Process, allowed: &Leftovers) {
        let left = self.network.leftovers_of(process.number);
        if left != *allowed {
            self.trace.violation(format_args!("process {} has {left:?} open", process.number));
        }
    }

    fn conclude(&self, graceful: &Graceful) -> Sums {
        let finished = self.network.finished();
        let connections = |process: usize, host: Host| {
            let ended = finished.iter().flat_map(|one| {
                let ends = (0..2).filter(|end| one.processes[*end] == process && one.hosts[1 - end] == host);
                ends.map(|end| {
                    let may_have_lost = one.may_have_lost[end] && !graceful.contains(&(one.port, process));
                    Ended { port: one.port, may_have_lost, written: one.written[end] }
                })
            });
            ended.collect()
        };
        self.books.ledger().conclude(connections, &self.killed)
    }
}
