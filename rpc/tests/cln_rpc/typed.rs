//! One call of every method that the library and we have.

use std::str::FromStr as _;

use cln_rpc::Request;
use cln_rpc::model::requests::*;
use cln_rpc::primitives::{Amount, PublicKey, ShortChannelId};
use oddwire_rpc::method::METHODS;
use serde_json::json;

use crate::{Client, Node};

/// Methods of the library's that are called where what they act on is set up.
const ELSEWHERE: [&str; 2] = ["plugin", "setconfig"];

#[tokio::test]
async fn every_method_that_the_library_has() {
    let (ours, theirs) = (Node::start(), Node::start());
    let mut client = ours.client().await;
    let ids = [&ours, &theirs].map(|node| PublicKey::from_str(&node.daemon.id).unwrap());
    peers(&mut client, &mut theirs.client().await, ids).await;
    keys(&mut client, ids).await;
    datastore(&mut client).await;
    onions(&mut client, ids).await;
    what_there_is_none_of(&mut client, ids).await;
    about_the_daemon(&mut client).await;

    client.call(StopRequest {}).await;
    let (status, log) = ours.daemon.process.wait();
    assert!(status.success(), "{log:?}");

    // What the library has no type for, it does not know by name either.
    let known = METHODS.iter().map(|method| method.name).filter(|name| is_known(name));
    let missed: Vec<&str> =
        known.filter(|name| !client.called.contains(*name) && !ELSEWHERE.contains(name)).collect();
    assert!(missed.is_empty(), "not called: {missed:?}");
    assert!(is_known("getinfo") && !is_known("subscribecustommsg"));
}

async fn peers(client: &mut Client, other: &mut Client, [us, id]: [PublicKey; 2]) {
    let port = other.call(GetinfoRequest {}).await.binding.unwrap()[0].port;
    let request = ConnectRequest { id: id.to_string(), host: Some("127.0.0.1".to_owned()), port };
    let connected = client.call(request).await;
    assert_eq!((connected.id, connected.address.port), (id, port));

    let info = client.call(GetinfoRequest {}).await;
    assert_eq!((info.id, info.num_peers), (us, 1));
    assert_eq!((info.network.as_str(), info.blockheight), ("regtest", 0));
    assert_eq!(info.fees_collected_msat.msat(), 0);
    assert!(info.version.starts_with("v26."), "{}", info.version);
    assert_eq!((info.num_active_channels, info.num_pending_channels, info.num_inactive_channels), (0, 0, 0));
    assert!(!info.our_features.unwrap().init.is_empty());
    assert_eq!(info.warning_bitcoind_sync.or(info.warning_lightningd_sync), None);

    let request = ListpeersRequest { id: Some(id), level: Some(ListpeersLevel::DEBUG) };
    let peers = client.call(request).await.peers;
    assert_eq!((peers.len(), peers[0].id, peers[0].connected, peers[0].num_channels), (1, id, true, 0));
    assert_eq!(peers[0].features.as_ref(), Some(&connected.features));

    let request = PingRequest { id, len: None, pongbytes: Some(20) };
    assert_eq!(client.call(request).await.totlen, 24);

    let request = SendcustommsgRequest { node_id: id, msg: "77770012".to_owned() };
    assert_eq!(client.call(request).await.status, "Message sent to connectd for delivery");

    client.call(DisconnectRequest { id, force: None }).await;
    assert!(client.call(ListpeersRequest { id: None, level: None }).await.peers.is_empty());
}

async fn keys(client: &mut Client, [us, id]: [PublicKey; 2]) {
    let request = SignmessageRequest { message: "this is a test!".to_owned() };
    let signed = client.call(request).await;
    let check = |pubkey| CheckmessageRequest {
        message: "this is a test!".to_owned(),
        zbase: signed.zbase.clone(),
        pubkey,
    };
    let checked = client.call(check(Some(us))).await;
    assert_eq!((checked.pubkey, checked.verified), (us, true));
    assert!(!client.call(check(Some(id))).await.verified);
    assert_eq!(client.refusal(check(None)).await, (Some(1301), "pubkey not found in the graph".to_owned()));

    let request = MakesecretRequest { hex: None, string: Some("scb secret".to_owned()) };
    assert_ne!(client.call(request).await.secret.to_vec(), [0; 32]);
}

async fn datastore(client: &mut Client) {
    let key = vec!["plugin".to_owned(), "state".to_owned()];
    let keep = |mode, generation| DatastoreRequest {
        key: key.clone(),
        string: Some("abc".to_owned()),
        hex: None,
        mode,
        generation,
    };
    assert_eq!(client.call(keep(None, None)).await.generation, Some(0));
    assert_eq!(client.refusal(keep(None, None)).await.0, Some(1202));
    let appended = client.call(keep(Some(DatastoreMode::MUST_APPEND), Some(0))).await;
    assert_eq!((appended.generation, appended.string.as_deref()), (Some(1), Some("abcabc")));
    let request = ListdatastoreRequest { key: Some(key.clone()) };
    let listed = client.call(request).await.datastore;
    assert_eq!((&listed[0].key, listed[0].hex.as_deref()), (&key, Some("616263616263")));
    let request = DatastoreusageRequest { key: None };
    assert_eq!(client.call(request).await.datastoreusage.total_bytes, 18);
    let request = DeldatastoreRequest { key: key.clone(), generation: Some(1) };
    assert_eq!(client.call(request).await.generation, Some(1));
}

async fn onions(client: &mut Client, [us, id]: [PublicKey; 2]) {
    let request = CreateonionRequest {
        hops: vec![CreateonionHops { pubkey: id, payload: "0200ff".to_owned() }],
        assocdata: "11".repeat(32),
        session_key: None,
        onion_size: None,
    };
    let created = client.call(request).await;
    assert_eq!((created.onion.len(), created.shared_secrets.len()), (2 * 1366, 1));

    let request = InjectonionmessageRequest { message: created.onion.clone(), path_key: us };
    let (code, reason) = client.refusal(request).await;
    assert!(code == Some(-1) && reason.contains("is for another node"), "{code:?} {reason}");

    let first_hop = SendonionFirstHop { id, amount_msat: Amount::from_msat(1), delay: 9 };
    let request = SendonionRequest {
        onion: created.onion,
        first_hop,
        payment_hash: "22".repeat(32).parse().unwrap(),
        shared_secrets: Some(created.shared_secrets),
        amount_msat: Some(Amount::from_msat(1)),
        destination: Some(id),
        label: Some("never sent".to_owned()),
        partid: Some(1),
        groupid: Some(2),
        bolt11: None,
        description: None,
        localinvreqid: None,
        total_amount_msat: None,
    };
    assert_eq!(client.refusal(request).await, (Some(204), "No connection to first peer found".to_owned()));
}

async fn what_there_is_none_of(client: &mut Client, [_, id]: [PublicKey; 2]) {
    let request = ListnodesRequest { id: Some(id) };
    assert!(client.call(request).await.nodes.is_empty());
    let request = ListfundsRequest { spent: Some(true) };
    let funds = client.call(request).await;
    assert!(funds.outputs.is_empty() && funds.channels.is_empty());
    let channel = ShortChannelId::from_str("1x2x3").unwrap();
    let request = ListpeerchannelsRequest { id: None, short_channel_id: Some(channel), channel_id: None };
    assert!(client.call(request).await.channels.is_empty());
    let request = WaitblockheightRequest { blockheight: 0, timeout: None };
    assert_eq!(client.call(request).await.blockheight, 0);
    let request = WaitblockheightRequest { blockheight: 800_000, timeout: Some(60) };
    assert!(client.refusal(request).await.1.contains("follows no chain"));
}

async fn about_the_daemon(client: &mut Client) {
    let request = HelpRequest { command: Some("datastore".to_owned()) };
    assert_eq!(
        client.call(request).await.help[0].command,
        "datastore key [string] [hex] [mode] [generation]"
    );
    let request = GetlogRequest { level: Some(GetlogLevel::INFO) };
    assert!(!client.call(request).await.log.is_empty());
    let request = ListconfigsRequest { config: None };
    assert_eq!(client.call(request).await.configs.unwrap().network.unwrap().value_str, "regtest");
}

/// Whether the library has a type for the method.
fn is_known(method: &str) -> bool {
    let request = serde_json::from_value::<Request>(json!({"method": method, "params": {}}));
    request.map_or_else(|error| !error.to_string().contains("unknown variant"), |_| true)
}
