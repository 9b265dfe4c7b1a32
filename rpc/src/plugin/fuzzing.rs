//! What [`fuzzing`](crate::fuzzing) shows of plugins: each thing that a plugin says, judged without a process.

use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use std::sync::Arc;

use super::Plugin;
use super::channel::{Answer, Asked};
use super::command::{Intervention, intervention};
use super::directory::Checksum;
use super::gate::{says, verdict};
use super::hook::{self, Candidate, Filters, Hook, HookWish};
use super::host::Host;
use super::manifest::{self, Introduction};
use crate::codec::Codec;
use crate::limits::{MAX_PLUGIN_MESSAGE_LEN, MAX_PLUGIN_TOKENS};
use crate::value::Document;
use oddwire_node::Verdict;

/// What a plugin has registered, in the order of its manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// `dynamic`
    pub is_dynamic: bool,
    /// `cancheck`
    pub can_check: bool,
    /// The bytes of the feature bits for `init`.
    pub features: Vec<u8>,
    /// `custommessages`
    pub types: Vec<u16>,
    /// `notifications`
    pub topics: Vec<String>,
    /// Names of `options`.
    pub options: Vec<String>,
    /// Names of `rpcmethods`.
    pub methods: Vec<String>,
    /// `subscriptions`
    pub subscriptions: Vec<String>,
    /// Names of `hooks`.
    pub hooks: Vec<&'static str>,
}

/// An answer to `getmanifest`. `None` is a plugin that does not want to run, or text that is no JSON.
///
/// # Errors
/// What is wrong with it, in the words of the log.
pub fn manifest(result: &str) -> Option<Result<Registered, String>> {
    let document = Document::parse(result)?;
    let manifest = match manifest::parse(document.root()?) {
        Err(wrong) => return Some(Err(wrong.to_string())),
        Ok(Introduction::Disabled(_)) => return None,
        Ok(Introduction::Manifest(manifest)) => *manifest,
    };
    Some(Ok(Registered {
        is_dynamic: manifest.is_dynamic,
        can_check: manifest.can_check,
        features: manifest.features.map(|features| features.as_bytes().to_vec()).unwrap_or_default(),
        types: manifest.custom_messages.iter().map(|kind| kind.get()).collect(),
        topics: manifest.topics,
        options: manifest.options.into_iter().map(|option| option.name).collect(),
        methods: manifest.methods.into_iter().map(|method| method.name).collect(),
        subscriptions: manifest.subscriptions,
        hooks: manifest.hooks.iter().map(|wish| wish.hook.name()).collect(),
    }))
}

/// An answer to the hooks `custommsg` and `onion_message_recv`.
pub fn goes_on(result: &str) -> bool {
    says(result, "result", "continue")
}

/// An answer to the hook `peer_connected`: `None` is nonsense.
///
/// # Errors
/// The peer is turned away, perhaps with these words.
pub fn may_stay(result: &str) -> Option<Result<(), Option<String>>> {
    match verdict(result)? {
        Verdict::Welcome => Some(Ok(())),
        Verdict::TurnAway { warning } => Some(Err(warning)),
    }
}

/// An answer to the hook `rpc_command`: which member decides, and its JSON.
///
/// # Errors
/// What is wrong with it.
pub fn about_call(result: &str) -> Result<(&'static str, String), &'static str> {
    Ok(match intervention(result)? {
        Intervention::None => ("continue", String::new()),
        Intervention::Result(json) => ("result", json),
        Intervention::Error(json) => ("error", json),
        Intervention::Replace(json) => ("replace", json),
    })
}

/// The order of a hook's plugins, which are called `/plugins/0`, `/plugins/1` and so on, by what each wants to be before and
/// after.
///
/// # Errors
/// Those that no order suits.
pub fn order(wishes: &[(Vec<String>, Vec<String>)]) -> Result<Vec<usize>, Vec<usize>> {
    let paths: Vec<String> = (0..wishes.len()).map(|number| format!("/plugins/{number}")).collect();
    let wishes: Vec<HookWish> = wishes
        .iter()
        .map(|(before, after)| HookWish {
            hook: Hook::CustomMessage,
            before: before.clone(),
            after: after.clone(),
            filters: Filters::None,
        })
        .collect();
    let candidates: Vec<Candidate<'_>> =
        paths.iter().zip(&wishes).map(|(path, wish)| Candidate { path, wish }).collect();
    hook::order(&candidates, |_, _, _| {})
}

/// A plugin that has been asked some things, and speaks.
#[derive(Debug)]
pub struct Conversation {
    host: Host,
    plugin: Arc<Plugin>,
    codec: Codec,
    asked: Vec<Asked>,
}

impl Conversation {
    /// It has been asked requests with these ids.
    pub fn new(ids: &[&str]) -> Conversation {
        let plugin = Arc::new(Plugin::new("/plugins/speaker".to_owned(), Checksum::default()));
        let asked = ids.iter().map(|id| plugin.channel.ask((*id).to_owned(), "{}\n\n".to_owned(), None));
        let asked = asked.collect();
        let codec = Codec::for_messages(MAX_PLUGIN_MESSAGE_LEN, MAX_PLUGIN_TOKENS);
        Conversation { host: Host::default(), plugin, codec, asked }
    }

    /// It says something, in one piece. How many messages that were.
    ///
    /// # Errors
    /// Why it cannot be talked with any more.
    pub fn hear(&mut self, piece: &[u8]) -> Result<usize, String> {
        self.codec.room().extend_from_slice(piece);
        let mut heard: usize = 0;
        loop {
            match self.codec.next_request() {
                Ok(None) => return Ok(heard),
                Ok(Some(message)) => self.host.hear(&self.plugin, message)?,
                Err(refusal) => return Err(String::from_utf8_lossy(&refusal.text).into_owned()),
            }
            heard = heard.saturating_add(1);
        }
    }

    /// The answers to what it was asked, in that order: `result` or `error`, or neither (an empty text).
    pub fn answers(self) -> Vec<Option<String>> {
        let look = |asked: Asked| match pin!(asked.answer()).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Answer::Result(json) | Answer::Error(json)) => Some(json),
            Poll::Ready(_) => Some(String::new()),
            Poll::Pending => None,
        };
        self.asked.into_iter().map(look).collect()
    }
}
