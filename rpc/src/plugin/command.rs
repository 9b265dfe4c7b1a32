//! Calls of clients that concern plugins: their own methods, which are passed through, and the hook `rpc_command`, with which
//! they look at every call.

use core::future::Future;
use std::sync::Arc;

use super::channel::{Answer, Progress};
use super::host::Host;
use super::{Hook, Plugin, Subject};
use crate::envelope::Request;
use crate::error::{ErrorCode, RpcError};
use crate::value::{Document, Value};

/// What plugins make of a call. Texts are JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Intervention {
    /// It is carried out.
    None,
    /// It is answered with this result.
    Result(String),
    /// It is refused with this error.
    Error(String),
    /// This request is carried out in its place.
    Replace(String),
}

impl Host {
    /// Whether some plugin wants to look at calls of this method.
    pub(crate) fn looks_at(&self, method: &str) -> bool {
        self.wants_calls() && self.chain(&Hook::RpcCommand).about(Subject::Name(method)).next().is_some()
    }

    /// Asks all plugins that want to look at calls of this method. The first that intervenes decides; one that wants to
    /// change what another has decided is not heard.
    pub(crate) async fn ask_about_call(&self, method: &str, id: &str, request: &str) -> Intervention {
        let payload = format!("{{\"rpc_command\":{request}}}");
        let mut decided = Intervention::None;
        for plugin in self.chain(&Hook::RpcCommand).about(Subject::Name(method)) {
            let Some(result) = self.ask_hook(&plugin, &Hook::RpcCommand, Some(id), &payload).await else {
                continue;
            };
            match intervention(&result) {
                Ok(Intervention::None) => self.did_well(&plugin),
                Ok(_) if decided != Intervention::None => {
                    self.did_well(&plugin);
                    tracing::warn!("rpc_command hook '{method}' already modified, ignoring.");
                    break;
                }
                Ok(intervention) => {
                    self.did_well(&plugin);
                    decided = intervention;
                }
                Err(what) => {
                    self.fault(
                        &plugin,
                        &Hook::RpcCommand,
                        &format!("Bad response to 'rpc_command' hook. {what}"),
                    );
                }
            }
        }
        decided
    }

    /// Passes a call on to the plugin that has the method, as it came but for its id. There is no time limit, since some
    /// calls take long on purpose; the plugin's end is an answer, and only so many calls wait for one plugin.
    pub(crate) fn pass_through(
        &self,
        plugin: &Arc<Plugin>,
        method: &str,
        request: &Request<'_>,
        progress: Option<Progress>,
    ) -> impl Future<Output = Result<String, RpcError>> + Send + use<> {
        let asked = plugin.place_for_call().map(|place| {
            let id = self.request_id(method, Some(request.id));
            let text = format!("{}\n\n", request.with_id(&format!("\"{id}\"")));
            (plugin.channel.ask(id, text, progress), place)
        });
        let name = plugin.name.clone();
        async move {
            let (asked, _place) = asked?;
            match asked.answer().await {
                Answer::Result(result) => Ok(result),
                Answer::Error(error) => Err(RpcError::verbatim(error)),
                Answer::Neither | Answer::TimedOut => Err(RpcError::new(
                    ErrorCode::PluginError,
                    format!("The plugin {name} answered with neither result nor error"),
                )),
                Answer::Full => Err(RpcError::new(
                    ErrorCode::PluginError,
                    format!("The plugin {name} does not read what it is sent: try again later, or stop it"),
                )),
                Answer::Gone => Err(RpcError::new(
                    ErrorCode::PluginTerminated,
                    "Plugin terminated before replying to RPC call.",
                )),
            }
        }
    }

    /// Tells the plugin that the client of the next call wants, or does not want, what is deprecated, if that is not what it
    /// was told of all clients.
    pub(crate) fn tell_of_deprecated(&self, plugin: &Arc<Plugin>, is_ok: bool, call: &str) {
        let is_usual = is_ok != self.inner.settings.refuse_deprecated;
        if !is_usual && !self.tell_deprecated_oneshot(plugin, is_ok) {
            tracing::debug!("Plugin {} does not support deprecation setting for cmd {call}", plugin.name);
        }
    }

    /// Whether methods that are on their way out are refused.
    pub(crate) fn refuses_deprecated(&self) -> bool {
        self.inner.settings.refuse_deprecated
    }
}

/// What a plugin's result means.
pub(super) fn intervention(result: &str) -> Result<Intervention, &'static str> {
    let nothing = "";
    let document = Document::parse(result).ok_or(nothing)?;
    let result = document.root().ok_or(nothing)?;
    if let Some(result) = result.get("result") {
        return match result.raw() {
            "continue" => Ok(Intervention::None),
            _ => Err("'result' should only be 'continue'."),
        };
    }
    if let Some(request) = result.get("replace") {
        return Ok(Intervention::Replace(request.quoted().to_owned()));
    }
    let answer = result.get("return").ok_or(nothing)?;
    if let Some(result) = answer.get("result") {
        return Ok(Intervention::Result(result.quoted().to_owned()));
    }
    let error = answer.get("error").ok_or(nothing)?;
    let is_code = |code: Value<'_>| code.raw().parse::<i32>().is_ok();
    if !error.get("code").is_some_and(is_code) {
        return Err("'error' object does not contain a code.");
    }
    if error.get("message").is_none() {
        return Err("'error' object does not contain a message.");
    }
    Ok(Intervention::Error(error.quoted().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_may_let_pass_replace_or_answer() {
        let judged = |text: &str| intervention(text);
        assert_eq!(judged(r#"{"result":"continue"}"#), Ok(Intervention::None));
        assert_eq!(judged(r#"{"replace":{"id":1}}"#), Ok(Intervention::Replace(r#"{"id":1}"#.into())));
        assert_eq!(judged(r#"{"return":{"result":[1]}}"#), Ok(Intervention::Result("[1]".into())));
        let error = r#"{"code":-5,"message":"no"}"#;
        assert_eq!(
            judged(&format!(r#"{{"return":{{"error":{error}}}}}"#)),
            Ok(Intervention::Error(error.into()))
        );
        for (nonsense, said) in [
            (r#"{"result":"stop"}"#, "'result' should only be 'continue'."),
            (r#"{"return":{"error":{}}}"#, "'error' object does not contain a code."),
            (r#"{"return":{"error":{"code":1}}}"#, "'error' object does not contain a message."),
            (r#"{"return":{}}"#, ""),
            ("{}", ""),
            ("7 ", ""),
        ] {
            assert_eq!(judged(nonsense), Err(said), "{nonsense}");
        }
    }
}
