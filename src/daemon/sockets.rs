//! The sockets that the daemon listens on: those of the HTTP servers and of the peer-to-peer bus.

use super::error::StartError;
use crate::config::settings::{Access, HttpAddress, Settings};
use crate::http::listen::{self, Listeners};
use crate::model::paths;
use crate::model::record::{Level, Record};
use crate::sys::socket::{BindError, Listener};
use crate::systemd::listen::{Activated, Handed};

/// The sockets of the service manager, and what there is to say of them.
pub(super) fn take_sockets(handed: Handed, records: &mut Vec<Record>) -> Vec<Activated> {
    for socket in &handed.sockets {
        records.push(Record::new(Level::Info, format!("took over the socket {socket}")));
    }
    for error in &handed.errors {
        records.push(Record::new(Level::Warn, error.to_string()));
    }
    handed.sockets
}

/// Opens the sockets of the HTTP servers, before the daemon is somebody who may not (C-132, C-133,
/// C-336, C-337).
pub(super) fn open_servers(
    settings: &Settings,
    activated: Vec<Activated>,
    records: &mut Vec<Record>,
) -> Result<Listeners, StartError> {
    let mut servers = Listeners::new(activated);
    let opened = servers.open(&settings.servers, account(settings));
    for path in opened.stale {
        super::say(&format!("Unlinking stale socket {}\n", path.display()));
    }
    let mut errors = opened.errors.iter().map(ToString::to_string);
    if let Some(first) = errors.next() {
        return Err(StartError::Usage(errors.fold(first, |all, next| format!("{all}\n{next}"))));
    }
    records.extend(opened.notes);
    Ok(servers)
}

/// Whom the daemon becomes.
pub(super) fn account(settings: &Settings) -> Option<(u32, u32)> {
    settings.daemon.user.as_ref().map(|account| (account.uid, account.gid))
}

/// After a restart the servers are where the configuration has them now.
pub(super) fn move_servers(
    servers: &mut Listeners,
    settings: &Settings,
    records: &mut Vec<Record>,
) {
    let opened = servers.open(&settings.servers, account(settings));
    records.extend(opened.stale.iter().map(|path| {
        Record::new(Level::Info, format!("Unlinking stale socket {}", path.display()))
    }));
    records.extend(opened.notes);
    records
        .extend(opened.errors.iter().map(|error| Record::new(Level::Critical, error.to_string())));
}

/// After a restart the socket is where its pid file is now.
pub(super) fn move_bus(bus: &mut Option<Listener>, settings: &Settings, records: &mut Vec<Record>) {
    let path = paths::bus_socket(&settings.daemon.pidfile);
    if bus.as_ref().is_some_and(|bus| bus.path() == path) {
        return;
    }
    match bind_bus(settings, records) {
        Ok(Some(moved)) => remove_bus(bus.replace(moved)),
        Ok(None) => {}
        Err(error) => records.push(Record::new(Level::Critical, error.text())),
    }
}

pub(super) fn remove_bus(bus: Option<Listener>) {
    if let Some(Err(error)) = bus.map(Listener::remove) {
        super::say(&format!("could not remove the control socket: {error}\n"));
    }
}

/// Binds the socket of the peer-to-peer bus beside the pid file, for the daemon's user and root
/// alone. That it cannot be made is no reason not to run; that another daemon answers there is.
pub(super) fn bind_bus(
    settings: &Settings,
    records: &mut Vec<Record>,
) -> Result<Option<Listener>, StartError> {
    let path = paths::bus_socket(&settings.daemon.pidfile);
    let owner = settings.daemon.user.as_ref().map(|account| (account.uid, Some(account.gid)));
    match Listener::bind(&path, 0o700, owner) {
        Ok(listener) => Ok(Some(listener)),
        Err(BindError::InUse(_)) => Err(StartError::Running(format!(
            "Another supervisord is already running: it answers at {}.  Shut it down first, or \
             give this one a pidfile of its own.",
            path.display()
        ))),
        Err(error) => {
            let text =
                format!("no control socket, supervisorctl has to use the system bus: {error}");
            records.push(Record::new(Level::Warn, text));
            Ok(None)
        }
    }
}

/// What is open to whom (C-137).
pub(super) fn exposure(settings: &Settings) -> Vec<Record> {
    let mut records = Vec::new();
    for server in &settings.servers {
        let section = &server.section;
        for interface in settings.rpcinterfaces.iter().filter(|interface| interface.builtin) {
            let text = format!("RPC interface '{}' initialized", interface.namespace);
            records.push(Record::new(Level::Info, text));
        }
        if server.access != Access::Open {
            continue;
        }
        let unprotected = match &server.address {
            // Its mode protects it.
            HttpAddress::Unix { mode, .. } => mode & 0o002 != 0,
            HttpAddress::Inet { .. } => true,
        };
        let level = if unprotected { Level::Critical } else { Level::Info };
        let text = format!("Server '{section}' running without any HTTP authentication checking");
        records.push(Record::new(level, text));
        if !listen::is_local(&server.address) {
            let text = format!(
                "[{section}] whoever reaches {} can run any command as the user of supervisord: \
                 set a username and a password, or listen on 127.0.0.1 only",
                server.address
            );
            records.push(Record::new(Level::Warn, text));
        }
    }
    records
}
