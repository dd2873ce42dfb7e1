//! The command line of supervisorctl (C-219, C-220).

use clap::{Arg, ArgAction, Command, ValueHint};

use crate::config::flags::server_url;
use crate::config::getopt::{self, Flag};
use crate::config::py::repr;

/// What the command line says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Arguments {
    /// `-c`: the configuration file.
    pub configuration: Option<String>,
    /// `-i`: ask before what cannot be undone, even with an action on the command line.
    pub interactive: bool,
    /// `-s`: where the daemon is.
    pub serverurl: Option<String>,
    /// `-u`.
    pub username: Option<String>,
    /// `-p`.
    pub password: Option<String>,
    /// `-r`: where the shell keeps its history.
    pub history_file: Option<String>,
    /// `--tls-ca`: whom `https://` servers have to be vouched for by.
    pub tls_ca: Option<String>,
    /// `--no-ask-password`: nobody is asked for a password.
    pub no_ask_password: bool,
    /// The action and its arguments (C-222).
    pub action: Vec<String>,
}

/// Why there is nothing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Early {
    /// `-h`.
    Help,
    /// A usage error.
    Usage(String),
}

/// The flags as upstream's rules for a command line want them; `definition` tells what they are.
const FLAGS: &[Flag] = &[
    Flag::value(Some('c'), "configuration"),
    Flag::switch(Some('h'), "help"),
    Flag::switch(Some('?'), ""),
    Flag::switch(Some('i'), "interactive"),
    Flag::value(Some('s'), "serverurl"),
    Flag::value(Some('u'), "username"),
    Flag::value(Some('p'), "password"),
    Flag::value(Some('r'), "history_file"),
    Flag::value(None, "tls-ca"),
    Flag::switch(None, "no-ask-password"),
];

/// The flags, for the help, completions and the man page.
///
/// clap does not parse them: its parser tells mistakes in other words than upstream, and forgets
/// how a repeated flag was spelled, which upstream's message names (C-023).
#[must_use]
pub fn definition() -> Command {
    let value = |short: char, long: &'static str, name: &'static str| {
        Arg::new(long).short(short).long(long).value_name(name)
    };
    let switch = |short: char, long: &'static str| {
        Arg::new(long).short(short).long(long).action(ArgAction::SetTrue)
    };
    Command::new("supervisorctl")
        .version(env!("CARGO_PKG_VERSION"))
        .disable_version_flag(true)
        .disable_help_flag(true)
        .about("Controls the programs that supervisord runs")
        .override_usage("supervisorctl [options] [action [arguments]]")
        .args([
            value('c', "configuration", "FILENAME")
                .value_hint(ValueHint::FilePath)
                .help("The configuration file; without it the usual places are searched"),
            switch('h', "help").short_alias('?').help("Print this help and exit"),
            switch('i', "interactive")
                .help("Start the shell; with an action: ask before shutdown and reload"),
            value('s', "serverurl", "URL").value_hint(ValueHint::Url).help(
                "Where supervisord is: dbus:system, dbus:session, dbus:unix:path=PATH, \
                 unix://PATH, http://HOST:PORT or https://HOST:PORT; without it, it is found by its configuration",
            ),
            value('u', "username", "USERNAME").help("The user name for the server"),
            value('p', "password", "PASSWORD").help("The password for the server"),
            value('r', "history_file", "FILENAME")
                .value_hint(ValueHint::FilePath)
                .help("Keep the history of the shell in this file"),
            Arg::new("tls-ca")
                .long("tls-ca")
                .value_name("FILENAME")
                .value_hint(ValueHint::FilePath)
                .help(
                    "Trust these certificates of https:// servers, or of their issuers, and no \
                     others",
                ),
            Arg::new("no-ask-password")
                .long("no-ask-password")
                .action(ArgAction::SetTrue)
                .help("Never ask for a password: what needs one on the system bus is refused"),
        ])
        .after_help(
            "Without an action a shell is started. The action \"help\" lists what there is.",
        )
}

/// Reads the command line, without the name of the program. The first argument that fails or
/// asks for help decides.
///
/// # Errors
/// [`Early`] when help was asked for, or with upstream's text for a mistake (C-022 to C-025,
/// C-055).
pub fn parse(words: &[String]) -> Result<Arguments, Early> {
    let (options, action) = getopt::parse(words, FLAGS).map_err(Early::Usage)?;
    let mut arguments = Arguments { action, ..Arguments::default() };
    for option in options {
        let value = option.value;
        let conflict = match option.flag.long {
            "help" | "" => return Err(Early::Help),
            "interactive" => std::mem::replace(&mut arguments.interactive, true),
            "no-ask-password" => std::mem::replace(&mut arguments.no_ask_password, true),
            "configuration" => arguments.configuration.replace(value).is_some(),
            "serverurl" => {
                let url = server_url(&option.typed, &value).map_err(Early::Usage)?;
                arguments.serverurl.replace(url).is_some()
            }
            "username" => arguments.username.replace(value).is_some(),
            "password" => arguments.password.replace(value).is_some(),
            "tls-ca" => arguments.tls_ca.replace(value).is_some(),
            _ => arguments.history_file.replace(value).is_some(),
        };
        if conflict {
            let flag = repr(&option.typed);
            return Err(Early::Usage(format!("conflicting command line option {flag}")));
        }
    }
    Ok(arguments)
}

/// The scheme of a URL in lower case, and what follows its colon.
#[must_use]
pub fn split_scheme(url: &str) -> Option<(String, &str)> {
    let (scheme, rest) = url.split_once(':')?;
    let mut chars = scheme.chars();
    let valid = chars.next().is_some_and(|c| c.is_ascii_alphabetic())
        && chars.all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    valid.then(|| (scheme.to_ascii_lowercase(), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<Arguments, Early> {
        parse(&words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn flags_come_before_the_action() {
        // C-219, C-222
        let words = ["-c", "f", "-ir", "h", "-uu", "-p", "p", "-s", "unix:///x", "tail", "-f"];
        let arguments = read(&words).unwrap();
        assert_eq!(arguments.configuration.as_deref(), Some("f"));
        assert!(arguments.interactive && !arguments.no_ask_password);
        assert!(read(&["--no-ask-password", "status"]).unwrap().no_ask_password);
        assert_eq!(arguments.history_file.as_deref(), Some("h"));
        assert_eq!(arguments.username.as_deref(), Some("u"));
        assert_eq!(arguments.password.as_deref(), Some("p"));
        assert_eq!(arguments.serverurl.as_deref(), Some("unix:///x"));
        assert_eq!(arguments.action, ["tail", "-f"]);
    }

    #[test]
    fn mistakes_are_told_in_the_order_of_the_flags() {
        // C-022, C-023, C-024, C-055
        let usage = |text: &str| Err(Early::Usage(text.to_owned()));
        assert_eq!(read(&["-i", "-i"]), usage("conflicting command line option '-i'"));
        assert_eq!(
            read(&["-u", "a", "--username=b"]),
            usage("conflicting command line option '--username'")
        );
        assert_eq!(
            read(&["--server", "foo"]),
            usage("invalid value for --serverurl 'foo': value 'foo' is not a URL")
        );
        assert_eq!(read(&["-h", "-s", "foo"]), Err(Early::Help));
        assert_eq!(read(&["-?", "status"]), Err(Early::Help));
        assert_eq!(read(&["-h", "-x"]), usage("option -x not recognized"));
    }

    #[test]
    fn every_flag_is_described() {
        let definition = definition();
        definition.clone().debug_assert();
        for flag in FLAGS.iter().filter(|flag| !flag.long.is_empty()) {
            let arg = definition.get_arguments().find(|arg| arg.get_long() == Some(flag.long));
            let arg = arg.unwrap_or_else(|| panic!("--{} is not described", flag.long));
            assert_eq!(arg.get_short(), flag.short);
            assert_eq!(matches!(arg.get_action(), ArgAction::Set), flag.takes_value);
        }
    }
}
