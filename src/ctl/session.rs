//! What the commands share: the connection, standard input and output, the exit code.

use std::cell::Cell;
use std::io;
use std::rc::Rc;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::client::{CallError, Client};
use super::discover::Connector;
use super::input::{Hidden, Lines};
use super::output::Output;
use super::render::{self, exit};
use super::shell::Editor;
use super::unreachable::{Reason, Unreachable};
use crate::model::fault::FaultKind;

/// What a server that wants a password is told of with (C-236, C-237).
const UNAUTHORIZED: &str = "Server requires authentication";

/// Why a command ended early. What upstream would show as an exception.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A call failed with something the command does not expect.
    #[error(transparent)]
    Call(#[from] CallError),
    /// No daemon was found, by a command without an up-check.
    #[error("no supervisord was found")]
    Unreachable(Box<Unreachable>),
    /// A result has a code without a text (C-250).
    #[error("Unknown result code {code} for {name}")]
    UnknownResult {
        /// The code.
        code: i32,
        /// The process.
        name: String,
        /// What the daemon said.
        text: String,
    },
    /// Standard input ended while an answer was awaited.
    #[error("EOF when reading a line")]
    NoAnswer,
    /// Standard input or output failed.
    #[error(transparent)]
    Terminal(#[from] io::Error),
}

/// What commands work with.
pub struct Session {
    /// Standard output.
    pub out: Output,
    /// Standard input.
    pub lines: Lines,
    /// The line editor, when the shell runs on a terminal.
    pub editor: Option<Editor>,
    /// The exit code so far: the last failure wins (C-229).
    pub exit: u8,
    /// Ask before what cannot be undone.
    pub interactive: bool,
    interrupts_claimed: Rc<Cell<bool>>,
    connector: Rc<Connector>,
    client: Option<Rc<dyn Client>>,
}

impl Session {
    /// A session that finds its daemon through `connector`.
    #[must_use]
    pub fn new(connector: Rc<Connector>, interactive: bool) -> Self {
        Self {
            out: Output::new(),
            lines: Lines::default(),
            editor: None,
            exit: exit::SUCCESS,
            interactive,
            interrupts_claimed: Rc::default(),
            connector,
            client: None,
        }
    }

    /// Talks to the daemon at this URL from now on.
    pub fn open(&mut self, url: String) {
        self.client = None;
        self.connector.open(url);
    }

    /// Closes the connection: a shell may sit at its prompt while the daemon restarts.
    pub async fn disconnect(&mut self) {
        if let Some(client) = self.client.take() {
            client.close().await;
        }
    }

    /// Takes Ctrl-C over for the rest of the command.
    ///
    /// # Errors
    /// When the system has no room for another signal handler.
    pub fn claim_interrupts(&mut self) -> io::Result<Signal> {
        self.interrupts_claimed.set(true);
        signal(SignalKind::interrupt())
    }

    /// A new command begins: resolves with the first Ctrl-C that no command takes over.
    pub fn unclaimed_interrupt(&self) -> impl Future<Output = ()> + use<> {
        self.interrupts_claimed.set(false);
        let claimed = self.interrupts_claimed.clone();
        async move {
            loop {
                // Where it cannot be caught, it ends the program.
                let _ = tokio::signal::ctrl_c().await;
                if !claimed.get() {
                    return;
                }
            }
        }
    }

    /// The daemon.
    ///
    /// # Errors
    /// [`Failure::Unreachable`].
    pub async fn client(&mut self) -> Result<Rc<dyn Client>, Failure> {
        if let Some(client) = &self.client {
            return Ok(client.clone());
        }
        let connected = self.connector.connect().await;
        let client = connected.map_err(|error| Failure::Unreachable(Box::new(error)))?;
        self.client = Some(client.clone());
        Ok(client)
    }

    /// The daemon, after a look whether it is one and is not stopping (C-230). None when the
    /// reason was printed and the exit code set (C-231, C-232, C-235).
    ///
    /// # Errors
    /// What upstream shows as an unexpected error.
    pub async fn upcheck(&mut self) -> Result<Option<Rc<dyn Client>>, Failure> {
        let client = match self.client().await {
            Ok(client) => client,
            Err(Failure::Unreachable(error)) => {
                let headline = error.headline();
                self.exit = match headline.reason {
                    Reason::Refused => exit::REFUSED,
                    Reason::NoFile => exit::NOT_RUNNING,
                    _ => return Err(Failure::Unreachable(error)),
                };
                self.out.line(&format!("{} {}", headline.url, headline.reason))?;
                self.explain(&error)?;
                return Ok(None);
            }
            Err(failure) => return Err(failure),
        };
        match client.api_version().await {
            Ok(version) if version == render::API_VERSION => Ok(Some(client)),
            Ok(version) => {
                self.out.line(&format!(
                    "Sorry, this version of supervisorctl expects to talk to a server with API \
                     version {}, but the remote version is {version}.",
                    render::API_VERSION
                ))?;
                self.exit = exit::OTHER_VERSION;
                Ok(None)
            }
            Err(CallError::Fault(fault)) if fault.kind == FaultKind::UnknownMethod => {
                self.out.line(&format!(
                    "Sorry, supervisord responded but did not recognize the supervisor namespace \
                     commands that supervisorctl uses to control it: what answers at {} is \
                     something else.",
                    client.url()
                ))?;
                self.exit = exit::UNIMPLEMENTED;
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Tells on standard error what was tried to find the daemon.
    ///
    /// # Errors
    /// When standard output cannot be written; it comes first.
    pub fn explain(&mut self, error: &Unreachable) -> io::Result<()> {
        self.out.flush()?;
        complain(&render::explanation(error));
        Ok(())
    }

    /// Shows a failure as upstream shows an exception, and sets the exit code (C-234).
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub fn show(&mut self, failure: Failure) -> io::Result<()> {
        self.exit = exit::GENERIC;
        match failure {
            Failure::Call(error) => {
                if matches!(error, CallError::Unauthorized { .. }) {
                    self.out.line(UNAUTHORIZED)?;
                }
                self.out.line(&render::call_error(&error))
            }
            Failure::Unreachable(error) => {
                self.out.line(&render::unreachable(&error))?;
                self.explain(&error)
            }
            Failure::UnknownResult { code, name, text } => self.out.line(&render::error_line(
                "<class 'ValueError'>",
                &format!("Unknown result code {code} for {name}"),
                &text,
            )),
            Failure::NoAnswer => self.out.line(&render::error_line(
                "<class 'EOFError'>",
                "EOF when reading a line",
                "nobody answered the question",
            )),
            Failure::Terminal(error) => Err(error),
        }
    }

    /// Asks a person for user name and password (C-237), and uses them from then on.
    ///
    /// # Errors
    /// [`Failure::NoAnswer`] at the end of the input.
    pub async fn authenticate(&mut self) -> Result<(), Failure> {
        self.out.line(UNAUTHORIZED)?;
        self.out.bytes(b"Username:")?;
        self.out.flush()?;
        let username = self.typed().await?;
        let password = {
            // What is typed is not shown, until this is dropped; from before the question on,
            // because an answer may follow it at once.
            let _hidden = Hidden::new();
            // Where upstream asks: not among what is printed.
            complain("Password:");
            self.typed().await?
        };
        self.out.line("")?;
        self.connector.authenticate(username, password);
        self.disconnect().await;
        Ok(())
    }

    /// A line that a person types; not one for the history of the shell.
    async fn typed(&mut self) -> Result<String, Failure> {
        let line = self.lines.next().await?.ok_or(Failure::NoAnswer)?;
        Ok(String::from_utf8_lossy(&line).into_owned())
    }

    /// Asks a person; whether the answer begins with y or Y (C-275).
    ///
    /// # Errors
    /// [`Failure::NoAnswer`] at the end of the input.
    pub async fn confirm(&mut self, question: &str) -> Result<bool, Failure> {
        let answer = if let Some(editor) = &mut self.editor {
            self.out.flush()?;
            editor.answer(question)?
        } else {
            self.out.bytes(question.as_bytes())?;
            self.out.flush()?;
            self.lines.next().await?.map(|line| String::from_utf8_lossy(&line).into_owned())
        };
        Ok(answer.ok_or(Failure::NoAnswer)?.starts_with(['y', 'Y']))
    }
}

/// Writes to standard error. There is nobody to tell when that fails.
pub fn complain(text: &str) {
    use std::io::Write as _;
    let _ = io::stderr().write_all(text.as_bytes());
}
