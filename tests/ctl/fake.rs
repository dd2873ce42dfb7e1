//! A daemon made of a script: the D-Bus contract on a socket, answers as each test wants them.

use std::collections::{HashMap, VecDeque};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use futures_util::StreamExt as _;
use supervisor::dbus::types::{
    Bytes, ConfigurationRow, ERROR_PREFIX, MANAGER, MANAGER_PATH, ProcessRow, ResultRow,
};
use supervisor::model::state::ProcessState;
use tokio::sync::Notify;
use zbus::message::{Message, Type};
use zbus::{Connection, OwnedFd, OwnedObjectPath, OwnedVariant, Variant};

use crate::run::{Run, supervisorctl};

/// Results as scripts write them: group, name, code, text.
pub type Results = Vec<(&'static str, &'static str, i32, &'static str)>;

/// What a call is answered with.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Nothing but success.
    Done,
    /// A fault of the contract: the last part of its name, and its text.
    Fault(&'static str, &'static str),
    /// Any other error: its full name, and its text.
    Error(&'static str, &'static str),
    /// What became of several processes.
    Results(Results),
    /// The same, once this many calls of the method were made.
    Gate(usize, Results),
    /// Nothing but success, once this many calls of the method were made.
    Meeting(usize),
    /// A log.
    Bytes(&'static [u8]),
    /// Added, changed, removed.
    Changes(Vec<&'static str>, Vec<&'static str>, Vec<&'static str>),
    /// A pipe with these bytes; it stays open when asked to.
    Pipe(&'static [u8], bool),
    /// The connection is closed.
    HangUp,
}

#[derive(Default)]
struct State {
    processes: Vec<ProcessRow>,
    configuration: Vec<ConfigurationRow>,
    script: HashMap<String, VecDeque<Reply>>,
    calls: Vec<String>,
    properties: Vec<(&'static str, OwnedVariant)>,
    subscribers: Vec<Connection>,
    pipes: Vec<std::fs::File>,
}

struct Shared {
    state: Mutex<State>,
    called: Notify,
    over: Notify,
}

impl Shared {
    /// Waits until a method was called so many times.
    async fn wait_for_calls(&self, method: &str, count: usize) {
        loop {
            let next = self.called.notified();
            tokio::pin!(next);
            next.as_mut().enable();
            let calls = self.state.lock().unwrap().calls.clone();
            if calls.iter().filter(|call| call.starts_with(method)).count() >= count {
                return;
            }
            next.await;
        }
    }
}

/// A fake daemon with its scratch directory and configuration file.
pub struct Fake {
    directory: tempfile::TempDir,
    shared: Arc<Shared>,
    runtime: tokio::runtime::Handle,
    thread: Option<JoinHandle<()>>,
}

impl Fake {
    /// A daemon without processes on `s.bus` beside `s.pid`.
    pub fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let config = format!(
            "[supervisord]\npidfile={0}/s.pid\n[supervisorctl]\nserverurl=unix://{0}/s.sock\n\
             prompt=fake\nhistory_file={0}/history\n",
            path.display()
        );
        std::fs::write(path.join("s.conf"), config).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let handle = runtime.handle().clone();
        let state = State {
            properties: vec![
                ("Version", own("5.0.0")),
                ("ApiVersion", own("3.0")),
                ("Identification", own("supervisor")),
                ("Pid", own(4711_u32)),
                ("ConfigurationFile", own(path.join("s.conf").display().to_string())),
                ("State", own("RUNNING")),
                ("StateCode", own(1_i32)),
            ],
            ..State::default()
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            called: Notify::new(),
            over: Notify::new(),
        });
        let listener = {
            let _guard = runtime.enter();
            tokio::net::UnixListener::bind(path.join("s.bus")).unwrap()
        };
        let served = shared.clone();
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = served.over.notified() => {}
                    () = serve(&served, listener) => {}
                }
            });
        });
        Self { directory, shared, runtime: handle, thread: Some(thread) }
    }

    /// The scratch directory.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The configuration file.
    pub fn config(&self) -> PathBuf {
        self.path().join("s.conf")
    }

    /// Adds a process; those that run have the pids 100, 101 and so on.
    pub fn process(self, group: &str, name: &str, state: ProcessState, description: &str) -> Self {
        self.change(|all| {
            let pid = 100 + u32::try_from(all.processes.len()).unwrap();
            all.processes.push(ProcessRow {
                group: group.into(),
                name: name.into(),
                state: state.code(),
                description: description.into(),
                pid: if state.is_running() { pid } else { 0 },
                start: 0,
                stop: 0,
                exit_status: 0,
                spawn_error: String::new(),
                path: OwnedObjectPath::try_from("/x").unwrap(),
            });
        });
        self
    }

    /// Adds a process to the configuration.
    pub fn configured(self, group: &str, name: &str, active: bool, autostart: bool) -> Self {
        self.change(|all| {
            all.configuration.push(ConfigurationRow {
                group: group.into(),
                name: name.into(),
                active,
                autostart,
                group_priority: 999,
                process_priority: -1,
            });
        });
        self
    }

    /// Answers this call so: `"StartProcess web"`, or a method whatever its arguments. Several
    /// answers to the same call are given in order, the last one again and again.
    pub fn on(self, call: &str, reply: Reply) -> Self {
        self.change(|all| all.script.entry(call.into()).or_default().push_back(reply));
        self
    }

    /// Sets a property of the manager.
    pub fn property(self, name: &'static str, value: impl Into<Variant<'static>>) -> Self {
        self.change(|all| {
            all.properties.retain(|(known, _)| *known != name);
            all.properties.push((name, own(value)));
        });
        self
    }

    fn change(&self, with: impl FnOnce(&mut State)) {
        with(&mut self.shared.state.lock().unwrap());
    }

    /// The calls so far, without those that read properties.
    pub fn calls(&self) -> Vec<String> {
        self.shared.state.lock().unwrap().calls.clone()
    }

    /// Waits until a call was made.
    pub fn wait_for(&self, call: &str) {
        let seen = async {
            loop {
                let next = self.shared.called.notified();
                tokio::pin!(next);
                next.as_mut().enable();
                if self.calls().iter().any(|made| made == call) {
                    return;
                }
                next.await;
            }
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime
            .block_on(async { tokio::time::timeout(crate::run::LIMIT, seen).await })
            .unwrap_or_else(|_| panic!("no {call} among {:?}", self.calls()));
    }

    /// Tells all subscribers that a process went to another state.
    pub fn emit(&self, group: &str, name: &str, from: &str, to: &str) {
        let subscribers = self.shared.state.lock().unwrap().subscribers.clone();
        let path = zbus::ObjectPath::try_from("/x").unwrap();
        let body = (group.to_owned(), name.to_owned(), from.to_owned(), to.to_owned(), 7_u32, path);
        for connection in subscribers {
            let body = body.clone();
            self.runtime.spawn(async move {
                let signal = "ProcessStateChanged";
                connection.emit_signal(None::<&str>, MANAGER_PATH, MANAGER, signal, &body).await
            });
        }
    }

    /// Writes into the pipes that were handed out and stay open.
    pub fn write_logs(&self, bytes: &[u8]) {
        self.change(|all| {
            for pipe in &mut all.pipes {
                pipe.write_all(bytes).unwrap();
            }
        });
    }

    /// Runs supervisorctl against this daemon.
    pub fn ctl(&self, args: &[&str]) -> Run {
        supervisorctl(&self.with_config(args)).run(b"")
    }

    /// The arguments behind `-c` and our configuration file.
    pub fn with_config(&self, args: &[&str]) -> Vec<String> {
        let config = self.config().display().to_string();
        ["-c", &config].iter().chain(args).map(|&arg| arg.to_owned()).collect()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.shared.over.notify_one();
        if let Some(thread) = self.thread.take() {
            // A panic of the fake has been printed; panicking here would hide the test's own.
            let _ = thread.join();
        }
    }
}

fn own(value: impl Into<Variant<'static>>) -> OwnedVariant {
    OwnedVariant::try_from(value.into()).unwrap()
}

async fn serve(shared: &Arc<Shared>, listener: tokio::net::UnixListener) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let shared = shared.clone();
        tokio::spawn(async move {
            let built = zbus::connection::Builder::unix_stream(stream.into_std().unwrap())
                .server(zbus::Guid::generate())
                .p2p()
                .build_message_stream()
                .await;
            // A client that only looked whether somebody listens.
            let Ok(mut messages) = built else { return };
            let connection = Connection::from(&messages);
            while let Some(Ok(message)) = messages.next().await {
                if message.message_type() == Type::MethodCall {
                    tokio::spawn(answer(shared.clone(), connection.clone(), message));
                }
            }
        });
    }
}

/// A call as scripts name it: the method, then its text and number arguments.
fn words_of(message: &Message, method: &str) -> String {
    type Options = HashMap<String, OwnedVariant>;
    let body = message.body();
    let words: Vec<String> = match body.signature().to_string_no_parens().as_str() {
        "s" => vec![body.deserialize().unwrap()],
        "sa{sv}" => vec![body.deserialize::<(String, Options)>().unwrap().0],
        "ss" => body.deserialize::<(String, String)>().map(|(a, b)| vec![a, b]).unwrap(),
        "ssa{sv}" => {
            body.deserialize::<(String, String, Options)>().map(|(a, b, _)| vec![a, b]).unwrap()
        }
        "say" => {
            let (name, data): (String, Bytes) = body.deserialize().unwrap();
            vec![name, String::from_utf8(data.0).unwrap()]
        }
        "ssxx" => {
            let (name, channel, offset, length): (String, String, i64, i64) =
                body.deserialize().unwrap();
            vec![name, channel, offset.to_string(), length.to_string()]
        }
        "xx" => {
            let (offset, length): (i64, i64) = body.deserialize().unwrap();
            vec![offset.to_string(), length.to_string()]
        }
        _ => Vec::new(),
    };
    std::iter::once(method.to_owned()).chain(words).collect::<Vec<_>>().join(" ")
}

async fn answer(shared: Arc<Shared>, connection: Connection, message: Message) {
    let header = message.header();
    let method = header.member().unwrap().as_str().to_owned();
    if method == "GetAll" {
        let properties: HashMap<String, OwnedVariant> = {
            let state = shared.state.lock().unwrap();
            let copy = |(name, value): &(&str, OwnedVariant)| {
                ((*name).to_owned(), value.try_clone().unwrap())
            };
            state.properties.iter().map(copy).collect()
        };
        connection.reply(&header, &properties).await.unwrap();
        return;
    }
    let call = words_of(&message, &method);
    let scripted = {
        let mut state = shared.state.lock().unwrap();
        state.calls.push(call.clone());
        let key = if state.script.contains_key(&call) { &call } else { &method };
        state.script.get_mut(key).and_then(|replies| match replies.len() {
            0 | 1 => replies.front().cloned(),
            _ => replies.pop_front(),
        })
    };
    if method == "Subscribe" {
        shared.state.lock().unwrap().subscribers.push(connection.clone());
    }
    shared.called.notify_waiters();
    let reply = match scripted {
        Some(reply) => Some(reply),
        None => from_tables(&shared, &connection, &message, &call).await,
    };
    if let Some(reply) = reply {
        carry_out(&shared, connection, &message, &method, reply).await;
    }
}

/// The answers that need no script; none when it was given.
async fn from_tables(
    shared: &Shared,
    connection: &Connection,
    message: &Message,
    call: &str,
) -> Option<Reply> {
    let header = message.header();
    let (processes, configuration) = {
        let state = shared.state.lock().unwrap();
        (state.processes.clone(), state.configuration.clone())
    };
    match call.split_once(' ').unwrap_or((call, "")) {
        ("ListProcesses", _) => connection.reply(&header, &processes).await.unwrap(),
        ("ListConfiguration", _) => connection.reply(&header, &configuration).await.unwrap(),
        ("GetProcessInfo", name) => {
            let (group, name) = name.split_once(':').unwrap_or((name, name));
            match processes.iter().find(|row| row.group == group && row.name == name) {
                Some(row) => connection.reply(&header, &(row,)).await.unwrap(),
                None => return Some(Reply::Fault("BadName", "")),
            }
        }
        ("Reread", _) => return Some(Reply::Changes(vec![], vec![], vec![])),
        _ => return Some(Reply::Done),
    }
    None
}

async fn carry_out(
    shared: &Shared,
    connection: Connection,
    message: &Message,
    method: &str,
    reply: Reply,
) {
    let header = message.header();
    match reply {
        Reply::Done => connection.reply(&header, &()).await.unwrap(),
        Reply::Fault(name, text) => {
            let name = format!("{ERROR_PREFIX}{name}");
            connection.reply_error(&header, name, &text).await.unwrap();
        }
        Reply::Error(name, text) => connection.reply_error(&header, name, &text).await.unwrap(),
        Reply::Results(results) => connection.reply(&header, &rows(results)).await.unwrap(),
        Reply::Gate(count, results) => {
            shared.wait_for_calls(method, count).await;
            connection.reply(&header, &rows(results)).await.unwrap();
        }
        Reply::Meeting(count) => {
            shared.wait_for_calls(method, count).await;
            connection.reply(&header, &()).await.unwrap();
        }
        Reply::Bytes(bytes) => connection.reply(&header, &Bytes(bytes.to_vec())).await.unwrap(),
        Reply::Changes(added, changed, removed) => {
            connection.reply(&header, &(added, changed, removed)).await.unwrap();
        }
        Reply::Pipe(bytes, open) => {
            let (read, write) = nix::unistd::pipe().unwrap();
            let mut write = std::fs::File::from(write);
            write.write_all(bytes).unwrap();
            if open {
                shared.state.lock().unwrap().pipes.push(write);
            }
            connection.reply(&header, &OwnedFd::from(read)).await.unwrap();
        }
        Reply::HangUp => connection.close().await.unwrap(),
    }
}

fn rows(results: Results) -> Vec<ResultRow> {
    let row = |(group, name, code, text): (&str, &str, i32, &str)| ResultRow {
        group: group.into(),
        name: name.into(),
        code,
        text: text.into(),
    };
    results.into_iter().map(row).collect()
}
