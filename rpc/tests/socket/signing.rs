//! Signed messages and derived secrets, in the words and bytes of Core Lightning.

use serde_json::{Value as Json, json};

use crate::fixture::Daemon;

/// Texts, signatures and signers that users of LND gave to Core Lightning's tests.
const FROM_LND: [(&str, &str, &str); 3] = [
    (
        "is this compatible?",
        "rbgfioj114mh48d8egqx8o9qxqw4fmhe8jbeeabdioxnjk8z3t1ma1hu1fiswpakgucwwzwo6ofycffbsqusqdimugbh41n1g698hr9t",
        "02b80cabdf82638aac86948e4c06e82064f547768dcef977677b9ea931ea75bab5",
    ),
    (
        "hi",
        "rnrphcjswusbacjnmmmrynh9pqip7sy5cx695h6mfu64iac6qmcmsd8xnsyczwmpqp9shqkth3h4jmkgyqu5z47jfn1q7gpxtaqpx4xg",
        "02de60d194e1ca5947b59fe8e2efd6aadeabfb67f2e89e13ae1a799c1e08e4a43b",
    ),
    (
        "hi",
        "ry8bbsopmduhxy3dr5d9ekfeabdpimfx95kagdem7914wtca79jwamtbw4rxh69hg7n6x9ty8cqk33knbxaqftgxsfsaeprxkn1k48p3",
        "022b8ece90ee891cbcdac0c1cc6af46b73c47212d8defbce80265ac81a6b794931",
    ),
];

async fn answer(at: &Daemon, method: &str, params: Json) -> Json {
    serde_json::from_str(&at.call(method, &params.to_string()).await).unwrap()
}

#[tokio::test]
async fn signatures_of_others_are_checked() {
    let l1 = Daemon::start("lightning-1").await;
    for (message, zbase, key) in FROM_LND {
        let named = answer(&l1, "checkmessage", json!([message, zbase, key])).await;
        assert_eq!(named["result"], json!({"pubkey": key, "verified": true}));
        let altered = answer(&l1, "checkmessage", json!([format!("{message} "), zbase, key])).await;
        assert_eq!(altered["result"]["verified"], false);
        assert_ne!(altered["result"]["pubkey"], key);
        let unnamed = l1.call("checkmessage", &json!([message, zbase]).to_string()).await;
        assert_eq!(
            unnamed,
            format!(
                r#"{{"jsonrpc":"2.0","id":1,"error":{{"code":1301,"message":"pubkey not found in the graph","data":{{"claimed_key":"{key}"}}}}}}"#
            ) + "\n\n"
        );
    }
}

#[tokio::test]
async fn our_own_signature_is_ours() {
    let l1 = Daemon::start("lightning-1").await;
    // Escapes stay as they are, on both sides.
    for message in ["this is a test!", "", "a\nb", &"x".repeat(65_535)] {
        let signed = answer(&l1, "signmessage", json!([message])).await;
        let signed = &signed["result"];
        assert_eq!(signed["signature"].as_str().unwrap().len(), 128);
        let checked =
            answer(&l1, "checkmessage", json!([message, signed["zbase"], l1.node.id().to_string()])).await;
        assert_eq!(checked["result"], json!({"pubkey": l1.node.id().to_string(), "verified": true}));
    }
    let long = answer(&l1, "signmessage", json!(["x".repeat(65_536)])).await;
    assert_eq!(long["error"], json!({"code": -32602, "message": "Message must be < 64k"}));
}

#[tokio::test]
async fn what_is_no_signature_is_refused() {
    let l1 = Daemon::start("lightning-1").await;
    let zbase = FROM_LND[0].1;
    for (zbase, message) in [
        ("wrong zbase format".to_owned(), "zbase is not valid zbase32"),
        (zbase.to_uppercase(), "zbase is not valid zbase32"),
        (zbase[..103].to_owned(), "zbase is not valid zbase32"),
        (zbase[..96].to_owned(), "zbase is too short"),
        (String::new(), "zbase is too short"),
        (format!("{zbase}{}", &zbase[..8]), "zbase is too long"),
        // A first byte of 0 and of 255: no recovery id. Core Lightning's process ends over these.
        ("y".repeat(104), "cannot parse zbase signature"),
        (format!("99{}", &zbase[2..]), "cannot parse zbase signature"),
        // r above the order of the curve.
        (format!("{}{}", &zbase[..2], "9".repeat(102)), "cannot parse zbase signature"),
    ] {
        let refused = answer(&l1, "checkmessage", json!(["hi", zbase])).await;
        assert_eq!(refused["error"], json!({"code": -32602, "message": message}), "{zbase}");
        let checked = answer(&l1, "check", json!(["checkmessage", "hi", zbase])).await;
        assert_eq!(checked["error"]["message"], message);
    }
}

#[tokio::test]
async fn secrets_are_derived_from_bytes_or_text() {
    let l1 = Daemon::start("lightning-1").await;
    let secret = json!({"secret": "a9a2e742405c28f059349132923a99337ae7f71168b7485496e3365f5bc664ed"});
    for params in
        [json!(["73636220736563726574"]), json!([null, "scb secret"]), json!({"string": "scb secret"})]
    {
        assert_eq!(answer(&l1, "makesecret", params).await["result"], secret);
    }
    assert_ne!(answer(&l1, "makesecret", json!(["7363622073656372657401"])).await["result"], secret);
    for (params, message) in [
        (json!([]), "Must have either hex or string"),
        (json!(["00", "x"]), "Cannot have both hex and string"),
        (json!(["0"]), "hex: should be a hex value: invalid token '\"0\"'"),
    ] {
        let refused = answer(&l1, "makesecret", params).await;
        assert_eq!(refused["error"], json!({"code": -32602, "message": message}));
    }
}
