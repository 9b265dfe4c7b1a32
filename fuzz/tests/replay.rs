//! Every input of every corpus, with the ordinary compiler: what fuzzing has found once stays found.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what the tests share is test code as well")]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use oddwire_fuzz::{TARGETS, Target};

fn corpora() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

fn names_in(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory)
        .unwrap_or_else(|error| panic!("{}: {error}", directory.display()))
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Runs the target over its corpus and names every input that breaks it, not only the first.
fn replay(target: &Target) {
    let directory = corpora().join(target.name);
    let inputs = names_in(&directory);
    assert!(!inputs.is_empty(), "the corpus of {} is empty", target.name);
    let broken: Vec<&String> = inputs
        .iter()
        .filter(|name| {
            let input = fs::read(directory.join(name)).unwrap();
            catch_unwind(AssertUnwindSafe(|| (target.run)(&input))).is_err()
        })
        .collect();
    assert!(
        broken.is_empty(),
        "{} of {} inputs break {}: {broken:?}",
        broken.len(),
        inputs.len(),
        target.name
    );
}

fn target(name: &str) -> &'static Target {
    TARGETS.iter().find(|target| target.name == name).unwrap()
}

macro_rules! replays {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                replay(target(stringify!($name)));
            }
        )*

        #[test]
        fn every_target_is_replayed_and_has_a_corpus_and_an_entry_point() {
            let targets: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(targets, [$(stringify!($name)),*]);
            assert_eq!(names_in(&corpora()), targets);
            let entry_points: Vec<String> = targets.iter().map(|name| format!("{name}.rs")).collect();
            assert_eq!(names_in(&corpora().with_file_name("fuzz_targets")), entry_points);
        }
    };
}

replays!(connection decoders deframer handshake init json_rpc messages onion parameters plugin sealing send_queue tlv transport);

/// Every input that has a name, cut short at some lengths, and with each of a few bytes changed: cheap neighbours of the corpus
/// that the ordinary tests can afford. Those that libFuzzer has found are called by digits; it has tried their neighbours.
#[test]
fn neighbours_of_the_corpus_break_nothing() {
    for target in TARGETS {
        let directory = corpora().join(target.name);
        let is_found = |name: &str| name.bytes().all(|byte| byte.is_ascii_hexdigit());
        for name in names_in(&directory).into_iter().filter(|name| !is_found(name)) {
            let input = fs::read(directory.join(name)).unwrap();
            let step = input.len().div_ceil(32).max(1);
            for place in (0..input.len()).step_by(step) {
                (target.run)(&input[..place]);
                let mut changed = input.clone();
                changed[place] ^= 0x81;
                (target.run)(&changed);
            }
        }
    }
}
