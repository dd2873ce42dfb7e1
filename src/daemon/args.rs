//! The command line of supervisord (C-115 to C-117).

use clap::{Arg, ArgAction, Command, ValueHint};

use crate::cli::getopt;
use crate::config::Overrides;
use crate::config::host::Host;
use crate::model::text::repr;

/// What the command line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Invocation {
    /// Show the help.
    Help,
    /// Show the version.
    Version,
    /// Say whether the configuration is valid.
    Test(Box<Overrides>),
    /// Run.
    Run(Box<Overrides>),
}

/// The flags, for parsing, help, completions and the man page.
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
            value("logfile", "FILENAME", "The log of the daemon, or syslog")
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

/// Reads the command line, without the name of the program. In the order of the arguments, the
/// first that fails or asks for information decides.
///
/// # Errors
/// Upstream's text, to be shown as a usage error (C-022 to C-025).
pub fn parse(program: &str, words: &[String], host: &dyn Host) -> Result<Invocation, String> {
    let (options, rest) = getopt::parse(&definition(), words)?;
    if !rest.is_empty() {
        let shown: Vec<String> = rest.iter().map(|word| repr(word)).collect();
        return Err(format!("positional arguments are not supported: [{}]", shown.join(", ")));
    }
    let mut overrides = Overrides { argv0: program.to_owned(), ..Overrides::default() };
    let mut seen = Vec::new();
    let mut test = false;
    for option in options {
        let value = option.value.unwrap_or_default();
        match option.id.as_str() {
            "help" => return Ok(Invocation::Help),
            "version" => return Ok(Invocation::Version),
            "test" => test = true,
            name => overrides.set(name, &value, host).map_err(|text| {
                format!("invalid value for {} {}: {text}", option.spelled, repr(&value))
            })?,
        }
        if seen.contains(&option.id) {
            return Err(format!("conflicting command line option {}", repr(&option.spelled)));
        }
        seen.push(option.id);
    }
    let overrides = Box::new(overrides);
    Ok(if test { Invocation::Test(overrides) } else { Invocation::Run(overrides) })
}
