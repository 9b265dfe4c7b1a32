//! The methods: one file each, with its parameters, its page, its examples and its handler.
//!
//! A handler first reads its parameters, then looks whether the call can succeed, then (unless it is only being checked)
//! does it. Handlers never wait; what takes time is handed back as a future and runs beside the connection's other requests.
//! Usage lines, `help` and the man pages are made from the descriptions here; the examples are run by the tests.

use core::future::Future;
use core::pin::Pin;
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use oddwire_node::Subscription;
use tokio::sync::mpsc;

use crate::datastore::Job;
use crate::envelope::Request;
use crate::error::RpcError;
use crate::filter::Filter;
use crate::json_writer::object;
use crate::log::IO_TARGET;
use crate::params::{BadParam, Extra, Param, Params, Slot};
use crate::plugin::{Intervention, Plugin, PluginMethod, Progress};
use crate::service::{Audience, Service};
use crate::tokenizer::Kind;
use crate::value::{Document, Value};

pub(crate) mod address;
mod batching;
mod check;
mod checkmessage;
mod connect;
mod createonion;
mod datastore;
mod datastoreusage;
mod decodeonion;
mod deldatastore;
mod deprecations;
mod disconnect;
mod getinfo;
mod getlog;
mod help;
mod injectonionmessage;
mod listconfigs;
mod listdatastore;
mod listfunds;
mod listnodes;
mod listpeerchannels;
mod listpeers;
mod makesecret;
mod notifications;
mod ping;
mod plugin;
mod sendcustommsg;
mod sendonion;
mod sendonionmessage;
mod setconfig;
mod signmessage;
mod stop;
mod subscribecustommsg;
mod subscribeonionmessage;
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
    /// Plugins are asked first; what they leave of the call will come.
    Pondered(Pin<Box<dyn Future<Output = Result<Reply, RpcError>> + Send>>),
    /// The result, and from now on what the subscription brings; its gaps are told under this name.
    Subscribed(String, Subscription, &'static str),
}

impl Reply {
    /// Bytes of an answer that is complete.
    pub(crate) fn held(&self) -> usize {
        match self {
            Reply::Done(result) => result.len(),
            Reply::Subscribed(result, ..) => result.len(),
            Reply::Later(_) | Reply::InOrder(_) | Reply::Pondered(_) => 0,
        }
    }
}

/// The rest of a call that takes time.
pub(crate) type Work = Pin<Box<dyn Future<Output = Result<String, RpcError>> + Send>>;

/// All methods in the order of their names.
pub static METHODS: &[&Method] = &[
    &batching::METHOD,
    &check::METHOD,
    &checkmessage::METHOD,
    &connect::METHOD,
    &createonion::METHOD,
    &datastore::METHOD,
    &datastoreusage::METHOD,
    &decodeonion::METHOD,
    &deldatastore::METHOD,
    &deprecations::METHOD,
    &disconnect::METHOD,
    &getinfo::METHOD,
    &getlog::METHOD,
    &help::METHOD,
    &injectonionmessage::METHOD,
    &listconfigs::METHOD,
    &listdatastore::METHOD,
    &listfunds::METHOD,
    &listnodes::METHOD,
    &listpeerchannels::METHOD,
    &listpeers::METHOD,
    &makesecret::METHOD,
    &notifications::METHOD,
    &ping::METHOD,
    &plugin::METHOD,
    &sendcustommsg::METHOD,
    &sendonion::METHOD,
    &sendonionmessage::METHOD,
    &setconfig::METHOD,
    &signmessage::METHOD,
    &stop::METHOD,
    &subscribecustommsg::METHOD,
    &subscribeonionmessage::METHOD,
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
    request: &'v Request<'v>,
    caller: &'v Arc<Caller>,
}

/// The connection that a call comes from, with what its client has said about itself.
#[derive(Debug)]
pub(crate) struct Caller {
    /// What the log calls it.
    pub(crate) source: String,
    wants_progress: AtomicBool,
    refuses_deprecated: AtomicBool,
    progress: mpsc::Sender<String>,
}

impl Caller {
    /// A client that has said nothing yet; texts for it go to `progress`.
    pub(crate) fn new(source: String, refuses_deprecated: bool, progress: mpsc::Sender<String>) -> Caller {
        Caller {
            source,
            wants_progress: AtomicBool::new(false),
            refuses_deprecated: AtomicBool::new(refuses_deprecated),
            progress,
        }
    }

    /// What passes a plugin's words about a call on to the client, if it wants to hear them.
    fn progress_of(self: &Arc<Self>, id: &str) -> Option<Progress> {
        if !self.wants_progress.load(Ordering::Relaxed) {
            return None;
        }
        let (caller, id) = (Arc::clone(self), id.to_owned());
        Some(Progress(Box::new(move |params, method| {
            let Some(theirs) = params.get("id") else { return };
            let place = params.place_of(theirs);
            let text = params.raw();
            let (before, after) = (text.get(..place.start), text.get(place.end..));
            let params = [before.unwrap_or_default(), &id, after.unwrap_or_default()].concat();
            let mut notification = object(|notification| {
                notification.string("jsonrpc", "2.0");
                notification.string("method", method);
                notification.bare("params", params);
            });
            notification.push_str("\n\n");
            if caller.progress.try_send(notification).is_err() {
                tracing::debug!(source = caller.source, "a word about the progress of {id} is lost");
            }
        })))
    }
}

/// Starts what a request asks for; `source` is the connection, as the log names it. The filter, if there is one, is for the
/// result.
///
/// # Errors
/// What to answer.
pub(crate) fn start(
    service: &Arc<Service>,
    caller: &Arc<Caller>,
    request: &Request<'_>,
) -> Result<(Reply, Option<Filter>), RpcError> {
    let (name, _) = request.call()?;
    let target = Target::find(service, name)
        .ok_or_else(|| RpcError::method_not_found(format_args!("Unknown command '{name}'")))?;
    let filter = match request.filter.map(Filter::parse).transpose() {
        Ok(filter) => filter,
        Err(bad) => return Err(refuse_value(service, name, Mode::Run, "filter", bad)),
    };
    tracing::trace!(target: IO_TARGET, source = caller.source, "{}[IN] ", request.id);
    target.may_be_called(service, caller, name)?;
    if service.plugins.looks_at(name) {
        return Ok((ponder(service, caller, name, request), filter));
    }
    Ok((target.call(service, caller, request)?, filter))
}

/// What a method's name stands for.
enum Target {
    Own(&'static Method),
    /// The plugin that has the method, and whether it answers `check` for it.
    OfPlugin {
        plugin: Arc<Plugin>,
        method: PluginMethod,
        can_check: bool,
    },
}

impl Target {
    fn find(service: &Service, name: &str) -> Option<Target> {
        let of_plugin = || {
            let (plugin, method, can_check) = service.plugins.method(name)?;
            Some(Target::OfPlugin { plugin, method, can_check })
        };
        find(name).map(Target::Own).or_else(of_plugin)
    }

    fn may_be_called(&self, service: &Service, caller: &Caller, name: &str) -> Result<(), RpcError> {
        match self {
            Target::OfPlugin { plugin, method, .. } => {
                let refuses = caller.refuses_deprecated.load(Ordering::Relaxed);
                if method.is_deprecated && refuses {
                    return Err(RpcError::method_not_found(format_args!("Command {name} is deprecated")));
                }
                service.plugins.tell_of_deprecated(plugin, !refuses, name);
                Ok(())
            }
            Target::Own(_) => Ok(()),
        }
    }

    fn call(
        &self,
        service: &Arc<Service>,
        caller: &Arc<Caller>,
        request: &Request<'_>,
    ) -> Result<Reply, RpcError> {
        let (_, params) = request.call()?;
        match self {
            Target::Own(method) => {
                let params = Params::new(params);
                (method.handler)(&Call {
                    service,
                    method,
                    params,
                    mode: Mode::Run,
                    id: request.id,
                    request,
                    caller,
                })
            }
            Target::OfPlugin { plugin, method, .. } => {
                let progress = caller.progress_of(request.id);
                let answer = service.plugins.pass_through(plugin, &method.name, request, progress);
                Ok(Reply::Later(Box::pin(answer)))
            }
        }
    }
}

/// Has the plugins look at a call before it is carried out.
fn ponder(service: &Arc<Service>, caller: &Arc<Caller>, name: &str, request: &Request<'_>) -> Reply {
    let (service, caller) = (Arc::clone(service), Arc::clone(caller));
    let (name, id, text) = (name.to_owned(), request.id.to_owned(), request.text().to_owned());
    Reply::Pondered(Box::pin(async move {
        match service.plugins.ask_about_call(&name, &id, &text).await {
            Intervention::None => carry_out(&service, &caller, &text).map_err(Refusal::into_error),
            Intervention::Result(result) => Ok(Reply::Done(result.into())),
            Intervention::Error(error) => Err(RpcError::verbatim(error)),
            Intervention::Replace(other) => {
                carry_out(&service, &caller, &other).map_err(|refusal| match refusal {
                    Refusal::OfCall(error) => error,
                    Refusal::OfRequest(why) => RpcError::invalid_request(format_args!(
                        "Bad response to 'rpc_command' hook: {why} ({other})"
                    )),
                })
            }
        }
    }))
}

/// Why a request that plugins have seen is not carried out.
pub(crate) enum Refusal {
    /// It is no request.
    OfRequest(String),
    /// The method refuses.
    OfCall(RpcError),
}

impl Refusal {
    fn into_error(self) -> RpcError {
        match self {
            Refusal::OfRequest(why) => RpcError::invalid_request(why),
            Refusal::OfCall(error) => error,
        }
    }
}

/// Carries out a request given as text, without asking plugins.
pub(crate) fn carry_out(service: &Arc<Service>, caller: &Arc<Caller>, text: &str) -> Result<Reply, Refusal> {
    let bad = |why: &str| Refusal::OfRequest(why.to_owned());
    let document = Document::parse(text).ok_or_else(|| bad("'replace' must be an object"))?;
    let object = document.root().filter(|root| root.kind() == Kind::Object);
    let object = object.ok_or_else(|| bad("'replace' must be an object"))?;
    for member in ["method", "params", "id"] {
        object.get(member).ok_or_else(|| Refusal::OfRequest(format!("missing '{member}'")))?;
    }
    let request = Request::parse(object).map_err(|why| Refusal::OfRequest(why.to_string()))?;
    let (name, _) = request.call().map_err(Refusal::OfCall)?;
    let target = Target::find(service, name)
        .ok_or_else(|| Refusal::OfRequest(format!("redirected to unknown method '{name}'")))?;
    target.call(service, caller, &request).map_err(Refusal::OfCall)
}

/// The answer to a bad value. Users are not shown the value: it may be a secret that ended up in the wrong place. Those
/// who call `check` typed it themselves.
fn refuse_value(service: &Service, method: &str, mode: Mode, name: &str, bad: BadParam<'_>) -> RpcError {
    let BadParam { problem, value } = bad;
    if service.audience == Audience::Developers || mode == Mode::Check {
        return RpcError::invalid_params(format_args!(
            "{name}: {problem}: invalid token '{}'",
            value.quoted()
        ));
    }
    tracing::info!("JSON COMMAND {method}: Invalid parameter {name} ({problem}): token '{}'", value.quoted());
    RpcError::invalid_params(format_args!("{name}: {problem}: invalid token (see logs for details)"))
}

impl<'v> Call<'v> {
    /// Reads the parameters.
    ///
    /// # Errors
    /// What to answer.
    fn read(&self, slots: &mut [&mut dyn Slot<'v>]) -> Result<(), RpcError> {
        self.params.read(slots, Extra::Refused, |name, bad| self.bad_param(name, bad))
    }

    /// The answer to a bad value.
    fn bad_param(&self, name: &'static str, bad: BadParam<'_>) -> RpcError {
        refuse_value(self.service, self.method.name, self.mode, name, bad)
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
