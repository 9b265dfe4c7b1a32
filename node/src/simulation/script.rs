//! What happens in a run, step after step, as the dice have it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::dice::Dice;
use super::network::{Death, TcpStream};
use super::process::Process;
use super::site::{Running, weather};
use super::world::{Books, Goodbye, World};
use crate::onion::{OnionDestination, OutgoingOnion, Via};
use crate::{Delivery, Event, EventFilter, MessageType, NodeId};

/// Steps of a run.
const STEPS: usize = 150;

/// An odd type, which every node takes, and another; an even one, which none takes unless somebody there wants it.
const TYPES: [u16; 2] = [32_769, 43_691];
const EVEN: u16 = 40_000;

/// Longer than any attempt to connect may take: two that are made one after the other, each with its handshake, and a look at
/// one that comes in.
const CONNECT: Duration = Duration::from_mins(5);

/// Draining; as long again for the last word, if the peer breaks the protocol meanwhile; lingering; a little for a busy moment.
const DISCONNECT: Duration = Duration::from_secs(13);

/// Until the other side is taken for dead, and more.
const WAITING: Duration = Duration::from_hours(1);

impl World {
    /// Everything up to the moment when everybody hangs up.
    pub(super) async fn play(&mut self) {
        for from in 0..self.sites.len() {
            for to in (0..self.sites.len()).filter(|to| *to != from) {
                self.change_weather(from, to);
            }
        }
        for _ in 0..self.sites.len() {
            self.connect();
        }
        for _ in 0..STEPS {
            if self.trace.is_spoilt() {
                return;
            }
            self.step().await;
            self.check_limits();
            let pause = match self.dice.below(12) {
                _ if self.rush.is_some_and(|(.., left)| left > 0) => self.dice.millis(0..=300),
                0..=4 => Duration::ZERO,
                5..=8 => self.dice.millis(0..=20),
                9 | 10 => self.dice.millis(0..=2_000),
                _ => self.dice.millis(0..=30_000),
            };
            if pause > Duration::ZERO {
                sleep(pause).await;
            }
        }
    }

    async fn step(&mut self) {
        if let Some((from, to, left @ 1..)) = self.rush {
            self.rush = Some((from, to, left - 1));
            return self.hurry(from, to);
        }
        match self.dice.below(100) {
            0..=14 => self.connect(),
            15..=17 => self.meet(),
            18..=21 => self.disconnect(),
            22..=42 => self.send(),
            43..=49 => self.send_in_turn(),
            50..=52 => self.send_with(),
            53..=55 => {
                let from = self.dice.below(self.sites.len());
                self.send_to_all(from);
            }
            56..=58 => self.ping(),
            59..=67 => self.ask(),
            68..=70 => self.subscribe(),
            71 | 72 => self.allow_even(),
            73..=77 => {
                let (from, to) = self.two();
                self.change_weather(from, to);
            }
            78..=80 => self.cut(),
            81..=87 => self.harm(),
            88..=90 => self.visit(),
            91..=93 => self.end_process().await,
            _ => self.start_one().await,
        }
    }

    fn two(&mut self) -> (usize, usize) {
        let from = self.dice.below(self.sites.len());
        (from, (from + 1 + self.dice.below(self.sites.len() - 1)) % self.sites.len())
    }

    fn change_weather(&mut self, from: usize, to: usize) {
        let weather = weather(&mut self.dice);
        self.network.set_weather(self.sites[from].host, self.sites[to].host, weather);
    }

    /// Sometimes both sides at once.
    fn connect(&mut self) {
        let (from, to) = self.two();
        let both = self.dice.one_in(4);
        for (from, to) in [(from, to), (to, from)].into_iter().take(1 + usize::from(both)) {
            self.dial(from, to);
        }
    }

    fn dial(&self, from: usize, to: usize) {
        let Some(running) = &self.sites[from].running else { return };
        let Some(node) = running.node.get() else { return };
        let (id, host) = (self.sites[to].id, self.sites[to].host);
        self.operate(running, format!("connect n{}", host.0), CONNECT, async move {
            node.connect(id, host.address()).await.map_or_else(|no| no.to_string(), |_| "done".to_owned())
        });
    }

    /// Both sides dial at once, and before they have found out which connection they keep, much happens between them.
    fn meet(&mut self) {
        let (from, to) = self.two();
        self.dial(from, to);
        self.dial(to, from);
        self.rush = Some((from, to, 12));
    }

    fn hurry(&mut self, from: usize, to: usize) {
        match self.dice.below(8) {
            0..=2 => self.send_some(from, to),
            3..=5 => self.send_some(to, from),
            6 => {
                let between = [self.sites[from].host, self.sites[to].host];
                if let Some(number) = self.network.any_connection(Some(between), &mut self.dice) {
                    self.network.reset(number);
                }
            }
            _ => self.dial(from, to),
        }
    }

    fn disconnect(&mut self) {
        let Some((running, _, to)) = self.pair() else { return };
        let Some(node) = running.node.get() else { return };
        let (id, host) = (self.sites[to].id, self.sites[to].host);
        self.operate(&running, format!("disconnect n{}", host.0), DISCONNECT, async move {
            node.disconnect(&id).await.map_or_else(|no| no.to_string(), |()| "done".to_owned())
        });
    }

    fn kind(&mut self) -> MessageType {
        MessageType::new(if self.dice.one_in(60) { EVEN } else { self.dice.pick(&TYPES) })
    }

    /// Which of the sizes the next message has: mostly the smallest.
    fn size(&mut self) -> usize {
        self.dice.pick(&[0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3])
    }

    /// A few messages at once, without waiting.
    fn send(&mut self) {
        if let Some((_, from, to)) = self.pair() {
            self.send_some(from, to);
        }
    }

    fn send_some(&mut self, from: usize, to: usize) {
        let Some(running) = self.sites[from].running.clone() else { return };
        let Some(node) = running.node.get() else { return };
        let (mut accepted, count) = (0, self.dice.pick(&[1, 2, 5, 20, 40]));
        let (process, here, there) = (running.process.number, self.sites[from].host, self.sites[to].host);
        for _ in 0..count {
            let (size, kind) = (self.size(), self.kind());
            let Some(draft) = self.books.ledger().draft(process, here, there, size, kind) else { return };
            if node.send_custom_message(&self.sites[to].id, kind, &draft.payload).is_ok() {
                self.books.ledger().accepted(&draft, node.peer(&self.sites[to].id).as_ref());
                accepted += 1;
            }
        }
        self.trace.note(format_args!("n{}: sends n{} {accepted} of {count}", here.0, there.0));
    }

    /// A few messages that wait for room; some of those who wait lose their patience.
    fn send_in_turn(&mut self) {
        let Some((running, from, to)) = self.pair() else { return };
        let count = self.dice.pick(&[1, 3, 10]);
        let (process, here, there) = (running.process.number, self.sites[from].host, self.sites[to].host);
        for _ in 0..count {
            let Some(node) = running.node.get() else { return };
            let (size, kind, id) = (self.size(), self.kind(), self.sites[to].id);
            let Some(draft) = self.books.ledger().draft(process, here, there, size, kind) else { return };
            let patience = if self.dice.one_in(3) { self.dice.millis(0..=2_000) } else { WAITING };
            let books = Arc::clone(&self.books);
            self.operate(&running, format!("send n{} in turn", there.0), WAITING, async move {
                let sending = node.send_custom_message_in_turn(&id, kind, &draft.payload);
                tokio::select! {
                    biased;
                    sent = sending => match sent {
                        Ok(()) => {
                            books.ledger().accepted(&draft, node.peer(&id).as_ref());
                            "accepted".to_owned()
                        }
                        Err(no) => no.to_string(),
                    },
                    () = sleep(patience) => "given up".to_owned(),
                }
            });
        }
    }

    /// A message that is made on the spot, or is not made.
    fn send_with(&mut self) {
        let Some((running, from, to)) = self.pair() else { return };
        let Some(node) = running.node.get() else { return };
        let (process, here, there) = (running.process.number, self.sites[from].host, self.sites[to].host);
        let (size, kind, fails) = (self.size(), self.kind(), self.dice.one_in(3));
        let Some(draft) = self.books.ledger().draft(process, here, there, size, kind) else { return };
        let sent = node.send_custom_message_with(&self.sites[to].id, kind, draft.payload.len(), |room| {
            room.copy_from_slice(&draft.payload);
            if fails { Err(()) } else { Ok(()) }
        });
        if sent == Ok(Ok(())) {
            self.books.ledger().accepted(&draft, node.peer(&self.sites[to].id).as_ref());
        }
        self.trace.note(format_args!("n{}: makes n{} a message: {sent:?}", here.0, there.0));
    }

    /// The same call to several peers. Each gets a message of its own all the same, so that it can be told apart.
    pub(super) fn send_to_all(&mut self, from: usize) {
        let Some(running) = self.sites[from].running.clone() else { return };
        let Some(node) = running.node.get() else { return };
        let (process, here, kind) = (running.process.number, self.sites[from].host, self.kind());
        for to in (0..self.sites.len()).filter(|to| *to != from) {
            let (id, there) = (self.sites[to].id, self.sites[to].host);
            let Some(draft) = self.books.ledger().draft(process, here, there, 0, kind) else { continue };
            for (_, sent) in node.broadcast_custom_message([&id], kind, &draft.payload) {
                if sent.is_ok() {
                    self.books.ledger().accepted(&draft, node.peer(&id).as_ref());
                }
            }
        }
    }

    fn ping(&mut self) {
        let Some((running, _, to)) = self.pair() else { return };
        let Some(node) = running.node.get() else { return };
        let (id, host) = (self.sites[to].id, self.sites[to].host);
        let pong = self.dice.pick(&[0, 1, 1_000, 65_531, 65_532]);
        self.operate(&running, format!("ping n{}", host.0), WAITING, async move {
            node.ping(&id, 5, pong).await.map_or_else(|no| no.to_string(), |reply| reply.totlen.to_string())
        });
    }

    /// A question over a few hops.
    fn ask(&mut self) {
        let Some((running, from, to)) = self.pair() else { return };
        let Some(node) = running.node.get() else { return };
        let mut way: Vec<NodeId> = Vec::new();
        for _ in 0..self.dice.below(3) {
            let next = self.dice.below(self.sites.len());
            let id = self.sites[next].id;
            if next != from && next != to && way.last() != Some(&id) {
                way.push(id);
            }
        }
        let via = if self.dice.one_in(4) { Via::Auto } else { Via::Nodes(way) };
        let (number, records) = self.books.onions().ask(self.sites[to].host);
        let message = OutgoingOnion { to: OnionDestination::Node(self.sites[to].id), via, records };
        let (books, within) = (Arc::clone(&self.books), self.dice.millis(0..=20_000));
        let name = format!("ask n{} question {number}", self.sites[to].host.0);
        self.operate(&running, name, within + CONNECT, async move {
            match node.ask_over_onion(&message, within).await {
                Ok(answer) => {
                    books.onions().answered(number, &answer);
                    "answered".to_owned()
                }
                Err(no) => no.to_string(),
            }
        });
    }

    /// Somebody who reads messages slowly, goes away and comes back.
    fn subscribe(&mut self) {
        let Some((running, _, _)) = self.pair() else { return };
        let (books, dice, process) =
            (Arc::clone(&self.books), self.dice.split(), Arc::clone(&running.process));
        process.spawn(read_slowly(books, running, dice));
    }

    fn allow_even(&mut self) {
        let Some((running, _, _)) = self.pair() else { return };
        let Some(node) = running.node.get() else { return };
        let length = self.dice.millis(0..=60_000);
        running.process.spawn(async move {
            let _allowed = node.allow_even_types([MessageType::new(EVEN)]);
            drop(node);
            sleep(length).await;
        });
    }

    /// A link carries nothing for a while, in one direction or both.
    fn cut(&mut self) {
        let (from, to) = self.two();
        let (from, to) = (self.sites[from].host, self.sites[to].host);
        let length = self.dice.pick(&[50, 1_000, 10_000, 40_000, 200_000]);
        let length = self.dice.millis(0..=length);
        self.trace.note(format_args!("net: nothing from n{} to n{} for {length:?}", from.0, to.0));
        self.network.cut(from, to, length);
        if self.dice.one_in(2) {
            self.network.cut(to, from, length);
        }
    }

    /// Something happens to one of the connections.
    fn harm(&mut self) {
        let Some(number) = self.network.any_connection(None, &mut self.dice) else { return };
        let end = self.dice.below(2);
        match self.dice.below(4) {
            0 | 1 => self.network.reset(number),
            2 => self.network.half_close(number, end),
            _ => self.network.damage_next(number, end),
        }
    }

    /// Somebody who is no node comes by: says nothing, or nonsense, for a while.
    fn visit(&mut self) {
        let to = self.dice.below(self.sites.len());
        let address = self.sites[to].host.address();
        for _ in 0..self.dice.within(1..=3) {
            let (mut dice, stay) = (self.dice.split(), self.dice.millis(0..=20_000));
            self.strangers.spawn(async move {
                let Ok(stream) = TcpStream::connect(address).await else { return };
                if dice.one_in(2) {
                    let mut nonsense = vec![0; dice.within(1..=200)];
                    dice.fill(&mut nonsense);
                    let _ = stream.try_write(&nonsense);
                }
                sleep(stay).await;
            });
        }
    }

    async fn end_process(&mut self) {
        let index = self.dice.below(self.sites.len());
        match self.dice.below(6) {
            0 | 1 => self.kill(index, Death::Killed).await,
            2 => self.kill(index, Death::PowerCut).await,
            3 => self.let_go(index, Goodbye::Shutdown),
            4 => {
                let time = self.dice.millis(0..=3_000);
                self.let_go(index, Goodbye::ShutdownWithin(time));
            }
            _ => self.let_go(index, Goodbye::Drop),
        }
    }

    /// Starts a node that does not run, on a host that is not still stopping its last one.
    async fn start_one(&mut self) {
        let index = self.dice.below(self.sites.len());
        let host = self.sites[index].host;
        if self.sites[index].running.is_none() && !self.is_stopping(host) {
            self.start(index).await;
        }
    }
}

/// Reads custom messages at a pace of its own. Between two that it reads exactly as many are missing as it is told.
async fn read_slowly(books: Arc<Books>, running: Running, mut dice: Dice) {
    let Running { process, node } = running;
    let Some(mut events) = node.get().map(|node| node.subscribe(EventFilter::messages())) else { return };
    let mut next = events.next_number();
    loop {
        match events.next().await {
            None => return,
            Some(Delivery::Gap { missed }) => next += missed,
            Some(Delivery::Event(
                Event::CustomMessage { number, .. } | Event::MessageFromAfar { number, .. },
            )) => {
                if number != next {
                    complain(&books, &process, next, number);
                }
                next = number + 1;
            }
            Some(other) => books.trace.violation(format_args!("a subscriber to messages got {other:?}")),
        }
        if dice.one_in(4) {
            sleep(dice.millis(0..=5_000)).await;
        }
        if dice.one_in(30) {
            let epoch = events.epoch();
            drop(events);
            sleep(dice.millis(0..=5_000)).await;
            let Some(node) = node.get() else { return };
            match node.resume(EventFilter::messages(), Some(epoch), next) {
                Ok(resumed) => events = resumed,
                Err(error) => {
                    return books.trace.violation(format_args!("a subscriber cannot come back: {error}"));
                }
            }
        }
    }
}

fn complain(books: &Books, process: &Process, expected: u64, found: u64) {
    let number = process.number;
    books.trace.violation(format_args!(
        "a subscriber of process {number} gets message {found} in the place of {expected}"
    ));
}
