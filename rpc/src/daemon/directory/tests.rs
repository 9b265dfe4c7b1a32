//! Tests of the claim on a directory.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use oddwire_node::Network;
use tokio::time::{Instant, sleep};

use super::{Claim, DirectoryError, LOCK_FILE};
use crate::config::{NodePlace, RPC_FILE};
use crate::limits::LOCK_PATIENCE;

fn place(dir: &tempfile::TempDir) -> NodePlace {
    NodePlace {
        network: Network::Regtest,
        lightning_dir: dir.path().join("new/node"),
        rpc_file: PathBuf::from(RPC_FILE),
    }
}

#[tokio::test]
async fn directories_are_made_for_this_user_only() {
    let dir = tempfile::tempdir().unwrap();
    let place = place(&dir);
    let _claim = Claim::take(&place).await.unwrap();
    for made in [&place.lightning_dir, &place.network_dir()] {
        assert_eq!(made.metadata().unwrap().permissions().mode() & 0o777, 0o700, "{}", made.display());
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_claim_is_refused_with_the_process_until_the_first_ends() {
    let dir = tempfile::tempdir().unwrap();
    let place = place(&dir);
    let first = Claim::take(&place).await.unwrap();
    let begun = Instant::now();
    match Claim::take(&place).await {
        Err(DirectoryError::Running { pid, .. }) => assert_eq!(pid, Some(std::process::id())),
        other => panic!("{other:?}"),
    }
    // It said nothing, so it could have been ending.
    assert!(begun.elapsed() >= LOCK_PATIENCE, "{:?}", begun.elapsed());
    drop(first);
    std::fs::write(place.network_dir().join(LOCK_FILE), "123456789\n").unwrap();
    Claim::take(&place).await.unwrap();
    let pid = std::fs::read_to_string(place.network_dir().join(LOCK_FILE)).unwrap();
    assert_eq!(pid, format!("{}\n", std::process::id()));
}

#[tokio::test(start_paused = true)]
async fn who_holds_the_directory_and_answers_is_not_waited_for_long() {
    let dir = tempfile::tempdir().unwrap();
    let place = place(&dir);
    let _first = Claim::take(&place).await.unwrap();
    let _listener = UnixListener::bind(place.rpc_path()).unwrap();
    let begun = Instant::now();
    let refused = Claim::take(&place).await;
    assert!(matches!(refused, Err(DirectoryError::Running { .. })), "{refused:?}");
    assert!(begun.elapsed() < LOCK_PATIENCE, "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn who_ends_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let place = place(&dir);
    let first = Claim::take(&place).await.unwrap();
    let ends = async {
        sleep(LOCK_PATIENCE / 2).await;
        drop(first);
    };
    let (second, ()) = tokio::join!(Claim::take(&place), ends);
    second.unwrap();
}

#[tokio::test]
async fn another_node_is_recognised_by_its_socket_and_a_stale_socket_is_not_one() {
    let dir = tempfile::tempdir().unwrap();
    let place = place(&dir);
    std::fs::create_dir_all(place.network_dir()).unwrap();
    let listener = UnixListener::bind(place.rpc_path()).unwrap();
    match Claim::take(&place).await {
        Err(DirectoryError::Answered { path }) => assert_eq!(path, place.rpc_path()),
        other => panic!("{other:?}"),
    }
    drop(listener);
    assert!(place.rpc_path().exists());
    Claim::take(&place).await.unwrap();
}

#[tokio::test]
async fn a_socket_is_probed_however_long_its_path_is() {
    let dir = tempfile::tempdir().unwrap();
    let long = "long".repeat(30);
    let place = NodePlace { lightning_dir: dir.path().join(long), ..place(&dir) };
    std::fs::create_dir_all(place.network_dir()).unwrap();
    let short = dir.path().join("s");
    let listener = UnixListener::bind(&short).unwrap();
    std::fs::rename(short, place.rpc_path()).unwrap();
    let refused = Claim::take(&place).await;
    assert!(matches!(refused, Err(DirectoryError::Answered { .. })), "{refused:?}");
    drop(listener);
    Claim::take(&place).await.unwrap();
}

#[tokio::test]
async fn a_file_in_the_way_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let place = place(&dir);
    std::fs::write(dir.path().join("new"), "").unwrap();
    let error = Claim::take(&place).await.unwrap_err().to_string();
    assert!(error.contains("new/node") && error.contains("--lightning-dir"), "{error}");
}
