//! Several small frames sealed or opened together: all their tags are made at once, after the frames are encrypted or before
//! they are decrypted.
//!
//! The tags of a small frame are a few multiplications that wait for each other; the lanes of a vector take those of
//! several frames at a time. Which frames are worth it is decided here. The keys for tags stay where the keystream is until
//! the tags are made, even if the cipher replaces its own key behind the last frame.
//!
//! Constant time: but for lengths. Wiping: the keystream, when the tags are made.

use super::{Keystream, Opener, Sealer};
use crate::cipher::aead::same_tag;
use crate::cipher::lanes::{PAIRS, xor_bytes};
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
            self.cipher.apply(for_length, &mut length);
            self.cipher.apply(for_body, body);
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

impl Opener {
    /// Opens as many of the frames at the front of `bytes` together as are worth it and answers how many, which may be none.
    /// About `frames` are there, and only those are wanted whose bodies are not longer than `longest`.
    ///
    /// Where tags do not hold it opens the frames before, and leaves the rest untouched for whoever opens them one by one.
    /// The lengths by which it finds its way are taken for true only when their tags have held.
    pub(super) fn open_together(
        &mut self,
        ahead: &mut impl Keystream,
        frames: usize,
        longest: u16,
        bytes: &mut [u8],
    ) -> u8 {
        let Some(cipher) = self.cipher.as_mut().filter(|cipher| cipher.lanes().makes_tags_together()) else {
            return 0;
        };
        if bytes.len() < FEWEST * FRAME_OVERHEAD {
            return 0;
        }
        let longest = ahead.kept().min(longest.into());
        let prepared = ahead.prepare_several(cipher, frames);

        let mut pairs = Pairs::new();
        let mut shown = [[&[0; TAG_LEN]; TOGETHER]; 2];
        let [length_tags, body_tags] = &mut shown;
        let mut found = 0;
        let mut rest = &*bytes;
        while found < TOGETHER.min(prepared)
            && let Some([for_length, for_body]) = ahead.behind(found)
            && let Some((header, behind)) = rest.split_first_chunk::<HEADER_LEN>()
            && let Some((sealed_length, length_tag)) = header.split_first_chunk::<LENGTH_LEN>()
        {
            let mut length = *sealed_length;
            xor_bytes(&mut length, for_length.stream);
            let body_len = usize::from(u16::from_be_bytes(length));
            let Some((body_and_tag, behind)) = behind.split_at_checked(body_len + TAG_LEN) else { break };
            let (body, body_tag) = body_and_tag.split_at(body_len);
            let (Some(length_tag), Some(body_tag)) = (length_tag.as_array(), body_tag.as_array()) else {
                break;
            };
            if body_len > longest {
                break;
            }
            pairs.put(found, [for_length.tag_key, for_body.tag_key], *sealed_length, body);
            (length_tags[found], body_tags[found]) = (length_tag, body_tag);
            found += 1;
            rest = behind;
        }
        if found < FEWEST {
            return 0;
        }
        let mut tags = [[[0; TAG_LEN]; TOGETHER]; 2];
        cipher.lanes().tags(&pairs, &mut tags);
        let holds = |place: &usize| (0..2).all(|text| same_tag(&tags[text][*place], shown[text][*place]));
        let intact = (0..found).take_while(holds).count();

        let mut opened = 0;
        let mut rest = bytes;
        for _ in 0..intact {
            let Some([for_length, for_body]) = ahead.behind(0) else { break };
            let Some((length, behind)) = rest.split_first_chunk_mut::<LENGTH_LEN>() else { break };
            cipher.apply(for_length, length);
            let (_, behind) = behind.split_at_mut(TAG_LEN);
            let (body, behind) = behind.split_at_mut(usize::from(u16::from_be_bytes(*length)));
            cipher.apply(for_body, body);
            (_, rest) = behind.split_at_mut(TAG_LEN);
            ahead.spend();
            opened += 1;
        }
        opened
    }
}
