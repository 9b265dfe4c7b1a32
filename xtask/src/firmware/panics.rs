//! Reads the release image for panics: every call of one that was left in it, with the source that it comes from.
//!
//! - All code of the image is read, called or not, so a peer's input can reach no panic that is not seen here.
//! - None may come from wire-core. Every other one is listed below with the reason why no peer reaches it; one that is not
//!   listed fails the check.
//! - `core::fmt` is called by nobody but the machinery of panics itself.
//!
//! Calls come from the disassembly. As the optimizer puts functions into each other, their source is asked for by address.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail, ensure};

use crate::run;

/// A panic that stays in the image.
struct Known {
    /// In the name of a function that calls it, or of one that this was put into.
    within: &'static str,
    /// In the name of the panic; empty for any.
    panic: &'static str,
    /// Why no peer reaches it.
    why: &'static str,
}

const KNOWN: &[Known] = &[
    Known {
        within: "",
        panic: "panic_const_async_fn_resumed",
        why: "a future that is polled after its end: `board::run` has one, which never ends, and `.await` \
              polls no further than the end",
    },
    Known {
        within: "{closure#0}",
        panic: "core::option::expect_failed",
        why: "the same, where the compiler has made one function of both panics",
    },
    Known {
        within: "crypto_bigint::",
        panic: "",
        why: "the numbers below the crate k256 have sizes that the compiler knows, and so have the shifts and indices",
    },
    Known {
        within: "critical_section::",
        panic: "core::cell::panic_already_borrowed",
        why: "a `RefCell` of the board borrowed twice: critical sections borrow it, and none is in another",
    },
    Known {
        within: "atomic_waker::AtomicWaker",
        panic: "core::option::unwrap_failed",
        why: "the waker that was just stored is missing: its own state says that it is there",
    },
    Known {
        within: "static_cell::",
        panic: "",
        why: "a static taken twice: `main` takes each once, before there is a peer",
    },
    Known {
        within: "__cortex_m_rt_main",
        panic: "core::panicking::panic_fmt",
        why: "as above, in `main` itself",
    },
    Known {
        within: "defmt_semihosting::",
        panic: "core::panicking::panic_fmt",
        why: "a log inside a log: `defmt` takes and gives back its one logger in a critical section",
    },
    Known {
        within: "semihosting::fd::",
        panic: "",
        why: "the emulator opens its output with the number -1; logs of the test alone go there",
    },
    Known {
        within: "secp256k1::context::",
        panic: "",
        why: "the curve's context is larger than its room, which its size in the same version decides, or is \
              in use by another thread, of which there is none",
    },
    Known {
        within: "rustsecp256k1_v0_14_default_",
        panic: "",
        why: "libsecp256k1 finds itself broken: its arguments are checked in Rust before",
    },
];

/// Whose panics are none that could be listed.
const STRICT: &str = "wire_core::";

/// A call of a panic.
struct Site {
    address: String,
    panic: String,
    /// The functions that it is in, the innermost first.
    within: Vec<String>,
}

/// What of [`KNOWN`] the image still has: how often, what and why.
pub(super) type Left = Vec<(usize, String)>;

/// # Errors
/// A panic can be called that is not known, or something is formatted.
pub(super) fn check(image: &Path) -> Result<Left> {
    let code = run::capture(
        Command::new("arm-none-eabi-objdump").args(["-d", "-C", "--no-show-raw-insn"]).arg(image),
    )?;
    let calls = calls(&code);
    ensure!(calls.iter().any(|call| call.to.starts_with("core::panicking::")), "no panic is found at all");
    let sites = sites(&calls);
    let mut addresses = Command::new("arm-none-eabi-addr2line");
    addresses.args(["-a", "-i", "-f", "-C", "-s", "-e"]).arg(image);
    addresses.args(sites.iter().map(|call| call.address));
    let sources = run::capture(&mut addresses)?;
    let sites: Vec<Site> = (sites.iter())
        .zip(chains(&sources))
        .map(|(call, within)| Site {
            address: call.address.to_owned(),
            panic: call.to.to_owned(),
            within: [within, vec![call.from.to_owned()]].concat(),
        })
        .collect();

    let unknown: Vec<String> =
        sites.iter().filter(|site| site.known().is_none()).map(Site::describe).collect();
    if !unknown.is_empty() {
        bail!("the image can panic or format where it must not:\n{}", unknown.join("\n"));
    }
    let left = KNOWN
        .iter()
        .map(|known| (sites.iter().filter(|site| site.is(known)).count(), known.why.to_owned()))
        .filter(|(count, _)| *count > 0);
    Ok(left.collect())
}

impl Site {
    fn known(&self) -> Option<&'static Known> {
        if self.within.iter().any(|function| is_of(function, STRICT)) {
            return None;
        }
        KNOWN.iter().find(|known| self.is(known))
    }

    fn is(&self, known: &Known) -> bool {
        self.panic.contains(known.panic) && self.within.iter().any(|function| function.contains(known.within))
    }

    fn describe(&self) -> String {
        format!("  {}: {} in\n      {}", self.address, self.panic, self.within.join("\n      "))
    }
}

/// A branch from one function to another.
struct Call<'a> {
    address: &'a str,
    from: &'a str,
    to: &'a str,
}

/// All branches that leave their function.
fn calls(code: &str) -> Vec<Call<'_>> {
    let mut from = "";
    let mut calls = Vec::new();
    for line in code.lines() {
        if let Some((_, name)) = line.strip_suffix(">:").and_then(|line| line.split_once(" <")) {
            from = name;
        } else if let Some((address, instruction)) = line.trim_start().split_once(":\t")
            && let Some((_, target)) = instruction.split_once(" <")
            && instruction.starts_with(['b', 'c'])
        {
            let target = target.strip_suffix('>').unwrap_or(target);
            let to = target.rsplit_once("+0x").map_or(target, |(to, _)| to);
            if to != from {
                calls.push(Call { address, from, to });
            }
        }
    }
    calls
}

/// The calls of a panic or of a formatter by anybody but core.
fn sites<'c, 'a>(calls: &'c [Call<'a>]) -> Vec<&'c Call<'a>> {
    let is_core = |name: &str| is_of(name, "core::");
    let mut wanted: BTreeSet<&str> = calls
        .iter()
        .map(|call| call.to)
        .filter(|name| is_of(name, "core::panicking::") || is_of(name, "core::fmt::"))
        .collect();
    // What of core panics itself is as good as a panic.
    loop {
        let more =
            |call: &&Call<'a>| wanted.contains(call.to) && is_core(call.from) && !wanted.contains(call.from);
        let Some(call) = calls.iter().find(more) else { break };
        wanted.insert(call.from);
    }
    calls.iter().filter(|call| wanted.contains(call.to) && !is_core(call.from)).collect()
}

/// Whether a function, or the type whose method it is, lives under this path.
fn is_of(function: &str, path: &str) -> bool {
    function.trim_start_matches(['<', '&', '*', '[']).starts_with(path)
}

/// Of each address the functions that it is in: what `addr2line -a -i -f` says of several.
fn chains(sources: &str) -> Vec<Vec<String>> {
    let mut chains: Vec<Vec<String>> = Vec::new();
    let mut is_function = true;
    for line in sources.lines() {
        if line.starts_with("0x") {
            chains.push(Vec::new());
            is_function = true;
        } else {
            // Names and places take turns.
            if let Some(chain) = chains.last_mut().filter(|_| is_function) {
                chain.push(line.to_owned());
            }
            is_function = !is_function;
        }
    }
    chains
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &str = "
00000100 <wire_core::frame::seal>:
     100:\tbl\t200 <core::slice::index::slice_index_fail>
     104:\tbl\t400 <memcpy>
     108:\tb.n\t102 <wire_core::frame::seal+0x2>
00000200 <core::slice::index::slice_index_fail>:
     200:\tb.w\t300 <core::panicking::panic_fmt>
00000250 <device::main>:
     250:\tcbz\tr0, 300 <core::panicking::panic_fmt+0x2>
     252:\tbl\t500 <<usize as core::fmt::Display>::fmt>
     254:\tldr\tr0, [pc, #4]\t@ (25a <core::panicking::panic_fmt>)
";

    #[test]
    fn calls_of_panics_are_found_through_core() {
        let calls = calls(CODE);
        let found: Vec<_> = sites(&calls).iter().map(|call| (call.address, call.from)).collect();
        assert_eq!(found, [("100", "wire_core::frame::seal"), ("250", "device::main")]);
    }

    #[test]
    fn a_panic_of_wire_core_is_never_known() {
        let site = |within: &[&str]| Site {
            address: "100".into(),
            panic: "core::panicking::panic_const::panic_const_async_fn_resumed".into(),
            within: within.iter().map(ToString::to_string).collect(),
        };
        assert!(site(&["device::live"]).known().is_some());
        assert!(site(&["<wire_core::frame::Sealer>::seal", "device::live"]).known().is_none());
        // A type of wire-core as a parameter is not wire-core.
        assert!(site(&["<static_cell::StaticCell<wire_core::Local>>::take"]).known().is_some());
    }

    #[test]
    fn a_chain_ends_where_the_next_address_begins() {
        let sources = "0x00000100\nwire_core::a\na.rs:1\ndevice::b\nb.rs:2\n0x00000200\n??\n??:0\n";
        assert_eq!(chains(sources), [vec!["wire_core::a", "device::b"], vec!["??"]]);
    }
}
