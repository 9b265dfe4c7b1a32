//! All hosts of a run and what their programs do: the operations of a node's users, and the ears that hear its events.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::census::Census;
use super::dice::Dice;
use super::ledger::Ledger;
use super::network::{Death, Network};
use super::onions::Onions;
use super::process::{Host, Process};
use super::site::{Running, Site};
use super::trace::Trace;
use crate::onion::{OnionDestination, OutgoingOnion, Via};
use crate::{Delivery, Event, EventFilter, Node, NodeId, ReplyPath, Subscription};

/// Where those live that are no nodes.
const STRANGERS: Host = Host(200);

/// Everything of a run.
pub(super) struct World {
    pub(super) dice: Dice,
    pub(super) trace: Arc<Trace>,
    pub(super) network: Arc<Network>,
    pub(super) books: Arc<Books>,
    pub(super) sites: Vec<Site>,
    pub(super) strangers: Arc<Process>,
    /// Processes whose program has let go of its node.
    pub(super) over: Vec<Arc<Process>>,
    pub(super) killed: BTreeSet<usize>,
    processes: usize,
    /// Two sites between which much happens for so many steps.
    pub(super) rush: Option<(usize, usize, usize)>,
}

/// What is noted down in the course of a run, by tasks of all processes.
pub(super) struct Books {
    pub(super) trace: Arc<Trace>,
    ledger: Mutex<Ledger>,
    onions: Mutex<Onions>,
    operations: Mutex<Operations>,
    names: BTreeMap<NodeId, Host>,
}

/// What was asked of nodes and has not ended.
#[derive(Default)]
pub(super) struct Operations {
    next: usize,
    pub(super) under_way: BTreeMap<usize, (usize, String, Instant)>,
}

impl Books {
    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn onions(&self) -> MutexGuard<'_, Onions> {
        self.onions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn operations(&self) -> MutexGuard<'_, Operations> {
        self.operations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn name(&self, id: &NodeId) -> String {
        self.names.get(id).map_or_else(|| id.to_string(), |host| format!("n{}", host.0))
    }
}

impl World {
    /// Hosts in whatever weather the dice say, and a node on each.
    pub(super) async fn begin(seed: u64) -> World {
        let mut dice = Dice::new(seed);
        let trace = Arc::new(Trace::begin());
        let network = Network::new(dice.split(), &trace);
        tokio::spawn(Arc::clone(&network).carry());
        let count = u8::try_from(dice.within(2..=6)).unwrap_or(2);
        let mut sites: Vec<Site> = (1..=count).map(|host| Site::new(Host(host), &mut dice)).collect();
        let names: BTreeMap<NodeId, Host> = sites.iter().map(|site| (site.id, site.host)).collect();
        let books = Arc::new(Books {
            trace: Arc::clone(&trace),
            ledger: Mutex::new(Ledger::new(names.clone(), &trace)),
            onions: Mutex::new(Onions::new(&trace)),
            operations: Mutex::default(),
            names,
        });
        for site in &mut sites {
            trace.note(format_args!("n{}: {:?}", site.host.0, site.limits));
        }
        let strangers = Process::new(0, STRANGERS, &network, &trace, dice.split());
        let (over, killed) = (Vec::new(), BTreeSet::new());
        let mut world =
            World { dice, trace, network, books, sites, strangers, over, killed, processes: 0, rush: None };
        for index in 0..world.sites.len() {
            world.start(index).await;
        }
        world
    }

    /// Starts the node of a site that has none running.
    pub(super) async fn start(&mut self, index: usize) {
        self.processes += 1;
        let (number, host) = (self.processes, self.sites[index].host);
        let dice = self.dice.split();
        let process = Process::new(number, host, &self.network, &self.trace, dice);
        self.network.power_is_back(host);
        match self.sites[index].start(&process).await {
            Ok(node) => {
                self.trace.note(format_args!("n{}: started as process {number}", host.0));
                self.books.ledger().listens(number, host, *node.limits(), self.sites[index].has_doorman);
                let events = node.subscribe(EventFilter::all());
                let books = Arc::clone(&self.books);
                if let Some(running) = self.sites[index].running.clone() {
                    process.spawn(listen(books, running, events));
                }
            }
            Err(error) => self.trace.violation(format_args!("n{} does not start: {error}", host.0)),
        }
    }

    /// Ends the process of a node at this moment.
    pub(super) async fn kill(&mut self, index: usize, death: Death) {
        let Some(Running { process, node }) = self.sites[index].running.take() else { return };
        self.trace.note(format_args!("n{}: {death:?}", process.host.0));
        self.killed.insert(process.number);
        self.network.process_ends(process.number, process.host, death);
        process.kill().await;
        drop(node.let_go());
    }

    /// Has the program of a node let go of it, after it has stopped or without waiting for that.
    pub(super) fn let_go(&mut self, index: usize, goodbye: Goodbye) {
        let Some(running) = self.sites[index].running.take() else { return };
        self.over.push(Arc::clone(&running.process));
        let node = running.node.let_go();
        self.operate(&running, format!("{goodbye:?}"), Duration::from_secs(30), async move {
            match (goodbye, &node) {
                (Goodbye::Shutdown, Some(node)) => node.shutdown().await,
                (Goodbye::ShutdownWithin(time), Some(node)) => node.shutdown_within(time).await,
                _ => {}
            }
            drop(node);
            "gone"
        });
    }

    /// Has a process do something that ends within `limit`, and notes the outcome.
    pub(super) fn operate<T: fmt::Display>(
        &self,
        running: &Running,
        name: String,
        limit: Duration,
        operation: impl Future<Output = T> + Send + 'static,
    ) {
        let (books, host) = (Arc::clone(&self.books), running.process.host.0);
        let place = OperationPlace::enter(&books, running.process.number, &name);
        self.trace.note(format_args!("n{host}: {name}"));
        running.process.spawn(async move {
            match timeout(limit, operation).await {
                Ok(outcome) => books.trace.note(format_args!("n{host}: {name}: {outcome}")),
                Err(_) => {
                    books.trace.violation(format_args!("n{host}: {name} has not ended after {limit:?}"));
                }
            }
            drop(place);
        });
    }

    /// A site whose node runs, and another, which mostly is connected to it if any is.
    pub(super) fn pair(&mut self) -> Option<(Running, usize, usize)> {
        let from = self.dice.below(self.sites.len());
        let running = self.sites[from].running.clone()?;
        let peers: BTreeSet<NodeId> = running.node.get()?.peers().iter().map(|peer| peer.id).collect();
        let mut others: Vec<usize> = (0..self.sites.len()).filter(|other| *other != from).collect();
        if !peers.is_empty() && !self.dice.one_in(6) {
            others.retain(|other| peers.contains(&self.sites[*other].id));
        }
        let to = self.dice.pick(&others);
        Some((running, from, to))
    }

    /// No node holds more than it may.
    pub(super) fn check_limits(&self) {
        for (site, node) in self.nodes() {
            Census::of(&node).check_limits(format_args!("n{}", site.host.0), &self.trace);
        }
    }

    /// Whether the last node of this host has not let go of everything yet.
    pub(super) fn is_stopping(&self, host: Host) -> bool {
        let open = |process: &Process| self.network.leftovers_of(process.number).listeners > 0;
        self.over.iter().any(|process| process.host == host && open(process))
    }

    pub(super) fn nodes(&self) -> impl Iterator<Item = (&Site, Node)> {
        self.sites.iter().filter_map(|site| Some((site, site.running.as_ref()?.node.get()?)))
    }
}

/// How a program parts with its node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goodbye {
    Shutdown,
    /// What is not over after this time is broken off.
    ShutdownWithin(Duration),
    /// The last handle is dropped.
    Drop,
}

/// An operation that is under way, until it ends or its process is killed.
struct OperationPlace {
    books: Arc<Books>,
    number: usize,
}

impl OperationPlace {
    fn enter(books: &Arc<Books>, process: usize, name: &str) -> OperationPlace {
        let mut operations = books.operations();
        operations.next += 1;
        let number = operations.next;
        operations.under_way.insert(number, (process, name.to_owned(), Instant::now()));
        OperationPlace { books: Arc::clone(books), number }
    }
}

impl Drop for OperationPlace {
    fn drop(&mut self) {
        self.books.operations().under_way.remove(&self.number);
    }
}

/// Hears everything that a node has to tell, and answers questions.
async fn listen(books: Arc<Books>, running: Running, mut events: Subscription) {
    let Running { process, node } = running;
    let host = process.host;
    while let Some(delivery) = events.next().await {
        books.trace.note(format_args!("n{} hears {}", host.0, told(&books, &delivery)));
        books.ledger().heard(process.number, &delivery);
        let Delivery::Event(Event::OnionMessage(message)) = delivery else { continue };
        let answer = books.onions().arrived(host, &message);
        if let (Some(records), Some(path), Some(node)) = (answer, message.reply_path.clone(), node.get()) {
            process.spawn(async move {
                // Whether it can be sent is the network's affair.
                let _ = node.send_onion_message(&along(path, records)).await;
            });
        }
    }
}

fn along(path: ReplyPath, records: Vec<crate::OnionRecord>) -> OutgoingOnion {
    OutgoingOnion { to: OnionDestination::Path(path), via: Via::Nodes(Vec::new()), records }
}

/// An event in the trace: the same in every run of a seed, so without wall-clock times.
fn told(books: &Books, delivery: &Delivery) -> String {
    let event = match delivery {
        Delivery::Gap { missed } => return format!("nothing of {missed} events"),
        Delivery::Event(event) => event,
    };
    match event {
        Event::Connected(info) => {
            format!("{} is connected {:?} {}", books.name(&info.id), info.direction, info.address)
        }
        Event::Disconnected { id, reason, unsent } => {
            format!("{} is gone: {reason}; {} unsent", books.name(id), unsent.len())
        }
        Event::ConnectFailed { id, error, .. } => format!("{} not reached: {error}", books.name(id)),
        Event::CustomMessage { number, peer, kind, payload, .. } => {
            let (name, head) = (books.name(peer), payload.get(..10).unwrap_or_default());
            format!("message {number} from {name}: {} {head:02x?} {} bytes", kind.get(), payload.len())
        }
        Event::Warning { id, direction, text } => format!("warning {direction} {}: {text}", books.name(id)),
        Event::OnionDropped(dropped) => {
            format!("onion of {} dropped: {}", books.name(&dropped.source), dropped.reason)
        }
        Event::OnionMessage(_) => "an onion".to_owned(),
        other => format!("{other:?}"),
    }
}
