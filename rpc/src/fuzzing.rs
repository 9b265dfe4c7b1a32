//! Doors for the fuzz targets, which stand outside of this crate: what a socket or a plugin's process leads to, as plain
//! functions of text. Nothing in this crate uses them, and nothing else is meant to; they promise nothing between versions.
//!
//! Nothing is started, waited for or written to disk here: what a call would do later is dropped before it begins.

use std::sync::Arc;

use bytes::BytesMut;
use oddwire_node::Node;
use tokio::sync::mpsc;

use crate::config::Names;
use crate::datastore::{Datastore, DatastoreError};
use crate::envelope::{Request, push_error, push_result};
use crate::error::RpcError;
use crate::filter::Filter;
use crate::log::LogBook;
use crate::method::{Caller, Refusal, Reply, carry_out, start};
use crate::plugin::Host;
pub use crate::plugin::fuzzing::{Conversation, Registered, about_call, goes_on, manifest, may_stay, order};
use crate::service::{Audience, Service};
use crate::stop::StopSignal;
use crate::value::Value;

/// Where calls are made: a service without clients, peers and plugins.
#[derive(Debug)]
pub struct Desk {
    service: Arc<Service>,
}

/// What a call came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is no request.
    NoRequest,
    /// It is refused, with this code, in this answer.
    Refused(i32, Vec<u8>),
    /// It is answered.
    Answered(Vec<u8>),
    /// It is accepted, and would be answered later.
    Begun,
}

impl Desk {
    /// A desk for this node.
    ///
    /// # Errors
    /// The thread of the datastore does not start. There is no file.
    pub fn new(node: Node) -> Result<Desk, DatastoreError> {
        let service = Service {
            node,
            alias: "fuzz".to_owned(),
            color: [0; 3],
            version: "v26.06".to_owned(),
            lightning_dir: "/nowhere".into(),
            datastore: Datastore::open("/nowhere/datastore".as_ref())?,
            audience: Audience::Users,
            names: Names::Refused,
            log_book: LogBook::default(),
            options: Arc::default(),
            plugins: Host::default(),
            stop: StopSignal::new(),
        };
        Ok(Desk { service: Arc::new(service) })
    }

    /// A request of a client, as the codec hands it out.
    pub fn call(&self, request: Value<'_>) -> Outcome {
        let Ok(request) = Request::parse(request) else { return Outcome::NoRequest };
        match start(&self.service, &caller(), &request) {
            Ok((reply, filter)) => outcome(request.id, reply, filter.as_ref()),
            Err(error) => refused(request.id, &error),
        }
    }

    /// A request that a plugin has put in the place of another.
    pub fn replaced(&self, request: &str) -> Outcome {
        match carry_out(&self.service, &caller(), request) {
            Ok(reply) => outcome("1", reply, None),
            Err(Refusal::OfCall(error)) => refused("1", &error),
            Err(Refusal::OfRequest(_)) => Outcome::NoRequest,
        }
    }
}

fn caller() -> Arc<Caller> {
    let (progress, _) = mpsc::channel(1);
    Arc::new(Caller::new("fuzz".to_owned(), false, progress))
}

fn outcome(id: &str, reply: Reply, filter: Option<&Filter>) -> Outcome {
    let mut answer = BytesMut::new();
    match (reply, filter) {
        (Reply::Done(result), Some(filter)) => push_result(&mut answer, id, &filter.apply(&result)),
        (Reply::Done(result), None) => push_result(&mut answer, id, &result),
        (Reply::Subscribed(result, ..), _) => push_result(&mut answer, id, &result),
        (Reply::Later(_) | Reply::InOrder(_) | Reply::Pondered(_), _) => return Outcome::Begun,
    }
    Outcome::Answered(answer.to_vec())
}

fn refused(id: &str, error: &RpcError) -> Outcome {
    let mut answer = BytesMut::new();
    push_error(&mut answer, id, error);
    Outcome::Refused(error.code.number(), answer.to_vec())
}
