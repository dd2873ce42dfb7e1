//! Waiting for any descriptor in an asynchronous program.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Has the event loop watch a descriptor. Must be called inside the runtime.
///
/// # Errors
/// `PermissionDenied` for what cannot be watched because it is always ready, such as a regular
/// file; else what the operating system says.
pub fn watch(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` is open, and names the same description, until it is dropped, which
    // the `AsyncFd` that owns it does last.
    let watched = unsafe { AsyncFd::register_with_interest(fd, interest) };
    watched.map_err(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_pipe_is_watched_and_a_file_is_not() {
        let (read, write) = nix::unistd::pipe().unwrap();
        nix::unistd::write(&write, b"x").unwrap();
        let watched = watch(read, Interest::READABLE).unwrap();
        drop(watched.readable().await.unwrap());
        let file = tempfile::tempfile().unwrap();
        let error = watch(file.into(), Interest::READABLE).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    }
}
