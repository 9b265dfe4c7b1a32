//! The end of a node: asked for once, heard by all of its tasks that are not connections, over when they have ended.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::{Semaphore, watch};

/// Whether a node is to stop.
#[derive(Debug)]
pub(crate) struct Stop {
    /// Closed when the node is to stop; nobody ever gets a permit. Wakes in the order in which tasks began to wait, which
    /// a watch channel would not.
    asked: Arc<Semaphore>,
    /// Listeners, attempts and the relay hold a receiver each for as long as they run.
    tasks: watch::Sender<()>,
}

impl Default for Stop {
    fn default() -> Stop {
        Stop { asked: Arc::new(Semaphore::const_new(0)), tasks: watch::Sender::new(()) }
    }
}

impl Stop {
    /// Asks for the end. Answers whether nobody had before; of two who do at the same moment, both may get that answer.
    pub(crate) fn ask(&self) -> bool {
        let is_first = !self.asked.is_closed();
        self.asked.close();
        is_first
    }

    pub(crate) fn is_asked(&self) -> bool {
        self.asked.is_closed()
    }

    /// Waits until the end is asked for. Whoever keeps this future keeps [`Stop::heeded`] waiting.
    pub(crate) fn asked(&self) -> impl Future<Output = ()> + use<> {
        let (asked, running) = (Arc::clone(&self.asked), self.tasks.subscribe());
        async move {
            // An error, always: the semaphore is closed at the end.
            let _ = asked.acquire().await;
            drop(running);
        }
    }

    /// Waits until nobody waits for the end any more.
    pub(crate) async fn heeded(&self) {
        self.tasks.closed().await;
    }
}
