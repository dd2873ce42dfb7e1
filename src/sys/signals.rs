//! Signal masks and dispositions of the daemon itself. Children get defaults and an empty mask
//! (see [`spawn`](super::spawn)).
#![allow(unsafe_code)]

use nix::errno::Errno;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, sigaction};

/// All signals are blocked in this thread until this is dropped.
#[must_use]
#[derive(Debug)]
pub struct Blocked {
    before: SigSet,
    /// A mask belongs to a thread.
    _not_send: std::marker::PhantomData<*const ()>,
}

/// Blocks every signal in the calling thread for as long as the answer lives.
pub fn block_all() -> Blocked {
    // Only a bad `how` could fail; then nothing was changed, and nothing is to be restored.
    let before =
        SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK).unwrap_or_else(|_| SigSet::empty());
    Blocked { before, _not_send: std::marker::PhantomData }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        // As above: cannot fail.
        let _ = self.before.thread_set_mask();
    }
}

/// Blocks these signals in the calling thread and in the threads it starts, for good: they wait
/// for a signalfd or `sigwait`.
///
/// # Errors
/// None on Linux.
pub fn block(signals: &[Signal]) -> Result<(), Errno> {
    signals.iter().copied().collect::<SigSet>().thread_block()
}

/// Unblocks every signal in the calling thread and in the threads it starts: those that came
/// before whoever hears them was there come now.
pub fn unblock_all() {
    let _ = SigSet::all().thread_unblock(); // cannot fail, as above
}

/// Ignores SIGPIPE: a write to a closed pipe or connection is an error to handle, not a death.
///
/// # Errors
/// None on Linux.
pub fn ignore_sigpipe() -> Result<(), Errno> {
    let ignore = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
    // SAFETY: no handler is installed, so none can do anything unsafe.
    unsafe { sigaction(Signal::SIGPIPE, &ignore) }.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocking_all_signals_ends_with_the_guard() {
        let before = SigSet::thread_get_mask().unwrap();
        let blocked = block_all();
        assert!(SigSet::thread_get_mask().unwrap().contains(Signal::SIGTERM));
        drop(blocked);
        assert_eq!(SigSet::thread_get_mask().unwrap(), before);
    }

    #[test]
    fn blocked_signals_wait_for_whoever_asks() {
        block(&[Signal::SIGUSR1]).unwrap();
        nix::sys::signal::raise(Signal::SIGUSR1).unwrap();
        let waiting: SigSet = [Signal::SIGUSR1].into_iter().collect();
        assert_eq!(waiting.wait(), Ok(Signal::SIGUSR1));
    }
}
