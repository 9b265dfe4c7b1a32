//! ChaCha20 in as many lanes as the machine has, chosen at run time, and the portable twin for where it has none.
//!
//! A block of keystream depends on a key, a nonce and a counter alone, so blocks of one text, or of several texts whose
//! nonces are known ahead, are computed side by side: each lane of a vector register is one block.
//!
//! - [`Lanes`]: a width that this machine has. It cannot be made otherwise, so whoever holds one may use it.
//! - [`Lanes::blocks`]: keystream for places that the caller names; [`Lanes::xor`]: the stream of one long text.
//! - `avx512`, `avx512vl`, `avx2`, `sse2`, `neon`: the kernels, with 16, 8, 8, 4 and 4 lanes. `poly_avx2` and `poly_ifma` take many limbs
//!   into the sum of Poly1305 at once, `tags_ifma` makes the tags of several small texts at once.
//! - `portable`: one block at a time, for every machine; small, as firmware uses it, and without unsafe code.
//!
//! Unsafe code stands here and below, and nowhere else in this crate: loads and stores of arrays, and calls of functions
//! whose instructions [`Lanes`] has made sure of.
//!
//! What is a length, a body or a tag is known above ([`aead`](super::aead)).
//!
//! A kernel is as fast in a build without link-time optimisation, where generic code of the standard library may be compiled
//! apart, without its instructions. So what runs for every limb and every block is written out: no `array::map` over vectors,
//! no closure, no iterator that hands vectors out by value; and what is small and called from elsewhere is `#[inline]`.
//!
//! Constant time: no branch and no address depends on key, keystream or text. Wiping: what the kernels spill to memory
//! is wiped where it is named here; keystream that is handed out belongs to the caller.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod avx512vl;
#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(target_arch = "x86_64")]
mod poly_avx2;
#[cfg(target_arch = "x86_64")]
mod poly_ifma;
mod portable;
mod rounds;
#[cfg(target_arch = "x86_64")]
mod sse2;
#[cfg(target_arch = "x86_64")]
mod tags_ifma;

use core::fmt;

use zeroize::Zeroize as _;

use super::poly1305::{LIMB_LEN, Pairs, Sum};
use crate::limits::{KEY_LEN, TAG_LEN};

#[cfg(target_arch = "x86_64")]
cpufeatures::new!(has_avx2, "avx2");
#[cfg(target_arch = "x86_64")]
cpufeatures::new!(has_avx512, "avx512f", "avx512vl", "avx2");
#[cfg(target_arch = "x86_64")]
cpufeatures::new!(has_avx512_ifma, "avx512f", "avx512vl", "avx512ifma", "avx2");

/// Blocks that the widest kernel of any machine makes at once.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(crate) const MOST_LANES: usize = 16;
/// As above, where there are none.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(crate) const MOST_LANES: usize = 1;

/// With fewer limbs no vector arithmetic of Poly1305 pays, since the powers of its point must be made first. Measured.
const FEWEST_LIMBS: usize = 48;

/// Pairs of texts whose tags are made at once.
pub(crate) const PAIRS: usize = 8;

/// What ChaCha20 makes at a time, in bytes. RFC 8439, 2.3.
pub(crate) const BLOCK_LEN: usize = 64;

/// One block of keystream: secret until it is spent, and wiped by its owner.
pub(crate) type Block = [u8; BLOCK_LEN];

/// Blocks of keystream on the way to where they are used; wiped when dropped.
#[repr(align(64))]
pub(crate) struct Blocks<const N: usize>([Block; N]);

impl<const N: usize> Blocks<N> {
    pub(crate) const fn new() -> Self {
        Self([[0; BLOCK_LEN]; N])
    }

    pub(crate) fn as_slice(&self) -> &[Block] {
        &self.0
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [Block] {
        &mut self.0
    }
}

impl<const N: usize> Drop for Blocks<N> {
    fn drop(&mut self) {
        wipe(self.0.as_flattened_mut());
    }
}

/// Overwrites bytes in a way that the optimizer must keep. `zeroize` goes byte by byte, which takes longer than the cipher.
#[inline]
pub(crate) fn wipe(bytes: &mut [u8]) {
    bytes.fill(0);
    zeroize::optimization_barrier(bytes);
}

/// Where a block belongs: RFC 8439, 2.3. The nonces of BOLT 8 end at 999, and no text has 2^32 blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) nonce: u16,
    pub(crate) counter: u32,
}

/// How many blocks of ChaCha20 are computed side by side, and with which instructions.
///
/// A value is the proof that this machine has them: it comes out of [`Lanes::best`] or [`Lanes::available`].
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Lanes(Width);

/// From the narrowest to the widest.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum Width {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Sse2,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512F and VL; Poly1305 as with AVX2.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// The same, and the multiplication of 52 by 52 bits for Poly1305.
    #[cfg(target_arch = "x86_64")]
    Avx512Ifma,
    #[cfg(target_arch = "aarch64")]
    Neon,
}

impl Lanes {
    /// One block at a time, without vector instructions: what every machine has.
    pub const PORTABLE: Self = Self(Width::Portable);

    /// The widest that this machine has.
    pub fn best() -> Self {
        let widest = Width::ALL.iter().rev().find(|width| width.is_here());
        widest.map_or(Self::PORTABLE, |width| Self(*width))
    }

    /// All that this machine has, the widest last.
    pub fn available() -> impl Iterator<Item = Self> {
        Width::ALL.iter().filter(|width| width.is_here()).map(|width| Self(*width))
    }

    /// A name to tell it from the others by, in lower case.
    pub fn name(self) -> &'static str {
        match self.0 {
            Width::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Width::Sse2 => "sse2",
            #[cfg(target_arch = "x86_64")]
            Width::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Width::Avx512 => "avx512",
            #[cfg(target_arch = "x86_64")]
            Width::Avx512Ifma => "avx512+ifma",
            #[cfg(target_arch = "aarch64")]
            Width::Neon => "neon",
        }
    }

    /// Blocks that are computed side by side at most.
    pub fn count(self) -> usize {
        match self.0 {
            Width::Portable => 1,
            #[cfg(target_arch = "x86_64")]
            Width::Sse2 => sse2::LANES,
            #[cfg(target_arch = "x86_64")]
            Width::Avx2 => avx2::LANES,
            #[cfg(target_arch = "x86_64")]
            Width::Avx512 | Width::Avx512Ifma => avx512::LANES,
            #[cfg(target_arch = "aarch64")]
            Width::Neon => neon::LANES,
        }
    }

    /// Computes the block of each place. There are as many places as there is room.
    pub(crate) fn blocks(self, key: &[u8; KEY_LEN], places: &[Place], room: &mut [Block]) {
        debug_assert_eq!(places.len(), room.len());
        let mut key = words(key);
        for (places, room) in places.chunks(self.count()).zip(room.chunks_mut(self.count())) {
            self.0.make(&key, places, room);
        }
        key.zeroize();
    }

    /// Xors the stream of one text, from the block `place` on, into `text`.
    pub(crate) fn xor(self, key: &[u8; KEY_LEN], mut place: Place, text: &mut [u8]) {
        let mut words = words(key);
        let done = self.0.xor_whole(&words, place, text);
        words.zeroize();
        let (_, rest) = text.split_at_mut(done);
        if rest.is_empty() {
            return;
        }
        // A text has less than 2^32 blocks.
        place.counter = place.counter.wrapping_add(u32::try_from(done / BLOCK_LEN).unwrap_or(0));
        let mut stream = Blocks::<MOST_LANES>::new();
        let places = rounds::following::<MOST_LANES>(place);
        let count = rest.len().div_ceil(BLOCK_LEN);
        self.blocks(key, &places[..count], &mut stream.as_mut_slice()[..count]);
        xor_bytes(rest, stream.as_slice().as_flattened());
    }

    /// Takes limbs into the sum of Poly1305, several at once, and answers how many: all that fill the lanes if they are worth
    /// it. The caller does the rest.
    #[inline]
    pub(super) fn absorb(self, sum: &mut Sum, limbs: &[[u8; LIMB_LEN]]) -> usize {
        if limbs.len() < FEWEST_LIMBS { 0 } else { self.absorb_many(sum, limbs) }
    }

    /// Whether it makes tags of several texts in less time than one after another.
    pub(crate) fn makes_tags_together(self) -> bool {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Width::Avx512Ifma => true,
            _ => false,
        }
    }

    /// Makes the tags of all short texts, and of all others.
    pub(crate) fn tags(self, pairs: &Pairs<'_>, room: &mut [[[u8; TAG_LEN]; PAIRS]; 2]) {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Width::Avx512Ifma => {
                // SAFETY: AVX-512F and its IFMA are here, as whoever made this value has found.
                unsafe { tags_ifma::tags(pairs, room) }
            }
            _ => pairs.tags(room),
        }
    }

    fn absorb_many(self, sum: &mut Sum, limbs: &[[u8; LIMB_LEN]]) -> usize {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Width::Avx2 | Width::Avx512 => {
                let (groups, _) = limbs.as_chunks();
                if groups.len() < poly_avx2::WORTH_IT {
                    return 0;
                }
                let powers = Powers(sum.powers());
                // SAFETY: AVX2 is here, as whoever made this value has found.
                let value = unsafe { poly_avx2::absorb(sum.value(), &powers.0, groups) };
                sum.set_value(value);
                groups.as_flattened().len()
            }
            #[cfg(target_arch = "x86_64")]
            Width::Avx512Ifma => {
                let (groups, _) = limbs.as_chunks();
                if groups.len() < poly_ifma::WORTH_IT {
                    return 0;
                }
                let powers = Powers(sum.powers());
                // SAFETY: AVX-512F and its IFMA are here, as whoever made this value has found.
                let value = unsafe { poly_ifma::absorb(sum.value(), &powers.0, groups) };
                sum.set_value(value);
                groups.as_flattened().len()
            }
            _ => {
                let _ = (sum, limbs);
                0
            }
        }
    }
}

impl fmt::Debug for Lanes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lanes({})", self.name())
    }
}

impl Width {
    const ALL: &[Self] = &[
        Self::Portable,
        #[cfg(target_arch = "x86_64")]
        Self::Sse2,
        #[cfg(target_arch = "x86_64")]
        Self::Avx2,
        #[cfg(target_arch = "x86_64")]
        Self::Avx512,
        #[cfg(target_arch = "x86_64")]
        Self::Avx512Ifma,
        #[cfg(target_arch = "aarch64")]
        Self::Neon,
    ];

    /// Asks the processor, once: the answers are kept.
    fn is_here(self) -> bool {
        match self {
            Self::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Self::Sse2 => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => has_avx2::get(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => has_avx512::get(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Ifma => has_avx512_ifma::get(),
            #[cfg(target_arch = "aarch64")]
            Self::Neon => true,
        }
    }

    /// Makes at most as many blocks as there are lanes, with the narrowest kernel that does it at once and is the faster for it.
    fn make(self, key: &[u32; 8], places: &[Place], room: &mut [Block]) {
        match self {
            Self::Portable => {
                for (place, block) in places.iter().zip(room) {
                    portable::block(key, *place, block);
                }
            }
            #[cfg(target_arch = "x86_64")]
            Self::Sse2 => filled_up(places, room, |places, room| {
                // SAFETY: every x86-64 has SSE2.
                unsafe { sse2::blocks(key, places, room) }
            }),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => filled_up(places, room, |places, room| {
                // SAFETY: AVX2 is here, as whoever made this value has found.
                unsafe { avx2::blocks(key, places, room) }
            }),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 | Self::Avx512Ifma if places.len() <= avx2::LANES => {
                filled_up(places, room, |places, room| {
                    // SAFETY: AVX-512F and VL are here, as whoever made this value has found.
                    unsafe { avx512vl::blocks(key, places, room) }
                });
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 | Self::Avx512Ifma => filled_up(places, room, |places, room| {
                // SAFETY: AVX-512F is here, as whoever made this value has found.
                unsafe { avx512::blocks(key, places, room) }
            }),
            #[cfg(target_arch = "aarch64")]
            Self::Neon => filled_up(places, room, |places, room| {
                // SAFETY: every 64-bit Arm has NEON.
                unsafe { neon::blocks(key, places, room) }
            }),
        }
    }

    /// Xors as much of the text as fills all lanes, and answers how many bytes.
    fn xor_whole(self, key: &[u32; 8], place: Place, text: &mut [u8]) -> usize {
        match self {
            Self::Portable => in_groups(place, text, |place, [block]: &mut [Block; 1]| {
                let mut stream = Blocks::<1>::new();
                let [room] = &mut stream.0;
                portable::block(key, place, room);
                xor_bytes(block, room);
            }),
            #[cfg(target_arch = "x86_64")]
            Self::Sse2 => in_groups(place, text, |place, blocks| {
                // SAFETY: every x86-64 has SSE2.
                unsafe { sse2::xor_blocks(key, place, blocks) }
            }),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => in_groups(place, text, |place, blocks| {
                // SAFETY: AVX2 is here, as whoever made this value has found.
                unsafe { avx2::xor_blocks(key, place, blocks) }
            }),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 | Self::Avx512Ifma => in_groups(place, text, |place, blocks| {
                // SAFETY: AVX-512F is here, as whoever made this value has found.
                unsafe { avx512::xor_blocks(key, place, blocks) }
            }),
            #[cfg(target_arch = "aarch64")]
            Self::Neon => in_groups(place, text, |place, blocks| {
                // SAFETY: every 64-bit Arm has NEON.
                unsafe { neon::xor_blocks(key, place, blocks) }
            }),
        }
    }
}

/// Runs a kernel for at most as many places as it has lanes; what the lanes left over make is thrown away.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn filled_up<const N: usize>(
    places: &[Place],
    room: &mut [Block],
    kernel: impl Fn(&[Place; N], &mut [Block; N]),
) {
    if let (Some(places), Some(room)) = (places.as_array(), room.as_mut_array()) {
        return kernel(places, room);
    }
    let mut filled = [Place { nonce: 0, counter: 0 }; N];
    for (filled, place) in filled.iter_mut().zip(places) {
        *filled = *place;
    }
    let mut made = Blocks::<N>::new();
    kernel(&filled, &mut made.0);
    for (room, made) in room.iter_mut().zip(made.as_slice()) {
        *room = *made;
    }
}

/// Runs a kernel over all whole groups of `N` blocks of a text and answers how many bytes they are.
fn in_groups<const N: usize>(
    mut place: Place,
    text: &mut [u8],
    kernel: impl Fn(Place, &mut [Block; N]),
) -> usize {
    let (groups, _) = text.as_chunks_mut().0.as_chunks_mut();
    for blocks in groups.iter_mut() {
        kernel(place, blocks);
        for _ in blocks.iter() {
            place.counter = place.counter.wrapping_add(1);
        }
    }
    groups.as_flattened().as_flattened().len()
}

/// The powers of the point of Poly1305, the first one first; wiped when dropped.
#[cfg(target_arch = "x86_64")]
struct Powers<const N: usize>([[u64; 3]; N]);

#[cfg(target_arch = "x86_64")]
impl<const N: usize> Drop for Powers<N> {
    fn drop(&mut self) {
        self.0.fill([0; 3]);
        zeroize::optimization_barrier(&self.0);
    }
}

/// Xors as many bytes as both have.
#[inline]
pub(crate) fn xor_bytes(text: &mut [u8], stream: &[u8]) {
    for (byte, key) in text.iter_mut().zip(stream) {
        *byte ^= key;
    }
}

/// Key bytes as the words of the cipher's state. RFC 8439, 2.3.
fn words(key: &[u8; KEY_LEN]) -> [u32; KEY_LEN / 4] {
    let mut words = [0; KEY_LEN / 4];
    for (word, bytes) in words.iter_mut().zip(key.as_chunks().0) {
        *word = u32::from_le_bytes(*bytes);
    }
    words
}

#[cfg(test)]
mod tests;
