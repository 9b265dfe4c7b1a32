//! `connect`: connects to a peer.
//!
//! Where the peer is can be said in many ways, all of them Core Lightning's; [`destination`] knows them.

use core::cell::{Cell, RefCell};
use std::sync::Arc;

use oddwire_node::{CloseReason, ConnectError, ConnectStage, NodeId, PeerInfo};

use super::address::write_address;
use super::{Call, Example, Method, Reply};
use crate::config::Names;
use crate::error::{ErrorCode, RpcError};
use crate::json_writer::object;
use crate::params::{Arg, BadParam, Param, Refused, parse_node_id};
use crate::service::Service;
use crate::value::Value;
use destination::{Destination, Place, Unusable, split_port};

mod destination;

const PARAMS: &[Param] = &[
    Param::required("id", "string", "The peer's node id, or `id@host` or `id@host:port`."),
    Param::optional(
        "host",
        "string",
        "An IPv4 or IPv6 address or a name, also with `:port`. An IPv6 address with a port stands in brackets.",
    ),
    Param::optional(
        "port",
        "u16",
        "The port. Default: the network's (9735 for bitcoin, 19735 testnet, 39735 signet, 19846 regtest).",
    ),
];

pub(super) static METHOD: Method = Method {
    name: "connect",
    summary: "Connects to a peer",
    params: PARAMS,
    page: "The answer comes when the handshake is done and `init` has been exchanged: `id`, `features` (of the peer, BOLT 9, hex), \
`direction` (`out`; `in` if it was connected already and had come to us) and `address` (`type`, `address`, `port`). Of a peer that \
is connected already the present connection is shown, whatever address was given.

Of a name every address is tried in turn. Addresses of Tor, of web sockets and of local sockets are understood but not connected to.

Error -1: the host cannot be used; -32602: a parameter is wrong; 400: no host was given, and there is no gossip here to know one \
from; 401: no address could be connected to, and why; 402: the peer was connected and gone again at once, since a plugin turned it away, \
somebody disconnected it, or it left.",
    examples: &[Example {
        about: "A node on this machine",
        params: r#"{"id":"022d223620a359a47ff7f7ac447c85c46c923da53389221a0054c11c1e3ca31d59","host":"127.0.0.1","port":9736}"#,
        result: r#"{"id":"022d223620a359a47ff7f7ac447c85c46c923da53389221a0054c11c1e3ca31d59","features":"20800000a202","direction":"out","address":{"type":"ipv4","address":"127.0.0.1","port":9736}}"#,
    }],
    handler: connect,
};

fn connect(call: &Call<'_>) -> Result<Reply, RpcError> {
    // Host and port can come with the id and on their own, in any order; twice is a mistake.
    let host = RefCell::new(None);
    let port = Cell::new(None);
    let mut id = Arg::new(&PARAMS[0], |value| id_maybe_with_address(value, &host, &port));
    let mut host_alone = Arg::new(&PARAMS[1], |value| set_host(&host, value.raw()).map_err(Refused::Error));
    let mut port_alone = Arg::new(&PARAMS[2], |value| port_number(value, &port));
    call.read(&mut [&mut id, &mut host_alone, &mut port_alone])?;
    let id = id.required()?;

    let target = match (host.take(), port.get()) {
        (Some(host), port) => {
            let port = port.unwrap_or_else(|| call.service.node.network().default_port());
            Some(Target::parse(host, port)?)
        }
        (None, Some(_)) => return Err(RpcError::invalid_params("Can't specify port without host")),
        (None, None) => None,
    };
    let checked = call.is_check().then(|| call.checked_result());
    let service = Arc::clone(call.service);
    Ok(Reply::Later(Box::pin(async move {
        let destinations = match target {
            Some(target) => Some(target.find(service.names).await?),
            None => None,
        };
        match checked {
            Some(checked) => Ok(checked),
            None => connect_to(&service, id, destinations).await,
        }
    })))
}

/// A host as the caller wrote it, and what that means.
struct Target {
    host: String,
    port: u16,
    destination: Destination,
}

impl Target {
    fn parse(host: String, port: u16) -> Result<Target, RpcError> {
        match Destination::parse(&host, port) {
            Ok(destination) => Ok(Target { host, port, destination }),
            Err(Unusable::NotSimple) => {
                Err(RpcError::failed(format_args!("Host {host}:{port} not a simple type")))
            }
            Err(Unusable::Invalid(why)) => {
                Err(RpcError::failed(format_args!("Host {host}:{port} not valid: {why}")))
            }
        }
    }

    async fn find(self, names: Names) -> Result<Vec<Place>, RpcError> {
        let Target { host, port, destination } = self;
        let found = destination.find(names).await;
        found.map_err(|why| RpcError::failed(format_args!("Host {host}:{port} not valid: {why}")))
    }
}

async fn connect_to(service: &Service, id: NodeId, places: Option<Vec<Place>>) -> Result<String, RpcError> {
    let node = &service.node;
    if let Some(peer) = node.peer(&id) {
        return Ok(result(&peer));
    }
    let Some(places) = places else {
        return Err(RpcError::new(ErrorCode::NoKnownAddress, "Unable to connect, no address known for peer"));
    };
    let mut failures = String::new();
    for place in places {
        let failure = match place {
            Place::Address(address) => match node.connect(id, address).await {
                Ok(peer) => return Ok(result(&peer)),
                Err(error) => failure(&error)?,
            },
            Place::Unreachable(why) => why,
        };
        failures.push_str(&failure);
        failures.push_str(". ");
    }
    Err(RpcError::new(ErrorCode::AllAddressesFailed, format!("All addresses failed: {failures}")))
}

fn result(peer: &PeerInfo) -> String {
    object(|result| {
        result.string("id", peer.id);
        result.hex("features", &peer.features);
        result.string("direction", peer.direction);
        result.object("address", |address| write_address(address, peer.address));
    })
}

/// What to say of one address; an error if another address would not help.
fn failure(error: &ConnectError) -> Result<String, RpcError> {
    match error {
        // A node that is not who we think it is cannot read our first act, and hangs up.
        ConnectError::Closed {
            address,
            stage: stage @ ConnectStage::Handshake,
            reason: CloseReason::PeerClosed,
        } => Ok(format!("{address}: {stage}: peer closed connection (wrong key?)")),
        ConnectError::Closed { address, stage, reason: CloseReason::PeerClosed } => {
            Ok(format!("{address}: {stage}: peer closed connection"))
        }
        ConnectError::System { .. } | ConnectError::Timeout { .. } | ConnectError::Closed { .. } => {
            Ok(error.to_string())
        }
        ConnectError::DisconnectedDuring => {
            Err(RpcError::new(ErrorCode::DisconnectedDuring, error.to_string()))
        }
        other => Err(RpcError::failed(other)),
    }
}

fn id_maybe_with_address<'v>(
    value: Value<'v>,
    host: &RefCell<Option<String>>,
    port: &Cell<Option<u16>>,
) -> Result<NodeId, Refused<'v>> {
    let (id, address) = match value.raw().split_once('@') {
        Some((id, address)) => (id, Some(address)),
        None => (value.raw(), None),
    };
    let id = parse_node_id(id).ok_or(BadParam { problem: "should be a node id", value })?;
    let Some(address) = address else { return Ok(id) };
    if host.borrow().is_some() {
        return Err(host_twice().into());
    }
    let (name, with_port) =
        split_port(address).ok_or_else(|| RpcError::invalid_params("malformed host @part"))?;
    set_host(host, name)?;
    if let Some(number) = with_port {
        set_port(port, number)?;
    }
    Ok(id)
}

fn port_number<'v>(value: Value<'v>, port: &Cell<Option<u16>>) -> Result<(), Refused<'v>> {
    if port.get().is_some() {
        return Err(port_twice().into());
    }
    match value.as_u64().map(u16::try_from) {
        Some(Ok(0)) => Err(BadParam { problem: "should be non-zero", value }.into()),
        Some(Ok(number)) => Ok(set_port(port, number)?),
        _ => Err(BadParam { problem: "should be a 16-bit integer", value }.into()),
    }
}

fn set_host(host: &RefCell<Option<String>>, name: &str) -> Result<(), RpcError> {
    match host.replace(Some(name.to_owned())) {
        Some(_) => Err(host_twice()),
        None => Ok(()),
    }
}

fn set_port(port: &Cell<Option<u16>>, number: u16) -> Result<(), RpcError> {
    match port.replace(Some(number)) {
        Some(_) => Err(port_twice()),
        None => Ok(()),
    }
}

fn host_twice() -> RpcError {
    RpcError::invalid_params("Can't specify host as both xxx@yyy and separate argument")
}

fn port_twice() -> RpcError {
    RpcError::invalid_params("Can't specify port as both xxx@yyy:port and separate argument")
}
