//! `[program:x]`, `[fcgi-program:x]` and `[eventlistener:x]`: one section, many processes
//! (C-034 to C-039, C-077 to C-091).

use std::path::PathBuf;
use std::sync::Arc;

use super::daemon::pairs;
use super::options::{OptionDef, SectionKind, option};
use super::reader::{Context, Scope};
use super::values::{self, ChildLog};
use crate::model::name::ProcessName;
use crate::model::spec::{LogFile, LogSpec, ProcessKind, ProcessSpec};

/// More processes than this in one section are a mistake, not a wish. What is found by random input
/// is found with few.
const MOST_PROCESSES: i64 = if cfg!(fuzzing) { 16 } else { 100_000 };

/// Reads the processes of a section for a group, sorted by priority and name (C-091). Options are
/// read in upstream's order, so that the first error is upstream's.
pub(crate) fn processes(
    scope: Scope<'_>,
    group: &str,
    kind: &ProcessKind,
    global: &[(String, String)],
) -> Vec<Arc<ProcessSpec>> {
    let section_name = scope.section.name.as_str();
    let scope = Scope { in_program: true, ..scope };
    let host = scope.reader.host;
    let title = section_name.split_once(':').map_or("", |(_, title)| title);
    let program = match values::name(title) {
        Ok(name) => name,
        Err(message) => {
            scope.wrong_section(message);
            return Vec::new();
        }
    };
    let shared = Context { program: &program, group, ..Context::default() };
    let scope = scope.with(shared);

    let priority = scope.int(option!(Program, "priority"));
    let autostart = scope.bool(option!(Program, "autostart"));
    let autorestart = scope.read(option!(Program, "autorestart"), values::autorestart);
    let startsecs = scope.int(option!(Program, "startsecs"));
    let startretries = scope.int(option!(Program, "startretries"));
    let stopsignal = scope.read(option!(Program, "stopsignal"), values::signal);
    let stopwaitsecs = scope.int(option!(Program, "stopwaitsecs"));
    let stopasgroup = scope.bool(option!(Program, "stopasgroup"));
    let killasgroup = match scope.given(option!(Program, "killasgroup")) {
        Some(_) => scope.read(option!(Program, "killasgroup"), values::boolean),
        None => Some(stopasgroup),
    };
    let killmode = scope.read(option!(Program, "killmode"), values::kill_mode);
    let exitcodes = scope.read(option!(Program, "exitcodes"), values::exit_codes);
    let redirect_stderr = scope.bool(option!(Program, "redirect_stderr"));
    let numprocs = scope.read(option!(Program, "numprocs"), values::integer).unwrap_or(1);
    let numprocs_start = scope.int(option!(Program, "numprocs_start"));
    let capture = [
        (
            scope.bytes(option!(Program, "stdout_capture_maxbytes")),
            scope.bool(option!(Program, "stdout_events_enabled")),
        ),
        (
            scope.bytes(option!(Program, "stderr_capture_maxbytes")),
            scope.bool(option!(Program, "stderr_events_enabled")),
        ),
    ];
    let serverurl = scope.text(option!(Program, "serverurl"));
    let serverurl = serverurl.filter(|url| !url.trim().eq_ignore_ascii_case("auto"));
    let user = scope.read(option!(Program, "user"), |text| values::user(host, text));
    let umask = scope.octal(option!(Program, "umask"));
    check_process_name(&scope, numprocs);
    if stopasgroup && killasgroup == Some(false) {
        scope.wrong(
            option!(Program, "killasgroup"),
            "Cannot set stopasgroup=true and killasgroup=false",
        );
    }
    if numprocs > MOST_PROCESSES {
        let message = format!("numprocs={numprocs} is more than {MOST_PROCESSES}");
        scope.wrong(option!(Program, "numprocs"), message);
    }

    let mut specs = Vec::new();
    for number in 0..numprocs.min(MOST_PROCESSES) {
        let process_num = numprocs_start.saturating_add(number);
        let scope = scope.with(Context { process_num, numprocs, ..shared });
        let environment = pairs(&scope, option!(Program, "environment"));
        let scope = scope.with(Context { own: &environment, ..scope.context });

        let directory = scope.text(option!(Program, "directory")).map(PathBuf::from);
        let stdout = log(&scope, &STDOUT, capture[0]);
        let mut stderr = log(&scope, &STDERR, capture[1]);
        if redirect_stderr {
            if stderr.file == LogFile::Journal {
                scope.warn(format!(
                    "For [{section_name}], stderr_logfile=journal has no effect with \
                     redirect_stderr=true: stdout_logfile says where standard error goes"
                ));
            }
            if let LogFile::Path(_) = stderr.file {
                scope.warn(format!(
                    "For [{section_name}], redirect_stderr=true but stderr_logfile has also been \
                     set to a filename, the filename has been ignored"
                ));
            }
            stderr.file = LogFile::None;
        }
        let command = scope.text(option!(Program, "command"));
        if scope.given(option!(Program, "command")).is_none() {
            scope.wrong_section(format!(
                "program section {section_name} does not specify a command"
            ));
        }
        let name = process_name(&scope);
        let (Some(name), Some(command)) = (name, command) else { continue };
        specs.push(Arc::new(ProcessSpec {
            name: ProcessName::new(group, name),
            program: Arc::from(program.as_str()),
            kind: kind.clone(),
            command,
            directory,
            umask,
            user: user.clone(),
            environment: merged(global, &environment),
            serverurl: serverurl.clone(),
            server_url: None,
            priority,
            autostart,
            autorestart: autorestart.unwrap_or(crate::model::spec::Autorestart::Unexpected),
            startsecs,
            startretries,
            exitcodes: exitcodes.clone().unwrap_or_default(),
            stopsignal: stopsignal.unwrap_or(crate::model::signal::Signal::TERM),
            stopwaitsecs,
            stopasgroup,
            killasgroup: killasgroup.unwrap_or(stopasgroup),
            killmode: killmode.unwrap_or(crate::model::spec::KillMode::ControlGroup),
            redirect_stderr,
            stdout,
            stderr,
        }));
    }
    specs.sort_by(|a, b| (a.priority, &a.name.process).cmp(&(b.priority, &b.name.process)));
    specs
}

/// Checks `process_name` as it stands, before anything is put in (C-039, C-078).
fn check_process_name(scope: &Scope<'_>, numprocs: i64) {
    const NAME: &OptionDef = option!(Program, "process_name");
    let template = scope.raw(NAME).unwrap_or_default();
    if let Err(message) = values::name(template) {
        scope.wrong(NAME, message);
    }
    if numprocs > 1 && !template.contains("%(process_num)") {
        scope.wrong(NAME, "%(process_num) must be present within process_name when numprocs > 1");
    }
}

/// The name of one process. It is trimmed before it is expanded.
fn process_name(scope: &Scope<'_>) -> Option<String> {
    scope.text(option!(Program, "process_name"))
}

/// The options of one channel.
struct Channel {
    logfile: &'static OptionDef,
    maxbytes: &'static OptionDef,
    backups: &'static OptionDef,
    syslog: &'static OptionDef,
}

const STDOUT: Channel = Channel {
    logfile: option!(Program, "stdout_logfile"),
    maxbytes: option!(Program, "stdout_logfile_maxbytes"),
    backups: option!(Program, "stdout_logfile_backups"),
    syslog: option!(Program, "stdout_syslog"),
};

const STDERR: Channel = Channel {
    logfile: option!(Program, "stderr_logfile"),
    maxbytes: option!(Program, "stderr_logfile_maxbytes"),
    backups: option!(Program, "stderr_logfile_backups"),
    syslog: option!(Program, "stderr_syslog"),
};

/// The log of one channel (C-051, C-086 to C-089).
fn log(scope: &Scope<'_>, channel: &Channel, (capture, events): (i64, bool)) -> LogSpec {
    let host = scope.reader.host;
    let section = &scope.section.name;
    let read = scope.read(channel.logfile, |text| values::child_log(host, text));
    let backups = scope.int(channel.backups);
    let maxbytes = scope.bytes(channel.maxbytes);
    let mut syslog = scope.bool(channel.syslog);
    let key = channel.logfile.key;
    let file = match read.unwrap_or(ChildLog::File(LogFile::None)) {
        ChildLog::File(file) => file,
        ChildLog::Syslog => {
            scope.warn(format!(
                "For [{section}], {key}=syslog but this is deprecated and will be removed.  \
                 Use {}=true to enable syslog instead.",
                channel.syslog.key
            ));
            syslog = true;
            LogFile::None
        }
    };
    if file == LogFile::Auto && maxbytes == 0 {
        scope.warn(format!(
            "For [{section}], AUTO logging used for {key} without rollover, set maxbytes > 0 to \
             avoid filling up filesystem unintentionally"
        ));
    }
    let capture_maxbytes = capture;
    LogSpec { file, maxbytes, backups, capture_maxbytes, events_enabled: events, syslog }
}

/// `[supervisord] environment` with the program's own over it, sorted (C-064).
fn merged(global: &[(String, String)], own: &[(String, String)]) -> Vec<(String, String)> {
    let mut all: std::collections::BTreeMap<_, _> = global.iter().cloned().collect();
    all.extend(own.iter().cloned());
    all.into_iter().collect()
}

/// The kinds of section that define processes.
pub(crate) const KINDS: [SectionKind; 3] =
    [SectionKind::Program, SectionKind::EventListener, SectionKind::FcgiProgram];

#[cfg(test)]
mod tests {
    use super::super::settings::Settings;
    use super::super::testing::{MemoryHost, errors, load, load_text};
    use super::*;
    use crate::model::signal::Signal;
    use crate::model::spec::{Autorestart, KillMode};

    fn text(options: &str) -> String {
        format!("[program:a]\ncommand=x\n{options}\n")
    }

    fn settings(options: &str) -> Settings {
        load_text(&text(options)).unwrap()
    }

    fn process(options: &str) -> ProcessSpec {
        (*settings(options).groups[0].processes[0]).clone()
    }

    fn error(options: &str) -> String {
        errors(&text(options))
    }

    #[test]
    fn defaults_are_upstreams() {
        // C-080 to C-083, C-086 to C-088
        let log = LogSpec {
            file: LogFile::Auto,
            maxbytes: 50 << 20,
            backups: 10,
            capture_maxbytes: 0,
            events_enabled: false,
            syslog: false,
        };
        assert_eq!(
            process(""),
            ProcessSpec {
                name: ProcessName::new("a", "a"),
                program: "a".into(),
                kind: ProcessKind::Program,
                command: "x".to_owned(),
                directory: None,
                umask: None,
                user: None,
                environment: vec![],
                serverurl: None,
                server_url: None,
                priority: 999,
                autostart: true,
                autorestart: Autorestart::Unexpected,
                startsecs: 1,
                startretries: 3,
                exitcodes: vec![0],
                stopsignal: Signal::TERM,
                stopwaitsecs: 10,
                stopasgroup: false,
                killasgroup: false,
                killmode: KillMode::ControlGroup,
                redirect_stderr: false,
                stdout: log.clone(),
                stderr: log,
            }
        );
    }

    #[test]
    fn processes_are_numbered_and_sorted_as_text() {
        // C-035, C-078, C-079, C-091
        let names = |options: &str| -> Vec<String> {
            let settings = settings(options);
            settings.groups[0].processes.iter().map(|p| p.name.process.to_string()).collect()
        };
        let numbered = "process_name=%(program_name)s_%(process_num)d\nnumprocs=3\n";
        assert_eq!(names(&format!("{numbered}numprocs_start=9")), ["a_10", "a_11", "a_9"]);
        assert_eq!(names("numprocs=0"), [""; 0]);
        assert_eq!(names("numprocs=-1"), [""; 0]);
        assert_eq!(
            error("numprocs=2"),
            "%(process_num) must be present within process_name when numprocs > 1 in section \
             'program:a' (file: '/etc/s.conf') at line 2, option 'process_name'"
        );
        assert!(error("numprocs=1000000000\nprocess_name=%(process_num)d").contains("100000"));
    }

    #[test]
    fn shared_options_do_not_know_the_number() {
        // C-027, C-034, C-035, C-036, C-043
        let process = process("stdout_logfile_maxbytes=1%(process_num)d\ndirectory=/%(numprocs)s");
        assert_eq!(process.stdout.maxbytes, 10);
        assert_eq!(process.directory, Some("/1".into()));
        assert_eq!(
            error("startsecs=%(process_num)d"),
            "Format string '%(process_num)d' for 'program:a.startsecs' contains names \
             ('process_num') which cannot be expanded. Available names: group_name, here, \
             host_node_name, program_name in section 'program:a' (file: '/etc/s.conf') at line 4, \
             option 'startsecs'"
        );
        let early = error("priority=%(program_name)s");
        assert!(early.contains("Available names: here (section 'program:a'"), "{early}");
    }

    #[test]
    fn own_variables_are_known_to_the_options_of_one_process() {
        // C-037, C-038, C-029
        let host = MemoryHost::with(&format!(
            "[supervisord]\n{}",
            text(
                "environment=A=\"%(process_num)d\",H=own\ncommand=%(ENV_A)s %(ENV_H)s %(ENV_P)s\n\
                 process_name=%(ENV_A)s%(ENV_S)s\nstdout_logfile=/tmp/100%%%%-%(ENV_P)s\n\
                 stderr_logfile=/tmp/100%%"
            )
        ))
        .variable("H", "host")
        .variable("S", "/b")
        .variable("P", "5%(x)s%");
        let process = load(&host).unwrap().groups[0].processes[0].clone();
        assert_eq!(process.command, "0 own 5%(x)s%");
        assert_eq!(&*process.name.process, "0/b", "C-039: the check is before the expansion");
        assert_eq!(process.stdout.file, LogFile::Path("/tmp/100%-5%(x)s%".into()));
        assert_eq!(process.stderr.file, LogFile::Path("/tmp/100%".into()));
        let message = error("environment=A=1,B=%(ENV_A)s");
        assert!(message.starts_with("Format string 'A=1,B=%(ENV_A)s' for 'environment' contains"));
    }

    #[test]
    fn an_option_that_many_processes_read_is_wrong_once() {
        let options = "process_name=%(process_num)d\nnumprocs=3\ncommand=%(x)s\numask=8";
        let message = error(options);
        let lines: Vec<&str> = message.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[0].starts_with("8 can not be converted to an octal type in section"));
        assert!(lines[1].starts_with("Format string '%(x)s' for 'program:a.command'"));
    }

    #[test]
    fn stopping_a_group_means_killing_it() {
        // C-082
        assert!(process("stopasgroup=true").killasgroup);
        assert!(!process("killasgroup=true").stopasgroup);
        assert!(
            error("stopasgroup=true\nkillasgroup=false")
                .starts_with("Cannot set stopasgroup=true and killasgroup=false in section")
        );
    }

    #[test]
    fn what_is_ended_with_a_program_is_configured() {
        for (text, mode) in [
            ("control-group", KillMode::ControlGroup),
            ("Mixed", KillMode::Mixed),
            ("PROCESS", KillMode::Process),
        ] {
            assert_eq!(process(&format!("killmode={text}")).killmode, mode);
            assert_eq!(mode.name(), text.to_lowercase());
        }
        let message = error("killmode=none");
        assert!(message.starts_with("invalid 'killmode' value 'none' (control-group, mixed or"));
        let fcgi = load_text(
            "[fcgi-program:f]\ncommand=x\nsocket=tcp://localhost:1\nkillmode=mixed\n\
             [eventlistener:l]\ncommand=x\nevents=TICK_5\nkillmode=mixed\n",
        );
        for group in fcgi.unwrap().groups {
            assert_eq!(group.processes[0].killmode, KillMode::Mixed);
        }
    }

    #[test]
    fn logs_warn_about_what_surprises() {
        // C-085, C-086, C-089
        let notes = |options: &str| -> Vec<String> {
            settings(options).notes.into_iter().map(|note| note.text).collect()
        };
        assert_eq!(
            notes("redirect_stderr=true\nstderr_logfile=/tmp/x"),
            ["For [program:a], redirect_stderr=true but stderr_logfile has also been set to a \
             filename, the filename has been ignored"]
        );
        assert_eq!(
            notes("stdout_logfile_maxbytes=0"),
            [
                "For [program:a], AUTO logging used for stdout_logfile without rollover, set maxbytes \
             > 0 to avoid filling up filesystem unintentionally"
            ]
        );
        assert_eq!(
            notes("stderr_logfile=syslog"),
            [
                "For [program:a], stderr_logfile=syslog but this is deprecated and will be removed.  \
             Use stderr_syslog=true to enable syslog instead."
            ]
        );
        let syslog = process("stderr_logfile=syslog").stderr;
        assert_eq!((syslog.file, syslog.syslog), (LogFile::None, true));
        assert_eq!(
            notes("redirect_stderr=true\nstderr_logfile=journal"),
            ["For [program:a], stderr_logfile=journal has no effect with redirect_stderr=true: \
             stdout_logfile says where standard error goes"]
        );
        assert!(notes("redirect_stderr=true\nstdout_logfile=journal").is_empty());
        let redirected = process("redirect_stderr=true");
        assert_eq!(redirected.stderr.file, LogFile::None);
    }

    #[test]
    fn the_server_url_is_derived_given_or_left_out() {
        // C-072, C-090
        let url = |options: &str| {
            let server = "[inet_http_server]\nport=*:9\n[inet_http_server:b]\nport=9\n";
            let settings = load_text(&format!("{}{server}", text(options))).unwrap();
            settings.groups[0].processes[0].server_url.clone()
        };
        assert_eq!(url("").as_deref(), Some("http://localhost:9"));
        assert_eq!(url("serverurl=Auto").as_deref(), Some("http://localhost:9"));
        assert_eq!(url("serverurl=foo").as_deref(), Some("foo"));
        assert_eq!(url("serverurl="), None);
        let mut settings = settings("");
        assert_eq!(settings.groups[0].processes[0].server_url, None);
        settings.use_server_url(Some("unix:///s"));
        assert_eq!(settings.groups[0].processes[0].server_url.as_deref(), Some("unix:///s"));
    }

    #[test]
    fn a_command_is_needed_but_not_looked_for() {
        // C-077, C-193
        assert_eq!(
            errors("[program:a]\n"),
            "program section program:a does not specify a command in section 'program:a' (file: \
             '/etc/s.conf') at line 2"
        );
        assert_eq!(process("command=").command, "");
        assert_eq!(process("command=/no/such 'x").command, "/no/such 'x");
    }
}
