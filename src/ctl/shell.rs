//! The interactive shell (C-273 to C-277).

use std::cell::RefCell;
use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::rc::Rc;

use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::{History as _, MemHistory, SearchDirection};
use rustyline::validate::Validator;
use rustyline::{CompletionType, Config, Context, Helper};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use super::client::ProcessInfo;
use super::commands::{Flow, execute};
use super::complete::complete;
use super::discover::Connector;
use super::session::Session;

/// Lines that are kept in the history.
const HISTORY_LINES: usize = 10_000;

/// Runs the shell until its end. The exit code is always 0 (C-275).
///
/// # Errors
/// When standard input or output fails.
pub fn run(
    runtime: &Rc<Runtime>,
    session: &mut Session,
    connector: &Rc<Connector>,
) -> io::Result<()> {
    let settings = connector.settings();
    let prompt = format!("{}> ", settings.prompt);
    // From here on Ctrl-C is ours, also between two commands.
    let _interrupts = {
        let _guard = runtime.enter();
        signal(SignalKind::interrupt())?
    };
    if io::stdin().is_terminal() && io::stdout().is_terminal() {
        let source = names_of(runtime.clone(), connector.clone());
        session.editor = Some(Editor::new(source, settings.history_file.clone())?);
    }
    let outcome = converse(runtime, session, &prompt);
    if let Some(editor) = &session.editor {
        editor.save_history();
    }
    match outcome {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => {
            session.out.line("")?;
            session.out.flush()
        }
        other => other,
    }
}

/// Runs command after command; Ctrl-C is the error `Interrupted`.
fn converse(runtime: &Runtime, session: &mut Session, prompt: &str) -> io::Result<()> {
    let mut line = "status".to_owned();
    loop {
        if runtime.block_on(interruptible(session, &line))? == Flow::Quit {
            return Ok(());
        }
        let next = match &mut session.editor {
            Some(editor) => editor.line(prompt)?,
            None => runtime.block_on(plain_line(session, prompt))?,
        };
        line = next.unwrap_or_else(|| "EOF".to_owned());
    }
}

/// A command, which Ctrl-C ends unless it handles that itself. The connection is closed after
/// it.
async fn interruptible(session: &mut Session, line: &str) -> io::Result<Flow> {
    let interrupt = session.unclaimed_interrupt();
    let flow = tokio::select! {
        biased;
        flow = execute(session, line) => flow?,
        () = interrupt => return Err(io::ErrorKind::Interrupted.into()),
    };
    session.disconnect().await;
    Ok(flow)
}

/// A line where there is no terminal: the prompt is written all the same, as upstream does.
async fn plain_line(session: &mut Session, prompt: &str) -> io::Result<Option<String>> {
    session.out.bytes(prompt.as_bytes())?;
    session.out.flush()?;
    tokio::select! {
        line = session.lines.next() => {
            Ok(line?.map(|line| String::from_utf8_lossy(&line).into_owned()))
        }
        _ = tokio::signal::ctrl_c() => Err(io::ErrorKind::Interrupted.into()),
    }
}

/// Asks the daemon for its processes, for completion; nothing when there is none.
fn names_of(runtime: Rc<Runtime>, connector: Rc<Connector>) -> Source {
    Box::new(move || {
        runtime.block_on(async {
            match connector.connect().await {
                Ok(client) => client.processes().await.unwrap_or_default(),
                Err(_) => Vec::new(),
            }
        })
    })
}

type Source = Box<dyn Fn() -> Vec<ProcessInfo>>;

/// The line editor on a terminal.
pub struct Editor {
    editor: rustyline::Editor<Names, MemHistory>,
    history_file: Option<PathBuf>,
}

impl Editor {
    fn new(source: Source, history_file: Option<PathBuf>) -> io::Result<Self> {
        let config = Config::builder()
            .completion_type(CompletionType::List)
            .max_history_size(HISTORY_LINES)
            .map_err(to_io)?
            .auto_add_history(true)
            .build();
        let history = MemHistory::with_config(&config);
        let mut editor = rustyline::Editor::with_history(config, history).map_err(to_io)?;
        // The file is plain lines, as upstream's; errors with it are ignored (C-277).
        let text = history_file.as_ref().and_then(|path| std::fs::read(path).ok());
        for line in String::from_utf8_lossy(&text.unwrap_or_default()).lines() {
            let _ = editor.add_history_entry(line);
        }
        editor.set_helper(Some(Names { source, known: RefCell::default() }));
        Ok(Self { editor, history_file })
    }

    /// A line with completion; none at the end of the input.
    fn line(&mut self, prompt: &str) -> io::Result<Option<String>> {
        if let Some(names) = self.editor.helper_mut() {
            names.known.replace(Known::Unasked);
        }
        self.answer(prompt)
    }

    /// A line; none at the end of the input. `Interrupted` is Ctrl-C.
    ///
    /// # Errors
    /// When the terminal fails.
    pub fn answer(&mut self, prompt: &str) -> io::Result<Option<String>> {
        let read = self.editor.readline(prompt);
        if let Some(names) = self.editor.helper_mut() {
            names.known.replace(Known::Never);
        }
        match read {
            Ok(line) => Ok(Some(line)),
            Err(ReadlineError::Eof) => Ok(None),
            Err(error) => Err(to_io(error)),
        }
    }

    fn save_history(&self) {
        let Some(path) = &self.history_file else { return };
        let mut text = String::new();
        let history = self.editor.history();
        for index in 0..history.len() {
            if let Ok(Some(found)) = history.get(index, SearchDirection::Forward) {
                text.push_str(&found.entry);
                text.push('\n');
            }
        }
        let _ = std::fs::write(path, text);
    }
}

fn to_io(error: ReadlineError) -> io::Error {
    match error {
        ReadlineError::Io(error) => error,
        ReadlineError::Interrupted => io::ErrorKind::Interrupted.into(),
        ReadlineError::Eof => io::ErrorKind::UnexpectedEof.into(),
        other => io::Error::other(other.to_string()),
    }
}

/// What completion knows of the processes. It asks once for each line.
#[derive(Default)]
enum Known {
    /// Not at the prompt: a question is open, and a command under way that holds the runtime.
    #[default]
    Never,
    Unasked,
    Processes(Vec<ProcessInfo>),
}

struct Names {
    source: Source,
    known: RefCell<Known>,
}

impl Helper for Names {}
impl Highlighter for Names {}
impl Validator for Names {}
impl Hinter for Names {
    type Hint = String;
}

impl Completer for Names {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        pos: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let mut known = self.known.borrow_mut();
        if matches!(*known, Known::Never) {
            return Ok((pos, Vec::new()));
        }
        Ok(complete(line, pos, || {
            if let Known::Processes(processes) = &*known {
                return processes.clone();
            }
            let processes = (self.source)();
            *known = Known::Processes(processes.clone());
            processes
        }))
    }
}
