//! Rules about the tree: what stands at the top, the documents, test data that is read, no paths of one machine.

use std::collections::BTreeSet;

use super::{File, Finding};

/// Everything at the top level of the checkout: no more and no less.
const TOP: [&str; 24] = [
    ".cargo",
    ".ci",
    ".gitignore",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONFORMANCE.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "RELIABILITY.md",
    "SECURITY.md",
    "benches",
    "clippy.toml",
    "deny.toml",
    "fuzz",
    "node",
    "rpc",
    "rustfmt.toml",
    "wire-core",
    "xtask",
    ".ci/run",
];

pub(super) fn check(files: &[File]) -> Vec<Finding> {
    let mut findings = top_level(files);
    findings.extend(changelog(files));
    findings.extend(unread_vectors(files));
    findings
}

fn top_level(files: &[File]) -> Vec<Finding> {
    let there: BTreeSet<&str> = files.iter().filter_map(|file| file.path.split('/').next()).collect();
    let finding = |path: &str, what: &str, advice| Finding {
        path: path.to_owned(),
        line: 0,
        what: what.into(),
        advice,
    };
    let unexpected = there.iter().filter(|entry| !TOP.contains(*entry)).map(|entry| {
        finding(
            entry,
            "unexpected at the top level",
            "the root stays small so that a newcomer sees the layers; put it into a crate, or name it in xtask/src/tidy/layout.rs",
        )
    });
    let missing =
        TOP.iter().filter(|entry| !there.contains(**entry) && !files.iter().any(|file| file.path == **entry));
    let missing =
        missing.map(|entry| finding(entry, "missing", "it belongs to every checkout; add it to git"));
    unexpected.chain(missing).collect()
}

fn changelog(files: &[File]) -> Option<Finding> {
    let file = files.iter().find(|file| file.path == "CHANGELOG.md")?;
    let there = file.text.lines().any(|line| line.trim() == "## [Unreleased]");
    (!there).then(|| Finding {
        path: file.path.clone(),
        line: 0,
        what: "no section [Unreleased]".into(),
        advice: "changes are noted when they are made; start the section",
    })
}

/// Test data that no test reads proves nothing.
fn unread_vectors(files: &[File]) -> Vec<Finding> {
    let crate_of = |path: &str| path.split('/').next().map(str::to_owned);
    files
        .iter()
        .filter(|file| file.path.contains("/tests/") && file.has_extension(&["json", "hex", "bin"]))
        .filter(|data| {
            let name = data.path.rsplit('/').next().unwrap_or(&data.path);
            !files.iter().any(|file| {
                file.has_extension(&["rs", "py"])
                    && crate_of(&file.path) == crate_of(&data.path)
                    && file.text.contains(name)
            })
        })
        .map(|data| Finding {
            path: data.path.clone(),
            line: 0,
            what: "no test of its crate names this file".into(),
            advice: "vectors that are not read prove nothing; use it in a test or remove it",
        })
        .collect()
}

/// Paths that exist only where someone built the project.
pub(super) fn paths_of_one_machine(files: &[File], paths: &[String]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files {
        for (number, line) in file.text.lines().enumerate() {
            if let Some(path) = paths.iter().find(|path| names_path(line, path)) {
                findings.push(Finding {
                    path: file.path.clone(),
                    line: number + 1,
                    what: format!("names {path}"),
                    advice: "the path exists on one machine; derive it, or use a temporary directory",
                });
            }
        }
    }
    findings
}

/// Whether `line` holds `path` as a whole path or as the beginning of one.
fn names_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + path.len()..].chars().next();
        let part_of_name =
            |char: Option<char>| char.is_some_and(|char| char.is_alphanumeric() || "_-.".contains(char));
        !part_of_name(before) && before != Some('/') && !part_of_name(after)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(list: &[(&str, &str)]) -> Vec<File> {
        list.iter().map(|(path, text)| File { path: (*path).into(), text: (*text).into() }).collect()
    }

    fn complete() -> Vec<File> {
        let directories = [
            ".cargo/config.toml",
            ".ci/run",
            "benches/x",
            "fuzz/x",
            "node/x",
            "rpc/x",
            "wire-core/x",
            "xtask/x",
        ];
        let plain = TOP
            .into_iter()
            .filter(|entry| !directories.iter().any(|path| path.starts_with(&format!("{entry}/"))));
        files(&plain.chain(directories).map(|path| (path, "## [Unreleased]\n")).collect::<Vec<_>>())
    }

    fn paths(findings: &[Finding]) -> Vec<&str> {
        findings.iter().map(|finding| finding.path.as_str()).collect()
    }

    #[test]
    fn the_top_level_is_exactly_the_allowed_set() {
        let mut files = complete();
        assert!(check(&files).is_empty(), "{:?}", check(&files));
        files.push(File { path: "scratch/notes".into(), text: String::new() });
        files.retain(|file| file.path != "LICENSE-MIT");
        assert_eq!(paths(&check(&files)), ["scratch", "LICENSE-MIT"]);
    }

    #[test]
    fn the_changelog_has_a_place_for_what_is_new() {
        assert!(changelog(&files(&[("CHANGELOG.md", "# Changelog\n\n## [1.0.0]\n")])).is_some());
        assert!(changelog(&files(&[("CHANGELOG.md", "# Changelog\n\n## [Unreleased]\n")])).is_none());
    }

    #[test]
    fn a_vector_that_no_test_of_its_crate_reads_is_found() {
        let files = files(&[
            ("wire-core/tests/vectors/read.json", ""),
            ("wire-core/tests/vectors/unread.json", ""),
            ("wire-core/tests/a.rs", "include_str!(\"vectors/read.json\")"),
            ("node/tests/a.rs", "include_str!(\"vectors/unread.json\")"),
        ]);
        assert_eq!(paths(&unread_vectors(&files)), ["wire-core/tests/vectors/unread.json"]);
    }

    #[test]
    fn a_path_of_the_machine_is_found_and_a_like_name_is_not() {
        let files = files(&[("a", "cd /srv/build/x\nsee lib/srv/build\nsee /srv/builder\n(/srv/build)")]);
        let found = paths_of_one_machine(&files, &["/srv/build".into()]);
        assert_eq!(found.iter().map(|finding| finding.line).collect::<Vec<_>>(), [1, 4]);
    }
}
