//! What stands in the files after `setconfig`, and what the daemon then reads.

use std::os::unix::fs::{PermissionsExt as _, symlink};

use tempfile::{TempDir, tempdir};

use super::*;
use crate::config::file::{self, Need};

fn place(text: Option<&str>) -> (TempDir, SavedSettings) {
    let directory = tempdir().unwrap();
    let base = directory.path().join("config");
    if let Some(text) = text {
        fs::write(&base, text).unwrap();
    }
    (directory, SavedSettings { base, role: FileRole::Network })
}

fn read(saved: &SavedSettings) -> Vec<Setting> {
    file::settings(&saved.base, FileRole::Network, Need::Must).unwrap()
}

/// Values as they are given to `save`.
fn values<const N: usize>(texts: [&str; N]) -> [Option<String>; N] {
    texts.map(|text| Some(text.to_owned()))
}

#[test]
fn what_is_saved_is_what_the_next_start_reads() {
    let (directory, saved) = place(None);
    let first = saved.save("size", &[], &values(["1"])).unwrap();
    assert_eq!(read(&saved), first);
    assert_eq!(
        first[0].source.to_string(),
        format!("{}:2", directory.path().join("config.setconfig").display())
    );
    let second = saved.save("size", &first, &values(["2"])).unwrap();
    let other = saved.save("word", &[], &values(["a", "b=c"])).unwrap();
    assert_eq!(read(&saved), [second, other].concat());
    assert_eq!(read(&saved)[2].value.as_deref(), Some("b=c"));
    let base = fs::read_to_string(&saved.base).unwrap();
    assert_eq!(base.matches("include config.setconfig").count(), 1);
}

#[test]
fn what_it_takes_the_place_of_is_commented_out() {
    let (_directory, saved) = place(Some("# mine\nsize=1\nalias=bob"));
    let before = read(&saved);
    let after = saved.save("size", &before[..1], &values(["2"])).unwrap();
    let text = fs::read_to_string(&saved.base).unwrap();
    assert!(text.contains("\n# set by setconfig (see config.setconfig): size=1\nalias=bob\n"), "{text}");
    let settings = read(&saved);
    assert_eq!((&settings[0].name[..], &settings[1]), ("alias", &after[0]));
    assert_eq!(settings.len(), 2);
}

#[test]
fn a_line_that_somebody_has_changed_is_left_alone_and_so_is_all_else() {
    let (directory, saved) = place(Some("size=1\n"));
    let before = read(&saved);
    fs::write(&saved.base, "alias=bob\nsize=1\n").unwrap();
    let error = saved.save("size", &before, &values(["2"])).unwrap_err();
    assert!(matches!(error, SaveError::Changed { line: 1, .. }), "{error}");
    assert_eq!(fs::read_to_string(&saved.base).unwrap(), "alias=bob\nsize=1\n");
    assert!(!directory.path().join("config.setconfig").exists());
}

#[test]
fn a_value_that_the_next_start_would_read_as_another_is_refused() {
    let (directory, saved) = place(None);
    for value in ["2\nalias=eve", "2\r", "2 ", "2\t", " "] {
        let outcome = saved.save("word", &[], &values([value]));
        assert!(matches!(outcome, Err(SaveError::Unwritable)), "{value:?}: {outcome:?}");
    }
    assert!(fs::read_dir(directory.path()).unwrap().next().is_none());
    let written = saved.save("word", &[], &values([" a  b#", ""])).unwrap();
    assert_eq!(read(&saved), written);
}

/// Whoever changes an option every minute has no file that is too long for the next start after a year.
#[test]
fn its_file_does_not_grow_with_every_change() {
    let (directory, saved) = place(None);
    let other = saved.save("word", &[], &values(["a"])).unwrap();
    let mut before = Vec::new();
    for number in 0..60 {
        let values = vec![Some(number.to_string()); 1 + number % 2];
        before = saved.save("size", &before, &values).unwrap();
        assert_eq!(before.len(), values.len());
    }
    assert_eq!(read(&saved), [other, before].concat());
    let text = fs::read_to_string(directory.path().join("config.setconfig")).unwrap();
    assert!(text.lines().count() <= 4, "{text}");
}

#[test]
fn what_is_written_is_for_its_user_only_unless_the_user_has_said_otherwise() {
    let (directory, saved) = place(Some("size=1\n"));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    fs::set_permissions(&saved.base, fs::Permissions::from_mode(0o644)).unwrap();
    saved.save("password", &[], &values(["sesame"])).unwrap();
    let own = directory.path().join("config.setconfig");
    assert_eq!((mode(&own), mode(&saved.base)), (0o600, 0o644));
    fs::set_permissions(&own, fs::Permissions::from_mode(0o640)).unwrap();
    saved.save("password", &[], &values(["sesame"])).unwrap();
    assert_eq!(mode(&own), 0o640);
}

#[test]
fn a_link_to_a_configuration_file_stays_one() {
    let (directory, saved) = place(None);
    let elsewhere = directory.path().join("elsewhere");
    fs::write(&elsewhere, "size=1\n").unwrap();
    symlink(&elsewhere, &saved.base).unwrap();
    let after = saved.save("size", &read(&saved), &values(["2"])).unwrap();
    assert!(fs::symlink_metadata(&saved.base).unwrap().is_symlink());
    assert!(fs::read_to_string(&elsewhere).unwrap().contains("include config.setconfig"));
    assert_eq!(read(&saved), after);
}

#[test]
fn a_directory_that_cannot_be_written_is_named() {
    let saved = SavedSettings { base: PathBuf::from("/nonexistent/config"), role: FileRole::Network };
    let error = saved.save("size", &[], &values(["2"])).unwrap_err().to_string();
    assert!(error.contains("/nonexistent/config.setconfig"), "{error}");
}
