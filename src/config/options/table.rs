//! The entries of the table. Order is the order of the sample file and of the manual.

use super::Default::{Required, Unset, Value};
use super::Kind::{
    Address, Autorestart, Bool, Bytes, ChildLog, Command, Directory, Environment, ExitCodes,
    FilePath, Int, KillMode, Level, List, Octal, Owner, Path, Patterns, Signal, Socket, Text, Url,
    User,
};
use super::SectionKind::{
    CtlPlugin, EventListener, FcgiProgram, Group, Include, InetHttpServer, Program, RpcInterface,
    Supervisorctl, Supervisord, UnixHttpServer,
};
use super::{NameSet, OptionDef, SectionKind};

const PROGRAMS: &[SectionKind] = &[Program, FcgiProgram, EventListener];
const UNIX: &[SectionKind] = &[UnixHttpServer];
const INET: &[SectionKind] = &[InetHttpServer];
const SERVERS: &[SectionKind] = &[UnixHttpServer, InetHttpServer];
const DAEMON: &[SectionKind] = &[Supervisord];
const CTL: &[SectionKind] = &[Supervisorctl];
const FCGI: &[SectionKind] = &[FcgiProgram];
const LISTENER: &[SectionKind] = &[EventListener];

const ENV: NameSet = NameSet::ENV;
const HERE: NameSet = NameSet::HERE;
const SHARED: NameSet = NameSet::SHARED;
const PROCESS: NameSet = NameSet::PROCESS;

/// An entry that has been there since 3.0, and is expanded once.
const fn entry(
    sections: &'static [SectionKind],
    key: &'static str,
    kind: super::Kind,
    default: super::Default,
    names: NameSet,
    example: &'static str,
    doc: &'static str,
) -> OptionDef {
    let (second_pass, since) = (None, "3.0");
    OptionDef { sections, key, kind, default, names, second_pass, since, example, doc }
}

impl OptionDef {
    /// The same, expanded twice by upstream.
    const fn expanded_twice(mut self, names: NameSet) -> Self {
        self.second_pass = Some(names);
        self
    }

    /// The same, brought by a later version.
    const fn since(mut self, version: &'static str) -> Self {
        self.since = version;
        self
    }
}

/// All options of all sections.
#[rustfmt::skip]
pub static OPTIONS: &[OptionDef] = &[
    // HTTP servers.
    entry(UNIX, "file", Path, Required, HERE, "/tmp/supervisor.sock",
        "The path of the socket. A relative path is relative to the working directory at start."),
    entry(UNIX, "chmod", Octal, Value("0700"), ENV, "0700",
        "The permission bits of the socket."),
    entry(UNIX, "chown", Owner, Unset("unchanged"), ENV, "nobody:nogroup",
        "The owner of the socket, as user or user:group."),
    entry(INET, "port", Address, Required, ENV, "127.0.0.1:9001",
        "The address to listen on, as port or host:port. A star or nothing before the colon is every address."),
    entry(SERVERS, "username", Text, Unset("no authentication"), ENV, "user",
        "The user name that clients must give. Needs a password too."),
    entry(SERVERS, "password", Text, Unset("no authentication"), ENV, "123",
        "The password that clients must give. It stands here as it is, or as {SHA} and the SHA-1 of it in hexadecimal, or as the argon2 hash that the command argon2 SALT -id -e prints."),
    entry(SERVERS, "auth", Text, Unset("basic with a username, else none"), ENV, "basic",
        "Who may use this server. none: everybody who can connect. basic: who gives username and password. login: who opens a link that supervisorctl web prints; there is no password, and XML-RPC is closed. It does not count when an included file gives the server another address, or a username.").since("5.0"),

    entry(INET, "tls_certificate", Path, Unset("no TLS"), HERE, "/etc/ssl/certs/host.pem",
        "Serve HTTPS with the certificates in this PEM file. The server's own is first, then come those between it and the authority. There is no plain HTTP on this port then. The file is read again when it changes. Needs tls_key too.").since("5.0"),
    entry(INET, "tls_key", Path, Unset("no TLS"), HERE, "/etc/ssl/private/host.key",
        "The PEM file with the private key of tls_certificate. It has no passphrase, and may be the same file. Where supervisord gives root up, it is read before that, and again when it changes if the user may read it.").since("5.0"),

    // The daemon.
    entry(DAEMON, "logfile", FilePath, Value("supervisord.log"), HERE, "/tmp/supervisord.log",
        "The log of supervisord itself. The word syslog sends it to syslog only, the word journal to the journal of systemd only."),
    entry(DAEMON, "logfile_maxbytes", Bytes, Value("50MB"), HERE, "50MB",
        "Rotate the log at this size. 0 is never, which is needed for a log that is no regular file."),
    entry(DAEMON, "logfile_backups", Int, Value("10"), HERE, "10",
        "Rotated logs to keep. 0 keeps none and truncates the log instead."),
    entry(DAEMON, "loglevel", Level, Value("info"), HERE, "info",
        "What is logged: critical, error, warn, info, debug, trace or blather. Each level includes those before it."),
    entry(DAEMON, "pidfile", FilePath, Value("supervisord.pid"), HERE, "/tmp/supervisord.pid",
        "The file that holds the process id. The socket of the private D-Bus server is beside it."),
    entry(DAEMON, "nodaemon", Bool, Value("false"), HERE, "false",
        "Stay in the foreground."),
    entry(DAEMON, "silent", Bool, Value("false"), HERE, "false",
        "In the foreground, do not copy the log to standard output.").since("4.2.0"),
    entry(DAEMON, "minfds", Int, Value("1024"), HERE, "1024",
        "File descriptors that must be available. The limit is raised when it is lower, and supervisord does not start when that fails."),
    entry(DAEMON, "minprocs", Int, Value("200"), HERE, "200",
        "Processes that must be available. Treated as minfds is."),
    entry(DAEMON, "umask", Octal, Value("022"), HERE, "022",
        "The file mode mask when daemonized."),
    entry(DAEMON, "user", User, Unset("no change"), HERE, "supervisor",
        "The user to become at start. Needs root, and sets the user's groups too."),
    entry(DAEMON, "identifier", Text, Value("supervisor"), HERE, "supervisor",
        "The name of this supervisord in events and in names of AUTO logs."),
    entry(DAEMON, "directory", Directory, Unset("no change"), HERE, "/srv",
        "The working directory when daemonized."),
    entry(DAEMON, "nocleanup", Bool, Value("false"), HERE, "false",
        "Keep AUTO logs of an earlier run."),
    entry(DAEMON, "childlogdir", Directory, Unset("the directory for temporary files"), HERE, "/tmp",
        "The directory of AUTO logs."),
    entry(DAEMON, "strip_ansi", Bool, Value("false"), HERE, "false",
        "Remove ANSI escape sequences from the logs of programs."),
    entry(DAEMON, "environment", Environment, Value(""), HERE, "KEY=\"value\"",
        "Variables for all programs. They are also known as ENV_KEY in the sections of programs, groups and servers.")
        .expanded_twice(HERE.and(NameSet::HOST)),
    entry(DAEMON, "profile_options", Text, Unset("no profiling"), HERE, "cumulative,calls",
        "Accepted and without effect: there is no Python to profile."),

    // The client.
    entry(CTL, "serverurl", Url, Value("http://localhost:9001"), HERE, "unix:///tmp/supervisor.sock",
        "Where supervisord listens, as unix://, http:// or https:// URL."),
    entry(CTL, "username", Text, Unset("none"), ENV, "user",
        "The user name that the server asks for."),
    entry(CTL, "password", Text, Unset("none"), ENV, "123",
        "The password that the server asks for."),
    entry(CTL, "prompt", Text, Value("supervisor"), ENV, "supervisor",
        "The prompt of the shell."),
    entry(CTL, "history_file", Path, Unset("no history"), HERE, "~/.supervisorctl_history",
        "The file that keeps the history of the shell."),
    entry(CTL, "tls_ca", Path, Unset("the authorities that this machine trusts"), HERE, "/etc/ssl/certs/own-ca.pem",
        "The PEM file with certificates of authorities, or of servers themselves. Servers at https:// URLs are trusted by them and by nothing else. The flag --tls-ca wins over it.").since("5.0"),

    // Programs.
    entry(PROGRAMS, "command", Command, Required, PROCESS, "/bin/cat",
        "The program and its arguments. Found in PATH when it has no slash, split as a POSIX shell splits words, and run without a shell."),
    entry(PROGRAMS, "process_name", Text, Value("%(program_name)s"), PROCESS, "%(program_name)s_%(process_num)02d",
        "The name of each process. Must contain %(process_num) when numprocs is greater than 1."),
    entry(PROGRAMS, "numprocs", Int, Value("1"), SHARED, "1",
        "How many processes to run."),
    entry(PROGRAMS, "numprocs_start", Int, Value("0"), SHARED, "0",
        "The number of the first process."),
    entry(PROGRAMS, "directory", Path, Unset("that of supervisord"), PROCESS, "/srv",
        "Where the program runs."),
    entry(PROGRAMS, "umask", Octal, Unset("that of supervisord"), SHARED, "022",
        "The file mode mask of the program."),
    entry(PROGRAMS, "priority", Int, Value("999"), SHARED, "999",
        "The order of starting: lower numbers start first and stop last. It orders groups too; an event listener pool is -1 among groups when nothing is set."),
    entry(PROGRAMS, "autostart", Bool, Value("true"), SHARED, "true",
        "Start it together with supervisord."),
    entry(PROGRAMS, "startsecs", Int, Value("1"), SHARED, "1",
        "Seconds the program must stay up before the start counts as successful. 0 is at once."),
    entry(PROGRAMS, "startretries", Int, Value("3"), SHARED, "3",
        "Failed starts in a row before it is given up. Each attempt waits a second longer than the one before."),
    entry(PROGRAMS, "autorestart", Autorestart, Value("unexpected"), SHARED, "unexpected",
        "When to restart a program that ended: true, false or unexpected. Unexpected is any exit code that is not in exitcodes."),
    entry(PROGRAMS, "exitcodes", ExitCodes, Value("0"), SHARED, "0",
        "Exit codes that are expected, between commas."),
    entry(PROGRAMS, "stopsignal", Signal, Value("TERM"), SHARED, "TERM",
        "The signal that asks the program to stop."),
    entry(PROGRAMS, "stopwaitsecs", Int, Value("10"), SHARED, "10",
        "Seconds the program gets to stop before it is killed."),
    entry(PROGRAMS, "stopasgroup", Bool, Value("false"), SHARED, "false",
        "Send the stop signal to the whole process group. Implies killasgroup."),
    entry(PROGRAMS, "killasgroup", Bool, Unset("stopasgroup"), SHARED, "false",
        "Kill the whole process group."),
    entry(PROGRAMS, "killmode", KillMode, Value("control-group"), SHARED, "control-group",
        "What is ended with the program: control-group, mixed or process. When its main process is gone, control-group sends SIGTERM to what it left behind in its control group, and SIGKILL after stopwaitsecs or 5 seconds, whichever is less; mixed sends SIGKILL at once; process leaves it alone, as Supervisor 4 does. Until it is gone the program has not stopped, and is not started again. Without a control group of its own its process group counts, and descendants that were seen when it was told to stop.").since("5.0"),
    entry(PROGRAMS, "user", User, Unset("that of supervisord"), SHARED, "nobody",
        "The user that runs the program. Needs a supervisord that runs as root."),
    entry(PROGRAMS, "redirect_stderr", Bool, Value("false"), SHARED, "false",
        "Send standard error where standard output goes. Not for event listeners."),
    entry(PROGRAMS, "stdout_logfile", ChildLog, Value("AUTO"), PROCESS, "/tmp/x.log",
        "The log of standard output: a path, NONE, AUTO or JOURNAL. An AUTO log is in childlogdir and goes away at the next start of supervisord. JOURNAL sends each line to the journal of systemd under the name of the program.")
        .expanded_twice(PROCESS),
    entry(PROGRAMS, "stdout_logfile_maxbytes", Bytes, Value("50MB"), PROCESS, "50MB",
        "Rotate that log at this size. 0 is never, which is needed for a log that is no regular file."),
    entry(PROGRAMS, "stdout_logfile_backups", Int, Value("10"), PROCESS, "10",
        "Rotated logs to keep. 0 keeps none and truncates the log instead."),
    entry(PROGRAMS, "stdout_capture_maxbytes", Bytes, Value("0"), SHARED, "1MB",
        "Bytes kept of a PROCESS_COMMUNICATION event. 0 turns such events off."),
    entry(PROGRAMS, "stdout_events_enabled", Bool, Value("false"), SHARED, "false",
        "Emit a PROCESS_LOG_STDOUT event for all output."),
    entry(PROGRAMS, "stdout_syslog", Bool, Value("false"), PROCESS, "false",
        "Send standard output to syslog too, with the name of the process.").since("4.0.0"),
    entry(PROGRAMS, "stderr_logfile", ChildLog, Value("AUTO"), PROCESS, "/tmp/x.err",
        "The log of standard error: a path, NONE, AUTO or JOURNAL. Not used with redirect_stderr.")
        .expanded_twice(PROCESS),
    entry(PROGRAMS, "stderr_logfile_maxbytes", Bytes, Value("50MB"), PROCESS, "50MB",
        "Rotate that log at this size. 0 is never, which is needed for a log that is no regular file."),
    entry(PROGRAMS, "stderr_logfile_backups", Int, Value("10"), PROCESS, "10",
        "Rotated logs to keep. 0 keeps none and truncates the log instead."),
    entry(PROGRAMS, "stderr_capture_maxbytes", Bytes, Value("0"), SHARED, "1MB",
        "Bytes kept of a PROCESS_COMMUNICATION event. 0 turns such events off."),
    entry(PROGRAMS, "stderr_events_enabled", Bool, Value("false"), SHARED, "false",
        "Emit a PROCESS_LOG_STDERR event for all output."),
    entry(PROGRAMS, "stderr_syslog", Bool, Value("false"), PROCESS, "false",
        "Send standard error to syslog too, with the name of the process.").since("4.0.0"),
    entry(PROGRAMS, "environment", Environment, Value(""), SHARED.and(NameSet::NUMBER), "A=\"1\",B=\"2\"",
        "Variables for the program, over those of [supervisord]. They are known as ENV_KEY in the section's other options of one process."),
    entry(PROGRAMS, "serverurl", Text, Value("AUTO"), SHARED, "AUTO",
        "What SUPERVISOR_SERVER_URL tells the program. AUTO is the first unix server, else the first inet server."),

    // What only FastCGI programs and event listeners have.
    entry(FCGI, "socket", Socket, Required, HERE.and(NameSet::PROGRAM), "unix:///tmp/%(program_name)s.sock",
        "The FastCGI socket: unix:///path or tcp://host:port. All processes of the program share it as their standard input."),
    entry(FCGI, "socket_backlog", Int, Unset("the system's maximum"), HERE, "1024",
        "Connections that may wait, from 1 to 65535.").since("3.4.0"),
    entry(FCGI, "socket_owner", Owner, Unset("the user of the program"), HERE, "www-data:www-data",
        "The owner of a unix socket, as user or user:group."),
    entry(FCGI, "socket_mode", Octal, Unset("0700"), HERE, "0700",
        "The permission bits of a unix socket."),
    entry(LISTENER, "events", List, Required, HERE, "PROCESS_STATE,TICK_60",
        "The types of events to receive, between commas."),
    entry(LISTENER, "buffer_size", Int, Value("1000"), HERE, "1000",
        "Events that wait while no listener is ready. When there are more, or when they have more than 8 MB of text, the oldest is discarded."),
    entry(LISTENER, "event_length", Text, Value("characters"), HERE, "bytes",
        "What len counts in the header of an event. characters: right for listeners that read text, which is what Python's sys.stdin gives. bytes: right for those that read bytes. The two differ when the text is not ASCII.").since("5.0"),
    entry(LISTENER, "result_handler", Text, Value("supervisor.dispatchers:default_handler"), HERE, "supervisor.dispatchers:default_handler",
        "What judges the results of listeners. Only the built-in handler can be used."),

    // The rest.
    entry(&[Include], "files", Patterns, Required, HERE.and(NameSet::HOST), "conf.d/*.conf",
        "Files to read as well, between blanks. Patterns may contain stars, question marks and brackets; relative ones start at the directory of this file."),
    entry(&[Group], "programs", List, Unset("an empty group"), HERE, "web,worker",
        "The programs in the group, between commas. They are then no groups of their own."),
    entry(&[Group], "priority", Int, Value("999"), HERE, "999",
        "The order among groups: lower numbers start first and stop last."),
    entry(&[RpcInterface], "supervisor.rpcinterface_factory", Text, Required, ENV, "supervisor.rpcinterface:make_main_rpcinterface",
        "What provides the interface. Only the built-in one, supervisor.rpcinterface:make_main_rpcinterface, can be used."),
    entry(&[CtlPlugin], "supervisor.ctl_factory", Text, Required, ENV, "package.module:make_plugin",
        "A Python plugin of supervisorctl. It cannot be loaded, and is reported."),
];
