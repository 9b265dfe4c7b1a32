//! The Lightning peer connection as bytes in, bytes out: the Noise handshake of BOLT 8, encrypted frames, the
//! messages of BOLT 1, and the connection that ties them together. Without `std`, without an allocator, and
//! without `unsafe` but for the vector instructions of a host.
//!
//! # Layers
//!
//! ```text
//!  connection   handshake -> init -> open -> draining -> closed; answers pings, decides what ends a connection
//!   |      |
//!   |   message    one module per thing on the wire: types, BigSize, TLV, init, features, error, ping
//!   |      |
//!   |   cursor     Reader and Writer: the only indexing of bytes that a stranger sent
//!   |
//!  frame        [length][tag][body][tag], sealed and opened in place; a deframer for bytes in any split
//!   |
//!  noise        acts one to three, one type per state  ->  Transport  ->  Sealer + Opener
//!   |
//!  cipher       one direction: key, nonce, chaining key of its own, rotation; ChaCha20-Poly1305
//!   |
//!  secret, node_id     bytes that wipe themselves; points of the curve; signed_message: what a node key signs
//!   |
//!  curve        secp256k1, by one of two crates: features `libsecp256k1` (default) and `k256`
//!
//!  onion        stands beside the connection, on cursor, secret, node_id and the encodings of message: BOLT 4
//! ```
//!
//! Every layer uses only those below it. All buffers belong to the caller; messages are borrowed from them.
//!
//! # What this crate never does
//!
//! - It opens no socket, reads no clock and draws no random number: bytes, [`connection::Timestamp`]s and the
//!   [`secret::EphemeralKey`] are arguments. The same bytes always give the same answer.
//! - It allocates nothing, and it holds no message: state is of fixed size (one direction's cipher is 68
//!   bytes, a [`connection::Connection`] less than 768, and 592 on a 32-bit processor).
//! - It panics on nothing that a peer or a caller hands in. What is wrong comes back as a `Copy` error.
//! - It prints no secret: keys have a redacted `Debug` and are neither `Copy` nor `Clone`.
//! - It punishes nobody: it says what a peer did, and its user decides what follows.
//!
//! # Time and traces
//!
//! Secret keys meet only constant-time code: libsecp256k1 or the crate k256 for the curve; ChaCha20, Poly1305 and SHA-256
//! without tables or secret branches; `subtle` for comparisons. What does depend on time are public things:
//! whether a tag held, whether a point was valid, how long a message is.
//!
//! Secrets are overwritten when they go out of scope: keys, chaining keys, ECDH results, the outputs of HKDF, and
//! keystream, spent or not. A connection keeps its ciphers in one place from act three to the end, and what it held during the
//! handshake is wiped when the next act replaces it; `tests/wiping.rs` reads its memory to see that. What no
//! Rust program can promise is that the compiler left no copy behind in a register or on the stack when it moved
//! a value; the handshake moves its states, and such copies are not looked for. Plaintext lies in the caller's
//! buffers and is the caller's to wipe.
//!
//! # What is proven, and what is not
//!
//! | claim | by |
//! |---|---|
//! | handshake and transport are BOLT 8's | every vector of its appendix A; a recording of `pyln-proto`, both directions |
//! | ChaCha20-Poly1305 is RFC 8439's, with every width of lanes | byte for byte against the crate `chacha20poly1305`: all lengths to 2,048, samples to 65,535, over rotations |
//! | BigSize, TLV, `init` and signed integers are BOLT 1's | every vector of its appendices A to D |
//! | onions, errors and blinded paths are BOLT 4's | every vector of its five files |
//! | types and feature bits are those of the BOLTs and of Core Lightning | tables drawn from their sources |
//! | nothing is lost, doubled or reordered; both ends always come to an end | `tests/model.rs`, random steps at both ends |
//! | no key outlives its use in a connection | `tests/wiping.rs` |
//! | nothing panics | lints against `unwrap`, `expect` and `panic!`; random input in the tests and in the fuzz targets |
//!
//! Taken on trust: that the compiler keeps constant-time code constant in time, that the
//! caller's random numbers are random, and that [`cipher::CipherState::new`] is given no key twice.
//!
//! # Limits
//!
//! | limit | value | where | at the limit |
//! |---|---|---|---|
//! | message, type and payload together | 65,535 bytes | [`limits::MAX_MESSAGE_LEN`] | [`frame::SealError::TooLong`]; a peer cannot express more |
//! | frame on the wire | 65,569 bytes | [`limits::MAX_FRAME_LEN`] | a receive buffer of this size is always enough |
//! | messages under one key | 500 | [`limits::MESSAGES_PER_KEY`] | the key is replaced |
//! | bytes of a handshake | 50 + 50 + 66 | [`limits::ACT_ONE_LEN`] and following | shorter: wait for more; nothing else is looked at before |
//! | keystream ahead | what the driver's [`frame::Ahead`] has room for | its size | the rest is made when it is needed |
//! | frames delivered per call | 1 | [`frame::Deframer::next`] | call again |
//! | hops of an onion message that is composed | 32 | [`onion::message::MAX_HOPS`] | [`onion::message::ComposeError::TooManyHops`] |
//! | layers of a returned error that are opened | 27, or all | [`limits::ERROR_LAYERS`] | the failing hop is found by then |
//! | failed tags | 1 | [`frame::Opener`] | [`frame::OpenError::Dead`] from then on |
#![no_std]
#![deny(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod cipher;
pub mod connection;
pub mod cursor;
mod curve;
pub mod frame;
pub mod limits;
pub mod message;
pub mod node_id;
pub mod noise;
pub mod onion;
pub mod secret;
#[cfg(feature = "libsecp256k1")]
pub mod signed_message;
mod words;
