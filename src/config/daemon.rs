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
            "journal" => MainLog::Journal,
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

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::settings::Settings;
    use super::super::testing::{MemoryHost, load};
    use super::*;
    use crate::model::record::Level;

    fn settings(options: &str) -> Result<Settings, String> {
        load(&MemoryHost::with(&format!("[supervisord]\n{options}")).variable("X", "100%"))
    }

    fn daemon(options: &str) -> DaemonSettings {
        settings(options).unwrap().daemon
    }

    fn with_flags(options: &str, flags: Overrides) -> DaemonSettings {
        let host = MemoryHost::with(&format!("[supervisord]\n{options}")).user("bob", 7, 8);
        let overrides = Overrides { config_file: Some("/etc/s.conf".to_owned()), ..flags };
        super::super::load(&overrides, &host).unwrap().daemon
    }

    #[test]
    fn defaults_are_upstreams() {
        // C-059, C-060, C-061, C-063
        assert_eq!(
            daemon(""),
            DaemonSettings {
                config_file: "/etc/s.conf".into(),
                logfile: MainLog::Path("/work/supervisord.log".into()),
                logfile_maxbytes: 50 << 20,
                logfile_backups: 10,
                loglevel: Level::Info,
                pidfile: "/work/supervisord.pid".into(),
                childlogdir: "/tmp".into(),
                directory: None,
                umask: 0o22,
                user: None,
                identifier: "supervisor".to_owned(),
                minfds: 1024,
                minprocs: 200,
                nodaemon: false,
                silent: false,
                nocleanup: false,
                strip_ansi: false,
                environment: vec![],
            }
        );
    }

    #[test]
    fn the_words_syslog_and_journal_are_no_files() {
        // C-052
        assert_eq!(daemon("logfile=syslog").logfile, MainLog::Syslog);
        assert_eq!(daemon("logfile=journal").logfile, MainLog::Journal);
        assert_eq!(daemon("logfile=./journal").logfile, MainLog::Path("/work/journal".into()));
        assert_eq!(daemon("logfile=NONE").logfile, MainLog::Path("/work/NONE".into()));
    }

    #[test]
    fn the_command_line_wins() {
        // C-065, C-416, C-417
        let file = "logfile=f\nloglevel=warn\numask=002\nuser=nobody\nminfds=7\nnodaemon=false\n";
        let flags = Overrides {
            base: Some("/start".to_owned()),
            logfile: Some("g".to_owned()),
            loglevel: Some(Level::Debug),
            user: Some("bob".to_owned()),
            nodaemon: true,
            ..Overrides::default()
        };
        let daemon = with_flags(file, flags);
        assert_eq!(daemon.logfile, MainLog::Path("/start/g".into()));
        assert_eq!(daemon.pidfile, PathBuf::from("/start/supervisord.pid"));
        assert_eq!((daemon.loglevel, daemon.umask, daemon.minfds), (Level::Debug, 2, 7));
        assert_eq!(daemon.user.unwrap().uid, 7, "the file's user is not even looked up");
        assert!(daemon.nodaemon);
    }

    #[test]
    fn the_environment_is_expanded_once_and_known_to_others() {
        // C-031, C-032, C-064, C-442
        let text = "environment=A=\"1%%\",B=\"2%%%%\",C=\"%(ENV_X)s\"\n[program:p]\n\
                    command=x %(ENV_A)s %(ENV_B)s %(ENV_C)s\nenvironment=B=own\n";
        let settings = settings(text).unwrap();
        let process = &settings.groups[0].processes[0];
        assert_eq!(process.command, "x 1% own 100%");
        let pairs = [("A", "1%"), ("B", "own"), ("C", "100%")];
        assert_eq!(process.environment, pairs.map(|(k, v)| (k.to_owned(), v.to_owned())));
    }

    #[test]
    fn only_some_names_are_known() {
        // C-030, C-031
        for options in [
            "identifier=%(host_node_name)s",
            "environment=A=%(host_node_name)s",
            "environment=A=1\nidentifier=%(ENV_A)s",
        ] {
            assert!(settings(options).unwrap_err().contains("cannot be expanded"), "{options}");
        }
        assert_eq!(daemon("identifier=%(here)s").identifier, "/etc");
    }

    #[test]
    fn all_errors_come_at_once_and_upstreams_first_one_first() {
        // C-018, C-021
        let errors = settings("loglevel=loud\nminfds=x\nuser=eve\n[program:a]\n").unwrap_err();
        assert_eq!(
            errors.lines().collect::<Vec<_>>(),
            [
                "invalid literal for int() with base 10: 'x' \
                 (section 'supervisord', option 'minfds', file: '/etc/s.conf', line 3)",
                "bad logging level name 'loud' \
                 (section 'supervisord', option 'loglevel', file: '/etc/s.conf', line 2)",
                "program section program:a does not specify a command in section 'program:a' \
                 (file: '/etc/s.conf') at line 5",
                "Invalid user name eve \
                 (section 'supervisord', option 'user', file: '/etc/s.conf', line 4)",
            ]
        );
    }

    #[test]
    fn what_an_environment_loses_is_told() {
        // C-444
        let settings = settings("environment=A=a b\n").unwrap();
        assert_eq!(
            settings.notes[0].text,
            "For [supervisord], environment: 'b' after the value of A is ignored, put the value \
             in quotes to keep it"
        );
    }
}
