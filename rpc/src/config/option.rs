//! What an option is: its name, what it takes, what is known about it. The daemon's own options and those of plugins are
//! described alike; their values are in [`table`](super::table).
//!
//! Words for a wrong value are Core Lightning's, since users find answers to them.

use core::fmt;

/// What an option takes.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum OptionKind {
    /// Nothing: it is given or not.
    Flag,
    /// `true` or `false`, also `yes` or `no`.
    Bool,
    /// A whole number of 64 bits.
    Int,
    /// Any text.
    Text,
    /// A text that nobody is shown, such as a password (`string-conceal`).
    Secret,
}

/// How often an option may be given.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Times {
    /// The last one counts.
    Once,
    /// Each one adds a value (`multi`).
    Many,
}

/// When an option can be changed.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// By a new start only.
    AtStart,
    /// By `setconfig` as well (`dynamic`).
    AtAnyTime,
}

/// How welcome an option is.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Listed always.
    Current,
    /// On its way out: refused with `--allow-deprecated-apis=false`, listed only if it is given.
    Deprecated,
    /// An option of Core Lightning's developers that has no meaning here: refused without `--developer`, else as
    /// [`WithoutMeaning`](Standing::WithoutMeaning).
    Developer,
    /// It changes what only tests need to change: refused without `--developer`, listed only if it is given.
    Testing,
    /// An option of Core Lightning that has no meaning here: taken, named once in the log, listed only if it is given.
    WithoutMeaning,
}

/// The description of one option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionSpec {
    /// Its name, without dashes.
    pub name: String,
    /// What it takes.
    pub kind: OptionKind,
    /// How often it may be given.
    pub times: Times,
    /// When it can be changed.
    pub change: Change,
    /// How welcome it is.
    pub standing: Standing,
    /// What it does.
    pub help: String,
    /// What counts if it is not given, as it would be written.
    pub default: Option<String>,
}

/// An option's value, of its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OptionValue {
    /// A flag that is given, or a boolean.
    Bool(bool),
    /// A number.
    Int(i64),
    /// A text.
    Text(String),
    /// Every value of an option that may be given more than once.
    Many(Vec<OptionValue>),
}

/// What is wrong with an option's value, or with giving it at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// A value for a flag.
    #[error("doesn't allow an argument")]
    Unwanted,
    /// No value where there must be one.
    #[error("requires an argument")]
    Missing,
    /// No boolean.
    #[error("Invalid argument '{0}': it is true or false")]
    NoBool(String),
    /// No number, or one that does not fit.
    #[error("'{0}' is not a number of 64 bits")]
    NoInt(String),
    /// The option is deprecated, and deprecated ones are refused.
    #[error("deprecated option (will be removed!)")]
    Deprecated,
    /// The option is for developers.
    #[error("requires --developer")]
    NeedsDeveloper,
}

impl OptionKind {
    /// Reads a value as it is written on a command line.
    ///
    /// # Errors
    /// It is not of this kind.
    pub fn read(self, written: Option<&str>) -> Result<OptionValue, ValueError> {
        let Some(text) = written else {
            return if self == OptionKind::Flag {
                Ok(OptionValue::Bool(true))
            } else {
                Err(ValueError::Missing)
            };
        };
        match self {
            OptionKind::Flag => Err(ValueError::Unwanted),
            OptionKind::Bool if ["true", "yes"].iter().any(|yes| text.eq_ignore_ascii_case(yes)) => {
                Ok(OptionValue::Bool(true))
            }
            OptionKind::Bool if ["false", "no"].iter().any(|no| text.eq_ignore_ascii_case(no)) => {
                Ok(OptionValue::Bool(false))
            }
            OptionKind::Bool => Err(ValueError::NoBool(text.to_owned())),
            OptionKind::Int => {
                text.parse().map(OptionValue::Int).map_err(|_| ValueError::NoInt(text.to_owned()))
            }
            OptionKind::Text | OptionKind::Secret => Ok(OptionValue::Text(text.to_owned())),
        }
    }

    /// The member of `listconfigs` that carries a value of this kind; of all values if there may be many.
    pub(super) fn field(self, times: Times) -> &'static str {
        match (self, times) {
            (OptionKind::Flag, _) => "set",
            (OptionKind::Bool, Times::Once) => "value_bool",
            (OptionKind::Bool, Times::Many) => "values_bool",
            (OptionKind::Int, Times::Once) => "value_int",
            (OptionKind::Int, Times::Many) => "values_int",
            (OptionKind::Text | OptionKind::Secret, Times::Once) => "value_str",
            (OptionKind::Text | OptionKind::Secret, Times::Many) => "values_str",
        }
    }
}

/// As JSON.
impl fmt::Display for OptionValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OptionValue::Bool(value) => write!(f, "{value}"),
            OptionValue::Int(value) => write!(f, "{value}"),
            OptionValue::Text(text) => f.write_str(&crate::json_writer::quote(text)),
            OptionValue::Many(values) => {
                f.write_str("[")?;
                for (place, value) in values.iter().enumerate() {
                    if place > 0 {
                        f.write_str(",")?;
                    }
                    write!(f, "{value}")?;
                }
                f.write_str("]")
            }
        }
    }
}
