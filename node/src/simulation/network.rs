//! A network of our own, which does to connections what real ones do on bad days.
//!
//! Bytes take their time, come in pieces or several pieces at once, wait behind a link that is cut, meet a reset, or arrive
//! with one bit changed. Readers read less than there is, writers write less than they want to. The two ends of a connection
//! are sockets (`socket`) with the methods of tokio's that the node uses; what lies between them is `connection`.
//!
//! The network is also the witness of what was lost: it knows what each side wrote, what the other has read of it, and who
//! stopped reading first ([`Finished`]). So a message that is missing can be told from one that nobody could have had.

mod connection;
mod listener;
mod socket;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use self::connection::{Connection, End, Segment};
use self::listener::Listening;
pub(crate) use self::listener::TcpListener;
pub(crate) use self::socket::{TcpStream, prepare};
use super::dice::Dice;
use super::process::Host;
use super::trace::Trace;

/// All links, and all connections over them.
#[derive(Debug)]
pub(crate) struct Network {
    state: Mutex<State>,
    /// Something is under way that arrives sooner than what was known.
    news: Notify,
    trace: Arc<Trace>,
}

/// How one host's bytes come to another.
#[derive(Debug, Clone)]
pub(super) struct Weather {
    /// How long a piece takes, in milliseconds.
    pub(super) latency: RangeInclusive<usize>,
    /// Bytes that are under way or not read yet, at most: what the buffers of both systems hold.
    pub(super) room: usize,
    /// One read or write in so many moves fewer bytes than it could.
    pub(super) pieces_one_in: usize,
    /// One write in so many has a bit changed on the way.
    pub(super) damage_one_in: usize,
    /// One attempt to connect in so many is never answered.
    pub(super) silent_one_in: usize,
}

impl Weather {
    pub(super) fn calm() -> Weather {
        Weather { latency: 1..=1, room: 256 * 1024, pieces_one_in: 0, damage_one_in: 0, silent_one_in: 0 }
    }
}

#[derive(Debug)]
struct State {
    dice: Dice,
    links: BTreeMap<(Host, Host), Link>,
    /// Hosts without power: what comes for them vanishes.
    dark: BTreeSet<Host>,
    listening: BTreeMap<SocketAddr, Listening>,
    connections: BTreeMap<u64, Connection>,
    finished: Vec<Finished>,
    /// When what arrives: the next segment that this end of this connection has sent.
    agenda: BTreeMap<(Instant, u64), (u64, usize)>,
    next: u64,
    next_port: u16,
    /// To be called when the lock is open again.
    woken: Vec<Waker>,
    has_news: bool,
}

#[derive(Debug, Clone)]
struct Link {
    weather: Weather,
    /// Nothing arrives before.
    cut_until: Option<Instant>,
}

/// A connection that both sides have closed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Finished {
    /// Of the side that dialled.
    pub(super) port: u16,
    /// The processes at both ends; who dialled comes first.
    pub(super) processes: [usize; 2],
    pub(super) hosts: [Host; 2],
    /// For what the end of this index wrote: whether some of it may not have come to be read, because the network has lost it
    /// or the other side has stopped reading first.
    pub(super) may_have_lost: [bool; 2],
    /// Bytes that each end wrote.
    pub(super) written: [usize; 2],
}

/// What is left of processes in the network.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Leftovers {
    pub(super) listeners: usize,
    pub(super) sockets: usize,
}

/// How a process ends that does not end by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Death {
    /// Its system closes what it had open.
    Killed,
    /// Its host has no power: nobody closes anything, and nobody answers until it is back.
    PowerCut,
}

impl Network {
    pub(super) fn new(dice: Dice, trace: &Arc<Trace>) -> Arc<Network> {
        let state = State {
            dice,
            links: BTreeMap::new(),
            dark: BTreeSet::new(),
            listening: BTreeMap::new(),
            connections: BTreeMap::new(),
            finished: Vec::new(),
            agenda: BTreeMap::new(),
            next: 0,
            next_port: 30_000,
            woken: Vec::new(),
            has_news: false,
        };
        Arc::new(Network { state: Mutex::new(state), news: Notify::new(), trace: Arc::clone(trace) })
    }

    /// Brings what is under way to where it goes, for ever.
    pub(super) async fn carry(self: Arc<Self>) {
        loop {
            let next = self.with(|state| state.deliver(Instant::now()));
            match next {
                Some(at) => tokio::select! {
                    biased;
                    () = self.news.notified() => {}
                    () = sleep_until(at) => {}
                },
                None => self.news.notified().await,
            }
        }
    }

    /// Changes the weather from one host to another.
    pub(super) fn set_weather(&self, from: Host, to: Host, weather: Weather) {
        self.with(|state| state.link(from, to).weather = weather);
    }

    /// Nothing arrives from one host at another for so long; it all comes later.
    pub(super) fn cut(&self, from: Host, to: Host, length: Duration) {
        self.with(|state| state.link(from, to).cut_until = Some(Instant::now() + length));
    }

    /// Good weather everywhere, no link is cut, and what is under way arrives within a second.
    pub(super) fn calm_down(&self) {
        self.with(|state| {
            for link in state.links.values_mut() {
                *link = Link { weather: Weather::calm(), cut_until: None };
            }
            let soon = Instant::now() + Duration::from_secs(1);
            let agenda = std::mem::take(&mut state.agenda).into_iter();
            state.agenda = agenda.map(|((due, turn), what)| ((due.min(soon), turn), what)).collect();
            for connection in state.connections.values_mut() {
                connection.calm_down(Weather::calm().room, soon, &mut state.woken);
            }
            state.has_news = true;
        });
    }

    /// Whether a connection carries what both sides write.
    pub(super) fn is_sound(&self, port: u16) -> bool {
        self.with(|state| {
            state.connections.values().any(|connection| connection.port == port && connection.is_sound())
        })
    }

    /// One of the connections that both ends have open, between those hosts if they are given.
    pub(super) fn any_connection(&self, between: Option<[Host; 2]>, dice: &mut Dice) -> Option<u64> {
        let open: Vec<u64> = self.with(|state| {
            let open = state.connections.iter().filter(|(_, connection)| {
                let is_between =
                    |hosts: [Host; 2]| connection.ends.iter().all(|end| hosts.contains(&end.host));
                connection.is_whole() && between.is_none_or(is_between)
            });
            open.map(|(number, _)| *number).collect()
        });
        (!open.is_empty()).then(|| dice.pick(&open))
    }

    /// Something between the two ends breaks the connection: each gets a reset, in its own time.
    pub(super) fn reset(&self, number: u64) {
        self.trace.note(format_args!("net: connection {number} is reset on the way"));
        self.with(|state| {
            for from in 0..2 {
                state.send(number, from, Segment::Reset);
            }
        });
    }

    /// Something between the two ends tells the one that the other has closed its side, and swallows what comes after.
    pub(super) fn half_close(&self, number: u64, from: usize) {
        self.trace.note(format_args!("net: connection {number} is half closed on the way, from {from}"));
        self.with(|state| {
            state.send(number, from, Segment::End);
            if let Some(connection) = state.connections.get_mut(&number) {
                connection.pipes[from].swallows = true;
            }
        });
    }

    /// The next bytes that this end writes have a bit changed.
    pub(super) fn damage_next(&self, number: u64, from: usize) {
        self.with(|state| {
            if let Some(connection) = state.connections.get_mut(&number) {
                connection.pipes[from].damages_next = true;
            }
        });
    }

    /// Ends what a process has open here.
    pub(super) fn process_ends(&self, process: usize, host: Host, death: Death) {
        self.with(|state| {
            if death == Death::PowerCut {
                state.dark.insert(host);
            }
            let addresses: Vec<SocketAddr> = (state.listening.iter())
                .filter(|(_, listening)| listening.process == process)
                .map(|(address, _)| *address)
                .collect();
            for address in addresses {
                state.stop_listening(address, death);
            }
            let ends: Vec<(u64, usize)> = (state.connections.iter())
                .flat_map(|(number, connection)| {
                    (0..2).filter(|end| connection.ends[*end].process == process).map(|end| (*number, end))
                })
                .collect();
            for (number, end) in ends {
                state.close(number, end, death);
            }
        });
    }

    /// The host answers again.
    pub(super) fn power_is_back(&self, host: Host) {
        self.with(|state| state.dark.remove(&host));
    }

    /// What a process has open.
    pub(super) fn leftovers_of(&self, process: usize) -> Leftovers {
        self.with(|state| Leftovers {
            listeners: state.listening.values().filter(|listening| listening.process == process).count(),
            sockets: (state.connections.values())
                .flat_map(|connection| &connection.ends)
                .filter(|end| end.process == process && !end.is_closed)
                .count(),
        })
    }

    pub(super) fn finished(&self) -> Vec<Finished> {
        self.with(|state| state.finished.clone())
    }

    fn with<T>(&self, with: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let result = with(&mut state);
        let (woken, has_news) = (std::mem::take(&mut state.woken), std::mem::take(&mut state.has_news));
        drop(state);
        woken.into_iter().for_each(Waker::wake);
        if has_news {
            self.news.notify_one();
        }
        result
    }
}

impl State {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn link(&mut self, from: Host, to: Host) -> &mut Link {
        self.links.entry((from, to)).or_insert_with(|| Link { weather: Weather::calm(), cut_until: None })
    }

    /// From when on something arrives, if not now.
    fn cut_until(&mut self, from: Host, to: Host) -> Option<Instant> {
        let until = self.link(from, to).cut_until?;
        (until > Instant::now()).then_some(until)
    }

    fn latency(&mut self, from: Host, to: Host) -> Duration {
        let range = self.link(from, to).weather.latency.clone();
        self.dice.millis(range)
    }

    /// Puts a segment on its way, behind those that are under way already.
    fn send(&mut self, number: u64, from: usize, segment: Segment) {
        let Some(connection) = self.connections.get(&number) else { return };
        let (here, there) = (connection.ends[from].host, connection.ends[1 - from].host);
        let due = Instant::now() + self.latency(here, there);
        let turn = self.number();
        if let Some(connection) = self.connections.get_mut(&number) {
            let due = connection.pipes[from].push(due, segment);
            self.agenda.insert((due, turn), (number, from));
            self.has_news = true;
        }
    }

    /// Delivers what is due, and answers when the next is.
    fn deliver(&mut self, now: Instant) -> Option<Instant> {
        while let Some(entry) = self.agenda.first_entry() {
            let (due, _) = *entry.key();
            if due > now {
                return Some(due);
            }
            let (number, from) = entry.remove();
            self.arrive(number, from);
        }
        None
    }

    fn arrive(&mut self, number: u64, from: usize) {
        let Some(connection) = self.connections.get(&number) else { return };
        let (here, there) = (connection.ends[from].host, connection.ends[1 - from].host);
        if let Some(until) = self.cut_until(here, there) {
            let turn = self.number();
            self.agenda.insert((until, turn), (number, from));
            return;
        }
        let is_dark = self.dark.contains(&there);
        let keeps_arrived = self.dice.one_in(2);
        let Some(connection) = self.connections.get_mut(&number) else { return };
        let Some(segment) = connection.pipes[from].pop() else { return };
        if is_dark {
            connection.pipes[from].has_lost |= matches!(segment, Segment::Bytes(_));
            return;
        }
        let answers_reset = connection.take(from, segment, keeps_arrived, &mut self.woken);
        if answers_reset {
            self.send(number, 1 - from, Segment::Reset);
        }
    }

    /// An end of a connection is closed by its process, or with it.
    fn close(&mut self, number: u64, end: usize, death: Death) {
        let Some(connection) = self.connections.get_mut(&number) else { return };
        if connection.ends[end].is_closed {
            return;
        }
        let farewell = connection.close(end, death, &mut self.dice);
        if let Some(segment) = farewell {
            self.send(number, end, segment);
        }
        self.bury(number);
    }

    /// A connection that both ends have closed is history.
    fn bury(&mut self, number: u64) {
        let is_over = self.connections.get(&number).is_some_and(Connection::is_over);
        if let Some(connection) = is_over.then(|| self.connections.remove(&number)).flatten() {
            self.finished.push(connection.finished());
        }
    }

    fn end(&mut self, number: u64, end: usize) -> io::Result<(&mut Connection, &mut Vec<Waker>)> {
        match self.connections.get_mut(&number) {
            Some(connection) if !connection.ends[end].is_closed => Ok((connection, &mut self.woken)),
            _ => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    fn open(&mut self, client: End, server: End, port: u16) -> u64 {
        let (from, to) = (client.host, server.host);
        let rooms = [self.link(from, to).weather.room, self.link(to, from).weather.room];
        let number = self.number();
        self.connections.insert(number, Connection::new(client, server, rooms, port));
        number
    }

    fn stop_listening(&mut self, address: SocketAddr, death: Death) {
        let Some(listening) = self.listening.remove(&address) else { return };
        for (number, _) in listening.waiting {
            self.close(number, 1, death);
        }
        self.woken.extend(listening.waker);
    }
}
