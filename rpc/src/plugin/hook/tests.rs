use super::*;

fn wish(before: &[&str], after: &[&str]) -> HookWish {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    HookWish { hook: Hook::CustomMessage, before: names(before), after: names(after), filters: Filters::None }
}

fn ordered(all: &[(&str, HookWish)]) -> Result<Vec<usize>, Vec<usize>> {
    let candidates: Vec<_> = all.iter().map(|(path, wish)| Candidate { path, wish }).collect();
    order(&candidates, |_, _, _| {})
}

#[test]
fn without_wishes_the_earlier_one_comes_first() {
    let none = || wish(&[], &[]);
    assert_eq!(ordered(&[("/p/b", none()), ("/p/a", none()), ("/p/c", none())]), Ok(vec![0, 1, 2]));
    assert_eq!(ordered(&[]), Ok(vec![]));
}

#[test]
fn wishes_decide_by_file_name_and_the_rest_stays() {
    let all = [("/p/a", wish(&[], &["c"])), ("/p/b", wish(&[], &[])), ("/p/c", wish(&["b"], &[]))];
    assert_eq!(ordered(&all), Ok(vec![2, 0, 1]));
}

#[test]
fn a_circle_suits_nobody_in_it_and_nobody_behind_it() {
    let all = [
        ("/p/free", wish(&[], &[])),
        ("/p/a", wish(&["b"], &[])),
        ("/p/b", wish(&["a"], &[])),
        ("/p/behind", wish(&[], &["a"])),
    ];
    assert_eq!(ordered(&all), Err(vec![1, 2, 3]));
    assert_eq!(ordered(&[("/p/self", wish(&["self"], &[]))]), Err(vec![0]));
}

#[test]
fn a_wish_about_a_stranger_is_told_and_ignored() {
    let wishes = [wish(&["typo"], &["other"])];
    let candidates = [Candidate { path: "/p/a", wish: &wishes[0] }];
    let mut told = Vec::new();
    let order = order(&candidates, |word, place, name| told.push((word, place, name.to_owned())));
    assert_eq!(order, Ok(vec![0]));
    assert_eq!(told, [("before", 0, "typo".to_owned()), ("after", 0, "other".to_owned())]);
}

#[test]
fn filters_let_through_what_they_name() {
    let numbers = Filters::Numbers([32_769, 1].into());
    assert!(numbers.pass(Subject::Number(32_769)) && !numbers.pass(Subject::Number(32_771)));
    let names = Filters::Names(["pay".into()].into());
    assert!(names.pass(Subject::Name("pay")) && !names.pass(Subject::Name("stop")));
    assert!(!Filters::Numbers([].into()).pass(Subject::Number(1)), "an empty list lets nothing through");
    assert!(Filters::None.pass(Subject::Number(1)) && Filters::None.pass(Subject::Any));
}

#[test]
fn every_hook_has_its_name() {
    for name in
        ["custommsg", "peer_connected", "rpc_command", "onion_message_recv", "onion_message_recv_secret"]
    {
        assert_eq!(Hook::named(name).unwrap().name(), name);
    }
    assert_eq!(Hook::named("db_write"), Some(Hook::WithoutOccasion("db_write")));
    assert_eq!(Hook::named("nonsense"), None);
}
