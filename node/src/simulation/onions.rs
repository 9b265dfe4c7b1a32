//! Questions over several hops, and their answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::process::Host;
use super::trace::Trace;
use crate::{OnionMessage, OnionRecord};

/// A record that is nobody's.
const RECORD: u64 = 65_539;

/// All questions of a run.
#[derive(Debug)]
pub(super) struct Onions {
    trace: Arc<Trace>,
    questions: BTreeMap<u32, Question>,
}

#[derive(Debug)]
struct Question {
    to: Host,
    has_arrived: bool,
}

impl Onions {
    pub(super) fn new(trace: &Arc<Trace>) -> Onions {
        Onions { trace: Arc::clone(trace), questions: BTreeMap::new() }
    }

    /// A new question to a host: its number, and what carries it.
    pub(super) fn ask(&mut self, to: Host) -> (u32, Vec<OnionRecord>) {
        let number = u32::try_from(self.questions.len()).unwrap_or(u32::MAX);
        self.questions.insert(number, Question { to, has_arrived: false });
        (number, records(number, b'?'))
    }

    /// An onion message arrived at a host. What carries the answer, if one is wanted.
    pub(super) fn arrived(&mut self, host: Host, message: &OnionMessage) -> Option<Vec<OnionRecord>> {
        let Some((number, b'?')) = content(message) else {
            self.trace.violation(format_args!("{host:?} got an onion that nobody sent: {message:?}"));
            return None;
        };
        let question = self.questions.get_mut(&number)?;
        if question.to != host {
            self.trace.violation(format_args!("question {number} to {:?} arrived at {host:?}", question.to));
        }
        if std::mem::replace(&mut question.has_arrived, true) {
            self.trace.violation(format_args!("question {number} arrived twice"));
        }
        message.reply_path.as_ref().map(|_| records(number, b'!'))
    }

    /// The answer to a question came.
    pub(super) fn answered(&self, number: u32, message: &OnionMessage) {
        if content(message) != Some((number, b'!')) {
            self.trace.violation(format_args!("question {number} was answered with {message:?}"));
        }
    }
}

fn records(number: u32, mark: u8) -> Vec<OnionRecord> {
    let value = [&number.to_be_bytes()[..], &[mark]].concat();
    vec![OnionRecord { kind: RECORD, value: value.into() }]
}

fn content(message: &OnionMessage) -> Option<(u32, u8)> {
    let [OnionRecord { kind: RECORD, value }] = &message.records[..] else { return None };
    let (number, mark) = value.split_first_chunk()?;
    Some((u32::from_be_bytes(*number), *mark.first()?))
}
