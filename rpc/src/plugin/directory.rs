//! Where plugins are found: which files of a directory are plugins, and which path a name means.

use std::fs::{File, Metadata};
use std::hash::{DefaultHasher, Hasher};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The plugins right in a directory, in the order of their names.
///
/// # Errors
/// The directory cannot be read.
pub(super) fn plugins_in(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if is_plugin(&path) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The plugins of a default directory and of the directories in it, not deeper. What cannot be read has none.
pub(super) fn plugins_below(directory: &Path) -> Vec<PathBuf> {
    let mut found = plugins_in(directory).unwrap_or_default();
    let below = std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut directories: Vec<PathBuf> = below.filter(|path| path.is_dir()).collect();
    directories.sort();
    for directory in directories {
        found.extend(plugins_in(&directory).unwrap_or_default());
    }
    found
}

/// Whether a name means the plugin at `path`: a name with a slash by what it leads to, any other by the file's name.
pub(super) fn paths_match(path: &str, name: &str) -> bool {
    if !name.contains('/') {
        return Path::new(path).file_name().is_some_and(|file| file == name);
    }
    path == name
        || match (Path::new(path).canonicalize(), Path::new(name).canonicalize()) {
            (Ok(path), Ok(name)) => path == name,
            _ => false,
        }
}

/// What a program consists of, in short: whether it has changed. Nobody gains anything by making two alike.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Checksum(u64);

impl Checksum {
    /// Of the file at `path`. What cannot be read looks the same whatever it is.
    pub(super) async fn of(path: &Path) -> Checksum {
        let path = path.to_owned();
        // Programs have megabytes.
        let read = tokio::task::spawn_blocking(move || {
            // Looked at before it is opened: opening a pipe waits for somebody who writes.
            let mut file =
                path.metadata().ok().filter(Metadata::is_file).and_then(|_| File::open(path).ok())?;
            let mut hasher = DefaultHasher::new();
            let mut chunk = [0; 16 * 1024];
            loop {
                match file.read(&mut chunk) {
                    Ok(0) => return Some(hasher.finish()),
                    Ok(len) => hasher.write(chunk.get(..len)?),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(_) => return None,
                }
            }
        });
        Checksum(read.await.ok().flatten().unwrap_or_default())
    }
}

/// A file that somebody may execute and whose name has no punctuation but `-`, `_` and `.`: editors leave others behind.
fn is_plugin(path: &Path) -> bool {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return false };
    let is_odd = |c: char| c.is_ascii_punctuation() && !matches!(c, '-' | '_' | '.');
    if name.chars().any(is_odd) || name == "README.md" {
        return false;
    }
    // Of what a link leads to.
    path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn make(path: &Path, mode: u32) {
        std::fs::write(path, "").unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn executables_with_plain_names_are_plugins() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for name in ["b-plugin_1.py", "a", "backup~", "README.md", "é"] {
            make(&at(name), 0o755);
        }
        make(&at("data"), 0o644);
        std::fs::create_dir_all(at("deep/deeper")).unwrap();
        make(&at("deep/c"), 0o700);
        make(&at("deep/deeper/d"), 0o700);
        assert_eq!(plugins_in(dir.path()).unwrap(), [at("a"), at("b-plugin_1.py"), at("é")]);
        assert_eq!(plugins_below(dir.path()).last(), Some(&at("deep/c")));
        assert!(plugins_below(&at("nowhere")).is_empty());
    }

    #[test]
    fn a_name_without_a_slash_is_a_file_name() {
        assert!(
            paths_match("/p/a.py", "a.py")
                && !paths_match("/p/a.py", "p/a.py")
                && paths_match("/p/a", "/p/a")
        );
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        make(&path, 0o700);
        let detour = dir.path().join(".").join("a");
        assert!(paths_match(path.to_str().unwrap(), detour.to_str().unwrap()));
    }
}
