//! What documents claim: that a file is there, and that it defines a function, a type or a test.
//!
//! A link whose text is code, `` [`judge`](wire-core/src/connection/judge.rs) ``, says that the file defines that name; any
//! other link into the checkout says that its target is there. So a document cannot go on naming what was renamed or
//! removed. [`Names`] tells tests from other definitions, for documents that say what holds a promise.
//!
//! Only documents at the top level are looked at, and only links of one line.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::source_text::code_only;
use super::{File, Finding};

/// One link of a document into the checkout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Claim<'t> {
    /// What the target is said to define; `None` for a link in ordinary words.
    pub(crate) name: Option<&'t str>,
    /// From the root.
    pub(crate) path: &'t str,
}

/// The links in a line of Markdown, without those that lead out of the checkout or within the document.
pub(crate) fn claims(line: &str) -> Vec<Claim<'_>> {
    let links = line.match_indices("](").filter_map(|(at, _)| {
        let text = line[..at].rsplit_once('[')?.1;
        let target = line[at + "](".len()..].split_once(')')?.0;
        let path = target.split('#').next().filter(|path| !path.is_empty() && !path.contains("://"))?;
        let name = text.strip_prefix('`').and_then(|text| text.strip_suffix('`'));
        Some(Claim { name, path })
    });
    links.collect()
}

/// What a file says of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Standing {
    /// The file does not define it.
    Unknown,
    /// The file defines it.
    Defined,
    /// The file defines it, and it is a test.
    Test,
}

/// The names that files define. Each file is read when it is first asked for.
pub(crate) struct Names<'f> {
    files: BTreeMap<&'f str, &'f str>,
    read: RefCell<BTreeMap<&'f str, Rc<Definitions>>>,
}

impl<'f> Names<'f> {
    pub(super) fn new(files: &'f [File]) -> Self {
        let files = files.iter().map(|file| (file.path.as_str(), file.text.as_str())).collect();
        Self { files, read: RefCell::default() }
    }

    /// Whether there is such a file, or a directory with files in it.
    fn is_there(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        let is_within = |file: &str| file.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'));
        self.files.contains_key(path) || self.files.keys().any(|file| is_within(file))
    }

    /// What the file at `path` says of `name`, which may be qualified: `CloseReason::farewell`.
    pub(crate) fn standing(&self, path: &str, name: &str) -> Standing {
        let Some((&path, &text)) = self.files.get_key_value(path) else { return Standing::Unknown };
        let known = self.read.borrow().get(path).cloned();
        let definitions = known.unwrap_or_else(|| {
            let read = Rc::new(Definitions::read(path, text));
            self.read.borrow_mut().insert(path, Rc::clone(&read));
            read
        });
        definitions.standing(name)
    }
}

/// What one file defines.
#[derive(Default)]
struct Definitions {
    items: BTreeSet<String>,
    tests: BTreeSet<String>,
    /// What begins a line: the variants and fields of types, among other things.
    beginnings: BTreeSet<String>,
}

/// What precedes a name that is defined, in Rust.
const KEYWORDS: [&str; 9] =
    ["fn", "struct", "enum", "trait", "const", "static", "type", "mod", "macro_rules"];

impl Definitions {
    fn read(path: &str, text: &str) -> Self {
        let mut definitions = Self::default();
        match path.rsplit_once('.').map(|(_, extension)| extension) {
            Some("rs") => definitions.read_rust(&code_only(text)),
            Some("py") => definitions.read_python(text),
            // A lint, a profile, an option.
            Some("toml") => definitions.items.extend(text.lines().filter_map(first_word)),
            _ => {}
        }
        // The bodies of fuzz targets, which the tests run over their corpora and the fuzzer over all the rest.
        if path.starts_with("fuzz/src/") && definitions.items.contains("run") {
            definitions.tests.insert("run".into());
        }
        definitions
    }

    fn read_rust(&mut self, code: &str) {
        // Vectors that are tests under their own names: a macro makes a function of each.
        let makes_tests = code.contains("#[test] fn $");
        let mut is_marked = false;
        for line in code.lines().map(str::trim) {
            let words: Vec<&str> = words(line).collect();
            for pair in words.windows(2).filter(|pair| KEYWORDS.contains(&pair[0])) {
                self.items.insert(pair[1].to_owned());
                if pair[0] == "fn" && (is_marked || marks_test(line)) {
                    self.tests.insert(pair[1].to_owned());
                }
            }
            if makes_tests
                && let [name, ..] = words[..]
                && let Some(rest) = line.strip_prefix(name)
                && rest.trim_start().strip_prefix('=').is_some_and(|rest| !rest.starts_with('='))
            {
                self.tests.insert(name.to_owned());
            }
            self.beginnings.extend(words.iter().find(|word| **word != "pub").map(|word| (*word).to_owned()));
            // Attributes stand above their function, perhaps with comments between, which are blank here.
            is_marked = marks_test(line) || is_marked && (line.is_empty() || line.starts_with("#["));
        }
    }

    fn read_python(&mut self, text: &str) {
        for line in text.lines().map(str::trim_start) {
            let Some(name) = ["def ", "class "].iter().find_map(|keyword| line.strip_prefix(keyword)) else {
                continue;
            };
            let name: String =
                name.chars().take_while(|char| char.is_alphanumeric() || *char == '_').collect();
            if line.starts_with("def test_") {
                self.tests.insert(name.clone());
            }
            self.items.insert(name);
        }
    }

    fn standing(&self, name: &str) -> Standing {
        let (of, last) = name.rsplit_once("::").map_or((None, name), |(of, last)| (Some(of), last));
        let is_part = of.is_some_and(|of| {
            let of = of.rsplit("::").next().unwrap_or(of);
            self.items.contains(of) && self.beginnings.contains(last)
        });
        if self.tests.contains(last) {
            Standing::Test
        } else if self.items.contains(last) || is_part {
            Standing::Defined
        } else {
            Standing::Unknown
        }
    }
}

/// Whether a line of Rust has the attribute of a test, tokio's among them.
fn marks_test(line: &str) -> bool {
    line.contains("#[test]") || line.contains("::test]") || line.contains("::test(")
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|char: char| !char.is_alphanumeric() && char != '_').filter(|word| !word.is_empty())
}

fn first_word(line: &str) -> Option<String> {
    let end = line.find(|char: char| !char.is_alphanumeric() && char != '_' && char != '-')?;
    (end > 0).then(|| line[..end].to_owned())
}

/// Every link of the documents leads to what it names.
pub(super) fn check(files: &[File], names: &Names<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let documents = files.iter().filter(|file| !file.path.contains('/') && file.has_extension(&["md"]));
    for document in documents {
        let mut is_code = false;
        for (number, line) in document.text.lines().enumerate() {
            is_code ^= line.trim_start().starts_with("```");
            let links = if is_code { Vec::new() } else { claims(line) };
            for Claim { name, path } in links {
                let what = match name {
                    _ if !names.is_there(path) => format!("there is no {path}"),
                    Some(name) if names.standing(path, name) == Standing::Unknown => {
                        format!("{path} does not define {name}")
                    }
                    _ => continue,
                };
                findings.push(Finding {
                    path: document.path.clone(),
                    line: number + 1,
                    what,
                    advice: "a document that names what is not there proves nothing; follow the renaming, or write the test",
                });
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(list: &[(&str, &str)]) -> Vec<File> {
        list.iter().map(|(path, text)| File { path: (*path).into(), text: (*text).into() }).collect()
    }

    fn whats(files: &[File]) -> Vec<String> {
        check(files, &Names::new(files))
            .into_iter()
            .map(|one| format!("{}: {}", one.line, one.what))
            .collect()
    }

    #[test]
    fn links_are_found_with_what_they_name() {
        let line = "| [`a`](x/y.rs), [words](x/y.rs#part) | [out](https://e.org/a) [here](#part) f[0](b) |";
        let expected = [
            Claim { name: Some("a"), path: "x/y.rs" },
            Claim { name: None, path: "x/y.rs" },
            Claim { name: None, path: "b" },
        ];
        assert_eq!(claims(line), expected);
    }

    #[test]
    fn a_name_that_is_not_there_is_found() {
        let document = "[`there`](a/b.rs) [`gone`](a/b.rs)\n[`there`](a/c.rs)\n```\n[`gone`](a/b.rs)\n```\n[dir](a) [no](z)\n";
        let files = files(&[("README.md", document), ("a/b.rs", "// fn gone() {}\npub fn there() {}\n")]);
        assert_eq!(
            whats(&files),
            ["1: a/b.rs does not define gone", "2: there is no a/c.rs", "6: there is no z"]
        );
    }

    #[test]
    fn tests_are_told_from_other_functions() {
        let rust = "#[test]\n#[expect(x)]\n// Why.\nfn one() {}\n    #[tokio::test(start_paused = true)]\n    async fn two() {}\n\
                    fn three() {}\nstruct Four;\nenum Five {\n    Six { a: u8 },\n}\nproptest! {\n  #[test]\n  fn seven(b: u8) {}\n}\n";
        let python = "class T:\n    def test_a(self):\n    def helper(self):\n";
        let vectors =
            "macro_rules! v { ($t:ident) => { #[test] fn $t() {} } }\nv! {\n  eight =\n    run(\"e\");\n}\n";
        let files = files(&[
            ("a.rs", rust),
            ("b.py", python),
            ("c.rs", vectors),
            ("fuzz/src/d.rs", "pub fn run() {}"),
            ("e.toml", "panic = \"deny\"\n"),
        ]);
        let names = Names::new(&files);
        for (path, name, expected) in [
            ("a.rs", "one", Standing::Test),
            ("a.rs", "two", Standing::Test),
            ("a.rs", "three", Standing::Defined),
            ("a.rs", "Four", Standing::Defined),
            ("a.rs", "Five::Six", Standing::Defined),
            ("a.rs", "Six", Standing::Unknown),
            ("a.rs", "seven", Standing::Test),
            ("b.py", "test_a", Standing::Test),
            ("b.py", "helper", Standing::Defined),
            ("c.rs", "eight", Standing::Test),
            ("fuzz/src/d.rs", "run", Standing::Test),
            ("e.toml", "panic", Standing::Defined),
            ("e.toml", "deny", Standing::Unknown),
            ("none.rs", "one", Standing::Unknown),
        ] {
            assert_eq!(names.standing(path, name), expected, "{path} {name}");
        }
    }
}
