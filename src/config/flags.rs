//! The command line's values of `supervisord` (C-022 to C-025, C-065, C-116, C-117).

use serde::{Deserialize, Serialize};

use super::getopt::{self, Flag};
use super::host::Host;
use super::py::repr;
use super::values;
use crate::model::record::Level;

/// The flags of `supervisord`.
pub const FLAGS: &[Flag] = &[
    Flag::switch(Some('h'), "help"),
    Flag::switch(Some('?'), ""),
    Flag::switch(Some('v'), "version"),
    Flag::value(Some('c'), "configuration"),
    Flag::switch(Some('n'), "nodaemon"),
    Flag::switch(Some('s'), "silent"),
    Flag::switch(Some('k'), "nocleanup"),
    Flag::switch(Some('t'), "test-config"),
    Flag::switch(None, "strip_ansi"),
    Flag::value(Some('u'), "user"),
    Flag::value(Some('m'), "umask"),
    Flag::value(Some('d'), "directory"),
    Flag::value(Some('i'), "identifier"),
    Flag::value(Some('l'), "logfile"),
    Flag::value(Some('y'), "logfile_maxbytes"),
    Flag::value(Some('z'), "logfile_backups"),
    Flag::value(Some('e'), "loglevel"),
    Flag::value(Some('j'), "pidfile"),
    Flag::value(Some('q'), "childlogdir"),
    Flag::value(Some('a'), "minfds"),
    Flag::value(None, "minprocs"),
    Flag::value(None, "profile_options"),
];

/// What the command line says over the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overrides {
    /// `argv[0]`: where the search for a configuration starts (C-001).
    pub argv0: String,
    /// The directory that relative paths of the daemon start at; none is the working directory.
    /// Set it to the directory at start, so that a reload after `directory=` finds the same
    /// files (C-416, C-417).
    pub base: Option<String>,
    /// The configuration file as typed; none searches for it.
    pub config_file: Option<String>,
    /// Stay in the foreground.
    pub nodaemon: bool,
    /// No copy of the log on standard output.
    pub silent: bool,
    /// Keep AUTO logs.
    pub nocleanup: bool,
    /// Remove ANSI escapes from child logs.
    pub strip_ansi: bool,
    /// The user as typed; it is looked up when the configuration is loaded.
    pub user: Option<String>,
    /// The file mode mask.
    pub umask: Option<u32>,
    /// An existing directory.
    pub directory: Option<String>,
    /// The identifier.
    pub identifier: Option<String>,
    /// A path in an existing directory, or `syslog`.
    pub logfile: Option<String>,
    /// Bytes.
    pub logfile_maxbytes: Option<i64>,
    /// A count.
    pub logfile_backups: Option<i64>,
    /// A level.
    pub loglevel: Option<Level>,
    /// A path in an existing directory.
    pub pidfile: Option<String>,
    /// An existing directory.
    pub childlogdir: Option<String>,
    /// File descriptors.
    pub minfds: Option<i64>,
    /// Processes.
    pub minprocs: Option<i64>,
}

/// What a command line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Invocation {
    /// Show the help.
    Help,
    /// Show the version.
    Version,
    /// Say whether the configuration is valid. Upstream's `-t` is `--strip_ansi`.
    Test(Box<Overrides>),
    /// Run, with these values.
    Run(Box<Overrides>),
}

/// Reads the arguments of `supervisord`, without `argv[0]`. In the order of the arguments, the
/// first that fails or asks for information decides (C-115).
///
/// # Errors
/// Upstream's message, to be shown as a usage error (C-018, C-022 to C-025).
pub fn parse(argv0: &str, args: &[String], host: &dyn Host) -> Result<Invocation, String> {
    let (options, rest) = getopt::parse(args, FLAGS)?;
    if !rest.is_empty() {
        let shown: Vec<String> = rest.iter().map(|arg| repr(arg)).collect();
        return Err(format!("positional arguments are not supported: [{}]", shown.join(", ")));
    }
    let mut overrides = Overrides { argv0: argv0.to_owned(), ..Overrides::default() };
    let mut seen = Vec::new();
    let mut test = false;
    for given in options {
        match given.flag.long {
            "help" | "" => return Ok(Invocation::Help),
            "version" => return Ok(Invocation::Version),
            name => {
                test |= name == "test-config";
                overrides.set(name, &given.value, host).map_err(|message| {
                    format!("invalid value for {} {}: {message}", given.typed, repr(&given.value))
                })?;
                if seen.contains(&name) {
                    return Err(format!("conflicting command line option {}", repr(&given.typed)));
                }
                seen.push(name);
            }
        }
    }
    let overrides = Box::new(overrides);
    Ok(if test { Invocation::Test(overrides) } else { Invocation::Run(overrides) })
}

impl Overrides {
    /// Converts and keeps the value of the flag of this long name.
    ///
    /// # Errors
    /// Upstream's message about the value.
    pub fn set(&mut self, name: &str, value: &str, host: &dyn Host) -> Result<(), String> {
        let text = || Some(value.to_owned());
        match name {
            "configuration" => self.config_file = text(),
            "nodaemon" => self.nodaemon = true,
            "silent" => self.silent = true,
            "nocleanup" => self.nocleanup = true,
            "strip_ansi" => self.strip_ansi = true,
            "user" => self.user = text(),
            "umask" => self.umask = Some(values::octal(value)?),
            "directory" => self.directory = Some(values::existing_directory(host, value)?),
            "identifier" => self.identifier = text(),
            "logfile" => self.logfile = Some(values::existing_dirpath(host, value)?),
            "logfile_maxbytes" => self.logfile_maxbytes = Some(values::byte_size(value)?),
            "logfile_backups" => self.logfile_backups = Some(values::integer(value)?),
            "loglevel" => self.loglevel = Some(values::level(value)?),
            "pidfile" => self.pidfile = Some(values::existing_dirpath(host, value)?),
            "childlogdir" => self.childlogdir = Some(values::existing_directory(host, value)?),
            "minfds" => self.minfds = Some(values::integer(value)?),
            "minprocs" => self.minprocs = Some(values::integer(value)?),
            // `profile_options` is accepted and has no effect (C-117).
            _ => {}
        }
        Ok(())
    }

    /// The directory that relative paths of the daemon start at.
    pub(crate) fn base(&self, host: &dyn Host) -> String {
        self.base.clone().unwrap_or_else(|| host.cwd())
    }
}

/// The `-s` flag of `supervisorctl` (C-055): `invalid value for -s 'foo': MSG`.
///
/// # Errors
/// The text is not a URL.
pub fn server_url(typed: &str, value: &str) -> Result<String, String> {
    values::url(value)
        .map_err(|message| format!("invalid value for {typed} {}: {message}", repr(value)))
}

#[cfg(test)]
mod tests {
    use super::super::testing::MemoryHost;
    use super::*;

    fn read(args: &[&str]) -> Result<Invocation, String> {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        parse("supervisord", &args, &MemoryHost::new())
    }

    fn overrides(args: &[&str]) -> Overrides {
        match read(args) {
            Ok(Invocation::Run(overrides)) => *overrides,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_flag_has_its_value() {
        // C-116, C-117
        let all = overrides(&[
            "-nsk",
            "--strip_ansi",
            "-c",
            "x",
            "-u",
            "u",
            "-m",
            "077",
            "-d",
            "/etc",
            "-i",
            "id",
            "-l",
            "/tmp/l",
            "-y",
            "1KB",
            "-z",
            "2",
            "-e",
            "DEBUG",
            "-j",
            "p",
            "-q",
            "/tmp",
            "-a",
            "3",
            "--minprocs=4",
            "--profile_options=calls",
        ]);
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(
            all,
            Overrides {
                argv0: "supervisord".to_owned(),
                base: None,
                config_file: text("x"),
                nodaemon: true,
                silent: true,
                nocleanup: true,
                strip_ansi: true,
                user: text("u"),
                umask: Some(0o77),
                directory: text("/etc"),
                identifier: text("id"),
                logfile: text("/tmp/l"),
                logfile_maxbytes: Some(1024),
                logfile_backups: Some(2),
                loglevel: Some(Level::Debug),
                pidfile: text("p"),
                childlogdir: text("/tmp"),
                minfds: Some(3),
                minprocs: Some(4),
            }
        );
    }

    #[test]
    fn a_test_of_the_configuration_is_asked_for() {
        for flag in ["-t", "--test-config"] {
            let asked = read(&["-c", "x", flag]);
            assert!(matches!(&asked, Ok(Invocation::Test(o)) if !o.strip_ansi), "{asked:?}");
        }
    }

    #[test]
    fn the_first_argument_that_decides_decides() {
        // C-022, C-023, C-024, C-115
        assert_eq!(read(&["-c", "x", "-?", "-e", "loud"]), Ok(Invocation::Help));
        assert_eq!(read(&["--vers"]), Ok(Invocation::Version));
        for (args, message) in [
            (
                &["-e", "loud", "-h"][..],
                "invalid value for -e 'loud': bad logging level name 'loud'",
            ),
            (&["--loglevel=x"], "invalid value for --loglevel 'x': bad logging level name 'x'"),
            (&["-d", "/no"], "invalid value for -d '/no': /no is not an existing directory"),
            (&["-n", "-n"], "conflicting command line option '-n'"),
            (
                &["-c", "a", "--configuration=b"],
                "conflicting command line option '--configuration'",
            ),
            (&["foo", "it's"], "positional arguments are not supported: ['foo', \"it's\"]"),
        ] {
            assert_eq!(read(args).unwrap_err(), message);
        }
        assert_eq!(
            server_url("-s", "foo").unwrap_err(),
            "invalid value for -s 'foo': value 'foo' is not a URL"
        );
    }
}
