//! Frames one behind the other, linked through the frames themselves: what the consumer has in hand, without memory of its
//! own.

use std::mem::ManuallyDrop;

use wire_core::frame::TOGETHER;

use super::frame::Frame;
use super::stack::Chain;

/// A list of frames, oldest first.
#[derive(Debug, Default)]
pub(super) struct List {
    first: Option<Frame>,
    /// Address of the last frame, if there is one.
    last: usize,
    len: usize,
}

impl List {
    /// A chain in the order of the commits: the stack hands out the newest first.
    pub(super) fn of(chain: Chain) -> List {
        let mut list = List::default();
        for frame in chain {
            list.push_front(frame);
        }
        list
    }

    /// Puts another list behind this one.
    pub(super) fn append(&mut self, mut other: List) {
        if self.is_empty() {
            *self = other;
            return;
        }
        let Some(first) = other.first.take() else { return };
        // SAFETY: the address of the last frame of this list. The list keeps owning it: this handle is forgotten.
        let last = unsafe { Frame::from_address(self.last) };
        if let Some(mut last) = last.map(ManuallyDrop::new) {
            *last.behind_mut() = Some(first);
        }
        self.last = other.last;
        self.len += std::mem::take(&mut other.len);
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    pub(super) fn first(&self) -> Option<&Frame> {
        self.first.as_ref()
    }

    pub(super) fn pop_front(&mut self) -> Option<Frame> {
        let mut first = self.first.take()?;
        self.first = first.behind_mut().take();
        self.len -= 1;
        Some(first)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Frame> {
        std::iter::successors(self.first(), |frame| frame.behind())
    }

    /// Lends those of the first `count` frames that are not sealed to `seal`, in order, as many at a time as are sealed
    /// together. Sealed ones come before all others.
    ///
    /// # Errors
    /// The first of `seal`, with how many of the frames lent it had sealed. The others count as not sealed, as do those
    /// that were never lent; if it panics, all that it was lent count as sealed, for then nobody knows what their bytes are.
    pub(super) fn seal_first<E>(
        &mut self,
        count: usize,
        mut seal: impl FnMut(&mut [&mut [u8]]) -> Result<(), (usize, E)>,
    ) -> Result<(), E> {
        let already = self.iter().take_while(|frame| frame.is_sealed()).count();
        let mut next = self.nth_mut(already);
        let mut sealed = already;
        while sealed < count && next.is_some() {
            let mut lent: [&mut [u8]; TOGETHER] = Default::default();
            let mut filled = 0;
            for place in lent.iter_mut().take(count - sealed) {
                let Some(frame) = next else { break };
                let behind;
                (*place, behind) = frame.lend_to_seal();
                next = behind.as_mut();
                filled += 1;
            }
            if let Err((done, error)) = seal(lent.get_mut(..filled).unwrap_or_default()) {
                let mut refused = self.nth_mut(sealed + done);
                while let Some(frame) = refused {
                    frame.was_not_sealed();
                    refused = frame.behind_mut().as_mut();
                }
                return Err(error);
            }
            sealed += filled;
        }
        Ok(())
    }

    /// The frame that `number` others come before.
    fn nth_mut(&mut self, number: usize) -> Option<&mut Frame> {
        let mut next = self.first.as_mut();
        for _ in 0..number {
            next = next?.behind_mut().as_mut();
        }
        next
    }

    fn push_front(&mut self, mut frame: Frame) {
        if self.is_empty() {
            self.last = frame.expose();
        }
        *frame.behind_mut() = self.first.take();
        self.first = Some(frame);
        self.len += 1;
    }
}

impl Drop for List {
    fn drop(&mut self) {
        // One by one: frames that drop each other would need stack for all of them.
        while self.pop_front().is_some() {}
    }
}
