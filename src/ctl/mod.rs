//! `supervisorctl`, the command line client: finds the daemon, asks it, prints the answer.
//!
//! [`args`] reads the command line, [`discover`] finds the daemon, [`client`] is what it can be
//! asked (over D-Bus: [`bus`], with [`agent`] for passwords), [`commands`] are the actions and [`shell`] the interactive loop.
//! What is printed is in [`render`].

pub mod agent;
pub mod args;
pub mod bus;
pub mod client;
pub mod commands;
pub mod complete;
pub mod discover;
mod http;
mod input;
mod output;
pub mod progress;
pub mod render;
pub mod session;
pub mod shell;
mod tls;
pub mod unreachable;
mod xmlrpc;

use std::io;
use std::process::ExitCode;
use std::rc::Rc;

use agent::Agent;
use args::{Arguments, Early};
use discover::Connector;
use render::exit;
use session::{Session, complain};

use crate::config::settings::CtlSettings;
use crate::config::{self, ConfigErrors};
use crate::sys::host::RealHost;

/// Runs `supervisorctl` with the arguments of this process.
#[must_use]
pub fn main() -> ExitCode {
    let mut words = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
    let program = words.next().unwrap_or_else(|| "supervisorctl".to_owned());
    let words: Vec<String> = words.collect();
    let arguments = match args::parse(&words) {
        Ok(arguments) => arguments,
        Err(Early::Help) => {
            let help = args::definition().render_help().to_string();
            let mut out = output::Output::new();
            // Nobody to tell when the reader of the help is gone.
            let _ = out.bytes(help.as_bytes()).and_then(|()| out.flush());
            return exit::SUCCESS.into();
        }
        Err(Early::Usage(text)) => return usage(&program, &text),
    };
    let settings = match settings(&program, &arguments) {
        Ok(settings) => settings,
        Err(errors) => return config_errors(&program, &errors),
    };
    match run(arguments, settings) {
        Ok(code) => code.into(),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => exit::SUCCESS.into(),
        Err(error) => {
            complain(&format!("supervisorctl: {error}\n"));
            exit::GENERIC.into()
        }
    }
}

/// A usage error (C-018, C-220).
fn usage(program: &str, text: &str) -> ExitCode {
    complain(&format!("Error: {text}\nFor help, use {program} -h\n"));
    exit::INVALID_ARGS.into()
}

/// What is wrong with the configuration file. Upstream dies of a syntax error with a traceback
/// and the exit code 1; the code is kept (C-221, C-447).
fn config_errors(program: &str, errors: &ConfigErrors) -> ExitCode {
    let first = &errors.first().message;
    let syntax = ["Source contains parsing errors", "File contains no section headers"];
    let code = usage(program, &errors.to_string());
    if syntax.iter().any(|start| first.starts_with(start)) { exit::GENERIC.into() } else { code }
}

/// One action, or the shell (C-223, C-224).
fn run(arguments: Arguments, settings: CtlSettings) -> io::Result<u8> {
    let runtime =
        Rc::new(tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?);
    let agent = Agent::new(!arguments.no_ask_password);
    let connector = Rc::new(Connector::new(settings, arguments.serverurl, agent));
    let shell = arguments.action.is_empty();
    let mut session = Session::new(connector.clone(), shell || arguments.interactive);
    if shell {
        shell::run(&runtime, &mut session, &connector)?;
        return Ok(exit::SUCCESS);
    }
    let line = arguments.action.join(" ");
    runtime.block_on(commands::execute(&mut session, &line))?;
    Ok(session.exit)
}

/// The settings of the configuration file, with those of the command line over them.
fn settings(program: &str, arguments: &Arguments) -> Result<CtlSettings, ConfigErrors> {
    let file = arguments.configuration.as_deref();
    let mut settings = config::ctl::load(file, program, &RealHost)?;
    for note in &settings.notes {
        complain(&format!("{}\n", note.text));
    }
    for (given, setting) in [
        (&arguments.username, &mut settings.username),
        (&arguments.password, &mut settings.password),
    ] {
        if given.is_some() {
            setting.clone_from(given);
        }
    }
    if let Some(file) = &arguments.tls_ca {
        settings.tls_ca = Some(file.into());
    }
    if let Some(file) = &arguments.history_file {
        settings.history_file = Some(file.into());
    }
    Ok(settings)
}
