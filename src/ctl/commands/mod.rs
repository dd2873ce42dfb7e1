//! The actions of supervisorctl: one room per family.

mod configuration;
mod control;
mod foreground;
pub mod help;
mod logs;
mod server;
mod status;
mod web;

use super::client::CallError;
use super::session::{Failure, Session};
use crate::ctl::render::exit;

/// What comes after a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// The next command.
    Continue,
    /// The end of the shell.
    Quit,
}

/// Carries out one line (C-222, C-225), failures included.
///
/// # Errors
/// When standard input or output fails.
pub async fn execute(session: &mut Session, line: &str) -> std::io::Result<Flow> {
    let flow = loop {
        let failure = match run(session, line).await {
            Ok(flow) => break flow,
            // A person is asked, and the same is tried again (C-237).
            Err(Failure::Call(CallError::Unauthorized { .. })) if session.interactive => {
                match session.authenticate().await {
                    Ok(()) => continue,
                    Err(failure) => failure,
                }
            }
            Err(failure) => failure,
        };
        session.show(failure)?;
        break Flow::Continue;
    };
    session.out.flush()?;
    Ok(flow)
}

async fn run(session: &mut Session, line: &str) -> Result<Flow, Failure> {
    let line = line.trim();
    if line.is_empty() {
        return Ok(Flow::Continue);
    }
    let line = match line.strip_prefix('?') {
        Some(topic) => format!("help {topic}"),
        None => line.to_owned(),
    };
    let (action, args) = split_action(&line);
    match action {
        "help" => help::help(session, args)?,
        "quit" | "exit" | "EOF" => {
            session.out.line("")?;
            return Ok(Flow::Quit);
        }
        "status" => status::status(session, args).await?,
        "pid" => status::pid(session, args).await?,
        "start" => control::start(session, args).await?,
        "stop" => control::stop(session, args).await?,
        "restart" => control::restart(session, args).await?,
        "signal" => control::signal(session, args).await?,
        "tail" => logs::tail(session, args).await?,
        "maintail" => logs::maintail(session, args).await?,
        "clear" => logs::clear(session, args).await?,
        "fg" => foreground::fg(session, args).await?,
        "avail" => configuration::avail(session, args).await?,
        "reread" => configuration::reread(session, args).await?,
        "update" => configuration::update(session, args).await?,
        "add" => configuration::add(session, args).await?,
        "remove" => configuration::remove(session, args).await?,
        "shutdown" => server::shutdown(session, args).await?,
        "reload" => server::reload(session, args).await?,
        "upgrade" => server::upgrade(session, args).await?,
        "version" => server::version(session, args).await?,
        "open" => server::open(session, args).await?,
        "web" => web::web(session, args).await?,
        _ => {
            session.out.line(&format!("*** Unknown syntax: {line}"))?;
            session.exit = exit::GENERIC;
        }
    }
    Ok(Flow::Continue)
}

/// The action is the leading letters, digits and underscores; the rest are its arguments.
fn split_action(line: &str) -> (&str, &str) {
    let end = line.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(line.len());
    (&line[..end], line[end..].trim())
}

/// Refuses arguments (C-268); whether there were none.
fn no_arguments(session: &mut Session, action: &str, args: &str) -> Result<bool, Failure> {
    if args.is_empty() {
        return Ok(true);
    }
    usage(session, action, &format!("Error: {action} accepts no arguments"), exit::GENERIC)?;
    Ok(false)
}

/// Says what is wrong with the arguments, and what they are.
fn usage(session: &mut Session, action: &str, error: &str, code: u8) -> Result<(), Failure> {
    session.out.line(error)?;
    session.exit = code;
    help::topic(session, action)
}

#[cfg(test)]
mod tests {
    use super::split_action;

    #[test]
    fn an_action_ends_at_the_first_other_character() {
        // C-222
        assert_eq!(split_action("tail -f x"), ("tail", "-f x"));
        assert_eq!(split_action("tail-100 x"), ("tail", "-100 x"));
        assert_eq!(split_action("status"), ("status", ""));
        assert_eq!(split_action("!foo"), ("", "!foo"));
        assert_eq!(split_action("stätus"), ("st", "ätus"));
    }
}
