//! The proofs: what each does to the software, its command at both sizes, and the figures that it leaves.

/// A command that ends well only if promises held.
pub(super) struct Proof {
    pub(super) name: &'static str,
    /// What it does, for the reader of the page.
    pub(super) about: &'static str,
    /// Arguments of cargo, for the page that is kept.
    full: &'static [&'static str],
    /// The same for a first look.
    quick: &'static [&'static str],
    /// The files of figures that it writes, without the ending.
    pub(super) figures: &'static [&'static str],
}

impl Proof {
    pub(super) fn command(&self, is_quick: bool) -> &'static [&'static str] {
        if is_quick { self.quick } else { self.full }
    }
}

/// By which name figures are kept: those of a proof's own name stand with its run.
pub(super) fn group(proof: &Proof, file: &str) -> String {
    format!("{}/{file}", proof.name)
}

/// The test that is this proof.
const SLOW_READERS: &str = "slow_readers::each_is_bounded_and_told_and_nobody_else_notices";

pub(super) const PROOFS: &[Proof] = &[
    Proof {
        name: "fuzz",
        about: "libFuzzer looks for inputs that break the code that reads bytes of peers, clients and plugins, or that another \
                implementation or a model answers otherwise.",
        full: &["xtask", "fuzz", "all", "--seconds", "60"],
        quick: &["xtask", "fuzz", "all", "--seconds", "5"],
        figures: &["fuzz"],
    },
    Proof {
        name: "simulation",
        about: "Whole nodes in simulated time, over a network that delays, splits, stalls, resets and corrupts, with nodes that die \
                and come again. A seed is a world; the same seed is the same world.",
        full: &["xtask", "simulate", "--seeds", "3000"],
        quick: &["xtask", "simulate", "--seeds", "100"],
        figures: &["simulation"],
    },
    Proof {
        name: "loom",
        about: "Models of the send queue under every interleaving that the memory model allows.",
        full: &["xtask", "loom"],
        quick: &["xtask", "loom"],
        figures: &[],
    },
    Proof {
        name: "faults",
        about: "Real daemons whose processes, disks, descriptors and clocks fail under them.",
        full: &["test", "--package=oddwire-rpc", "--test=faults"],
        quick: &["test", "--package=oddwire-rpc", "--test=faults"],
        figures: &["faults"],
    },
    Proof {
        name: "load",
        about: "Ten thousand honest peers, and beside them a thousand that send as fast as they can and never read, a thousand that \
                never speak and a thousand that drip a byte a second.",
        full: &["xtask", "load", "--peers", "10000", "--hostile", "1000", "--rounds", "3", "--release"],
        quick: &["xtask", "load", "--peers", "200", "--hostile", "20"],
        figures: &["load"],
    },
    Proof {
        name: "slow-readers",
        about: "Clients, a subscription, a plugin and a peer that do not read what they asked for, beside honest ones.",
        full: &["test", "--package=oddwire-rpc", "--test=plugins", SLOW_READERS],
        quick: &["test", "--package=oddwire-rpc", "--test=plugins", SLOW_READERS],
        figures: &["slow-readers"],
    },
    Proof {
        name: "soak",
        about: "Everything at once: daemons, plugins, clients, subscribers, hostile peers and peers that die, with a number and a \
                checksum in every message.",
        full: &["xtask", "soak", "--minutes", "10", "--release"],
        quick: &["xtask", "soak", "--minutes", "1"],
        figures: &["soak"],
    },
];
