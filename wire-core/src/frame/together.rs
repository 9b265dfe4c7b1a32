//! Several small frames of a run sealed together: they are encrypted one after another, and then all their tags are made
//! at once.
//!
//! The tags of a small frame are a few multiplications that wait for each other; the lanes of a vector take those of
//! several frames at a time. Which frames are worth it is decided here. The keys for tags stay where the keystream is until
//! the tags are made, even if the cipher replaces its own key behind the last frame.
//!
//! Constant time: but for lengths. Wiping: the keystream, when the tags are made.

use super::{Keystream, Sealer};
use crate::cipher::lanes::PAIRS;
use crate::cipher::poly1305::Pairs;
use crate::limits::{FRAME_OVERHEAD, HEADER_LEN, LENGTH_LEN, TAG_LEN};

/// Frames whose tags are made at once, at most.
pub const TOGETHER: usize = PAIRS;

/// With fewer frames it does not pay. Measured.
const FEWEST: usize = 4;

impl Sealer {
    /// Seals as many of the first frames together as are worth it and answers how many, which may be none. They are the next
    /// of a run of which `left` are still to come.
    ///
    /// Those are worth it whose bodies need no more keystream than waits for them: a longer one is sealed alone, as the rest
    /// is then best made together with all the frame needs.
    pub(super) fn seal_together(
        &mut self,
        ahead: &mut impl Keystream,
        left: usize,
        frames: &mut [&mut [u8]],
    ) -> usize {
        if !self.cipher.lanes().makes_tags_together() || self.unfinished() > 0 {
            return 0;
        }
        let small = FRAME_OVERHEAD..=FRAME_OVERHEAD + ahead.kept();
        let small = frames.iter().take(TOGETHER).take_while(|frame| small.contains(&frame.len())).count();
        if small < FEWEST {
            return 0;
        }
        let count = small.min(ahead.prepare_several(&self.cipher, left.max(small)));
        if count < FEWEST {
            return 0;
        }

        let mut pairs = Pairs::new();
        let mut rooms: [[&mut [u8]; TOGETHER]; 2] = Default::default();
        let [length_rooms, body_rooms] = &mut rooms;
        let mut sealed = 0;
        for (place, frame) in frames.iter_mut().take(count).enumerate() {
            let Some([for_length, for_body]) = ahead.behind(place) else { break };
            let (header, body_and_tag) = frame.split_at_mut(HEADER_LEN);
            let (length_room, length_tag) = header.split_at_mut(LENGTH_LEN);
            let (body, body_tag) = body_and_tag.split_at_mut(body_and_tag.len() - TAG_LEN);
            // What is kept for a body is shorter than the longest one, so this fits.
            let mut length = u16::try_from(body.len()).unwrap_or(u16::MAX).to_be_bytes();
            self.cipher.encrypt_with(for_length, &mut length);
            self.cipher.encrypt_with(for_body, body);
            length_room.copy_from_slice(&length);
            pairs.put(place, [for_length.tag_key, for_body.tag_key], length, body);
            (length_rooms[place], body_rooms[place]) = (length_tag, body_tag);
            sealed += 1;
        }
        let mut tags = [[[0; TAG_LEN]; TOGETHER]; 2];
        self.cipher.lanes().tags(&pairs, &mut tags);
        for (rooms, tags) in rooms.iter_mut().zip(&tags) {
            for (room, tag) in rooms.iter_mut().zip(tags).take(sealed) {
                room.copy_from_slice(tag);
            }
        }
        for _ in 0..sealed {
            ahead.spend();
        }
        sealed
    }
}
