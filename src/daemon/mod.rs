//! `supervisord`: arguments, start-up order, one incarnation after the other, shutdown.
//!
//! A restart (SIGHUP, `reload`) is a new incarnation in the same process: the engine, the log
//! plane and the front ends end and are made again from the new configuration; the process id and
//! the socket of the bus stay (C-390).

pub mod args;
mod error;
pub mod fuzzing;
mod incarnation;
mod life;
mod recovery;
mod sockets;
mod startup;
mod upgrade;

use std::io::Write;
use std::process::ExitCode;

use crate::config::flags::{self, Invocation};
use crate::runtime::keep;
use crate::sys::host::RealHost;
use crate::systemd::listen;
use crate::systemd::notify::Manager;
use error::StartError;
use upgrade::{Legacy, Purpose};

/// The entry of `supervisord`: exit code 0 after a shutdown, 2 for a usage error, 1 when it
/// could not start for another reason (C-120).
pub fn main() -> ExitCode {
    // First of all, while nothing else is open.
    match upgrade::purpose() {
        Purpose::Start => {}
        Purpose::Trial(outcome) => return trial(outcome),
        Purpose::GoOn(outcome) => return go_on(outcome),
    }
    let handed = listen::take(keep::is_ours);
    let manager = Manager::of_environment();
    let mut words = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
    let program = words.next().unwrap_or_else(|| "supervisord".to_owned());
    let words: Vec<String> = words.collect();
    let outcome = match flags::parse(&program, &words, &host()) {
        Ok(Invocation::Help) => return print(&args::help()),
        Ok(Invocation::Version) => return print(concat!(env!("CARGO_PKG_VERSION"), "\n")),
        Ok(Invocation::Test(overrides)) => startup::test_configuration(&overrides),
        Ok(Invocation::Run(overrides)) => startup::run(*overrides, handed, &manager),
        Err(text) => Err(StartError::Usage(text)),
    };
    end(&program, &manager, outcome)
}

/// This program can go on from the state of another one, or says why not.
fn trial(outcome: Result<(), String>) -> ExitCode {
    let Err(why) = outcome else { return ExitCode::SUCCESS };
    say(&format!("{why}\n"));
    ExitCode::FAILURE
}

/// Another program was at work in this process.
fn go_on(outcome: Result<Box<Legacy>, String>) -> ExitCode {
    let manager = Manager::of_environment();
    let outcome = outcome.map_err(StartError::Failed).and_then(|left| startup::go_on(*left));
    end("supervisord", &manager, outcome)
}

fn end(program: &str, manager: &Manager, outcome: Result<(), StartError>) -> ExitCode {
    let Err(error) = outcome else { return ExitCode::SUCCESS };
    let text = error.text();
    let (errno, name) = error.codes();
    manager.failed(text, errno, name);
    if error.is_usage() {
        // A mistake in the arguments or the configuration (C-018).
        say(&format!("Error: {text}\nFor help, use {program} -h\n"));
        ExitCode::from(2)
    } else {
        say(&format!("Error: {text}\n"));
        ExitCode::FAILURE
    }
}

/// What the system looks like to the configuration.
fn host() -> RealHost {
    RealHost
}

fn print(text: &str) -> ExitCode {
    let _ = std::io::stdout().write_all(text.as_bytes()); // nobody reads it: nobody misses it
    ExitCode::SUCCESS
}

fn say(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}
