//! The texts of supervisorctl, byte for byte as upstream prints them where scripts may read
//! them, and what the exit code becomes.

use std::fmt::Write as _;

use super::client::{Action, CallError, Changes, ConfigInfo, Outcome, ProcessInfo};
use super::unreachable::{Reason, Unreachable};
use crate::config::py::repr;
use crate::model::fault::{Fault, FaultKind};

/// Exit codes (C-228).
pub mod exit {
    /// All is well.
    pub const SUCCESS: u8 = 0;
    /// It failed.
    pub const GENERIC: u8 = 1;
    /// The arguments are wrong.
    pub const INVALID_ARGS: u8 = 2;
    /// The daemon lacks the interface; for `status`: something is not running.
    pub const UNIMPLEMENTED: u8 = 3;
    /// `status`: something is not running.
    pub const STATUS_NOT_RUNNING: u8 = 3;
    /// The connection was refused.
    pub const REFUSED: u8 = 4;
    /// `status`: not known.
    pub const STATUS_UNKNOWN: u8 = 4;
    /// The daemon speaks another version.
    pub const OTHER_VERSION: u8 = 5;
    /// The program does not run, or there is no socket.
    pub const NOT_RUNNING: u8 = 7;
}

/// The version of the API that this program was written for (C-235).
pub const API_VERSION: &str = "3.0";

/// What `tail -f` and `fg` begin with (C-256).
pub const BANNER: &str = "==> Press Ctrl-C to exit <==";

/// What the exit code becomes after a fault; none when it stays (C-229).
#[must_use]
pub fn exit_of_fault(code: i32, ignored: Option<FaultKind>) -> Option<u8> {
    match FaultKind::from_code(code) {
        Some(FaultKind::Success) => None,
        kind if kind.is_some() && kind == ignored => None,
        Some(FaultKind::SpawnError | FaultKind::AbnormalTermination | FaultKind::NotRunning) => {
            Some(exit::NOT_RUNNING)
        }
        _ => Some(exit::GENERIC),
    }
}

/// The lines of `status` (C-240).
#[must_use]
pub fn statuses(processes: &[&ProcessInfo]) -> String {
    let names: Vec<String> = processes.iter().map(|process| process.name.to_string()).collect();
    let longest = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).max(30);
    let mut text = String::with_capacity(processes.len() * (longest + 48));
    for (process, name) in processes.iter().zip(&names) {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{name:<width$}{:<10}{}",
            process.state,
            process.description,
            width = longest + 3
        );
    }
    text
}

/// The line for what became of one process; none for a code that has no text (C-246, C-250,
/// C-251, C-253).
#[must_use]
pub fn outcome(action: &Action, outcome: &Outcome) -> Option<String> {
    use FaultKind as Kind;
    let name = &outcome.name;
    let kind = FaultKind::from_code(outcome.code)?;
    let problem = match (action, kind) {
        (Action::Start, Kind::Success) => return Some(format!("{name}: started")),
        (Action::Stop, Kind::Success) => return Some(format!("{name}: stopped")),
        (Action::Signal(_), Kind::Success) => return Some(format!("{name}: signalled")),
        (_, Kind::BadName) => "no such process",
        (Action::Start, Kind::NoFile) => "no such file",
        (Action::Start, Kind::NotExecutable) => "file is not executable",
        (Action::Start, Kind::AlreadyStarted) => "already started",
        (Action::Start, Kind::SpawnError) => "spawn error",
        (Action::Start, Kind::AbnormalTermination) => "abnormal termination",
        (Action::Start, _) => return None,
        (_, Kind::BadSignal) => "bad signal name",
        (_, Kind::NotRunning) => "not running",
        (_, Kind::Failed) => return Some(outcome.text.clone()),
        _ => return None,
    };
    Some(format!("{name}: ERROR ({problem})"))
}

/// The line for a log that was cleared or not (C-258).
#[must_use]
pub fn cleared(name: &str, code: i32) -> Option<String> {
    match FaultKind::from_code(code)? {
        FaultKind::Success => Some(format!("{name}: cleared")),
        FaultKind::BadName => Some(format!("{name}: ERROR (no such process)")),
        FaultKind::Failed => Some(format!("{name}: ERROR (failed)")),
        _ => None,
    }
}

/// A line of `avail` (C-259).
#[must_use]
pub fn configured(info: &ConfigInfo) -> String {
    format!(
        "{:<32} {:<9} {:<9} {}:{}",
        info.name,
        if info.active { "in use" } else { "avail" },
        if info.autostart { "auto" } else { "manual" },
        info.group_priority,
        info.process_priority
    )
}

/// The lines of `reread` (C-260). A group in several lists has the last word.
#[must_use]
pub fn changes(changes: &Changes) -> String {
    let lists = [
        (&changes.added, "available"),
        (&changes.changed, "changed"),
        (&changes.removed, "disappeared"),
    ];
    let by_name: std::collections::BTreeMap<&str, &str> = lists
        .iter()
        .flat_map(|(names, word)| names.iter().map(|name| (name.as_str(), *word)))
        .collect();
    if by_name.is_empty() {
        return "No config updates to processes\n".to_owned();
    }
    by_name.iter().fold(String::new(), |mut text, (name, word)| {
        let _ = writeln!(text, "{name}: {word}");
        text
    })
}

/// A fault as upstream shows one that nobody expected, such as `<Fault 10: 'BAD_NAME: x'>`.
#[must_use]
pub fn raw_fault(fault: &Fault) -> String {
    format!("<Fault {}: {}>", fault.kind.code(), repr(&fault.to_string()))
}

/// The one line for a failure that no command expects (C-233, C-234, C-238). Scripts match its
/// beginning; where upstream names a line of its source, ours says what it means.
#[must_use]
pub fn error_line(class: &str, text: &str, meaning: &str) -> String {
    let line = format!("error: {class}, {text}: {meaning}");
    // One line, whatever the daemon said.
    line.replace('\n', " ")
}

/// [`error_line`] for a failed call.
#[must_use]
pub fn call_error(error: &CallError) -> String {
    match error {
        CallError::Fault(fault) => {
            error_line("<class 'xmlrpc.client.Fault'>", &raw_fault(fault), meaning(fault.kind))
        }
        CallError::Denied(why) => error_line(
            "<class 'PermissionError'>",
            "[Errno 13] Permission denied",
            &format!("{why} (try again as root or as the user of supervisord)"),
        ),
        CallError::Unauthorized { text, hint } => {
            error_line("<class 'xmlrpc.client.ProtocolError'>", text, hint)
        }
        CallError::Transport { class, text, hint } => error_line(class, text, hint),
    }
}

fn meaning(kind: FaultKind) -> &'static str {
    match kind {
        FaultKind::ShutdownState => "supervisord is shutting down",
        FaultKind::CantReread => "supervisord cannot use the configuration file; nothing changed",
        FaultKind::BadSignal => "there is no such signal",
        FaultKind::UnknownMethod => "this supervisord does not know the call",
        FaultKind::StillRunning => "the group has processes that run",
        _ => "supervisord refused the call",
    }
}

/// [`error_line`] for a daemon that was not found, by a command without an up-check (C-233).
#[must_use]
pub fn unreachable(error: &Unreachable) -> String {
    let last = error.headline();
    let meaning = format!("no supervisord at {}", last.url);
    match &last.reason {
        Reason::Refused => error_line(
            "<class 'ConnectionRefusedError'>",
            "[Errno 111] Connection refused",
            &meaning,
        ),
        Reason::NoFile => error_line(
            "<class 'FileNotFoundError'>",
            "[Errno 2] No such file or directory",
            &meaning,
        ),
        Reason::Denied => {
            error_line("<class 'PermissionError'>", "[Errno 13] Permission denied", &meaning)
        }
        Reason::Other { class, text } => error_line(class, text, &meaning),
    }
}

/// What was tried and what to do, for standard error.
#[must_use]
pub fn explanation(error: &Unreachable) -> String {
    let mut text = match &error.config_file {
        Some(file) => format!("No supervisord was found for {}:\n", file.display()),
        None => "No supervisord was found, and no configuration file that says where it is:\n"
            .to_owned(),
    };
    for attempt in &error.attempts {
        let _ = write!(text, "  {}: {}", attempt.url, attempt.reason);
        if attempt.note.is_empty() {
            text.push('\n');
        } else {
            let _ = writeln!(text, " ({})", attempt.note);
        }
    }
    let denied = error.attempts.iter().any(|attempt| attempt.reason == Reason::Denied);
    text.push_str(if denied {
        "It may run under another account: try again as that user or as root.\n"
    } else if error.config_file.is_some() {
        "Is it running? Start it with `systemctl start supervisor` or `supervisord`; if it runs \
         with another\nconfiguration file, name that with -c, or its address with -s.\n"
    } else {
        "Name its configuration file with -c, or its address with -s.\n"
    });
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::unreachable::Attempt;
    use crate::model::name::ProcessName;
    use crate::model::state::ProcessState;

    fn info(group: &str, name: &str, state: ProcessState, description: &str) -> ProcessInfo {
        let name = ProcessName::new(group, name);
        ProcessInfo { name, state, pid: 0, description: description.into() }
    }

    #[test]
    fn statuses_are_aligned() {
        // C-240, C-242
        let web = info("web", "web", ProcessState::Running, "pid 7, uptime 0:00:01");
        let stopping = info("g", "a", ProcessState::Stopping, "");
        assert_eq!(
            statuses(&[&web, &stopping]),
            "web                              RUNNING   pid 7, uptime 0:00:01\n\
             g:a                              STOPPING  \n"
        );
        let long = info("g", &"x".repeat(40), ProcessState::Fatal, "d");
        assert_eq!(statuses(&[&long]), format!("g:{}   FATAL     d\n", "x".repeat(40)));
    }

    #[test]
    fn exit_codes_follow_faults() {
        // C-229
        assert_eq!(exit_of_fault(80, None), None);
        assert_eq!(exit_of_fault(60, Some(FaultKind::AlreadyStarted)), None);
        assert_eq!(exit_of_fault(70, Some(FaultKind::NotRunning)), None);
        for code in [40, 50, 70] {
            assert_eq!(exit_of_fault(code, None), Some(7));
        }
        for code in [10, 20, 30, 999] {
            assert_eq!(exit_of_fault(code, Some(FaultKind::NotRunning)), Some(1));
        }
    }

    #[test]
    fn outcomes_have_upstreams_words() {
        // C-245, C-246, C-250, C-251, C-253
        let show = |action: &Action, code: i32| {
            let name = ProcessName::new("g", "p");
            outcome(action, &Outcome { name, code, text: "FAILED: why".into() })
        };
        let signal = Action::Signal("HUP".into());
        for (action, code, text) in [
            (&Action::Start, 80, "g:p: started"),
            (&Action::Start, 10, "g:p: ERROR (no such process)"),
            (&Action::Start, 20, "g:p: ERROR (no such file)"),
            (&Action::Start, 21, "g:p: ERROR (file is not executable)"),
            (&Action::Start, 60, "g:p: ERROR (already started)"),
            (&Action::Start, 50, "g:p: ERROR (spawn error)"),
            (&Action::Start, 40, "g:p: ERROR (abnormal termination)"),
            (&Action::Stop, 80, "g:p: stopped"),
            (&Action::Stop, 70, "g:p: ERROR (not running)"),
            (&Action::Stop, 30, "FAILED: why"),
            (&signal, 80, "g:p: signalled"),
            (&signal, 11, "g:p: ERROR (bad signal name)"),
        ] {
            assert_eq!(show(action, code).as_deref(), Some(text));
        }
        assert_eq!(show(&Action::Start, 30), None);
        assert_eq!(show(&Action::Stop, 6), None);
        assert_eq!(show(&Action::Stop, 12345), None);
    }

    #[test]
    fn changes_are_sorted_by_name() {
        // C-260
        let some = Changes {
            added: vec!["z".into(), "b".into()],
            changed: vec!["c".into()],
            removed: vec!["a".into()],
        };
        assert_eq!(changes(&some), "a: disappeared\nb: available\nc: changed\nz: available\n");
        assert_eq!(changes(&Changes::default()), "No config updates to processes\n");
    }

    #[test]
    fn failures_keep_the_beginning_that_scripts_match() {
        // C-233, C-238, C-263
        let fault = |kind, detail: &str| call_error(&CallError::Fault(Fault::new(kind, detail)));
        assert_eq!(
            fault(FaultKind::ShutdownState, ""),
            "error: <class 'xmlrpc.client.Fault'>, <Fault 6: 'SHUTDOWN_STATE'>: supervisord is \
             shutting down"
        );
        let text = fault(FaultKind::CantReread, "bad 'x'\nline");
        assert!(text.starts_with(
            "error: <class 'xmlrpc.client.Fault'>, <Fault 92: \"CANT_REREAD: bad 'x'\\nline\">: "
        ));
        let attempt = Attempt {
            url: "unix:///s".into(),
            reason: Reason::NoFile,
            note: String::new(),
            occupied: false,
        };
        let error =
            Unreachable { attempts: vec![attempt], config_file: Some("/etc/x.conf".into()) };
        assert_eq!(
            unreachable(&error),
            "error: <class 'FileNotFoundError'>, [Errno 2] No such file or directory: no \
             supervisord at unix:///s"
        );
        let told = explanation(&error);
        assert!(
            told.starts_with("No supervisord was found for /etc/x.conf:\n  unix:///s: no such")
        );
    }
}
