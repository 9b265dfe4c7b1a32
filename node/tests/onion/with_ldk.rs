//! LDK as the last node, the middle one and the first, questions and answers.

use oddwire_node::{EventFilter, Limits};

use crate::ldk::LdkNode;
use crate::{PATIENCE, arrival, line, start_with, text, to_node, to_path};

#[tokio::test]
async fn ldk_is_asked_by_us_over_two_of_ours() {
    let [a, b, c] = line().await;
    let mut ldk = LdkNode::start(77);
    c.connect(ldk.id(), ldk.listen().await).await.unwrap();
    let question = to_node(ldk.id(), &[&b, &c], b"are you LDK?");
    let (answer, seen) = tokio::join!(a.ask_over_onion(&question, PATIENCE), ldk.next());
    assert_eq!(text(&answer.unwrap()), b"re: are you LDK?");
    assert_eq!((&seen.text[..], seen.context), (&b"are you LDK?"[..], None));
}

#[tokio::test]
async fn ldk_carries_between_two_of_ours() {
    let (a, d) = (start_with(1, Limits::default()).await, start_with(2, Limits::default()).await);
    let ldk = LdkNode::start(77);
    let address = ldk.listen().await;
    a.connect(ldk.id(), address).await.unwrap();
    d.connect(ldk.id(), address).await.unwrap();
    let mut at_d = d.subscribe(EventFilter::onions());
    let via = oddwire_node::onion::Via::Nodes(vec![ldk.id()]);
    let question = oddwire_node::onion::OutgoingOnion { via, ..to_node(d.id(), &[], b"over LDK") };
    let answered = async {
        let message = arrival(&mut at_d).await;
        assert_eq!(text(&message), b"over LDK");
        let path = message.reply_path.as_ref().unwrap();
        d.send_onion_message(&to_path(path, &[], b"and back")).await.unwrap();
    };
    let (answer, ()) = tokio::join!(a.ask_over_onion(&question, PATIENCE), answered);
    assert_eq!(text(&answer.unwrap()), b"and back");
}

#[tokio::test]
async fn two_of_ldk_carry_between_two_of_ours() {
    let (a, d) = (start_with(1, Limits::default()).await, start_with(2, Limits::default()).await);
    let (b, c) = (LdkNode::start(77), LdkNode::start(78));
    b.connect(&c).await;
    a.connect(b.id(), b.listen().await).await.unwrap();
    d.connect(c.id(), c.listen().await).await.unwrap();
    let mut at_d = d.subscribe(EventFilter::onions());
    let via = oddwire_node::onion::Via::Nodes(vec![b.id(), c.id()]);
    let question = oddwire_node::onion::OutgoingOnion { via, ..to_node(d.id(), &[], b"over two") };
    let answered = async {
        let message = arrival(&mut at_d).await;
        let path = message.reply_path.as_ref().unwrap();
        d.send_onion_message(&to_path(path, &[], b"and back")).await.unwrap();
    };
    let (answer, ()) = tokio::join!(a.ask_over_onion(&question, PATIENCE), answered);
    assert_eq!(text(&answer.unwrap()), b"and back");
}

#[tokio::test]
async fn ldk_asks_one_of_ours_over_two_of_ours() {
    let [b, c, d] = line().await;
    let mut ldk = LdkNode::start(77);
    b.connect(ldk.id(), ldk.listen().await).await.unwrap();
    let mut at_d = d.subscribe(EventFilter::onions());
    ldk.ask(d.id(), &[b.id(), c.id()], b"are you Oddwire?", b"for the answer");
    let message = arrival(&mut at_d).await;
    assert_eq!(text(&message), b"are you Oddwire?");
    // LDK's path begins at C, a neighbour of D's.
    let path = message.reply_path.as_ref().unwrap();
    d.send_onion_message(&to_path(path, &[], b"yes")).await.unwrap();
    let seen = ldk.next().await;
    assert_eq!((&seen.text[..], seen.context), (&b"yes"[..], Some(b"for the answer".to_vec())));
}
