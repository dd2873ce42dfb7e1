//! Who is behind a call: the user, as the kernel or the bus told it, and for the audit log the
//! process and its unit, as far as they can be known.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::time::timeout;
use zbus::message::Header;
use zbus::names::{BusName, OwnedUniqueName, UniqueName};
use zbus::proxy::CacheProperties;
use zbus::{Connection, fdo};

use super::about::shown;
use super::error::Failure;
use crate::sys::pidfd;

/// How many senders on a bus are remembered.
const MAX_KNOWN: usize = 1024;
/// How long a bus may take to say who a sender is.
const BUS_ANSWERS: Duration = Duration::from_secs(5);

/// Somebody who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Caller {
    /// The user. What they may do follows from this, and from nothing below.
    pub(super) uid: u32,
    /// The process, when the connection was made.
    pub(super) pid: Option<u32>,
    /// The systemd unit that the process is in.
    pub(super) unit: Option<String>,
}

impl Caller {
    /// One who connected without a broker, as the kernel told it.
    pub(super) fn direct(uid: u32, pid: Option<i32>) -> Self {
        let pid = pid.and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid > 0);
        Self { uid, pid, unit: pid.and_then(unit_of_pid) }
    }

    /// One on a bus, as the bus told it.
    pub(super) fn on_a_bus(credentials: &fdo::ConnectionCredentials) -> Result<Self, Failure> {
        let uid = credentials.unix_user_id().ok_or_else(unknown)?;
        let pid = credentials.process_id().filter(|pid| *pid > 0);
        let unit = match (credentials.process_fd(), pid) {
            (Some(pidfd), Some(pid)) => unit_of(pid, pidfd),
            (None, Some(pid)) => unit_of_pid(pid),
            (_, None) => None,
        };
        Ok(Self { uid, pid, unit })
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "user {}", self.uid)?;
        match (&self.pid, &self.unit) {
            (Some(pid), Some(unit)) => write!(f, " (pid {pid}, {})", shown(unit)),
            (Some(pid), None) => write!(f, " (pid {pid})"),
            (None, _) => Ok(()),
        }
    }
}

fn unknown() -> Failure {
    Failure::access_denied("The caller's user is not known.")
}

/// Who is behind the messages of a connection.
#[derive(Debug)]
pub(super) enum Callers {
    /// There is no broker: the one who connected.
    Direct(Arc<Caller>),
    /// A bus, which knows the users of its connections.
    Bus {
        /// The bus.
        connection: Connection,
        /// Senders; their unique names are never used again.
        known: Mutex<HashMap<OwnedUniqueName, Arc<Caller>>>,
    },
}

impl Callers {
    /// The callers on a bus.
    pub(super) fn bus(connection: Connection) -> Self {
        Self::Bus { connection, known: Mutex::default() }
    }

    /// The caller, if it is known without asking.
    pub(super) fn known(&self, sender: Option<&UniqueName<'_>>) -> Option<Arc<Caller>> {
        match self {
            Self::Direct(caller) => Some(caller.clone()),
            Self::Bus { known, .. } => lock(known).get(sender?.as_str()).cloned(),
        }
    }

    /// Who sent a message.
    ///
    /// # Errors
    /// `AccessDenied` when that cannot be known.
    pub(super) async fn of(&self, header: &Header<'_>) -> Result<Arc<Caller>, Failure> {
        if let Some(caller) = self.known(header.sender()) {
            return Ok(caller);
        }
        let (Self::Bus { connection, known }, Some(sender)) = (self, header.sender()) else {
            return Err(unknown());
        };
        let asked = timeout(BUS_ANSWERS, credentials(connection, sender)).await;
        let credentials = asked.map_err(|_| unknown())?.map_err(|_| unknown())?;
        let caller = Arc::new(Caller::on_a_bus(&credentials)?);
        let mut known = lock(known);
        if known.len() >= MAX_KNOWN {
            known.clear();
        }
        known.insert(sender.to_owned().into(), caller.clone());
        Ok(caller)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn credentials(
    connection: &Connection,
    sender: &UniqueName<'_>,
) -> zbus::Result<fdo::ConnectionCredentials> {
    let bus =
        fdo::DBusProxy::builder(connection).cache_properties(CacheProperties::No).build().await?;
    Ok(bus.get_connection_credentials(BusName::Unique(sender.as_ref())).await?)
}

/// The unit of the process that has this number now: it may be another one than the caller, if
/// that ended and its number was used again. Good enough for a log.
pub(super) fn unit_of_pid(pid: u32) -> Option<String> {
    let pidfd = pidfd::open(i32::try_from(pid).ok()?).ok()?;
    unit_of(pid, &pidfd)
}

/// The unit of the process that the pidfd holds: none when it is gone, for then its number may be
/// another's.
fn unit_of(pid: u32, pidfd: &impl AsFd) -> Option<String> {
    // The bus may have another view of pids than we have: then the number says nothing to us.
    let ours = fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_fd().as_raw_fd()));
    let same = ours.ok()?.lines().any(|line| {
        line.strip_prefix("Pid:").is_some_and(|number| number.trim().parse() == Ok(pid))
    });
    if !same {
        return None;
    }
    let cgroups = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let mut ended = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
    if poll(&mut ended, PollTimeout::ZERO) != Ok(0) {
        return None;
    }
    unit_in(&cgroups)
}

/// The system's unit in `/proc/PID/cgroup`: the first part of the path that is no slice.
fn unit_in(cgroups: &str) -> Option<String> {
    // The unified hierarchy; in the hybrid one, that of systemd.
    let unified = cgroups.lines().find_map(|line| line.strip_prefix("0::"));
    let path = unified
        .filter(|path| *path != "/")
        .or_else(|| cgroups.lines().find_map(|line| Some(line.split_once(":name=systemd:")?.1)))?;
    let kind = |part: &str| part.rsplit_once('.').map(|(_, kind)| kind.to_owned());
    let part =
        path.split('/').find(|part| !part.is_empty() && kind(part).as_deref() != Some("slice"))?;
    // systemd puts an underscore before what would look like a file of the kernel's.
    let unit = part.strip_prefix('_').unwrap_or(part);
    let known = ["service", "scope", "socket", "mount", "swap"];
    known.contains(&kind(unit)?.as_str()).then(|| unit.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_is_the_systems() {
        for (cgroups, unit) in [
            ("0::/system.slice/ssh.service\n", Some("ssh.service")),
            ("0::/user.slice/user-1000.slice/session-3.scope\n", Some("session-3.scope")),
            (
                "0::/user.slice/user-1000.slice/user@1000.service/app.slice/x.scope\n",
                Some("user@1000.service"),
            ),
            ("0::/system.slice/supervisor.service/web\n", Some("supervisor.service")),
            ("12:pids:/x\n1:name=systemd:/system.slice/_a.service\n0::/\n", Some("a.service")),
            ("0::/\n", None),
            ("0::/init\n", None),
            ("", None),
        ] {
            assert_eq!(unit_in(cgroups).as_deref(), unit, "{cgroups}");
        }
    }

    #[test]
    fn a_process_that_is_gone_has_no_unit() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id();
        child.wait().unwrap();
        assert_eq!(unit_of_pid(pid), None);
        assert_eq!(unit_of_pid(u32::MAX), None);
    }

    #[test]
    fn callers_are_told_as_far_as_they_are_known() {
        let caller =
            |pid, unit: Option<&str>| Caller { uid: 7, pid, unit: unit.map(str::to_owned) };
        assert_eq!(caller(Some(8), Some("a.service")).to_string(), "user 7 (pid 8, a.service)");
        assert_eq!(caller(Some(8), None).to_string(), "user 7 (pid 8)");
        assert_eq!(caller(None, None).to_string(), "user 7");
        // A peer in another pid namespace has the number 0.
        assert_eq!(Caller::direct(7, Some(0)), caller(None, None));
    }
}
