//! The bitcoin networks that a Lightning node can belong to, by the names, ports and chain hashes the field uses.
//!
//! A peer of another network is told apart by the `networks` field of `init` (BOLT 1), which carries chain hashes.

use core::fmt;
use core::str::FromStr;

/// A bitcoin network. Names are Core Lightning's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Network {
    /// The main network.
    #[default]
    Bitcoin,
    /// The third public test network.
    Testnet,
    /// The fourth public test network (BIP 94).
    Testnet4,
    /// The public signet with the default challenge (BIP 325).
    Signet,
    /// A private network for tests.
    Regtest,
}

impl Network {
    /// Every network, in the order of declaration.
    pub const ALL: [Network; 5] =
        [Network::Bitcoin, Network::Testnet, Network::Testnet4, Network::Signet, Network::Regtest];

    /// The name on the command line, in `getinfo` and as the directory under the lightning directory.
    pub const fn name(self) -> &'static str {
        match self {
            Network::Bitcoin => "bitcoin",
            Network::Testnet => "testnet",
            Network::Testnet4 => "testnet4",
            Network::Signet => "signet",
            Network::Regtest => "regtest",
        }
    }

    /// The hash of the network's genesis block as it goes over the wire (BOLT 0: the bytes as SHA-256 gave them, which
    /// is the reverse of what block explorers print).
    pub const fn chain_hash(self) -> [u8; 32] {
        match self {
            Network::Bitcoin => [
                0x6f, 0xe2, 0x8c, 0x0a, 0xb6, 0xf1, 0xb3, 0x72, 0xc1, 0xa6, 0xa2, 0x46, 0xae, 0x63, 0xf7,
                0x4f, 0x93, 0x1e, 0x83, 0x65, 0xe1, 0x5a, 0x08, 0x9c, 0x68, 0xd6, 0x19, 0x00, 0x00, 0x00,
                0x00, 0x00,
            ],
            Network::Testnet => [
                0x43, 0x49, 0x7f, 0xd7, 0xf8, 0x26, 0x95, 0x71, 0x08, 0xf4, 0xa3, 0x0f, 0xd9, 0xce, 0xc3,
                0xae, 0xba, 0x79, 0x97, 0x20, 0x84, 0xe9, 0x0e, 0xad, 0x01, 0xea, 0x33, 0x09, 0x00, 0x00,
                0x00, 0x00,
            ],
            Network::Testnet4 => [
                0x43, 0xf0, 0x8b, 0xda, 0xb0, 0x50, 0xe3, 0x5b, 0x56, 0x7c, 0x86, 0x4b, 0x91, 0xf4, 0x7f,
                0x50, 0xae, 0x72, 0x5a, 0xe2, 0xde, 0x53, 0xbc, 0xfb, 0xba, 0xf2, 0x84, 0xda, 0x00, 0x00,
                0x00, 0x00,
            ],
            Network::Signet => [
                0xf6, 0x1e, 0xee, 0x3b, 0x63, 0xa3, 0x80, 0xa4, 0x77, 0xa0, 0x63, 0xaf, 0x32, 0xb2, 0xbb,
                0xc9, 0x7c, 0x9f, 0xf9, 0xf0, 0x1f, 0x2c, 0x42, 0x25, 0xe9, 0x73, 0x98, 0x81, 0x08, 0x00,
                0x00, 0x00,
            ],
            Network::Regtest => [
                0x06, 0x22, 0x6e, 0x46, 0x11, 0x1a, 0x0b, 0x59, 0xca, 0xaf, 0x12, 0x60, 0x43, 0xeb, 0x5b,
                0xbf, 0x28, 0xc3, 0x4f, 0x3a, 0x5e, 0x33, 0x2a, 0x1f, 0xc7, 0xb2, 0xb7, 0x3c, 0xf1, 0x88,
                0x91, 0x0f,
            ],
        }
    }

    /// The TCP port on which nodes of this network listen when they are not told otherwise.
    pub const fn default_port(self) -> u16 {
        match self {
            Network::Bitcoin => 9735,
            Network::Testnet => 19_735,
            Network::Testnet4 => 49_735,
            Network::Signet => 39_735,
            Network::Regtest => 19_846,
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Network {
    type Err = UnknownNetwork;

    fn from_str(name: &str) -> Result<Network, UnknownNetwork> {
        Network::ALL.into_iter().find(|network| network.name() == name).ok_or(UnknownNetwork)
    }
}

/// The name is not one of [`Network::ALL`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown network: use one of bitcoin, testnet, testnet4, signet, regtest")]
pub struct UnknownNetwork;
