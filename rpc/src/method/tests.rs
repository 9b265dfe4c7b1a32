use super::*;
use crate::params::Presence;

#[test]
fn methods_are_found_by_name() {
    assert!(METHODS.is_sorted_by(|a, b| a.name < b.name));
    for method in METHODS {
        assert_eq!(find(method.name).map(|found| found.name), Some(method.name));
    }
    assert!(find("").is_none());
    assert!(find("getinf").is_none());
    assert!(find("GETINFO").is_none());
}

#[test]
fn required_parameters_come_first() {
    for method in METHODS {
        let optional_from = method.params.iter().position(|param| param.presence == Presence::Optional);
        let rest = &method.params[optional_from.unwrap_or(method.params.len())..];
        assert!(rest.iter().all(|param| param.presence == Presence::Optional), "{}", method.name);
    }
}

#[test]
fn usage_lines() {
    let usages = METHODS.iter().map(|method| method.usage()).collect::<Vec<String>>();
    assert_eq!(
        usages,
        [
            "batching enable",
            "check command_to_check",
            "checkmessage message zbase [pubkey]",
            "connect id [host] [port]",
            "createonion hops assocdata [session_key] [onion_size]",
            "datastore key [string] [hex] [mode] [generation]",
            "datastoreusage [key]",
            "decodeonion onion [assocdata] [shared_secrets] [path_key]",
            "deldatastore key [generation]",
            "deprecations enable",
            "disconnect id [force]",
            "getinfo ",
            "getlog [level]",
            "help [command]",
            "injectonionmessage path_key message",
            "listconfigs [config]",
            "listdatastore [key]",
            "listfunds [spent]",
            "listnodes [id]",
            "listpeerchannels [id] [short_channel_id] [channel_id]",
            "listpeers [id] [level]",
            "makesecret [hex] [string]",
            "notifications enable",
            "ping id [len] [pongbytes]",
            "plugin subcommand [plugin] [options] [directory]",
            "sendcustommsg node_id msg",
            "sendonion onion first_hop payment_hash [label] [shared_secrets] [partid] [bolt11] [amount_msat] [destination] [localinvreqid] [groupid] [description] [total_amount_msat]",
            "sendonionmessage destination [tlv_type] [payload] [text] [msg] [hops] [reply_within]",
            "setconfig config [val] [transient]",
            "signmessage message",
            "stop ",
            "subscribecustommsg [types] [peers] [from] [epoch] [unsent]",
            "subscribeonionmessage ",
            "waitblockheight blockheight [timeout]",
        ]
    );
}

#[test]
fn every_method_is_described() {
    // Examples are run without plugins, on a node with one peer: these need a plugin's option, or an onion or a route.
    const WITHOUT_EXAMPLE: [&str; 4] = ["injectonionmessage", "sendonion", "sendonionmessage", "setconfig"];
    for method in METHODS {
        assert!(!method.summary.is_empty() && !method.summary.ends_with('.'), "{}", method.name);
        assert!(method.page.len() > 80, "{}", method.name);
        assert_eq!(method.examples.is_empty(), WITHOUT_EXAMPLE.contains(&method.name), "{}", method.name);
        assert!(
            method.params.iter().all(|param| !param.about.is_empty() && !param.kind.is_empty()),
            "{}",
            method.name
        );
    }
}
