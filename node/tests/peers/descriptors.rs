//! When the system has no descriptors left.

use std::process::{Command, Stdio};

use tokio::net::TcpStream;

use crate::{ODD, PATIENCE, address, assert_serves_honest_peer, start};

/// In a process of its own, whose limit the shell has lowered.
#[test]
fn a_node_without_descriptors_keeps_its_peers_and_recovers() {
    let output = Command::new("sh")
        .args(["-c", "ulimit -n 64 && exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "descriptors::with_few_descriptors", "--nocapture"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[tokio::test]
#[ignore = "the test above runs it, with few descriptors"]
async fn with_few_descriptors() {
    let (node, peer) = (start(1).await, start(2).await);
    node.connect(peer.id(), address(&peer)).await.unwrap();
    // The other half of each of these is in this process too, so the descriptors are gone before the accepted ones are.
    let mut strangers = Vec::new();
    while let Ok(stranger) = TcpStream::connect(address(&node)).await {
        strangers.push(stranger);
        assert!(strangers.len() < 1_000, "the limit is not in force");
    }
    // Both listeners have to rest; what is connected goes on.
    node.send_custom_message(&peer.id(), ODD, b"still").unwrap();
    tokio::time::timeout(PATIENCE, node.ping(&peer.id(), 1, 1)).await.unwrap().unwrap();
    drop(strangers);
    assert_serves_honest_peer(&node).await;
}
