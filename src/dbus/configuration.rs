//! The configuration as last read, with all settings.

use std::collections::BTreeMap;

use zbus::Variant;

use super::process::autorestart;
use crate::api::{Api, Configured};
use crate::model::snapshot::Channel;
use crate::model::spec::{LogFile, LogSpec, ProcessKind, ProcessSpec};

/// Settings by the names they have in the configuration file: `a{sv}`.
type Settings = BTreeMap<String, Variant<'static>>;

/// Group, name and settings of each process: `a(ssa{sv})`.
pub(super) fn describe(api: &Api) -> Vec<(String, String, Settings)> {
    api.configuration()
        .iter()
        .map(|configured| {
            let name = &configured.process.name;
            (name.group.as_ref().to_owned(), name.process.as_ref().to_owned(), settings(configured))
        })
        .collect()
}

fn settings(configured: &Configured) -> Settings {
    let process: &ProcessSpec = &configured.process;
    let mut settings = Settings::new();
    let mut set = |name: &str, value: Variant<'static>| {
        settings.insert(name.to_owned(), value);
    };
    set("type", kind(&process.kind).into());
    set("active", configured.active.into());
    set("group_priority", configured.group.priority.into());
    set("command", process.command.clone().into());
    if let Some(directory) = &process.directory {
        set("directory", directory.to_string_lossy().into_owned().into());
    }
    if let Some(umask) = process.umask {
        set("umask", umask.into());
    }
    if let Some(user) = &process.user {
        set("user", user.name.clone().into());
    }
    if let Some(url) = &process.serverurl {
        set("serverurl", url.clone().into());
    }
    if let ProcessKind::FastCgi(socket) = &process.kind {
        set("socket", socket.address.to_string().into());
    }
    set("priority", process.priority.into());
    set("autostart", process.autostart.into());
    set("autorestart", autorestart(process.autorestart).into());
    set("startsecs", process.startsecs.into());
    set("startretries", process.startretries.into());
    set("exitcodes", process.exitcodes.clone().into());
    set("stopsignal", process.stopsignal.0.into());
    set("stopwaitsecs", process.stopwaitsecs.into());
    set("stopasgroup", process.stopasgroup.into());
    set("killasgroup", process.killasgroup.into());
    set("killmode", process.killmode.name().into());
    set("redirect_stderr", process.redirect_stderr.into());
    for (channel, log) in [(Channel::Stdout, &process.stdout), (Channel::Stderr, &process.stderr)] {
        for (name, value) in of_log(log) {
            settings.insert(format!("{}_{name}", channel.name()), value);
        }
    }
    settings
}

fn kind(kind: &ProcessKind) -> &'static str {
    match kind {
        ProcessKind::Program => "program",
        ProcessKind::EventListener => "eventlistener",
        ProcessKind::FastCgi(_) => "fcgi-program",
    }
}

fn of_log(log: &LogSpec) -> [(&'static str, Variant<'static>); 6] {
    let file = match &log.file {
        LogFile::None => String::new(),
        LogFile::Auto => "AUTO".to_owned(),
        LogFile::Journal => "journal".to_owned(),
        LogFile::Path(path) => path.to_string_lossy().into_owned(),
    };
    [
        ("logfile", file.into()),
        ("logfile_maxbytes", log.maxbytes.into()),
        ("logfile_backups", log.backups.into()),
        ("capture_maxbytes", log.capture_maxbytes.into()),
        ("events_enabled", log.events_enabled.into()),
        ("syslog", log.syslog.into()),
    ]
}
