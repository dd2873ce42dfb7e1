//! The daemon whose page is looked at.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::support::daemon::{Daemon, HEAD};
use crate::support::http::loopback;
use crate::support::scratch::Scratch;

/// A daemon with a web page.
pub struct Site {
    /// The daemon.
    pub daemon: Daemon,
    scratch: Scratch,
    server: String,
    programs: String,
    /// Where its page is.
    pub address: SocketAddr,
}

impl Site {
    /// Starts it with these programs, and a page that is open to everybody on this machine.
    pub fn start(programs: &str) -> Self {
        Self::with("none", programs)
    }

    /// Starts it with these programs, and a page that one has to log in to.
    pub fn with_login(programs: &str) -> Self {
        Self::with("login", programs)
    }

    fn with(auth: &str, programs: &str) -> Self {
        let (scratch, address) = (Scratch::new(), loopback());
        let server = format!("[inet_http_server]\nport={address}\nauth={auth}\n");
        let daemon = Daemon::start(&scratch, &format!("{server}{programs}"));
        Self { daemon, scratch, server, programs: programs.to_owned(), address }
    }

    /// A new link that lets somebody in.
    pub fn link(&self) -> String {
        let output = self.daemon.ctl(&["web"]);
        let link = output.stdout.lines().map(str::trim).find(|line| line.starts_with("http://"));
        link.unwrap_or_else(|| panic!("no link: {output:?}")).to_owned()
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
        let text = format!("{HEAD}{}{programs}", self.server);
        self.scratch.write("supervisord.conf", text);
        programs.clone_into(&mut self.programs);
    }

    /// Starts the daemon again, which has ended, on the same address.
    pub fn begin_again(self) -> Self {
        let Self { daemon, scratch, server, programs, address } = self;
        // What is left of it must not be taken for the next one.
        drop(daemon);
        let daemon = Daemon::start(&scratch, &format!("{server}{programs}"));
        Self { daemon, scratch, server, programs, address }
    }
}

/// A program that runs until it is stopped.
pub fn sleeper(name: &str) -> String {
    format!("[program:{name}]\ncommand=/bin/sleep 1000\nstartsecs=0\n")
}
