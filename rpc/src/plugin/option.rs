//! `setconfig` as it concerns plugins: whether the option's own plugin agrees.

use core::future::Future;
use std::sync::Arc;

use super::channel::Answer;
use super::host::Host;
use crate::error::{ErrorCode, RpcError};

impl Host {
    /// Has the plugin at this path set one of its options, or only look whether it would: `params` are those of the method,
    /// `setconfig` or `check`. There is no time limit; the plugin's end is an answer.
    ///
    /// # Errors
    /// The plugin's own, or why there is none.
    pub(crate) fn set_option(
        &self,
        path: &str,
        method: &str,
        asked_by: &str,
        params: &str,
    ) -> impl Future<Output = Result<(), RpcError>> + Send + use<> {
        let asked = self.plugin_at(path).map(|plugin| {
            let place = plugin.place_for_call()?;
            Ok((self.ask(&plugin, method, Some(asked_by), params), place))
        });
        let (method, path) = (method.to_owned(), path.to_owned());
        async move {
            let Some(asked) = asked else {
                let gone = format!("The plugin {path} is not running");
                return Err(RpcError::new(ErrorCode::PluginTerminated, gone));
            };
            let (asked, _place) = asked?;
            match asked.answer().await {
                Answer::Result(_) => Ok(()),
                Answer::Error(error) => Err(RpcError::verbatim(error)),
                Answer::Gone => Err(RpcError::new(
                    ErrorCode::PluginTerminated,
                    "Plugin terminated before replying to RPC call.",
                )),
                Answer::Neither | Answer::TimedOut | Answer::Full => {
                    Err(RpcError::failed(format_args!("Malformed {method} plugin return")))
                }
            }
        }
    }

    /// Whether the plugin at this path answers `check`.
    pub(crate) fn can_check(&self, path: &str) -> bool {
        let plugin = self.plugin_at(path);
        let state = self.lock();
        plugin.is_some_and(|plugin| state.find(&plugin).is_some_and(|entry| entry.manifest.can_check))
    }

    fn plugin_at(&self, path: &str) -> Option<Arc<super::Plugin>> {
        let state = self.lock();
        state.entries.iter().find(|entry| entry.plugin.path == path).map(|entry| Arc::clone(&entry.plugin))
    }
}
