//! A stream of honest messages from one daemon to another, and the book that is kept of every one of them.
//!
//! Each message has a type of its stream's, a number and a checksum. The sender notes what `sendcustommsg` has accepted, a
//! listener at the far end what arrives, and a listener beside the sender what is told as unsent. What is accepted and neither
//! arrives nor is told is lost, with one exception that no protocol without receipts can avoid: what the system had taken for a
//! daemon that was then killed. That can only be the end of what was sent before the kill; a message that is missing with
//! later ones behind it is lost even then. And a message that arrives where nobody listens yet is nobody's: so a sender waits
//! until the listener is back at a daemon that has been started again.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::client::Client;
use super::daemon::Daemon;
use super::dice::Dice;
use super::ending::Ending;
use crate::patience::Patience;

/// Before a message that was refused is tried again.
const PAUSE: Duration = Duration::from_millis(20);
/// Bytes of the checksum.
const SUM_LEN: usize = 8;

/// The stream.
pub(super) struct Stream {
    pub(super) kind: u16,
    pub(super) from: Arc<Daemon>,
    pub(super) to: Arc<Daemon>,
    /// In which of the lives of `to` somebody listens.
    heard_in: AtomicU64,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    next: u64,
    accepted: BTreeSet<u64>,
    /// Accepted or not: the daemon was gone before it answered.
    unanswered: BTreeSet<u64>,
    delivered: BTreeSet<u64>,
    unsent: BTreeSet<u64>,
    /// Told as unsent without their payload, so nobody knows which.
    unsent_unnamed: u64,
    /// Told to the listener as missed.
    gaps: u64,
    wrong: Vec<String>,
    /// One of the daemons was dead, or nobody listened there, from one of these numbers to the other, if it is known yet.
    kills: Vec<(u64, Option<u64>)>,
}

/// What the book comes to.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Balance {
    pub(super) accepted: u64,
    pub(super) delivered: u64,
    pub(super) unsent: u64,
    pub(super) missed: u64,
    pub(super) in_doubt: u64,
    pub(super) lost: u64,
    pub(super) wrong: u64,
}

impl Stream {
    pub(super) fn new(kind: u16, from: &Arc<Daemon>, to: &Arc<Daemon>) -> Arc<Stream> {
        Arc::new(Stream {
            kind,
            from: Arc::clone(from),
            to: Arc::clone(to),
            heard_in: AtomicU64::new(0),
            book: Mutex::default(),
        })
    }

    /// Sends until it is told to stop.
    pub(super) fn send(&self, mut dice: Dice, end: &Ending) {
        let mut client = None;
        while !end.has_come() {
            let number = {
                let mut book = self.book();
                book.next += 1;
                book.next
            };
            let message = message(self.kind, number, &mut dice);
            while !self.try_send(&mut client, number, &message) && !end.comes_within(PAUSE) {}
            // Bursts and pauses: 150 messages a second or so.
            let pause = if dice.one_in(20) { dice.below(100_000) } else { dice.below(2_000) };
            end.comes_within(Duration::from_micros(pause));
        }
    }

    /// Whether this message is settled: the daemon has taken it, or was gone before it said so.
    fn try_send(&self, client: &mut Option<Client>, number: u64, message: &str) -> bool {
        if self.heard_in.load(Ordering::SeqCst) != self.to.lives() {
            return false;
        }
        if client.is_none() {
            *client = self.from.client().ok();
        }
        let Some(connected) = client else { return false };
        match connected.call("sendcustommsg", &json!({"node_id": self.to.id, "msg": message})) {
            Ok(Ok(_)) => {
                self.book().accepted.insert(number);
                true
            }
            Ok(Err(refusal)) => {
                if refusal.contains("No such peer") {
                    // Whatever comes of it shows at the next try.
                    let _ = connected.call("connect", &json!([self.to.id, "127.0.0.1", self.to.port]));
                }
                false
            }
            Err(_) => {
                *client = None;
                self.book().unanswered.insert(number);
                true
            }
        }
    }

    /// Listens at the far end until it is told to stop.
    pub(super) fn listen(&self, end: &Ending) {
        let is_heard = |life| {
            self.note_revival();
            self.heard_in.store(life, Ordering::SeqCst);
        };
        listen(&self.to, &json!({"types": [self.kind]}), end, is_heard, |method, params| match method {
            "custommsg" if params["peer_id"] == self.from.id.as_str() => self.note(&params["payload"]),
            "custommsg_gap" => self.book().gaps += params["missed"].as_u64().unwrap_or_default(),
            _ => self.book().wrong.push(format!("{method}: {params}")),
        });
    }

    /// Listens at the near end for what did not go out.
    pub(super) fn listen_for_unsent(&self, end: &Ending) {
        // No message has this type.
        let filter = json!({"types": [65535], "peers": [self.to.id], "unsent": true});
        listen(&self.from, &filter, end, drop, |method, params| {
            if method != "custommsg_unsent" || params["type"] != self.kind {
                return;
            }
            match params["payload"].as_str().and_then(check) {
                Some(number) => {
                    self.book().unsent.insert(number);
                }
                None => self.book().unsent_unnamed += 1,
            }
        });
    }

    fn note(&self, payload: &Value) {
        let mut book = self.book();
        match payload.as_str().and_then(check) {
            Some(number) if book.delivered.last().is_none_or(|last| *last < number) => {
                book.delivered.insert(number);
            }
            Some(number) => book.wrong.push(format!("message {number} again, or after a later one")),
            None => book.wrong.push(format!("changed on its way: {payload}")),
        }
    }

    /// One of the daemons is about to be killed.
    pub(super) fn note_kill(&self) {
        let mut book = self.book();
        let since = book.next;
        book.kills.push((since, None));
    }

    /// It lives again, and somebody listens.
    pub(super) fn note_revival(&self) {
        let mut book = self.book();
        let now = book.next;
        for (_, until) in book.kills.iter_mut().filter(|(_, until)| until.is_none()) {
            *until = Some(now);
        }
    }

    /// How often one of the daemons was dead.
    pub(super) fn kills(&self) -> usize {
        self.book().kills.len()
    }

    pub(super) fn balance(&self) -> Balance {
        self.book().balance()
    }

    /// Waits until everything is settled, for at most so long.
    pub(super) fn settle(&self, limit: Duration) {
        // What is not settled then is in the balance.
        let _ =
            Patience::new(limit).wait_for("all messages", || Ok((self.balance().lost == 0).then_some(())));
    }

    /// What is wrong, in words; the first of it.
    pub(super) fn complaint(&self) -> Option<String> {
        let (Balance { lost, wrong, .. }, book) = (self.balance(), self.book());
        let first = book.wrong.first().cloned().unwrap_or_default();
        let missing: Vec<u64> = book.missing().take(20).collect();
        (lost + wrong > 0).then(|| {
            format!("{} to {}: {lost} lost without word, {wrong} wrong {first}; missing are {missing:?}, killed at {:?}", self.from.name, self.to.name, book.kills)
        })
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    /// What was accepted, has not arrived and was not told.
    fn missing(&self) -> impl Iterator<Item = u64> {
        let is_settled = |number: &u64| self.delivered.contains(number) || self.unsent.contains(number);
        self.accepted.iter().filter(move |number| !is_settled(number)).copied()
    }

    fn balance(&self) -> Balance {
        let count = |numbers: usize| u64::try_from(numbers).unwrap_or(u64::MAX);
        let missing: Vec<u64> = self.missing().collect();
        // One of the last that were sent before a kill, or one that was sent while nobody had noticed it.
        let is_in_doubt = |number: u64| {
            self.kills.iter().any(|(since, until)| {
                until.is_none_or(|until| number <= until)
                    && self.delivered.range(number..=number.max(*since)).next().is_none()
            })
        };
        let in_doubt = count(missing.iter().filter(|number| is_in_doubt(**number)).count());
        let told = self.gaps + self.unsent_unnamed;
        Balance {
            accepted: count(self.accepted.len()),
            delivered: count(self.delivered.len()),
            unsent: count(self.unsent.len()) + self.unsent_unnamed,
            missed: self.gaps,
            in_doubt,
            lost: (count(missing.len()) - in_doubt).saturating_sub(told),
            wrong: count(self.wrong.len()),
        }
    }
}

/// Subscribes, again whenever the daemon has been started anew, and hands on every notification.
/// Each time `subscribed` is told in which life of the daemon.
pub(super) fn listen(
    daemon: &Daemon,
    params: &Value,
    end: &Ending,
    mut subscribed: impl FnMut(u64),
    mut heard: impl FnMut(&str, &Value),
) {
    while !end.has_come() {
        // Before the connection: one to an earlier life is no good in this one.
        let life = daemon.lives();
        let connected = daemon.client().and_then(|mut client| {
            client.call("subscribecustommsg", params)?.map_err(anyhow::Error::msg)?;
            Ok(client)
        });
        let Ok(mut client) = connected else {
            end.comes_within(PAUSE);
            continue;
        };
        subscribed(life);
        while !end.has_come() {
            match client.next() {
                Ok(Some(message)) => {
                    heard(message["method"].as_str().unwrap_or_default(), &message["params"]);
                }
                Ok(None) => {}
                Err(_) => break,
            }
        }
    }
}

/// A message as hex: type, number, as many bytes as the dice say, checksum. Mostly small, now and then as large as may be.
pub(super) fn message(kind: u16, number: u64, dice: &mut Dice) -> String {
    let len = if dice.one_in(200) { 65_000 } else { dice.below(600) };
    let mut content = number.to_be_bytes().to_vec();
    content.extend((0..len).map(|_| dice.byte()));
    let sum = Sha256::digest(&content);
    let whole = [&kind.to_be_bytes()[..], &content, sum.get(..SUM_LEN).unwrap_or_default()].concat();
    whole.iter().fold(String::with_capacity(2 * whole.len()), |mut hex, byte| {
        // Into a string: it cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// The number of a message that is whole.
pub(super) fn check(payload: &str) -> Option<u64> {
    let bytes: Option<Vec<u8>> = (0..payload.len())
        .step_by(2)
        .map(|place| u8::from_str_radix(payload.get(place..place + 2)?, 16).ok())
        .collect();
    let bytes = bytes?;
    let (content, sum) = bytes.get(2..)?.split_last_chunk::<SUM_LEN>()?;
    let number = u64::from_be_bytes(*content.first_chunk()?);
    Sha256::digest(content).starts_with(sum).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn balance_of(book: &Book) -> (u64, u64) {
        let balance = book.balance();
        (balance.in_doubt, balance.lost)
    }

    fn numbers(list: &[u64]) -> BTreeSet<u64> {
        list.iter().copied().collect()
    }

    #[test]
    fn what_is_missing_is_lost_unless_it_was_told_or_is_the_end_before_a_kill() {
        let book = |delivered: &[u64], kills: &[(u64, Option<u64>)]| Book {
            accepted: numbers(&[1, 2, 3, 4, 5]),
            delivered: numbers(delivered),
            kills: kills.to_vec(),
            ..Book::default()
        };
        assert_eq!(balance_of(&book(&[1, 2, 3, 4, 5], &[])), (0, 0));
        assert_eq!(balance_of(&book(&[1, 2, 4, 5], &[])), (0, 1));
        assert_eq!(balance_of(&book(&[1, 2, 5], &[(4, Some(4))])), (2, 0));
        // 4 came before the kill, so 3 cannot have been its end.
        assert_eq!(balance_of(&book(&[1, 2, 4, 5], &[(4, Some(5))])), (0, 1));
        // Taken while nobody had noticed.
        assert_eq!(balance_of(&book(&[1, 2], &[(3, Some(5))])), (3, 0));
        let told = Book { unsent: numbers(&[3]), gaps: 1, unsent_unnamed: 1, ..book(&[1, 2], &[]) };
        assert_eq!(balance_of(&told), (0, 0));
    }

    #[test]
    fn a_message_tells_its_number_if_it_is_whole() {
        let whole = message(33_001, 77, &mut Dice::new(1));
        assert_eq!(check(&whole), Some(77));
        let last = if whole.ends_with('0') { "1" } else { "0" };
        assert_eq!(check(&format!("{}{last}", &whole[..whole.len() - 1])), None);
        assert_eq!(check(""), None);
    }
}
