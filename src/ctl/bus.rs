//! The [`Client`] that speaks D-Bus.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::{self, LocalBoxStream};
use zbus::{MatchRule, MessageStream, fdo};

use super::client::{
    Action, CallError, Changes, Client, ConfigInfo, Log, LogStream, Outcome, ProcessInfo,
    StateChange,
};
use crate::dbus::proxy::{ManagerProxy, Options, ProcessStateChanged};
use crate::dbus::types::{Bytes, ConfigurationRow, ERROR_PREFIX, MANAGER, ProcessRow, ResultRow};
use crate::model::fault::{Fault, FaultKind};
use crate::model::name::ProcessName;
use crate::model::state::{DaemonState, ProcessState};

/// How long a daemon may take to say who it is. Beyond that it hangs, and so would we.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A connection to a daemon over D-Bus.
pub struct BusClient {
    url: String,
    manager: ManagerProxy<'static>,
    facts: RefCell<Option<Facts>>,
}

/// The properties of the manager object.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    version: String,
    api_version: String,
    pid: u32,
    state_code: i32,
    /// The configuration file of the daemon, absolute.
    pub configuration_file: String,
}

impl BusClient {
    /// A client over a connected proxy; `url` is what messages call the place.
    #[must_use]
    pub fn new(url: String, manager: ManagerProxy<'static>) -> Self {
        Self { url, manager, facts: RefCell::new(None) }
    }

    /// Reads the properties of the daemon, all in one call.
    ///
    /// # Errors
    /// When the daemon does not answer, or not in time.
    pub async fn facts(&self) -> Result<Facts, CallError> {
        let proxy = self.manager.inner();
        let properties = fdo::PropertiesProxy::builder(proxy.connection())
            .cache_properties(zbus::proxy::CacheProperties::No)
            .destination(proxy.destination().to_owned())
            .path(proxy.path().to_owned())
            .build()
            .await
            .map_err(|error| self.failure(error))?;
        let interface = zbus::names::InterfaceName::from_static_str_unchecked(MANAGER);
        let asked = tokio::time::timeout(PATIENCE, properties.get_all(interface)).await;
        let values = asked
            .map_err(|_| timed_out())?
            .map_err(|error| self.failure(zbus::Error::from(error)))?;
        let text = |key: &str| {
            values
                .get(key)
                .and_then(|value| value.try_clone().ok())
                .and_then(|value| String::try_from(value).ok())
                .unwrap_or_default()
        };
        let facts = Facts {
            version: text("Version"),
            api_version: text("ApiVersion"),
            pid: values.get("Pid").and_then(|v| u32::try_from(v).ok()).unwrap_or_default(),
            state_code: values.get("StateCode").and_then(|v| i32::try_from(v).ok()).unwrap_or(1),
            configuration_file: text("ConfigurationFile"),
        };
        self.facts.replace(Some(facts.clone()));
        Ok(facts)
    }

    async fn known_facts(&self) -> Result<Facts, CallError> {
        let known = self.facts.borrow().clone();
        match known {
            Some(facts) => Ok(facts),
            None => self.facts().await,
        }
    }

    /// Fails while the daemon stops, where the bus would answer and upstream does not.
    async fn refuse_in_shutdown(&self) -> Result<Facts, CallError> {
        let facts = self.facts().await?;
        if facts.state_code < DaemonState::Running.code() {
            return Err(CallError::Fault(FaultKind::ShutdownState.into()));
        }
        Ok(facts)
    }

    fn failure(&self, error: zbus::Error) -> CallError {
        call_error(error, &self.url)
    }

    /// The signals of the manager. Not those of its proxy: that one asks a broker who owns the
    /// name, and there may be none.
    async fn signals(&self) -> zbus::Result<MessageStream> {
        let proxy = self.manager.inner();
        let mut rule = MatchRule::builder()
            .msg_type(zbus::message::Type::Signal)
            .path(proxy.path().to_owned())
            .interface(MANAGER)
            .member("ProcessStateChanged");
        if proxy.connection().is_bus() {
            rule = rule.sender(proxy.destination().to_owned());
        }
        MessageStream::for_match_rule(rule.build()?, proxy.connection(), None).await
    }

    async fn ask<T>(&self, call: impl Future<Output = zbus::Result<T>>) -> Result<T, CallError> {
        call.await.map_err(|error| self.failure(error))
    }
}

/// What a failure of zbus means to a person; `url` is where it happened.
#[must_use]
pub fn call_error(error: zbus::Error, url: &str) -> CallError {
    let (class, text, hint) = match error {
        zbus::Error::MethodError(name, text, _) => {
            let text = text.unwrap_or_default();
            let kind = name.strip_prefix(ERROR_PREFIX).and_then(|last| {
                FaultKind::ALL.iter().copied().find(|kind| kind.bus_name() == last)
            });
            match kind {
                Some(kind) => return CallError::Fault(Fault::new(kind, text)),
                None => (name.to_string(), text, format!("{url} answered with an error")),
            }
        }
        zbus::Error::FDO(error) => match *error {
            fdo::Error::UnknownMethod(text)
            | fdo::Error::UnknownInterface(text)
            | fdo::Error::UnknownObject(text) => {
                return CallError::Fault(Fault::new(FaultKind::UnknownMethod, text));
            }
            fdo::Error::AccessDenied(text) | fdo::Error::InteractiveAuthorizationRequired(text) => {
                return CallError::Denied(text);
            }
            fdo::Error::NoReply(_)
            | fdo::Error::ServiceUnknown(_)
            | fdo::Error::Disconnected(_) => {
                return broken(url);
            }
            other => {
                let name = zbus::DBusError::name(&other).to_string();
                let text = zbus::DBusError::description(&other).unwrap_or_default().to_owned();
                (name, text, format!("{url} answered with an error"))
            }
        },
        zbus::Error::InputOutput(error) if is_hang_up(&error) => return broken(url),
        zbus::Error::InputOutput(error) => {
            ("<class 'OSError'>".into(), error.to_string(), format!("while talking to {url}"))
        }
        other => ("<class 'OSError'>".into(), other.to_string(), format!("while talking to {url}")),
    };
    CallError::Transport { class, text, hint }
}

fn is_hang_up(error: &std::io::Error) -> bool {
    use std::io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::BrokenPipe | Kind::ConnectionReset | Kind::UnexpectedEof | Kind::NotConnected
    )
}

fn broken(url: &str) -> CallError {
    CallError::Transport {
        class: "<class 'ConnectionResetError'>".into(),
        text: "[Errno 104] Connection reset by peer".into(),
        hint: format!("supervisord closed the connection at {url} before it answered"),
    }
}

fn timed_out() -> CallError {
    CallError::Transport {
        class: "<class 'TimeoutError'>".into(),
        text: "[Errno 110] Connection timed out".into(),
        hint: "supervisord does not answer; it may be stopped or very busy".into(),
    }
}

fn state_change(message: zbus::Message) -> Option<StateChange> {
    let signal = ProcessStateChanged::from_message(message)?;
    let args = signal.args().ok()?;
    Some(StateChange {
        name: ProcessName::new(args.group, args.name),
        to: ProcessState::ALL.into_iter().find(|state| state.name() == args.to),
    })
}

fn options() -> Options<'static> {
    Options::new()
}

#[async_trait(?Send)]
impl Client for BusClient {
    fn url(&self) -> &str {
        &self.url
    }

    async fn close(&self) {
        // Whether the other side heard of it does not matter.
        let _ = self.manager.inner().connection().clone().close().await;
    }

    async fn api_version(&self) -> Result<String, CallError> {
        Ok(self.refuse_in_shutdown().await?.api_version)
    }

    async fn supervisor_version(&self) -> Result<String, CallError> {
        Ok(self.known_facts().await?.version)
    }

    async fn pid(&self) -> Result<u32, CallError> {
        Ok(self.known_facts().await?.pid)
    }

    async fn processes(&self) -> Result<Vec<ProcessInfo>, CallError> {
        let rows = self.ask(self.manager.list_processes()).await?;
        Ok(rows.into_iter().map(ProcessInfo::from).collect())
    }

    async fn process(&self, name: &str) -> Result<ProcessInfo, CallError> {
        self.ask(self.manager.get_process_info(name)).await.map(ProcessInfo::from)
    }

    async fn configuration(&self) -> Result<Vec<ConfigInfo>, CallError> {
        self.refuse_in_shutdown().await?;
        let rows = self.ask(self.manager.list_configuration()).await?;
        Ok(rows.into_iter().map(ConfigInfo::from).collect())
    }

    async fn act_on_process(&self, action: &Action, name: &str) -> Result<(), CallError> {
        match action {
            Action::Start => self.ask(self.manager.start_process(name, options())).await,
            Action::Stop => self.ask(self.manager.stop_process(name, options())).await,
            Action::Signal(signal) => self.ask(self.manager.signal_process(name, signal)).await,
        }
    }

    async fn act_on_group(&self, action: &Action, group: &str) -> Result<Vec<Outcome>, CallError> {
        let rows = match action {
            Action::Start => self.ask(self.manager.start_group(group, options())).await,
            Action::Stop => self.ask(self.manager.stop_group(group, options())).await,
            Action::Signal(signal) => self.ask(self.manager.signal_group(group, signal)).await,
        };
        Ok(rows?.into_iter().map(Outcome::from).collect())
    }

    async fn act_on_all(&self, action: &Action) -> Result<Vec<Outcome>, CallError> {
        let rows = match action {
            Action::Start => self.ask(self.manager.start_all(options())).await,
            Action::Stop => self.ask(self.manager.stop_all(options())).await,
            Action::Signal(signal) => self.ask(self.manager.signal_all(signal)).await,
        };
        Ok(rows?.into_iter().map(Outcome::from).collect())
    }

    async fn send_stdin(&self, name: &str, data: &[u8]) -> Result<(), CallError> {
        let data = Bytes(data.to_vec());
        self.ask(self.manager.send_process_stdin(name, &data)).await
    }

    async fn read_log(&self, log: Log<'_>, offset: i64) -> Result<Vec<u8>, CallError> {
        let bytes = match log {
            Log::Main => self.ask(self.manager.read_log(offset, 0)).await,
            Log::Process(name, channel) => {
                self.ask(self.manager.read_process_log(name, channel.name(), offset, 0)).await
            }
        };
        Ok(bytes?.0)
    }

    async fn follow_log(&self, log: Log<'_>) -> Result<LogStream, CallError> {
        let pipe = match log {
            Log::Main => self.ask(self.manager.follow_log(options())).await,
            Log::Process(name, channel) => {
                self.ask(self.manager.follow_process_log(name, channel.name(), options())).await
            }
        };
        let pipe = tokio::net::unix::pipe::Receiver::from_owned_fd(pipe?.into())
            .map_err(|error| self.failure(error.into()))?;
        Ok(Pin::from(Box::new(pipe)))
    }

    async fn clear(&self, name: &str) -> Result<(), CallError> {
        self.ask(self.manager.clear_process_logs(name)).await
    }

    async fn clear_all(&self) -> Result<Vec<Outcome>, CallError> {
        let rows = self.ask(self.manager.clear_all_process_logs()).await?;
        Ok(rows.into_iter().map(Outcome::from).collect())
    }

    async fn reread(&self) -> Result<Changes, CallError> {
        let (added, changed, removed) = self.ask(self.manager.reread()).await?;
        Ok(Changes { added, changed, removed })
    }

    async fn add_group(&self, name: &str) -> Result<(), CallError> {
        self.ask(self.manager.add_group(name)).await
    }

    async fn remove_group(&self, name: &str) -> Result<(), CallError> {
        self.ask(self.manager.remove_group(name)).await
    }

    async fn update_group(&self, name: &str) -> Result<(), CallError> {
        self.ask(self.manager.update_group(name)).await
    }

    async fn shutdown(&self) -> Result<(), CallError> {
        self.ask(self.manager.shutdown()).await
    }

    async fn restart(&self) -> Result<(), CallError> {
        self.ask(self.manager.restart()).await
    }

    async fn state_changes(&self) -> Result<LocalBoxStream<'static, StateChange>, CallError> {
        let mut signals = self.ask(self.signals()).await?;
        self.ask(self.manager.subscribe()).await?;
        // Taken in as they come: a full queue of signals would hold up the answers behind them.
        let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(Ok(message)) = signals.next().await {
                if let Some(change) = state_change(message)
                    && sender.send(change).is_err()
                {
                    return;
                }
            }
        });
        let changes = stream::unfold(receiver, async |mut receiver| {
            receiver.recv().await.map(|change| (change, receiver))
        });
        Ok(changes.boxed_local())
    }
}

impl From<ProcessRow> for ProcessInfo {
    fn from(row: ProcessRow) -> Self {
        Self {
            name: ProcessName::new(row.group, row.name),
            state: ProcessState::from_code(row.state).unwrap_or(ProcessState::Unknown),
            pid: row.pid,
            description: row.description,
        }
    }
}

impl From<ConfigurationRow> for ConfigInfo {
    fn from(row: ConfigurationRow) -> Self {
        Self {
            name: ProcessName::new(row.group, row.name),
            active: row.active,
            autostart: row.autostart,
            group_priority: row.group_priority,
            process_priority: row.process_priority,
        }
    }
}

impl From<ResultRow> for Outcome {
    fn from(row: ResultRow) -> Self {
        Self { name: ProcessName::new(row.group, row.name), code: row.code, text: row.text }
    }
}
