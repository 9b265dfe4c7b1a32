//! Tests against a scripted daemon at the other end of a socket pair of the test's own.

use std::path::PathBuf;

use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

use super::{Client, ClientError, MAX_WAITING_NOTIFICATIONS, Notification};

struct Daemon {
    _dir: TempDir,
    stream: UnixStream,
}

impl Daemon {
    async fn start() -> (Daemon, Client) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rpc");
        let listener = UnixListener::bind(&path).unwrap();
        let client = Client::connect(&path).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        (Daemon { _dir: dir, stream }, client)
    }

    async fn read_request(&mut self) -> serde_json::Value {
        let mut request = Vec::new();
        while !request.ends_with(b"\n\n") {
            request.push(self.stream.read_u8().await.unwrap());
        }
        serde_json::from_slice(&request).unwrap()
    }

    async fn write(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }
}

fn notification(number: usize) -> String {
    format!("{{\"jsonrpc\":\"2.0\",\"method\":\"custommsg\",\"params\":{{\"number\":{number}}}}}\n\n")
}

#[tokio::test]
async fn a_result_comes_back_as_raw_text_in_any_split() {
    let (mut daemon, mut client) = Daemon::start().await;
    let answering = tokio::spawn(async move {
        let request = daemon.read_request().await;
        assert_eq!(
            request,
            json!({"jsonrpc": "2.0", "method": "ping", "id": "ping#1", "params": {"len": 3}})
        );
        for byte in
            b"{\"jsonrpc\":\"2.0\",\"id\":\"ping#1\",\"result\":{ \"n\" : 12345678901234567890123 }}\n\n"
        {
            daemon.stream.write_all(&[*byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
    });
    let result = client.call("ping", &json!({"len": 3})).await.unwrap();
    assert_eq!(result.get(), "{ \"n\" : 12345678901234567890123 }");
    answering.await.unwrap();
}

#[tokio::test]
async fn a_refusal_has_code_message_and_the_text_as_it_came() {
    let (mut daemon, mut client) = Daemon::start().await;
    daemon.write("{\"id\":\"x#1\",\"error\":{\"code\":-32602,\"message\":\"m\",\"data\":{ }}}\n\n").await;
    match client.call("x", &json!([])).await {
        Err(ClientError::Refused(error)) => {
            assert_eq!((error.code, error.message.as_str()), (-32602, "m"));
            assert!(error.raw.get().ends_with("\"data\":{ }}"));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn notifications_that_come_before_an_answer_are_kept_in_order() {
    let (mut daemon, mut client) = Daemon::start().await;
    daemon.write(&notification(1)).await;
    daemon.write(&notification(2)).await;
    daemon.write("{\"id\":\"x#1\",\"result\":{}}\n\n").await;
    client.call("x", &json!([])).await.unwrap();
    daemon.write(&notification(3)).await;
    for number in 1..=3 {
        match client.next_notification().await.unwrap() {
            Notification::Message { params, .. } => {
                assert_eq!(params.get(), format!("{{\"number\":{number}}}"));
            }
            Notification::Missed(count) => panic!("missed {count}"),
        }
    }
}

#[tokio::test]
async fn notifications_that_nobody_fetches_are_counted_at_the_limit() {
    let (mut daemon, mut client) = Daemon::start().await;
    let flood = tokio::spawn(async move {
        for number in 0..MAX_WAITING_NOTIFICATIONS + 5 {
            daemon.write(&notification(number)).await;
        }
        daemon.write("{\"id\":\"x#1\",\"result\":{}}\n\n").await;
        daemon
    });
    client.call("x", &json!([])).await.unwrap();
    let _daemon = flood.await.unwrap();
    for _ in 0..MAX_WAITING_NOTIFICATIONS {
        assert!(matches!(client.waiting_notification(), Some(Notification::Message { .. })));
    }
    assert!(matches!(client.waiting_notification(), Some(Notification::Missed(5))));
    assert!(client.waiting_notification().is_none());
}

#[tokio::test]
async fn a_call_that_was_given_up_leaves_the_connection_usable() {
    let (mut daemon, mut client) = Daemon::start().await;
    // Larger than the socket's buffer, so that it is half written when it is dropped.
    let big = "a".repeat(2 << 20);
    let given_up = json!([big]);
    tokio::select! {
        biased;
        result = client.call("big", &given_up) => panic!("{result:?}"),
        () = async { for _ in 0..3 { tokio::task::yield_now().await } } => {}
    }
    let answering = tokio::spawn(async move {
        assert_eq!(daemon.read_request().await["params"][0].as_str().map(str::len), Some(2 << 20));
        daemon.write("{\"id\":\"big#1\",\"result\":\"late\"}\n\n").await;
        assert_eq!(daemon.read_request().await["id"], "x#2");
        daemon.write("{\"id\":\"x#2\",\"result\":\"mine\"}\n\n").await;
    });
    assert_eq!(client.call("x", &json!([])).await.unwrap().get(), "\"mine\"");
    answering.await.unwrap();
}

#[tokio::test]
async fn a_daemon_that_goes_away_or_talks_nonsense_is_an_error() {
    let (daemon, mut client) = Daemon::start().await;
    drop(daemon);
    assert!(matches!(client.call("x", &json!([])).await, Err(ClientError::Closed)));

    let (mut daemon, mut client) = Daemon::start().await;
    daemon.write("hello\n\n").await;
    assert!(matches!(client.call("x", &json!([])).await, Err(ClientError::Malformed(_))));

    let path = PathBuf::from("/nonexistent/lightning-rpc");
    let error = Client::connect(&path).await.unwrap_err().to_string();
    assert!(error.contains("/nonexistent/lightning-rpc") && error.contains("oddwired"), "{error}");
}
