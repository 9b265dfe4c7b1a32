//! One client: reads requests, starts them, writes the answers in the order in which they are ready.
//!
//! Everything of a client happens in its one task, except the requests that wait for a peer: each of these runs in a task of
//! its own, so that it also goes on when the client has gone. What has been answered is written together, in one write where
//! it is ready together. A client that does not read is not read from either (see `HIGH_WATER`), so it can only fill its own
//! bounded buffers.

use core::future::{Future, pending, ready};
use std::io;
use std::sync::Arc;

use bytes::BytesMut;
use oddwire_node::{Delivery, Event, Subscription};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::ReadHalf;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::task::JoinSet;

use super::quota::{Quota, Share};
use crate::codec::Codec;
use crate::envelope::{Request, push_error, push_malformed, push_notification, push_result};
use crate::error::RpcError;
use crate::filter::Filter;
use crate::json_writer::object;
use crate::limits::{
    HIGH_WATER, KEPT_INPUT, LINGER, MAX_MEMORY, MAX_RUNNING, MAX_RUNNING_PER_CONNECTION, MAX_SUBSCRIPTIONS,
    ORDINARY_REQUEST_LEN, PROGRESS_BACKLOG, REQUESTS_PER_TURN,
};
use crate::method::{Caller, Reply, start};
use crate::onion::{write_dropped, write_message, write_way};
use crate::service::Service;

#[cfg(test)]
mod tests;

/// Serves one client until it has gone or the service stops. Logs as `jsonrpc#NUMBER`.
pub(super) async fn serve(mut stream: UnixStream, number: u64, service: Arc<Service>, quota: Quota) {
    let mut connection = Connection::new(number, service, quota);
    match connection.exchange(&mut stream).await {
        Ok(()) if connection.input == Input::Refused => linger(stream).await,
        Ok(()) => {}
        Err(error) => tracing::debug!(source = connection.answers.caller.source, "client has gone: {error}"),
    }
    // The client does not wait for these any more, but it asked for them.
    connection.answers.running.detach_all();
}

struct Connection {
    codec: Codec,
    input: Input,
    answers: Answers,
    /// What `codec` and `answers.out` take up.
    share: Share,
}

/// Everything that comes back from requests.
struct Answers {
    /// Answers and notifications that are to be written.
    out: BytesMut,
    running: JoinSet<Finished>,
    quota: Quota,
    /// With its place among all connections' subscriptions.
    subscription: Option<(Subscription, OwnedSemaphorePermit)>,
    /// How its gaps are told.
    gap: &'static str,
    /// What methods know of the client.
    caller: Arc<Caller>,
    /// What plugins say about the progress of its calls.
    progress: mpsc::Receiver<String>,
    service: Arc<Service>,
}

/// Whether there will be more requests.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Input {
    /// More may come.
    Open,
    /// The client has closed its side, or we are stopping. What was asked is still answered.
    Ended,
    /// The client sent what is no request.
    Refused,
}

/// The outcome of a request that took time.
struct Finished {
    id: Box<str>,
    filter: Option<Filter>,
    result: Result<Reply, RpcError>,
    /// What the id and the filter take up.
    _share: Share,
}

/// What the buffered requests came to.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Progress {
    /// All are started; more bytes are needed.
    Done,
    /// There may be more. Others get their turn first.
    Yield,
    /// There may be more, but too much is under way.
    Blocked,
}

/// What a connection waits for.
enum Wake {
    Stopping,
    Finished(Finished),
    Read(io::Result<usize>),
    Progress(String),
    Delivered(Option<Delivery>),
    NextTurn,
    Written(io::Result<usize>),
}

impl Connection {
    fn new(number: u64, service: Arc<Service>, quota: Quota) -> Connection {
        let share = quota.share();
        let (sender, progress) = mpsc::channel(PROGRESS_BACKLOG);
        let refuses_deprecated = service.plugins.refuses_deprecated();
        let caller = Caller::new(format!("jsonrpc#{number}"), refuses_deprecated, sender);
        let answers = Answers {
            out: BytesMut::new(),
            running: JoinSet::new(),
            quota,
            subscription: None,
            gap: "",
            caller: Arc::new(caller),
            progress,
            service,
        };
        Connection { codec: Codec::default(), input: Input::Open, answers, share }
    }

    /// Returns when nothing is left to be done for the client.
    async fn exchange(&mut self, stream: &mut UnixStream) -> io::Result<()> {
        let (mut reader, mut writer) = stream.split();
        loop {
            let progress = self.start_requests();
            self.count_memory();
            let Answers { out, running, subscription, service, progress: words, .. } = &mut self.answers;
            let is_open = self.input == Input::Open;
            if !is_open && running.is_empty() && out.is_empty() {
                return Ok(());
            }
            let room = if is_open && progress == Progress::Done { Some(self.codec.room()) } else { None };
            let has_room = out.len() < HIGH_WATER;
            let can_deliver = is_open && has_room;
            let subscription =
                subscription.as_mut().map(|(subscription, _)| subscription).filter(|_| can_deliver);
            let wake = tokio::select! {
                // What adds to the answers comes before writing them, so that what is ready together is written together.
                // None of it can keep the writing from its turn for ever: above the high-water mark nothing is added.
                biased;
                () = service.stop.triggered(), if is_open => Wake::Stopping,
                // Before the answer to the call that it is about.
                Some(word) = words.recv(), if has_room => Wake::Progress(word),
                Some(finished) = running.join_next(), if has_room => Wake::Finished(finished.map_err(io::Error::other)?),
                read = read(&mut reader, room) => Wake::Read(read),
                delivery = next(subscription) => Wake::Delivered(delivery),
                () = ready(()), if progress == Progress::Yield && out.is_empty() => Wake::NextTurn,
                written = writer.write_buf(out), if !out.is_empty() => Wake::Written(written),
            };
            match wake {
                Wake::Stopping => self.input = Input::Ended,
                Wake::Read(Ok(0)) => {
                    self.input = Input::Ended;
                    if self.codec.is_mid_request() {
                        tracing::debug!(
                            source = self.answers.caller.source,
                            "client closed in the middle of a request"
                        );
                    }
                }
                Wake::Progress(word) => self.answers.out.extend_from_slice(word.as_bytes()),
                Wake::Finished(finished) => self.answers.finish(finished),
                Wake::Read(read) => drop(read?),
                Wake::Delivered(Some(delivery)) => self.answers.notify(&delivery),
                Wake::Delivered(None) => self.answers.subscription = None,
                Wake::NextTurn => tokio::task::yield_now().await,
                Wake::Written(written) => {
                    written?;
                    self.answers.give_back_memory();
                }
            }
        }
    }

    /// Starts the requests that are complete, as many as may be under way.
    fn start_requests(&mut self) -> Progress {
        for _ in 0..REQUESTS_PER_TURN {
            if self.input != Input::Open {
                return Progress::Done;
            }
            if self.answers.are_full() {
                return Progress::Blocked;
            }
            let refusal = match self.codec.next_request() {
                Ok(None) => return Progress::Done,
                Ok(Some(value)) => match Request::parse(value) {
                    Ok(request) => {
                        self.answers.begin(&request);
                        continue;
                    }
                    Err(no_request) => no_request.to_string().into_bytes(),
                },
                Err(refusal) => refusal.text,
            };
            self.refuse(&refusal);
        }
        Progress::Yield
    }

    /// Gives up a large request that has no room. Whatever is smaller, and answers, may always be there.
    fn count_memory(&mut self) {
        let held = self.codec.held().saturating_add(self.answers.out.capacity());
        if let Err(full) = self.share.hold(held)
            && self.input == Input::Open
            && self.codec.held() > KEPT_INPUT
        {
            self.refuse(full.to_string().as_bytes());
            let _ = self.share.hold(self.answers.out.capacity());
        }
    }

    /// Says why nothing more can be had from this client.
    fn refuse(&mut self, why: &[u8]) {
        push_malformed(&mut self.answers.out, why);
        self.input = Input::Refused;
        self.codec = Codec::default();
    }
}

impl Answers {
    fn are_full(&self) -> bool {
        self.out.len() >= HIGH_WATER || self.running.len() >= MAX_RUNNING_PER_CONNECTION
    }

    fn begin(&mut self, request: &Request<'_>) {
        let id = request.id;
        match start(&self.service, &self.caller, request) {
            Ok((reply, filter)) => self.heed(id, request.len, reply, filter),
            Err(error) => push_error(&mut self.out, id, &error),
        }
    }

    /// Answers, or sees to it that the answer will come. The request had so many bytes.
    fn heed(&mut self, id: &str, len: usize, reply: Reply, filter: Option<Filter>) {
        let done = |result: String| Reply::Done(result.into());
        let outcome = match reply {
            Reply::Done(result) => return self.succeed(id, &result, filter.as_ref()),
            Reply::Later(work) => self.run(id, len, filter, || async move { work.await.map(done) }),
            Reply::InOrder(begin) => self.run(id, len, filter, || {
                let work = begin();
                async move { work.await.map(done) }
            }),
            Reply::Pondered(work) => self.run(id, len, filter, || work),
            Reply::Subscribed(result, subscription, gap) => match self.subscribe(subscription, gap) {
                Ok(()) => return self.succeed(id, &result, filter.as_ref()),
                Err(error) => Err(error),
            },
        };
        if let Err(error) = outcome {
            push_error(&mut self.out, id, &error);
        }
    }

    /// Begins what takes time if there is room for it, now: what is begun first is first.
    fn run<W: Future<Output = Result<Reply, RpcError>> + Send + 'static>(
        &mut self,
        id: &str,
        len: usize,
        filter: Option<Filter>,
        begin: impl FnOnce() -> W,
    ) -> Result<(), RpcError> {
        let slot = Arc::clone(&self.quota.running).try_acquire_owned().map_err(|_| {
            RpcError::failed(format_args!("{MAX_RUNNING} requests are running already: try again later"))
        })?;
        let mut share = self.quota.share();
        let held = len.saturating_add(filter.as_ref().map_or(0, Filter::held));
        if let Err(full) = share.hold(held)
            && held > ORDINARY_REQUEST_LEN
        {
            return Err(RpcError::failed(full));
        }
        let id = id.into();
        let work = begin();
        self.running.spawn(async move {
            let result = work.await;
            drop(slot);
            let result = result.and_then(|answer| match share.hold(held.saturating_add(answer.held())) {
                Err(_) if answer.held() > HIGH_WATER => Err(unread(answer.held())),
                _ => Ok(answer),
            });
            Finished { id, filter, result, _share: share }
        });
        Ok(())
    }

    fn subscribe(&mut self, subscription: Subscription, gap: &'static str) -> Result<(), RpcError> {
        if self.subscription.is_some() {
            let again = "This connection has a subscription already: open another connection";
            return Err(RpcError::invalid_request(again));
        }
        let place = Arc::clone(&self.quota.subscriptions).try_acquire_owned().map_err(|_| {
            RpcError::failed(format_args!(
                "There are {MAX_SUBSCRIPTIONS} subscriptions already: end another one"
            ))
        })?;
        self.subscription = Some((subscription, place));
        self.gap = gap;
        Ok(())
    }

    fn finish(&mut self, finished: Finished) {
        let Finished { id, filter, result, .. } = finished;
        match result {
            Ok(reply) => self.heed(&id, 0, reply, filter),
            Err(error) => push_error(&mut self.out, &id, &error),
        }
    }

    fn succeed(&mut self, id: &str, result: &str, filter: Option<&Filter>) {
        match filter {
            Some(filter) => push_result(&mut self.out, id, &filter.apply(result)),
            None => push_result(&mut self.out, id, result),
        }
    }

    fn notify(&mut self, delivery: &Delivery) {
        match delivery {
            Delivery::Event(Event::CustomMessage { number, peer, kind, payload, received }) => {
                let params = object(|params| {
                    params.bare("number", number);
                    params.string("peer_id", peer);
                    params.bare("type", kind.get());
                    // With the type, as Core Lightning hands messages to its plugins.
                    params.hex("payload", &[&kind.get().to_be_bytes(), payload.as_ref()].concat());
                    params.string("time", humantime::format_rfc3339_millis(*received));
                });
                push_notification(&mut self.out, "custommsg", &params);
            }
            Delivery::Event(Event::MessageFromAfar { number, kind, payload, onion }) => {
                let params = object(|params| {
                    params.bare("number", number);
                    params.bare("type", kind.get());
                    params.hex("payload", &[&kind.get().to_be_bytes(), payload.as_ref()].concat());
                    params.string("time", humantime::format_rfc3339_millis(onion.received));
                    params.object("hops", |hops| write_way(hops, onion));
                });
                push_notification(&mut self.out, "custommsg", &params);
            }
            Delivery::Event(
                Event::Disconnected { id, reason, unsent } | Event::Unsent { id, reason, unsent },
            ) => {
                for message in unsent.iter() {
                    let params = object(|params| {
                        params.string("peer_id", id);
                        params.bare("type", message.kind.get());
                        params.bare("length", message.message_len);
                        if let Some(payload) = &message.payload {
                            params.hex(
                                "payload",
                                &[&message.kind.get().to_be_bytes(), payload.as_ref()].concat(),
                            );
                        }
                        params.string("reason", reason);
                    });
                    push_notification(&mut self.out, "custommsg_unsent", &params);
                }
            }
            Delivery::Event(Event::OnionMessage(message)) => {
                let params = object(|params| {
                    params.string("time", humantime::format_rfc3339_millis(message.received));
                    write_message(params, message);
                });
                push_notification(&mut self.out, "onionmessage", &params);
            }
            Delivery::Event(Event::OnionDropped(dropped)) => {
                let params = object(|params| write_dropped(params, dropped));
                push_notification(&mut self.out, "onionmessage_forward_fail", &params);
            }
            Delivery::Gap { missed } => {
                let params = object(|params| params.bare("missed", missed));
                push_notification(&mut self.out, self.gap, &params);
            }
            // Not subscribed to.
            Delivery::Event(_) => {}
        }
    }

    /// A connection that once carried a large answer does not keep its room.
    fn give_back_memory(&mut self) {
        if self.out.is_empty() && self.out.capacity() > HIGH_WATER {
            self.out = BytesMut::new();
        }
    }
}

/// A large answer for which there is no room.
fn unread(len: usize) -> RpcError {
    RpcError::failed(format_args!(
        "What was asked for is done, but its answer of {len} bytes has no room: clients hold more than {MAX_MEMORY} bytes of \
         requests and answers. Read those first, then ask again"
    ))
}

/// Reads what there is room for; without room, nothing, for ever.
async fn read(reader: &mut ReadHalf<'_>, room: Option<&mut BytesMut>) -> io::Result<usize> {
    match room {
        Some(room) => reader.read_buf(room).await,
        None => pending().await,
    }
}

async fn next(subscription: Option<&mut Subscription>) -> Option<Delivery> {
    match subscription {
        Some(subscription) => subscription.next().await,
        None => pending().await,
    }
}

/// Lets a client whose request was refused finish what it is sending, so that it gets to read why.
async fn linger(mut stream: UnixStream) {
    let swallow = async {
        stream.shutdown().await?;
        tokio::io::copy(&mut stream, &mut tokio::io::sink()).await
    };
    // However this ends, the connection closes.
    let _ = tokio::time::timeout(LINGER, swallow).await;
}
