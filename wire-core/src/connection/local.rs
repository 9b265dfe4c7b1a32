//! Our side of every connection: who we are, what we offer, how long we wait.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use crate::cursor::{NoRoom, Writer};
use crate::limits::{ACT_THREE_LEN, CHAIN_HASH_LEN, TAG_LEN};
use crate::message::address::Address;
use crate::message::features::FeatureSet;
use crate::message::init::{Init, Networks};
use crate::secret::StaticKey;

/// Act three is the longest thing that must be there whole.
const LEAST_RECEIVE_BUFFER: usize = ACT_THREE_LEN;

/// Our side of every connection. One value serves all connections of a node: each holds a reference to it, an
/// `Arc` on a host or a reference to a static on a microcontroller.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Local {
    /// The key that makes us the node we are.
    pub key: StaticKey,
    /// The feature bits of our `init` (BOLT 9). [`FeatureSet::DEFAULT`] is what peers demand of everyone.
    pub features: FeatureSet,
    /// The genesis block hash of our chain, in wire order; our `init` offers it as its only `networks` entry.
    pub chain_hash: [u8; CHAIN_HASH_LEN],
    /// How long each step may take.
    pub deadlines: Deadlines,
    /// The longest message that is received whole, in bytes, type included; [`ANY_LENGTH`] on a host. A longer one is
    /// read through, checked and dropped, and [`Event::TooLong`](super::Event::TooLong) tells of it. A driver that sets
    /// this needs a receive buffer of [`receive_buffer_len`](Self::receive_buffer_len) bytes and no more.
    pub longest_message: u16,
}

/// For [`Local::longest_message`]: whatever a peer can send.
pub const ANY_LENGTH: u16 = u16::MAX;

impl AsRef<Local> for Local {
    fn as_ref(&self) -> &Local {
        self
    }
}

impl Local {
    /// How many bytes a receive buffer must have if messages of up to `longest_message` bytes are wanted: the message
    /// and its tag, and never less than an act of the handshake or a piece of a message that is read through.
    pub const fn receive_buffer_len(longest_message: usize) -> usize {
        let with_tag = longest_message + TAG_LEN;
        if with_tag < LEAST_RECEIVE_BUFFER { LEAST_RECEIVE_BUFFER } else { with_tag }
    }

    /// Our `init` message, type included. `remote_addr` is where we see the peer; it is left out if it is
    /// no address of the Internet.
    pub(super) fn encode_init(
        &self,
        remote_addr: Option<SocketAddr>,
        writer: &mut Writer<'_>,
    ) -> Result<(), NoRoom> {
        let init = Init {
            // BOLT 1: some bits used to stand here; a peer combines both fields, so one of them will do.
            globalfeatures: &[],
            features: self.features.as_bytes(),
            networks: Networks::new(&self.chain_hash),
            remote_addr: remote_addr.map(canonical).filter(may_be_told).map(Address::from),
        };
        init.encode(writer)
    }
}

/// An IPv4 address that a socket for both families shows as an IPv6 address is an IPv4 address on the wire.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// BOLT 1, "The `init` Message": no private address is told, as it helps nobody and shows how our network is built.
/// Loopback is told, as Core Lightning does: whoever comes from there is on this machine.
fn may_be_told(address: &SocketAddr) -> bool {
    let is_public = match address.ip() {
        IpAddr::V4(ip) => {
            // RFC 6598: the addresses between a provider and its customers, 100.64.0.0/10.
            let is_shared = matches!(ip.octets(), [100, 64..128, ..]);
            !(ip.is_private()
                || ip.is_link_local()
                || ip.is_unspecified()
                || ip.is_broadcast()
                || ip.is_multicast()
                || is_shared)
        }
        IpAddr::V6(ip) => {
            !(ip.is_unique_local() || ip.is_unicast_link_local() || ip.is_unspecified() || ip.is_multicast())
        }
    };
    is_public && address.port() != 0
}

/// How long each step of a connection may take before it is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Deadlines {
    /// From the first byte of transport to the end of act three. Long enough for a slow link and a busy
    /// peer; short because nobody has shown who he is yet.
    pub handshake: Duration,
    /// From the end of act three to the peer's `init`. LND allows 15 s.
    pub init: Duration,
    /// Without a message from the peer for this long, we ping it.
    pub idle_before_ping: Duration,
    /// From a ping to any message of the peer; without one the connection is dead.
    pub pong: Duration,
    /// From the decision to close to the end, whatever is still queued. Core Lightning allows 5 s.
    pub drain: Duration,
}

impl Deadlines {
    /// The defaults, each with its reason on the field.
    pub const DEFAULT: Self = Self {
        handshake: Duration::from_secs(30),
        init: Duration::from_secs(15),
        idle_before_ping: Duration::from_secs(45),
        pong: Duration::from_secs(30),
        drain: Duration::from_secs(5),
    };
}

impl Default for Deadlines {
    fn default() -> Self {
        Self::DEFAULT
    }
}
