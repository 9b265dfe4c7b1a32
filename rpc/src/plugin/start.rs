//! How a plugin comes to run, and how it stops: process, `getmanifest`, registration, `init`; `shutdown`, patience, the end.
//!
//! At the start of the daemon all plugins are begun at once and each step waits for all of them; later each one goes
//! through the same steps by itself. A plugin that fails at a step is killed and told of in the log; nothing of it stays.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use oddwire_node::NodeBuilder;
use tokio::task::JoinSet;
use wire_core::message::features::FeatureBit;

use super::channel::Answer;
use super::directory::{Checksum, plugins_below, plugins_in};
use super::host::{Host, Stage, pause_before};
use super::manifest::{FEATURE_PLACES, Introduction, Manifest, parse};
use super::{Plugin, process};
use crate::error::ErrorCode;
use crate::json_writer::{ObjectWriter, object};
use crate::limits::{GETMANIFEST_TIME, INIT_TIME, PLUGIN_FAREWELL, PLUGIN_STOP_TIME};
use crate::log::Level;
use crate::value::Document;

/// The daemon cannot start because of a plugin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PluginStartError {
    /// A plugin that the user named is no program.
    #[error("cannot start the plugin {}: {error}. Give --plugin the path of a program that this user may execute", path.display())]
    NoProgram {
        /// What was given.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// A directory of plugins cannot be read.
    #[error("Failed to open plugin-dir {}: {error}", path.display())]
    NoDirectory {
        /// What was given.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// A plugin that the user called important did not come up.
    #[error(
        "an important plugin did not start: the log says why. Mend it, or give it with --plugin instead of --important-plugin"
    )]
    Important,
}

/// A plugin could not be started while the daemon runs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StartRefused {
    /// There is no such program, or it is a plugin already.
    #[error("{0}")]
    Unusable(String),
    /// It was started, and failed.
    #[error("{0}")]
    Failed(String),
}

impl StartRefused {
    /// What clients are told of it.
    pub(crate) fn code(&self) -> ErrorCode {
        match self {
            StartRefused::Unusable(_) => ErrorCode::InvalidParams,
            StartRefused::Failed(_) => ErrorCode::PluginError,
        }
    }
}

/// What `plugin start` was given for the plugin's options: name and value.
pub(crate) type StartOptions = Vec<(String, Option<String>)>;

/// Whether a plugin comes with the daemon or later.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Occasion {
    Startup,
    Later,
    /// An important plugin that ended comes back.
    Again,
}

impl Host {
    /// Starts the plugins that the user wants, has them introduce themselves and enters what they register. Returns when
    /// every one of them has or is gone; a plugin that fails is no error unless it is important.
    ///
    /// # Errors
    /// A path or a directory is of no use, or an important plugin failed.
    pub async fn start(&self) -> Result<(), PluginStartError> {
        let mut starting = JoinSet::new();
        for (path, is_important) in self.programs()? {
            if self.is_disabled(&path) {
                continue;
            }
            let (host, path_name) = (self.clone(), path.display().to_string());
            let checksum = Checksum::of(&path).await;
            let Some(plugin) = self.register(path_name, checksum, is_important) else { continue };
            process::spawn(&host, &plugin).map_err(|error| PluginStartError::NoProgram { path, error })?;
            starting.spawn(async move {
                host.introduce(&plugin, None, StartOptions::new(), Occasion::Startup).await
            });
        }
        // How each of them failed is in the log.
        while starting.join_next().await.is_some() {}
        self.settle_order();
        if self.has_important_ended() { Err(PluginStartError::Important) } else { Ok(()) }
    }

    /// Tells the plugins that have introduced themselves how the daemon is set up. Returns when they all run, or are gone.
    /// Clients are served by then, since plugins are clients.
    pub async fn init(&self) {
        let waiting: Vec<_> = {
            let state = self.lock();
            let waiting = state.entries.iter().filter(|entry| entry.stage == Stage::NeedsInit);
            waiting.map(|entry| Arc::clone(&entry.plugin)).collect()
        };
        let mut starting = JoinSet::new();
        for plugin in waiting {
            let host = self.clone();
            starting.spawn(async move { host.init_plugin(&plugin, Occasion::Startup).await });
        }
        while starting.join_next().await.is_some() {}
        self.lock().is_running = true;
        self.inner.is_ready.send_replace(true);
    }

    /// Starts one more plugin, in the place of the same one if its program has changed. Returns when it runs.
    ///
    /// # Errors
    /// What to tell whoever wanted it.
    pub(crate) async fn start_plugin(
        &self,
        path: &Path,
        options: StartOptions,
        asked_by: &str,
    ) -> Result<(), StartRefused> {
        let unusable = |error| StartRefused::Unusable(format!("{}: {error}", path.display()));
        let path = path.canonicalize().map_err(unusable)?;
        let checksum = Checksum::of(&path).await;
        let path = path.display().to_string();
        self.end_if_changed(&path, checksum);
        let taken = || StartRefused::Unusable(format!("{path}: already registered"));
        let plugin = self.register(path.clone(), checksum, false).ok_or_else(taken)?;
        if let Err(error) = process::spawn(self, &plugin) {
            self.kill(&plugin, Level::Unusual, &format!("cannot be executed: {error}"));
            return Err(StartRefused::Failed(format!("{path}: {error}")));
        }
        let failed = |why: String| StartRefused::Failed(format!("{path}: {why}"));
        self.introduce(&plugin, Some(asked_by), options, Occasion::Later).await.map_err(failed)?;
        self.settle_order();
        self.init_plugin(&plugin, Occasion::Later).await.map_err(failed)
    }

    /// Starts every plugin of a directory that does not run yet. Those that fail are told of in the log only.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub(crate) async fn start_directory(&self, directory: &Path, asked_by: &str) -> Result<(), String> {
        let found = plugins_in(directory)
            .map_err(|error| format!("Failed to open plugin-dir {}: {error}", directory.display()))?;
        self.start_found(found, asked_by).await;
        Ok(())
    }

    /// Starts what is new or has changed in the default directory.
    pub(crate) async fn rescan(&self, asked_by: &str) {
        self.start_found(plugins_below(&self.inner.settings.default_directory), asked_by).await;
    }

    async fn start_found(&self, found: Vec<PathBuf>, asked_by: &str) {
        let mut starting = JoinSet::new();
        for path in found {
            if !self.is_disabled(&path) {
                let (host, asked_by) = (self.clone(), asked_by.to_owned());
                starting.spawn(async move { host.start_plugin(&path, StartOptions::new(), &asked_by).await });
            }
        }
        while starting.join_next().await.is_some() {}
    }

    /// Stops a plugin: at once, or when it has heard of it if it wants to. Answers with its name.
    ///
    /// # Errors
    /// There is no such plugin, or it may not be stopped.
    pub(crate) async fn stop_plugin(&self, name: &str) -> Result<String, String> {
        let (plugin, is_dynamic) = self.find(name).ok_or_else(|| format!("Could not find plugin {name}"))?;
        if !is_dynamic {
            return Err(format!("{name} cannot be managed when lightningd is up"));
        }
        self.make_unimportant(&plugin);
        if !self.tell_shutdown(&plugin) {
            self.kill(&plugin, Level::Info, "stopped by lightningd via RPC");
        } else if tokio::time::timeout(self.patience(PLUGIN_STOP_TIME), plugin.channel.closed())
            .await
            .is_err()
        {
            tracing::warn!(source = plugin.source, "Timeout on shutdown: killing anyway");
            self.kill(&plugin, Level::Info, "stopped by lightningd via RPC");
        }
        Ok(plugin.name.clone())
    }

    /// Ends all plugins: those that want to hear of it are given a moment.
    pub async fn shutdown(&self) {
        let mut leaving = JoinSet::new();
        for (plugin, stage) in self.begin_stopping() {
            let host = self.clone();
            if stage == Stage::Active && self.tell_shutdown(&plugin) {
                leaving.spawn(async move {
                    if tokio::time::timeout(host.patience(PLUGIN_FAREWELL), plugin.channel.closed())
                        .await
                        .is_err()
                    {
                        tracing::debug!("{}: failed to self-terminate in time, killing.", plugin.name);
                        host.kill(&plugin, Level::Debug, "did not end in time");
                    }
                });
            } else {
                self.kill(&plugin, Level::Debug, "the daemon stops");
            }
        }
        while leaving.join_next().await.is_some() {}
    }

    /// Starts an important plugin again, when a pause is over. If it fails it is ended like any other, and that leads here.
    pub(super) fn restart_later(&self, plugin: &Arc<Plugin>, restarts: u32) {
        let (host, path) = (self.clone(), plugin.path.clone());
        let pause = self.patience(pause_before(restarts));
        let attempt = restarts.saturating_add(1);
        tracing::warn!(
            source = plugin.source,
            "Plugin marked as important, is started again in {} s (attempt {attempt})",
            pause.as_secs_f32()
        );
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            let checksum = Checksum::of(Path::new(&path)).await;
            // The daemon stops, or the user was faster.
            let Some(plugin) = host.register_again(path, checksum, attempt) else { return };
            if let Err(error) = process::spawn(&host, &plugin) {
                host.kill(&plugin, Level::Unusual, &format!("cannot be executed: {error}"));
                return;
            }
            if host.introduce(&plugin, None, StartOptions::new(), Occasion::Again).await.is_ok() {
                host.settle_order();
                // How it failed is in the log.
                let _ = host.init_plugin(&plugin, Occasion::Again).await;
            }
        });
    }

    /// What is to be started with the daemon, each once, and whether it is important.
    fn programs(&self) -> Result<Vec<(PathBuf, bool)>, PluginStartError> {
        let settings = &self.inner.settings;
        let mut programs = Vec::new();
        for path in plugins_below(&settings.default_directory) {
            programs.push((path, false));
        }
        for path in &settings.wanted.directories {
            let found = plugins_in(path);
            let found = found.map_err(|error| PluginStartError::NoDirectory { path: path.clone(), error })?;
            programs.extend(found.into_iter().map(|path| (path, false)));
        }
        let named = [(&settings.wanted.files, false), (&settings.wanted.important, true)];
        for (path, is_important) in
            named.into_iter().flat_map(|(paths, is)| paths.iter().map(move |path| (path, is)))
        {
            let found = path.canonicalize();
            let found = found.map_err(|error| PluginStartError::NoProgram { path: path.clone(), error })?;
            programs.push((found, is_important));
        }
        Ok(programs)
    }

    fn is_disabled(&self, path: &Path) -> bool {
        let path = path.display().to_string();
        let is_it = |name: &String| super::directory::paths_match(&path, name);
        let is_disabled = self.inner.settings.wanted.disabled.iter().any(is_it);
        if is_disabled {
            tracing::info!(source = "plugin-manager", "{path}: disabled via disable-plugin");
        }
        is_disabled
    }

    /// Asks for the manifest and registers what it says.
    async fn introduce(
        &self,
        plugin: &Arc<Plugin>,
        asked_by: Option<&str>,
        options: StartOptions,
        occasion: Occasion,
    ) -> Result<(), String> {
        let refuse_deprecated = self.inner.settings.refuse_deprecated;
        let params = object(|params| params.bare("allow-deprecated-apis", !refuse_deprecated));
        let answer =
            self.ask(plugin, "getmanifest", asked_by, &params).within(self.patience(GETMANIFEST_TIME)).await;
        let result = match answer {
            Answer::Result(result) => result,
            other => return Err(self.refuse_answer(plugin, "getmanifest", &other)),
        };
        let introduction = match Document::parse(&result).as_ref().and_then(Document::root).map(parse) {
            Some(Ok(introduction)) => introduction,
            Some(Err(error)) => return Err(self.refuse(plugin, Level::Unusual, error.to_string())),
            None => return Err(self.refuse_answer(plugin, "getmanifest", &Answer::Neither)),
        };
        let manifest = match introduction {
            Introduction::Manifest(manifest) => *manifest,
            Introduction::Disabled(reason) => {
                self.make_unimportant(plugin);
                return Err(self.refuse(plugin, Level::Info, format!("disabled itself: {reason}")));
            }
        };
        if occasion == Occasion::Later && !manifest.is_dynamic {
            return Err(self.refuse(plugin, Level::Info, "Not a dynamic plugin".to_owned()));
        }
        self.adopt(plugin, manifest, options).map_err(|why| self.refuse(plugin, Level::Unusual, why))?;
        self.end_if_gone(plugin);
        Ok(())
    }

    /// Enters what a manifest says, unless it is in the way of what is there already.
    fn adopt(
        &self,
        plugin: &Arc<Plugin>,
        mut manifest: Manifest,
        options: StartOptions,
    ) -> Result<(), String> {
        let mut state = self.lock();
        // Whoever has ended has given back what it had, and would not give back this.
        if state.find(plugin).is_none() {
            return Err("ended meanwhile".to_owned());
        }
        for (place, method) in manifest.methods.iter().enumerate() {
            let name = &method.name;
            let has_it =
                |entry: &&super::host::Entry| entry.manifest.methods.iter().any(|taken| taken.name == *name);
            let taken_by = if crate::method::find(name).is_some() {
                Some("lightningd")
            } else if manifest.methods.iter().take(place).any(|earlier| earlier.name == *name) {
                Some(&*plugin.path)
            } else {
                state.entries.iter().find(has_it).map(|entry| &*entry.plugin.path)
            };
            if let Some(owner) = taken_by {
                return Err(format!(
                    "Could not register method \"{name}\", a method with that name is already registered by plugin {owner}"
                ));
            }
        }
        // A node that runs has the bits already with which this plugin came up the first time.
        if let Some(features) = manifest.features.filter(|_| self.inner.node.get().is_none()) {
            let taken = NodeBuilder::OFFERED.union(&state.features());
            let is_taken =
                |bit: FeatureBit| taken.features().bits().any(|other| other.get() / 2 == bit.get() / 2);
            if features.features().bits().any(is_taken) {
                return Err("Custom featurebits already present".to_owned());
            }
            // Peers would hang up on our `init`.
            let all = taken.union(&features);
            all.features().offerable().map_err(|why| format!("Custom featurebits: {why}"))?;
        }
        let specs = core::mem::take(&mut manifest.options);
        self.inner.options.register(&plugin.path, specs, options).map_err(|error| error.to_string())?;
        let Some(entry) = state.find_mut(plugin) else { return Err("ended meanwhile".to_owned()) };
        entry.manifest = manifest;
        entry.stage = Stage::NeedsInit;
        Ok(())
    }

    /// Kills those that no order of hooks suits, and says which topics nobody ever sends.
    fn settle_order(&self) {
        while let Err(stuck) = self.order_hooks() {
            for plugin in stuck {
                self.kill(&plugin, Level::Unusual, "Cannot meet required hook dependencies");
            }
        }
        let subscriptions: Vec<(Arc<Plugin>, Vec<String>)> = {
            let state = self.lock();
            let new = state.entries.iter().filter(|entry| entry.stage == Stage::NeedsInit);
            new.map(|entry| (Arc::clone(&entry.plugin), entry.manifest.subscriptions.clone())).collect()
        };
        for (plugin, topics) in subscriptions {
            for topic in topics.iter().filter(|topic| *topic != "*" && !self.has_topic(topic)) {
                tracing::warn!(source = plugin.source, "topic '{topic}' is not a known notification topic");
            }
        }
    }

    /// Sends `init`, after which the plugin runs.
    async fn init_plugin(&self, plugin: &Arc<Plugin>, occasion: Occasion) -> Result<(), String> {
        if let Some(why) = plugin.end.get() {
            return Err(why.clone());
        }
        self.set_stage(plugin, Stage::AwaitingInit);
        let params = self.init_params(plugin, occasion);
        let answer = self.ask(plugin, "init", None, &params).within(self.patience(INIT_TIME)).await;
        match &answer {
            Answer::Result(result) => {
                let document = Document::parse(result);
                let disabled =
                    document.as_ref().and_then(Document::root).and_then(|result| result.get("disable"));
                if let Some(reason) = disabled {
                    self.make_unimportant(plugin);
                    let why = format!("disabled itself at init: {}", reason.text());
                    return Err(self.refuse(plugin, Level::Debug, why));
                }
            }
            // Core Lightning takes it for an answer like any other, and plugins live with that.
            Answer::Error(error) => {
                tracing::warn!(source = plugin.source, "answers init with an error: {error}");
            }
            other => return Err(self.refuse_answer(plugin, "init", other)),
        }
        self.activate(plugin);
        self.tell_plugin_started(plugin);
        self.end_if_gone(plugin);
        Ok(())
    }

    fn init_params(&self, plugin: &Plugin, occasion: Occasion) -> String {
        let settings = &self.inner.settings;
        let features = match self.inner.node.get() {
            Some(node) => node.features(),
            // As far as it is known: those of plugins that come later are missing.
            None => NodeBuilder::OFFERED.union(&self.lock().features()),
        };
        object(|params| {
            params.object("options", |options| {
                for (name, value) in self.inner.options.values_for(&plugin.path) {
                    options.bare(&name, value);
                }
            });
            params.object("configuration", |configuration| {
                configuration.string("lightning-dir", settings.network_dir.display());
                configuration.string("rpc-file", settings.rpc_file.display());
                configuration.bare("startup", occasion == Occasion::Startup);
                configuration.string("network", &settings.network);
                configuration.object("feature_set", |set| write_features(set, features.as_bytes()));
            });
        })
    }

    /// Kills a plugin that did not answer one of the first two questions as it must.
    fn refuse_answer(&self, plugin: &Arc<Plugin>, question: &str, answer: &Answer) -> String {
        let why = match answer {
            Answer::TimedOut => format!("timed out before replying to {question}"),
            Answer::Gone => format!("exited before replying to {question}"),
            Answer::Full => format!("does not read {question}"),
            Answer::Error(text) | Answer::Result(text) => format!("Invalid/missing result tok in '{text}'"),
            Answer::Neither => "Invalid/missing result tok".to_owned(),
        };
        let level = if *answer == Answer::Gone { Level::Info } else { Level::Unusual };
        self.refuse(plugin, level, why)
    }

    /// Kills a plugin; if it has ended by itself, that is the reason.
    fn refuse(&self, plugin: &Arc<Plugin>, level: Level, why: String) -> String {
        self.kill(plugin, level, &why);
        plugin.end.get().cloned().unwrap_or(why)
    }
}

/// The bits of our `init` stand in `init` and, as the node's own, in `node`; nothing here has any of the other kinds.
fn write_features(set: &mut ObjectWriter<'_>, bits: &[u8]) {
    for place in FEATURE_PLACES {
        set.hex(place, if matches!(place, "init" | "node") { bits } else { &[] });
    }
}
