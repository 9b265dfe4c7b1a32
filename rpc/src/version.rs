//! The version that `--version`, `getinfo` and the log show.

/// Clients choose their ways by Core Lightning's version, so the one whose calls we speak comes first; our own follows.
pub const VERSION: &str = concat!("v26.06-oddwire-", env!("CARGO_PKG_VERSION"));

/// A version such as `v25.12` as a number that grows with it; `None` if it does not look like one.
pub(crate) fn number(version: &str) -> Option<u32> {
    let (year, rest) = version.strip_prefix('v')?.split_once('.')?;
    let month = rest.get(..2)?;
    Some(year.parse::<u8>().ok().map(u32::from)? * 100 + month.parse::<u8>().ok().map(u32::from)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_grow() {
        assert_eq!(number("v25.12"), Some(2512));
        assert_eq!(number(VERSION), Some(2606));
        assert!([number("26.06"), number("v26"), number("v26.x6"), number("")].iter().all(Option::is_none));
    }
}
