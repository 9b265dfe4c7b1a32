//! The messages that both sides of a test can work out for themselves, so that every byte that arrives has an
//! expected value.
//!
//! Knows nothing of connections: a seed and a running number decide type, length and content.

/// How many messages go each way: 5,000 nonces, so five key rotations per direction. BOLT 8 rotates every
/// 1,000 nonces, and a chaining key that is wrongly shared by the two directions shows only from the second
/// rotation on.
pub(crate) const MESSAGES: usize = 2500;

/// Even types that our side must have registered, or it closes the connection.
pub(crate) const EVEN_TYPES: [u16; 3] = [32_768, 40_000, 65_534];

const ODD_TYPES: [u16; 4] = [32_769, 44_443, 50_001, 65_535];

/// Payload lengths that stand at a limit: nothing, one byte, the edges of a ChaCha20 block and of LDK's 4 KiB
/// read, and the longest that a message may have.
const EDGE_LENGTHS: [usize; 14] = [0, 1, 2, 61, 62, 63, 64, 65, 253, 254, 4_060, 4_096, 65_532, 65_533];

/// One custom message: its type and what follows the type.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) kind: u16,
    pub(crate) payload: Vec<u8>,
}

/// Short on purpose: LDK prints each message in its log.
impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "type {}, {} bytes of payload", self.kind, self.payload.len())
    }
}

/// The endless sequence of messages that belongs to a seed.
pub(crate) struct Traffic {
    random: SplitMix64,
    edges: std::array::IntoIter<usize, 14>,
}

impl Traffic {
    pub(crate) fn new(seed: u64) -> Traffic {
        Traffic { random: SplitMix64(seed), edges: EDGE_LENGTHS.into_iter() }
    }

    /// Every eighth message may be of any length; the others are short, as real ones are, which also keeps
    /// the test's time in the nonces and not in the bytes.
    fn payload_len(&mut self) -> usize {
        if let Some(edge) = self.edges.next() {
            return edge;
        }
        let any_length = self.random.below(8) == 0;
        self.random.below(if any_length { 65_534 } else { 600 })
    }
}

impl Iterator for Traffic {
    type Item = Message;

    fn next(&mut self) -> Option<Message> {
        let even = self.random.below(4) == 0;
        let types: &[u16] = if even { &EVEN_TYPES } else { &ODD_TYPES };
        let kind = types[self.random.below(types.len())];
        let len = self.payload_len();
        let mut payload = vec![0; len];
        self.random.fill(&mut payload);
        Some(Message { kind, payload })
    }
}

/// Sebastiano Vigna's splitmix64: small, and the same everywhere.
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).expect("a small bound");
        usize::try_from(self.next() % bound).expect("less than the bound")
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let random = self.next().to_le_bytes();
            chunk.copy_from_slice(&random[..chunk.len()]);
        }
    }
}
