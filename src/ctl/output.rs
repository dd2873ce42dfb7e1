//! Standard output: buffered, bytes as they are, quiet when the reader is gone.

use std::io::{self, BufWriter, Stdout, Write};
use std::os::fd::AsFd;

use tokio::io::Interest;

use crate::sys::watch::watch;

/// Standard output.
pub struct Output(BufWriter<Stdout>);

impl Output {
    /// Standard output of this process.
    #[must_use]
    pub fn new() -> Self {
        Self(BufWriter::with_capacity(64 * 1024, io::stdout()))
    }

    /// Writes a line.
    ///
    /// # Errors
    /// When it cannot be written; `BrokenPipe` when nobody reads any more.
    pub fn line(&mut self, line: &str) -> io::Result<()> {
        self.0.write_all(line.as_bytes())?;
        self.0.write_all(b"\n")
    }

    /// Writes bytes.
    ///
    /// # Errors
    /// As [`Self::line`].
    pub fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    /// Passes on what was written so far.
    ///
    /// # Errors
    /// As [`Self::line`].
    pub fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }

    /// Resolves when nobody reads any more; never where that cannot be known.
    pub async fn closed() {
        let watched = io::stdout()
            .as_fd()
            .try_clone_to_owned()
            .and_then(|fd| watch(fd, Interest::WRITABLE | Interest::ERROR));
        match watched {
            Ok(fd) => drop(fd.ready(Interest::ERROR).await),
            Err(_) => std::future::pending().await,
        }
    }
}

impl Default for Output {
    fn default() -> Self {
        Self::new()
    }
}
