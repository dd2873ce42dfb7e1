//! Prints a commented sample configuration. Arguments do not matter (C-385).
use std::io::Write;

fn main() {
    // A reader that has seen enough and closes the pipe is no reason to complain.
    let _ = std::io::stdout().write_all(supervisor::config::sample::sample().as_bytes());
}
