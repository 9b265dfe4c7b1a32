use oddwire_node::{Identity, Network, Node, Secret};

use super::*;
use crate::config::Names;
use crate::datastore::Datastore;
use crate::log::LogBook;
use crate::plugin::Host;
use crate::service::Audience;
use crate::stop::StopSignal;

async fn connection() -> Connection {
    let identity = Identity::from_secret(&Secret::new([1; 32])).unwrap();
    let node = Node::builder().identity(identity).network(Network::Regtest).start().await.unwrap();
    let service = Service {
        node,
        alias: String::new(),
        color: [0; 3],
        version: "v26.06".to_owned(),
        lightning_dir: "/".into(),
        datastore: Datastore::open("/nowhere/datastore".as_ref()).unwrap(),
        audience: Audience::Users,
        stop: StopSignal::new(),
        names: Names::LookedUp,
        log_book: LogBook::default(),
        plugins: Host::default(),
        options: Arc::default(),
    };
    Connection::new(1, Arc::new(service), Quota::new(1, 1, 1_000_000))
}

/// Nobody in particular.
const PEER: &str = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
const HELP: &[u8] = br#"{"jsonrpc":"2.0","id":1,"method":"help","params":{}}"#;

#[tokio::test]
async fn nothing_is_started_above_the_high_water_mark() {
    let mut connection = connection().await;
    connection.codec.room().extend_from_slice(&HELP.repeat(20_000));
    while connection.start_requests() == Progress::Yield {}
    assert_eq!(connection.start_requests(), Progress::Blocked);
    let high = connection.answers.out.len();
    assert!((HIGH_WATER..HIGH_WATER + 10_000).contains(&high), "{high}");
    // The client has read: it goes on where it was, and the memory is not kept.
    connection.answers.out.clear();
    connection.answers.give_back_memory();
    assert_eq!(connection.answers.out.capacity(), 0);
    assert_eq!(connection.start_requests(), Progress::Yield);
}

#[tokio::test]
async fn a_turn_has_an_end() {
    let mut connection = connection().await;
    let notifications = br#"{"jsonrpc":"2.0","id":1,"method":"notifications","params":[true]}"#;
    connection.codec.room().extend_from_slice(&notifications.repeat(REQUESTS_PER_TURN + 1));
    assert_eq!(connection.start_requests(), Progress::Yield);
    assert_eq!(connection.start_requests(), Progress::Done);
}

#[tokio::test]
async fn more_running_requests_than_all_connections_may_have_are_refused() {
    let mut connection = connection().await;
    let connect =
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"connect","params":["{PEER}","127.0.0.1",1]}}"#);
    connection.codec.room().extend_from_slice(connect.repeat(2).as_bytes());
    assert_eq!(connection.start_requests(), Progress::Done);
    assert_eq!(connection.answers.running.len(), 1);
    let answer = String::from_utf8_lossy(&connection.answers.out).into_owned();
    assert!(answer.contains("4096 requests are running already: try again later"), "{answer}");
}

/// Half a request of this many bytes, with `{"jsonrpc":"2.0","id":1,` before it.
fn half(len: usize) -> Vec<u8> {
    [br#"{"jsonrpc":"2.0","id":1,"x":""#.to_vec(), vec![b'a'; len]].concat()
}

#[tokio::test]
async fn a_large_request_for_which_all_have_no_memory_is_refused_and_forgotten() {
    let mut connection = connection().await;
    let mut other =
        Connection::new(2, Arc::clone(&connection.answers.service), connection.answers.quota.clone());
    connection.codec.room().extend_from_slice(&half(600_000));
    connection.start_requests();
    connection.count_memory();
    assert_eq!(connection.input, Input::Open);
    other.codec.room().extend_from_slice(&half(600_000));
    other.start_requests();
    other.count_memory();
    assert_eq!(other.input, Input::Refused);
    assert_eq!(other.codec.held(), 0);
    let answer = String::from_utf8_lossy(&other.answers.out).into_owned();
    assert!(
        answer.contains(r#""id":null,"error":{"code":-32600,"message":"The requests and answers of all"#)
    );
    assert_eq!(connection.input, Input::Open);

    // Small ones are served all the same: somebody has to be able to look and to stop.
    let mut third =
        Connection::new(3, Arc::clone(&connection.answers.service), connection.answers.quota.clone());
    let _ = connection.share.hold(2_000_000);
    third.codec.room().extend_from_slice(HELP);
    third.start_requests();
    third.count_memory();
    assert_eq!(third.input, Input::Open);
    assert!(third.answers.out.starts_with(br#"{"jsonrpc":"2.0","id":1,"result""#));
}

#[tokio::test]
async fn a_running_request_holds_what_it_will_be_answered_with() {
    let mut connection = connection().await;
    let _ = connection.share.hold(990_000);
    let connect = |id: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"connect","params":["{PEER}","127.0.0.1",1],"filter":{{"id":true}}}}"#
        )
    };
    connection.codec.room().extend_from_slice(connect(&"9".repeat(20_000)).as_bytes());
    connection.start_requests();
    assert!(connection.answers.running.is_empty());
    assert!(String::from_utf8_lossy(&connection.answers.out).contains("99,\"error\":{\"code\":-1,"));
    connection.answers.out.clear();
    connection.codec.room().extend_from_slice(connect("1").as_bytes());
    connection.start_requests();
    assert_eq!(connection.answers.running.len(), 1);
}

#[tokio::test]
async fn subscriptions_of_all_connections_together_are_limited() {
    let mut connection = connection().await;
    let mut other =
        Connection::new(2, Arc::clone(&connection.answers.service), connection.answers.quota.clone());
    let subscribe = br#"{"jsonrpc":"2.0","id":1,"method":"subscribecustommsg","params":{}}"#;
    for connection in [&mut connection, &mut other] {
        connection.codec.room().extend_from_slice(subscribe);
        connection.start_requests();
    }
    assert!(connection.answers.subscription.is_some());
    assert!(other.answers.subscription.is_none());
    let answer = String::from_utf8_lossy(&other.answers.out).into_owned();
    assert!(answer.contains(r#""code":-1,"message":"There are 64 subscriptions already"#), "{answer}");
    // The place is free when its connection has gone.
    drop(connection);
    other.codec.room().extend_from_slice(subscribe);
    other.start_requests();
    assert!(other.answers.subscription.is_some());
}

#[tokio::test]
async fn large_answers_that_nobody_reads_are_bounded() {
    let mut connection = connection().await;
    connection.answers.quota = Quota::new(10, 1, 1_000_000);
    let document = crate::value::Document::parse(core::str::from_utf8(HELP).unwrap()).unwrap();
    let request = Request::parse(document.root().unwrap()).unwrap();
    let answer = "x".repeat(HIGH_WATER + 100_000);
    let mut kept = 0;
    for _ in 0..5 {
        let answer = answer.clone();
        let work = async { Ok(Reply::Done(answer.into())) };
        connection.answers.run(request.id, request.len, None, || work).unwrap();
        // Each is done before the next begins; none is taken.
        tokio::task::yield_now().await;
    }
    while let Some(finished) = connection.answers.running.join_next().await {
        match finished.unwrap().result {
            Ok(answer) => kept += answer.held(),
            Err(error) => assert!(error.message.contains("has no room"), "{error}"),
        }
    }
    assert!((1..=1_000_000).contains(&kept), "{kept}");
}
