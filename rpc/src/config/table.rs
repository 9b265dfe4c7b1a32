//! Every option that there is, the daemon's own and those of running plugins, with what they are set to and by whom.
//!
//! Settings come first: whoever starts the daemon may give options of plugins that nobody knows yet. They are kept as they
//! were written; a plugin that registers its options finds them, and what no plugin has claimed when all of them are up is
//! a mistake ([`OptionTable::refuse_unknown`]). When a plugin goes, its options go; its settings stay for its next start.
//!
//! Later settings override earlier ones, so whoever collects them puts files before the command line.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::option::{Change, OptionKind, OptionSpec, OptionValue, Standing, Times, ValueError};
use super::saved::{SaveError, SavedSettings};
use super::setting::{Setting, Source};
use crate::json_writer::{ObjectWriter, object};

#[cfg(test)]
mod tests;

/// All options of a daemon.
#[derive(Debug, Default)]
pub struct OptionTable {
    state: Mutex<State>,
    /// Where changes are saved.
    saved: Option<SavedSettings>,
    /// Held while one is.
    saving: Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    entries: Vec<Entry>,
    settings: Vec<Setting>,
    policy: Policy,
}

#[derive(Debug)]
struct Entry {
    spec: OptionSpec,
    owner: Owner,
}

/// Whose option it is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Owner {
    Daemon,
    /// A plugin, by its path.
    Plugin(String),
}

/// Which options the user wants to be refused.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// `--developer`.
    pub developer: bool,
    /// `--allow-deprecated-apis=false`.
    pub refuse_deprecated: bool,
}

/// Why a plugin's options are not taken. None of them is then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// The name has other characters than these.
    #[error("Option \"name\" must be lowercase alphanumeric, plus _ or -, and \"{0}\" is not")]
    BadName(String),
    /// The daemon or another plugin has an option of this name.
    #[error("option name '{0}' is already taken")]
    Taken(String),
    /// Flags and booleans are given once.
    #[error("option '{name}': {kind} type cannot be multi")]
    NotMulti {
        /// The option's name.
        name: String,
        /// Its type, as the plugin calls it.
        kind: &'static str,
    },
    /// The default is not of the option's type.
    #[error("option '{name}': Invalid default '{default}': {error}")]
    BadDefault {
        /// The option's name.
        name: String,
        /// The default.
        default: String,
        /// What is wrong with it.
        error: ValueError,
    },
    /// What the user gave is not of the option's type.
    #[error(transparent)]
    BadSetting(#[from] SettingError),
}

/// A setting that cannot be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingError {
    /// Nobody has an option of this name. Its value may be a plugin's secret and is not shown.
    #[error("{}: unknown option: `oddwired --help` lists the daemon's own, and an option of a plugin needs that plugin", place(&.0.without_value()))]
    Unknown(Box<Setting>),
    /// Its value.
    #[error("{}: {error}", place(setting))]
    BadValue {
        /// The setting.
        setting: Box<Setting>,
        /// What is wrong with it.
        error: ValueError,
    },
}

/// Why an option cannot be changed now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// There is no such option.
    #[error("{}", self.problem())]
    Unknown,
    /// Not while the daemon runs.
    #[error("{}", self.problem())]
    NotDynamic,
}

/// How long a change is meant to last.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Lasting {
    /// While the daemon runs.
    UntilRestart,
    /// It is in a configuration file.
    Saved,
}

/// An option that can be changed while the daemon runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dynamic {
    /// Its description.
    pub spec: OptionSpec,
    /// The plugin it belongs to, by its path.
    pub plugin: String,
}

impl ChangeError {
    /// As the text of a bad parameter.
    pub(crate) fn problem(&self) -> &'static str {
        match self {
            ChangeError::Unknown => "Unknown config option",
            ChangeError::NotDynamic => "Not a dynamic config option",
        }
    }
}

impl OptionTable {
    /// A table of the daemon's own options and of everything that was given.
    pub fn new(own: Vec<OptionSpec>, settings: Vec<Setting>, policy: Policy) -> OptionTable {
        let entries = own.into_iter().map(|spec| Entry { spec, owner: Owner::Daemon }).collect();
        OptionTable {
            state: Mutex::new(State { entries, settings, policy }),
            saved: None,
            saving: Mutex::default(),
        }
    }

    /// Has changes that are to last saved there.
    #[must_use]
    pub fn saved_in(mut self, saved: SavedSettings) -> OptionTable {
        self.saved = Some(saved);
        self
    }

    /// Adds the options of a plugin; `start` is what `plugin start` was given for them. All of them or none.
    ///
    /// # Errors
    /// A description that cannot be right, or a value that was given and does not fit it.
    pub fn register(
        &self,
        plugin: &str,
        specs: Vec<OptionSpec>,
        start: Vec<(String, Option<String>)>,
    ) -> Result<(), RegisterError> {
        let mut state = self.lock();
        let start =
            start.into_iter().map(|(name, value)| Setting { name, value, source: Source::PluginStart });
        let start: Vec<Setting> = start.collect();
        if let Some(stray) = start.iter().find(|given| specs.iter().all(|spec| spec.name != given.name)) {
            return Err(SettingError::Unknown(Box::new(stray.clone())).into());
        }
        for (place, spec) in specs.iter().enumerate() {
            let earlier = specs.get(..place).unwrap_or_default();
            state.judge(spec, earlier)?;
            for setting in state.settings.iter().chain(&start).filter(|setting| setting.name == spec.name) {
                judge_setting(spec, setting, state.policy)?;
            }
        }
        let owner = Owner::Plugin(plugin.to_owned());
        state.entries.extend(specs.into_iter().map(|spec| Entry { spec, owner: owner.clone() }));
        state.settings.extend(start);
        Ok(())
    }

    /// Takes back a plugin's options, with what `plugin start` said of them.
    pub fn unregister(&self, plugin: &str) {
        let mut state = self.lock();
        let (gone, kept): (Vec<Entry>, Vec<Entry>) = std::mem::take(&mut state.entries)
            .into_iter()
            .partition(|entry| matches!(&entry.owner, Owner::Plugin(owner) if owner == plugin));
        state.entries = kept;
        let is_gone = |setting: &Setting| gone.iter().any(|entry| entry.spec.name == setting.name);
        state.settings.retain(|setting| setting.source != Source::PluginStart || !is_gone(setting));
    }

    /// What a plugin is told of its options: those that are set or have a default.
    pub fn values_for(&self, plugin: &str) -> Vec<(String, OptionValue)> {
        let state = self.lock();
        let own = state.entries.iter().filter(|entry| entry.owner == Owner::Plugin(plugin.to_owned()));
        own.filter_map(|entry| Some((entry.spec.name.clone(), state.value(&entry.spec)?))).collect()
    }

    /// Looks for a setting that nothing is known about. To be asked when all plugins have registered.
    ///
    /// # Errors
    /// The first one.
    pub fn refuse_unknown(&self) -> Result<(), SettingError> {
        let state = self.lock();
        match state.settings.iter().find(|setting| state.find(&setting.name).is_none()) {
            Some(unknown) => Err(SettingError::Unknown(Box::new(unknown.clone()))),
            None => Ok(()),
        }
    }

    /// Notes what counts if one of the daemon's own options is not given, where that depends on the node's key.
    pub(crate) fn set_default(&self, name: &str, value: &str) {
        let mut state = self.lock();
        let own =
            state.entries.iter_mut().find(|entry| entry.owner == Owner::Daemon && entry.spec.name == name);
        if let Some(entry) = own {
            entry.spec.default = Some(value.to_owned());
        }
    }

    /// The options of Core Lightning that were given and mean nothing here.
    pub fn without_meaning(&self) -> Vec<String> {
        let state = self.lock();
        let given = state.entries.iter().filter(|entry| {
            let is_meant = matches!(entry.spec.standing, Standing::WithoutMeaning | Standing::Developer);
            is_meant && entry.owner == Owner::Daemon && state.in_force(&entry.spec).next().is_some()
        });
        given.map(|entry| entry.spec.name.clone()).collect()
    }

    /// Looks at the settings of the daemon's own options.
    ///
    /// # Errors
    /// The first one that is wrong.
    pub(super) fn judge_own(&self) -> Result<(), SettingError> {
        let state = self.lock();
        let own = |setting: &Setting| state.find(&setting.name).map(|entry| &entry.spec);
        let mut judged = state.settings.iter().filter_map(|setting| Some((own(setting)?, setting)));
        judged.try_for_each(|(spec, setting)| judge_setting(spec, setting, state.policy))
    }

    /// Whether there is an option of this name.
    pub fn knows(&self, name: &str) -> bool {
        self.lock().find(name).is_some()
    }

    /// The answer of `listconfigs`: all options, or the one of this name.
    pub fn listing(&self, only: Option<&str>) -> String {
        let state = self.lock();
        object(|result| {
            result.object("configs", |configs| {
                for entry in
                    state.entries.iter().filter(|entry| only.is_none_or(|name| entry.spec.name == name))
                {
                    if state.is_listed(entry, only.is_some()) {
                        configs.object(&entry.spec.name, |config| state.describe(entry, config));
                    }
                }
            });
        })
    }

    /// The answer of `setconfig`: one option as it is now.
    pub fn listing_of_change(&self, name: &str) -> String {
        let state = self.lock();
        object(|result| {
            result.object("config", |config| {
                config.string("config", name);
                if let Some(entry) = state.find(name) {
                    state.describe(entry, config);
                }
            });
        })
    }

    /// The option of this name, if it can be changed while the daemon runs.
    ///
    /// # Errors
    /// There is none, or it cannot.
    pub fn dynamic(&self, name: &str) -> Result<Dynamic, ChangeError> {
        let state = self.lock();
        let entry = state.find(name).ok_or(ChangeError::Unknown)?;
        match &entry.owner {
            Owner::Plugin(plugin) if entry.spec.change == Change::AtAnyTime => {
                Ok(Dynamic { spec: entry.spec.clone(), plugin: plugin.clone() })
            }

            // None of the daemon's own can be changed.
            _ => Err(ChangeError::NotDynamic),
        }
    }

    /// Changes an option to these values, and saves them if they are to last. Blocks; one change at a time.
    ///
    /// # Errors
    /// They cannot be saved. They count all the same, until the daemon ends.
    pub fn change(&self, name: &str, values: Vec<Option<String>>, lasting: Lasting) -> Result<(), SaveError> {
        let _one_at_a_time = self.saving.lock().unwrap_or_else(PoisonError::into_inner);
        let saved = match (lasting, &self.saved) {
            (Lasting::Saved, Some(files)) => {
                let before: Vec<Setting> = {
                    let state = self.lock();
                    state.settings.iter().filter(|setting| setting.name == name).cloned().collect()
                };
                if before.iter().any(|setting| setting.source == Source::CommandLine) {
                    tracing::warn!(
                        source = "lightningd",
                        "setconfig: {name} is given on the command line too, which counts at the next start: take it out there"
                    );
                }
                files.save(name, &before, &values)
            }
            (Lasting::Saved, None) | (Lasting::UntilRestart, _) => {
                self.replace(name, transient(name, values), Lasting::UntilRestart);
                return Ok(());
            }
        };
        match saved {
            Ok(settings) => {
                self.replace(name, settings, Lasting::Saved);
                Ok(())
            }
            Err(error) => {
                self.replace(name, transient(name, values), Lasting::UntilRestart);
                Err(error)
            }
        }
    }

    /// `settings` are what counts from now on. What was set for the time being is forgotten; what is to last also takes the
    /// place of what was given before.
    fn replace(&self, name: &str, settings: Vec<Setting>, lasting: Lasting) {
        let is_secret = self.lock().find(name).is_some_and(|entry| entry.spec.kind == OptionKind::Secret);
        for setting in &settings {
            let value = match &setting.value {
                None => "SET",
                Some(_) if is_secret => "...",
                Some(value) => value,
            };
            tracing::info!(source = "lightningd", "setconfig: {name} {value} (updated {})", setting.source);
        }
        let mut state = self.lock();
        state.settings.retain(|setting| {
            let is_kept = lasting == Lasting::UntilRestart && setting.source != Source::Transient;
            setting.name != name || is_kept
        });
        state.settings.extend(settings);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn find(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.spec.name == name)
    }

    fn judge(&self, spec: &OptionSpec, earlier: &[OptionSpec]) -> Result<(), RegisterError> {
        let name = &spec.name;
        let is_plain = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'z' | b'_' | b'-');
        if name.is_empty() || !name.bytes().all(is_plain) {
            return Err(RegisterError::BadName(name.clone()));
        }
        if self.find(name).is_some() || earlier.iter().any(|other| other.name == *name) {
            return Err(RegisterError::Taken(name.clone()));
        }
        match (spec.kind, spec.times) {
            (OptionKind::Flag, Times::Many) => {
                return Err(RegisterError::NotMulti { name: name.clone(), kind: "flag" });
            }
            (OptionKind::Bool, Times::Many) => {
                return Err(RegisterError::NotMulti { name: name.clone(), kind: "bool" });
            }
            _ => {}
        }
        if let Some(default) = &spec.default {
            spec.kind.read(Some(default)).map_err(|error| RegisterError::BadDefault {
                name: name.clone(),
                default: default.clone(),
                error,
            })?;
        }
        Ok(())
    }

    /// The settings that count: all of an option that may be given more than once, else the last. What `setconfig` set for
    /// the time being counts alone.
    fn in_force(&self, spec: &OptionSpec) -> impl Iterator<Item = &Setting> {
        let all = || self.settings.iter().filter(|setting| setting.name == spec.name);
        let has_transient = all().any(|setting| setting.source == Source::Transient);
        let last = all().count().saturating_sub(1);
        let first = if spec.times == Times::Once { last } else { 0 };
        all().skip(first).filter(move |setting| !has_transient || setting.source == Source::Transient)
    }

    /// Its value, or its default. `None` if it has neither, or if what was given is not of its kind.
    fn value(&self, spec: &OptionSpec) -> Option<OptionValue> {
        let read = |setting: &Setting| spec.kind.read(setting.value.as_deref()).ok();
        let mut given: Vec<OptionValue> = self.in_force(spec).filter_map(read).collect();
        if given.is_empty() {
            given.extend(spec.default.as_deref().and_then(|default| spec.kind.read(Some(default)).ok()));
        }
        match spec.times {
            Times::Once => given.pop(),
            Times::Many if given.is_empty() => None,
            Times::Many => Some(OptionValue::Many(given)),
        }
    }

    fn is_listed(&self, entry: &Entry, was_asked_for: bool) -> bool {
        let spec = &entry.spec;
        let is_given = || self.in_force(spec).next().is_some();
        match spec.kind {
            _ if spec.standing != Standing::Current && !was_asked_for => is_given(),
            OptionKind::Flag => true,
            _ => spec.times == Times::Many || is_given() || spec.default.is_some(),
        }
    }

    fn describe(&self, entry: &Entry, config: &mut ObjectWriter<'_>) {
        let spec = &entry.spec;
        let field = spec.kind.field(spec.times);
        let given: Vec<&Setting> = self.in_force(spec).collect();
        let shown = |value: OptionValue| match (spec.kind, value) {
            (OptionKind::Secret, OptionValue::Text(_)) => OptionValue::Text("...".to_owned()),
            (_, value) => value,
        };
        let source = given.last().map_or_else(|| "default".to_owned(), |setting| setting.source.to_string());
        match spec.times {
            Times::Many => {
                let read = |setting: &&Setting| spec.kind.read(setting.value.as_deref()).ok();
                let values = given.iter().filter_map(read).map(shown).collect();
                config.bare(field, OptionValue::Many(values));
                config.array("sources", |sources| {
                    for setting in given {
                        sources.string(&setting.source);
                    }
                });
            }
            Times::Once => {
                if spec.kind == OptionKind::Flag {
                    config.bare(field, !given.is_empty());
                } else if let Some(value) = self.value(spec) {
                    config.bare(field, shown(value));
                }
                config.string("source", source);
            }
        }
        if let Owner::Plugin(plugin) = &entry.owner {
            config.string("plugin", plugin);
        }
        if spec.change == Change::AtAnyTime {
            config.bare("dynamic", true);
        }
    }
}

/// Whether what was given fits the option, and whether it may be given at all.
fn judge_setting(spec: &OptionSpec, setting: &Setting, policy: Policy) -> Result<(), SettingError> {
    let error = match spec.standing {
        Standing::Developer | Standing::Testing if !policy.developer => ValueError::NeedsDeveloper,
        Standing::Deprecated if policy.refuse_deprecated => ValueError::Deprecated,
        _ => match spec.kind.read(setting.value.as_deref()) {
            Ok(_) => return Ok(()),
            Err(error) => error,
        },
    };
    let setting = if spec.kind == OptionKind::Secret { &setting.without_value() } else { setting };
    Err(SettingError::BadValue { setting: Box::new(setting.clone()), error })
}

fn transient(name: &str, values: Vec<Option<String>>) -> Vec<Setting> {
    let setting = |value| Setting { name: name.to_owned(), value, source: Source::Transient };
    values.into_iter().map(setting).collect()
}

/// The setting with the place where it was given, as Core Lightning says it.
pub(super) fn place(setting: &Setting) -> String {
    match &setting.source {
        Source::File { path, line, .. } => format!("Config file {} line {line}: {setting}", path.display()),
        _ => format!("--{setting}"),
    }
}
