//! The daemon whose page is looked at.

use std::net::SocketAddr;

use crate::support::daemon::Daemon;
use crate::support::http::loopback;
use crate::support::scratch::Scratch;

/// A daemon with a web page that is open to everybody on this machine.
pub struct Site {
    /// The daemon.
    pub daemon: Daemon,
    _scratch: Scratch,
    /// Where its page is.
    pub address: SocketAddr,
}

impl Site {
    /// Starts it with these programs.
    pub fn start(programs: &str) -> Self {
        let (scratch, address) = (Scratch::new(), loopback());
        let daemon = Daemon::start(&scratch, &format!("{}{programs}", server(address)));
        Self { daemon, _scratch: scratch, address }
    }

    /// The address of a path, with its slash.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

fn server(address: SocketAddr) -> String {
    format!("[inet_http_server]\nport={address}\nauth=none\n")
}

/// A program that runs until it is stopped.
pub fn sleeper(name: &str) -> String {
    format!("[program:{name}]\ncommand=/bin/sleep 1000\nstartsecs=0\n")
}
