//! How programs use the library: for hours on one connection, or a new connection for each call; and with large requests.

use cln_rpc::model::requests::{DatastoreRequest, GetinfoRequest, ListdatastoreRequest};
use serde_json::{Value as Json, json};

use crate::{Client, Node};

#[tokio::test]
async fn a_thousand_calls_on_one_connection() {
    let node = Node::start();
    let mut client = node.client().await;
    for _ in 0..1_000 {
        assert_eq!(client.call(GetinfoRequest {}).await.id.to_string(), node.daemon.id);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hundreds_of_short_connections() {
    let node = Node::start();
    let clients: Vec<_> = (0..400)
        .map(|_| {
            let socket = node.socket();
            tokio::spawn(async move { Client::connect(&socket).await.call(GetinfoRequest {}).await.id })
        })
        .collect();
    for client in clients {
        assert_eq!(client.await.unwrap().to_string(), node.daemon.id);
    }
}

#[tokio::test]
async fn a_request_of_two_megabytes() {
    let node = Node::start();
    let mut client = node.client().await;
    let hex = "5a".repeat(1_000_000);
    let key = vec!["large".to_owned()];
    let request = DatastoreRequest {
        key: key.clone(),
        hex: Some(hex.clone()),
        string: None,
        mode: None,
        generation: None,
    };
    let kept = client.call(request).await;
    assert_eq!(kept.hex.as_ref(), Some(&hex));
    let listed = client.call(ListdatastoreRequest { key: Some(key) }).await;
    assert_eq!(listed.datastore[0].hex.as_ref(), Some(&hex));

    // A block in hex to a method that does not want it: refused, and the connection goes on.
    let refused: Result<Json, _> = client.rpc.call_raw("ping", &json!({"id": hex})).await;
    assert_eq!(refused.unwrap_err().code, Some(-32602));
    assert_eq!(client.call(GetinfoRequest {}).await.id.to_string(), node.daemon.id);
}
