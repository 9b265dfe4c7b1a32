//! The forms in which an answer is printed, in the shape of `lightning-cli`'s.
//!
//! All of them work on the raw text of the answer: numbers, escapes and the order of members come out as the daemon wrote them.

use std::io::{self, Write};

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::limits::MAX_PRINTED_DEPTH;

#[cfg(test)]
mod tests;

/// Spaces a level.
const INDENT: usize = 3;

/// How the user wants the answer.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Indented.
    Json,
    /// As it came.
    Raw,
    /// Text without quotes and braces.
    Human,
    /// A line a value, with its path.
    Flat,
}

/// Prints a result. Without a form of the user's own, the result's member `format-hint` decides, and the list of methods has
/// a form for itself (`whole_list`).
pub(super) fn result(
    out: &mut impl Write,
    result: &RawValue,
    asked: Option<Form>,
    whole_list: bool,
) -> io::Result<()> {
    if asked == Some(Form::Raw) {
        return writeln!(out, "{}", result.get());
    }
    let mut tree = Tree::parse(result.get(), 0);
    let form = match asked {
        // These show every member.
        Some(form @ (Form::Json | Form::Flat | Form::Raw)) => form,
        Some(Form::Human) => {
            tree.take_format_hint();
            Form::Human
        }
        None => match tree.take_format_hint() {
            _ if whole_list => return method_list(out, &tree),
            Some(r#""simple""#) => Form::Human,
            _ => Form::Json,
        },
    };
    match form {
        Form::Human => human(out, &tree, '\n'),
        Form::Flat => flat(out, "", &tree),
        Form::Json | Form::Raw => {
            indented(out, &tree, 0)?;
            writeln!(out)
        }
    }
}

/// Prints the daemon's refusal: JSON in every form.
pub(super) fn error(out: &mut impl Write, error: &RawValue, asked: Option<Form>) -> io::Result<()> {
    if asked == Some(Form::Raw) {
        return writeln!(out, "{}", error.get());
    }
    indented(out, &Tree::parse(error.get(), 0), 0)?;
    writeln!(out)
}

/// JSON taken apart, with every scalar and key as it was written, quotes included.
#[derive(Debug)]
enum Tree<'a> {
    Scalar(&'a str),
    Array(Vec<Tree<'a>>),
    Object(Vec<(&'a str, Tree<'a>)>),
}

impl<'a> Tree<'a> {
    fn parse(json: &'a str, depth: usize) -> Tree<'a> {
        let json = json.trim();
        if depth < MAX_PRINTED_DEPTH && json.starts_with('[') {
            if let Ok(elements) = serde_json::from_str::<Vec<&RawValue>>(json) {
                return Tree::Array(elements.into_iter().map(|e| Tree::parse(e.get(), depth + 1)).collect());
            }
        } else if depth < MAX_PRINTED_DEPTH
            && json.starts_with('{')
            && let Ok(Members(members)) = serde_json::from_str(json)
        {
            return Tree::Object(
                members.into_iter().map(|(k, v)| (k.get(), Tree::parse(v.get(), depth + 1))).collect(),
            );
        }
        Tree::Scalar(json)
    }

    /// Removes the member that says how the result likes to be shown.
    fn take_format_hint(&mut self) -> Option<&'a str> {
        let Tree::Object(members) = self else { return None };
        let at = members.iter().position(|(key, _)| *key == r#""format-hint""#)?;
        match members.remove(at) {
            (_, Tree::Scalar(hint)) => Some(hint),
            _ => None,
        }
    }

    fn member(&self, name: &str) -> Option<&Tree<'a>> {
        let Tree::Object(members) = self else { return None };
        members.iter().find(|(key, _)| unquoted(key) == name).map(|(_, value)| value)
    }

    fn text(&self) -> &'a str {
        if let Tree::Scalar(text) = self { unquoted(text) } else { "" }
    }
}

/// An object's members in order, raw; a map of serde's would sort them and lose repeated ones.
struct Members<'a>(Vec<(&'a RawValue, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Vec<(&'de RawValue, &'de RawValue)>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(InOrder).map(Members)
    }
}

fn unquoted(text: &str) -> &str {
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)
}

fn indented(out: &mut impl Write, tree: &Tree<'_>, indent: usize) -> io::Result<()> {
    let inner = indent + INDENT;
    match tree {
        Tree::Scalar(text) => write!(out, "{text}"),
        Tree::Array(elements) if elements.is_empty() => write!(out, "[]"),
        Tree::Object(members) if members.is_empty() => write!(out, "{{}}"),
        Tree::Array(elements) => {
            for (index, element) in elements.iter().enumerate() {
                write!(out, "{}\n{:inner$}", if index == 0 { "[" } else { "," }, "")?;
                indented(out, element, inner)?;
            }
            write!(out, "\n{:indent$}]", "")
        }
        Tree::Object(members) => {
            for (index, (key, value)) in members.iter().enumerate() {
                write!(out, "{}\n{:inner$}{key}: ", if index == 0 { "{" } else { "," }, "")?;
                indented(out, value, inner)?;
            }
            write!(out, "\n{:indent$}}}", "")
        }
    }
}

/// Values a line each, `key=value` for members; an object with one member is shown as its value.
fn human(out: &mut impl Write, tree: &Tree<'_>, end: char) -> io::Result<()> {
    match tree {
        Tree::Scalar(text) => human_text(out, text, end),
        Tree::Array(elements) => elements.iter().try_for_each(|element| human(out, element, '\n')),
        Tree::Object(members) => match members.as_slice() {
            [(_, only)] => human(out, only, '\n'),
            members => members.iter().try_for_each(|(key, value)| {
                human_text(out, key, '=')?;
                human(out, value, '\n')
            }),
        },
    }
}

/// A scalar without its quotes. Line ends and tabs are real ones; of every other escape the backslash goes.
fn human_text(out: &mut impl Write, text: &str, end: char) -> io::Result<()> {
    let mut shown = String::with_capacity(text.len() + 1);
    let mut characters = unquoted(text).chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => shown.extend(characters.next().map(|escaped| match escaped {
                'n' => '\n',
                't' => '\t',
                other => other,
            })),
            other => shown.push(other),
        }
    }
    shown.push(end);
    out.write_all(shown.as_bytes())
}

fn flat(out: &mut impl Write, path: &str, tree: &Tree<'_>) -> io::Result<()> {
    match tree {
        Tree::Scalar(text) => writeln!(out, "{path}={}", unquoted(text)),
        Tree::Array(elements) => elements
            .iter()
            .enumerate()
            .try_for_each(|(index, element)| flat(out, &format!("{path}[{index}]"), element)),
        Tree::Object(members) => members.iter().try_for_each(|(key, value)| {
            let dot = if path.is_empty() { "" } else { "." };
            flat(out, &format!("{path}{dot}{}", unquoted(key)), value)
        }),
    }
}

/// The methods with their parameters, in the order of their categories (`developer` last), then of their names.
fn method_list(out: &mut impl Write, tree: &Tree<'_>) -> io::Result<()> {
    let Some(Tree::Array(methods)) = tree.member("help") else { return human(out, tree, '\n') };
    let mut methods: Vec<_> = methods
        .iter()
        .map(|method| {
            let category = method.member("category").map_or("", Tree::text);
            (category == "developer", category, method.member("command").map_or("", Tree::text))
        })
        .collect();
    methods.sort_unstable();
    for (_, _, command) in methods {
        human_text(out, command, '\n')?;
        writeln!(out)?;
    }
    writeln!(out, "---\nrun `oddwire-cli help <command>` for more information on a specific command")
}
