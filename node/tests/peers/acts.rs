//! What the acts of the handshake owe to the random numbers of the system.

use std::collections::BTreeSet;

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::raw_peer::HalfWay;
use crate::{PATIENCE, identity, start};

/// Version, ephemeral key, tag.
const ACT_LEN: usize = 50;

/// BOLT 8: a new key for each session, for who calls and for who is called. Forward secrecy rests on it.
#[tokio::test]
async fn every_handshake_has_a_key_of_its_own() {
    const HANDSHAKES: usize = 8;
    let node = start(1).await;
    let (nobody, listener) = (identity(2).node_id(), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let mut keys = BTreeSet::new();
    for _ in 0..HANDSHAKES {
        let calling = node.connect(nobody, listener.local_addr().unwrap());
        let called = async {
            let (mut stream, _) = timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
            let mut act = [0; ACT_LEN];
            timeout(PATIENCE, stream.read_exact(&mut act)).await.unwrap().unwrap();
            act
        };
        let (outcome, act) = tokio::join!(calling, called);
        outcome.unwrap_err();
        keys.insert(act[1..34].to_vec());
    }
    // The same act one each time, so that nothing but the answerer's key makes a difference.
    for _ in 0..HANDSHAKES {
        let mut half_way = HalfWay::begin(node.listening()[0], node.id(), 7).await;
        let mut act = [0; ACT_LEN];
        timeout(PATIENCE, half_way.stream.read_exact(&mut act)).await.unwrap().unwrap();
        keys.insert(act[1..34].to_vec());
    }
    assert_eq!(keys.len(), 2 * HANDSHAKES);
}
