//! A JSON value inside a received text: raw, borrowed, and as Core Lightning looks at it.

use crate::tokenizer::{Kind, Token, Tokenizer};

/// A value of a tokenized text. Nothing in it is unescaped; keys are compared by their raw text.
#[derive(Copy, Clone, Debug)]
pub struct Value<'a> {
    text: &'a str,
    /// This value's token and those of its subtree.
    tokens: &'a [Token],
}

impl<'a> Value<'a> {
    /// The value that `tokens` describe within `text`. `None` without tokens.
    pub(crate) fn new(text: &'a str, tokens: &'a [Token]) -> Option<Value<'a>> {
        let span = tokens.first()?.span;
        Some(Value { text, tokens: tokens.get(..span)? })
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        self.tokens.first().map_or(Kind::Primitive, |token| token.kind)
    }

    /// Its text; a string's without the quotes.
    pub fn raw(&self) -> &'a str {
        self.tokens.first().and_then(|token| self.text.get(token.place.clone())).unwrap_or("")
    }

    /// Its text; a string's with the quotes.
    pub fn quoted(&self) -> &'a str {
        let Some(token) = self.tokens.first() else { return "" };
        match token.kind {
            Kind::String => {
                let place = token.place.start.saturating_sub(1)..token.place.end.saturating_add(1);
                self.text.get(place).unwrap_or("")
            }
            _ => self.raw(),
        }
    }

    /// Its meaning as text: a string without its escapes, anything else as it stands. What cannot be unescaped stays.
    pub fn text(&self) -> String {
        let quoted = match self.kind() {
            Kind::String if self.raw().contains('\\') => self.quoted(),
            _ => return self.raw().to_owned(),
        };
        serde_json::from_str(quoted).unwrap_or_else(|_| self.raw().to_owned())
    }

    /// Where another value of the same text is within this one's, quotes included.
    pub(crate) fn place_of(&self, inner: Value<'_>) -> core::ops::Range<usize> {
        let start = |value: &Value<'_>| value.tokens.first().map_or(0, |token| token.place.start);
        let quote = usize::from(inner.kind() == Kind::String);
        let begin = start(&inner).saturating_sub(quote).saturating_sub(start(self));
        begin..begin.saturating_add(inner.quoted().len())
    }

    /// Elements of an array, members of an object.
    pub fn len(&self) -> usize {
        self.tokens.first().map_or(0, |token| token.children)
    }

    /// No elements or members.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `null`, which is any primitive that begins with `n`.
    pub fn is_null(&self) -> bool {
        self.kind() == Kind::Primitive && self.raw().starts_with('n')
    }

    /// `true` and `false`, not in quotes.
    pub fn as_bool(&self) -> Option<bool> {
        match (self.kind(), self.raw()) {
            (Kind::Primitive, "true") => Some(true),
            (Kind::Primitive, "false") => Some(false),
            _ => None,
        }
    }

    /// Decimal digits only, in quotes or not.
    pub fn as_u64(&self) -> Option<u64> {
        let digits = self.raw();
        // `str::parse` would take a plus sign.
        if digits.bytes().all(|byte| byte.is_ascii_digit()) { digits.parse().ok() } else { None }
    }

    /// The elements of an array; the keys of an object.
    pub fn items(&self) -> impl Iterator<Item = Value<'a>> + use<'a> {
        let mut rest = self.tokens.get(1..).unwrap_or_default();
        let text = self.text;
        core::iter::from_fn(move || {
            let item = Value::new(text, rest)?;
            rest = rest.get(item.tokens.len()..).unwrap_or_default();
            Some(item)
        })
    }

    /// The members of an object, in their order.
    pub fn members(&self) -> impl Iterator<Item = (Value<'a>, Value<'a>)> + use<'a> {
        let is_object = self.kind() == Kind::Object;
        self.items().filter_map(move |key| match key.items().next() {
            Some(value) if is_object => Some((key, value)),
            _ => None,
        })
    }

    /// The first member whose raw key this is.
    pub fn get(&self, key: &str) -> Option<Value<'a>> {
        self.members().find(|(name, _)| name.raw() == key).map(|(_, value)| value)
    }
}

/// A text that is one complete value, with its tokens. For what we wrote ourselves, and for tests.
#[derive(Debug)]
pub(crate) struct Document<'a> {
    text: &'a str,
    tokenizer: Tokenizer,
}

impl<'a> Document<'a> {
    /// `None` when it is not a complete value.
    pub(crate) fn parse(text: &'a str) -> Option<Document<'a>> {
        let mut tokenizer = Tokenizer::new(usize::MAX);
        tokenizer.advance(text.as_bytes()).ok()??;
        Some(Document { text, tokenizer })
    }

    pub(crate) fn root(&self) -> Option<Value<'_>> {
        Value::new(self.text, self.tokenizer.tokens())
    }
}
