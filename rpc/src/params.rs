//! Parameters of methods: described once, read from an array or an object, refused in Core Lightning's words.
//!
//! A method describes its parameters as constants ([`Param`]), from which its usage and its page are made, and reads them
//! through one `Arg` each. They are read in the order in which the CLIENT gave them, and the first one that is wrong
//! decides the answer. Values are raw text: `5` and `"5"` are the same number.

use core::fmt;
use core::str::Chars;

use oddwire_node::{Node, NodeId};

use crate::error::RpcError;
use crate::tokenizer::Kind;
use crate::value::Value;

#[cfg(test)]
mod tests;

/// The description of one parameter.
#[derive(Debug)]
pub struct Param {
    /// Its name.
    pub name: &'static str,
    /// Its type, in the words of Core Lightning's schemas: `pubkey`, `hex`, `u16`, `boolean`, `string`.
    pub kind: &'static str,
    /// May it be left out.
    pub presence: Presence,
    /// What it means, in a sentence or two.
    pub about: &'static str,
}

/// Whether a parameter may be left out.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It must be given.
    Required,
    /// It may be left out; positional ones also by `null`.
    Optional,
}

impl Param {
    pub(crate) const fn required(name: &'static str, kind: &'static str, about: &'static str) -> Param {
        Param { name, kind, presence: Presence::Required, about }
    }

    pub(crate) const fn optional(name: &'static str, kind: &'static str, about: &'static str) -> Param {
        Param { name, kind, presence: Presence::Optional, about }
    }
}

/// As it stands in a usage line: `id`, `[host]`.
impl fmt::Display for Param {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.presence {
            Presence::Required => f.write_str(self.name),
            Presence::Optional => write!(f, "[{}]", self.name),
        }
    }
}

/// A value that is not what the parameter wants. Whether the client is shown the value is the caller's decision.
#[derive(Copy, Clone, Debug)]
pub(crate) struct BadParam<'v> {
    /// What it should be, in Core Lightning's words: `should be a node id`.
    pub(crate) problem: &'static str,
    /// What it is.
    pub(crate) value: Value<'v>,
}

/// Why a parameter is refused.
#[derive(Debug)]
pub(crate) enum Refused<'v> {
    /// Its text is not what it should be.
    Bad(BadParam<'v>),
    /// Its text is right, but not acceptable.
    Error(RpcError),
}

impl<'v> From<BadParam<'v>> for Refused<'v> {
    fn from(bad: BadParam<'v>) -> Refused<'v> {
        Refused::Bad(bad)
    }
}

impl From<RpcError> for Refused<'_> {
    fn from(error: RpcError) -> Self {
        Refused::Error(error)
    }
}

/// One parameter while it is read: what is wanted, how to read it, what was found.
#[derive(Debug)]
pub(crate) struct Arg<T, F> {
    param: &'static Param,
    read: F,
    value: Option<T>,
}

impl<T, F> Arg<T, F> {
    /// A parameter that `read` understands.
    pub(crate) fn new<'v>(param: &'static Param, read: F) -> Arg<T, F>
    where
        F: FnMut(Value<'v>) -> Result<T, Refused<'v>>,
    {
        Arg { param, read, value: None }
    }

    /// The value of an optional parameter.
    pub(crate) fn optional(self) -> Option<T> {
        self.value
    }

    /// The value of a required parameter.
    ///
    /// # Errors
    /// It was not given; [`Params::read`] has told that already.
    pub(crate) fn required(self) -> Result<T, RpcError> {
        self.value.ok_or_else(|| missing(self.param))
    }
}

/// An [`Arg`] of any type.
pub(crate) trait Slot<'v> {
    fn param(&self) -> &'static Param;
    fn is_set(&self) -> bool;
    fn set(&mut self, value: Value<'v>) -> Result<(), Refused<'v>>;
}

impl<'v, T, F: FnMut(Value<'v>) -> Result<T, Refused<'v>>> Slot<'v> for Arg<T, F> {
    fn param(&self) -> &'static Param {
        self.param
    }

    fn is_set(&self) -> bool {
        self.value.is_some()
    }

    fn set(&mut self, value: Value<'v>) -> Result<(), Refused<'v>> {
        self.value = Some((self.read)(value)?);
        Ok(())
    }
}

/// What to do with parameters that no [`Arg`] is for.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Extra {
    /// They are a mistake.
    Refused,
    /// They are somebody else's.
    Ignored,
}

/// The `params` of a request.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Params<'v> {
    value: Value<'v>,
    /// The place of one that does not count, since `check` has taken it.
    without: Option<usize>,
}

impl<'v> Params<'v> {
    pub(crate) fn new(value: Value<'v>) -> Params<'v> {
        Params { value, without: None }
    }

    /// The same without the parameter that is called so, or without the first if they have no names.
    pub(crate) fn without(self, name: &str) -> Params<'v> {
        let place = match self.value.kind() {
            Kind::Object => self.value.members().position(|(key, _)| key.raw() == name),
            _ => Some(0),
        };
        Params { without: place, ..self }
    }

    /// The parameters that have names.
    pub(crate) fn named(self) -> impl Iterator<Item = (Value<'v>, Value<'v>)> {
        self.counted(self.value.members())
    }

    /// How many there are without names.
    pub(crate) fn positional_count(self) -> usize {
        match self.value.kind() {
            Kind::Array => self.counted(self.value.items()).count(),
            _ => 0,
        }
    }

    fn counted<T>(self, all: impl Iterator<Item = T>) -> impl Iterator<Item = T> {
        all.enumerate().filter(move |(place, _)| Some(*place) != self.without).map(|(_, one)| one)
    }

    /// Reads them into `slots`, which stand in their positional order. `bad` words the refusal of a bad value.
    ///
    /// # Errors
    /// The first mistake, in the order in which Core Lightning finds them.
    pub(crate) fn read(
        self,
        slots: &mut [&mut dyn Slot<'v>],
        extra: Extra,
        bad: impl Fn(&'static str, BadParam<'v>) -> RpcError,
    ) -> Result<(), RpcError> {
        match self.value.kind() {
            Kind::Array => self.read_positional(slots, extra, bad)?,
            Kind::Object => self.read_named(slots, extra, bad)?,
            _ => return Err(RpcError::invalid_params("Expected array or object for params")),
        }
        match slots.iter().find(|slot| slot.param().presence == Presence::Required && !slot.is_set()) {
            Some(slot) => Err(missing(slot.param())),
            None => Ok(()),
        }
    }

    fn read_positional(
        self,
        slots: &mut [&mut dyn Slot<'v>],
        extra: Extra,
        bad: impl Fn(&'static str, BadParam<'v>) -> RpcError,
    ) -> Result<(), RpcError> {
        for (place, value) in self.counted(self.value.items()).enumerate() {
            let expected = slots.len();
            match slots.get_mut(place) {
                Some(_) if value.is_null() => {}
                Some(slot) => set(&mut **slot, value, &bad)?,
                None if extra == Extra::Ignored => break,
                None => {
                    let given = self.value.len().saturating_sub(usize::from(self.without.is_some()));
                    return Err(RpcError::invalid_params(format_args!(
                        "too many parameters: got {given}, expected {expected}"
                    )));
                }
            }
        }
        Ok(())
    }

    fn read_named(
        self,
        slots: &mut [&mut dyn Slot<'v>],
        extra: Extra,
        bad: impl Fn(&'static str, BadParam<'v>) -> RpcError,
    ) -> Result<(), RpcError> {
        for (key, value) in self.counted(self.value.members()) {
            match slots.iter_mut().find(|slot| slot.param().name == key.raw()) {
                Some(slot) if slot.is_set() => {
                    let name = slot.param().name;
                    return Err(RpcError::invalid_params(format_args!("duplicate json names: {name}")));
                }
                Some(slot) => set(&mut **slot, value, &bad)?,
                None if extra == Extra::Ignored => {}
                None => {
                    return Err(RpcError::invalid_params(format_args!(
                        "unknown parameter: {}, this may be caused by a failure to autodetect key=value-style \
                         parameters. Please try using the -k flag and explicit key=value pairs of parameters.",
                        key.raw()
                    )));
                }
            }
        }
        Ok(())
    }
}

fn set<'v>(
    slot: &mut dyn Slot<'v>,
    value: Value<'v>,
    bad: &impl Fn(&'static str, BadParam<'v>) -> RpcError,
) -> Result<(), RpcError> {
    slot.set(value).map_err(|refused| match refused {
        Refused::Bad(problem) => bad(slot.param().name, problem),
        Refused::Error(error) => error,
    })
}

fn missing(param: &Param) -> RpcError {
    RpcError::invalid_params(format_args!("missing required parameter: {}", param.name))
}

/// A node id: 66 hex digits, in quotes or not, that are a point on the curve.
pub(crate) fn node_id(value: Value<'_>) -> Result<NodeId, Refused<'_>> {
    parse_node_id(value.raw()).ok_or(Refused::Bad(BadParam { problem: "should be a node id", value }))
}

/// As [`node_id`], without a look at the curve when the peer is connected.
pub(crate) fn peer_id<'v>(node: &Node, value: Value<'v>) -> Result<NodeId, Refused<'v>> {
    let connected = decode_node_id(value.raw()).and_then(|id| node.connected_id(&id));
    connected.map_or_else(|| node_id(value), Ok)
}

/// Reads a node id from hex of either case.
pub(crate) fn parse_node_id(hex: &str) -> Option<NodeId> {
    NodeId::from_bytes(&decode_node_id(hex)?).ok()
}

/// The bytes of what may be a node id.
fn decode_node_id(hex: &str) -> Option<[u8; 33]> {
    let mut id = [0; 33];
    if hex.len() != id.len().saturating_mul(2) {
        return None;
    }
    faster_hex::hex_decode(hex.as_bytes(), &mut id).ok()?;
    Some(id)
}

/// `true` or `false`, without quotes.
pub(crate) fn boolean(value: Value<'_>) -> Result<bool, Refused<'_>> {
    value.as_bool().ok_or(Refused::Bad(BadParam { problem: "should be 'true' or 'false'", value }))
}

/// A number below 2^32.
pub(crate) fn number(value: Value<'_>) -> Result<u32, Refused<'_>> {
    let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
    number.ok_or(Refused::Bad(BadParam { problem: "should be an integer", value }))
}

/// A number below 2^64.
pub(crate) fn u64(value: Value<'_>) -> Result<u64, Refused<'_>> {
    value.as_u64().ok_or(Refused::Bad(BadParam { problem: "should be an unsigned 64 bit integer", value }))
}

/// A string with its escapes resolved. `\u` is refused, as Core Lightning refuses it.
pub(crate) fn unescaped(value: Value<'_>) -> Result<String, Refused<'_>> {
    let bad = BadParam { problem: "should be a string (without \\u)", value };
    resolved(value, |_| None).ok_or(bad.into())
}

/// A string with all escapes of JSON resolved, for methods that are ours. A number is its digits, as `oddwire-cli` puts no
/// quotes around what looks like one.
pub(crate) fn string(value: Value<'_>) -> Result<String, Refused<'_>> {
    if value.kind() == Kind::Primitive {
        return Ok(value.raw().to_owned());
    }
    resolved(value, utf16_escape).ok_or(BadParam { problem: "should be a string", value }.into())
}

/// `unicode` reads what stands behind `\u`.
fn resolved(value: Value<'_>, unicode: impl Fn(&mut Chars<'_>) -> Option<char>) -> Option<String> {
    if value.kind() != Kind::String {
        return None;
    }
    let mut text = String::with_capacity(value.raw().len());
    let mut characters = value.raw().chars();
    while let Some(character) = characters.next() {
        text.push(match character {
            '\\' => match characters.next()? {
                'n' => '\n',
                'b' => '\u{8}',
                'f' => '\u{c}',
                't' => '\t',
                'r' => '\r',
                'u' => unicode(&mut characters)?,
                itself @ ('/' | '\\' | '"') => itself,
                _ => return None,
            },
            other => other,
        });
    }
    Some(text)
}

/// Four hex digits, or two times four for what is beyond them (RFC 8259, section 7). Half of such a pair is no character.
fn utf16_escape(characters: &mut Chars<'_>) -> Option<char> {
    let unit = |characters: &mut Chars<'_>| {
        let digits = (0..4).map(|_| characters.next()?.to_digit(16));
        digits
            .collect::<Option<Vec<u32>>>()?
            .into_iter()
            .try_fold(0_u16, |unit, digit| Some(unit << 4 | u16::try_from(digit).ok()?))
    };
    let first = unit(characters)?;
    let second = if matches!(first, 0xd800..=0xdbff) {
        (characters.next()? == '\\' && characters.next()? == 'u').then(|| unit(characters))?
    } else {
        None
    };
    char::decode_utf16([first].into_iter().chain(second)).next()?.ok()
}

/// Bytes in hex of either case, in quotes or not.
pub(crate) fn hex(value: Value<'_>) -> Result<Vec<u8>, Refused<'_>> {
    let digits = value.raw().as_bytes();
    let mut bytes = vec![0; digits.len() / 2];
    // An odd number of digits is refused along with what is no digit.
    let is_hex = digits.len().is_multiple_of(2) && faster_hex::hex_decode(digits, &mut bytes).is_ok();
    if is_hex { Ok(bytes) } else { Err(BadParam { problem: "should be a hex value", value }.into()) }
}

/// Any text: a string's without its quotes, anything else's as it stands.
#[expect(clippy::unnecessary_wraps, reason = "has the form of the other readers")]
pub(crate) fn text(value: Value<'_>) -> Result<&str, Refused<'_>> {
    Ok(value.raw())
}
