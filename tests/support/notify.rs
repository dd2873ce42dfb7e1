//! The service manager's side of readiness: a socket that takes `READY=1`.

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A socket for `NOTIFY_SOCKET`.
pub struct NotifySocket {
    socket: UnixDatagram,
    path: PathBuf,
}

impl NotifySocket {
    /// Binds it at a path that does not exist yet.
    pub fn bind(path: &Path) -> Self {
        use std::os::unix::fs::PermissionsExt;
        let socket = UnixDatagram::bind(path).expect("a socket");
        // A daemon that gave up its privileges tells us too.
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).expect("its mode");
        Self { socket, path: path.to_owned() }
    }

    /// What `NOTIFY_SOCKET` has to say.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The next message; `None` at the limit.
    pub fn receive(&self, limit: Duration) -> Option<String> {
        if limit.is_zero() {
            return None;
        }
        let mut buffer = [0; 4096];
        self.socket.set_read_timeout(Some(limit)).expect("a timeout above zero");
        let count = self.socket.recv(&mut buffer).ok()?;
        Some(String::from_utf8_lossy(&buffer[..count]).into_owned())
    }

    /// Waits for a message that has this line; the whole message, or `None` at the limit.
    pub fn wait(&self, line: &str, limit: Duration) -> Option<String> {
        self.until(|message| message.lines().any(|given| given == line), limit)?.pop()
    }

    /// All messages up to the first that is wanted, with it; `None` at the limit.
    pub fn until(&self, wanted: impl Fn(&str) -> bool, limit: Duration) -> Option<Vec<String>> {
        let end = Instant::now() + limit;
        let mut messages = Vec::new();
        loop {
            let message = self.receive(end.saturating_duration_since(Instant::now()))?;
            let found = wanted(&message);
            messages.push(message);
            if found {
                return Some(messages);
            }
        }
    }
}

impl Drop for NotifySocket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}
