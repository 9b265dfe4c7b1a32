//! The `filter` of a request: which members of the result the client wants to see.
//!
//! `{"peers":[{"id":true}]}` keeps the ids of the peers. A filter is a tree of objects and one-element arrays with `true` at
//! its leaves. What it does not name is left out. Core Lightning's oddities are part of it: a leaf lets every element of an
//! array and everything inside those through, but of an object only the members that are containers; where the filter has an
//! object and the result an array (or the other way round), nothing is kept there and a member
//! `warning_parameter_filter` says so.

use std::collections::BTreeMap;

use crate::json_writer::object;
use crate::limits::MAX_FILTER_DEPTH;
use crate::params::BadParam;
use crate::tokenizer::Kind;
use crate::value::{Document, Value};

#[cfg(test)]
mod tests;

/// A filter, ready to be applied to results.
#[derive(Debug, Clone)]
pub(crate) struct Filter {
    /// The root first. No deeper than [`MAX_FILTER_DEPTH`].
    nodes: Vec<Node>,
}

#[derive(Debug, Clone)]
enum Node {
    /// `true`, `{}` or an array's scalar: no conditions.
    Leaf,
    /// The elements of an array, all alike.
    Elements(usize),
    /// The members of an object.
    Members(BTreeMap<String, usize>),
}

impl Filter {
    /// Reads a filter from a request.
    ///
    /// # Errors
    /// Which part of it is wrong, and how.
    pub(crate) fn parse(filter: Value<'_>) -> Result<Filter, BadParam<'_>> {
        if filter.kind() != Kind::Object {
            return Err(BadParam { problem: "Expected object", value: filter });
        }
        // A work list, not recursion: a client may nest as deep as its request is long. Children are pushed last first, so
        // that they are looked at in the order of the text and the first mistake is the one that is told.
        let mut nodes = vec![Node::Leaf];
        let mut work = vec![Part { value: filter, place: Place::Member, node: Some(0), depth: 0 }];
        while let Some(part) = work.pop() {
            let grow = |nodes: &mut Vec<Node>| {
                (part.depth < MAX_FILTER_DEPTH && part.node.is_some()).then(|| {
                    nodes.push(Node::Leaf);
                    nodes.len().saturating_sub(1)
                })
            };
            let depth = part.depth.saturating_add(1);
            let node = match part.value.kind() {
                Kind::Array => {
                    let (1, Some(value)) = (part.value.len(), part.value.items().next()) else {
                        return Err(BadParam {
                            problem: "Arrays can only have one element",
                            value: part.value,
                        });
                    };
                    let node = grow(&mut nodes);
                    work.push(Part { value, place: Place::Element, node, depth });
                    node.map(Node::Elements)
                }
                Kind::Object => {
                    let mut members = BTreeMap::new();
                    let first_child = work.len();
                    for (key, value) in part.value.members() {
                        let node = grow(&mut nodes);
                        if let Some(node) = node {
                            // The first of two equal keys counts; the second must be well-formed all the same.
                            members.entry(key.raw().to_owned()).or_insert(node);
                        }
                        work.push(Part { value, place: Place::Member, node, depth });
                    }
                    work.get_mut(first_child..).unwrap_or_default().reverse();
                    (!members.is_empty()).then_some(Node::Members(members))
                }
                _ if part.place == Place::Member && part.value.as_bool() != Some(true) => {
                    return Err(BadParam { problem: "value must be true", value: part.value });
                }
                // Of an array's element Core Lightning looks no closer, either.
                _ => None,
            };
            if let (Some(node), Some(slot)) = (node, part.node.and_then(|index| nodes.get_mut(index))) {
                *slot = node;
            }
        }
        Ok(Filter { nodes })
    }

    /// What is left of a result, which is a JSON object of our own making.
    pub(crate) fn apply(&self, result: &str) -> String {
        let document = Document::parse(result);
        let Some(root) = document.as_ref().and_then(Document::root) else { return result.to_owned() };
        let mut kept = Kept {
            filter: self,
            text: String::with_capacity(result.len()),
            misused: vec![false; self.nodes.len()],
        };
        kept.members(0, root);
        let mut text = kept.text;
        if let Some(path) = self.first_misuse(0, &kept.misused) {
            let warning = object(|o| o.string("warning_parameter_filter", path));
            // Both are objects: take their braces off and put them together.
            text.truncate(text.len().saturating_sub(1));
            if text.len() > 1 {
                text.push(',');
            }
            text.push_str(warning.get(1..).unwrap_or_default());
        }
        text
    }

    /// About how many bytes of memory it takes up.
    pub(crate) fn held(&self) -> usize {
        // An entry of a map is its key, its child's number and its part of the map's own nodes.
        let entry = |key: &String| key.capacity().saturating_add(3 * size_of::<(String, usize)>());
        let keys = self.nodes.iter().filter_map(|node| match node {
            Node::Members(members) => Some(members.keys().map(entry).sum::<usize>()),
            Node::Leaf | Node::Elements(_) => None,
        });
        self.nodes.capacity().saturating_mul(size_of::<Node>()).saturating_add(keys.sum())
    }

    fn node(&self, index: usize) -> &Node {
        self.nodes.get(index).unwrap_or(&Node::Leaf)
    }

    /// Where the filter does not fit the result, keys in alphabetical order: ` is an array` after the path from this node.
    fn first_misuse(&self, index: usize, misused: &[bool]) -> Option<String> {
        let is_misused = misused.get(index).copied().unwrap_or(false);
        match self.node(index) {
            Node::Elements(_) if is_misused => Some(" is an object".to_owned()),
            _ if is_misused => Some(" is an array".to_owned()),
            Node::Elements(child) => Some(format!("[]{}", self.first_misuse(*child, misused)?)),
            Node::Members(members) => members
                .iter()
                .find_map(|(key, child)| Some(format!(".{key}{}", self.first_misuse(*child, misused)?))),
            Node::Leaf => None,
        }
    }
}

/// A part of a filter that is still to be read.
#[derive(Copy, Clone)]
struct Part<'a> {
    value: Value<'a>,
    place: Place,
    /// What becomes of it; `None` if it is too deep to matter.
    node: Option<usize>,
    depth: usize,
}

#[derive(Copy, Clone, PartialEq, Eq)]
enum Place {
    Member,
    Element,
}

/// A result on its way through the filter. The recursion is as deep as our own results are.
struct Kept<'f> {
    filter: &'f Filter,
    text: String,
    misused: Vec<bool>,
}

impl Kept<'_> {
    fn members(&mut self, index: usize, object: Value<'_>) {
        self.text.push('{');
        for (key, value) in object.members() {
            let is_container = matches!(value.kind(), Kind::Object | Kind::Array);
            let child = match self.filter.node(index) {
                Node::Leaf if is_container => None,
                Node::Members(members) => match members.get(key.raw()) {
                    Some(child) => Some(*child),
                    None => continue,
                },
                Node::Elements(_) if is_container => {
                    self.misuse(index);
                    continue;
                }
                Node::Leaf | Node::Elements(_) => continue,
            };
            self.separate('{');
            self.text.push_str(key.quoted());
            self.text.push(':');
            self.value(child, value);
        }
        self.text.push('}');
    }

    /// A value that is kept; under `None` with all that is in it.
    fn value(&mut self, index: Option<usize>, value: Value<'_>) {
        match (index, value.kind()) {
            (Some(index), Kind::Object) => self.members(index, value),
            (Some(index), Kind::Array) => self.elements(index, value),
            _ => self.text.push_str(value.quoted()),
        }
    }

    fn elements(&mut self, index: usize, array: Value<'_>) {
        self.text.push('[');
        for value in array.items() {
            let is_container = matches!(value.kind(), Kind::Object | Kind::Array);
            let child = match self.filter.node(index) {
                Node::Elements(child) if is_container => Some(*child),
                Node::Members(_) if is_container => {
                    self.misuse(index);
                    continue;
                }
                _ => None,
            };
            self.separate('[');
            self.value(child, value);
        }
        self.text.push(']');
    }

    fn separate(&mut self, opening: char) {
        if !self.text.ends_with(opening) {
            self.text.push(',');
        }
    }

    fn misuse(&mut self, index: usize) {
        if let Some(misused) = self.misused.get_mut(index) {
            *misused = true;
        }
    }
}
