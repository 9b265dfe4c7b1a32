//! Core Lightning's JSON-RPC over a unix socket, for a node without a bitcoin backend.
//!
//! ```text
//! socket -> codec -> envelope -> method -> node
//!    ^   (bytes to   (id,      (parameters,   |
//!    |   requests)   version)   handler)      |
//!    +---------- answers, notifications <-----+
//! ```
//!
//! - [`tokenizer`], [`value`], [`codec`]: JSON as it arrives, raw and borrowed. Nothing here knows what a request is.
//! - [`envelope`], [`params`], [`error`]: what requests and answers have in common.
//! - [`method`]: one file per method. [`datastore`]: what plugins keep on disk.
//! - [`server`]: the socket, its connections, how much of everything; [`service`] is what the methods work on.
//! - [`daemon`], [`config`], [`log`]: `oddwired` around the server; [`client`], [`cli`]: the other end of the socket, for Rust
//!   programs and for `oddwire-cli`.
//! - [`plugin`]: the host of plugins, and what they make of calls, messages and peers.
//! - `onion`: onion messages and blinded paths as JSON.
//! - `fuzzing`: doors for the fuzz targets, with the feature `fuzzing` alone.
//! - [`limits`]: every limit, with what happens there.
//!
//! The crate knows no keys and no ciphertext; it sees peers only through `oddwire_node`.

#![forbid(unsafe_code)]

pub mod cli;
pub mod client;
pub mod codec;
pub mod config;
pub mod daemon;
pub mod datastore;
pub mod envelope;
pub mod error;
mod filter;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod json_writer;
pub mod limits;
pub mod log;
pub mod method;
mod onion;
pub mod params;
pub mod plugin;
pub mod server;
pub mod service;
pub mod stop;
pub mod tokenizer;
pub mod value;
pub mod version;
mod zbase32;
