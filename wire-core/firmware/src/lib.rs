//! A peer connection on a microcontroller: the I/O loop around [`wire_core::connection::Connection`].
//!
//! ```text
//!  interrupt --> outgoing (heapless queue) --+
//!                                            v
//!  user  <-- events --  peer::Peer  <--> embedded-io-async: a UART here, a TCP stack elsewhere
//!                          |
//!                  wire_core::Connection
//! ```
//!
//! - [`peer`]: the loop. It knows streams, a clock and buffers through traits and const generics, and no hardware.
//! - [`outgoing`]: messages from an interrupt to the loop.
//! - [`clock`]: what the loop asks of a clock.
//!
//! Nothing here allocates or has unsafe code. Boards live with the images that use them: `src/bin/device` is one for
//! `mps2-an386`, `src/bin/measure` counts instructions on it.
#![no_std]
#![forbid(unsafe_code)]

pub mod clock;
pub mod outgoing;
pub mod peer;
