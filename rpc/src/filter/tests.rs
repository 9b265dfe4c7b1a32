use super::*;

const RESULT: &str = r#"{"id":"a","n":5,"peers":[{"id":"b","address":["x","y"],"features":{"init":"00"}},{"id":"c"}],"our":{"init":"1","list":[1,[2]]},"empty":{}}"#;

fn apply(filter: &str) -> String {
    let document = Document::parse(filter).unwrap();
    Filter::parse(document.root().unwrap()).unwrap().apply(RESULT)
}

fn mistake(filter: &str) -> (&'static str, String) {
    let document = Document::parse(filter).unwrap();
    let bad = Filter::parse(document.root().unwrap()).unwrap_err();
    (bad.problem, bad.value.quoted().to_owned())
}

#[test]
fn named_members_are_kept_in_the_results_order() {
    assert_eq!(apply(r#"{"n":true,"id":true}"#), r#"{"id":"a","n":5}"#);
    assert_eq!(apply(r#"{"peers":[{"id":true}]}"#), r#"{"peers":[{"id":"b"},{"id":"c"}]}"#);
    assert_eq!(apply(r#"{"nothing":true}"#), "{}");
    assert_eq!(apply(r#"{"peers":[{"x":true}]}"#), r#"{"peers":[{},{}]}"#);
    assert_eq!(apply(r#"{"our":{"list":[true]}}"#), r#"{"our":{"list":[1,[2]]}}"#);
}

#[test]
fn a_leaf_keeps_arrays_whole_and_of_objects_the_containers() {
    assert_eq!(
        apply(r#"{"peers":true}"#),
        r#"{"peers":[{"id":"b","address":["x","y"],"features":{"init":"00"}},{"id":"c"}]}"#
    );
    assert_eq!(apply(r#"{"our":true}"#), r#"{"our":{"list":[1,[2]]}}"#);
    assert_eq!(apply(r#"{"our":{}}"#), r#"{"our":{"list":[1,[2]]}}"#);
    assert!(apply("{}").starts_with(r#"{"peers":["#));
}

#[test]
fn a_filter_of_the_wrong_shape_is_told() {
    assert_eq!(
        apply(r#"{"id":true,"peers":{"id":true}}"#),
        r#"{"id":"a","peers":[],"warning_parameter_filter":".peers is an array"}"#
    );
    // Scalars of an object are left out of a filter for arrays without a word.
    assert_eq!(apply(r#"{"our":[true]}"#), r#"{"our":{},"warning_parameter_filter":".our is an object"}"#);
    assert_eq!(apply(r#"{"peers":[{"address":{"x":true}}]}"#), r#"{"peers":[{"address":["x","y"]},{}]}"#);
    assert_eq!(apply(r#"{"peers":[{"features":[{"x":true}]}]}"#), r#"{"peers":[{"features":{}},{}]}"#);
}

#[test]
fn mistakes_are_told_in_the_order_of_the_text() {
    assert_eq!(mistake("5 "), ("Expected object", "5".into()));
    assert_eq!(mistake("[{}]"), ("Expected object", "[{}]".into()));
    assert_eq!(mistake(r#"{"a":false}"#), ("value must be true", "false".into()));
    assert_eq!(mistake(r#"{"a":{"b":"x"},"c":0}"#), ("value must be true", "\"x\"".into()));
    assert_eq!(mistake(r#"{"a":[],"c":0}"#), ("Arrays can only have one element", "[]".into()));
    assert_eq!(mistake(r#"{"a":[true,true]}"#), ("Arrays can only have one element", "[true,true]".into()));
}

#[test]
fn depth_costs_nothing() {
    let depth = 100_000;
    let filter = "{\"a\":".repeat(depth) + "true" + &"}".repeat(depth);
    assert_eq!(apply(&filter), "{}");
    let wrong = "{\"a\":".repeat(depth) + "1" + &"}".repeat(depth);
    assert_eq!(mistake(&wrong).0, "value must be true");
}
