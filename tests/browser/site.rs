//! The daemon whose page is looked at.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::support::daemon::{Daemon, HEAD};
use crate::support::http::loopback;
use crate::support::scratch::Scratch;

/// A daemon with a web page that is open to everybody on this machine.
pub struct Site {
    /// The daemon.
    pub daemon: Daemon,
    scratch: Scratch,
    programs: String,
    /// Where its page is.
    pub address: SocketAddr,
}

impl Site {
    /// Starts it with these programs.
    pub fn start(programs: &str) -> Self {
        let (scratch, address) = (Scratch::new(), loopback());
        let daemon = Daemon::start(&scratch, &format!("{}{programs}", server(address)));
        Self { daemon, scratch, address, programs: programs.to_owned() }
    }

    /// The address of a path, with its slash.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Where the output of a program of this name is kept.
    pub fn log_of(&self, name: &str) -> PathBuf {
        let start = format!("{name}-stdout---");
        let found = self.scratch.names(".").into_iter().find(|file| file.starts_with(&start));
        self.scratch.join(&found.expect("it has a log"))
    }

    /// Writes the configuration anew, with other programs; nobody is told.
    pub fn rewrite(&mut self, programs: &str) {
        let text = format!("{HEAD}{}{programs}", server(self.address));
        self.scratch.write("supervisord.conf", text);
        programs.clone_into(&mut self.programs);
    }

    /// Starts the daemon again, which has ended, on the same address.
    pub fn begin_again(self) -> Self {
        let Self { daemon, scratch, programs, address } = self;
        // What is left of it must not be taken for the next one.
        drop(daemon);
        let daemon = Daemon::start(&scratch, &format!("{}{programs}", server(address)));
        Self { daemon, scratch, programs, address }
    }
}

fn server(address: SocketAddr) -> String {
    format!("[inet_http_server]\nport={address}\nauth=none\n")
}

/// A program that runs until it is stopped.
pub fn sleeper(name: &str) -> String {
    format!("[program:{name}]\ncommand=/bin/sleep 1000\nstartsecs=0\n")
}
