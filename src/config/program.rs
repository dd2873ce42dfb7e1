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

/// More processes than this in one section are a mistake, not a wish.
const MOST_PROCESSES: i64 = 100_000;

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
