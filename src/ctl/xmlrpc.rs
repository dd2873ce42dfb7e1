//! The [`Client`] that speaks XML-RPC, to our daemon and to upstream's.

use std::io;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::stream::{self, LocalBoxStream};
use hyper::{Method, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::bus::{PATIENCE, States, differences};
use super::client::{
    Action, CallError, Changes, Client, ConfigInfo, Log, LogStream, Login, Outcome, ProcessInfo,
    StateChange, Upgrades,
};
use super::http::{self, Server};
use super::tls;
use crate::http::xmlrpc::{Value, decode, encode};
use crate::model::fault::{Fault, FaultKind};
use crate::model::name::ProcessName;
use crate::model::snapshot::Channel;
use crate::model::state::ProcessState;

/// How many calls are under way at the same time; each is a connection.
const AT_ONCE: usize = 32;
/// How often the states of processes are looked at.
const LOOKS: Duration = Duration::from_secs(1);
/// What stands in a path as it is.
const PATH: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b':');

/// A daemon at a `unix://`, `http://` or `https://` URL.
pub struct XmlRpcClient {
    url: String,
    server: Server,
    room: Semaphore,
}

impl XmlRpcClient {
    /// A client of the daemon there.
    #[must_use]
    pub fn new(url: String, server: Server) -> Self {
        Self { url, server, room: Semaphore::new(AT_ONCE) }
    }

    /// Calls a method.
    async fn call(&self, method: &str, arguments: &[Value]) -> Result<Value, CallError> {
        // Never closed.
        let _room = self.room.acquire().await;
        let body = encode::call(method, arguments);
        let answered = self.server.ask(Method::POST, "/RPC2", body).await;
        let answer = answered.map_err(|error| self.broken(&error))?;
        let status = answer.status();
        let body = http::whole(answer.into_body()).await.map_err(|error| self.broken(&error))?;
        let text = String::from_utf8_lossy(&body);
        if status != StatusCode::OK {
            return Err(refused(status, &text));
        }
        let document =
            decode::decode_answer(&text).map_err(|error| misunderstood(&error.to_string()))?;
        if let Some(fault) = document.fault {
            return Err(fault_of(&fault));
        }
        let mut params = document.params.unwrap_or_default();
        if params.len() != 1 {
            return Err(misunderstood("the answer has not one value"));
        }
        Ok(params.remove(0))
    }

    async fn supervisor(&self, method: &str, arguments: &[Value]) -> Result<Value, CallError> {
        self.call(&format!("supervisor.{method}"), arguments).await
    }

    /// A call whose answer is nothing but that it was done.
    async fn done(&self, method: &str, arguments: &[Value]) -> Result<(), CallError> {
        self.supervisor(method, arguments).await.map(drop)
    }

    async fn text(&self, method: &str, arguments: &[Value]) -> Result<String, CallError> {
        match self.supervisor(method, arguments).await? {
            Value::Str(text) => Ok(text),
            other => Err(misunderstood(&format!("{method} gives {}", other.kind()))),
        }
    }

    async fn many(&self, method: &str, arguments: &[Value]) -> Result<Vec<Outcome>, CallError> {
        list(self.supervisor(method, arguments).await?)?.iter().map(outcome).collect()
    }

    fn broken(&self, error: &io::Error) -> CallError {
        use io::ErrorKind as Kind;
        if let Some((class, text, hint)) = tls::failure(error) {
            return CallError::Transport { class, text, hint };
        }
        let (class, text) = match error.kind() {
            Kind::ConnectionRefused => {
                ("<class 'ConnectionRefusedError'>", "[Errno 111] Connection refused".to_owned())
            }
            Kind::NotFound => {
                ("<class 'FileNotFoundError'>", "[Errno 2] No such file or directory".to_owned())
            }
            Kind::ConnectionReset | Kind::BrokenPipe | Kind::UnexpectedEof => (
                "<class 'ConnectionResetError'>",
                "[Errno 104] Connection reset by peer".to_owned(),
            ),
            _ => ("<class 'OSError'>", error.to_string()),
        };
        let hint = format!("while talking to {}", self.url);
        CallError::Transport { class: class.to_owned(), text, hint }
    }
}

/// An answer that is no answer to a call (C-236).
fn refused(status: StatusCode, body: &str) -> CallError {
    let message = body.split("Message: ").nth(1).and_then(|rest| rest.lines().next());
    let message = message.unwrap_or_else(|| plain(body)).trim_end_matches('.');
    let hint = if message.is_empty() { "supervisord refused the request" } else { message };
    let text = http::protocol_error(status);
    if status == StatusCode::UNAUTHORIZED {
        return CallError::Unauthorized { text, hint: hint.to_owned() };
    }
    let class = "<class 'xmlrpc.client.ProtocolError'>".to_owned();
    CallError::Transport { class, text, hint: hint.to_owned() }
}

/// The first line of a body that is no page, and is for a person.
fn plain(body: &str) -> &str {
    let line = body.lines().next().unwrap_or_default();
    if line.contains(['<', '\u{fffd}']) || line.len() > 200 { "" } else { line }
}

fn misunderstood(what: &str) -> CallError {
    CallError::Transport {
        class: "<class 'xmlrpc.client.ResponseError'>".to_owned(),
        text: "ResponseError()".to_owned(),
        hint: format!("what answers speaks no XML-RPC as supervisord does: {what}"),
    }
}

/// A fault as it was before it was made a number and a text (C-286).
fn fault_of(value: &Value) -> CallError {
    let (Some(Value::Int(code)), Some(Value::Str(text))) =
        (value.get("faultCode"), value.get("faultString"))
    else {
        return misunderstood("a fault has neither code nor text");
    };
    let kind = i32::try_from(*code).ok().and_then(FaultKind::from_code);
    let Some(kind) = kind else {
        let class = "<class 'xmlrpc.client.Fault'>".to_owned();
        let text = format!("<Fault {code}: {}>", crate::config::py::repr(text));
        return CallError::Transport { class, text, hint: "the fault is not known".to_owned() };
    };
    let rest = text.strip_prefix(kind.name()).unwrap_or(text);
    CallError::Fault(Fault::new(kind, rest.strip_prefix(": ").unwrap_or(rest)))
}

fn list(value: Value) -> Result<Vec<Value>, CallError> {
    match value {
        Value::Array(values) => Ok(values),
        other => Err(misunderstood(&format!("{} came instead of an array", other.kind()))),
    }
}

fn member<'a>(value: &'a Value, name: &str) -> Result<&'a str, CallError> {
    match value.get(name) {
        Some(Value::Str(text)) => Ok(text),
        _ => Err(misunderstood(&format!("there is no text {name}"))),
    }
}

fn number(value: &Value, name: &str) -> Result<i64, CallError> {
    match value.get(name) {
        Some(Value::Int(number)) => Ok(*number),
        _ => Err(misunderstood(&format!("there is no number {name}"))),
    }
}

fn name_of(value: &Value) -> Result<ProcessName, CallError> {
    Ok(ProcessName::new(member(value, "group")?, member(value, "name")?))
}

fn process_of(value: &Value) -> Result<ProcessInfo, CallError> {
    let state = number(value, "state")?;
    let known = i32::try_from(state).ok().and_then(ProcessState::from_code);
    Ok(ProcessInfo {
        name: name_of(value)?,
        state: known.ok_or_else(|| misunderstood(&format!("state {state} is not known")))?,
        pid: u32::try_from(number(value, "pid")?).unwrap_or_default(),
        description: member(value, "description")?.to_owned(),
    })
}

fn outcome(value: &Value) -> Result<Outcome, CallError> {
    Ok(Outcome {
        name: name_of(value)?,
        code: i32::try_from(number(value, "status")?).unwrap_or_default(),
        text: member(value, "description")?.to_owned(),
    })
}

fn configured(value: &Value) -> Result<ConfigInfo, CallError> {
    let is = |name: &str| value.get(name).is_some_and(Value::is_true);
    Ok(ConfigInfo {
        name: name_of(value)?,
        active: is("inuse"),
        autostart: is("autostart"),
        group_priority: number(value, "group_prio")?,
        process_priority: number(value, "process_prio")?,
    })
}

fn names(value: Option<&Value>) -> Vec<String> {
    let Some(Value::Array(names)) = value else { return Vec::new() };
    let text = |name: &Value| match name {
        Value::Str(text) => Some(text.clone()),
        _ => None,
    };
    names.iter().filter_map(text).collect()
}

fn no_upgrades() -> CallError {
    let why = "upgrades are asked for over D-Bus alone: on the machine of supervisord, without -s";
    CallError::Fault(Fault::new(FaultKind::Failed, why))
}

fn states(processes: Vec<ProcessInfo>) -> States {
    let entry = |process: ProcessInfo| (process.name, (Some(process.state), process.pid));
    processes.into_iter().map(entry).collect()
}

#[async_trait(?Send)]
impl Client for XmlRpcClient {
    fn url(&self) -> &str {
        &self.url
    }

    async fn close(&self) {}

    async fn api_version(&self) -> Result<String, CallError> {
        // By its old name, as upstream's up-check (C-230).
        timeout(PATIENCE, self.text("getVersion", &[])).await.unwrap_or_else(|_| {
            Err(CallError::Transport {
                class: "<class 'TimeoutError'>".to_owned(),
                text: "[Errno 110] Connection timed out".to_owned(),
                hint: "supervisord does not answer; it may be stopped or very busy".to_owned(),
            })
        })
    }

    async fn supervisor_version(&self) -> Result<String, CallError> {
        self.text("getSupervisorVersion", &[]).await
    }

    async fn pid(&self) -> Result<u32, CallError> {
        match self.supervisor("getPID", &[]).await? {
            Value::Int(pid) => Ok(u32::try_from(pid).unwrap_or_default()),
            other => Err(misunderstood(&format!("the pid is {}", other.kind()))),
        }
    }

    async fn processes(&self) -> Result<Vec<ProcessInfo>, CallError> {
        list(self.supervisor("getAllProcessInfo", &[]).await?)?.iter().map(process_of).collect()
    }

    async fn process(&self, name: &str) -> Result<ProcessInfo, CallError> {
        process_of(&self.supervisor("getProcessInfo", &[name.into()]).await?)
    }

    async fn configuration(&self) -> Result<Vec<ConfigInfo>, CallError> {
        list(self.supervisor("getAllConfigInfo", &[]).await?)?.iter().map(configured).collect()
    }

    async fn act_on_process(&self, action: &Action, name: &str) -> Result<(), CallError> {
        match action {
            Action::Start => self.done("startProcess", &[name.into()]).await,
            Action::Stop => self.done("stopProcess", &[name.into()]).await,
            Action::Signal(signal) => {
                self.done("signalProcess", &[name.into(), signal.as_str().into()]).await
            }
        }
    }

    async fn act_on_group(&self, action: &Action, group: &str) -> Result<Vec<Outcome>, CallError> {
        match action {
            Action::Start => self.many("startProcessGroup", &[group.into()]).await,
            Action::Stop => self.many("stopProcessGroup", &[group.into()]).await,
            Action::Signal(signal) => {
                self.many("signalProcessGroup", &[group.into(), signal.as_str().into()]).await
            }
        }
    }

    async fn act_on_all(&self, action: &Action) -> Result<Vec<Outcome>, CallError> {
        match action {
            Action::Start => self.many("startAllProcesses", &[]).await,
            Action::Stop => self.many("stopAllProcesses", &[]).await,
            Action::Signal(signal) => {
                self.many("signalAllProcesses", &[signal.as_str().into()]).await
            }
        }
    }

    async fn send_stdin(&self, name: &str, data: &[u8]) -> Result<(), CallError> {
        let text = String::from_utf8_lossy(data).into_owned();
        self.done("sendProcessStdin", &[name.into(), text.into()]).await
    }

    async fn read_log(&self, log: Log<'_>, offset: i64) -> Result<Vec<u8>, CallError> {
        let (offset, length) = (Value::Int(offset), Value::Int(0));
        let text = match log {
            Log::Main => self.text("readLog", &[offset, length]).await?,
            Log::Process(name, channel) => {
                let method = match channel {
                    Channel::Stdout => "readProcessStdoutLog",
                    Channel::Stderr => "readProcessStderrLog",
                };
                self.text(method, &[name.into(), offset, length]).await?
            }
        };
        Ok(text.into_bytes())
    }

    async fn follow_log(&self, log: Log<'_>) -> Result<LogStream, CallError> {
        let path = match log {
            Log::Main => "/mainlogtail".to_owned(),
            Log::Process(name, channel) => {
                format!("/logtail/{}/{}", utf8_percent_encode(name, PATH), channel.name())
            }
        };
        let answered = self.server.ask(Method::GET, &path, String::new()).await;
        let answer = answered.map_err(|error| self.broken(&error))?;
        let status = answer.status();
        if status == StatusCode::OK {
            return Ok(Box::pin(http::Stream::new(answer.into_body())));
        }
        if status != StatusCode::NOT_FOUND {
            let body = http::whole(answer.into_body()).await.unwrap_or_default();
            return Err(refused(status, &String::from_utf8_lossy(&body)));
        }
        // What is not there: the process, or its log?
        if let Log::Process(name, _) = log {
            self.process(name).await?;
        }
        Err(CallError::Fault(FaultKind::NoFile.into()))
    }

    async fn clear(&self, name: &str) -> Result<(), CallError> {
        self.done("clearProcessLogs", &[name.into()]).await
    }

    async fn clear_all(&self) -> Result<Vec<Outcome>, CallError> {
        self.many("clearAllProcessLogs", &[]).await
    }

    async fn reread(&self) -> Result<Changes, CallError> {
        let answer = list(self.supervisor("reloadConfig", &[]).await?)?;
        let Some(Value::Array(lists)) = answer.first() else {
            return Err(misunderstood("reloadConfig gives no lists"));
        };
        let [added, changed, removed] = [0, 1, 2].map(|at| names(lists.get(at)));
        Ok(Changes { added, changed, removed })
    }

    async fn add_group(&self, name: &str) -> Result<(), CallError> {
        self.done("addProcessGroup", &[name.into()]).await
    }

    async fn remove_group(&self, name: &str) -> Result<(), CallError> {
        self.done("removeProcessGroup", &[name.into()]).await
    }

    async fn update_group(&self, name: &str) -> Result<(), CallError> {
        // The interface has no call for it: as upstream's supervisorctl does it (C-396).
        self.supervisor("stopProcessGroup", &[name.into()]).await?;
        self.remove_group(name).await?;
        self.add_group(name).await
    }

    async fn shutdown(&self) -> Result<(), CallError> {
        self.done("shutdown", &[]).await
    }

    async fn restart(&self) -> Result<(), CallError> {
        self.done("restart", &[]).await
    }

    async fn upgrade(&self) -> Result<(), CallError> {
        Err(no_upgrades())
    }

    async fn upgrades(&self) -> Result<Upgrades, CallError> {
        Err(no_upgrades())
    }

    async fn create_login(&self, _read_only: bool) -> Result<Login, CallError> {
        let why = "links are made over D-Bus alone: on the machine of supervisord, without -s";
        Err(CallError::Fault(Fault::new(FaultKind::Failed, why)))
    }

    /// XML-RPC tells nothing by itself: what changes is seen by looking.
    async fn state_changes(&self) -> Result<LocalBoxStream<'static, StateChange>, CallError> {
        let client = Self::new(self.url.clone(), self.server.clone());
        let before = states(client.processes().await?);
        let seen = stream::unfold((client, before), async |(client, mut before)| {
            sleep(LOOKS).await;
            let after = states(client.processes().await.ok()?);
            let changes = differences(&before, &after);
            before = after;
            Some((stream::iter(changes), (client, before)))
        });
        Ok(seen.flatten().boxed_local())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_what_they_were() {
        // C-286
        let sent = |code: i64, text: &str| {
            fault_of(&Value::of([("faultCode", code.into()), ("faultString", text.into())]))
        };
        let fault = |kind, detail: &str| CallError::Fault(Fault::new(kind, detail));
        assert_eq!(sent(10, "BAD_NAME: a: b"), fault(FaultKind::BadName, "a: b"));
        assert_eq!(sent(6, "SHUTDOWN_STATE"), fault(FaultKind::ShutdownState, ""));
        let CallError::Transport { text, .. } = sent(77, "it's") else { panic!("it is not known") };
        assert_eq!(text, "<Fault 77: \"it's\">");
        assert!(matches!(fault_of(&Value::Int(1)), CallError::Transport { .. }));
    }

    #[test]
    fn a_refusal_says_what_the_server_says() {
        // C-236
        let body = "<p>Error code 401.\n<p>Message: Use: sudo supervisorctl.\n";
        let CallError::Unauthorized { text, hint } = refused(StatusCode::UNAUTHORIZED, body) else {
            panic!("it is unauthorized")
        };
        assert_eq!(text, "<ProtocolError for 127.0.0.1/RPC2: 401 Unauthorized>");
        assert_eq!(hint, "Use: sudo supervisorctl");
    }

    #[test]
    fn names_are_safe_in_paths() {
        assert_eq!(utf8_percent_encode("g:a b/é?", PATH).to_string(), "g:a%20b%2F%C3%A9%3F");
    }
}
