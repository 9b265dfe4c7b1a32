//! Rust source without what the rules must not trip over: comments, the inside of literals, and test code.
//!
//! The text keeps its length in lines, so that a finding in it has the line of the file.

/// The source with comments and the contents of string and character literals replaced by spaces.
pub(super) fn code_only(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    let mut after_identifier = false;
    while let Some(next) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if !after_identifier && let Some(length) = raw_string(rest) {
            length
        } else if next == '"' {
            quoted(rest, '"')
        } else if next == '\'' {
            character(rest)
        } else {
            0
        };
        if length == 0 {
            code.push(next);
            rest = &rest[next.len_utf8()..];
            after_identifier = next.is_alphanumeric() || next == '_';
        } else {
            code.extend(rest[..length].chars().map(|char| if char == '\n' { '\n' } else { ' ' }));
            rest = &rest[length..];
            after_identifier = false;
        }
    }
    code
}

/// What is left of [`code_only`] when every item under `#[cfg(test)]` is blanked too.
pub(super) fn production_only(code: &str) -> String {
    let mut production = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(start) = ["#[cfg(test)]", "#[cfg(all(test"].iter().filter_map(|mark| rest.find(mark)).min()
    {
        let (before, item) = rest.split_at(start);
        let length = item_length(item);
        production.push_str(before);
        production.extend(item[..length].chars().map(|char| if char == '\n' { '\n' } else { ' ' }));
        rest = &item[length..];
    }
    production.push_str(rest);
    production
}

/// From the first attribute to the `;` or the closing brace of the item.
fn item_length(item: &str) -> usize {
    let mut braces = 0_usize;
    let mut brackets = 0_usize;
    for (at, char) in item.char_indices() {
        match char {
            '[' | '(' => brackets += 1,
            ']' | ')' => brackets = brackets.saturating_sub(1),
            '{' => braces += 1,
            '}' if braces <= 1 => return at + 1,
            '}' => braces -= 1,
            ';' if braces == 0 && brackets == 0 => return at + 1,
            _ => {}
        }
    }
    item.len()
}

fn block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// `r"..."`, `r#"..."#` and so on, with a `b` or `c` before.
fn raw_string(text: &str) -> Option<usize> {
    let after_r = text.strip_prefix(['b', 'c']).unwrap_or(text).strip_prefix('r')?;
    let hashes = after_r.len() - after_r.trim_start_matches('#').len();
    let inside = after_r[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let begin = text.len() - inside.len();
    Some(inside.find(&end).map_or(text.len(), |at| begin + at + end.len()))
}

fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, char) in text.char_indices().skip(1) {
        match char {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if char == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of a character literal, or 0 when the quote begins a lifetime.
fn character(text: &str) -> usize {
    let mut chars = text.chars().skip(1);
    match (chars.next(), chars.next()) {
        (Some('\\'), _) | (Some(_), Some('\'')) => quoted(text, '\''),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked_and_lines_kept() {
        let source =
            "a // unsafe\n/* unsafe /* nested\n */ */ b \"unsafe \\\" \" c r#\"unsafe \" \"# 'u' '\\'' &'a d";
        let code = code_only(source);
        assert_eq!(code.lines().count(), source.lines().count());
        assert!(!code.contains("unsafe") && !code.contains("nested"), "{code}");
        let words: Vec<&str> = code.split_whitespace().collect();
        assert_eq!(words, ["a", "b", "c", "&'a", "d"]);
    }

    #[test]
    fn an_identifier_that_ends_in_r_does_not_begin_a_raw_string() {
        assert_eq!(code_only("concat!(for\"x\") unsafe").trim_end(), "concat!(for   ) unsafe");
    }

    #[test]
    fn test_items_are_blanked_and_what_follows_stays() {
        let code = "fn a() {}\n#[cfg(test)]\nmod tests {\n fn b() { x }\n}\nfn c() {}\n#[cfg(test)]\nmod more;\nfn d() {}";
        let production = production_only(code);
        assert_eq!(production.lines().count(), code.lines().count());
        let words: Vec<&str> = production.split_whitespace().collect();
        assert_eq!(words, ["fn", "a()", "{}", "fn", "c()", "{}", "fn", "d()", "{}"]);
    }
}
