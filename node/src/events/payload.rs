//! The one copy of a message's payload that all subscriptions and the history share.

use bytes::Bytes;

/// A short payload, to lie in one allocation with what counts its owners. [`Bytes`] makes two of its own accord once it is
/// shared, and these two would be most of what a short message costs to receive.
struct Short<const ROOM: usize> {
    len: u8,
    bytes: [u8; ROOM],
}

impl<const ROOM: usize> Short<ROOM> {
    /// `None` if there is no room for it.
    fn of(payload: &[u8]) -> Option<Self> {
        let mut bytes = [0; ROOM];
        bytes.get_mut(..payload.len())?.copy_from_slice(payload);
        Some(Self { len: u8::try_from(payload.len()).ok()?, bytes })
    }
}

impl<const ROOM: usize> AsRef<[u8]> for Short<ROOM> {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

/// Copies a payload.
pub(super) fn share(payload: &[u8]) -> Bytes {
    // Two sizes, so that the room left over is less than two allocations would take.
    if let Some(short) = Short::<31>::of(payload) {
        return Bytes::from_owner(short);
    }
    match Short::<95>::of(payload) {
        Some(short) => Bytes::from_owner(short),
        None => Bytes::copy_from_slice(payload),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_what_was_copied() {
        for len in (0..200).chain([255, 256, 300, 65_533]) {
            let payload: Vec<u8> = (0..=255).cycle().take(len).collect();
            assert_eq!(share(&payload), payload);
        }
    }
}
