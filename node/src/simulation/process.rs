//! A run of a program on a simulated host: its tasks, its random numbers, and its end at any moment.
//!
//! Everything that a node spawns belongs to the process that it was started in, and so does every socket. Killing the
//! process drops all of that without a chance to say goodbye, as the system does to a program that is killed.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::task::AbortHandle;

use super::dice::Dice;
use super::network::Network;
use super::trace::Trace;

/// Of a task's turns, one in so many is put off: the others go first. So the order of tasks differs from seed to seed.
const JOSTLED_ONE_IN: usize = 8;

/// A machine with an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Host(pub(super) u8);

impl Host {
    /// Where its node listens. An address that peers tell each other of, as they do of public ones alone.
    pub(super) fn address(self) -> SocketAddr {
        SocketAddr::from((self.ip(), 9735))
    }

    pub(super) fn ip(self) -> Ipv4Addr {
        Ipv4Addr::new(1, 2, 3, self.0)
    }
}

/// One run of a program. No two of a simulation have the same number.
#[derive(Debug)]
pub(crate) struct Process {
    pub(super) number: usize,
    pub(super) host: Host,
    pub(super) network: Arc<Network>,
    trace: Arc<Trace>,
    dice: Mutex<Dice>,
    tasks: Mutex<Tasks>,
}

#[derive(Debug, Default)]
struct Tasks {
    next: u64,
    running: BTreeMap<u64, AbortHandle>,
    is_killed: bool,
}

tokio::task_local! {
    static RUNNING: Arc<Process>;
}

/// Hosts in good weather with a process on each, for tests that need no more: 1.2.3.1, 1.2.3.2 and so on.
pub(crate) fn machines<const N: usize>() -> [Arc<Process>; N] {
    let trace = Arc::new(Trace::begin());
    let network = Network::new(Dice::new(1), &trace);
    tokio::spawn(Arc::clone(&network).carry());
    std::array::from_fn(|index| {
        let host = Host(u8::try_from(index + 1).unwrap_or(u8::MAX));
        Process::new(index, host, &network, &trace, Dice::new(u64::from(host.0)))
    })
}

/// What [`crate::system`] has for `tokio::spawn`.
pub(crate) fn spawn(future: impl Future<Output = ()> + Send + 'static) {
    match Process::current() {
        Some(process) => process.spawn(future),
        None => drop(tokio::spawn(future)),
    }
}

/// What [`crate::system`] has for the system's random numbers.
pub(crate) fn random_bytes(bytes: &mut [u8]) -> Result<(), getrandom::Error> {
    match Process::current() {
        Some(process) => {
            process.dice().fill(bytes);
            Ok(())
        }
        None => getrandom::fill(bytes),
    }
}

impl Process {
    pub(super) fn new(
        number: usize,
        host: Host,
        network: &Arc<Network>,
        trace: &Arc<Trace>,
        dice: Dice,
    ) -> Arc<Process> {
        Arc::new(Process {
            number,
            host,
            network: Arc::clone(network),
            trace: Arc::clone(trace),
            dice: Mutex::new(dice),
            tasks: Mutex::default(),
        })
    }

    /// Whose task runs here.
    pub(super) fn current() -> Option<Arc<Process>> {
        RUNNING.try_with(Arc::clone).ok()
    }

    /// Runs a future as this process, within the caller's task.
    pub(crate) async fn run<T>(self: &Arc<Self>, future: impl Future<Output = T>) -> T {
        RUNNING.scope(Arc::clone(self), future).await
    }

    pub(super) fn spawn(self: &Arc<Self>, future: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks();
        if tasks.is_killed {
            drop(tasks);
            // As a runtime does that is shutting down. Not under the lock: what it drops may spawn.
            drop(future);
            return;
        }
        tasks.next += 1;
        let number = tasks.next;
        let place = TaskPlace { process: Arc::clone(self), number };
        let task = Jostled {
            process: Arc::clone(self),
            task: Box::pin(async move {
                let _place = place;
                future.await;
            }),
        };
        let handle = tokio::spawn(RUNNING.scope(Arc::clone(self), task)).abort_handle();
        // There is one thread, so the task has not begun.
        tasks.running.insert(number, handle);
    }

    /// Ends every task without a goodbye. What the network has of the process is for the network to end, before this.
    pub(super) async fn kill(&self) {
        let running: Vec<AbortHandle> = {
            let mut tasks = self.tasks();
            tasks.is_killed = true;
            tasks.running.values().cloned().collect()
        };
        // Some of them go on for a moment, as on the other threads of a runtime that is shutting down.
        let moments = self.dice().below(3);
        for _ in 0..moments {
            tokio::task::yield_now().await;
        }
        running.iter().for_each(AbortHandle::abort);
        while self.task_count() > 0 {
            tokio::task::yield_now().await;
        }
    }

    pub(super) fn task_count(&self) -> usize {
        self.tasks().running.len()
    }

    pub(super) fn dice(&self) -> MutexGuard<'_, Dice> {
        self.dice.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tasks(&self) -> MutexGuard<'_, Tasks> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A task among those of its process, from its birth until it is dropped.
struct TaskPlace {
    process: Arc<Process>,
    number: u64,
}

impl Drop for TaskPlace {
    fn drop(&mut self) {
        self.process.tasks().running.remove(&self.number);
        if std::thread::panicking() {
            self.process
                .trace
                .violation(format_args!("a task of process {} has panicked", self.process.number));
        }
    }
}

/// A task whose turns are sometimes put off.
struct Jostled {
    process: Arc<Process>,
    task: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Future for Jostled {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let is_put_off = self.process.dice().one_in(JOSTLED_ONE_IN);
        if is_put_off {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.task.as_mut().poll(context)
    }
}
