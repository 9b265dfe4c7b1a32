//! The examples on the methods' pages are calls that work, with answers of the shape that is shown.

use oddwire_rpc::method::{METHODS, Method};
use serde_json::Value as Json;

use crate::fixture::{Daemon, connect, separate};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn examples_work_as_shown() {
    let l1 = Daemon::start("lightning-1").await;
    let l2 = Daemon::start("lightning-2").await;
    let mut tried = 0;
    // After `stop` nothing is answered any more.
    let (last, others): (Vec<&Method>, Vec<&Method>) =
        METHODS.iter().copied().partition(|method| method.name == "stop");
    for method in others.into_iter().chain(last) {
        if method.name == "connect" {
            separate(&l1, &l2).await;
        } else {
            connect(&l1, &l2).await;
        }
        for example in method.examples {
            let params = example.params.replace("9736", &l2.port().to_string());
            let answer: Json = serde_json::from_str(&l1.call(method.name, &params).await).unwrap();
            let shown: Json = serde_json::from_str(example.result).unwrap();
            assert_eq!(shape(&answer["result"]), shape(&shown), "{} {params}: {answer}", method.name);
            tried += 1;
        }
    }
    assert_eq!(tried, METHODS.iter().map(|method| method.examples.len()).sum::<usize>());
}

/// Members and types, without values; and the values of text that is the same everywhere.
fn shape(value: &Json) -> Json {
    match value {
        Json::Object(members) => members
            .iter()
            .map(|(name, value)| match name.as_str() {
                "id" | "status" | "command" | "command_to_check" | "network" | "color" | "features"
                | "init" | "pubkey" | "verified" | "secret" | "zbase" | "hex" | "string" => {
                    (name.clone(), value.clone())
                }
                _ => (name.clone(), shape(value)),
            })
            .collect(),
        Json::Array(elements) => elements.iter().map(shape).collect(),
        Json::String(_) => "text".into(),
        Json::Number(_) => 0.into(),
        other => other.clone(),
    }
}
