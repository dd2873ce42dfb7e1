//! The client's side of the contract.
//!
//! Properties are not cached: a client of ours lives for one command, and on a connection
//! without a broker signals come only after [`ManagerProxy::subscribe`].

use std::collections::HashMap;
use std::path::Path;

use zbus::connection::Builder;
use zbus::proxy::CacheProperties;
use zbus::{Connection, OwnedFd, OwnedObjectPath, Variant, proxy};

use super::types::{Bytes, ConfigurationRow, GroupRow, ProcessRow, ResultRow, UpdateRow};

/// Options of a method: only the keys that the contract lists are accepted.
pub type Options<'a> = HashMap<&'a str, Variant<'a>>;

/// Connects to the daemon's own socket, without a broker.
///
/// # Errors
/// When nobody listens there, or this user may not connect.
pub async fn connect_p2p(path: &Path) -> zbus::Result<Connection> {
    let stream = tokio::net::UnixStream::connect(path).await?.into_std()?;
    Builder::unix_stream(stream).p2p().build().await
}

/// The manager object behind a connection, properties read afresh every time.
///
/// # Errors
/// Never before the first call is made.
pub async fn manager(connection: &Connection) -> zbus::Result<ManagerProxy<'static>> {
    ManagerProxy::builder(connection).cache_properties(CacheProperties::No).build().await
}

/// The daemon.
#[proxy(
    interface = "org.supervisord.Supervisor1.Manager",
    default_service = "org.supervisord.Supervisor1",
    default_path = "/org/supervisord/Supervisor1"
)]
pub trait Manager {
    /// The version of supervisord.
    #[zbus(property(emits_changed_signal = "false"))]
    fn version(&self) -> zbus::Result<String>;
    /// The version of the XML-RPC API.
    #[zbus(property(emits_changed_signal = "false"))]
    fn api_version(&self) -> zbus::Result<String>;
    /// The identifier of the daemon.
    #[zbus(property(emits_changed_signal = "false"))]
    fn identification(&self) -> zbus::Result<String>;
    /// The pid of the daemon.
    #[zbus(property(emits_changed_signal = "false"))]
    fn pid(&self) -> zbus::Result<u32>;
    /// The main configuration file, absolute.
    #[zbus(property(emits_changed_signal = "false"))]
    fn configuration_file(&self) -> zbus::Result<String>;
    /// RUNNING, RESTARTING or SHUTDOWN.
    #[zbus(property(emits_changed_signal = "false"))]
    fn state(&self) -> zbus::Result<String>;
    /// 1, 0 or -1.
    #[zbus(property(emits_changed_signal = "false"))]
    fn state_code(&self) -> zbus::Result<i32>;

    /// All processes, sorted by group and name.
    fn list_processes(&self) -> zbus::Result<Vec<ProcessRow>>;
    /// One process.
    fn get_process_info(&self, name: &str) -> zbus::Result<ProcessRow>;
    /// The active groups.
    fn list_groups(&self) -> zbus::Result<Vec<GroupRow>>;
    /// The configuration as last read.
    fn list_configuration(&self) -> zbus::Result<Vec<ConfigurationRow>>;
    /// The object of a process.
    fn get_process(&self, name: &str) -> zbus::Result<OwnedObjectPath>;
    /// The object of a group.
    fn get_group(&self, name: &str) -> zbus::Result<OwnedObjectPath>;
    /// Starts a process.
    fn start_process(&self, name: &str, options: Options<'_>) -> zbus::Result<()>;
    /// Starts what is not running in a group.
    fn start_group(&self, group: &str, options: Options<'_>) -> zbus::Result<Vec<ResultRow>>;
    /// Starts everything that is not running.
    fn start_all(&self, options: Options<'_>) -> zbus::Result<Vec<ResultRow>>;
    /// Stops a process.
    fn stop_process(&self, name: &str, options: Options<'_>) -> zbus::Result<()>;
    /// Stops what runs in a group.
    fn stop_group(&self, group: &str, options: Options<'_>) -> zbus::Result<Vec<ResultRow>>;
    /// Stops everything that runs.
    fn stop_all(&self, options: Options<'_>) -> zbus::Result<Vec<ResultRow>>;
    /// Sends a signal, by name or number.
    fn signal_process(&self, name: &str, signal: &str) -> zbus::Result<()>;
    /// Sends a signal to what runs in a group.
    fn signal_group(&self, group: &str, signal: &str) -> zbus::Result<Vec<ResultRow>>;
    /// Sends a signal to everything that runs.
    fn signal_all(&self, signal: &str) -> zbus::Result<Vec<ResultRow>>;
    /// Writes to the stdin of a process.
    fn send_process_stdin(&self, name: &str, data: &Bytes) -> zbus::Result<()>;
    /// Emits a REMOTE_COMMUNICATION event.
    fn send_remote_event(&self, kind: &str, data: &str) -> zbus::Result<()>;
    /// Reads a log of a process.
    fn read_process_log(
        &self,
        name: &str,
        channel: &str,
        offset: i64,
        length: i64,
    ) -> zbus::Result<Bytes>;
    /// The last bytes of a log, the file's size, and whether there is more.
    fn tail_process_log(
        &self,
        name: &str,
        channel: &str,
        offset: i64,
        length: i64,
    ) -> zbus::Result<(Bytes, i64, bool)>;
    /// Follows a log; the pipe carries the last `bytes` and what is added.
    fn follow_process_log(
        &self,
        name: &str,
        channel: &str,
        options: Options<'_>,
    ) -> zbus::Result<OwnedFd>;
    /// Empties the logs of a process.
    fn clear_process_logs(&self, name: &str) -> zbus::Result<()>;
    /// Empties the logs of all processes.
    fn clear_all_process_logs(&self) -> zbus::Result<Vec<ResultRow>>;
    /// A link to the web page for who may do everything, at each server, and its seconds.
    fn create_login(&self) -> zbus::Result<(Vec<String>, u64)>;
    /// The same for who may look.
    fn create_read_only_login(&self) -> zbus::Result<(Vec<String>, u64)>;
    /// Reads the daemon's own log.
    fn read_log(&self, offset: i64, length: i64) -> zbus::Result<Bytes>;
    /// Follows the daemon's own log.
    fn follow_log(&self, options: Options<'_>) -> zbus::Result<OwnedFd>;
    /// Empties the daemon's own log.
    fn clear_log(&self) -> zbus::Result<()>;
    /// Reads the configuration again: groups added, changed, removed.
    fn reread(&self) -> zbus::Result<(Vec<String>, Vec<String>, Vec<String>)>;
    /// Activates a group of the configuration as last read.
    fn add_group(&self, name: &str) -> zbus::Result<()>;
    /// Deactivates a group that is stopped.
    fn remove_group(&self, name: &str) -> zbus::Result<()>;
    /// Makes an active group what the configuration as last read says.
    fn update_group(&self, name: &str) -> zbus::Result<()>;
    /// Reads the configuration again and applies what changed.
    fn update(&self, groups: &[&str], options: Options<'_>) -> zbus::Result<Vec<UpdateRow>>;
    /// Stops everything, then the daemon.
    fn shutdown(&self) -> zbus::Result<()>;
    /// Stops everything, reads the configuration again, starts.
    fn restart(&self) -> zbus::Result<()>;

    /// See the contract.
    fn upgrade(&self) -> zbus::Result<()>;
    /// Asks for signals on a connection without a broker.
    fn subscribe(&self) -> zbus::Result<()>;
    /// Asks for no more signals.
    fn unsubscribe(&self) -> zbus::Result<()>;

    /// A process went from one state to another.
    #[zbus(signal)]
    fn process_state_changed(
        &self,
        group: &str,
        name: &str,
        from: &str,
        to: &str,
        pid: u32,
        process: zbus::ObjectPath<'_>,
    ) -> zbus::Result<()>;
    /// A group became active.
    #[zbus(signal)]
    fn group_added(&self, name: &str, group: zbus::ObjectPath<'_>) -> zbus::Result<()>;
    /// A group is no longer active.
    #[zbus(signal)]
    fn group_removed(&self, name: &str, group: zbus::ObjectPath<'_>) -> zbus::Result<()>;
}

/// An active group. Its path comes from [`ManagerProxy::get_group`].
#[proxy(
    interface = "org.supervisord.Supervisor1.Group",
    default_service = "org.supervisord.Supervisor1"
)]
pub trait Group {
    /// Its name.
    #[zbus(property(emits_changed_signal = "false"))]
    fn name(&self) -> zbus::Result<String>;
    /// Order among groups.
    #[zbus(property(emits_changed_signal = "false"))]
    fn priority(&self) -> zbus::Result<i64>;
    /// The objects of its processes.
    #[zbus(property(emits_changed_signal = "false"))]
    fn processes(&self) -> zbus::Result<Vec<OwnedObjectPath>>;
    /// Starts what is not running.
    fn start(&self, options: Options<'_>) -> zbus::Result<Vec<ResultRow>>;
    /// Stops what runs.
    fn stop(&self, options: Options<'_>) -> zbus::Result<Vec<ResultRow>>;
    /// Sends a signal to what runs.
    fn signal(&self, signal: &str) -> zbus::Result<Vec<ResultRow>>;
}

/// A process. Its path comes from [`ManagerProxy::get_process`].
#[proxy(
    interface = "org.supervisord.Supervisor1.Process",
    default_service = "org.supervisord.Supervisor1"
)]
pub trait Process {
    /// Its name inside its group.
    #[zbus(property(emits_changed_signal = "false"))]
    fn name(&self) -> zbus::Result<String>;
    /// Its group.
    #[zbus(property(emits_changed_signal = "false"))]
    fn group(&self) -> zbus::Result<String>;
    /// The name of its state.
    #[zbus(property(emits_changed_signal = "false"))]
    fn state(&self) -> zbus::Result<String>;
    /// The code of its state.
    #[zbus(property(emits_changed_signal = "false"))]
    fn state_code(&self) -> zbus::Result<i32>;
    /// Its pid, or 0.
    #[zbus(property(emits_changed_signal = "false"))]
    fn pid(&self) -> zbus::Result<u32>;
    /// When it was last started, microseconds since the epoch.
    #[zbus(property(emits_changed_signal = "false"))]
    fn start_time(&self) -> zbus::Result<u64>;
    /// When it last ended, microseconds since the epoch.
    #[zbus(property(emits_changed_signal = "false"))]
    fn stop_time(&self) -> zbus::Result<u64>;
    /// Its last exit code.
    #[zbus(property(emits_changed_signal = "false"))]
    fn exit_status(&self) -> zbus::Result<i32>;
    /// Why it could not be started.
    #[zbus(property(emits_changed_signal = "false"))]
    fn spawn_error(&self) -> zbus::Result<String>;
    /// What `supervisorctl status` shows.
    #[zbus(property(emits_changed_signal = "false"))]
    fn description(&self) -> zbus::Result<String>;
    /// The file of its stdout, or empty.
    #[zbus(property(emits_changed_signal = "false"))]
    fn stdout_log(&self) -> zbus::Result<String>;
    /// The file of its stderr, or empty.
    #[zbus(property(emits_changed_signal = "false"))]
    fn stderr_log(&self) -> zbus::Result<String>;
    /// Starts it.
    fn start(&self, options: Options<'_>) -> zbus::Result<()>;
    /// Stops it.
    fn stop(&self, options: Options<'_>) -> zbus::Result<()>;
    /// Sends it a signal, by name or number.
    fn signal(&self, signal: &str) -> zbus::Result<()>;
    /// Writes to its stdin.
    fn send_stdin(&self, data: &Bytes) -> zbus::Result<()>;
    /// Reads one of its logs.
    fn read_log(&self, channel: &str, offset: i64, length: i64) -> zbus::Result<Bytes>;
    /// Follows one of its logs.
    fn follow_log(&self, channel: &str, options: Options<'_>) -> zbus::Result<OwnedFd>;
    /// Empties its logs.
    fn clear_logs(&self) -> zbus::Result<()>;
}
