//! A small HTTP client that sends exactly what a test wants, over TCP or a unix socket.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};

use super::PATIENCE;

/// Where a server is.
#[derive(Debug, Clone)]
pub enum Target {
    /// TCP.
    Inet(SocketAddr),
    /// A socket in the file system.
    Unix(PathBuf),
}

impl Target {
    /// The URL by which `supervisorctl` knows it.
    pub fn url(&self) -> String {
        match self {
            Self::Inet(address) => format!("http://{address}"),
            Self::Unix(path) => format!("unix://{}", path.display()),
        }
    }
}

/// An address of this machine that no other test uses: loopback is a big network, and tests run in
/// processes of their own.
pub fn loopback() -> SocketAddr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let last = NEXT.fetch_add(1, Ordering::Relaxed);
    SocketAddr::from(([127, high.wrapping_add(1).max(1), low, last], 9001))
}

/// An answer.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// The first line.
    pub head: String,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// What follows.
    pub body: Vec<u8>,
}

impl Answer {
    /// The number in the first line; 0 when there is none.
    pub fn status(&self) -> u16 {
        self.head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0)
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A connection.
pub struct Http {
    stream: Box<dyn Both>,
    /// What was read and not used yet.
    ahead: Vec<u8>,
}

trait Both: Read + Write + Send {
    fn no_more(&self) -> io::Result<()>;
}

impl Both for TcpStream {
    fn no_more(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

impl Both for UnixStream {
    fn no_more(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

impl Http {
    /// Connects.
    ///
    /// # Errors
    /// Nobody is there.
    pub fn connect(target: &Target) -> io::Result<Self> {
        let stream: Box<dyn Both> = match target {
            Target::Inet(address) => {
                let stream = TcpStream::connect(address)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))?;
                Box::new(stream)
            }
            Target::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))?;
                Box::new(stream)
            }
        };
        Ok(Self { stream, ahead: Vec::new() })
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// The other side is gone.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref())?;
        self.stream.flush()
    }

    /// Says that no more will be sent.
    ///
    /// # Errors
    /// The other side is gone.
    pub fn no_more(&self) -> io::Result<()> {
        self.stream.no_more()
    }

    /// Reads some more; false at the end.
    fn more(&mut self) -> io::Result<bool> {
        let mut buffer = [0; 16 * 1024];
        let read = self.stream.read(&mut buffer)?;
        self.ahead.extend(&buffer[..read]);
        Ok(read > 0)
    }

    fn line(&mut self) -> io::Result<Option<String>> {
        loop {
            if let Some(at) = self.ahead.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.ahead.drain(..=at).collect();
                return Ok(Some(String::from_utf8_lossy(&line).trim_end().to_owned()));
            }
            if !self.more()? {
                return Ok(None);
            }
        }
    }

    /// Reads so many bytes, or what there is until the end.
    ///
    /// # Errors
    /// Nothing came for too long.
    pub fn bytes(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.ahead.len() < count && self.more()? {}
        Ok(self.ahead.drain(..count.min(self.ahead.len())).collect())
    }

    /// Reads the head of an answer; none when the connection ended instead.
    ///
    /// # Errors
    /// Nothing came for too long.
    pub fn head(&mut self) -> io::Result<Option<Answer>> {
        let Some(head) = self.line()? else { return Ok(None) };
        let mut answer = Answer { head, ..Answer::default() };
        while let Some(line) = self.line()?.filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':').unwrap_or((&line, ""));
            answer.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        Ok(Some(answer))
    }

    /// Reads one part of a chunked body; empty is the last one.
    ///
    /// # Errors
    /// Nothing came for too long, or it is no chunk.
    pub fn chunk(&mut self) -> io::Result<Vec<u8>> {
        let size = self.line()?.unwrap_or_default();
        let size = usize::from_str_radix(&size, 16).map_err(io::Error::other)?;
        let chunk = self.bytes(size)?;
        self.line()?;
        Ok(chunk)
    }

    /// Reads a whole answer; none when the connection ended instead.
    ///
    /// # Errors
    /// Nothing came for too long.
    pub fn answer(&mut self) -> io::Result<Option<Answer>> {
        let Some(mut answer) = self.head()? else { return Ok(None) };
        if answer.header("transfer-encoding") == Some("chunked") {
            loop {
                let chunk = self.chunk()?;
                if chunk.is_empty() {
                    return Ok(Some(answer));
                }
                answer.body.extend(chunk);
            }
        }
        let length = answer.header("content-length").and_then(|length| length.parse().ok());
        answer.body = self.bytes(length.unwrap_or(usize::MAX))?;
        Ok(Some(answer))
    }

    /// Reads until the other side closes.
    ///
    /// # Errors
    /// It does not.
    pub fn rest(&mut self) -> io::Result<Vec<u8>> {
        while self.more()? {}
        Ok(std::mem::take(&mut self.ahead))
    }
}

/// Sends one request on a connection of its own, and reads the answer.
///
/// # Panics
/// When nobody answers.
pub fn ask(target: &Target, request: impl AsRef<[u8]>) -> Answer {
    let mut http = Http::connect(target).expect("somebody listens");
    http.send(request).expect("it takes the request");
    http.answer().expect("it answers").expect("it does not just close")
}

/// `GET` of a path, with more header lines (each with its end).
pub fn get(target: &Target, path: &str, headers: &str) -> Answer {
    ask(target, format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n"))
}

/// A socket in a directory.
pub fn unix(dir: &Path, name: &str) -> Target {
    Target::Unix(dir.join(name))
}
