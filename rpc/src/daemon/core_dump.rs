//! No picture of our memory for others: the node's key and its peers' messages are in it.
//!
//! Linux makes no core dump of a process that is not "dumpable", neither into a file nor for a program that collects them
//! (which the limit of a core's size would not hold back), and lets no other process of the same user attach to it or read
//! its memory; plugins are such processes. It is not inherited, so plugins crash as they always did.
//!
//! Memory is not locked against being swapped out: every connection has keys, and with thousands of peers that is more than
//! systems let a process lock. Encrypt the swap.

use std::io;

use crate::service::Audience;

/// Makes the process one of which the system keeps no picture. Developers want pictures, and to attach a debugger: for them
/// nothing changes. To be called before the key, or its passphrase, is read.
///
/// # Errors
/// The system refuses.
pub(super) fn refuse(audience: Audience) -> io::Result<()> {
    match audience {
        Audience::Users => refuse_for_good(),
        Audience::Developers => Ok(()),
    }
}

#[cfg(target_os = "linux")]
fn refuse_for_good() -> io::Result<()> {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};

    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(())
}

/// Elsewhere there is the limit of a core's size, which plugins inherit; they may raise it again.
#[cfg(not(target_os = "linux"))]
fn refuse_for_good() -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    setrlimit(Resource::Core, Rlimit { current: Some(0), ..getrlimit(Resource::Core) })?;
    Ok(())
}
