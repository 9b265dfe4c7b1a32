//! The machine that the figures are of.

use std::fs;
use std::thread;

use crate::run;
use crate::workspace::Workspace;

/// Instructions that decide how fast the ciphers are, by their names in `/proc/cpuinfo`.
const FEATURES: [&str; 6] = ["sse2", "avx2", "avx512f", "avx512ifma", "sha_ni", "asimd"];

/// What to say about it: a name and a value each. What this system does not tell is left out.
pub(crate) fn describe(workspace: &Workspace) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    let mut say = |name, value: Option<String>| lines.extend(value.map(|value| (name, value)));
    say("processor", cpuinfo("model name"));
    say("processors", thread::available_parallelism().ok().map(|count| count.to_string()));
    let features: Vec<&str> = FEATURES.into_iter().filter(|feature| has_feature(feature)).collect();
    say("instructions", Some(features.join(", ")));
    say("memory", memory());
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease");
    // The version alone: what follows it is the builder's own name for the build.
    say("kernel", kernel.ok().and_then(|release| Some(release.trim().split('-').next()?.to_owned())));
    say(
        "compiler",
        run::capture(workspace.program("rustc").arg("--version")).ok().map(|line| line.trim().to_owned()),
    );
    let commit = run::capture(workspace.program("git").args(["describe", "--always", "--dirty"]));
    say("commit", commit.ok().map(|line| line.trim().to_owned()));
    lines
}

/// Whether the processor has these instructions, as the kernel names them.
pub(super) fn has_feature(name: &str) -> bool {
    let line = cpuinfo("flags").or_else(|| cpuinfo("Features")).unwrap_or_default();
    line.split_whitespace().any(|flag| flag == name)
}

/// What the kernel says of the first processor.
fn cpuinfo(key: &str) -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn memory() -> Option<String> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let kib: u64 = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?
        .trim()
        .trim_end_matches("kB")
        .trim()
        .parse()
        .ok()?;
    Some(format!("{} GiB", kib.div_ceil(1024 * 1024)))
}
