//! `oddwire-cli listen`: every custom message that peers send, one JSON object a line, as they come.
//!
//! ```text
//! {"peer":"02ab..","type":30583,"payload":"77770012","time":"2026-11-21T01:02:03.004Z","number":1}
//! {"type":30583,"payload":"77770012","time":"2026-11-21T01:02:03.004Z","number":2,"hops":{}}
//! {"gap":3}
//! {"unsent":{"peer":"02ab..","type":30583,"length":4,"payload":"77770012","reason":"the peer closed the connection"}}
//! ```
//!
//! `payload` starts with the two bytes of the type, as in Core Lightning's `custommsg`, so that `sendcustommsg` takes it as
//! it is. What came over several hops has `hops` and no `peer`: nobody knows who sent it. A `gap` says in its place how many
//! messages were dropped because this reader was too slow, or that they are not kept any more. `unsent`, if it is asked for, is a
//! message of this node's own that did not go out. Every line is flushed.
//! Once messages are being collected, [`READY`] appears on standard error, so that a script knows when to provoke one.

use std::io::{self, Write};
use std::num::NonZeroU64;

use clap::ArgAction;
use oddwire_node::{Epoch, NodeId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;
use tokio::signal::unix::{SignalKind, signal};

use super::output;
use super::{CliError, Status};
use crate::client::{Client, ClientError, Notification};

/// The line on standard error that says that no message is missed from here on.
const READY: &str = "# listening";

/// What `help listen` prints.
pub(super) const PAGE: &str = "listen [--type N]... [--peer ID]... [--count N] [--from N [--epoch E]] [--unsent]
=================================================================================

Prints every custom message that peers send, as it comes, one JSON object a line:

  {\"peer\":ID,\"type\":N,\"payload\":HEX,\"time\":TIME,\"number\":N}

The payload starts with the two bytes of the type, as sendcustommsg takes it. A message that came over several hops has no
peer, since nobody knows who sent it, but \"hops\": what is known of its way. {\"gap\":N} says that N messages were dropped
in this place: the reader of these lines was too slow, or they are not kept any more. \"# epoch E\" on standard error names
the run of the daemon that the numbers belong to; \"# listening\" says that from here on no message is missed unsaid.

  --type N    only messages of this type, 30583 or 0x7777; repeatable
  --peer ID   only messages from this peer; repeatable
  --count N   end after so many messages
  --from N    begin with message number N, if it is kept; a listener that saw 7 last goes on with 8
  --epoch E   with --from: refuse if the daemon was started anew since, and its numbers with it
  --unsent    also a line {\"unsent\":{...}} for each message of ours that was accepted and did not go out, with the reason

It ends with status 0 after the count, on SIGINT or SIGTERM, or when nobody reads its output any longer; with status 1 if the
daemon refuses or goes away.
";

const HEADING: &str = "Options of listen";

/// Which messages, and how many.
#[derive(Debug, clap::Args)]
pub(super) struct ListenOptions {
    /// Messages of this type only, 30583 or 0x7777; repeatable
    #[arg(
        help_heading = HEADING,
        long = "type",
        value_name = "N",
        action = ArgAction::Append,
        value_parser = message_type
    )]
    types: Vec<u16>,

    /// Messages from this peer only; repeatable
    #[arg(help_heading = HEADING, long = "peer", value_name = "ID", action = ArgAction::Append)]
    peers: Vec<NodeId>,

    /// End after so many messages
    #[arg(help_heading = HEADING, long, value_name = "N")]
    count: Option<NonZeroU64>,

    /// Begin with the message of this number
    #[arg(help_heading = HEADING, long, value_name = "N")]
    from: Option<u64>,

    /// With --from: the epoch that the number belongs to
    #[arg(help_heading = HEADING, long, value_name = "E", requires = "from")]
    epoch: Option<Epoch>,

    /// Also messages of ours that were accepted and did not go out
    #[arg(help_heading = HEADING, long)]
    unsent: bool,
}

/// A message type as people write it: decimal, or hex behind `0x`.
fn message_type(text: &str) -> Result<u16, &'static str> {
    let number = match text.strip_prefix("0x") {
        Some(hex) => u16::from_str_radix(hex, 16),
        None => text.parse(),
    };
    number.map_err(|_| "a message type is a number from 0 to 65535, or 0x0 to 0xffff")
}

impl ListenOptions {
    /// Whether any of them was given.
    pub(super) fn any(&self) -> bool {
        !self.types.is_empty()
            || !self.peers.is_empty()
            || self.count.is_some()
            || self.from.is_some()
            || self.unsent
    }
}

/// Prints messages until the count is reached, the user interrupts, or nobody reads the output; these are successes. The
/// daemon's end is a failure.
pub(super) async fn run(mut client: Client, options: &ListenOptions) -> Result<Status, CliError> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        status = print_messages(&mut client, options) => status,
        _ = interrupt.recv() => Ok(Status::Success),
        _ = terminate.recv() => Ok(Status::Success),
    }
}

async fn print_messages(client: &mut Client, options: &ListenOptions) -> Result<Status, CliError> {
    match client.call("subscribecustommsg", &subscription(options)).await {
        Ok(answer) => {
            let Subscribed { epoch } = serde_json::from_str(answer.get()).map_err(ClientError::Malformed)?;
            if let Some(epoch) = epoch {
                let _ = writeln!(io::stderr(), "# epoch {epoch}");
            }
        }
        Err(ClientError::Refused(error)) => {
            output::error(&mut io::stdout().lock(), &error.raw, None)?;
            return Ok(Status::Refused);
        }
        Err(error) => return Err(error.into()),
    }
    let _ = writeln!(io::stderr(), "{READY}");
    let mut left = options.count.map(NonZeroU64::get);
    while left != Some(0) {
        let notification = match client.next_notification().await {
            Ok(notification) => notification,
            Err(error) => {
                let _ = writeln!(io::stderr(), "oddwire-cli: {error}");
                return Ok(Status::Refused);
            }
        };
        match line(&notification)? {
            Some(Line::Message(text)) => {
                print(text).await?;
                left = left.map(|left| left - 1);
            }
            Some(Line::Aside(text)) => print(text).await?,
            None => {}
        }
    }
    Ok(Status::Success)
}

/// What is of interest in the answer to the subscription.
#[derive(Deserialize)]
struct Subscribed {
    /// Missing from the answers of daemons that keep nothing.
    epoch: Option<String>,
}

fn subscription(options: &ListenOptions) -> serde_json::Value {
    let mut params = serde_json::Map::new();
    if !options.types.is_empty() {
        params.insert("types".to_owned(), json!(options.types));
    }
    if !options.peers.is_empty() {
        params.insert("peers".to_owned(), options.peers.iter().map(ToString::to_string).collect());
    }
    if let Some(from) = options.from {
        params.insert("from".to_owned(), from.into());
    }
    if let Some(epoch) = options.epoch {
        params.insert("epoch".to_owned(), epoch.to_string().into());
    }
    if options.unsent {
        params.insert("unsent".to_owned(), true.into());
    }
    params.into()
}

/// Writes elsewhere than on the thread that waits for signals: a reader that has stalled must not make us deaf to Ctrl-C.
async fn print(text: String) -> Result<(), CliError> {
    let written = tokio::task::spawn_blocking(move || {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    });
    written.await.map_err(io::Error::other)?.map_err(CliError::Output)
}

#[derive(Debug, PartialEq, Eq)]
enum Line {
    Message(String),
    /// One that does not count as a message.
    Aside(String),
}

/// The line for a notification; other notifications have none.
fn line(notification: &Notification) -> Result<Option<Line>, ClientError> {
    #[derive(Deserialize)]
    struct Received<'a> {
        #[serde(borrow, default)]
        peer_id: Option<&'a RawValue>,
        #[serde(borrow, rename = "type")]
        kind: &'a RawValue,
        #[serde(borrow)]
        payload: &'a RawValue,
        #[serde(borrow)]
        time: &'a RawValue,
        #[serde(borrow)]
        number: &'a RawValue,
        #[serde(borrow, default)]
        hops: Option<&'a RawValue>,
    }
    #[derive(Serialize)]
    struct Shown<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        peer: Option<&'a RawValue>,
        #[serde(rename = "type")]
        kind: &'a RawValue,
        payload: &'a RawValue,
        time: &'a RawValue,
        number: &'a RawValue,
        #[serde(skip_serializing_if = "Option::is_none")]
        hops: Option<&'a RawValue>,
    }
    #[derive(Deserialize, Serialize)]
    struct Unsent<'a> {
        #[serde(borrow, rename(deserialize = "peer_id"))]
        peer: &'a RawValue,
        #[serde(borrow, rename = "type")]
        kind: &'a RawValue,
        #[serde(borrow)]
        length: &'a RawValue,
        #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
        payload: Option<&'a RawValue>,
        #[serde(borrow)]
        reason: &'a RawValue,
    }
    #[derive(Deserialize)]
    struct Gap {
        missed: u64,
    }
    let gap = |missed: u64| Line::Aside(format!("{{\"gap\":{missed}}}\n"));
    let (method, params) = match notification {
        Notification::Missed(missed) => return Ok(Some(gap(*missed))),
        Notification::Message { method, params } => (method.as_str(), params.get()),
    };
    match method {
        "custommsg" => {
            let Received { peer_id, kind, payload, time, number, hops } =
                serde_json::from_str(params).map_err(ClientError::Malformed)?;
            let shown = Shown { peer: peer_id, kind, payload, time, number, hops };
            let text = serde_json::to_string(&shown).map_err(ClientError::Malformed)?;
            Ok(Some(Line::Message(text + "\n")))
        }
        "custommsg_unsent" => {
            let unsent: Unsent = serde_json::from_str(params).map_err(ClientError::Malformed)?;
            let text = serde_json::to_string(&unsent).map_err(ClientError::Malformed)?;
            Ok(Some(Line::Aside(format!("{{\"unsent\":{text}}}\n"))))
        }
        "custommsg_gap" => {
            let Gap { missed } = serde_json::from_str(params).map_err(ClientError::Malformed)?;
            Ok(Some(gap(missed)))
        }
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::{Line, line, message_type};
    use crate::client::Notification;

    fn shown(method: &str, params: &str) -> Option<Line> {
        let params = RawValue::from_string(params.to_owned()).unwrap();
        line(&Notification::Message { method: method.to_owned(), params }).unwrap()
    }

    #[test]
    fn a_type_is_decimal_or_hex() {
        for (text, number) in [("30583", 0x7777), ("0x7777", 0x7777), ("0", 0), ("0xffff", 65_535)] {
            assert_eq!(message_type(text), Ok(number));
        }
        for text in ["", "0x", "65536", "0x10000", "-1", "7777h", "0x+1 "] {
            assert!(message_type(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_message_is_one_line_with_the_members_in_the_documented_order() {
        let params = r#"{"number":7,"peer_id":"02ab","type":30583,"payload":"77770012","time":"T"}"#;
        let expected = r#"{"peer":"02ab","type":30583,"payload":"77770012","time":"T","number":7}"#;
        assert_eq!(shown("custommsg", params), Some(Line::Message(expected.to_owned() + "\n")));
    }

    #[test]
    fn a_message_over_several_hops_is_a_line_like_any_other() {
        let params =
            r#"{"number":7,"type":30583,"payload":"77770012","time":"T","hops":{"pathsecret":"00"}}"#;
        let expected =
            r#"{"type":30583,"payload":"77770012","time":"T","number":7,"hops":{"pathsecret":"00"}}"#;
        assert_eq!(shown("custommsg", params), Some(Line::Message(expected.to_owned() + "\n")));
    }

    #[test]
    fn what_did_not_go_out_is_a_line_of_its_own_with_a_payload_or_without() {
        for payload in ["", r#""payload":"77770012","#] {
            let params = format!(r#"{{"peer_id":"02ab","type":30583,"length":4,{payload}"reason":"R"}}"#);
            let expected =
                format!(r#"{{"unsent":{{"peer":"02ab","type":30583,"length":4,{payload}"reason":"R"}}}}"#);
            assert_eq!(shown("custommsg_unsent", &params), Some(Line::Aside(expected + "\n")));
        }
    }

    #[test]
    fn gaps_of_the_daemon_and_of_this_program_look_the_same() {
        let expected = Some(Line::Aside("{\"gap\":3}\n".to_owned()));
        assert_eq!(shown("custommsg_gap", r#"{"missed":3}"#), expected);
        assert_eq!(line(&Notification::Missed(3)).unwrap(), expected);
        assert_eq!(shown("log", "{}"), None);
    }
}
