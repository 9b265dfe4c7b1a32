//! How requests run side by side, how answers are written, and how the server ends.

use std::os::unix::fs::PermissionsExt;

use oddwire_rpc::limits::MAX_RUNNING_PER_CONNECTION;
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::fixture::{Daemon, PATIENCE, connect, request};

const PEER: &str = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";

#[tokio::test]
async fn a_slow_request_holds_up_nobody() {
    let l1 = Daemon::start("lightning-1").await;
    // Somebody who accepts and then says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let mut client = l1.client().await;
    client.send(request(1, "connect", &format!(r#"["{PEER}","127.0.0.1",{port}]"#)).as_bytes()).await;
    client.send(request(2, "help", r#"["stop"]"#).as_bytes()).await;
    assert!(client.answer().await.contains(r#""id":2"#));
    // The silent one goes; now the slow answer comes, on a connection whose client has said all it has to say.
    client.half_close().await;
    let (peer, _) = silent.accept().await.unwrap();
    drop(peer);
    let slow = client.answer().await;
    assert!(
        slow.contains(r#""id":1,"error":{"code":401,"message":"All addresses failed: 127.0.0.1:"#),
        "{slow}"
    );
    assert_eq!(client.rest().await, b"");
}

#[tokio::test]
async fn too_many_running_requests_hold_up_the_next() {
    let l1 = Daemon::start("lightning-1").await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let mut client = l1.client().await;
    let slow = format!(r#"["{PEER}","127.0.0.1",{port}]"#);
    for id in 1..=MAX_RUNNING_PER_CONNECTION {
        client.send(request(id, "connect", &slow).as_bytes()).await;
    }
    client.send(request(0, "help", r#"["stop"]"#).as_bytes()).await;
    let (peer, _) = silent.accept().await.unwrap();
    drop(peer);
    drop(silent);
    let first = client.answer().await;
    assert!(first.contains(r#""code":401"#), "{first}");
    let mut others = Vec::new();
    for _ in 0..MAX_RUNNING_PER_CONNECTION {
        others.push(client.answer().await);
    }
    assert!(others.iter().any(|answer| answer.contains(r#""id":0,"result""#)));
}

#[tokio::test]
async fn answers_that_are_ready_together_come_together() {
    let l1 = Daemon::start("lightning-1").await;
    let mut client = l1.client().await;
    let requests: String = (0..50).map(|id| request(id, "help", r#"["stop"]"#)).collect();
    client.send(requests.as_bytes()).await;
    client.stream.readable().await.unwrap();
    let mut buffer = vec![0; 100_000];
    let len = client.stream.try_read(&mut buffer).unwrap();
    assert!(buffer[..len].ends_with(b"\n\n"));
    assert_eq!(String::from_utf8_lossy(&buffer[..len]).matches("\n\n").count(), 50);
}

#[tokio::test]
async fn any_split_of_a_request_is_one_request() {
    let l1 = Daemon::start("lightning-1").await;
    let mut client = l1.client().await;
    for byte in request(1, "getinfo", "{}").as_bytes() {
        client.send(&[*byte]).await;
    }
    assert!(client.answer().await.contains(r#""alias":"l1""#));
}

#[tokio::test]
async fn check_takes_a_filter_and_checks_itself() {
    let l1 = Daemon::start("lightning-1").await;
    let mut client = l1.client().await;
    for (params, filter, about) in [
        (r#"["help"]"#, r#"{"command_to_check":true}"#, r#""result":{"command_to_check":"help"}"#),
        (r#"["help"]"#, r#"{"other":true}"#, r#""result":{}"#),
        (r#"["check","help"]"#, r#"{"command_to_check":true}"#, r#""result":{"command_to_check":"help"}"#),
        (r#"["check"]"#, "{}", "missing required parameter: command_to_check"),
        (r#"["nosuch"]"#, "{}", "Unknown command 'nosuch'"),
        (r#"["getinfo",1]"#, "{}", "too many parameters: got 1, expected 0"),
        (r#"["stop"]"#, r#"{"command_to_check":true}"#, r#""result":{"command_to_check":"stop"}"#),
        (r#"["connect","x"]"#, "{}", "id: should be a node id: invalid token"),
    ] {
        let check = request(1, "check", params);
        let check = format!(r#"{},"filter":{filter}}}"#, &check[..check.len() - 1]);
        client.send(check.as_bytes()).await;
        let answer = client.answer().await;
        assert!(answer.contains(about), "{params}: {answer}");
    }
}

#[tokio::test]
async fn a_full_queue_says_how_full_it_is() {
    let mut limits = oddwire_node::Limits::default();
    limits.send_queue_bytes = 100_000;
    let l1 = Daemon::start_with("lightning-1", limits).await;
    let l2 = Daemon::start("lightning-2").await;
    connect(&l1, &l2).await;
    let message = format!(r#"["{}","8001{}"]"#, l2.node.id(), "ab".repeat(60_000));
    let requests: String = (0..200).map(|id| request(id, "sendcustommsg", &message)).collect();
    let mut client = l1.client().await;
    client.send(requests.as_bytes()).await;
    let mut refusals = 0;
    for _ in 0..200 {
        let answer = client.answer().await;
        if answer.contains(r#""error":{"code":-1,"#) {
            assert!(answer.contains("of 100000 bytes"), "{answer}");
            refusals += 1;
        }
    }
    assert!(refusals > 0);
}

#[tokio::test]
async fn connect_understands_addresses() {
    let l1 = Daemon::start("lightning-1").await;
    let id = PEER;
    for (params, code, about) in [
        (format!(r#"["{id}@[::1"]"#), -32602, "malformed host @part"),
        (format!(r#"["{id}@127.0.0.1:0"]"#), -32602, "malformed host @part"),
        (
            format!(r#"["{id}@127.0.0.1","127.0.0.1"]"#),
            -32602,
            "Can't specify host as both xxx@yyy and separate argument",
        ),
        (
            format!(r#"{{"host":"127.0.0.1","id":"{id}@127.0.0.1"}}"#),
            -32602,
            "Can't specify host as both xxx@yyy and separate argument",
        ),
        (
            format!(r#"{{"id":"{id}@127.0.0.1:1","port":2}}"#),
            -32602,
            "Can't specify port as both xxx@yyy:port and separate argument",
        ),
        (format!(r#"["{id}","autotor:127.0.0.1"]"#), -1, "Host autotor:127.0.0.1:19846 not a simple type"),
        (format!(r#"["{id}@[::1]:1"]"#), 401, "All addresses failed: [::1]:1: Connection establishment: "),
        (
            format!(r#"["{id}","127.0.0.1:1"]"#),
            401,
            "All addresses failed: 127.0.0.1:1: Connection establishment: Connection refused. ",
        ),
        (format!(r#"["{id}@localhost:1"]"#), 401, "All addresses failed: 127.0.0.1:1: "),
        (format!(r#"["{id}","/no/socket"]"#), 401, "All addresses failed: /no/socket: not supported. "),
        (format!(r#"["{id}@x.invalid:7"]"#), -1, "Host x.invalid:7 not valid: Name or service not known"),
        (format!(r#"["{id}x@127.0.0.1:7"]"#), -32602, "id: should be a node id: invalid token"),
    ] {
        let answer = l1.call("connect", &params).await;
        assert!(
            answer.contains(&format!(r#""code":{code},"#)) && answer.contains(about),
            "{params}: {answer}"
        );
    }
}

#[tokio::test]
async fn refusals_that_were_not_recorded() {
    let l1 = Daemon::start("lightning-1").await;
    let l2 = Daemon::start("lightning-2").await;
    connect(&l1, &l2).await;
    let id = l2.node.id();
    for (method, params, code, about) in [
        ("disconnect", r#"["zz"]"#.to_owned(), -32602, r#"id: invalid peer id: invalid token '\"zz\"'"#),
        // Whichever comes first in the request.
        (
            "disconnect",
            format!(r#"{{"force":1,"id":"{PEER}"}}"#),
            -32602,
            "force: should be 'true' or 'false'",
        ),
        ("disconnect", format!(r#"{{"id":"{PEER}","force":1}}"#), -32602, "Unknown peer '0279be"),
        ("ping", format!(r#"["{id}",1,65536]"#), -32602, "pongbytes 65536 > 65535"),
        (
            "ping",
            format!(r#"["{id}",4294967296]"#),
            -32602,
            "len: should be an integer: invalid token '4294967296'",
        ),
        ("ping", format!(r#"["{id}",65530]"#), -32602, "65530 would result in oversize ping"),
        (
            "listpeers",
            r#"[null,"loud"]"#.to_owned(),
            -32602,
            "level: should be 'io', 'debug', 'info', or 'unusual'",
        ),
        (
            "sendcustommsg",
            format!(r#"["{id}",["8001"]]"#),
            -32602,
            "msg: should be a hex value: invalid token '[",
        ),
        (
            "sendcustommsg",
            format!(r#"["{id}",{{}}]"#),
            -32602,
            "msg: should be a hex value: invalid token '{}'",
        ),
        ("sendcustommsg", format!(r#"["{id}"," 8001"]"#), -32602, "msg: should be a hex value"),
        ("sendcustommsg", format!(r#"["{PEER}",""]"#), -32600, "No such peer: 0279be"),
        // What is no hex has no type.
        ("sendcustommsg", format!(r#"["{id}","0012zz"]"#), -32602, "msg: should be a hex value"),
        ("stop", "[1]".to_owned(), -32602, "too many parameters: got 1, expected 0"),
        ("help", r#"[{"a":1}]"#.to_owned(), -32601, r#"Unknown command {\"a\":1}"#),
    ] {
        let answer = l1.call(method, &params).await;
        assert!(
            answer.contains(&format!(r#""code":{code},"#)) && answer.contains(about),
            "{method} {params}: {answer}"
        );
    }
    let with_log = l1.call("listpeers", r#"{"level":"WARN"}"#).await;
    assert!(with_log.contains(r#""log":[]}]"#), "{with_log}");
}

#[tokio::test]
async fn the_socket_is_the_owners() {
    let l1 = Daemon::start("lightning-1").await;
    assert_eq!(std::fs::metadata(&l1.path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn stop_answers_and_ends_the_server() {
    let l1 = Daemon::start("lightning-1").await;
    let mut idle = l1.client().await;
    idle.send(b"{\"half").await;
    let answer = l1.call("stop", "{}").await;
    assert_eq!(answer, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"result\":\"Shutdown complete\"}}\n\n");
    timeout(PATIENCE, l1.server).await.expect("the server ends").unwrap().unwrap();
    assert_eq!(idle.rest().await, b"");
    assert!(!l1.path.exists());
    assert!(l1.service.stop.is_triggered());
}

#[tokio::test]
async fn a_signal_ends_the_server_although_a_request_runs() {
    let l1 = Daemon::start("lightning-1").await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let mut client = l1.client().await;
    client.send(request(1, "connect", &format!(r#"["{PEER}","127.0.0.1",{port}]"#)).as_bytes()).await;
    let (_peer, _) = silent.accept().await.unwrap();
    l1.service.stop.trigger();
    timeout(PATIENCE, l1.server).await.expect("the server ends").unwrap().unwrap();
}
