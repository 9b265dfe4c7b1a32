//! Plugins: programs that run beside the daemon and speak JSON-RPC with it over their standard input and output, as Core
//! Lightning's plugins do. They need no change to run here.
//!
//! ```text
//!             start (getmanifest, init)         stop, death
//!                     |                             |
//!   methods, hooks, notifications  <-- Host -->  options, feature bits, even types
//!                     |
//!                  Channel  (bounded backlog, requests by id)
//!                     |
//!                  process  (standard input, output, error; always killed, always reaped)
//! ```
//!
//! - `host`: which plugins there are and what they registered; `start`: how one comes to run, and how it stops.
//! - `process`, `channel`, `incoming`: one plugin's process, the conversation with it, what it says by itself.
//! - `manifest`, `hook`, `topic`, `directory`: what a plugin may register, judged without a process.
//! - `tell`, `inbox`, `gate`, `command`: notifications; messages of peers; who may connect; calls of clients.
//!
//! A plugin is a stranger's program. It may be slow, answer nonsense, die or never answer: it is skipped then, the log says
//! so, and no peer, client or other plugin waits for it longer than the limits say. What it can cost is in
//! [`limits`](crate::limits).

use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

mod channel;
mod command;
mod directory;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod gate;
mod hook;
mod host;
mod inbox;
mod incoming;
mod manifest;
mod onions;
mod option;
mod process;
mod start;
mod tell;
mod topic;

pub(crate) use channel::Progress;
pub(crate) use command::Intervention;
pub(crate) use hook::{Hook, Subject};
pub use host::{Host, HostSettings};
pub(crate) use manifest::PluginMethod;
pub use start::PluginStartError;
pub(crate) use start::StartOptions;

use channel::Channel;
use directory::Checksum;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{ErrorCode, RpcError};
use crate::limits::MAX_PLUGIN_CALLS;

/// One plugin, from its registration to its end. A plugin that is started again is another one.
pub(crate) struct Plugin {
    /// The path of its program, absolute.
    pub(crate) path: String,
    /// The program's file name.
    pub(crate) name: String,
    /// What the log calls it.
    source: String,
    /// What its program was when it was registered.
    checksum: Checksum,
    channel: Arc<Channel>,
    /// One permit for every client's call that waits for it.
    calls: Arc<Semaphore>,
    /// Its process has ended, or says no more.
    is_gone: AtomicBool,
    /// Why it has ended.
    end: OnceLock<String>,
    health: Health,
}

/// How well a plugin does what it registered for.
#[derive(Debug, Default)]
struct Health {
    /// It has not answered a hook in time, and has not made up for it since: it is not called.
    is_hung: AtomicBool,
    /// Its last answer to a hook was of no use.
    is_faulty: AtomicBool,
    /// Hook calls that came to nothing because of it.
    faults: AtomicU64,
    /// Answers to what nobody asked.
    strays: AtomicU64,
}

impl Plugin {
    fn new(path: String, checksum: Checksum) -> Plugin {
        let name = path.rsplit('/').next().unwrap_or(&path).to_owned();
        Plugin {
            source: format!("plugin-{name}"),
            name,
            path,
            checksum,
            channel: Arc::default(),
            calls: Arc::new(Semaphore::new(MAX_PLUGIN_CALLS)),
            is_gone: AtomicBool::new(false),
            end: OnceLock::new(),
            health: Health::default(),
        }
    }

    /// Notes why it ends. False if it had ended already.
    fn set_ended(&self, why: &str) -> bool {
        self.end.set(why.to_owned()).is_ok()
    }

    /// Core Lightning's words for a plugin that knows nothing of `check`.
    pub(crate) fn say_cannot_check(&self, method: &str, id: &str) {
        tracing::warn!(source = self.source, "Plugin does not support check command for {method} (id {id})");
    }

    /// Room for one more call of a client's, until it is dropped.
    fn place_for_call(&self) -> Result<OwnedSemaphorePermit, RpcError> {
        Arc::clone(&self.calls).try_acquire_owned().map_err(|_| {
            let Plugin { name, .. } = self;
            RpcError::new(
                ErrorCode::PluginError,
                format!(
                    "The plugin {name} has not answered {MAX_PLUGIN_CALLS} calls: try again later, or stop it"
                ),
            )
        })
    }

    fn has_ended(&self) -> bool {
        self.end.get().is_some()
    }

    /// Whether it can be asked at all.
    fn is_callable(&self) -> bool {
        !self.has_ended() && !self.health.is_hung.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugin").field("path", &self.path).field("end", &self.end).finish_non_exhaustive()
    }
}
