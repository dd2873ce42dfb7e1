//! `[supervisord]` (C-059 to C-066, C-030 to C-032).

use super::environment;
use super::flags::Overrides;
use super::options::{OptionDef, option};
use super::path;
use super::py::repr;
use super::reader::{Reader, Scope};
use super::settings::{DaemonSettings, MainLog};
use super::values;
use crate::model::record::Level;

/// Reads `[supervisord]` in upstream's order, with the command line's values over it (C-065). The
/// user is checked by [`check_user`], which upstream does last.
pub(crate) fn read(scope: &Scope<'_>, overrides: &Overrides, file: &str) -> DaemonSettings {
    let Reader { host, ref base, .. } = *scope.reader;
    let path_of = |option: &'static OptionDef| {
        scope.read(option, |text| values::existing_dirpath(host, text)).unwrap_or_default()
    };
    let directory_of = |option: &'static OptionDef| {
        scope.read(option, |text| values::existing_directory(host, text))
    };

    let minfds = scope.int(option!(Supervisord, "minfds"));
    let minprocs = scope.int(option!(Supervisord, "minprocs"));
    let directory = directory_of(option!(Supervisord, "directory"));
    let _checked_for_its_names = scope.text(option!(Supervisord, "user"));
    let umask = scope.octal(option!(Supervisord, "umask")).unwrap_or_default();
    let logfile = path_of(option!(Supervisord, "logfile"));
    let logfile_maxbytes = scope.bytes(option!(Supervisord, "logfile_maxbytes"));
    let logfile_backups = scope.int(option!(Supervisord, "logfile_backups"));
    let loglevel = scope.read(option!(Supervisord, "loglevel"), values::level);
    let pidfile = path_of(option!(Supervisord, "pidfile"));
    let identifier = scope.text(option!(Supervisord, "identifier")).unwrap_or_default();
    let nodaemon = scope.bool(option!(Supervisord, "nodaemon"));
    let silent = scope.bool(option!(Supervisord, "silent"));
    let childlogdir = match scope.given(option!(Supervisord, "childlogdir")) {
        Some(_) => directory_of(option!(Supervisord, "childlogdir")).unwrap_or_default(),
        None => host.temp_dir(),
    };
    let nocleanup = scope.bool(option!(Supervisord, "nocleanup"));
    let strip_ansi = scope.bool(option!(Supervisord, "strip_ansi"));
    let environment = pairs(scope, option!(Supervisord, "environment"));

    let logfile = overrides.logfile.clone().unwrap_or(logfile);
    let pidfile = overrides.pidfile.clone().unwrap_or(pidfile);
    let childlogdir = overrides.childlogdir.clone().unwrap_or(childlogdir);
    DaemonSettings {
        config_file: path::absolute(base, file).into(),
        logfile: match logfile.as_str() {
            "syslog" => MainLog::Syslog,
            path => MainLog::Path(path::absolute(base, path).into()),
        },
        logfile_maxbytes: overrides.logfile_maxbytes.unwrap_or(logfile_maxbytes),
        logfile_backups: overrides.logfile_backups.unwrap_or(logfile_backups),
        loglevel: overrides.loglevel.or(loglevel).unwrap_or(Level::Info),
        pidfile: path::absolute(base, &pidfile).into(),
        childlogdir: path::absolute(base, &childlogdir).into(),
        directory: overrides.directory.clone().or(directory).map(Into::into),
        umask: overrides.umask.unwrap_or(umask),
        user: None,
        identifier: overrides.identifier.clone().unwrap_or(identifier),
        minfds: overrides.minfds.unwrap_or(minfds),
        minprocs: overrides.minprocs.unwrap_or(minprocs),
        nodaemon: overrides.nodaemon || nodaemon,
        silent: overrides.silent || silent,
        nocleanup: overrides.nocleanup || nocleanup,
        strip_ansi: overrides.strip_ansi || strip_ansi,
        environment,
    }
}

/// Looks up the user that counts: the command line's, else the file's.
pub(crate) fn check_user(scope: &Scope<'_>, overrides: &Overrides, settings: &mut DaemonSettings) {
    let host = scope.reader.host;
    settings.user = match &overrides.user {
        Some(name) => values::user(host, name)
            .map_err(|message| scope.reader.error(super::error::ConfigError::new(message)))
            .ok(),
        None => scope.read(option!(Supervisord, "user"), |text| values::user(host, text)),
    };
}

/// Reads an `environment=`, and warns about what is lost in it (C-056, C-444).
pub(crate) fn pairs(scope: &Scope<'_>, option: &'static OptionDef) -> Vec<(String, String)> {
    let parse = |text: &str| environment::parse(text).map_err(|error| error.to_string());
    let read = scope.read(option, parse).unwrap_or_default();
    for (key, dropped) in &read.dropped {
        scope.warn(format!(
            "For [{}], environment: {} after the value of {key} is ignored, put the value in \
             quotes to keep it",
            scope.section.name,
            repr(dropped)
        ));
    }
    read.pairs
}
