use super::*;
use crate::value::Document;

static A: Param = Param::required("a", "number", "");
static B: Param = Param::optional("b", "boolean", "");

/// The outcome of reading `a`, a number, and `b`, a boolean.
fn read(params: &str) -> Result<(u32, Option<bool>), String> {
    read_from(params, |params| params, Extra::Refused)
}

fn read_from(
    text: &str,
    adapt: impl for<'v> Fn(Params<'v>) -> Params<'v>,
    extra: Extra,
) -> Result<(u32, Option<bool>), String> {
    let document = Document::parse(text).unwrap();
    let params = adapt(Params::new(document.root().unwrap()));
    let mut a = Arg::new(&A, number);
    let mut b = Arg::new(&B, boolean);
    let bad = |name, bad: BadParam<'_>| {
        RpcError::invalid_params(format_args!("{name}: {}: {}", bad.problem, bad.value.quoted()))
    };
    params.read(&mut [&mut a, &mut b], extra, bad).map_err(|error| error.message)?;
    Ok((a.required().map_err(|error| error.message)?, b.optional()))
}

fn refused(params: &str) -> String {
    read(params).unwrap_err()
}

#[test]
fn by_position_and_by_name() {
    for params in ["[5,true]", r#"["5",true]"#, r#"{"a":5,"b":true}"#, r#"{"b":true,"a":"5"}"#] {
        assert_eq!(read(params), Ok((5, Some(true))), "{params}");
    }
    for params in ["[5]", "[5,null]", "[5,nothing]", r#"{"a":5}"#] {
        assert_eq!(read(params), Ok((5, None)), "{params}");
    }
}

#[test]
fn the_first_mistake_in_the_clients_order_is_told() {
    assert_eq!(refused("[]"), "missing required parameter: a");
    assert_eq!(refused("[null,true]"), "missing required parameter: a");
    assert_eq!(refused("{}"), "missing required parameter: a");
    assert_eq!(refused("5 "), "Expected array or object for params");
    assert_eq!(refused("\"x\""), "Expected array or object for params");
    assert_eq!(refused("[5,true,null]"), "too many parameters: got 3, expected 2");
    assert_eq!(refused("[-5,true,null]"), "a: should be an integer: -5");
    assert_eq!(refused(r#"{"a":1,"b":"true"}"#), "b: should be 'true' or 'false': \"true\"");
    assert_eq!(refused(r#"{"b":1,"a":"x"}"#), "b: should be 'true' or 'false': 1");
    assert_eq!(refused(r#"{"a":1,"a":2}"#), "duplicate json names: a");
    assert_eq!(refused(r#"{"a":1,"b":null}"#), "b: should be 'true' or 'false': null");
    let unknown = refused(r#"{"A":1,"a":1}"#);
    assert!(
        unknown.starts_with("unknown parameter: A, this may be caused by a failure to autodetect"),
        "{unknown}"
    );
}

#[test]
fn numbers_are_digits() {
    for good in ["0", "007", "\"12\"", "4294967295"] {
        assert!(read(&format!("[{good}]")).is_ok(), "{good}");
    }
    for bad in
        ["1.5", "-1", "\"+1\"", "\"\"", "\" 1\"", "4294967296", "99999999999999999999999", "true", "[1]"]
    {
        assert!(read(&format!("[{bad}]")).is_err(), "{bad}");
    }
}

#[test]
fn what_check_has_taken_does_not_count() {
    let without = |text, extra| read_from(text, |params| params.without("m"), extra);
    assert_eq!(without(r#"["m",5]"#, Extra::Refused), Ok((5, None)));
    assert_eq!(without(r#"{"a":5,"m":"x"}"#, Extra::Refused), Ok((5, None)));
    let too_many = without(r#"["m",5,true,1]"#, Extra::Refused).unwrap_err();
    assert_eq!(too_many, "too many parameters: got 3, expected 2");
}

#[test]
fn extra_parameters_can_be_somebody_elses() {
    assert_eq!(read_from("[5,true,1,2]", |params| params, Extra::Ignored), Ok((5, Some(true))));
    assert_eq!(read_from(r#"{"x":1,"a":5}"#, |params| params, Extra::Ignored), Ok((5, None)));
}

#[test]
fn node_ids_are_points_in_hex_of_either_case() {
    let id = "0266e4598d1d3c415f572a8488830b60f7e744ed9235eb0b1ba93283b315c03518";
    assert!(parse_node_id(id).is_some());
    assert!(parse_node_id(&id.to_uppercase()).is_some());
    assert!(parse_node_id(&id[2..]).is_none());
    assert!(parse_node_id(&format!("{id}00")).is_none());
    assert!(parse_node_id(&id.replace("02", "05")).is_none());
    assert!(parse_node_id(&"zz".repeat(33)).is_none());
    assert!(parse_node_id("").is_none());
}

#[test]
fn escapes_of_strings() {
    let read = |text: &str| {
        let document = Document::parse(text).unwrap();
        let value = document.root().unwrap();
        (string(value).ok(), unescaped(value).ok())
    };
    let both = |text: &str| (Some(text.to_owned()), Some(text.to_owned()));
    assert_eq!(read(r#""a\n\"\\\/ë""#), both("a\n\"\\/ë"));
    for (text, full) in [
        (r#""h\u00ebllo""#, Some("hëllo")),
        (r#""\u0000""#, Some("\0")),
        (r#""\ud83d\uDe00!""#, Some("\u{1f600}!")),
        (r#""\ud83d""#, None),
        (r#""\ud83dx""#, None),
        (r#""\ud83d\u0041""#, None),
        (r#""\ude00\ud83d""#, None),
        ("5 ", Some("5")),
        ("[]", None),
    ] {
        assert_eq!(read(text), (full.map(str::to_owned), None), "{text}");
    }
}
