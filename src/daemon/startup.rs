//! From the command line to a running daemon (C-118): every step that can fail for a reason
//! that a person has to mend comes before the daemon goes to the background, and before it
//! touches anything of an instance that runs already.

use std::sync::Arc;

use nix::unistd::geteuid;

use super::error::{StartError, refused, usage};
use super::life::{Prepared, Resumed};
use super::recovery::{self, Found, Head, Legacy};
use super::sockets::{bind_bus, move_servers, open_servers, remove_bus, take_sockets};
use super::upgrade::{self, FileLeft, State};
use crate::api::Upgrades;
use crate::config::settings::Settings;
use crate::config::{self, Host, Overrides};
use crate::http::listen::{self, Listeners};
use crate::http::sessions::Sessions;
use crate::model::record::{Level, Record};
use crate::runtime::cgroups;
use crate::runtime::checkpoint::Memories;
use crate::runtime::handover::Baggage;
use crate::runtime::keep::{Keep, Name};
use crate::runtime::recover::recover;
use crate::sys::cgroup::Tree;
use crate::sys::pidfile::{self, PidFile};
use crate::sys::socket::Listener;
use crate::sys::{limits, user};
use crate::systemd::listen::Handed;
use crate::systemd::notify::Manager;

/// Reads the configuration and says what is wrong with it, or that nothing is.
pub fn test_configuration(overrides: &Overrides) -> Result<(), StartError> {
    let settings = load(overrides)?;
    let certificates = listen::check_certificates(&settings.servers, &[]);
    for warning in certificates.map_err(|error| usage(&error))? {
        super::say(&format!("{}: {warning}\n", Level::Warn.tag()));
    }
    for note in settings.notes.iter().filter(|note| note.level <= Level::Warn) {
        super::say(&format!("{}: {}\n", note.level.tag(), note.text));
    }
    super::say(&format!(
        "The configuration {} is valid: {} groups, {} processes.\n",
        settings.daemon.config_file.display(),
        settings.groups.len(),
        settings.groups.iter().map(|group| group.processes.len()).sum::<usize>(),
    ));
    Ok(())
}

/// Starts the daemon and runs it to its end.
pub fn run(overrides: Overrides, mut handed: Handed, manager: &Manager) -> Result<(), StartError> {
    let (legacy, names) = recovery::look(std::mem::take(&mut handed.kept));
    let lost = match legacy {
        Legacy::Nothing => None,
        Legacy::Lost(why) => Some(why),
        Legacy::Found(found) => match take_back(*found, &mut handed, manager) {
            Ok(outcome) => return outcome,
            Err(why) => Some(why),
        },
    };
    start(overrides, handed, manager, lost, &names)
}

/// Starts with nothing. What an earlier daemon left that is `lost` is ended first; what was kept of
/// it, by these names, is not kept any longer.
fn start(
    mut overrides: Overrides,
    handed: Handed,
    manager: &Manager,
    lost: Option<String>,
    names: &[Name],
) -> Result<(), StartError> {
    if !names.is_empty() {
        // A socket that is kept listens: it would look as if somebody answered there.
        let keep = Keep::start(manager.store(), manager.keeps());
        for &name in names {
            keep.remove(name);
        }
        keep.settle();
    }
    let settings = load(&overrides)?;
    // Found once: a later reload reads the same file, wherever the daemon is then (C-416).
    overrides.config_file = Some(settings.daemon.config_file.to_string_lossy().into_owned());
    overrides.base = Some(super::host().cwd());
    let daemon = &settings.daemon;

    pidfile::check_free(&daemon.pidfile).map_err(|error| StartError::Running(error.to_string()))?;
    limits::set_store_aside(manager.keeps());
    let mut records =
        limits::ensure_minimums(daemon.minfds, daemon.minprocs).map_err(|error| usage(&error))?;
    let nofile = limits::raise_open_files().ok();
    let activated = take_sockets(handed, &mut records);
    let servers = open_servers(&settings, activated, &mut records)?;
    let bus = bind_bus(&settings, &mut records)?;
    let manager = manager.clone();
    let (sessions, memories) = (Sessions::default(), None);
    let prepared = Prepared {
        overrides,
        records,
        nofile,
        bus,
        cgroups: None,
        servers,
        sessions,
        manager,
        memories,
    };
    prepared.go_to_work(settings, lost)
}

/// Goes on where a daemon stopped that was killed.
///
/// # Errors
/// Why that cannot be; nothing has been done then but to settle.
fn take_back(
    found: Found,
    handed: &mut Handed,
    manager: &Manager,
) -> Result<Result<(), StartError>, String> {
    let Found { head, sockets: mut baggage, pieces, mut kept, memories } = found;
    let Head { version, overrides, settings, bus, servers, sessions, upgrades, .. } = head;
    let daemon = &settings.daemon;
    if let Err(error) = pidfile::check_free(&daemon.pidfile) {
        return Ok(Err(StartError::Running(error.to_string())));
    }
    let mut place = Vec::new();
    let tree = cgroups::settle(daemon.user.as_ref(), &mut place);
    let tree = tree.ok_or("there are no cgroups to find its programs in")?;
    let mut programs = Baggage::default();
    let recovered = recover(&pieces, &mut kept, &tree, daemon.strip_ansi, &mut programs)?;
    recovery::end_all(recovered.unknown.iter().map(|name| tree.dir_of(name)).collect())?;

    let count = recovered.engine.supervisor.processes().filter(|p| p.pid() != 0).count();
    let text = format!(
        "supervisord {version} was killed; {} goes on with the {count} programs that it left",
        env!("CARGO_PKG_VERSION")
    );
    let mut records = vec![Record::new(Level::Warn, text)];
    limits::set_store_aside(manager.keeps());
    match limits::ensure_minimums(daemon.minfds, daemon.minprocs) {
        Ok(notes) => records.extend(notes),
        Err(error) => records.push(Record::new(Level::Critical, error.to_string())),
    }
    let nofile = limits::raise_open_files().ok();
    let mut servers = Listeners::adopt(servers, &mut baggage).unwrap_or_else(|error| {
        let text = format!("the sockets of the servers are opened anew: {error}");
        records.push(Record::new(Level::Warn, text));
        Listeners::new(std::mem::take(&mut handed.sockets))
    });
    move_servers(&mut servers, &settings, &mut records);
    let bus = bus.and_then(|FileLeft { path, slot, identity }| {
        Some(Listener::adopt(baggage.take(slot).ok()?, &path, identity))
    });
    let mut bus = match bus.map_or_else(|| bind_bus(&settings, &mut records), |bus| Ok(Some(bus))) {
        Ok(bus) => bus,
        Err(error) => return Ok(Err(error)),
    };
    match user::drop_privileges(daemon.user.as_ref()) {
        Ok(note) => records.extend(note),
        Err(error) => return Ok(Err(usage(&error))),
    }
    records.extend(place);
    let resumed = Resumed {
        engine: recovered.engine,
        baggage: programs,
        killed: true,
        pidfile: None,
        upgrades: Upgrades { done: upgrades, ..Upgrades::default() },
        forgotten: kept.into_keys().collect(),
    };
    let prepared = Prepared {
        overrides,
        records,
        nofile,
        bus: None,
        cgroups: Some(tree),
        servers,
        sessions: Sessions::adopt(sessions),
        manager: manager.clone(),
        memories: Some(memories),
    };
    let outcome = prepared.live(settings, &mut bus, None, Some(resumed));
    remove_bus(bus);
    Ok(outcome)
}

/// Goes on where another program stopped in this process: nothing is made anew that it had.
pub fn go_on(left: upgrade::Legacy) -> Result<(), StartError> {
    let upgrade::Legacy { state, mut baggage, version } = left;
    let State { overrides, settings, nofile, cgroups, manager, bus, pidfile, .. } = state;
    let text = format!("supervisord {} goes on for {version}", env!("CARGO_PKG_VERSION"));
    let mut records = vec![Record::new(Level::Info, text)];
    let missing = |error| refused(&error, "could not go on for another program");
    let mut servers = Listeners::adopt(state.servers, &mut baggage).map_err(missing)?;
    // With their certificates, which are read again.
    move_servers(&mut servers, &settings, &mut records);
    let mut bus = match bus {
        Some(FileLeft { path, slot, identity }) => {
            Some(Listener::adopt(baggage.take(slot).map_err(missing)?, &path, identity))
        }
        None => None,
    };
    let pidfile = match pidfile {
        Some(FileLeft { path, slot, identity }) => {
            Some(PidFile::adopt(&path, baggage.take(slot).map_err(missing)?, identity))
        }
        None => None,
    };
    let memories = match state.memories {
        None => None,
        Some([first, second]) => {
            let taken =
                [baggage.take(first).map_err(missing)?, baggage.take(second).map_err(missing)?];
            Some(Memories::adopt(taken).map_err(missing)?.0)
        }
    };
    let resumed = Resumed {
        engine: state.engine,
        baggage,
        killed: false,
        pidfile,
        forgotten: Vec::new(),
        upgrades: Upgrades { done: state.upgrades.saturating_add(1), ..Upgrades::default() },
    };
    let cgroups = cgroups.map(|place| Arc::new(Tree::adopt(place)));
    let sessions = Sessions::adopt(state.sessions);
    let prepared = Prepared {
        overrides,
        records,
        nofile,
        bus: None,
        cgroups,
        servers,
        sessions,
        manager,
        memories,
    };
    let outcome = prepared.live(settings, &mut bus, None, Some(resumed));
    remove_bus(bus);
    outcome
}

fn load(overrides: &Overrides) -> Result<Settings, StartError> {
    if overrides.config_file.is_none() && geteuid().is_root() {
        // C-004
        super::say(
            "Warning: supervisord runs as root and searches for its configuration file, in the \
             current directory too. Say with -c, and an absolute path, which one is meant.\n",
        );
    }
    config::load(overrides, &super::host()).map_err(|error| usage(&error))
}
