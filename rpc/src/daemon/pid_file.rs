//! `--pid-file`: a file with our process id for programs that look for one. What keeps a second daemon away is the lock of
//! [`Claim`](super::directory::Claim), not this.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The file, until it is dropped.
#[derive(Debug)]
pub(super) struct PidFile {
    path: PathBuf,
}

impl PidFile {
    /// Writes the file, over one that was left behind.
    ///
    /// # Errors
    /// The system refuses.
    pub(super) fn write(path: &Path) -> io::Result<PidFile> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o640).open(path)?;
        writeln!(file, "{}", std::process::id())?;
        Ok(PidFile { path: path.to_owned() })
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // Somebody else may have removed it.
        let _ = fs::remove_file(&self.path);
    }
}
