//! The [`Client`] that speaks D-Bus.

mod changes;
mod failure;

use std::cell::RefCell;
use std::collections::HashMap;
use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::LocalBoxStream;
use serde::Serialize;
use zbus::proxy::{CacheProperties, MethodFlags};
use zbus::wire::DynamicDeserialize;
use zbus::{DynamicType, OwnedFd, OwnedVariant};

pub(super) use changes::{States, differences};
pub use failure::call_error;
use failure::timed_out;

use super::client::{
    Action, CallError, Changes, Client, ConfigInfo, Log, LogStream, Login, Outcome, ProcessInfo,
    StateChange, Upgrades,
};
use crate::dbus::proxy::{ManagerProxy, Options};
use crate::dbus::types::{Bytes, ConfigurationRow, MANAGER, ProcessRow, ResultRow};
use crate::model::fault::FaultKind;
use crate::model::name::ProcessName;
use crate::model::state::{DaemonState, ProcessState};

/// How long a daemon may take to say who it is. Beyond that it hangs, and so would we.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// The same when a person may have to type a password first; the daemon has a limit of its own.
pub const PASSWORD: Duration = Duration::from_secs(330);

/// A connection to a daemon over D-Bus.
pub struct BusClient {
    url: String,
    manager: ManagerProxy<'static>,
    asking: Asking,
    facts: RefCell<Option<Facts>>,
}

/// Who may be asked on the way to an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Asking {
    /// A person, for a password.
    pub password: bool,
    /// The daemon has to ask somebody else whether this user may: we are neither root nor on a
    /// connection that only its own user gets.
    pub stranger: bool,
}

impl Asking {
    fn flags(self) -> MethodFlags {
        // The bus never starts a daemon for us: one that is stopped is stopped.
        let flags = MethodFlags::NO_AUTO_START;
        if self.password { flags | MethodFlags::ALLOW_INTERACTIVE_AUTH } else { flags }
    }

    /// How long the first answer may take.
    fn patience(self) -> Duration {
        if self.password && self.stranger { PASSWORD } else { PATIENCE }
    }
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
    upgrades: Upgrades,
}

impl BusClient {
    /// A client over a connected proxy; `url` is what messages call the place.
    #[must_use]
    pub fn new(url: String, manager: ManagerProxy<'static>, asking: Asking) -> Self {
        Self { url, manager, asking, facts: RefCell::new(None) }
    }

    /// Reads the properties of the daemon, all in one call.
    ///
    /// # Errors
    /// When the daemon does not answer, or not in time.
    pub async fn facts(&self) -> Result<Facts, CallError> {
        let proxy = self.manager.inner();
        let asked = async {
            let properties = zbus::proxy::Builder::<zbus::Proxy<'_>>::new(proxy.connection())
                .cache_properties(CacheProperties::No)
                .destination(proxy.destination().to_owned())
                .path(proxy.path().to_owned())
                .interface("org.freedesktop.DBus.Properties")
                .build()
                .await?;
            self.put::<_, HashMap<String, OwnedVariant>>(&properties, "GetAll", &(MANAGER,)).await
        };
        let asked = tokio::time::timeout(self.asking.patience(), asked).await;
        let values = asked.map_err(|_| timed_out())?.map_err(|error| self.failure(error))?;
        let text = |key: &str| {
            values
                .get(key)
                .and_then(|value| value.try_clone().ok())
                .and_then(|value| String::try_from(value).ok())
                .unwrap_or_default()
        };
        let number = |key: &str| {
            values.get(key).and_then(|value| u32::try_from(value).ok()).unwrap_or_default()
        };
        let facts = Facts {
            version: text("Version"),
            api_version: text("ApiVersion"),
            pid: number("Pid"),
            state_code: values.get("StateCode").and_then(|v| i32::try_from(v).ok()).unwrap_or(1),
            configuration_file: text("ConfigurationFile"),
            upgrades: Upgrades {
                counts: (number("Upgrades"), number("FailedUpgrades")),
                error: text("UpgradeError"),
                version: String::new(),
            },
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

    /// Calls a method of the manager.
    async fn ask<B, R>(&self, method: &'static str, body: &B) -> Result<R, CallError>
    where
        B: Serialize + DynamicType,
        R: for<'d> DynamicDeserialize<'d>,
    {
        let answer = self.put(self.manager.inner(), method, body).await;
        answer.map_err(|error| self.failure(error))
    }

    async fn put<B, R>(
        &self,
        proxy: &zbus::Proxy<'_>,
        method: &'static str,
        body: &B,
    ) -> zbus::Result<R>
    where
        B: Serialize + DynamicType,
        R: for<'d> DynamicDeserialize<'d>,
    {
        let answer = proxy.call_with_flags(method, self.asking.flags(), body).await?;
        // An answer is always wanted, so there always is one.
        answer.ok_or_else(|| zbus::Error::Failure("there was no answer".to_owned()))
    }
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
        let rows = self.ask::<_, Vec<ProcessRow>>("ListProcesses", &()).await?;
        Ok(rows.into_iter().map(ProcessInfo::from).collect())
    }

    async fn process(&self, name: &str) -> Result<ProcessInfo, CallError> {
        self.ask::<_, ProcessRow>("GetProcessInfo", &(name,)).await.map(ProcessInfo::from)
    }

    async fn configuration(&self) -> Result<Vec<ConfigInfo>, CallError> {
        self.refuse_in_shutdown().await?;
        let rows = self.ask::<_, Vec<ConfigurationRow>>("ListConfiguration", &()).await?;
        Ok(rows.into_iter().map(ConfigInfo::from).collect())
    }

    async fn act_on_process(&self, action: &Action, name: &str) -> Result<(), CallError> {
        match action {
            Action::Start => self.ask("StartProcess", &(name, options())).await,
            Action::Stop => self.ask("StopProcess", &(name, options())).await,
            Action::Signal(signal) => self.ask("SignalProcess", &(name, signal)).await,
        }
    }

    async fn act_on_group(&self, action: &Action, group: &str) -> Result<Vec<Outcome>, CallError> {
        let rows: Result<Vec<ResultRow>, _> = match action {
            Action::Start => self.ask("StartGroup", &(group, options())).await,
            Action::Stop => self.ask("StopGroup", &(group, options())).await,
            Action::Signal(signal) => self.ask("SignalGroup", &(group, signal)).await,
        };
        Ok(rows?.into_iter().map(Outcome::from).collect())
    }

    async fn act_on_all(&self, action: &Action) -> Result<Vec<Outcome>, CallError> {
        let rows: Result<Vec<ResultRow>, _> = match action {
            Action::Start => self.ask("StartAll", &(options(),)).await,
            Action::Stop => self.ask("StopAll", &(options(),)).await,
            Action::Signal(signal) => self.ask("SignalAll", &(signal,)).await,
        };
        Ok(rows?.into_iter().map(Outcome::from).collect())
    }

    async fn send_stdin(&self, name: &str, data: &[u8]) -> Result<(), CallError> {
        let data = Bytes(data.to_vec());
        self.ask("SendProcessStdin", &(name, data)).await
    }

    async fn read_log(&self, log: Log<'_>, offset: i64) -> Result<Vec<u8>, CallError> {
        let bytes: Result<Bytes, _> = match log {
            Log::Main => self.ask("ReadLog", &(offset, 0_i64)).await,
            Log::Process(name, channel) => {
                self.ask("ReadProcessLog", &(name, channel.name(), offset, 0_i64)).await
            }
        };
        Ok(bytes?.0)
    }

    async fn follow_log(&self, log: Log<'_>) -> Result<LogStream, CallError> {
        let pipe: Result<OwnedFd, _> = match log {
            Log::Main => self.ask("FollowLog", &(options(),)).await,
            Log::Process(name, channel) => {
                self.ask("FollowProcessLog", &(name, channel.name(), options())).await
            }
        };
        let pipe = tokio::net::unix::pipe::Receiver::from_owned_fd(pipe?.into())
            .map_err(|error| self.failure(error.into()))?;
        Ok(Pin::from(Box::new(pipe)))
    }

    async fn clear(&self, name: &str) -> Result<(), CallError> {
        self.ask("ClearProcessLogs", &(name,)).await
    }

    async fn clear_all(&self) -> Result<Vec<Outcome>, CallError> {
        let rows: Vec<ResultRow> = self.ask("ClearAllProcessLogs", &()).await?;
        Ok(rows.into_iter().map(Outcome::from).collect())
    }

    async fn reread(&self) -> Result<Changes, CallError> {
        let (added, changed, removed) = self.ask("Reread", &()).await?;
        Ok(Changes { added, changed, removed })
    }

    async fn add_group(&self, name: &str) -> Result<(), CallError> {
        self.ask("AddGroup", &(name,)).await
    }

    async fn remove_group(&self, name: &str) -> Result<(), CallError> {
        self.ask("RemoveGroup", &(name,)).await
    }

    async fn update_group(&self, name: &str) -> Result<(), CallError> {
        self.ask("UpdateGroup", &(name,)).await
    }

    async fn shutdown(&self) -> Result<(), CallError> {
        self.ask("Shutdown", &()).await
    }

    async fn restart(&self) -> Result<(), CallError> {
        self.ask("Restart", &()).await
    }

    async fn upgrade(&self) -> Result<(), CallError> {
        self.ask("Upgrade", &()).await
    }

    async fn upgrades(&self) -> Result<Upgrades, CallError> {
        let Facts { upgrades, version, .. } = self.facts().await?;
        Ok(Upgrades { version, ..upgrades })
    }

    async fn create_login(&self, read_only: bool) -> Result<Login, CallError> {
        let method = if read_only { "CreateReadOnlyLogin" } else { "CreateLogin" };
        let (links, seconds) = self.ask(method, &()).await?;
        Ok(Login { links, seconds })
    }

    async fn state_changes(&self) -> Result<LocalBoxStream<'static, StateChange>, CallError> {
        if self.asking.stranger { self.looks().await } else { self.told().await }
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
