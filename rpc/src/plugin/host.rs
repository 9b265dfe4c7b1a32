//! The host: which plugins there are, how far each has come, and what they have registered.
//!
//! Everything that a plugin registers hangs on its [`Entry`] and goes with it, at once: its methods, its place in the
//! chains, its options, its even types. The lock is held for single steps and never while anything is waited for.

use core::time::Duration;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use oddwire_node::{EvenTypesGuard, EventFilter, FeatureSet, Node};
use tokio::sync::watch;

use super::directory::{Checksum, paths_match, plugins_below};
use super::hook::{Candidate, Chain, Hook, Link, order};
use super::inbox::Pump;
use super::manifest::{Manifest, PluginMethod};
use super::{Plugin, topic};
use crate::config::table::OptionTable;
use crate::config::{ImportantDeath, PluginSettings};
use crate::limits::{RESTART_FORGIVEN, RESTART_PAUSE, RESTART_PAUSE_MAX};
use crate::log::{Level, LogBook};
use crate::stop::StopSignal;

/// All plugins of a daemon. Clones are the same host; the default one has no plugins.
#[derive(Clone, Debug, Default)]
pub struct Host {
    pub(super) inner: Arc<Inner>,
}

/// What the user wants of plugins, and what plugins are told about the daemon.
#[derive(Clone, Debug, Default)]
pub struct HostSettings {
    /// What the user's options ask for.
    pub wanted: PluginSettings,
    /// `<lightning-dir>/plugins`: what is in there or one level below is started too.
    pub default_directory: PathBuf,
    /// `--developer`, which plugins are told.
    pub is_developer: bool,
    /// `--allow-deprecated-apis=false`.
    pub refuse_deprecated: bool,
    /// The network's directory: where plugins work.
    pub network_dir: PathBuf,
    /// The RPC socket, as `init` tells it.
    pub rpc_file: PathBuf,
    /// The network's name.
    pub network: String,
}

#[derive(Debug, Default)]
pub(super) struct Inner {
    pub(super) settings: HostSettings,
    pub(super) options: Arc<OptionTable>,
    pub(super) node: OnceLock<Node>,
    log_book: OnceLock<LogBook>,
    state: Mutex<State>,
    /// Number of our next request, over all plugins.
    pub(super) next_request: AtomicU64,
    /// Some plugin wants to look at calls of clients.
    wants_calls: AtomicBool,
    /// All plugins of the start are up, or gone.
    pub(super) is_ready: watch::Sender<bool>,
    /// An important plugin has ended.
    important_ended: StopSignal,
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// In the order of registration, which is the order of hooks where nobody wants another.
    pub(super) entries: Vec<Entry>,
    chains: Vec<(Hook, Chain)>,
    events: Option<Pump>,
    log: Option<Pump>,
    /// The daemon runs: plugins that start now must be dynamic.
    pub(super) is_running: bool,
    is_stopping: bool,
}

/// A plugin and what it registered.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) plugin: Arc<Plugin>,
    pub(super) stage: Stage,
    pub(super) is_important: bool,
    /// How often it has been started again without having lasted.
    restarts: u32,
    since: Instant,
    pub(super) manifest: Manifest,
    even_types: Option<EvenTypesGuard>,
}

/// How far a plugin has come.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    AwaitingManifest,
    NeedsInit,
    AwaitingInit,
    Active,
}

impl Stage {
    /// When it ended, in Core Lightning's words.
    fn words(self) -> &'static str {
        match self {
            Stage::AwaitingManifest => "before replying to getmanifest",
            Stage::NeedsInit => "before we sent init",
            Stage::AwaitingInit => "before replying to init",
            Stage::Active => "during normal operation",
        }
    }
}

/// A line of `plugin list`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) path: String,
    pub(crate) is_active: bool,
    pub(crate) is_dynamic: bool,
}

impl Host {
    /// A host without plugins yet.
    pub fn new(settings: HostSettings, options: Arc<OptionTable>) -> Host {
        Host { inner: Arc::new(Inner { settings, options, ..Inner::default() }) }
    }

    /// Whether there is no plugin to start, as far as can be seen beforehand.
    pub fn wants_none(&self) -> bool {
        let settings = &self.inner.settings;
        settings.wanted.is_empty() && plugins_below(&settings.default_directory).is_empty()
    }

    /// The feature bits that plugins want in our `init`. To be asked after [`start`](Host::start) and before the node starts.
    pub fn features(&self) -> FeatureSet {
        self.lock().features()
    }

    /// The node and the log that the plugins are about. Before these are known they are told and asked nothing.
    pub fn attach(&self, node: &Node, log: &LogBook) {
        // A second time changes nothing.
        let _ = self.inner.node.set(node.clone());
        let _ = self.inner.log_book.set(log.clone());
    }

    /// Waits until an important plugin has ended with the daemon to follow it.
    pub async fn important_ended(&self) {
        self.inner.important_ended.triggered().await;
    }

    pub(super) fn has_important_ended(&self) -> bool {
        self.inner.important_ended.is_triggered()
    }

    /// Where plugins are looked for without being asked for.
    pub(crate) fn default_directory(&self) -> &Path {
        &self.inner.settings.default_directory
    }

    /// The plugins in the order of their registration.
    pub(crate) fn list(&self) -> Vec<Listed> {
        let listed = |entry: &Entry| Listed {
            path: entry.plugin.path.clone(),
            is_active: entry.stage == Stage::Active,
            is_dynamic: entry.manifest.is_dynamic,
        };
        self.lock().entries.iter().map(listed).collect()
    }

    /// The methods of all plugins.
    pub(crate) fn methods(&self) -> Vec<PluginMethod> {
        self.lock().entries.iter().flat_map(|entry| entry.manifest.methods.iter().cloned()).collect()
    }

    /// The plugin that has a method of this name, with the method and whether it answers `check`.
    pub(crate) fn method(&self, name: &str) -> Option<(Arc<Plugin>, PluginMethod, bool)> {
        let state = self.lock();
        state.entries.iter().find_map(|entry| {
            let method = entry.manifest.methods.iter().find(|method| method.name == name)?;
            Some((Arc::clone(&entry.plugin), method.clone(), entry.manifest.can_check))
        })
    }

    /// Whether some plugin has the hook `rpc_command`: one load.
    pub(crate) fn wants_calls(&self) -> bool {
        self.inner.wants_calls.load(Ordering::Relaxed)
    }

    pub(super) fn chain(&self, hook: &Hook) -> Chain {
        let state = self.lock();
        state.chains.iter().find(|(of, _)| of == hook).map(|(_, chain)| chain.clone()).unwrap_or_default()
    }

    /// Those that are to be told about a topic.
    pub(super) fn subscribers(&self, topic: &str) -> Vec<Arc<Plugin>> {
        let state = self.lock();
        let wanting = state.entries.iter().filter(|entry| {
            let wants = |wanted: &String| topic::covers(wanted, topic);
            entry.stage == Stage::Active && entry.manifest.subscriptions.iter().any(wants)
        });
        wanting.map(|entry| Arc::clone(&entry.plugin)).collect()
    }

    /// Whether it has subscribed to the topic and runs.
    pub(super) fn is_subscribed(&self, plugin: &Arc<Plugin>, topic: &str) -> bool {
        self.subscribers(topic).iter().any(|subscriber| Arc::ptr_eq(subscriber, plugin))
    }

    /// Whether the daemon or some plugin ever sends this topic.
    pub(super) fn has_topic(&self, topic: &str) -> bool {
        topic::is_native(topic)
            || self.lock().entries.iter().any(|entry| entry.manifest.topics.iter().any(|own| own == topic))
    }

    /// Whether the plugin has said that it sends this topic.
    pub(super) fn may_send(&self, plugin: &Arc<Plugin>, topic: &str) -> bool {
        self.lock().find(plugin).is_some_and(|entry| entry.manifest.topics.iter().any(|own| own == topic))
    }

    /// Puts the plugins of every hook in order.
    ///
    /// # Errors
    /// Those whose wishes no order suits and that have not been told `init` yet.
    pub(super) fn order_hooks(&self) -> Result<(), Vec<Arc<Plugin>>> {
        let mut state = self.lock();
        let state = &mut *state;
        let mut stuck: Vec<Arc<Plugin>> = Vec::new();
        let mut chains: Vec<(Hook, Chain)> = Vec::new();
        let wishes = || {
            state.entries.iter().flat_map(|entry| entry.manifest.hooks.iter().map(move |wish| (entry, wish)))
        };
        for (_, wish) in wishes() {
            let hook = &wish.hook;
            if chains.iter().any(|(known, _)| known == hook) {
                continue;
            }
            let wanting: Vec<(&Entry, _)> = wishes().filter(|(_, other)| other.hook == *hook).collect();
            let candidates: Vec<Candidate<'_>> =
                wanting.iter().map(|(entry, wish)| Candidate { path: &entry.plugin.path, wish }).collect();
            let unknown = |word, place: usize, name: &str| {
                if let Some((entry, _)) = wanting.get(place)
                    && entry.stage == Stage::NeedsInit
                {
                    tracing::debug!(
                        source = entry.plugin.source,
                        "hook {} {word} unknown plugin {name}",
                        hook.name()
                    );
                }
            };
            let places = match order(&candidates, unknown) {
                Ok(places) => places,
                Err(places) => {
                    let entries = places.iter().filter_map(|place| Some(wanting.get(*place)?.0));
                    let new = entries.filter(|entry| entry.stage == Stage::NeedsInit);
                    stuck.extend(new.map(|entry| Arc::clone(&entry.plugin)));
                    continue;
                }
            };
            // Whoever is not active yet has its place, but is not called.
            let in_order = places.iter().filter_map(|place| wanting.get(*place));
            let active = in_order.filter(|(entry, _)| entry.stage == Stage::Active);
            let links = active.map(|(entry, wish)| Link {
                plugin: Arc::clone(&entry.plugin),
                filters: wish.filters.clone(),
            });
            chains.push((hook.clone(), Chain::new(links.collect())));
        }
        if stuck.is_empty() {
            state.chains = chains;
            Ok(())
        } else {
            stuck.dedup_by(|a, b| Arc::ptr_eq(a, b));
            Err(stuck)
        }
    }

    /// Enters a plugin that is about to be started. `None` if it is there already; then it may become important.
    pub(super) fn register(
        &self,
        path: String,
        checksum: Checksum,
        is_important: bool,
    ) -> Option<Arc<Plugin>> {
        self.enter(path, checksum, is_important, 0)
    }

    /// The same of an important one that is started for the so-many-th time.
    pub(super) fn register_again(
        &self,
        path: String,
        checksum: Checksum,
        restarts: u32,
    ) -> Option<Arc<Plugin>> {
        self.enter(path, checksum, true, restarts)
    }

    fn enter(
        &self,
        path: String,
        checksum: Checksum,
        is_important: bool,
        restarts: u32,
    ) -> Option<Arc<Plugin>> {
        let mut state = self.lock();
        if state.is_stopping {
            return None;
        }
        if let Some(present) = state.entries.iter_mut().find(|entry| entry.plugin.path == path) {
            present.is_important |= is_important;
            return None;
        }
        let plugin = Arc::new(Plugin::new(path, checksum));
        state.entries.push(Entry {
            plugin: Arc::clone(&plugin),
            stage: Stage::AwaitingManifest,
            is_important,
            restarts,
            since: Instant::now(),
            manifest: Manifest::default(),
            even_types: None,
        });
        Some(plugin)
    }

    /// Ends a plugin whose program is not what it was any more, so that the new one can be started.
    pub(super) fn end_if_changed(&self, path: &str, checksum: Checksum) {
        let changed = self.lock().entries.iter().find_map(|entry| {
            let is_it = entry.plugin.path == path && entry.plugin.checksum != checksum && !entry.is_important;
            is_it.then(|| (Arc::clone(&entry.plugin), entry.manifest.is_dynamic))
        });
        match changed {
            Some((plugin, true)) => self.kill(&plugin, Level::Info, "Plugin changed, needs restart."),
            // The new one could not be started either.
            Some((plugin, false)) => tracing::info!(
                source = plugin.source,
                "Plugin changed, but is not dynamic: the old one runs until the daemon ends"
            ),
            None => {}
        }
    }

    /// From now on the plugin is told and asked what it registered for.
    pub(super) fn activate(&self, plugin: &Arc<Plugin>) {
        let mut state = self.lock();
        let Some(entry) = state.find_mut(plugin) else { return };
        entry.stage = Stage::Active;
        self.allow_even_types(entry);
        self.follow_events(&mut state);
        drop(state);
        self.rearrange();
    }

    /// Ends a plugin, for a reason that the log tells at this level. What it registered is gone when this returns.
    pub(super) fn kill(&self, plugin: &Arc<Plugin>, level: Level, why: &str) {
        if !plugin.set_ended(why) {
            return;
        }
        log_at(level, &plugin.source, &format!("Killing plugin: {why}"));
        let mut state = self.lock();
        let gone = state.entries.iter().position(|entry| Arc::ptr_eq(&entry.plugin, plugin));
        let gone = gone.map(|place| state.entries.remove(place));
        let is_stopping = state.is_stopping;
        self.follow_events(&mut state);
        drop(state);
        if let Some(mut gone) = gone {
            self.inner.options.unregister(&plugin.path);
            // Before anybody hears that it is gone.
            drop(gone.even_types.take());
            self.rearrange();
            if !is_stopping && gone.stage == Stage::Active {
                self.tell_plugin_stopped(plugin, &gone.manifest.methods);
            }
            if !is_stopping && gone.is_important {
                self.important_one_has_ended(&gone);
            }
        }
        // Last, so that whoever waits for the end finds all of it done.
        plugin.channel.close();
    }

    /// The process is gone, or says no more.
    pub(super) fn process_ended(&self, plugin: &Arc<Plugin>) {
        plugin.is_gone.store(true, Ordering::SeqCst);
        let (stage, is_stopping) = {
            let state = self.lock();
            (state.find(plugin).map(|entry| entry.stage), state.is_stopping)
        };
        match stage {
            // Its last words may be the answer, say that it does not want to run: whoever asked has them, or hears that there
            // are none, and judges. The stage is set before `is_gone` is looked at there, and the other way round here.
            Some(Stage::AwaitingManifest | Stage::AwaitingInit) => plugin.channel.close(),
            Some(stage) => {
                let level = if is_stopping { Level::Debug } else { Level::Info };
                self.kill(plugin, level, &format!("exited {}", stage.words()));
            }
            None => {}
        }
    }

    /// Ends a plugin that was gone when its answer had been judged.
    pub(super) fn end_if_gone(&self, plugin: &Arc<Plugin>) {
        if plugin.is_gone.load(Ordering::SeqCst) {
            self.process_ended(plugin);
        }
    }

    fn important_one_has_ended(&self, gone: &Entry) {
        let plugin = &gone.plugin;
        // One that did not come up the first time is a mistake that the user had better see at once.
        let has_run = gone.stage == Stage::Active || gone.restarts > 0;
        if self.inner.settings.wanted.important_death == ImportantDeath::Restarts && has_run {
            let has_lasted = gone.since.elapsed() >= RESTART_FORGIVEN;
            self.restart_later(plugin, if has_lasted { 0 } else { gone.restarts });
            return;
        }
        tracing::error!(source = plugin.source, "Plugin marked as important, shutting down lightningd!");
        self.inner.important_ended.trigger();
    }

    /// The plugin may end without the daemon's following.
    pub(super) fn make_unimportant(&self, plugin: &Arc<Plugin>) {
        if let Some(entry) = self.lock().find_mut(plugin) {
            entry.is_important = false;
        }
    }

    pub(super) fn set_stage(&self, plugin: &Arc<Plugin>, stage: Stage) {
        if let Some(entry) = self.lock().find_mut(plugin) {
            entry.stage = stage;
        }
    }

    /// The plugin that this name means, with whether it is dynamic.
    pub(super) fn find(&self, name: &str) -> Option<(Arc<Plugin>, bool)> {
        let state = self.lock();
        let entry = state.entries.iter().find(|entry| paths_match(&entry.plugin.path, name))?;
        Some((Arc::clone(&entry.plugin), entry.manifest.is_dynamic))
    }

    /// No plugin is entered any more, and the end of one is nothing unusual. Answers with those that are there.
    pub(super) fn begin_stopping(&self) -> Vec<(Arc<Plugin>, Stage)> {
        let mut state = self.lock();
        state.is_stopping = true;
        state.entries.iter().map(|entry| (Arc::clone(&entry.plugin), entry.stage)).collect()
    }

    /// A hook call came to nothing because of this plugin. It is said in the log, counted, and the peers' even messages that
    /// it asked for are refused until it does better.
    pub(super) fn fault(&self, plugin: &Arc<Plugin>, hook: &Hook, what: &str) {
        let count = plugin.health.faults.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        tracing::warn!(
            source = plugin.source,
            "{} hook: {what}: going on without it ({count} times now)",
            hook.name()
        );
        let withdrawn = {
            let mut state = self.lock();
            // Under the lock, so that nobody finds one of the two done without the other.
            plugin.health.is_faulty.store(true, Ordering::Relaxed);
            state.find_mut(plugin).and_then(|entry| entry.even_types.take())
        };
        if withdrawn.is_some() {
            tracing::warn!(source = plugin.source, "its custommessages are refused until it answers again");
        }
        drop(withdrawn);
    }

    /// A hook call was answered as it should be.
    pub(super) fn did_well(&self, plugin: &Arc<Plugin>) {
        // The usual case is one load.
        if !plugin.health.is_faulty.load(Ordering::Relaxed) {
            return;
        }
        let mut state = self.lock();
        if plugin.health.is_faulty.swap(false, Ordering::Relaxed) {
            plugin.health.is_hung.store(false, Ordering::Relaxed);
            tracing::info!(source = plugin.source, "answers hooks again");
            if let Some(entry) = state.find_mut(plugin) {
                self.allow_even_types(entry);
            }
        }
    }

    fn allow_even_types(&self, entry: &mut Entry) {
        let types = &entry.manifest.custom_messages;
        if let Some(node) = self.inner.node.get()
            && entry.stage == Stage::Active
            && !types.is_empty()
        {
            entry.even_types = Some(node.allow_even_types(types.iter().copied()));
        }
    }

    /// Listens to the node, and to the log, for as long as some plugin wants to hear of it.
    fn follow_events(&self, state: &mut State) {
        let is_of_interest = |entry: &Entry| {
            let topics = ["connect", "disconnect", "custommsg", "onionmessage_forward_fail"];
            let wants = |wanted: &String| topics.iter().any(|topic| topic::covers(wanted, topic));
            let about = [Hook::CustomMessage, Hook::OnionMessage, Hook::OnionMessageSecret];
            let hooks = entry.manifest.hooks.iter().any(|wish| about.contains(&wish.hook));
            entry.stage == Stage::Active && (hooks || entry.manifest.subscriptions.iter().any(wants))
        };
        let wanted = state.entries.iter().any(is_of_interest);
        match (self.inner.node.get(), &state.events) {
            (Some(node), None) if wanted => {
                state.events = Some(Pump::start(self, node.subscribe(EventFilter::all())));
            }
            (_, Some(_)) if !wanted => state.events = None,
            _ => {}
        }
        let wants_log = state.entries.iter().any(|entry| {
            let wants = |wanted: &String| ["log", "warning"].iter().any(|topic| topic::covers(wanted, topic));
            entry.stage == Stage::Active && entry.manifest.subscriptions.iter().any(wants)
        });
        match (self.inner.log_book.get(), &state.log) {
            (Some(book), None) if wants_log => state.log = Some(Pump::of_log(self, book.feed())),
            (_, Some(_)) if !wants_log => state.log = None,
            _ => {}
        }
    }

    /// Brings what is derived from the entries up to date.
    fn rearrange(&self) {
        // Whoever is stuck was found when it came; one that goes leaves no new circle.
        let _ = self.order_hooks();
        let wants_calls = self.chain(&Hook::RpcCommand).about(super::Subject::Any).next().is_some();
        self.inner.wants_calls.store(wants_calls, Ordering::Relaxed);
    }

    /// How long to wait for a plugin: as the limit says, unless a test is in a hurry.
    pub(super) fn patience(&self, limit: Duration) -> Duration {
        self.inner.settings.wanted.patience.map_or(limit, |patience| patience.min(limit))
    }

    /// Every step under the lock leaves it whole.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The feature bits that plugins want.
    pub(super) fn features(&self) -> FeatureSet {
        let all = self.entries.iter().filter_map(|entry| entry.manifest.features);
        all.fold(FeatureSet::EMPTY, |all, more| all.union(&more))
    }

    pub(super) fn find(&self, plugin: &Arc<Plugin>) -> Option<&Entry> {
        self.entries.iter().find(|entry| Arc::ptr_eq(&entry.plugin, plugin))
    }

    pub(super) fn find_mut(&mut self, plugin: &Arc<Plugin>) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| Arc::ptr_eq(&entry.plugin, plugin))
    }
}

/// Logs a plugin's line at a level that is known only now.
pub(super) fn log_at(level: Level, source: &str, text: &str) {
    match level {
        Level::Io | Level::Trace => tracing::trace!(source, "{text}"),
        Level::Debug => tracing::debug!(source, "{text}"),
        Level::Info => tracing::info!(source, "{text}"),
        Level::Unusual => tracing::warn!(source, "{text}"),
        Level::Broken => tracing::error!(source, "{text}"),
    }
}

/// How long to wait before a plugin is started for the so-many-th time.
pub(super) fn pause_before(restarts: u32) -> Duration {
    RESTART_PAUSE.saturating_mul(1 << restarts.min(16)).min(RESTART_PAUSE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_limit() {
        assert_eq!([0, 1, 2].map(|restarts| pause_before(restarts).as_secs()), [1, 2, 4]);
        assert_eq!([9, 1_000, u32::MAX].map(pause_before), [RESTART_PAUSE_MAX; 3]);
    }
}
