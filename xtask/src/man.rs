//! `cargo xtask man`: the manual pages, out of what the programs say of themselves.
//!
//! The pages are made by an example of `oddwire-rpc`, which sees the options and the methods; nothing of them is here.

use anyhow::Result;

use crate::run;
use crate::workspace::Workspace;

pub(crate) fn man(workspace: &Workspace) -> Result<()> {
    let directory = workspace.target().join("man");
    let example = ["run", "--quiet", "--locked", "--package=oddwire-rpc", "--example=man", "--"];
    run::show(workspace.cargo(&example).arg(&directory))?;
    println!("read one with: man -l {}", directory.join("oddwired.8").display());
    Ok(())
}
