//! `interop`: the Python programs that speak with us as independent code.
//!
//! They stand in `rpc/tests/pyln/`: every `test_*.py` there is a program of its own that ends with status 0 when all of
//! it held. What is in `testing/` below it is a suite for pytest, on pyln-testing, as authors of plugins have them. Their packages, with the versions that `requirements.txt` beside them names, live in a virtual environment
//! under the target directory; nothing is installed into the machine.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

use anyhow::{Context, Result, bail};

use crate::run;
use crate::workspace::Workspace;

const SCRIPTS: &str = "rpc/tests/pyln";

pub(crate) fn interop(workspace: &Workspace) -> Result<()> {
    let directory = workspace.root().join(SCRIPTS);
    let scripts = scripts(&directory).with_context(|| format!("could not list {SCRIPTS}"))?;
    if scripts.is_empty() {
        bail!("{SCRIPTS} holds no test_*.py");
    }
    let python = environment(workspace, &directory.join("requirements.txt"))?;
    run::show(&mut workspace.cargo(&["build", "--package=oddwire-rpc", "--bins", "--locked"]))?;
    let mut failed = Vec::new();
    for script in scripts {
        let mut command = workspace.program(&python);
        command.arg(workspace.relative(&script));
        command.env("ODDWIRED", workspace.binary("oddwired"));
        command.env("ODDWIRE_CLI", workspace.binary("oddwire-cli"));
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        if let Err(error) = run::show(&mut command) {
            failed.push(format!("{error:#}"));
        }
    }
    if let Err(error) = run::show(&mut suite(workspace, &python, &directory.join("testing"))) {
        failed.push(format!("{error:#}"));
    }
    if !failed.is_empty() {
        bail!("{}", failed.join("\n"));
    }
    Ok(())
}

/// The suite on pyln-testing. Its nodes mostly wait for a poll of that library's, so that many can run at a time.
fn suite(workspace: &Workspace, python: &Path, directory: &Path) -> Command {
    let mut command = workspace.program(python);
    let pytest = ["-m", "pytest", "--quiet", "--numprocesses=4", "-p", "no:cacheprovider"];
    command.args(pytest).arg(workspace.relative(directory));
    command.env("ODDWIRED", workspace.binary("oddwired"));
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

fn scripts(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut scripts = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("test_") && name.ends_with(".py") {
            scripts.push(path);
        }
    }
    scripts.sort();
    Ok(scripts)
}

/// The Python of a virtual environment that has what `requirements` names; made once, and again when they change.
fn environment(workspace: &Workspace, requirements: &Path) -> Result<PathBuf> {
    let wanted = fs::read(requirements)
        .with_context(|| format!("could not read {}", workspace.relative(requirements).display()))?;
    let home = workspace.target().join("pyln");
    let python = home.join("bin/python");
    let installed = home.join("installed-requirements.txt");
    if fs::read(&installed).is_ok_and(|there| there == wanted)
        && run::succeeds(workspace.program(&python).arg("--version"))
    {
        println!("virtual environment: {} (as requirements.txt wants it)", home.display());
        return Ok(python);
    }
    // `--clear` also mends an environment whose interpreter has gone, or one that was left half made.
    run::show(workspace.program("python3").args(["-m", "venv", "--clear"]).arg(&home)).context(
        "no virtual environment could be made; Debian and Ubuntu: apt-get install python3 python3-venv",
    )?;
    let pip =
        ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--requirement"];
    run::show(workspace.program(&python).args(pip).arg(requirements)).context(
        "the Python packages could not be installed; this step needs PyPI, or a mirror that pip is set to",
    )?;
    fs::write(&installed, wanted).with_context(|| format!("could not write {}", installed.display()))?;
    Ok(python)
}
