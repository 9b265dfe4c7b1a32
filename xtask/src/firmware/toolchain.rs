//! What builds the image: rustup's target, or Debian's second toolchain; the C compiler; the decoder of its logs.
//!
//! All that is built or installed for it lies in `target/firmware`, so that it is done once. `.ci/firmware` fetches what
//! Debian has.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use super::Curve;
use crate::run;
use crate::workspace::Workspace;

/// Cortex-M4F, with its floating point in hardware.
const TARGET: &str = "thumbv7em-none-eabihf";
/// Which version of the decoder; it must know the format of the image's defmt.
const DEFMT_PRINT: &str = "defmt-print@1.2.0";

const MISSING: &str = "nothing here builds for a Cortex-M. One of:
  rustup target add thumbv7em-none-eabihf      where rustup can
  .ci/firmware                                 where Debian's packages are; it unpacks them in target/firmware";

/// How images are built.
pub(super) struct Toolchain {
    home: PathBuf,
    kind: Kind,
}

enum Kind {
    /// The target of the toolchain that runs us.
    Rustup,
    /// Debian's compiler, which builds core from its sources.
    Debian(PathBuf),
}

/// Looks for the programs beside the toolchain.
///
/// # Errors
/// One is missing; says what to install.
pub(super) fn programs() -> Result<()> {
    for (program, package) in
        [("qemu-system-arm", "qemu-system-arm"), ("arm-none-eabi-gcc", "gcc-arm-none-eabi")]
    {
        if !run::succeeds(Command::new(program).arg("--version")) {
            bail!("{program} is missing: apt-get install {package}");
        }
    }
    Ok(())
}

impl Toolchain {
    /// Looks for what is there.
    ///
    /// # Errors
    /// Nothing is; says what to install.
    pub(super) fn find(workspace: &Workspace) -> Result<Self> {
        let home = workspace.target().join("firmware");
        let sysroot = run::capture(Command::new("rustc").args(["--print", "sysroot"]))?;
        let debian = home.join("toolchain/usr");
        let kind = if Path::new(sysroot.trim()).join("lib/rustlib").join(TARGET).is_dir() {
            Kind::Rustup
        } else if debian.join("bin/cargo").is_file() {
            Kind::Debian(debian)
        } else {
            bail!("{MISSING}");
        };
        Ok(Self { home, kind })
    }

    /// Builds the images of `wire-core/firmware` and returns the directory where they are.
    pub(super) fn build(&self, workspace: &Workspace, curve: Curve) -> Result<PathBuf> {
        let target = self.home.join(curve.name());
        let mut command = self.cargo("build");
        command.args(["--release", "--no-default-features", "--features", curve.name()]);
        Self::show(workspace, &target, &mut command)?;
        Ok(target.join(TARGET).join("release"))
    }

    /// Clippy over the same, with its warnings as errors.
    pub(super) fn clippy(&self, workspace: &Workspace) -> Result<()> {
        let mut command = self.cargo("clippy");
        command.args(["--", "--deny=warnings"]);
        Self::show(workspace, &self.home.join("clippy"), &mut command)
    }

    /// `cargo` of the toolchain with what it always needs.
    fn cargo(&self, subcommand: &str) -> Command {
        let mut command = match &self.kind {
            Kind::Rustup => Command::new("cargo"),
            // By its own name: cargo would look for it in rustup's directory first.
            Kind::Debian(root) if subcommand == "clippy" => Self::debian(root, "cargo-clippy"),
            Kind::Debian(root) => Self::debian(root, "cargo"),
        };
        command.args([subcommand, "--locked", "--target", TARGET]);
        if let Kind::Debian(_) = self.kind {
            // Of the standard library core alone is built: whoever says `extern crate alloc` does not compile.
            command.arg("-Zbuild-std=core");
        }
        command
    }

    fn show(workspace: &Workspace, target: &Path, command: &mut Command) -> Result<()> {
        command.current_dir(workspace.root().join("wire-core/firmware"));
        command.env("CARGO_TARGET_DIR", target);
        command.env("CARGO_TARGET_THUMBV7EM_NONE_EABIHF_LINKER", "arm-none-eabi-ld");
        for variable in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTUP_TOOLCHAIN"] {
            command.env_remove(variable);
        }
        run::show(command)
    }

    fn debian(root: &Path, program: &str) -> Command {
        let mut command = Command::new(root.join("bin").join(program));
        command.env("CARGO", root.join("bin/cargo"));
        command.env("RUSTC", root.join("bin/rustc"));
        command.env("LD_LIBRARY_PATH", root.join("lib/x86_64-linux-gnu"));
        // A stable compiler that may use `-Z`.
        command.env("RUSTC_BOOTSTRAP", "1");
        command
    }

    /// The decoder of the device's logs, installed where it is missing: a minute and a half, once.
    ///
    /// The program and not the crate `defmt-decoder`, which would bring forty crates into every build of this one.
    pub(super) fn defmt_print(&self, workspace: &Workspace) -> Result<PathBuf> {
        let tools = self.home.join("tools");
        let program = tools.join("bin/defmt-print");
        if !run::succeeds(Command::new(&program).arg("--version")) {
            let root = tools.to_string_lossy().into_owned();
            run::show(&mut workspace.cargo(&["install", "--locked", "--root", &root, DEFMT_PRINT]))?;
        }
        Ok(program)
    }
}
