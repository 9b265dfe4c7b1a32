//! Rules about Rust source: where unsafe stands, what a module starts with, how long it may be, what must not be left in.

use super::source_text::{code_only, production_only};
use super::{File, Finding};

/// Lines of production code in a file: beyond it the file has become two things.
const PRODUCTION_LINES: usize = 600;
/// Lines of a file with its tests.
const ALL_LINES: usize = 700;

/// The only places for unsafe code. A new one is a decision, made here and in ARCHITECTURE.md.
const UNSAFE_STANDS_IN: [&str; 6] = [
    // Registers and interrupts of the board that firmware is tested on.
    "wire-core/firmware/src/bin/device/board.rs",
    "node/src/send_queue.rs",
    "node/src/send_queue/",
    // An allocator that counts: the only way to see that a warm queue does not allocate.
    "node/tests/allocation.rs",
    "wire-core/src/cipher/lanes.rs",
    "wire-core/src/cipher/lanes/",
];

/// The portable twin, which firmware uses, and what it shares with the kernels: no place for unsafe code.
const SAFE_AMONG_THEM: [&str; 2] =
    ["wire-core/src/cipher/lanes/portable.rs", "wire-core/src/cipher/lanes/rounds.rs"];

/// Roots of crates that have unsafe code in one place, where the compiler is told to expect it.
const DENIES_UNSAFE: [&str; 1] = ["wire-core/src/lib.rs"];

/// Roots of crates and programs that rule unsafe code out altogether.
const FORBIDS_UNSAFE: [&str; 7] = [
    "wire-core/firmware/src/lib.rs",
    "rpc/src/lib.rs",
    "rpc/src/bin/oddwired.rs",
    "rpc/src/bin/oddwire-cli.rs",
    "benches/src/lib.rs",
    "fuzz/src/lib.rs",
    "xtask/src/main.rs",
];

/// A comparison of an authenticator that may take any time: whether anything follows an onion is for its reader to know.
const COMPARED_IN_ANY_TIME: [&str; 1] = ["next_hmac == [0; ONION_HMAC_LEN]"];

/// What must not be left in production code; the lints of clippy say the same, but not in every target.
const LEFTOVERS: [&str; 6] = ["todo!", "unimplemented!", "dbg!", ".unwrap()", ".expect(", "panic!("];

pub(super) fn check(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| file.has_extension(&["rs"])) {
        let code = code_only(&file.text);
        findings.extend(unsafe_out_of_place(file, &code));
        findings.extend(module_docs(file));
        findings.extend(size(file, &code));
        findings.extend(leftovers(file, &code));
        findings.extend(compared_byte_by_byte(file, &code));
    }
    for root in FORBIDS_UNSAFE {
        findings.extend(rules_out_unsafe(root, files, "#![forbid(unsafe_code)]"));
    }
    for root in DENIES_UNSAFE {
        findings.extend(rules_out_unsafe(root, files, "#![deny(unsafe_code)]"));
    }
    findings
}

fn finding(file: &File, line: usize, what: impl Into<String>, advice: &'static str) -> Finding {
    Finding { path: file.path.clone(), line, what: what.into(), advice }
}

fn unsafe_out_of_place(file: &File, code: &str) -> Vec<Finding> {
    let is_among =
        |place: &&str| file.path == **place || place.ends_with('/') && file.path.starts_with(*place);
    if UNSAFE_STANDS_IN.iter().any(is_among) && !SAFE_AMONG_THEM.iter().any(is_among) {
        return Vec::new();
    }
    lines_with_word(code, "unsafe")
        .map(|line| {
            finding(
                file,
                line,
                "unsafe code",
                "only the send queue and the vector kernels have it; write it safely or argue for a new place in ARCHITECTURE.md",
            )
        })
        .collect()
}

fn rules_out_unsafe(root: &str, files: &[File], attribute: &str) -> Option<Finding> {
    let file = files.iter().find(|file| file.path == root);
    if file.is_some_and(|file| code_only(&file.text).contains(attribute)) {
        return None;
    }
    Some(Finding {
        path: root.to_owned(),
        line: 0,
        what: format!("no {attribute}"),
        advice: "the compiler should hold what the layer promises; add it",
    })
}

fn module_docs(file: &File) -> Option<Finding> {
    let mut lines = file.text.lines().map(str::trim);
    let first = lines.find(|line| !line.is_empty() && !line.starts_with("#!["));
    // `foo/tests.rs` is about what `foo.rs` has described.
    if first.is_some_and(|line| line.starts_with("//!")) || file.path.ends_with("/tests.rs") {
        return None;
    }
    Some(finding(
        file,
        1,
        "no //! at the start",
        "a newcomer reads there what lives in the module, what does not, and its contract; write it",
    ))
}

fn size(file: &File, code: &str) -> Option<Finding> {
    const ADVICE: &str =
        "a file this long has become two things; divide it, or move its tests to a file of their own";
    let all = file.text.lines().count();
    if all > ALL_LINES {
        return Some(finding(file, 0, format!("{all} lines, at most {ALL_LINES}"), ADVICE));
    }
    let test_code = code.lines().zip(production_only(code).lines()).filter(|(all, kept)| all != kept).count();
    let production = all - test_code;
    (!is_test(&file.path) && production > PRODUCTION_LINES).then(|| {
        finding(file, 0, format!("{production} lines without tests, at most {PRODUCTION_LINES}"), ADVICE)
    })
}

fn leftovers(file: &File, code: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in file.text.lines().enumerate() {
        if ["TODO", "FIXME", "XXX"].iter().any(|mark| has_word(line, mark))
            && !file.path.starts_with("xtask/")
        {
            findings.push(finding(
                file,
                number + 1,
                "a note to self",
                "do it now, or file an issue and leave it out",
            ));
        }
    }
    if is_test(&file.path) {
        return findings;
    }
    for (number, line) in production_only(code).lines().enumerate() {
        for leftover in LEFTOVERS.iter().filter(|leftover| line.contains(**leftover)) {
            findings.push(finding(
                file,
                number + 1,
                format!("{leftover} in production code"),
                "nothing that a peer or a client sends may end the process; return an error",
            ));
        }
    }
    findings
}

/// Tags and HMACs under the operators of comparison, which stop at the first byte that differs.
fn compared_byte_by_byte(file: &File, code: &str) -> Vec<Finding> {
    if !file.path.starts_with("wire-core/src/") || is_test(&file.path) {
        return Vec::new();
    }
    let is_authenticator = |operand: &str| {
        let mut words = operand.split(|char: char| !char.is_alphanumeric() && char != '_');
        !operand.contains("len()")
            && words.any(|word| word.split('_').any(|part| ["tag", "tags", "mac", "hmac"].contains(&part)))
    };
    let compares = |line: &str| {
        let mut operators = line.match_indices("==").chain(line.match_indices("!="));
        operators.any(|(at, operator)| {
            let left = line[..at].split_whitespace().next_back().unwrap_or_default();
            let right = line[at + operator.len()..].split_whitespace().next().unwrap_or_default();
            is_authenticator(left) || is_authenticator(right)
        })
    };
    let production = production_only(code);
    let lines = production.lines().enumerate();
    let found = lines
        .filter(|(_, line)| compares(line) && !COMPARED_IN_ANY_TIME.iter().any(|known| line.contains(known)));
    found
        .map(|(number, _)| {
            finding(
                file,
                number + 1,
                "an authenticator is compared byte by byte",
                "the time would tell how much of a forgery is right; compare with `subtle`, or as a `Secret`",
            )
        })
        .collect()
}

/// Tests in files of their own, benchmarks and fuzz bodies may panic: it is how they fail.
fn is_test(path: &str) -> bool {
    let (crate_name, inside) = path.split_once('/').unwrap_or(("", path));
    ["benches", "fuzz"].contains(&crate_name)
        || inside.starts_with("tests/")
        || inside.starts_with("examples/")
        // All of it is built for tests alone.
        || inside.starts_with("src/simulation")
        || inside.contains("/tests/")
        || inside.ends_with("/tests.rs")
        || inside.ends_with("_tests.rs")
}

fn lines_with_word<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    text.lines().enumerate().filter(move |(_, line)| has_word(line, word)).map(|(number, _)| number + 1)
}

fn has_word(line: &str, word: &str) -> bool {
    line.split(|char: char| !char.is_alphanumeric() && char != '_').any(|candidate| candidate == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whats(path: &str, text: &str) -> Vec<String> {
        let file = File { path: path.into(), text: text.into() };
        check(&[file])
            .into_iter()
            .filter(|finding| finding.path == path)
            .map(|finding| format!("{}: {}", finding.line, finding.what))
            .collect()
    }

    #[test]
    fn unsafe_code_stands_in_the_send_queue_and_the_kernels_alone() {
        let text = "//! Doc.\n// unsafe in a comment\nfn a() { unsafe { b() } }\n#[expect(unsafe_code)]\n";
        assert_eq!(whats("node/src/peer.rs", text), ["3: unsafe code"]);
        assert_eq!(whats("node/src/send_queue_of_mine.rs", text), ["3: unsafe code"]);
        assert_eq!(whats("wire-core/src/cipher.rs", text), ["3: unsafe code"]);
        assert_eq!(whats("wire-core/src/cipher/lanes/portable.rs", text), ["3: unsafe code"]);
        assert!(whats("node/src/send_queue.rs", text).is_empty());
        assert!(whats("node/src/send_queue/frame.rs", text).is_empty());
        assert!(whats("wire-core/src/cipher/lanes/avx2.rs", text).is_empty());
    }

    #[test]
    fn a_root_that_lets_unsafe_code_in_is_found() {
        assert_eq!(whats("fuzz/src/lib.rs", "//! Doc.\n"), ["0: no #![forbid(unsafe_code)]"]);
        assert!(whats("fuzz/src/lib.rs", "//! Doc.\n#![forbid(unsafe_code)]\n").is_empty());
        assert_eq!(whats("wire-core/src/lib.rs", "//! Doc.\n#![no_std]\n"), ["0: no #![deny(unsafe_code)]"]);
        assert!(whats("wire-core/src/lib.rs", "//! Doc.\n#![deny(unsafe_code)]\n").is_empty());
    }

    #[test]
    fn a_module_starts_with_its_doc() {
        assert_eq!(whats("node/src/a.rs", "use b;\n//! Late.\n"), ["1: no //! at the start"]);
        assert!(whats("node/src/a.rs", "#![no_std]\n\n//! Doc.\n").is_empty());
        assert!(whats("node/src/a/tests.rs", "use b;\n").is_empty());
    }

    #[test]
    fn a_long_file_is_found_and_tests_count_only_to_the_hard_limit() {
        let production = format!("//! Doc.\n{}", "fn a() {}\n".repeat(600));
        assert_eq!(whats("node/src/a.rs", &production), ["0: 601 lines without tests, at most 600"]);
        let tests = format!("//! Doc.\n#[cfg(test)]\nmod tests {{\n{}}}\n", "fn a() {}\n".repeat(650));
        assert!(whats("node/src/a.rs", &tests).is_empty());
        let hard = format!("//! Doc.\n{}", "fn a() {}\n".repeat(700));
        assert_eq!(whats("node/tests/a.rs", &hard), ["0: 701 lines, at most 700"]);
    }

    #[test]
    fn a_tag_that_is_compared_byte_by_byte_is_found() {
        let found = |line: &str| !whats("wire-core/src/a.rs", &format!("//! Doc.\n{line}\n")).is_empty();
        for line in [
            "if *tag == expected {",
            "if computed != self.tag {",
            "(given_hmac!=b) ;",
            "a == hmac(&key, &[b])",
        ] {
            assert!(found(line), "{line}");
        }
        for line in [
            "if next_hmac == [0; ONION_HMAC_LEN] {",
            "Some((body, tag)) if body.len() == len.get() => x,",
            "assert!(TAG_LEN == 16);",
            "if tag.len() == 16 {",
            "if !same_tag(&tag, given) {",
            "#[cfg(test)]\nmod tests { fn a() { tag == b } }",
        ] {
            assert!(!found(line), "{line}");
        }
        assert!(whats("wire-core/src/a/tests.rs", "//! Doc.\nif tag == b {}\n").is_empty());
    }

    #[test]
    fn leftovers_are_found_outside_tests() {
        let text = "//! Doc with .unwrap() in it.\nfn a() { b.unwrap() }\n#[cfg(test)]\nmod tests { fn c() { d.unwrap() } }\n";
        assert_eq!(whats("rpc/src/a.rs", text), ["2: .unwrap() in production code"]);
        assert!(whats("rpc/tests/a.rs", text).is_empty());
        assert!(whats("rpc/src/a/tests.rs", text).is_empty());
        assert!(whats("node/src/simulation/site.rs", text).is_empty());
        assert_eq!(whats("rpc/tests/a.rs", "//! Doc.\n// TODO: later\n"), ["2: a note to self"]);
    }
}
