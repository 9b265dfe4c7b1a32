//! The paths that we give out for answers: each is good for one answer and for a time.
//!
//! A path carries a `path_id` that nobody but us can read or make: a random number and its authentication under a secret of
//! the node. So a path of ours is told from everybody else's without remembering the spent ones, and two paths have nothing
//! in common that others could see.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use tokio::time::Instant;
use wire_core::secret::Secret;

use super::Arrived;
use crate::identity::SecretBase;

/// Of the random number, and of what authenticates it, in bytes.
const HALF: usize = 16;

/// What a path is called.
pub(super) type PathId = [u8; 2 * HALF];

/// Who waits for which answer.
#[derive(Debug)]
pub(super) struct Replies {
    limit: usize,
    waiting: Mutex<HashMap<[u8; HALF], Waiting>>,
}

#[derive(Debug)]
struct Waiting {
    until: Instant,
    answer: oneshot::Sender<Arrived>,
}

/// Whose path a message came over.
#[derive(Debug)]
pub(super) enum Claim {
    /// Ours, and this is who waits.
    Wanted(oneshot::Sender<Arrived>),
    /// Ours, and nobody waits any more: it was used, or has expired.
    Spent,
    /// Not one that was made here.
    Foreign,
}

/// An answer that is waited for. Dropping it spends the path.
#[derive(Debug)]
pub(super) struct Expected<'a> {
    replies: &'a Replies,
    number: [u8; HALF],
    pub(super) path_id: PathId,
    pub(super) answer: oneshot::Receiver<Arrived>,
}

impl Drop for Expected<'_> {
    fn drop(&mut self) {
        self.replies.lock().remove(&self.number);
    }
}

impl Replies {
    pub(super) fn new(limit: usize) -> Replies {
        Replies { limit, waiting: Mutex::default() }
    }

    /// Opens a path under a fresh random number. `None` if as many are open as the limit allows.
    pub(super) fn open(
        &self,
        secrets: &SecretBase,
        number: [u8; HALF],
        until: Instant,
    ) -> Option<Expected<'_>> {
        let (sender, answer) = oneshot::channel();
        let mut waiting = self.lock();
        if waiting.len() >= self.limit {
            return None;
        }
        waiting.insert(number, Waiting { until, answer: sender });
        Some(Expected { replies: self, number, path_id: path_id(secrets, number), answer })
    }

    /// Whose path this is; one of ours is spent by asking.
    pub(super) fn claim(&self, secrets: &SecretBase, id: &[u8], now: Instant) -> Claim {
        let Ok(id) = PathId::try_from(id) else { return Claim::Foreign };
        let Some((number, _)) = id.split_first_chunk() else { return Claim::Foreign };
        // Compared in constant time, as somebody may be guessing.
        if Secret::new(path_id(secrets, *number)) != Secret::new(id) {
            return Claim::Foreign;
        }
        match self.lock().remove(number) {
            Some(Waiting { until, answer }) if now < until => Claim::Wanted(answer),
            _ => Claim::Spent,
        }
    }

    #[cfg(all(test, not(oddwire_loom)))]
    pub(super) fn count(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; HALF], Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn path_id(secrets: &SecretBase, number: [u8; HALF]) -> PathId {
    let authentication = secrets.derive_secret(&[b"oddwire reply path".as_slice(), &number].concat());
    let mut id = [0; 2 * HALF];
    id.iter_mut().zip(number.iter().chain(authentication.expose())).for_each(|(to, from)| *to = *from);
    id
}

#[cfg(test)]
mod tests {
    use core::time::Duration;
    use std::sync::Arc;
    use std::time::SystemTime;

    use super::*;
    use crate::Identity;
    use crate::onion::OnionMessage;

    fn secrets(seed: u8) -> SecretBase {
        Identity::from_secret(&Secret::new([seed; 32])).unwrap().into_parts().1
    }

    #[tokio::test]
    async fn a_path_is_good_for_one_answer() {
        let (replies, secrets, now) = (Replies::new(2), secrets(1), Instant::now());
        let later = now + Duration::from_secs(1);
        let mut expected = replies.open(&secrets, [5; HALF], later).unwrap();
        let id = expected.path_id;
        let Claim::Wanted(answer) = replies.claim(&secrets, &id, now) else { panic!("somebody waits") };
        let message = OnionMessage {
            records: vec![],
            path_id: None,
            reply_path: None,
            received: SystemTime::UNIX_EPOCH,
        };
        answer.send(Arc::new(message)).unwrap();
        assert!(expected.answer.try_recv().is_ok());
        assert!(matches!(replies.claim(&secrets, &id, now), Claim::Spent));
    }

    #[test]
    fn a_path_expires_and_goes_with_who_waits() {
        let (replies, secrets, now) = (Replies::new(2), secrets(1), Instant::now());
        let later = now + Duration::from_secs(1);
        let first = replies.open(&secrets, [5; HALF], later).unwrap();
        let second = replies.open(&secrets, [6; HALF], later).unwrap();
        assert!(replies.open(&secrets, [7; HALF], later).is_none(), "there is a limit");
        assert!(matches!(replies.claim(&secrets, &first.path_id, later), Claim::Spent));
        let id = second.path_id;
        drop((first, second));
        assert!(matches!(replies.claim(&secrets, &id, now), Claim::Spent));
        assert!(replies.lock().is_empty());
    }

    #[test]
    fn paths_of_others_are_foreign() {
        let (replies, now) = (Replies::new(2), Instant::now());
        let theirs = path_id(&secrets(2), [5; HALF]);
        for id in [&theirs[..], &theirs[..31], &[0; 32], &[]] {
            assert!(matches!(replies.claim(&secrets(1), id, now), Claim::Foreign));
        }
        let mut ours = path_id(&secrets(1), [5; HALF]);
        ours[31] ^= 1;
        assert!(matches!(replies.claim(&secrets(1), &ours, now), Claim::Foreign));
    }
}
