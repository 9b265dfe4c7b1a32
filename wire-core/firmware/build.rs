//! Hands the linker the memory of the board.

use std::path::PathBuf;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    // As in wire-core, the default wins.
    let with_libsecp256k1 = env::var_os("CARGO_FEATURE_LIBSECP256K1").is_some();
    let memory = if with_libsecp256k1 { "memory/libsecp256k1.x" } else { "memory/k256.x" };
    fs::copy(memory, out.join("memory.x"))?;
    // Where crates of boards say which handlers there are in place of a missing one. `vectors.s` names the one there is.
    fs::write(out.join("device.x"), "")?;
    println!("cargo::rustc-link-search={}", out.display());
    println!("cargo::rerun-if-changed=memory");
    Ok(())
}
