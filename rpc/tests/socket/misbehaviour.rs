//! Clients that are broken or hostile: each gets an answer that says why, or nothing, and the others go on.

use oddwire_rpc::limits::{HIGH_WATER, MAX_REQUEST_LEN};

use crate::fixture::{Daemon, request};

/// The server still serves.
async fn is_well(daemon: &Daemon) {
    let answer = daemon.call("help", r#"["stop"]"#).await;
    assert!(answer.contains(r#""command":"stop "#), "{answer}");
}

#[tokio::test]
async fn half_a_request_then_gone() {
    let l1 = Daemon::start("lightning-1").await;
    for len in [1, 20, 40] {
        let mut client = l1.client().await;
        client.send(&request(1, "getinfo", "{}").as_bytes()[..len]).await;
        drop(client);
        let mut client = l1.client().await;
        client.send(&request(1, "getinfo", "{}").as_bytes()[..len]).await;
        client.half_close().await;
        assert_eq!(client.rest().await, b"");
    }
    is_well(&l1).await;
}

#[tokio::test]
async fn a_hundred_megabytes_without_a_bracket() {
    let l1 = Daemon::start("lightning-1").await;
    let client = l1.client().await;
    let (mut reader, mut writer) = client.stream.into_split();
    let sending = tokio::spawn(async move {
        let chunk = vec![b'a'; 1 << 20];
        let mut sent = 0;
        for _ in 0..100 {
            if tokio::io::AsyncWriteExt::write_all(&mut writer, &chunk).await.is_err() {
                break;
            }
            sent += chunk.len();
        }
        sent
    });
    let mut answer = Vec::new();
    // The reason comes; whether the end then looks like an end or like a reset depends on what was still unread.
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut reader, &mut answer).await;
    assert_eq!(
        String::from_utf8(answer).unwrap(),
        format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{{\"code\":-32600,\"message\":\"Request is longer than \
             {MAX_REQUEST_LEN} bytes\"}}}}\n\n"
        )
    );
    drop(reader);
    sending.await.unwrap();
    is_well(&l1).await;
}

#[tokio::test]
async fn a_request_of_two_megabytes_is_none_of_these() {
    let l1 = Daemon::start("lightning-1").await;
    let mut client = l1.client().await;
    client.send(request(1, "help", &format!(r#"["{}"]"#, "a".repeat(2 << 20))).as_bytes()).await;
    let answer = client.answer().await;
    assert!(
        answer
            .starts_with(r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"Unknown command aaaa"#)
    );
    // The answer quotes no more than an error's text may have.
    assert!(answer.ends_with("aaa...\"}}\n\n") && answer.len() < 70_000, "{}", answer.len());
    client.send(request(2, "help", r#"["stop"]"#).as_bytes()).await;
    assert!(client.answer().await.contains(r#""id":2,"result""#));
}

#[tokio::test]
async fn deep_nesting() {
    let l1 = Daemon::start("lightning-1").await;
    let depth = 100_000;
    let nested = "[".repeat(depth) + &"]".repeat(depth);
    let answer = l1.call("getinfo", &format!(r#"{{"x":{nested}}}"#)).await;
    assert!(answer.contains("unknown parameter: x, "), "{answer}");
    let mut client = l1.client().await;
    client.send(request(1, "getinfo", &"[{\"a\":".repeat(depth)).as_bytes()).await;
    client.send(b"}").await;
    let answer = String::from_utf8(client.rest().await).unwrap();
    assert!(answer.contains("Request has more than 131072 JSON values"), "{answer}");
    is_well(&l1).await;
}

#[tokio::test]
async fn a_huge_id_is_echoed() {
    let l1 = Daemon::start("lightning-1").await;
    let id = "9".repeat(3_000_000);
    let mut client = l1.client().await;
    client
        .send(format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"notifications","params":[true]}}"#).as_bytes())
        .await;
    let expected = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{}}}}\n\n");
    assert!(client.read(expected.len()).await == expected.as_bytes());
}

#[tokio::test]
async fn text_that_is_no_utf_8() {
    let l1 = Daemon::start("lightning-1").await;
    let mut client = l1.client().await;
    client.send(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"help\",\"params\":[\"\xc3\x28\"]}").await;
    let answer = client.rest().await;
    assert!(
        answer
            .starts_with(br#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Failed to parse"#)
    );
    is_well(&l1).await;
}

#[tokio::test]
async fn what_came_before_a_malformed_request_is_answered_and_then_it_ends() {
    let l1 = Daemon::start("lightning-1").await;
    for malformed in [
        r#"{"id":1}"#,
        r#"{"jsonrpc":"2.0","method":"help","params":{}}"#,
        r#"{"jsonrpc":1,"id":1}"#,
        "[]{}",
        "x}",
    ] {
        let mut client = l1.client().await;
        client.send(request(1, "help", r#"["stop"]"#).as_bytes()).await;
        assert!(client.answer().await.contains(r#""id":1,"result""#));
        client.send(malformed.as_bytes()).await;
        let answer = String::from_utf8(client.rest().await).unwrap();
        assert!(
            answer.starts_with(r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"#),
            "{malformed}: {answer}"
        );
        assert_eq!(answer.matches("\n\n").count(), 1);
    }
}

#[tokio::test]
async fn thousands_of_requests_without_reading() {
    let l1 = Daemon::start("lightning-1").await;
    let client = l1.client().await;
    let (mut reader, mut writer) = client.stream.into_split();
    let count = 20_000;
    let sending = tokio::spawn(async move {
        for id in 0..count {
            tokio::io::AsyncWriteExt::write_all(&mut writer, request(id, "help", "{}").as_bytes())
                .await
                .unwrap();
        }
        tokio::io::AsyncWriteExt::shutdown(&mut writer).await.unwrap();
    });
    // The server stops reading long before all is sent; the others do not notice.
    is_well(&l1).await;
    let mut answers = Vec::new();
    tokio::io::AsyncReadExt::read_to_end(&mut reader, &mut answers).await.unwrap();
    sending.await.unwrap();
    assert!(answers.len() > 4 * HIGH_WATER);
    // None is lost, and none is out of order.
    let mut ids = String::from_utf8(answers).unwrap();
    ids.truncate(ids.trim_end().len());
    for (id, answer) in ids.split("\n\n").enumerate() {
        assert!(answer.starts_with(&format!(r#"{{"jsonrpc":"2.0","id":{id},"#)), "{answer}");
    }
    assert_eq!(ids.split("\n\n").count(), count);
}
