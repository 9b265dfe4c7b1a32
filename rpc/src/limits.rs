//! Every limit of this crate, once: unit, reason, and what happens when it is reached.
//!
//! Whoever may open the socket is the node's owner (mode 0600), but a program of the owner's can be wrong or hostile all the
//! same. However they behave, all clients together cost at most about twice [`MAX_MEMORY`] for what they send and do not read
//! (once for the large requests of a few, once for the ordinary ones of the many, which are never turned away), and for each
//! subscription what the node's `Limits` say of its backlog.

use core::time::Duration;

// One connection.

/// Bytes that a request may have, and bytes received that wait to be handled. Twice the largest request that clients of
/// Core Lightning are known to send (a 2 MB block).
/// Beyond it the request is answered with -32600 and the connection closes.
pub const MAX_REQUEST_LEN: usize = 4 * 1024 * 1024;

/// JSON tokens (objects, arrays, strings, primitives) that a request may have. Bounds what 4 MiB of brackets would
/// otherwise make of our memory; an array of all 65,536 message types has half as many.
/// Beyond it the request is answered with -32600 and the connection closes.
pub const MAX_TOKENS: usize = 131_072;

/// How deep a filter is kept, far deeper than any result is. What is nested deeper is checked and then dropped.
pub const MAX_FILTER_DEPTH: usize = 32;

/// Bytes that one read from a connection may take, so that a large request does not come in a thousand steps.
pub const READ_CHUNK: usize = 64 * 1024;

/// Bytes of room for input that a connection keeps between requests. More, which a large request needed, is given back.
pub const KEPT_INPUT: usize = 4 * READ_CHUNK;

/// Tokens for which a connection keeps room between requests. More is given back.
pub const KEPT_TOKENS: usize = 64;

/// Bytes of answers that may wait for a client to read them. Above it the connection's requests are neither read nor handled
/// until the client has read: it slows itself down and nobody else. A single answer may overshoot.
pub const HIGH_WATER: usize = 256 * 1024;

/// Bytes of an error's text. A request can be long and the answer that quotes it would be longer.
/// What is beyond is cut off and `...` says so.
pub const MAX_ERROR_TEXT: usize = 64 * 1024;

/// Requests of one connection that may run side by side (`connect`, `disconnect`, `ping` wait for a peer).
/// At the limit the connection's further requests wait until one is answered.
pub const MAX_RUNNING_PER_CONNECTION: usize = 64;

/// Requests of one connection that are started in a row. At the limit the other connections get their turn.
pub const REQUESTS_PER_TURN: usize = 100;

/// How long a connection that is closed for a malformed request still swallows what its client sends, so that the client,
/// which may be in the middle of a long write, comes to read the reason. Then it is closed anyway.
pub const LINGER: Duration = Duration::from_secs(1);

// All connections together.

/// Client connections. At the limit the next ones wait in the kernel's backlog until one closes.
pub const MAX_CONNECTIONS: usize = 1_024;

/// Bytes of half-received requests, of requests that run, and of answers that are not read. Enough for every connection to
/// keep [`KEPT_INPUT`] and [`HIGH_WATER`].
/// Above it a request that grows beyond [`KEPT_INPUT`] is answered with -32600 and its connection closes, and one that would
/// run is refused with -1 if it is longer than [`ORDINARY_REQUEST_LEN`]; the answer to a request that took time is refused
/// with -1 if it is longer than [`HIGH_WATER`]. Ordinary requests are served as ever, so that the
/// owner can still look and stop.
pub const MAX_MEMORY: usize = 512 * 1024 * 1024;

/// Bytes of a request, and of what is kept of its filter, that may run whatever [`MAX_MEMORY`] says.
pub const ORDINARY_REQUEST_LEN: usize = 16 * 1024;

/// Requests that may run side by side, those included whose client has gone away.
/// At the limit a further one is answered with an error that says so.
pub const MAX_RUNNING: usize = 4_096;

/// Subscriptions to messages, each of which may hold a backlog of megabytes when its client does not read.
/// At the limit a further one is answered with an error that says so.
pub const MAX_SUBSCRIPTIONS: usize = 64;

/// Pause after the system refused to accept a connection (out of file descriptors, mostly), so that the refusal is not
/// repeated a million times a second.
pub const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// How long the system must have let us accept everybody before a refusal is told in the log again: while it lasts, and while
/// it comes and goes, one line is enough.
pub const ACCEPT_REFUSAL_QUIET: Duration = Duration::from_mins(1);

/// How often it is looked at whether the socket's file is still there. Whoever removes it (a script that cleans up) would
/// otherwise leave a node that nobody can call and only a signal can stop. At most so long it stays away.
pub const SOCKET_LOOK: Duration = Duration::from_secs(5);

// The datastore.

/// Bytes of a key, its parts and one byte between each two. Keys are names.
/// A longer one is refused as a wrong parameter.
pub const MAX_DATASTORE_KEY: usize = 65_536;

/// Bytes of a value. As large as a request can be, so that only appending comes to it.
/// Beyond it the call is refused with an error that says so.
pub const MAX_DATASTORE_VALUE: usize = MAX_REQUEST_LEN;

/// Bytes of all keys and values together. Plugins keep states and indexes there; whoever keeps more wants a database.
/// Beyond it the call is refused with an error that says so.
pub const MAX_DATASTORE_BYTES: u64 = 1024 * 1024 * 1024;

/// Bytes of keys and values that one `listdatastore` answers. The answer has them in hex and as text, up to eight times as
/// long, and must stay below [`MAX_ANSWER_LEN`].
/// Beyond it the call is refused; naming a longer key lists less.
pub const MAX_DATASTORE_LISTING: usize = 8 * 1024 * 1024 - 64 * 1024;

/// Calls that share one transaction. What waits longer than one write to the disk waits for two.
pub const DATASTORE_BATCH: usize = 256;

/// Bytes of answers that one transaction may bring before any of them goes to whoever asked, and the last one more: a listing
/// alone may have [`MAX_ANSWER_LEN`]. At the limit the transaction ends, and the next one goes on with what waits.
pub const DATASTORE_BATCH_ANSWERS: usize = 16 * 1024 * 1024;

/// How long a daemon that ends still works on calls that wait for the datastore, whose clients have gone by then. What it does
/// not come to is left undone, and a line in the log says how many calls that were.
pub const DATASTORE_STOP: Duration = Duration::from_secs(1);

/// Bytes of the file that are kept in memory.
pub const DATASTORE_CACHE: usize = 16 * 1024 * 1024;

/// Bytes of payloads in an onion that `createonion` makes: what is left of the longest message. A larger one is refused.
pub const MAX_ONION_SIZE: usize = 65_535 - 66;

/// How long `sendonionmessage` may wait for an answer. Meanwhile it is one of the [`MAX_RUNNING`] requests.
/// A longer wait is refused.
pub const MAX_ONION_ANSWER_WAIT: Duration = Duration::from_hours(1);

// Plugins.

/// How long a plugin may take to answer `getmanifest`. Then it is killed.
pub const GETMANIFEST_TIME: Duration = Duration::from_mins(1);

/// How long a plugin may take to answer `init`. Then it is killed.
pub const INIT_TIME: Duration = Duration::from_mins(1);

/// Things of one kind that a plugin may register: options, methods, topics, subscriptions, neighbours in a chain. Each of
/// them is looked through at events.
/// A plugin that wants more is refused.
pub const MAX_REGISTRATIONS: usize = 1_024;

/// Message types or methods that a plugin's filter may name: every message type there is.
/// A plugin that names more is refused.
pub const MAX_FILTERS: usize = 65_536;

/// How long a plugin may take to answer a hook. Then it is skipped, the log says so, and it is not called for hooks again
/// before it has answered this one after all.
pub const HOOK_TIME: Duration = Duration::from_secs(30);

/// Messages of one peer that may be on their way through the hook `custommsg`, so that a plugin's answers need not come one
/// by one. The next ones wait.
pub const HOOK_WINDOW: usize = 32;

/// Messages of one peer that may wait for their way through the hook `custommsg`.
/// Further ones are not shown to hooks, but counted and told in the log; notifications and subscriptions have them all the same.
pub const HOOK_WAITING: usize = 16_384;

/// Bytes of JSON of one peer's messages that may wait for the hook `custommsg`: a hundred of the longest.
/// At the limit as for [`HOOK_WAITING`].
pub const HOOK_WAITING_BYTES: usize = 16 * 1024 * 1024;

/// The same of all peers together.
/// At the limit as for [`HOOK_WAITING`], but the first one of a peer may always wait.
pub const HOOK_WAITING_BYTES_OF_ALL: usize = 64 * 1024 * 1024;

/// Onion messages that may be on their way through hooks at once. Further ones are not shown to hooks, but counted and told in
/// the log; subscriptions have them all the same.
pub const ONION_HOOKS: usize = 256;

/// Calls of clients that may wait for one plugin's answer, those included whose client has gone away. There is no time limit,
/// since some methods wait for something to happen; so this is what keeps one plugin from taking all of [`MAX_RUNNING`].
/// At the limit a further call is answered with an error that says so.
pub const MAX_PLUGIN_CALLS: usize = 1_024;

/// Bytes that may wait for one plugin to read them. Ten thousand notifications of small messages take a quarter of it.
/// At the limit notifications are left out, counted and told in the log, and a request fails at once.
pub const PLUGIN_BACKLOG: usize = 16 * 1024 * 1024;

/// Requests to one plugin that nobody waits for any more, whose answers are known as late. Of older ones an answer counts as
/// one that nobody asked for.
pub const ABANDONED_REQUESTS: usize = 1_024;

/// Bytes of one message from a plugin, as many as [`Client`](crate::client::Client) takes.
/// Beyond it the plugin is killed.
pub const MAX_PLUGIN_MESSAGE_LEN: usize = MAX_ANSWER_LEN;

/// JSON tokens of one message from a plugin: a listing of ten thousand things with a hundred members each.
/// Beyond it the plugin is killed.
pub const MAX_PLUGIN_TOKENS: usize = 2_097_152;

/// Bytes of a line that a plugin writes to its standard error. A longer one is logged in pieces.
pub const MAX_STDERR_LINE: usize = 16 * 1024;

/// Words about a call's progress that may wait for the client to read. Further ones are dropped, as the log says at level debug.
pub const PROGRESS_BACKLOG: usize = 256;

/// How long after its end a plugin's output is still read: a child that it left behind may hold it open.
/// Then it is closed.
pub const PLUGIN_LAST_WORDS: Duration = Duration::from_secs(1);

/// How long a plugin that is stopped by `plugin stop` and wants to hear of it may take to end. Then it is killed.
pub const PLUGIN_STOP_TIME: Duration = Duration::from_secs(30);

/// The same when the daemon stops, which test tools allow ten seconds for in all.
pub const PLUGIN_FAREWELL: Duration = Duration::from_secs(4);

/// How long to wait before an important plugin is started again; doubled each time up to [`RESTART_PAUSE_MAX`].
pub const RESTART_PAUSE: Duration = Duration::from_secs(1);
/// See [`RESTART_PAUSE`].
pub const RESTART_PAUSE_MAX: Duration = Duration::from_mins(5);

/// How long a plugin that was started again must last before the pauses are short again.
pub const RESTART_FORGIVEN: Duration = Duration::from_mins(10);

// The daemon: its start, its log, its end.

/// The part, one in so many, of the files that the process may open which strangers have at most, those that have not exchanged
/// `init` yet: where the system allows few, fewer strangers are served at a time.
pub const STRANGERS_SHARE: usize = 4;

/// The part, one in so many, of the same which neither strangers nor peers have: clients, plugins, outgoing attempts, files.
/// Where the system allows few, there is room for fewer peers, as the log says at the start.
pub const OTHERS_SHARE: usize = 4;

/// Bytes of a configuration file. A longer one is refused.
pub const MAX_CONFIG_LEN: usize = 1024 * 1024;

/// How deep configuration files may include each other. What is deeper includes itself by another name, and is refused.
pub const MAX_INCLUDE_DEPTH: usize = 100;

/// How long a process behind a socket in our directory may take to accept us. If it takes longer it is there all the same,
/// and the daemon does not start.
pub const PROBE_TIME: Duration = Duration::from_secs(1);

/// Bytes of one log line's text. The longest that is wanted whole is a message of 65,535 bytes in hex; a client can make us
/// log a parameter of megabytes.
/// What is beyond is cut off and `...` says so.
pub const MAX_LOG_TEXT: usize = 160 * 1024;

/// Bytes of log lines that may wait for one place (standard output, a file) to take them, and as many again that are being
/// written. A reader that has stalled, or a disk, must not stall the node.
/// At the limit further lines are dropped and counted, and a line in their place says how many.
pub const MAX_LOG_BACKLOG: usize = 1024 * 1024;

/// Bytes of a passphrase that is asked for. A longer one is refused.
pub const MAX_PASSPHRASE_LEN: usize = 1_024;

/// Bytes of log lines that are kept in memory for `getlog`.
/// At the limit the oldest are dropped and counted.
pub const MAX_LOG_MEMORY: usize = 2 * 1024 * 1024;

/// Log lines that may wait for one listener of the feed, which shares them with the memory of the log.
/// At the limit the oldest are dropped, and the listener is told how many.
pub const MAX_LOG_FEED: usize = 1_024;

/// How long a daemon that ends waits for its last log lines to be taken. Then they are lost.
pub const LOG_FLUSH: Duration = Duration::from_secs(1);

/// How long a daemon that starts waits for another one that holds its directory and answers nobody: longer than a stop takes
/// ([`STOP_TIME`], and what is written after it). Then it does not start.
pub const LOCK_PATIENCE: Duration = Duration::from_secs(12);

/// How long it waits if somebody answers on the sockets: one that has been told to stop, or was killed, may do so for a moment.
pub const ANSWERED_PATIENCE: Duration = Duration::from_millis(500);

/// How often it looks meanwhile.
pub const CLAIM_RETRY: Duration = Duration::from_millis(50);

/// How long the server, once told to stop, waits for requests that run and for clients to read their answers.
/// Then their connections are closed.
pub const STOP_GRACE: Duration = Duration::from_secs(2);

/// How long a stop may take in all: clients' calls, then what is queued for peers. Test tools wait ten seconds for it.
/// Then the process ends with a line in the log and exit status 0 all the same.
pub const STOP_TIME: Duration = Duration::from_secs(8);

/// How much of [`STOP_TIME`] is left when the connections to peers that do not read are closed: enough to tell in the log how many
/// messages were not sent to them.
pub const STOP_RESERVE: Duration = Duration::from_millis(1_500);

// The other end of the socket: `Client` and `oddwire-cli`.

/// Longest message from the daemon in bytes. `listpeers` with ten thousand peers is about 5 MB.
/// A longer one ends the connection with [`ClientError::TooLong`](crate::client::ClientError::TooLong).
pub const MAX_ANSWER_LEN: usize = 64 << 20;

/// Most notifications kept while a call waits for its answer.
/// Later ones are dropped and counted: [`Notification::Missed`](crate::client::Notification::Missed).
pub const MAX_WAITING_NOTIFICATIONS: usize = 4_096;

/// Most bytes of notifications kept while a call waits for its answer; one message is up to 131,072 hex digits.
/// At the limit as for [`MAX_WAITING_NOTIFICATIONS`].
pub const MAX_WAITING_BYTES: usize = 16 << 20;

/// Bytes of room that the client asks for at each read.
pub const CLIENT_READ_LEN: usize = 16 * 1024;

/// Deepest nesting of an answer that `oddwire-cli` takes apart. No method nests deeper than ten.
/// What lies deeper is printed as it came.
pub const MAX_PRINTED_DEPTH: usize = 128;

/// Longest path of a unix socket in bytes, without the zero that ends it (`sockaddr_un`). A longer one is refused, unless it
/// can be reached from its directory.
pub const MAX_SOCKET_PATH: usize = if cfg!(target_os = "linux") { 107 } else { 103 };
