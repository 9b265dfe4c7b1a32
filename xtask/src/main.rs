//! The project's own commands: `cargo xtask COMMAND`.
//!
//! One file per command. Each prints what it runs, how long it took and a summary at the end, reports every finding and
//! not only the first, and exits with a status other than zero when anything failed.
//!
//! Nothing of Oddwire lives here and nothing depends on this crate. It drives the programs a developer would drive by
//! hand (cargo, python3, the built `oddwired`), so that a failure here can be repeated there.

#![forbid(unsafe_code)]

mod bench;
mod ci;
mod conformance;
mod demo;
mod dependencies;
mod features;
mod firmware;
mod fuzz;
mod interop;
mod load;
mod loom;
mod man;
mod needs;
mod patience;
mod reliability;
mod report;
mod run;
mod simulate;
mod soak;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

/// The commands of the project.
#[derive(Parser)]
#[command(name = "cargo xtask", about, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start two nodes on loopback, send a custom message each way, show it, leave nothing behind
    Demo,
    /// Everything that proves the project; CI runs this
    Test(test::Options),
    /// Hold the rules of the house that a program can hold
    Tidy,
    /// Build the firmware image, boot it in QEMU and let it talk with a real oddwired
    Firmware(firmware::Options),
    /// Search all interleavings of the send queue
    Loom,
    /// Thousands of honest peers and thousands of hostile ones at one node
    Load(load::Options),
    /// Run whole nodes in a simulated world, thousands of times, or once with its story
    Simulate(simulate::Options),
    /// Everything at once for some minutes, and a balance of every message
    Soak(soak::Options),
    /// List the fuzz targets, or run one of them
    Fuzz(fuzz::Options),
    /// Run the benchmarks and write the table, the plots and whether the aims are met
    Bench(bench::Options),
    /// Count what CONFORMANCE.md says, or compare it with the text of the specification
    Conformance(conformance::Options),
    /// Run the proofs, and write RELIABILITY.md
    Reliability(reliability::Options),
    /// Make the manual pages
    Man,
    /// Do what CI does, install steps included
    Ci,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = Workspace::find().and_then(|workspace| match arguments.command {
        Command::Demo => demo::demo(&workspace),
        Command::Test(options) => test::test(&workspace, &options),
        Command::Tidy => tidy::tidy(&workspace),
        Command::Firmware(options) => firmware::firmware(&workspace, &options),
        Command::Loom => loom::loom(&workspace),
        Command::Load(options) => load::load(&workspace, &options),
        Command::Simulate(options) => simulate::simulate(&workspace, &options),
        Command::Soak(options) => soak::soak(&workspace, &options),
        Command::Fuzz(options) => fuzz::fuzz(&workspace, &options),
        Command::Bench(options) => bench::bench(&workspace, &options),
        Command::Conformance(options) => conformance::conformance(&workspace, &options),
        Command::Reliability(options) => reliability::reliability(&workspace, &options),
        Command::Man => man::man(&workspace),
        Command::Ci => ci::ci(&workspace),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
