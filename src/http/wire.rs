//! A client's connection: read and written as any, and watched for the moment when the client has
//! closed its side.
//!
//! What somebody sent before they left is still read and done, so hyper is told that half a
//! connection is enough for it, and does not look for the end by itself while it has something to
//! answer. [`End`] does.

use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use libc::MSG_NOSIGNAL;
use nix::sys::socket::{MsgFlags, recv};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// A connection.
#[derive(Debug)]
pub struct Wire(Arc<Socket>);

/// The end of what a client sends.
#[derive(Debug, Clone)]
pub struct End(Arc<Socket>);

#[derive(Debug)]
enum Socket {
    Inet(TcpStream),
    Unix(UnixStream),
}

/// Calls the method that both kinds of sockets have.
macro_rules! either {
    ($socket:expr, $stream:ident => $call:expr) => {
        match &*$socket {
            Socket::Inet($stream) => $call,
            Socket::Unix($stream) => $call,
        }
    };
}

impl End {
    /// Comes when the client has closed its side, whether or not all of it was read.
    pub async fn reached(&self) {
        // Of this interest, which the socket is not registered for, only the end comes. That the
        // socket cannot be watched any more is its end too.
        let _ = either!(self.0, stream => stream.ready(Interest::PRIORITY).await);
    }
}

impl From<TcpStream> for Wire {
    fn from(stream: TcpStream) -> Self {
        Self(Arc::new(Socket::Inet(stream)))
    }
}

impl From<UnixStream> for Wire {
    fn from(stream: UnixStream) -> Self {
        Self(Arc::new(Socket::Unix(stream)))
    }
}

impl Wire {
    /// When the client has closed its side.
    #[must_use]
    pub fn end(&self) -> End {
        End(Arc::clone(&self.0))
    }

    /// The first byte that comes, which stays to be read; none when nothing comes.
    ///
    /// # Errors
    /// The connection breaks.
    pub async fn first(&self) -> io::Result<Option<u8>> {
        let mut byte = [0];
        loop {
            either!(self.0, stream => stream.readable().await)?;
            let peeked = either!(self.0, stream => stream.try_io(Interest::READABLE, || {
                Ok(recv(stream.as_raw_fd(), &mut byte, MsgFlags::MSG_PEEK)?)
            }));
            match peeked {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                peeked => return Ok((peeked? > 0).then_some(byte[0])),
            }
        }
    }

    /// Sends what fits now, without waiting.
    pub fn send_now(&self, bytes: &[u8]) {
        // Whoever is gone needs nothing.
        let _ =
            either!(self.0, stream => SockRef::from(stream).send_with_flags(bytes, MSG_NOSIGNAL));
    }

    fn poll_to_write(
        &self,
        cx: &mut Context<'_>,
        write: impl Fn(&Socket) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(either!(self.0, stream => stream.poll_write_ready(cx)))?;
            match write(&self.0) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(either!(self.0, stream => stream.poll_read_ready(cx)))?;
            let space = buffer.initialize_unfilled();
            match either!(self.0, stream => stream.try_read(space)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return Poll::Ready(read.map(|count| buffer.advance(count))),
            }
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_to_write(cx, |socket| either!(socket, stream => stream.try_write(bytes)))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_to_write(
            cx,
            |socket| either!(socket, stream => stream.try_write_vectored(slices)),
        )
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(either!(self.0, stream => SockRef::from(stream).shutdown(Shutdown::Write)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    use super::*;

    async fn check(mut client: impl AsyncRead + AsyncWrite + Unpin, mut wire: Wire) {
        let end = wire.end();
        client.write_all(b"unread").await.unwrap();
        // There is something to read now, and no end.
        assert_eq!(wire.first().await.unwrap(), Some(b'u'));
        assert!(end.reached().now_or_never().is_none());
        client.shutdown().await.unwrap();
        timeout(Duration::from_secs(20), end.reached()).await.unwrap();
        let mut text = String::new();
        wire.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "unread");
        end.reached().now_or_never().unwrap();
        // The other half is as it was.
        wire.write_all(b"answer").await.unwrap();
        wire.shutdown().await.unwrap();
        let mut text = String::new();
        client.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "answer");
    }

    #[tokio::test]
    async fn the_end_is_seen_before_what_comes_before_it_is_read() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (unix, other) = UnixStream::pair().unwrap();
        let (inet, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (inet, inet_server) = (inet.unwrap(), accepted.unwrap().0);
        check(unix, other.into()).await;
        check(inet, inet_server.into()).await;
    }
}
