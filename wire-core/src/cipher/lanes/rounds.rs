//! The rounds of ChaCha20 as all kernels do them: word `n` of every block in one vector, so that a lane is a block.

use super::Place;

/// The 20 rounds over an array of 16 vectors. Where it is used there must be `add` and `xor`, and `rotate_16`, `rotate_12`,
/// `rotate_8` and `rotate_7`, which are given the second argument too: constants that a kernel needs for them.
///
/// Four quarter rounds go in step, since each waits for its own result all the time. RFC 8439, 2.1 and 2.3.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! rounds {
    ($state:ident, $with:expr) => {
        for _ in 0..crate::cipher::lanes::portable::DOUBLE_ROUNDS {
            rounds!($state, $with, [0 4 8 12] [1 5 9 13] [2 6 10 14] [3 7 11 15]);
            rounds!($state, $with, [0 5 10 15] [1 6 11 12] [2 7 8 13] [3 4 9 14]);
        }
    };
    ($state:ident, $with:expr, $([$a:literal $b:literal $c:literal $d:literal])+) => {
        $($state[$a] = add($state[$a], $state[$b]);)+
        $($state[$d] = rotate_16(xor($state[$d], $state[$a]), $with);)+
        $($state[$c] = add($state[$c], $state[$d]);)+
        $($state[$b] = rotate_12(xor($state[$b], $state[$c]), $with);)+
        $($state[$a] = add($state[$a], $state[$b]);)+
        $($state[$d] = rotate_8(xor($state[$d], $state[$a]), $with);)+
        $($state[$c] = add($state[$c], $state[$d]);)+
        $($state[$b] = rotate_7(xor($state[$b], $state[$c]), $with);)+
    };
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(super) use rounds;

/// The counters of all lanes, then the nonces.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[inline]
pub(super) fn counters_and_nonces<const N: usize>(places: &[Place; N]) -> [[u32; N]; 2] {
    [places.map(|place| place.counter), places.map(|place| place.nonce.into())]
}

/// The places of blocks that follow each other in one text.
#[inline]
pub(super) fn following<const N: usize>(first: Place) -> [Place; N] {
    let mut places = [first; N];
    for (place, offset) in places.iter_mut().zip(0..) {
        place.counter = first.counter.wrapping_add(offset);
    }
    places
}
