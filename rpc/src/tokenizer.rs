//! Finds the tokens of a JSON text that arrives in pieces: where each object, array, string and primitive begins and ends.
//!
//! It accepts what the tokenizer of Core Lightning accepts (jsmn in its strict mode, followed by a check of the keys), which
//! is more than JSON and in places less: stray commas and colons, control characters in strings, `007` and `nonsense` as
//! primitives, missing commas in arrays; but not a missing comma between members, a bare word or a key without a value. What
//! a client gets away with there it gets away with here.
//!
//! Tokens are kept raw. Nothing is unescaped or converted: a request's meaning rests on the text of its tokens
//! (`8001616263` is a number to JSON and a message to `sendcustommsg`).
//!
//! No recursion, so that nesting costs no stack; no byte is looked at twice, however small the pieces.

use core::ops::Range;

use crate::limits::KEPT_TOKENS;

#[cfg(test)]
mod tests;

/// What a token is.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `{...}`; its children are keys.
    Object,
    /// `[...]`
    Array,
    /// `"..."`; a key's child is its value.
    String,
    /// A number, `true`, `false`, `null`, or what looks like one from its first letter.
    Primitive,
}

/// One token. Positions count bytes from where the text began.
#[derive(Clone, Debug)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// Where its text is: a string's without the quotes, an object's and array's with its brackets.
    pub place: Range<usize>,
    /// Children: an object's keys, an array's elements, a key's value.
    pub children: usize,
    /// Tokens of the subtree, this one included.
    pub span: usize,
    parent: Option<usize>,
}

/// Why a text is refused.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// It cannot become JSON, whatever follows.
    NotJson,
    /// It has more tokens than the tokenizer's limit.
    TooManyTokens,
}

/// The state between two pieces of a text.
#[derive(Debug)]
pub struct Tokenizer {
    tokens: Vec<Token>,
    max_tokens: usize,
    /// The next byte to look at.
    position: usize,
    within: Within,
    /// Whose child the next token is.
    parent: Option<usize>,
    /// The containers that are not closed yet, outermost first.
    open: Vec<usize>,
}

#[derive(Copy, Clone, Debug)]
enum Within {
    Nothing,
    String { start: usize },
    Primitive { start: usize },
}

impl Tokenizer {
    /// A tokenizer at the beginning of a text that may have so many tokens.
    pub fn new(max_tokens: usize) -> Tokenizer {
        Tokenizer {
            tokens: Vec::new(),
            max_tokens,
            position: 0,
            within: Within::Nothing,
            parent: None,
            open: Vec::new(),
        }
    }

    /// Starts over with another text. Keeps its memory, as far as ordinary texts need it.
    pub fn reset(&mut self) {
        self.tokens.clear();
        self.tokens.shrink_to(KEPT_TOKENS);
        self.open.clear();
        self.open.shrink_to(KEPT_TOKENS);
        self.position = 0;
        self.within = Within::Nothing;
        self.parent = None;
    }

    /// Looks at what is new in `text`, which begins where the text began. `Some(end)` once its first value is complete.
    ///
    /// # Errors
    /// [`Malformed`]; the tokenizer must then be [`reset`](Self::reset).
    pub fn advance(&mut self, text: &[u8]) -> Result<Option<usize>, Malformed> {
        loop {
            let complete = match self.within {
                Within::Nothing => self.between(text)?,
                Within::String { start } => self.string(text, start)?,
                Within::Primitive { start } => self.primitive(text, start)?,
            };
            match complete {
                Step::More => {}
                Step::Starved => return Ok(None),
                Step::Value => {
                    if let Some(root) = self.tokens.first()
                        && self.open.is_empty()
                        && matches!(self.within, Within::Nothing)
                    {
                        let end = match root.kind {
                            Kind::String => root.place.end.saturating_add(1),
                            _ => root.place.end,
                        };
                        self.check_keys()?;
                        return Ok(Some(end));
                    }
                }
            }
        }
    }

    /// How many tokens a text may have.
    pub(crate) fn max_tokens(&self) -> usize {
        self.max_tokens
    }

    /// Bytes of memory that the tokens take up.
    pub(crate) fn held(&self) -> usize {
        let tokens = self.tokens.capacity().saturating_mul(size_of::<Token>());
        tokens.saturating_add(self.open.capacity().saturating_mul(size_of::<usize>()))
    }

    /// The tokens of the complete value, parents before their children.
    pub fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    /// One byte between tokens.
    fn between(&mut self, text: &[u8]) -> Result<Step, Malformed> {
        let Some(&byte) = text.get(self.position) else { return Ok(Step::Starved) };
        let start = self.position;
        match byte {
            b'{' => self.open(Kind::Object)?,
            b'[' => self.open(Kind::Array)?,
            b'}' => return self.close(Kind::Object),
            b']' => return self.close(Kind::Array),
            b'"' => self.within = Within::String { start: start.saturating_add(1) },
            b' ' | b'\t' | b'\r' | b'\n' => {}
            b':' => self.colon()?,
            b',' => self.comma(),
            b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => self.within = Within::Primitive { start },
            // The end of the text, to a program in C: nothing after it is ever looked at.
            0 => return Ok(Step::Starved),
            _ => return Err(Malformed::NotJson),
        }
        self.position = start.saturating_add(1);
        Ok(Step::More)
    }

    /// Skips to the closing quote.
    fn string(&mut self, text: &[u8], start: usize) -> Result<Step, Malformed> {
        let rest = text.get(self.position..).unwrap_or_default();
        let Some(skipped) = memchr::memchr3(b'"', b'\\', 0, rest) else {
            self.position = text.len();
            return Ok(Step::Starved);
        };
        self.position = self.position.saturating_add(skipped);
        match rest.get(skipped) {
            Some(b'"') => {
                self.push(Kind::String, start..self.position)?;
                self.within = Within::Nothing;
                self.position = self.position.saturating_add(1);
                Ok(Step::Value)
            }
            Some(b'\\') => match escape_len(rest.get(skipped.saturating_add(1)..).unwrap_or_default())? {
                Some(len) => {
                    self.position = self.position.saturating_add(1).saturating_add(len);
                    Ok(Step::More)
                }
                None => Ok(Step::Starved),
            },
            _ => Ok(Step::Starved),
        }
    }

    /// Skips to what ends a primitive, which is not part of it.
    fn primitive(&mut self, text: &[u8], start: usize) -> Result<Step, Malformed> {
        for &byte in text.get(self.position..).unwrap_or_default() {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' | b',' | b']' | b'}' => {
                    self.push(Kind::Primitive, start..self.position)?;
                    self.within = Within::Nothing;
                    return Ok(Step::Value);
                }
                0 => return Ok(Step::Starved),
                0x20..=0x7e => self.position = self.position.saturating_add(1),
                _ => return Err(Malformed::NotJson),
            }
        }
        Ok(Step::Starved)
    }

    fn open(&mut self, kind: Kind) -> Result<(), Malformed> {
        // The end is not known yet; `close` sets it.
        let index = self.push(kind, self.position..self.position)?;
        self.open.push(index);
        self.parent = Some(index);
        Ok(())
    }

    fn close(&mut self, kind: Kind) -> Result<Step, Malformed> {
        let innermost = self.open.pop().and_then(|index| self.tokens.get_mut(index));
        let Some(token) = innermost.filter(|token| token.kind == kind) else {
            return Err(Malformed::NotJson);
        };
        self.position = self.position.saturating_add(1);
        token.place.end = self.position;
        self.parent = token.parent;
        Ok(Step::Value)
    }

    /// A colon makes the string before it a key: the next token is its child. Behind an opening bracket it means nothing.
    fn colon(&mut self) -> Result<(), Malformed> {
        let last = self.tokens.len().checked_sub(1);
        match last.and_then(|index| self.tokens.get(index)).map(|token| token.kind) {
            Some(Kind::String) => self.parent = last,
            Some(Kind::Object | Kind::Array) if self.open.last().copied() == last => {}
            None => {}
            Some(_) => return Err(Malformed::NotJson),
        }
        Ok(())
    }

    /// A comma ends a member: the next token is a child of the object again. Anywhere else it means nothing.
    fn comma(&mut self) {
        if let Some(token) = self.parent.and_then(|index| self.tokens.get(index))
            && token.kind == Kind::String
        {
            self.parent = token.parent;
        }
    }

    fn push(&mut self, kind: Kind, place: Range<usize>) -> Result<usize, Malformed> {
        let index = self.tokens.len();
        if index >= self.max_tokens {
            return Err(Malformed::TooManyTokens);
        }
        if let Some(parent) = self.parent.and_then(|parent| self.tokens.get_mut(parent)) {
            let misplaced = match parent.kind {
                Kind::Object => kind != Kind::String,
                Kind::String => kind == Kind::Primitive && parent.children != 0,
                Kind::Array | Kind::Primitive => false,
            };
            if misplaced {
                return Err(Malformed::NotJson);
            }
            parent.children = parent.children.saturating_add(1);
        }
        self.tokens.push(Token { kind, place, children: 0, span: 1, parent: self.parent });
        Ok(index)
    }

    /// A key has one value, any other string none. Adds up the spans on the way, from the last token to the first.
    fn check_keys(&mut self) -> Result<(), Malformed> {
        for index in (0..self.tokens.len()).rev() {
            let Some(token) = self.tokens.get(index) else { break };
            let (span, children, is_string) = (token.span, token.children, token.kind == Kind::String);
            let mut is_key = false;
            if let Some(parent) = token.parent.and_then(|parent| self.tokens.get_mut(parent)) {
                parent.span = parent.span.saturating_add(span);
                is_key = parent.kind == Kind::Object;
            }
            if is_string && children != usize::from(is_key) {
                return Err(Malformed::NotJson);
            }
        }
        Ok(())
    }
}

enum Step {
    /// Something was skipped.
    More,
    /// A token is complete.
    Value,
    /// What is there does not suffice.
    Starved,
}

/// How long the escape is whose backslash stands before `rest`; `None` when that cannot be told yet.
fn escape_len(rest: &[u8]) -> Result<Option<usize>, Malformed> {
    const UNICODE_LEN: usize = 5;
    match rest.first() {
        Some(b'"' | b'/' | b'\\' | b'b' | b'f' | b'r' | b'n' | b't') => Ok(Some(1)),
        Some(b'u') => {
            let digits = rest.get(1..).unwrap_or_default();
            match digits.iter().take(4).find(|digit| !digit.is_ascii_hexdigit()) {
                Some(0) => Ok(None),
                Some(_) => Err(Malformed::NotJson),
                None if digits.len() < 4 => Ok(None),
                None => Ok(Some(UNICODE_LEN)),
            }
        }
        Some(0) | None => Ok(None),
        Some(_) => Err(Malformed::NotJson),
    }
}
