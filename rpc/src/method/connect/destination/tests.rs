use super::*;

fn parsed(host: &str) -> Result<Destination, Unusable> {
    Destination::parse(host, 9735)
}

#[test]
fn addresses() {
    for (host, address) in [
        ("127.0.0.1", "127.0.0.1:9735"),
        ("127.0.0.1:1", "127.0.0.1:1"),
        ("::1", "[::1]:9735"),
        ("[::1]", "[::1]:9735"),
        ("[::1]:65535", "[::1]:65535"),
        ("[127.0.0.1]:5", "127.0.0.1:5"),
        ("localhost", "127.0.0.1:9735"),
        ("ip6-localhost:7", "[::1]:7"),
    ] {
        assert_eq!(parsed(host), Ok(Destination::Address(address.parse().unwrap())), "{host}");
    }
}

#[test]
fn names() {
    assert_eq!(parsed("node.example"), Ok(Destination::Name("node.example".into(), 9735)));
    assert_eq!(parsed("node.example:5"), Ok(Destination::Name("node.example".into(), 5)));
    // The resolver is left to say what it thinks of these.
    assert_eq!(parsed("node.example:"), Ok(Destination::Name("node.example:".into(), 9735)));
    assert_eq!(parsed("127.1"), Ok(Destination::Name("127.1".into(), 9735)));
    assert_eq!(parsed("dns:node.example:5"), Ok(Destination::MarkedName("node.example".into(), 5)));
    assert_eq!(parsed("dns:localhost"), Ok(Destination::MarkedName("localhost".into(), 9735)));
}

#[test]
fn what_cannot_be_connected_to() {
    let onion = format!("{}.onion", "a".repeat(56));
    assert_eq!(parsed(&onion), Ok(Destination::Unreachable(format!("{onion}:9735: need a proxy"))));
    assert_eq!(parsed("/tmp/sock"), Ok(Destination::Unreachable("/tmp/sock: not supported".into())));
    assert_eq!(
        parsed("ws:127.0.0.1:5"),
        Ok(Destination::Unreachable("(ws)127.0.0.1:5: not supported".into()))
    );
}

#[test]
fn what_is_wrong() {
    for host in ["", ":5", "[]", "ws:", "autotor:127.0.0.1", "statictor:127.0.0.1"] {
        assert_eq!(parsed(host), Err(Unusable::NotSimple), "{host}");
    }
    for (host, why) in [
        ("[::1", "Error parsing hostname"),
        ("127.0.0.1:0", "Error parsing hostname"),
        ("127.0.0.1:65536", "Error parsing hostname"),
        ("127.0.0.1:x", "Error parsing hostname"),
        ("dns:127.0.0.1", "dns: must be followed by a name"),
        ("abc.onion", "Invalid Tor address"),
    ] {
        assert_eq!(parsed(host), Err(Unusable::Invalid(why)), "{host}");
    }
    let long = format!("dns:{}", "a".repeat(256));
    assert_eq!(parsed(&long), Err(Unusable::Invalid("DNS address too long")));
    assert_eq!(parsed(&"/".repeat(108)), Err(Unusable::Invalid("Socket name too long")));
}

#[tokio::test]
async fn reserved_names_are_not_looked_up() {
    let unknown = Err("Name or service not known".to_owned());
    assert_eq!(parsed("no.such.host.invalid").unwrap().find(Names::LookedUp).await, unknown);
    assert_eq!(parsed("a.INVALID.").unwrap().find(Names::LookedUp).await, unknown);
    assert_eq!(
        parsed("dns:x.invalid").unwrap().find(Names::LookedUp).await,
        Ok(vec![Place::Unreachable("x.invalid:9735: getaddrinfo error 'Name or service not known'".into())])
    );
}

#[tokio::test]
async fn names_are_not_looked_up_when_the_user_does_not_want_it() {
    let refused = parsed("node.example").unwrap().find(Names::Refused).await;
    assert!(refused.unwrap_err().contains("--disable-dns"));
    let known = parsed("localhost:7").unwrap().find(Names::Refused).await;
    assert_eq!(known, Ok(vec![Place::Address("127.0.0.1:7".parse().unwrap())]));
}
