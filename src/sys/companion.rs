//! Programs that end with the one that started them.
#![allow(unsafe_code)]

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;

/// Has the kernel end the program with SIGTERM when the thread that starts it ends, in whatever
/// way. There is a moment before this holds; what reads a pipe of ours ends then too.
pub fn ends_with_us(command: &mut Command) -> &mut Command {
    // SAFETY: between fork and exec only `prctl` runs, which is async-signal-safe, and on failure
    // an `io::Error` of a number, which allocates nothing.
    unsafe {
        command.pre_exec(|| {
            set_pdeathsig(Signal::SIGTERM)
                .map_err(|errno| io::Error::from_raw_os_error(errno as i32))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Command, Stdio};
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn the_program_ends_when_its_thread_does() {
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            let mut sleep = Command::new("sleep");
            let child = ends_with_us(sleep.arg("1000").stdin(Stdio::null())).spawn().unwrap();
            sender.send(child).unwrap();
        });
        let status = receiver.recv().unwrap().wait().unwrap();
        assert_eq!(status.signal(), Some(15));
    }
}
