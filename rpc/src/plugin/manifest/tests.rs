use super::*;
use crate::value::Document;

fn judged(result: &str) -> Result<Introduction, String> {
    let document = Document::parse(result).unwrap();
    parse(document.root().unwrap()).map_err(|error| error.to_string())
}

fn right(result: &str) -> Manifest {
    match judged(result) {
        Ok(Introduction::Manifest(manifest)) => *manifest,
        other => panic!("{result}: {other:?}"),
    }
}

fn wrong(result: &str) -> String {
    judged(result).map(|_| result.to_owned()).expect_err("it is wrong")
}

/// A manifest with what must be there and these members more.
fn with(more: &str) -> String {
    format!(r#"{{"options":[],"rpcmethods":[],{more}}}"#)
}

#[test]
fn all_of_it_is_understood() {
    let manifest = right(
        r#"{"options":[
                {"name":"text","type":"string","description":"a \"text\"","default":"x","multi":true},
                {"name":"number","type":"int","description":"","default":7,"dynamic":true},
                {"name":"yes","type":"bool","description":"","default":true,"deprecated":true},
                {"name":"flag","type":"flag","description":"","default":false},
                {"name":"later","type":"string-conceal","description":"","default":null,"deprecated":["v99.01","v99.12"]}],
            "rpcmethods":[{"name":"hello","usage":"[name]","description":"ignored"},
                {"name":"old","usage":"","deprecated":["v25.02"]}],
            "subscriptions":["connect","*"],
            "hooks":["peer_connected",{"name":"custommsg","before":["b"],"after":["a"],"filters":[32769]},
                {"name":"rpc_command","filters":["pay"]},"htlc_accepted"],
            "featurebits":{"init":"08","node":"","channel":""},
            "notifications":[{"method":"mine"}],
            "custommessages":[44444,"7"],
            "nonnumericids":true,"cancheck":true,"dynamic":false,"unknown":{"to":"us"}}"#,
    );
    let option = |place: usize| &manifest.options[place];
    assert_eq!(
        (option(0).kind, option(0).times, option(0).help.as_str()),
        (OptionKind::Text, Times::Many, "a \"text\"")
    );
    assert_eq!((option(1).kind, option(1).change), (OptionKind::Int, Change::AtAnyTime));
    assert_eq!((option(1).default.as_deref(), option(2).standing), (Some("7"), Standing::Deprecated));
    assert_eq!((option(3).kind, option(3).default.as_deref()), (OptionKind::Flag, None));
    assert_eq!(
        (option(4).kind, option(4).standing, &option(4).default),
        (OptionKind::Secret, Standing::Current, &None)
    );
    assert_eq!(manifest.methods[0].usage(), "hello [name]");
    assert!(!manifest.methods[0].is_deprecated && manifest.methods[1].is_deprecated);
    assert_eq!(manifest.subscriptions, ["connect", "*"]);
    assert_eq!(manifest.hooks[1].filters, Filters::Numbers([32_769].into()));
    assert_eq!(
        (&*manifest.hooks[1].before, &*manifest.hooks[1].after),
        (&["b".to_owned()][..], &["a".to_owned()][..])
    );
    assert_eq!(manifest.hooks[2].filters, Filters::Names(["pay".into()].into()));
    assert_eq!(manifest.features.unwrap().as_bytes(), [0x08]);
    assert_eq!(manifest.topics, ["mine"]);
    assert_eq!(manifest.custom_messages, [44_444, 7].map(MessageType::new));
    assert!(manifest.can_check && !manifest.is_dynamic);
}

#[test]
fn little_is_needed() {
    let manifest = right(r#"{"options":[],"rpcmethods":[]}"#);
    assert!(!manifest.is_dynamic && !manifest.can_check && manifest.features.is_none());
    assert!(
        matches!(judged(r#"{"disable":"no \"reason\""}"#), Ok(Introduction::Disabled(why)) if why == "no \"reason\"")
    );
}

#[test]
fn every_key_can_be_wrong() {
    let long = "f".repeat(2 * FeatureSet::LEN + 2);
    for (manifest, words) in [
        ("[]".to_owned(), "Invalid/missing result tok in '[]'"),
        ("{}".to_owned(), "\"result.options\" was not found in the manifest"),
        (r#"{"options":{}}"#.to_owned(), "\"result.options\" is not an array"),
        (r#"{"options":[]}"#.to_owned(), "\"result.rpcmethods\" missing"),
        (r#"{"options":[],"rpcmethods":7}"#.to_owned(), "\"result.rpcmethods\" is not an array"),
        (with(r#""dynamic":"yes""#), "getmanifest: invalid \"dynamic\" field yes"),
        (
            with(r#""featurebits":{"init":"0x1"}"#),
            "Featurebits returned by plugin is not a valid hexadecimal string: 0x1",
        ),
        (
            with(r#""dynamic":true,"featurebits":{"node":"01"}"#),
            "Custom featurebits only allows for non-dynamic plugins: dynamic=1, featurebits={\"node\":\"01\"}",
        ),
        (with(&format!(r#""featurebits":{{"init":"{long}"}}"#)), "Custom featurebits: "),
        (with(r#""custommessages":7"#), "custommessages must be array, not '7'"),
        (with(r#""custommessages":[1,65536]"#), "custommessages 1 not a u16: '65536'"),
        (with(r#""nonnumericids":false"#), "Plugin does not allow nonnumericids"),
        (with(r#""nonnumericids":1"#), "Invalid nonnumericids: 1"),
        (with(r#""cancheck":"no""#), "Invalid cancheck: \"no\""),
        (with(r#""notifications":{}"#), "\"result.notifications\" is not an array"),
        (with(r#""notifications":["a"]"#), "\"result.notifications[0]\" is not an object"),
        (
            with(r#""notifications":[{"method":1}]"#),
            "\"result.notifications[0].name\" missing or not a string.",
        ),
        (
            with(r#""notifications":[{"method":"connect"}]"#),
            "plugin attempted to register a native notification topic \"connect\", these may however only be sent by lightningd",
        ),
        (with(r#""subscriptions":"connect""#), "\"result.subscriptions\" is not an array"),
        (with(r#""subscriptions":["a",1]"#), "result.subscriptions[1] is not a string: '1'"),
        (with(r#""hooks":{}"#), "\"result.hooks\" is not an array"),
        (with(r#""hooks":[{"before":[]}]"#), "no name in hook obj {\"before\":[]}"),
        (with(r#""hooks":["coffee"]"#), "Unknown hook name coffee"),
        (
            with(r#""hooks":["custommsg",{"name":"custommsg"}]"#),
            "Registered for hook custommsg multiple times",
        ),
        (with(r#""hooks":[{"name":"custommsg","filters":7}]"#), "filters token must be an array"),
        (
            with(r#""hooks":[{"name":"custommsg","filters":["a"]}]"#),
            "filters must be array of unsigned integers, not '\"a\"'",
        ),
        (
            with(r#""hooks":[{"name":"rpc_command","filters":[1]}]"#),
            "filters must be array of strings, not '1'",
        ),
        (
            with(r#""hooks":[{"name":"peer_connected","filters":[]}]"#),
            "Hook peer_connected does not allow filters",
        ),
    ] {
        let said = wrong(&manifest);
        assert!(said.starts_with(words), "{manifest}: {said}");
    }
}

#[test]
fn every_key_of_an_option_can_be_wrong() {
    let option = |members: &str| format!(r#"{{"options":[{{{members}}}],"rpcmethods":[]}}"#);
    let described = |members: &str| option(&format!(r#""name":"o","description":"",{members}"#));
    let missing = "An option is missing either \"name\", \"description\" or \"type\"";
    for (manifest, words) in [
        (option(r#""name":"o","type":"int""#), missing),
        (option(r#""name":"o","description":"""#), missing),
        (option(r#""type":"int","description":"""#), missing),
        (
            option(r#""name":"Loud","type":"int","description":"""#),
            "Option \"name\" must be lowercase alphanumeric, plus _ or -'",
        ),
        (
            described(r#""type":"float""#),
            "Only \"string\", \"int\", \"bool\", and \"flag\" options are supported",
        ),
        (described(r#""type":"int","multi":1"#), "--o: invalid \"multi\" field 1"),
        (described(r#""type":"int","dynamic":"x""#), "--o: invalid \"dynamic\" field x"),
        (described(r#""type":"int","default":"many""#), "Invalid default 'many': "),
        (described(r#""type":"bool","default":"maybe""#), "Invalid default 'maybe': "),
        (described(r#""type":"bool","multi":true"#), "bool type cannot be multi"),
        (described(r#""type":"flag","multi":true"#), "flag type cannot be multi"),
        (described(r#""type":"flag","default":true"#), "--o type flag default must be 'false' not true"),
        (
            described(r#""type":"int","deprecated":"soon""#),
            "\"deprecated\" must be an array of 1 or 2 elements, not soon",
        ),
        (described(r#""type":"int","deprecated":["soon"]"#), "invalid \"deprecated\" start version soon"),
        (
            described(r#""type":"int","deprecated":["v23.02","never"]"#),
            "invalid \"deprecated\" end version never",
        ),
    ] {
        let said = wrong(&manifest);
        assert!(said.starts_with(words), "{manifest}: {said}");
    }
}

#[test]
fn every_key_of_a_method_can_be_wrong() {
    for (method, words) in [
        (r#"{"usage":""}"#, "rpcmethod does not have a string \"name\": {\"usage\":\"\"}"),
        (r#"{"name":7,"usage":""}"#, "rpcmethod does not have a string \"name\": "),
        (r#"{"name":"m"}"#, "\"usage\" not provided by plugin"),
        (r#"{"name":"m","usage":[]}"#, "\"usage\" is not a string: "),
        (
            r#"{"name":"m","usage":"","deprecated":[]}"#,
            "\"deprecated\" must be an array of 1 or 2 elements, not []",
        ),
    ] {
        let said = wrong(&format!(r#"{{"options":[],"rpcmethods":[{method}]}}"#));
        assert!(said.starts_with(words), "{method}: {said}");
    }
}
