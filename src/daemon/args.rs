//! What the help, and later completions and man page, say of supervisord's command line (C-115
//! to C-117). Reading it is `config::flags`.

use clap::{Arg, ArgAction, Command, ValueHint};

/// The flags, for the help, completions and the man page.
#[must_use]
pub fn definition() -> Command {
    let switch = |id: &'static str, help: &'static str| {
        Arg::new(id).long(id).action(ArgAction::SetTrue).help(help)
    };
    let value = |id: &'static str, name: &'static str, help: &'static str| {
        Arg::new(id).long(id).value_name(name).help(help)
    };
    Command::new("supervisord")
        .version(env!("CARGO_PKG_VERSION"))
        .disable_version_flag(true)
        .disable_help_flag(true)
        .about("Starts programs, watches them, restarts them and keeps their output")
        .override_usage("supervisord [options]")
        .args([
            value(
                "configuration",
                "FILENAME",
                "The configuration file; without it the usual places are searched",
            )
            .short('c')
            .value_hint(ValueHint::FilePath),
            Arg::new("test")
                .short('t')
                .long("test-config")
                .action(ArgAction::SetTrue)
                .help("Check the configuration, say what is wrong with it, and exit"),
            switch("nodaemon", "Stay in the foreground").short('n'),
            switch("silent", "In the foreground: no copy of the log on stdout").short('s'),
            switch("help", "Print this help and exit").short('h').short_alias('?'),
            switch("version", "Print the version and exit").short('v'),
            value("user", "USER", "Become this user (name or id)")
                .short('u')
                .value_hint(ValueHint::Username),
            value("umask", "MASK", "File mode mask of the daemon (octal, default 022)").short('m'),
            value("directory", "DIR", "Working directory of the daemon")
                .short('d')
                .value_hint(ValueHint::DirPath),
            value("logfile", "FILENAME", "The log of the daemon: a file, syslog or journal")
                .short('l')
                .value_hint(ValueHint::FilePath),
            value(
                "logfile_maxbytes",
                "BYTES",
                "Rotate the log at this size (KB, MB, GB; 0 is never)",
            )
            .short('y'),
            value("logfile_backups", "NUM", "Rotated logs to keep").short('z'),
            value("loglevel", "LEVEL", "critical, error, warn, info, debug, trace or blather")
                .short('e'),
            value("pidfile", "FILENAME", "Where the daemon writes its pid")
                .short('j')
                .value_hint(ValueHint::FilePath),
            value("identifier", "STR", "What names this daemon in events and AUTO logs").short('i'),
            value("childlogdir", "DIR", "Where AUTO logs of programs go")
                .short('q')
                .value_hint(ValueHint::DirPath),
            switch("nocleanup", "Keep the AUTO logs of an earlier run").short('k'),
            value("minfds", "NUM", "Open files that must be available").short('a'),
            switch("strip_ansi", "Remove ANSI escapes from the logs of programs"),
            value("minprocs", "NUM", "Processes that must be available"),
            value("profile_options", "LIST", "Accepted for compatibility; has no effect")
                .hide(true),
        ])
}

/// The help (C-115).
#[must_use]
pub fn help() -> String {
    definition().render_help().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::flags::FLAGS;

    #[test]
    fn the_help_tells_every_flag_that_is_read() {
        // C-116, C-117
        let definition = definition();
        let mut told: Vec<(Option<char>, &str)> = definition
            .get_arguments()
            .map(|arg| (arg.get_short(), arg.get_long().unwrap_or_default()))
            .collect();
        let mut read: Vec<(Option<char>, &str)> = FLAGS
            .iter()
            .filter(|flag| !flag.long.is_empty())
            .map(|flag| (flag.short, flag.long))
            .collect();
        told.sort_unstable();
        read.sort_unstable();
        assert_eq!(told, read);
        assert!(definition.get_arguments().all(|arg| arg.get_help().is_some()));
    }
}
