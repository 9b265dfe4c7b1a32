//! The atomics, cells and allocator that the queue is built on: the real ones, or loom's, which try every interleaving.
//!
//! Built with `--cfg oddwire_loom`, every atomic operation, every frame allocation and every access to a cell below is seen
//! by the model checker; nothing else in the queue may share state between threads.

#[cfg(oddwire_loom)]
pub(super) use loom::{
    alloc::{alloc, dealloc},
    cell::UnsafeCell,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering},
    },
};

#[cfg(not(oddwire_loom))]
pub(super) use std::{
    alloc::{alloc, dealloc},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering},
    },
};

/// [`std::cell::UnsafeCell`] with the closures that loom needs in order to see where an access begins and ends.
#[cfg(not(oddwire_loom))]
#[derive(Debug)]
pub(super) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

#[cfg(not(oddwire_loom))]
impl<T> UnsafeCell<T> {
    pub(super) const fn new(value: T) -> Self {
        Self(std::cell::UnsafeCell::new(value))
    }

    /// Calls `access` with a pointer that is good for reading while no `with_mut` runs.
    pub(super) fn with<R>(&self, access: impl FnOnce(*const T) -> R) -> R {
        access(self.0.get())
    }

    /// Calls `access` with a pointer that is good for writing while no other access runs.
    pub(super) fn with_mut<R>(&self, access: impl FnOnce(*mut T) -> R) -> R {
        access(self.0.get())
    }
}
