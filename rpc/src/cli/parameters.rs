//! From the arguments after the method to the `params` of a request.
//!
//! What looks like JSON goes as it is written: a number is never read into a float and back, so `8001616263` and
//! `9007199254740993` arrive digit for digit. Everything else becomes a string, also what only resembles a number: digits
//! that start with a zero are hex more often than not, and `127.0.0.1` is an address.

use serde_json::value::RawValue;

/// How the arguments are meant.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// `-k`.
    Keywords,
    /// `-o`.
    Order,
    /// Keywords if every argument looks like `name=value`.
    Guess,
}

/// An argument that cannot become a parameter.
#[derive(Debug, thiserror::Error)]
pub(super) enum BadParameter {
    #[error("expected KEY=VALUE in '{0}', because of -k")]
    NoKey(String),
    #[error(
        "'{argument}' looks like JSON and is not: {error}. Put it into quotes of its own (\"...\") to pass it as text"
    )]
    NotJson { argument: String, error: serde_json::Error },
}

/// The JSON array or object of the arguments.
pub(super) fn to_json(arguments: &[String], style: Style) -> Result<Box<RawValue>, BadParameter> {
    let keywords = match style {
        Style::Keywords => true,
        Style::Order => false,
        Style::Guess => !arguments.is_empty() && arguments.iter().all(|argument| has_key(argument)),
    };
    let mut members = Vec::with_capacity(arguments.len());
    for argument in arguments {
        if keywords {
            let (key, text) =
                argument.split_once('=').ok_or_else(|| BadParameter::NoKey(argument.clone()))?;
            members.push(format!("{}:{}", string(key), value(text)?));
        } else {
            members.push(value(argument)?);
        }
    }
    let members = members.join(",");
    let json = if keywords { format!("{{{members}}}") } else { format!("[{members}]") };
    RawValue::from_string(json)
        .map_err(|error| BadParameter::NotJson { argument: arguments.join(" "), error })
}

/// A name as methods have them, then `=`. A JSON text that contains `=` somewhere is no keyword.
fn has_key(argument: &str) -> bool {
    argument.split_once('=').is_some_and(|(key, _)| {
        !key.is_empty()
            && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
    })
}

fn value(argument: &str) -> Result<String, BadParameter> {
    let enclosed =
        |first, last| argument.len() > 1 && argument.starts_with(first) && argument.ends_with(last);
    if enclosed('{', '}') || enclosed('[', ']') || enclosed('"', '"') {
        return match serde_json::from_str::<&RawValue>(argument) {
            Ok(_) => Ok(argument.to_owned()),
            Err(error) => Err(BadParameter::NotJson { argument: argument.to_owned(), error }),
        };
    }
    Ok(if is_number(argument) || matches!(argument, "true" | "false" | "null") {
        argument.to_owned()
    } else {
        string(argument)
    })
}

/// Digits, perhaps with a fraction, as JSON writes them.
fn is_number(argument: &str) -> bool {
    let (whole, fraction) = match argument.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (argument, None),
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits(whole) && (whole == "0" || !whole.starts_with('0')) && fraction.is_none_or(digits)
}

fn string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::{BadParameter, Style, to_json};

    fn json(style: Style, arguments: &[&str]) -> String {
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        to_json(&arguments, style).unwrap().get().to_owned()
    }

    #[test]
    fn what_looks_like_json_goes_as_it_is() {
        let arguments = [
            "8001616263",
            "0",
            "1.50",
            "true",
            "null",
            "{ \"a\":1.0 }",
            "[1, 2]",
            "\"7\"",
            "9007199254740993",
        ];
        assert_eq!(
            json(Style::Order, &arguments),
            r#"[8001616263,0,1.50,true,null,{ "a":1.0 },[1, 2],"7",9007199254740993]"#
        );
    }

    #[test]
    fn everything_else_is_a_string() {
        let arguments =
            ["", "0012", "127.0.0.1", "1.", ".5", "-1", "1e3", "True", "a\"b\\", "\"", "{x", "02ab@h"];
        assert_eq!(
            json(Style::Order, &arguments),
            r#"["","0012","127.0.0.1","1.",".5","-1","1e3","True","a\"b\\","\"","{x","02ab@h"]"#
        );
    }

    #[test]
    fn keywords_are_taken_when_asked_for_or_when_all_arguments_have_one() {
        assert_eq!(
            json(Style::Keywords, &["id=02ab", "port=9735", "a=b=c"]),
            r#"{"id":"02ab","port":9735,"a":"b=c"}"#
        );
        assert_eq!(json(Style::Guess, &["id=02ab", "msg=8001"]), r#"{"id":"02ab","msg":8001}"#);
        assert_eq!(json(Style::Guess, &["id=02ab", "8001"]), r#"["id=02ab",8001]"#);
        assert_eq!(json(Style::Guess, &[r#"{"a":"b=c"}"#]), r#"[{"a":"b=c"}]"#);
        assert_eq!(json(Style::Order, &["id=02ab"]), r#"["id=02ab"]"#);
        assert_eq!(json(Style::Guess, &[]), "[]");
        assert_eq!(json(Style::Keywords, &[]), "{}");
    }

    #[test]
    fn broken_json_and_missing_keys_are_named() {
        let bad = to_json(&["[1,".to_owned() + "]"], Style::Order).unwrap_err();
        assert!(matches!(&bad, BadParameter::NotJson { argument, .. } if argument == "[1,]"), "{bad}");
        let bad = to_json(&["id".to_owned()], Style::Keywords).unwrap_err();
        assert!(matches!(bad, BadParameter::NoKey(argument) if argument == "id"));
    }
}
