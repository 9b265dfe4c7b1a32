//! What the daemon says while a call runs: remarks (`# text`) and progress bars, on standard output as `lightning-cli` does.

use std::io::{self, Write};

use serde::Deserialize;

use crate::client::Notification;
use crate::log::Level;

/// Characters of a whole bar.
const BAR_LEN: u64 = 59;

/// Prints notifications. Output that cannot be written is left out: the answer is what the user asked for.
#[derive(Debug)]
pub(super) struct Progress {
    from: Level,
    bar_is_open: bool,
}

impl Progress {
    pub(super) fn new(from: Level) -> Progress {
        Progress { from, bar_is_open: false }
    }

    pub(super) fn show(&mut self, notification: &Notification) {
        let Notification::Message { method, params } = notification else { return };
        let mut out = io::stdout().lock();
        let _ = match method.as_str() {
            "message" => self.remark(&mut out, params.get()),
            "progress" => self.bar(&mut out, params.get()),
            _ => Ok(()),
        };
    }

    /// Leaves the cursor at the start of a line.
    pub(super) fn end(self) {
        if self.bar_is_open {
            let _ = writeln!(io::stdout());
        }
    }

    fn remark(&mut self, out: &mut impl Write, params: &str) -> io::Result<()> {
        #[derive(Deserialize)]
        struct Remark {
            level: String,
            message: String,
        }
        let Ok(Remark { level, message }) = serde_json::from_str(params) else { return Ok(()) };
        if level.parse::<Level>().is_ok_and(|level| level >= self.from) {
            if std::mem::take(&mut self.bar_is_open) {
                writeln!(out)?;
            }
            writeln!(out, "# {message}")?;
        }
        Ok(())
    }

    fn bar(&mut self, out: &mut impl Write, params: &str) -> io::Result<()> {
        #[derive(Deserialize)]
        struct Count {
            num: u32,
            total: u32,
        }
        #[derive(Deserialize)]
        struct Bar {
            #[serde(flatten)]
            count: Count,
            stage: Option<Count>,
        }
        let Ok(Bar { count: Count { num, total }, stage }) = serde_json::from_str(params) else {
            return Ok(());
        };
        let width = |total: u32| total.to_string().len();
        write!(out, "\r# ")?;
        if let Some(Count { num, total }) = stage {
            write!(out, "Stage {:>1$}/{total} ", u64::from(num) + 1, width(total))?;
        }
        // Counted from zero: the last of N is N - 1.
        let steps = u64::from(total.saturating_sub(1)).max(1);
        let done = usize::try_from(BAR_LEN * u64::from(num).min(steps) / steps).unwrap_or_default();
        let left = usize::try_from(BAR_LEN).unwrap_or_default() - done;
        write!(out, "{:>1$}/{total} |{2:=<done$}{2: <left$}|", u64::from(num) + 1, width(total), "")?;
        self.bar_is_open = u64::from(num) + 1 != u64::from(total);
        if self.bar_is_open { out.flush() } else { writeln!(out) }
    }
}

#[cfg(test)]
mod tests {
    use super::Progress;
    use crate::log::Level;

    #[test]
    fn remarks_below_the_level_are_left_out() {
        let (mut out, mut progress) = (Vec::new(), Progress::new(Level::Unusual));
        progress.remark(&mut out, r#"{"level":"info","message":"quiet"}"#).unwrap();
        progress.remark(&mut out, r#"{"level":"broken","message":"loud"}"#).unwrap();
        progress.remark(&mut out, r#"{"level":"unheard"}"#).unwrap();
        assert_eq!(out, b"# loud\n");
    }

    #[test]
    fn a_bar_grows_on_one_line_and_a_remark_starts_the_next() {
        let (mut out, mut progress) = (Vec::new(), Progress::new(Level::Info));
        progress.bar(&mut out, r#"{"num":1,"total":10,"stage":{"num":0,"total":2}}"#).unwrap();
        progress.remark(&mut out, r#"{"level":"info","message":"now"}"#).unwrap();
        progress.bar(&mut out, r#"{"num":9,"total":10}"#).unwrap();
        let (part, whole) = (format!("{:<59}", "======"), "=".repeat(59));
        let expected = format!("\r# Stage 1/2  2/10 |{part}|\n# now\n\r# 10/10 |{whole}|\n");
        assert_eq!(String::from_utf8(out).unwrap(), expected);
        progress.bar(&mut Vec::new(), r#"{"num":0,"total":0}"#).unwrap();
    }
}
