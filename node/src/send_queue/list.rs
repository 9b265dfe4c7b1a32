//! Frames one behind the other, linked through the frames themselves: what the consumer has in hand, without memory of its
//! own.

use std::mem::ManuallyDrop;

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

    /// Calls `each` for the first `count` frames in turn, until it answers with an error.
    pub(super) fn try_for_first<E>(
        &mut self,
        count: usize,
        mut each: impl FnMut(&mut Frame) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut next = self.first.as_mut();
        for _ in 0..count {
            let Some(frame) = next else { break };
            each(frame)?;
            next = frame.behind_mut().as_mut();
        }
        Ok(())
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
