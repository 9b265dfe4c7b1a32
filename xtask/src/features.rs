//! `features`: wire-core with every feature and with either curve, and proof that none of its dependencies asks for std or an
//! allocator.
//!
//! The compiler holds `#![no_std]` for wire-core itself. A dependency may still switch its own `std` or `alloc` feature
//! on, which would compile on a host and fail in firmware; the resolved features are read here.

use anyhow::{Result, bail};

use crate::run;
use crate::workspace::Workspace;

/// Features of other crates that bring the standard library, the heap or the operating system's random numbers.
const FORBIDDEN: [&str; 6] = ["std", "alloc", "use-std", "use_std", "getrandom", "os_rng"];

pub(crate) fn features(workspace: &Workspace) -> Result<()> {
    // With both curves they are held against each other; with the second alone it must do all that the first does.
    for curves in
        [&["--all-features", "--lib"][..], &["--no-default-features", "--features=k256", "--lib", "--tests"]]
    {
        let test = [&["test", "--package", "wire-core", "--locked", "--quiet"], curves].concat();
        run::show(&mut workspace.cargo(&test))?;
    }
    let tree = tree(workspace, "wire-core")?;
    let found = forbidden_features(&tree);
    let mut packages: Vec<&str> = tree.lines().filter_map(|line| line.split(" [").next()).collect();
    packages.sort_unstable();
    packages.dedup();
    println!("wire-core and its {} dependencies: features read", packages.len().saturating_sub(1));
    if !found.is_empty() {
        bail!("wire-core must build without std and without an allocator:\n{}", found.join("\n"));
    }
    Ok(())
}

/// What `package` links into a program with all its own features and nobody else's: a package and its features a line.
pub(crate) fn tree(workspace: &Workspace, package: &str) -> Result<String> {
    // Procedural macros and build scripts run on the host and may use what they like.
    run::capture(&mut workspace.cargo(&[
        "tree",
        "--package",
        package,
        "--all-features",
        "--edges=normal,no-proc-macro",
        "--prefix=none",
        "--no-dedupe",
        "--format={p} [{f}]",
    ]))
}

/// One line per package of `cargo tree` that has a forbidden feature switched on.
fn forbidden_features(tree: &str) -> Vec<String> {
    let mut found: Vec<String> = tree
        .lines()
        .filter_map(|line| {
            let (package, features) = line.split_once(" [")?;
            let features = features.split(']').next()?;
            let bad: Vec<&str> =
                features.split(',').filter(|feature| FORBIDDEN.contains(&feature.trim())).collect();
            (!bad.is_empty()).then(|| format!("{package} has the feature {}", bad.join(", ")))
        })
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dependency_with_std_is_found_once() {
        let tree = "wire-core v0.1.0 [defmt]\nsha2 v0.11.0 [alloc,zeroize]\nsha2 v0.11.0 [alloc,zeroize]\n\
                    subtle v2.6.1 []\nsecp256k1 v0.33.0 [nostd-panic,std]\n";
        assert_eq!(
            forbidden_features(tree),
            ["secp256k1 v0.33.0 has the feature std", "sha2 v0.11.0 has the feature alloc"]
        );
    }
}
