//! The methods: one file each, with its parameters, its page, its examples and its handler.
//!
//! A handler first reads its parameters, then looks whether the call can succeed, then (unless it is only being checked)
//! does it. Handlers never wait; what takes time is handed back as a future and runs beside the connection's other requests.
//! Usage lines, `help` and the man pages are made from the descriptions here; the examples are run by the tests.

use core::future::Future;
use core::pin::Pin;
use std::borrow::Cow;
use std::sync::Arc;

use oddwire_node::Subscription;

use crate::datastore::Job;
use crate::envelope::Request;
use crate::error::RpcError;
use crate::filter::Filter;
use crate::json_writer::object;
use crate::log::IO_TARGET;
use crate::params::{BadParam, Extra, Param, Params, Slot};
use crate::service::{Audience, Service};
use crate::tokenizer::Kind;
use crate::value::Value;

mod address;
mod batching;
mod check;
mod checkmessage;
mod connect;
mod datastore;
mod datastoreusage;
mod deldatastore;
mod deprecations;
mod disconnect;
mod getinfo;
mod getlog;
mod help;
mod listconfigs;
mod listdatastore;
mod listfunds;
mod listnodes;
mod listpeerchannels;
mod listpeers;
mod makesecret;
mod notifications;
mod ping;
mod sendcustommsg;
mod signmessage;
mod stop;
mod subscribecustommsg;
#[cfg(test)]
mod tests;
mod waitblockheight;

/// One method: everything there is to say about it, and what it does.
#[derive(Debug)]
pub struct Method {
    /// Its name on the wire.
    pub name: &'static str,
    /// What it does, in one line.
    pub summary: &'static str,
    /// Its parameters in their positional order, required ones first.
    pub params: &'static [Param],
    /// Its page: what it does, what it answers, which errors there are. Paragraphs are separated by blank lines.
    pub page: &'static str,
    /// Calls that work, with their answers.
    pub examples: &'static [Example],
    handler: Handler,
}

/// A call and its answer.
#[derive(Debug)]
pub struct Example {
    /// What the call is for.
    pub about: &'static str,
    /// The `params`, as JSON.
    pub params: &'static str,
    /// The `result`, as JSON.
    pub result: &'static str,
}

type Handler = for<'v> fn(&Call<'v>) -> Result<Reply, RpcError>;

/// What a handler has to say at once.
pub(crate) enum Reply {
    /// The result, which is a JSON object.
    Done(Cow<'static, str>),
    /// The result will come.
    Later(Work),
    /// The result will come; what the closure sets going is done in the order of the connection's requests.
    InOrder(Box<dyn FnOnce() -> Work + Send>),
    /// The result, and from now on what the subscription brings.
    Subscribed(String, Subscription),
}

/// The rest of a call that takes time.
pub(crate) type Work = Pin<Box<dyn Future<Output = Result<String, RpcError>> + Send>>;

/// All methods in the order of their names.
pub static METHODS: &[&Method] = &[
    &batching::METHOD,
    &check::METHOD,
    &checkmessage::METHOD,
    &connect::METHOD,
    &datastore::METHOD,
    &datastoreusage::METHOD,
    &deldatastore::METHOD,
    &deprecations::METHOD,
    &disconnect::METHOD,
    &getinfo::METHOD,
    &getlog::METHOD,
    &help::METHOD,
    &listconfigs::METHOD,
    &listdatastore::METHOD,
    &listfunds::METHOD,
    &listnodes::METHOD,
    &listpeerchannels::METHOD,
    &listpeers::METHOD,
    &makesecret::METHOD,
    &notifications::METHOD,
    &ping::METHOD,
    &sendcustommsg::METHOD,
    &signmessage::METHOD,
    &stop::METHOD,
    &subscribecustommsg::METHOD,
    &waitblockheight::METHOD,
];

/// The method of this name.
pub fn find(name: &str) -> Option<&'static Method> {
    METHODS
        .binary_search_by(|method| method.name.cmp(name))
        .ok()
        .and_then(|place| METHODS.get(place).copied())
}

impl Method {
    /// Name and parameters in one line, as `help` lists it. A method without parameters has a space at the end, as Core
    /// Lightning's do.
    pub fn usage(&self) -> String {
        let params: Vec<String> = self.params.iter().map(Param::to_string).collect();
        format!("{} {}", self.name, params.join(" "))
    }
}

/// Whether a call is meant.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Mode {
    /// It is.
    Run,
    /// `check` only wants to know whether it would be refused.
    Check,
}

/// One call of a method.
pub(crate) struct Call<'v> {
    service: &'v Arc<Service>,
    method: &'static Method,
    params: Params<'v>,
    mode: Mode,
    /// The request's id, as it came.
    id: &'v str,
}

/// Starts what a request asks for; `source` is the connection, as the log names it. The filter, if there is one, is for the
/// result.
///
/// # Errors
/// What to answer.
pub(crate) fn start(
    service: &Arc<Service>,
    source: &str,
    request: &Request<'_>,
) -> Result<(Reply, Option<Filter>), RpcError> {
    let (name, params) = request.call()?;
    let method =
        find(name).ok_or_else(|| RpcError::method_not_found(format_args!("Unknown command '{name}'")))?;
    let call = Call { service, method, params: Params::new(params), mode: Mode::Run, id: request.id };
    let filter = match request.filter.map(Filter::parse).transpose() {
        Ok(filter) => filter,
        Err(bad) => return Err(call.bad_param("filter", bad)),
    };
    tracing::trace!(target: IO_TARGET, source, "{}[IN] ", request.id);
    Ok(((method.handler)(&call)?, filter))
}

impl<'v> Call<'v> {
    /// Reads the parameters.
    ///
    /// # Errors
    /// What to answer.
    fn read(&self, slots: &mut [&mut dyn Slot<'v>]) -> Result<(), RpcError> {
        self.params.read(slots, Extra::Refused, |name, bad| self.bad_param(name, bad))
    }

    /// The answer to a bad value. Users are not shown the value: it may be a secret that ended up in the wrong place. Those
    /// who call `check` typed it themselves.
    fn bad_param(&self, name: &'static str, bad: BadParam<'_>) -> RpcError {
        let BadParam { problem, value } = bad;
        if self.service.audience == Audience::Developers || self.mode == Mode::Check {
            return RpcError::invalid_params(format_args!(
                "{name}: {problem}: invalid token '{}'",
                value.quoted()
            ));
        }
        tracing::info!(
            "JSON COMMAND {}: Invalid parameter {name} ({problem}): token '{}'",
            self.method.name,
            value.quoted()
        );
        RpcError::invalid_params(format_args!("{name}: {problem}: invalid token (see logs for details)"))
    }

    /// Hands a job to the datastore, after all that were asked for before.
    fn in_datastore(&self, job: Job) -> Reply {
        let service = Arc::clone(self.service);
        Reply::InOrder(Box::new(move || service.datastore.run(job)))
    }

    fn is_check(&self) -> bool {
        self.mode == Mode::Check
    }

    /// The answer of `check` when there is nothing to object to.
    fn checked(&self) -> Reply {
        Reply::Done(self.checked_result().into())
    }

    fn checked_result(&self) -> String {
        object(|result| result.string("command_to_check", self.method.name))
    }
}

/// Elements of an array, each read by `read`; a single value counts as an array of one.
fn each<'v, T>(value: Value<'v>, read: impl Fn(Value<'v>) -> Option<T>) -> Option<Vec<T>> {
    match value.kind() {
        Kind::Array => value.items().map(read).collect(),
        _ => Some(vec![read(value)?]),
    }
}
