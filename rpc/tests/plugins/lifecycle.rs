//! How plugins are found, started, listed and stopped, with which words each step fails, and what they are told.

use std::io::Write;
use std::process::Command;

use serde_json::json;

use crate::fixture::{Home, Plugins, option, refusal};
use crate::running::{oddwire_cli, oddwired, text};

#[test]
fn a_plugin_comes_and_goes_with_the_daemon() {
    let plugins = Plugins::new();
    let manifest = json!({
        "options": [
            {"name": "greeting", "type": "string", "description": "What to say", "default": "hello"},
            {"name": "often", "type": "int", "description": "How often"},
            {"name": "loud", "type": "flag", "description": "Loudly"},
        ],
        "subscriptions": ["shutdown"], "dynamic": false, "featurebits": {"init": "0200000000000000000000000000"},
    });
    let path = plugins.add("greeter", &manifest, &json!({}));
    let home = Home::start(&[&option("plugin", &path), "--often=3", "--loud"]);
    let list = home.call(&["plugin", "list"]);
    let listed = json!({"name": path.to_str().unwrap(), "active": true, "dynamic": false});
    assert_eq!(list, json!({"command": "list", "plugins": [listed]}));
    let configs = home.call(&["listconfigs", "greeting"]);
    let greeting = json!({"value_str": "hello", "source": "default", "plugin": path.to_str().unwrap()});
    assert_eq!(configs["configs"]["greeting"], greeting);

    let refused = refusal(&home.daemon, &["plugin", "stop", "greeter"]);
    assert_eq!(refused, (-32602, "greeter cannot be managed when lightningd is up".to_owned()));
    // What it was told: the options as they were given, and its feature bit in our `init`.
    let other = Home::start(&[]);
    home.daemon.connect(&other.daemon);
    let peers = other.call(&["listpeers"]);
    let features = peers["peers"][0]["features"].as_str().unwrap();
    assert!(features.starts_with("02") && features.len() == 28, "{features}");

    home.daemon.process.signal("TERM");
    let (status, lines) = home.end();
    assert_eq!(status.code(), Some(0));
    assert!(lines.iter().any(|line| line.ends_with("plugin-greeter: leaving")), "{lines:#?}");
}

#[test]
fn init_tells_how_the_daemon_is_set_up() {
    let plugins = Plugins::new();
    let manifest = json!({"options": [
        {"name": "number", "type": "int", "description": "", "default": 7},
        {"name": "many", "type": "string", "description": "", "multi": true},
        {"name": "unset", "type": "string", "description": ""},
    ]});
    let path = plugins.add("told", &manifest, &json!({}));
    let (home, lines) =
        Home::start_seeing(&[&option("plugin", &path), "--many=a", "--many=b"], "plugin-told: init: ");
    let told: serde_json::Value = serde_json::from_str(lines.split("init: ").nth(1).unwrap()).unwrap();
    assert_eq!(told["options"], json!({"number": 7, "many": ["a", "b"]}));
    let configuration = &told["configuration"];
    assert_eq!(configuration["lightning-dir"], home.daemon.dir.join("regtest").to_str().unwrap());
    assert_eq!(
        (&configuration["rpc-file"], &configuration["network"]),
        (&json!("lightning-rpc"), &json!("regtest"))
    );
    assert_eq!(configuration["startup"], true);
    let places = configuration["feature_set"].as_object().unwrap();
    let names: Vec<_> = places.keys().map(String::as_str).collect();
    let expected = [
        "bolt12_invoice",
        "bolt12_invreq",
        "bolt12_offer",
        "channel",
        "channel_type",
        "init",
        "invoice",
        "node",
    ];
    assert_eq!(names, expected);
}

#[test]
fn plugins_are_started_and_stopped_later() {
    let plugins = Plugins::new();
    let watcher = plugins.add(
        "watcher",
        &json!({"subscriptions": ["plugin_started", "plugin_stopped"]}),
        &json!({"plugin_started": "log", "plugin_stopped": "log"}),
    );
    let late = plugins.add(
        "late",
        &json!({"options": [{"name": "word", "type": "string", "description": ""}],
            "rpcmethods": [{"name": "late-method", "usage": "", "description": ""}]}),
        &json!({"late-method": "params"}),
    );
    let home = Home::start(&[]);
    home.start_plugin(&watcher);
    let path = late.display().to_string();
    let started = home.call(&["-k", "plugin", "subcommand=start", &format!("plugin={path}"), "word=x"]);
    assert_eq!(started["plugins"][1], json!({"name": path, "active": true, "dynamic": true}));
    home.line(&format!(
        r#"plugin-watcher: told plugin_started: {{"plugin_started":{{"methods":["late-method"],"plugin_name":"late","plugin_path":"{path}"}}}}"#
    ));
    let word = home.call(&["listconfigs", "word"]);
    assert_eq!(word["configs"]["word"]["source"], "pluginstart");
    assert_eq!(
        refusal(&home.daemon, &["plugin", "start", &path]),
        (-32602, format!("{path}: already registered"))
    );

    let stopped = home.call(&["plugin", "stop", "late"]);
    assert_eq!(stopped, json!({"command": "stop", "result": "Successfully stopped late."}));
    home.line("plugin-late: Killing plugin: stopped by lightningd via RPC");
    home.line("plugin-watcher: told plugin_stopped:");
    assert_eq!(refusal(&home.daemon, &["late-method"]).0, -32601);
    assert_eq!(refusal(&home.daemon, &["listconfigs", "word"]).0, -32602);
    let refused = refusal(&home.daemon, &["plugin", "stop", "late"]);
    assert_eq!(refused, (-32602, "Could not find plugin late".to_owned()));
    // Everything of it is free again.
    home.start_plugin(&late);
}

#[test]
fn directories_are_searched() {
    let (plugins, more) = (Plugins::new(), Plugins::new());
    plugins.add("a", &json!({"dynamic": false}), &json!({}));
    plugins.add("b", &json!({}), &json!({}));
    let refused = plugins.add("c", &json!({}), &json!({}));
    more.add("d", &json!({}), &json!({}));
    let home = Home::start(&[&option("plugin-dir", plugins.path()), "--disable-plugin=c"]);
    let names = |answer: &serde_json::Value| -> Vec<String> {
        let plugins = answer["plugins"].as_array().unwrap().iter();
        plugins.map(|one| one["name"].as_str().unwrap().rsplit('/').next().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&home.call(&["plugin", "list"])), ["a", "b"]);
    assert!(refused.exists());
    assert_eq!(names(&home.call(&["plugin", "startdir", more.path().to_str().unwrap()])), ["a", "b", "d"]);
    let nowhere = refusal(&home.daemon, &["plugin", "startdir", "/nowhere/at/all"]);
    assert_eq!(nowhere, (-32602, "Could not open /nowhere/at/all".to_owned()));

    // `plugins` in the lightning directory, one level down as well.
    let below = home.daemon.dir.join("plugins/set");
    std::fs::create_dir_all(&below).unwrap();
    for name in ["e", "e.json"] {
        std::fs::copy(more.path().join(name.replace('e', "d").replace("jdon", "json")), below.join(name))
            .ok();
    }
    std::fs::copy(more.path().join("d"), below.join("e")).unwrap();
    std::fs::copy(more.path().join("d.json"), below.join("e.json")).unwrap();
    assert_eq!(names(&home.call(&["plugin", "rescan"])), ["a", "b", "d", "e"]);
}

#[test]
fn what_cannot_be_started_is_refused_with_the_reason() {
    let plugins = Plugins::new();
    let home = Home::start(&[]);
    let start = |path: &std::path::Path| refusal(&home.daemon, &["plugin", "start", path.to_str().unwrap()]);
    let named = |path: &std::path::Path, why: &str| (-3, format!("{}: {why}", path.display()));

    let path = plugins.add("static", &json!({"dynamic": false}), &json!({}));
    assert_eq!(start(&path), named(&path, "Not a dynamic plugin"));
    let path = plugins.add("dies", &json!({}), &json!({"getmanifest": "exit"}));
    assert_eq!(start(&path), named(&path, "exited before replying to getmanifest"));
    let path = plugins.add("dies-later", &json!({}), &json!({"init": "exit"}));
    assert_eq!(start(&path), named(&path, "exited before replying to init"));
    let path = plugins.add("unwilling", &json!({"disable": "no mood"}), &json!({}));
    assert_eq!(start(&path), named(&path, "disabled itself: no mood"));
    let path = plugins.add("unwilling-later", &json!({}), &json!({"init": {"disable": "no mood now"}}));
    assert_eq!(start(&path), named(&path, "disabled itself at init: no mood now"));
    let path = plugins.add("thief", &json!({"rpcmethods": [{"name": "getinfo", "usage": ""}]}), &json!({}));
    let taken = "Could not register method \"getinfo\", a method with that name is already registered by plugin lightningd";
    assert_eq!(start(&path), named(&path, taken));
    let option_twice = json!({"options": [{"name": "alias", "type": "string", "description": ""}]});
    let path = plugins.add("option-thief", &option_twice, &json!({}));
    assert_eq!(start(&path), named(&path, "option name 'alias' is already taken"));
    let path = plugins.add_script("wrong", &json!({"on": {"getmanifest": {"rpcmethods": []}}}));
    assert_eq!(start(&path), named(&path, "\"result.options\" was not found in the manifest"));
    let path = plugins.add_script("refuses", &json!({"on": {"getmanifest": "error"}}));
    assert!(start(&path).1.contains("Invalid/missing result tok in '"));
    let path =
        plugins.add("circle", &json!({"hooks": [{"name": "custommsg", "before": ["circle"]}]}), &json!({}));
    assert_eq!(start(&path), named(&path, "Cannot meet required hook dependencies"));

    let unknown = plugins.add("picky", &json!({}), &json!({}));
    let with_option = refusal(
        &home.daemon,
        &["-k", "plugin", "subcommand=start", &format!("plugin={}", unknown.display()), "foo=bar"],
    );
    assert!(with_option.0 == -3 && with_option.1.contains("foo"), "{with_option:?}");
    let refused = refusal(&home.daemon, &["plugin", "start", "/nowhere/plugin"]);
    assert_eq!(
        refused,
        (-32602, "/nowhere/plugin is not executable: No such file or directory (os error 2)".to_owned())
    );
    // Opening it to see what it is would wait for ever.
    let pipe = plugins.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let refused = start(&pipe);
    assert!(
        refused.1.contains("Permission denied") || refused.1.contains("is not executable"),
        "{refused:?}"
    );
    let refused = refusal(&home.daemon, &["plugin", "dance"]);
    assert_eq!(refused, (-32602, "Unknown subcommand 'dance'".to_owned()));
    assert_eq!(home.call(&["plugin", "list"])["plugins"], json!([]), "nothing stays of what failed");
}

#[test]
fn an_important_plugin_takes_the_daemon_with_it() {
    let plugins = Plugins::new();
    let manifest =
        json!({"rpcmethods": [{"name": "leave", "usage": "", "description": ""}], "dynamic": false});
    let path = plugins.add("important", &manifest, &json!({"leave": "exit"}));
    let home = Home::start(&[&option("important-plugin", &path)]);
    assert_eq!(
        refusal(&home.daemon, &["leave"]),
        (-4, "Plugin terminated before replying to RPC call.".to_owned())
    );
    let (status, lines) = home.end();
    assert_eq!(status.code(), Some(1));
    let all = lines.join("\n");
    assert!(all.contains("plugin-important: Killing plugin: exited during normal operation"), "{all}");
    assert!(all.contains("plugin-important: Plugin marked as important, shutting down lightningd!"), "{all}");
}

#[test]
fn an_important_plugin_is_started_again_where_that_is_wanted() {
    let plugins = Plugins::new();
    let manifest = json!({"rpcmethods": [{"name": "leave", "usage": ""}], "dynamic": true});
    let path = plugins.add("important", &manifest, &json!({"leave": "exit"}));
    let options = ["--restart-important-plugins", "--dev-plugin-patience=1500"];
    let home = Home::start(&[&option("important-plugin", &path), options[0], options[1]]);
    for (attempt, pause) in [(1, "1"), (2, "1.5")] {
        refusal(&home.daemon, &["leave"]);
        home.line("plugin-important: Killing plugin: exited during normal operation");
        home.line(&format!(
            "plugin-important: Plugin marked as important, is started again in {pause} s (attempt {attempt})"
        ));
        home.line("plugin-important: init: ");
        // The call after this one finds it.
        while home.call(&["plugin", "list"])["plugins"][0]["active"] != true {}
    }
    // Whoever stops it means it.
    home.call(&["plugin", "stop", "important"]);
    assert_eq!(home.call(&["plugin", "list"])["plugins"], json!([]));
    home.daemon.process.signal("TERM");
    let (status, lines) = home.end();
    assert_eq!(status.code(), Some(0));
    assert!(!lines.iter().any(|line| line.contains("is started again")), "{lines:#?}");
}

#[test]
fn a_plugin_that_has_changed_is_started_anew() {
    let plugins = Plugins::new();
    let path = plugins.add("plugin", &json!({}), &json!({}));
    let fixed = plugins.add("fixed", &json!({"dynamic": false}), &json!({}));
    let home = Home::start(&[&option("plugin", &path), &option("plugin", &fixed)]);
    let start = ["plugin", "start", path.to_str().unwrap()];
    assert_eq!(refusal(&home.daemon, &start).1, format!("{}: already registered", path.display()));
    for path in [&path, &fixed] {
        let mut program = std::fs::read(path).unwrap();
        program.extend_from_slice(b"# one line more\n");
        // A program that runs cannot be written to, but its place can be taken.
        std::fs::write(path.with_extension("new"), program).unwrap();
        std::fs::set_permissions(path.with_extension("new"), std::fs::metadata(path).unwrap().permissions())
            .unwrap();
        std::fs::rename(path.with_extension("new"), path).unwrap();
    }
    home.call(&start);
    home.line("plugin-plugin: Killing plugin: Plugin changed, needs restart.");
    home.line("plugin-plugin: init: ");
    refusal(&home.daemon, &start);
    refusal(&home.daemon, &["plugin", "start", fixed.to_str().unwrap()]);
    home.line("plugin-fixed: Plugin changed, but is not dynamic: the old one runs until the daemon ends");
    assert_eq!(home.call(&["plugin", "list"])["plugins"].as_array().unwrap().len(), 2);
}

#[test]
fn a_rescan_starts_what_is_new_or_has_changed_and_leaves_the_rest() {
    let home = Home::start(&[]);
    let plugins = Plugins::at(&home.daemon.dir.join("plugins"));
    let method = |name: &str| json!({"rpcmethods": [{"name": name, "usage": ""}]});
    plugins.add("stays", &json!({}), &json!({}));
    let changes = plugins.add("changes", &method("before"), &json!({}));
    assert_eq!(home.call(&["plugin", "rescan"])["plugins"].as_array().unwrap().len(), 2);
    home.call(&["before"]);
    // Its manifest is another now, and so is its program.
    plugins.add("changes", &method("after"), &json!({}));
    std::fs::OpenOptions::new().append(true).open(&changes).unwrap().write_all(b"# new\n").unwrap();
    plugins.add("new", &json!({}), &json!({}));
    assert_eq!(home.call(&["plugin", "rescan"])["plugins"].as_array().unwrap().len(), 3);
    home.line("plugin-changes: Killing plugin: Plugin changed, needs restart.");
    home.call(&["after"]);
    assert_eq!(refusal(&home.daemon, &["before"]).0, -32601);
    home.call(&["plugin", "rescan"]);
    home.daemon.process.signal("TERM");
    let (_, lines) = home.end();
    assert!(!lines.iter().any(|line| line.contains("needs restart")), "{lines:#?}");
}

#[test]
fn waits_for_plugins_have_an_end() {
    let plugins = Plugins::new();
    let home = Home::start(&["--dev-plugin-patience=1500"]);
    let stays = plugins.add("stays", &json!({"subscriptions": ["shutdown"]}), &json!({"shutdown": "hang"}));
    home.start_plugin(&stays);
    // Three waits at once: nobody waits for the others.
    std::thread::scope(|scope| {
        for question in ["getmanifest", "init"] {
            let path = plugins.add(&format!("silent-at-{question}"), &json!({}), &json!({question: "hang"}));
            let mut start = oddwire_cli(&home.daemon.dir);
            start.args(["plugin", "start"]).arg(&path);
            scope.spawn(move || {
                let answer = text(&start.output().unwrap().stdout);
                let words = format!("{}: timed out before replying to {question}", path.display());
                assert!(answer.contains(&words), "{answer}");
            });
        }
        home.call(&["plugin", "stop", "stays"]);
    });
    home.line("plugin-stays: Timeout on shutdown: killing anyway");
    home.start_plugin(&stays);
    home.daemon.process.signal("TERM");
    let (status, lines) = home.end();
    assert_eq!(status.code(), Some(0));
    let all = lines.join("\n");
    assert!(all.contains("stays: failed to self-terminate in time, killing."), "{all}");
}

#[test]
fn feature_bits_belong_to_one() {
    let plugins = Plugins::new();
    let manifest = json!({"featurebits": {"init": "0200000000000000000000000000"}, "dynamic": false});
    let [first, second] = ["first", "second"].map(|name| plugins.add(name, &manifest, &json!({})));
    // Whichever says it first has it.
    let options = [option("plugin", &first), option("plugin", &second)];
    let (home, _) =
        Home::start_seeing(&[&options[0], &options[1]], "Killing plugin: Custom featurebits already present");
    assert_eq!(home.call(&["plugin", "list"])["plugins"].as_array().unwrap().len(), 1);
}

#[test]
fn feature_bits_of_the_daemon_are_not_a_plugins() {
    let plugins = Plugins::new();
    let wanting = |name: &str, bits: &str| {
        let manifest = json!({"featurebits": {"init": bits}, "dynamic": false});
        option("plugin", &plugins.add(name, &manifest, &json!({})))
    };
    // Bit 1 is in our `init`, and bit 0 would make it something that whoever does not know it cannot live with.
    let (same, other_half, free) =
        (wanting("same", "02"), wanting("other-half", "01"), wanting("free", "40"));
    // Bit 39, onion messages, is ours as well; bits 50 and 51 need another feature, and nobody shows both of a pair.
    let (onions, alone, pair) = (
        wanting("onions", "4000000000"),
        wanting("alone", "08000000000000"),
        wanting("pair", "030000000000000000"),
    );
    let all = [&same, &other_half, &onions, &alone, &pair, &free].map(String::as_str);
    let (home, _) = Home::start_seeing(&all, "Killing plugin: Custom featurebits");
    let log = home.call(&["getlog"]).to_string();
    assert!(log.contains("option_zeroconf is set without option_scid_alias, which it depends on"), "{log}");
    assert!(log.contains("feature bit 64 is set together with the odd bit of its pair"), "{log}");
    let list = home.call(&["plugin", "list"]);
    let names = list["plugins"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap());
    assert!(names.map(|name| name.rsplit('/').next().unwrap()).eq(["free"]), "{list}");
    let bits = home.call(&["getinfo"])["our_features"]["init"].as_str().unwrap().to_owned();
    assert!(bits.ends_with("42"), "{bits}");
}

#[test]
fn a_daemon_does_not_start_without_what_it_was_told_to_start() {
    let plugins = Plugins::new();
    let says = |command: &mut Command| {
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        text(&output.stderr)
    };
    let dir = tempfile::tempdir().unwrap();
    let nowhere = says(oddwired(dir.path()).arg("--plugin=/nowhere/plugin"));
    assert!(nowhere.contains("cannot start the plugin /nowhere/plugin: No such file"), "{nowhere}");
    let important = plugins.add_script("broken", &json!({"on": {"getmanifest": "exit"}}));
    let failed = says(oddwired(dir.path()).arg(option("important-plugin", &important)));
    assert!(failed.contains("an important plugin did not start"), "{failed}");
    let path = plugins.add("fine", &json!({}), &json!({}));
    let unknown = says(oddwired(dir.path()).arg(option("plugin", &path)).arg("--whose=this"));
    assert!(unknown.contains("whose") && unknown.contains("unknown option"), "{unknown}");
}

#[test]
fn standard_error_is_in_the_log() {
    let plugins = Plugins::new();
    let manifest = json!({"subscriptions": ["plugin_started"]});
    let path = plugins.add("talker", &manifest, &json!({"plugin_started": "stderr"}));
    let home = Home::start(&[]);
    home.start_plugin(&path);
    home.line("plugin-talker: a word to standard error");
}
