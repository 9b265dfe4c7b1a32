//! Rules about who depends on whom: what each layer must not know, and one compiler version for all.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use serde_json::Value;

use super::Finding;
use crate::workspace::Workspace;
use crate::{features, run};

/// What a crate of ours must not have among its dependencies.
struct Ban {
    package: &'static str,
    reach: Reach,
    banned: &'static [&'static str],
    why: &'static str,
}

enum Reach {
    /// Named in its own manifest, for the library or the build; what tests use is free.
    Direct,
    /// Linked anywhere below it, with all its features.
    Transitive,
}

const BANS: &[Ban] = &[
    Ban {
        package: "wire-core",
        reach: Reach::Transitive,
        banned: &[
            "tokio",
            "mio",
            "socket2",
            "getrandom",
            "rand",
            "serde",
            "serde_json",
            "tracing",
            "log",
            "bytes",
            "oddwire-node",
            "oddwire-rpc",
        ],
        why: "wire-core knows no sockets, clocks, random numbers or heap; hand what is needed in as an argument",
    },
    Ban {
        package: "wire-core",
        reach: Reach::Direct,
        // The crate k256 names its traits, which have no generator behind them.
        banned: &["rand_core"],
        why: "wire-core draws no random numbers; hand the bytes in as an argument",
    },
    Ban {
        package: "oddwire-node",
        reach: Reach::Direct,
        banned: &["serde", "serde_json", "secp256k1", "chacha20poly1305", "oddwire-rpc"],
        why: "node knows no JSON and leaves keys and ciphertext to wire-core; move the code to the layer that owns it",
    },
    Ban {
        package: "oddwire-rpc",
        reach: Reach::Direct,
        banned: &["secp256k1", "chacha20poly1305", "hkdf", "hmac", "sha2"],
        why: "rpc knows no keys and no ciphertext; ask node or wire-core",
    },
];

/// Crates at the edge: they may use all the others, and none may use them.
const EDGES: [&str; 3] = ["oddwire-benches", "oddwire-fuzz", "xtask"];

struct Package {
    name: String,
    manifest: String,
    rust_version: Option<String>,
    /// Library and build dependencies by their package names.
    uses: BTreeSet<String>,
    /// Test dependencies too.
    uses_anywhere: BTreeSet<String>,
}

pub(super) fn check(workspace: &Workspace) -> Result<Vec<Finding>> {
    let metadata = run::capture(&mut workspace.cargo(&["metadata", "--format-version=1", "--no-deps"]))?;
    let metadata: Value =
        serde_json::from_str(&metadata).context("cargo metadata wrote something that is not JSON")?;
    let root = format!("{}/", workspace.root().display());
    let packages = packages(&metadata, &root).context("cargo metadata has another shape than expected")?;
    let readme = std::fs::read_to_string(workspace.root().join("README.md")).unwrap_or_default();
    let mut findings = edges(&packages);
    findings.extend(rust_versions(&packages, &readme));
    for ban in BANS {
        let package = packages
            .iter()
            .find(|candidate| candidate.name == ban.package)
            .with_context(|| format!("the workspace has no {}", ban.package))?;
        let reached = match ban.reach {
            Reach::Direct => package.uses.clone(),
            Reach::Transitive => names_in_tree(&features::tree(workspace, ban.package)?),
        };
        findings.extend(banned(ban, package, &reached));
    }
    Ok(findings)
}

fn banned(ban: &Ban, package: &Package, reached: &BTreeSet<String>) -> Vec<Finding> {
    ban.banned
        .iter()
        .filter(|name| reached.contains(**name))
        .map(|name| package.finding(format!("{} depends on {name}", package.name), ban.why))
        .collect()
}

/// The names of the packages in what `cargo tree` printed, one to a line.
fn names_in_tree(tree: &str) -> BTreeSet<String> {
    tree.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

fn edges(packages: &[Package]) -> Vec<Finding> {
    const WHY: &str =
        "benches, fuzz and xtask stand at the edge and nothing depends on them; move the shared code down";
    let mut findings = Vec::new();
    for package in packages {
        for edge in EDGES.iter().filter(|edge| package.uses_anywhere.contains(**edge)) {
            findings.push(package.finding(format!("{} depends on {edge}", package.name), WHY));
        }
    }
    findings
}

fn rust_versions(packages: &[Package], readme: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let stated = packages.first().and_then(|package| package.rust_version.clone()).unwrap_or_default();
    for package in packages {
        if package.rust_version.as_deref() != Some(stated.as_str()) || stated.is_empty() {
            let what = format!("rust-version is {:?}, elsewhere {stated:?}", package.rust_version);
            findings.push(
                package
                    .finding(what, "one compiler version holds for all; use rust-version.workspace = true"),
            );
        }
    }
    if !readme.contains(&format!("Rust {stated}")) {
        findings.push(Finding {
            path: "README.md".into(),
            line: 0,
            what: format!("does not say \"Rust {stated}\""),
            advice: "a reader must know which compiler the manifest asks for; write the same version",
        });
    }
    findings
}

impl Package {
    fn read(package: &Value, root: &str) -> Option<Self> {
        let dependencies = package["dependencies"].as_array()?;
        let names = |keep: fn(&Value) -> bool| {
            let kept = dependencies.iter().filter(|one| keep(one));
            kept.map(|one| one["name"].as_str().map(str::to_owned)).collect::<Option<BTreeSet<String>>>()
        };
        Some(Self {
            name: package["name"].as_str()?.to_owned(),
            manifest: package["manifest_path"].as_str()?.trim_start_matches(root).to_owned(),
            rust_version: package["rust_version"].as_str().map(str::to_owned),
            uses: names(|dependency| dependency["kind"] != "dev")?,
            uses_anywhere: names(|_| true)?,
        })
    }

    fn finding(&self, what: String, advice: &'static str) -> Finding {
        Finding { path: self.manifest.clone(), line: 0, what, advice }
    }
}

fn packages(metadata: &Value, root: &str) -> Option<Vec<Package>> {
    metadata["packages"].as_array()?.iter().map(|package| Package::read(package, root)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A package of ours with the given dependencies of (name, kind).
    fn package(name: &str, dependencies: &[(&str, Value)]) -> Package {
        let dependencies: Vec<Value> =
            dependencies.iter().map(|(name, kind)| json!({ "name": name, "kind": kind })).collect();
        let package = json!({ "name": name, "manifest_path": format!("/r/{name}/Cargo.toml"),
                              "rust_version": "1.95", "dependencies": dependencies });
        Package::read(&package, "/r/").unwrap()
    }

    fn whats(findings: &[Finding]) -> Vec<String> {
        findings.iter().map(|finding| format!("{}: {}", finding.path, finding.what)).collect()
    }

    fn direct(name: &str, dependencies: &[(&str, Value)]) -> Vec<String> {
        let package = package(name, dependencies);
        let ban = BANS.iter().find(|ban| ban.package == name).unwrap();
        whats(&banned(ban, &package, &package.uses))
    }

    #[test]
    fn what_wire_core_must_not_know_is_found_in_its_tree() {
        let tree = "wire-core v0.1.0 (/r/wire-core) []\nsha2 v0.11.1 [zeroize]\ntokio v1.54.0 [net]\n";
        let found = banned(&BANS[0], &package("wire-core", &[]), &names_in_tree(tree));
        assert_eq!(whats(&found), ["wire-core/Cargo.toml: wire-core depends on tokio"]);
    }

    #[test]
    fn node_knows_no_json_and_rpc_no_keys() {
        assert_eq!(
            direct("oddwire-node", &[("serde_json", Value::Null)]),
            ["oddwire-node/Cargo.toml: oddwire-node depends on serde_json"]
        );
        assert_eq!(
            direct("oddwire-rpc", &[("secp256k1", json!("build"))]),
            ["oddwire-rpc/Cargo.toml: oddwire-rpc depends on secp256k1"]
        );
    }

    #[test]
    fn what_tests_use_is_free() {
        assert!(direct("oddwire-node", &[("serde_json", json!("dev"))]).is_empty());
    }

    #[test]
    fn nothing_depends_on_the_edge_not_even_in_tests() {
        let found = edges(&[package("oddwire-node", &[("oddwire-fuzz", json!("dev"))])]);
        assert_eq!(whats(&found), ["oddwire-node/Cargo.toml: oddwire-node depends on oddwire-fuzz"]);
    }

    #[test]
    fn the_readme_and_every_manifest_state_one_compiler() {
        let mut packages = vec![package("wire-core", &[]), package("oddwire-node", &[])];
        assert!(rust_versions(&packages, "needs Rust 1.95 or newer").is_empty());
        assert_eq!(
            whats(&rust_versions(&packages, "needs Rust 1.80")),
            ["README.md: does not say \"Rust 1.95\""]
        );
        packages[1].rust_version = None;
        assert_eq!(rust_versions(&packages, "Rust 1.95").len(), 1);
    }
}
