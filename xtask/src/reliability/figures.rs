//! The figures of the last run, as they are kept: `group<TAB>what<TAB>value` a line, in the order in which they came.

use anyhow::{Context, Result};

/// Figures in groups: the machine, each run of a proof, each file that a proof has written.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Figures(Vec<(String, Vec<(String, String)>)>);

impl Figures {
    /// # Errors
    /// A line has not three fields.
    pub(super) fn read(text: &str) -> Result<Self> {
        let mut figures = Self::default();
        for line in text.lines().filter(|line| !line.is_empty()) {
            let fields =
                line.split_once('\t').and_then(|(group, rest)| Some((group, rest.split_once('\t')?)));
            let (group, (what, value)) = fields.with_context(|| format!("no figure: {line}"))?;
            figures.group_mut(group).push((what.to_owned(), value.to_owned()));
        }
        Ok(figures)
    }

    pub(super) fn to_text(&self) -> String {
        let lines = self.0.iter().flat_map(|(group, figures)| {
            figures.iter().map(move |(what, value)| format!("{group}\t{what}\t{value}\n"))
        });
        lines.collect()
    }

    /// Replaces a group.
    pub(super) fn set<'w>(&mut self, group: &str, figures: impl IntoIterator<Item = (&'w str, String)>) {
        *self.group_mut(group) = figures.into_iter().map(|(what, value)| (what.to_owned(), value)).collect();
    }

    /// Replaces a group by what a proof wrote: `what<TAB>value` a line.
    ///
    /// # Errors
    /// A line has not two fields.
    pub(super) fn set_text(&mut self, group: &str, text: &str) -> Result<()> {
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        let pairs =
            lines.map(|line| line.split_once('\t').with_context(|| format!("no figure of {group}: {line}")));
        let pairs: Vec<(&str, &str)> = pairs.collect::<Result<_>>()?;
        self.set(group, pairs.into_iter().map(|(what, value)| (what, value.trim().to_owned())));
        Ok(())
    }

    /// What is known of a group, in order.
    pub(super) fn of(&self, group: &str) -> &[(String, String)] {
        self.0.iter().find(|(name, _)| name == group).map_or(&[], |(_, figures)| figures)
    }

    pub(super) fn get(&self, group: &str, what: &str) -> Option<&str> {
        self.of(group).iter().find(|(name, _)| name == what).map(|(_, value)| value.as_str())
    }

    fn group_mut(&mut self, group: &str) -> &mut Vec<(String, String)> {
        let at = self.0.iter().position(|(name, _)| name == group).unwrap_or_else(|| {
            self.0.push((group.to_owned(), Vec::new()));
            self.0.len() - 1
        });
        &mut self.0[at].1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_again_and_a_group_is_replaced_whole() {
        let text = "machine\tprocessor\tx\nsoak\tlost\t0\nsoak\tsent\t1,000\n";
        let mut figures = Figures::read(text).unwrap();
        assert_eq!(figures.to_text(), text);
        assert_eq!(figures.get("soak", "lost"), Some("0"));
        figures.set_text("soak", "\nsent\t2,000\n").unwrap();
        assert_eq!(figures.to_text(), "machine\tprocessor\tx\nsoak\tsent\t2,000\n");
        assert_eq!(figures.get("soak", "lost"), None);
    }

    #[test]
    fn what_is_no_figure_is_refused() {
        assert!(Figures::read("soak lost 0\n").is_err());
        assert!(Figures::default().set_text("soak", "lost 0\n").is_err());
    }
}
