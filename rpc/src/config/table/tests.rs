//! Options of plugins in the table: registering, reading, changing, going.

use core::fmt;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};
use tracing::field::Field;
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt as _};

use super::*;
use crate::config::setting::FileRole;

const PLUGIN: &str = "/plugins/a.py";

fn spec(name: &str, kind: OptionKind) -> OptionSpec {
    OptionSpec {
        name: name.to_owned(),
        kind,
        times: Times::Once,
        change: Change::AtStart,
        standing: Standing::Current,
        help: String::new(),
        default: None,
    }
}

fn given(name: &str, value: &str) -> Setting {
    Setting { name: name.to_owned(), value: Some(value.to_owned()), source: Source::CommandLine }
}

fn table(settings: Vec<Setting>) -> OptionTable {
    OptionTable::new(vec![spec("alias", OptionKind::Text)], settings, Policy::default())
}

fn register(table: &OptionTable, spec: OptionSpec) -> Result<(), RegisterError> {
    table.register(PLUGIN, vec![spec], Vec::new())
}

fn listed(table: &OptionTable, name: &str) -> Value {
    serde_json::from_str::<Value>(&table.listing(Some(name))).unwrap()["configs"][name].clone()
}

#[test]
fn a_plugin_finds_what_was_given_before_it_ran() {
    let flag = Setting { name: "loud".to_owned(), value: None, source: Source::CommandLine };
    let table = table(vec![given("size", "7"), given("word", "a"), given("word", "b"), flag]);
    assert!(table.refuse_unknown().is_err());
    let many = OptionSpec { times: Times::Many, ..spec("word", OptionKind::Text) };
    let defaulted = OptionSpec { default: Some("yes".to_owned()), ..spec("kind", OptionKind::Bool) };
    let specs = vec![
        spec("size", OptionKind::Int),
        many,
        defaulted,
        spec("loud", OptionKind::Flag),
        spec("unset", OptionKind::Text),
    ];
    table.register(PLUGIN, specs, Vec::new()).unwrap();
    table.refuse_unknown().unwrap();
    let values: Vec<String> =
        table.values_for(PLUGIN).iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(values, ["size=7", r#"word=["a","b"]"#, "kind=true", "loud=true"]);
    assert_eq!(listed(&table, "size"), json!({"value_int": 7, "source": "cmdline", "plugin": PLUGIN}));
    assert_eq!(listed(&table, "loud"), json!({"set": true, "source": "cmdline", "plugin": PLUGIN}));
    assert_eq!(
        listed(&table, "word"),
        json!({"values_str": ["a", "b"], "sources": ["cmdline", "cmdline"], "plugin": PLUGIN})
    );
    assert_eq!(listed(&table, "kind"), json!({"value_bool": true, "source": "default", "plugin": PLUGIN}));
    assert_eq!(listed(&table, "unset"), Value::Null);
}

#[test]
fn options_go_with_their_plugin_and_come_back_with_it() {
    let table = table(vec![given("size", "7")]);
    let start = || vec![("word".to_owned(), Some("x".to_owned()))];
    let specs = || vec![spec("size", OptionKind::Int), spec("word", OptionKind::Text)];
    table.register(PLUGIN, specs(), start()).unwrap();
    assert_eq!(listed(&table, "word")["source"], "pluginstart");
    table.unregister(PLUGIN);
    assert!(!table.knows("size") && table.knows("alias"));
    table.register(PLUGIN, specs(), Vec::new()).unwrap();
    assert_eq!(table.values_for(PLUGIN), [("size".to_owned(), OptionValue::Int(7))]);
}

#[test]
fn options_that_cannot_be_right_are_refused_and_none_of_them_is_taken() {
    let wrong: [(OptionSpec, &str); 6] = [
        (spec("Size", OptionKind::Int), "lowercase"),
        (spec("", OptionKind::Int), "lowercase"),
        (spec("alias", OptionKind::Int), "already taken"),
        (spec("first", OptionKind::Int), "already taken"),
        (OptionSpec { times: Times::Many, ..spec("a", OptionKind::Flag) }, "flag type cannot be multi"),
        (OptionSpec { default: Some("x".to_owned()), ..spec("a", OptionKind::Int) }, "Invalid default 'x'"),
    ];
    for (wrong, word) in wrong {
        let table = table(Vec::new());
        let error = table.register(PLUGIN, vec![spec("first", OptionKind::Flag), wrong], Vec::new());
        assert!(error.clone().unwrap_err().to_string().contains(word), "{error:?}");
        assert!(!table.knows("first"));
    }
}

#[test]
fn a_value_that_does_not_fit_is_told_where_it_stands() {
    let role = FileRole::Global;
    let source = Source::File { path: PathBuf::from("/d/config"), line: 3, role };
    let table = table(vec![Setting { name: "size".to_owned(), value: Some("big".to_owned()), source }]);
    let error = register(&table, spec("size", OptionKind::Int)).unwrap_err().to_string();
    assert_eq!(error, "Config file /d/config line 3: size=big: 'big' is not a number of 64 bits");
    let stray = table.register(PLUGIN, Vec::new(), vec![("stray".to_owned(), Some("secret".to_owned()))]);
    assert!(stray.unwrap_err().to_string().starts_with("--stray: unknown option"));
}

#[test]
fn deprecated_options_are_refused_if_the_user_wants_it() {
    let policy = Policy { refuse_deprecated: true, developer: false };
    let table = OptionTable::new(Vec::new(), vec![given("old", "1")], policy);
    let old = OptionSpec { standing: Standing::Deprecated, ..spec("old", OptionKind::Int) };
    assert!(register(&table, old.clone()).unwrap_err().to_string().contains("deprecated option"));
    let secret = OptionSpec { kind: OptionKind::Secret, ..old };
    let error = register(&table, secret).unwrap_err().to_string();
    assert_eq!(error, "--old: deprecated option (will be removed!)", "its value is not shown");
}

#[test]
fn a_change_counts_and_a_transient_one_gives_way_to_a_saved_one() {
    let directory = tempfile::tempdir().unwrap();
    let table =
        table(vec![given("size", "1")]).saved_in(SavedSettings::beside(directory.path().join("config")));
    let dynamic = OptionSpec { change: Change::AtAnyTime, ..spec("size", OptionKind::Int) };
    register(&table, dynamic).unwrap();
    assert_eq!(table.dynamic("alias"), Err(ChangeError::NotDynamic));
    assert_eq!(table.dynamic("nothing"), Err(ChangeError::Unknown));
    assert_eq!(table.dynamic("size").unwrap().plugin, PLUGIN);

    let value = |text: &str| vec![Some(text.to_owned())];
    table.change("size", value("2"), Lasting::UntilRestart).unwrap();
    let shown = json!({"value_int": 2, "source": "setconfig transient", "plugin": PLUGIN, "dynamic": true});
    assert_eq!(listed(&table, "size"), shown);

    table.change("size", value("3"), Lasting::Saved).unwrap();
    let file = directory.path().join("config.setconfig");
    let change: Value = serde_json::from_str(&table.listing_of_change("size")).unwrap();
    let shown = json!({"config": {
        "config": "size", "value_int": 3, "source": format!("{}:2", file.display()), "plugin": PLUGIN, "dynamic": true
    }});
    assert_eq!(change, shown);
}

/// What is logged while `work` runs.
fn logged(work: impl FnOnce()) -> String {
    struct Collected(Arc<Mutex<String>>);
    impl<S: Subscriber> Layer<S> for Collected {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            event.record(&mut |_: &Field, value: &dyn fmt::Debug| {
                writeln!(self.0.lock().unwrap(), "{value:?}").unwrap();
            });
        }
    }
    let lines = Arc::new(Mutex::new(String::new()));
    let subscriber = tracing_subscriber::registry().with(Collected(Arc::clone(&lines)));
    tracing::subscriber::with_default(subscriber, work);
    lines.lock().unwrap().clone()
}

#[test]
fn a_concealed_value_is_told_to_nobody_but_its_plugin() {
    let table = table(vec![given("password", "sesame")]);
    let dynamic = OptionSpec { change: Change::AtAnyTime, ..spec("password", OptionKind::Secret) };
    register(&table, dynamic).unwrap();
    assert_eq!(listed(&table, "password")["value_str"], "...");
    assert_eq!(table.values_for(PLUGIN), [("password".to_owned(), OptionValue::Text("sesame".to_owned()))]);
    assert!(!format!("{table:?}").contains("sesame"));
    let log = logged(|| {
        table.change("password", vec![Some("open".to_owned())], Lasting::UntilRestart).unwrap();
    });
    assert!(log.contains("setconfig: password ... (updated setconfig transient)"), "{log}");
    assert!(!table.listing_of_change("password").contains("open"));
}

#[test]
fn what_the_command_line_will_override_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let saved = SavedSettings::beside(directory.path().join("config"));
    let table = table(vec![given("size", "1")]).saved_in(saved);
    register(&table, OptionSpec { change: Change::AtAnyTime, ..spec("size", OptionKind::Int) }).unwrap();
    let change = || table.change("size", vec![Some("2".to_owned())], Lasting::Saved).unwrap();
    let log = logged(change);
    assert!(log.contains("setconfig: size is given on the command line too"), "{log}");
}
