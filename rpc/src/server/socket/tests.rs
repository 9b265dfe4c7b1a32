use super::*;

fn mode_of(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
}

fn is_empty(directory: &Path) -> bool {
    fs::read_dir(directory).unwrap().next().is_none()
}

#[test]
fn the_socket_has_its_mode_and_nothing_else_is_left() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rpc");
    for mode in [0o600, 0o660] {
        let (_listener, file) = bind(&path, mode).unwrap();
        assert_eq!(mode_of(&path), mode);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        UnixStream::connect(&path).unwrap();
        drop(file);
        assert!(is_empty(directory.path()));
    }
}

#[test]
fn a_socket_left_behind_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rpc");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let _bound = bind(&path, 0o600).unwrap();
    UnixStream::connect(&path).unwrap();
}

#[test]
fn a_socket_that_somebody_answers_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rpc");
    let _other = UnixListener::bind(&path).unwrap();
    assert!(matches!(bind(&path, 0o600), Err(BindError::InUse(_))));
    UnixStream::connect(&path).unwrap();
}

#[test]
fn a_file_that_is_no_socket_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rpc");
    fs::write(&path, "precious").unwrap();
    assert!(matches!(bind(&path, 0o600), Err(BindError::NotASocket(_))));
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
}

#[test]
fn the_longest_path_works_and_a_longer_one_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let room = MAX_SOCKET_PATH - directory.path().as_os_str().len() - 1;
    let path = directory.path().join("x".repeat(room));
    let _bound = bind(&path, 0o600).unwrap();
    UnixStream::connect(&path).unwrap();
    let path = directory.path().join("x".repeat(room + 1));
    let error = bind(&path, 0o600).unwrap_err();
    assert!(error.to_string().contains("108 bytes"), "{error}");
}

#[test]
fn another_daemons_socket_is_not_removed_with_ours() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rpc");
    let (_listener, file) = bind(&path, 0o600).unwrap();
    fs::remove_file(&path).unwrap();
    let _other = UnixListener::bind(&path).unwrap();
    drop(file);
    UnixStream::connect(&path).unwrap();
}

#[test]
fn a_socket_whose_file_was_removed_is_made_again_and_what_others_put_there_stays() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rpc");
    let (first, mut file) = bind(&path, 0o640).unwrap();
    assert!(file.restore().is_none(), "nothing is amiss");
    fs::remove_file(&path).unwrap();
    let second = file.restore().unwrap();
    assert_eq!(mode_of(&path), 0o640);
    drop(first);
    UnixStream::connect(&path).unwrap();

    fs::remove_file(&path).unwrap();
    let other = UnixListener::bind(&path).unwrap();
    assert!(file.restore().is_none());
    assert!(file.is_given_up);
    UnixStream::connect(&path).unwrap();
    drop((other, second));
    // Its socket is left behind, and nobody answers.
    let _third = file.restore().unwrap();
    UnixStream::connect(&path).unwrap();
    drop(file);
    assert!(is_empty(directory.path()));
}
