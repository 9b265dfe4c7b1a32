//! Tests of what is refused for the sake of the node's files.

use std::fs::{self, Permissions};

use oddwire_node::Network;

use super::*;
use crate::config::RPC_FILE;

/// A node's directories with a key and a datastore as the daemon makes them.
struct Files {
    place: NodePlace,
    key: PathBuf,
    datastore: PathBuf,
    _directory: tempfile::TempDir,
}

impl Files {
    fn new() -> Files {
        let directory = tempfile::tempdir().unwrap();
        let place = NodePlace {
            network: Network::Regtest,
            lightning_dir: directory.path().join("node"),
            rpc_file: PathBuf::from(RPC_FILE),
        };
        let network_dir = place.network_dir();
        fs::create_dir_all(&network_dir).unwrap();
        let files = Files {
            key: network_dir.join("hsm_secret"),
            datastore: network_dir.join("datastore.redb"),
            place,
            _directory: directory,
        };
        for (path, mode) in [
            (&files.place.lightning_dir, 0o700),
            (&network_dir, 0o755),
            (&files.key, 0o400),
            (&files.datastore, 0o600),
        ] {
            if !path.exists() {
                fs::write(path, [7; 32]).unwrap();
            }
            set(path, mode);
        }
        files
    }

    fn check(&self, audience: Audience) -> Result<(), SafekeepingError> {
        check(&self.place, &self.key, &self.datastore, audience)
    }
}

fn set(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn what_the_daemon_makes_is_well_kept_and_so_is_nothing_at_all() {
    let files = Files::new();
    files.check(Audience::Users).unwrap();
    for path in [&files.key, &files.datastore] {
        fs::remove_file(path).unwrap();
    }
    files.check(Audience::Users).unwrap();
}

#[test]
fn a_key_that_others_may_open_is_refused_with_what_mends_it() {
    let files = Files::new();
    for mode in [0o440, 0o404, 0o420, 0o402, 0o644, 0o410] {
        set(&files.key, mode);
        let error = files.check(Audience::Users).unwrap_err().to_string();
        let mend = format!("chmod 400 {}", files.key.display());
        assert!(error.contains(&format!("{mode:04o}")) && error.ends_with(&mend), "{error}");
        files.check(Audience::Developers).unwrap();
    }
    set(&files.key, 0o600);
    files.check(Audience::Users).unwrap();
}

#[test]
fn a_directory_in_which_everybody_may_write_is_refused_with_what_mends_it() {
    let files = Files::new();
    let plugins = files.place.lightning_dir.join("plugins");
    fs::create_dir(&plugins).unwrap();
    set(&plugins, 0o700);
    for path in [&files.place.lightning_dir, &files.place.network_dir(), &plugins] {
        for mode in [0o777, 0o703, 0o1777] {
            set(path, mode);
            let error = files.check(Audience::Developers).unwrap_err().to_string();
            let mend = format!("chmod o-w {}", path.display());
            assert!(error.contains(&format!("{mode:04o}")) && error.ends_with(&mend), "{error}");
        }
        // A group may be meant: that is only told.
        set(path, 0o775);
        files.check(Audience::Users).unwrap();
    }
}

#[test]
fn a_key_behind_a_link_is_looked_at_where_it_is() {
    let files = Files::new();
    let elsewhere = files.place.lightning_dir.join("key");
    fs::rename(&files.key, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &files.key).unwrap();
    files.check(Audience::Users).unwrap();
    set(&elsewhere, 0o444);
    assert!(matches!(files.check(Audience::Users), Err(SafekeepingError::Key { mode: 0o444, .. })));
}
