//! What is configured, option by option, as a person would write it: for showing what is in force
//! and what a change would change.

use std::collections::BTreeMap;
use std::path::Path;

use crate::model::spec::{
    Autorestart, EventLength, FcgiAddress, FcgiSocket, GroupSpec, LogFile, LogSpec, ProcessKind,
    ProcessSpec,
};

/// What is shown of the value of an environment variable: it may be a password.
pub const HIDDEN: &str = "(hidden)";

/// An option and its value; empty is none.
pub type Shown = (String, String);

/// An option whose value changes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Changed {
    /// Which; for a variable, `environment` and its name.
    pub option: String,
    /// Its value now; none when it is not set.
    pub old: Option<String>,
    /// Its value then; none when it is not set any more.
    pub new: Option<String>,
}

/// The options of a process, in the order of `supervisord.conf(5)`. Values of the environment are
/// not shown.
#[must_use]
pub fn process(spec: &ProcessSpec) -> Vec<Shown> {
    let mut all = plain(spec);
    let names: Vec<_> = spec.environment.iter().map(|(name, _)| name.as_str()).collect();
    all.push(("environment".to_owned(), names.join(", ")));
    all
}

/// How the options of a process change. Of the environment it is told which variables do, and not
/// how.
#[must_use]
pub fn changes(old: &ProcessSpec, new: &ProcessSpec) -> Vec<Changed> {
    let mut all = compare(&plain(old), &plain(new));
    let variables = |spec: &ProcessSpec| -> BTreeMap<String, String> {
        spec.environment.iter().cloned().collect()
    };
    let (old, new) = (variables(old), variables(new));
    let mut names: Vec<_> = old.keys().chain(new.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let hidden = |value: Option<&String>| value.map(|_| HIDDEN.to_owned());
    all.extend(names.into_iter().filter(|&name| old.get(name) != new.get(name)).map(|name| {
        let option = format!("environment {name}");
        Changed { option, old: hidden(old.get(name)), new: hidden(new.get(name)) }
    }));
    all
}

/// The options of a group that are not those of its processes.
#[must_use]
pub fn group(spec: &GroupSpec) -> Vec<Shown> {
    let mut all = vec![("priority".to_owned(), spec.priority.to_string())];
    if let Some(pool) = &spec.listener {
        let mut events: Vec<_> = pool.events.iter().map(|event| event.name()).collect();
        events.sort_unstable(); // their order has no meaning
        all.push(("events".to_owned(), events.join(",")));
        all.push(("buffer_size".to_owned(), pool.buffer_size.to_string()));
        let length = match pool.event_length {
            EventLength::Characters => "characters",
            EventLength::Bytes => "bytes",
        };
        all.push(("event_length".to_owned(), length.to_owned()));
        all.push(("result_handler".to_owned(), pool.result_handler.clone()));
    }
    all
}

/// How the options of a group change, without those of its processes.
#[must_use]
pub fn group_changes(old: &GroupSpec, new: &GroupSpec) -> Vec<Changed> {
    compare(&group(old), &group(new))
}

fn compare(old: &[Shown], new: &[Shown]) -> Vec<Changed> {
    let value = |all: &[Shown], option: &str| {
        let found = all.iter().find(|(known, _)| known == option);
        found.map(|(_, value)| value.clone()).filter(|value| !value.is_empty())
    };
    let only_old = old.iter().filter(|(option, _)| new.iter().all(|(known, _)| known != option));
    let options = new.iter().chain(only_old).map(|(option, _)| option);
    let changed = options.map(|option| Changed {
        option: option.clone(),
        old: value(old, option),
        new: value(new, option),
    });
    changed.filter(|changed| changed.old != changed.new).collect()
}

/// All but the environment.
fn plain(spec: &ProcessSpec) -> Vec<Shown> {
    let flag = |value: bool| value.to_string();
    let path = |path: Option<&Path>| path.map(|path| path.display().to_string());
    let (kind, socket) = match &spec.kind {
        ProcessKind::Program => ("program", None),
        ProcessKind::EventListener => ("eventlistener", None),
        ProcessKind::FastCgi(socket) => ("fcgi-program", Some(socket)),
    };
    let mut all = vec![
        ("section", format!("{kind}:{}", spec.program)),
        ("command", spec.command.clone()),
        ("directory", path(spec.directory.as_deref()).unwrap_or_default()),
        ("user", spec.user.as_ref().map(|user| user.name.clone()).unwrap_or_default()),
        ("umask", spec.umask.map(octal).unwrap_or_default()),
        ("priority", spec.priority.to_string()),
        ("autostart", flag(spec.autostart)),
        ("autorestart", autorestart(spec.autorestart).to_owned()),
        ("startsecs", spec.startsecs.to_string()),
        ("startretries", spec.startretries.to_string()),
        ("exitcodes", joined(&spec.exitcodes)),
        ("stopsignal", spec.stopsignal.to_string().trim_start_matches("SIG").to_owned()),
        ("stopwaitsecs", spec.stopwaitsecs.to_string()),
        ("stopasgroup", flag(spec.stopasgroup)),
        ("killasgroup", flag(spec.killasgroup)),
        ("redirect_stderr", flag(spec.redirect_stderr)),
    ];
    all.extend(log(&spec.stdout, &STDOUT));
    all.extend(log(&spec.stderr, &STDERR));
    all.push(("serverurl", spec.serverurl.clone().unwrap_or_default()));
    all.extend(socket.into_iter().flat_map(fcgi));
    all.into_iter().map(|(option, value)| (option.to_owned(), value)).collect()
}

/// The options of a log, by what they begin with.
type Names = [&'static str; 6];

const STDOUT: Names = [
    "stdout_logfile",
    "stdout_logfile_maxbytes",
    "stdout_logfile_backups",
    "stdout_capture_maxbytes",
    "stdout_events_enabled",
    "stdout_syslog",
];

const STDERR: Names = [
    "stderr_logfile",
    "stderr_logfile_maxbytes",
    "stderr_logfile_backups",
    "stderr_capture_maxbytes",
    "stderr_events_enabled",
    "stderr_syslog",
];

fn log(spec: &LogSpec, names: &Names) -> impl Iterator<Item = (&'static str, String)> {
    let file = match &spec.file {
        LogFile::None => "NONE".to_owned(),
        LogFile::Auto => "AUTO".to_owned(),
        LogFile::Journal => "journal".to_owned(),
        LogFile::Path(path) => path.display().to_string(),
    };
    let values = [
        file,
        spec.maxbytes.to_string(),
        spec.backups.to_string(),
        spec.capture_maxbytes.to_string(),
        spec.events_enabled.to_string(),
        spec.syslog.to_string(),
    ];
    names.iter().copied().zip(values)
}

fn fcgi(socket: &FcgiSocket) -> Vec<(&'static str, String)> {
    let mut all = vec![
        ("socket", socket.address.to_string()),
        ("socket_backlog", socket.backlog.map(|backlog| backlog.to_string()).unwrap_or_default()),
    ];
    if let FcgiAddress::Unix { mode, owner, .. } = &socket.address {
        let owner = owner.map(|(uid, gid)| match gid {
            Some(gid) => format!("{uid}:{gid}"),
            None => uid.to_string(),
        });
        all.push(("socket_mode", octal(*mode)));
        all.push(("socket_owner", owner.unwrap_or_default()));
    }
    all
}

fn octal(mode: u32) -> String {
    format!("{mode:03o}")
}

fn autorestart(value: Autorestart) -> &'static str {
    match value {
        Autorestart::Never => "false",
        Autorestart::Unexpected => "unexpected",
        Autorestart::Always => "true",
    }
}

fn joined(codes: &[i32]) -> String {
    codes.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::super::diff;
    use super::super::testing::load_text;
    use super::*;

    fn of(kind: &str, options: &str) -> GroupSpec {
        let text = format!("[{kind}:a]\ncommand=x\n{options}");
        (*load_text(&text).unwrap().groups[0]).clone()
    }

    fn changed(old: &str, new: &str) -> Vec<(String, String, String)> {
        let process = |options| of("program", options).processes[0].clone();
        let shown = |value: Option<String>| value.unwrap_or("-".to_owned());
        changes(&process(old), &process(new))
            .into_iter()
            .map(|changed| (changed.option, shown(changed.old), shown(changed.new)))
            .collect()
    }

    #[test]
    fn changes_are_told_option_by_option() {
        let told = changed("startsecs=2\ndirectory=/tmp", "stopsignal=HUP\numask=022");
        let expected = [
            ("directory", "/tmp", "-"),
            ("umask", "-", "022"),
            ("startsecs", "2", "1"),
            ("stopsignal", "TERM", "HUP"),
        ];
        let expected = expected.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned()));
        assert_eq!(told, expected);
        assert!(changed("", "").is_empty());
    }

    #[test]
    fn values_of_the_environment_are_not_shown() {
        let told = changed("environment=A=secret,B=2,D=4", "environment=A=other,C=3,D=4");
        let expected = [
            ("environment A", HIDDEN, HIDDEN),
            ("environment B", HIDDEN, "-"),
            ("environment C", "-", HIDDEN),
        ];
        let expected = expected.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned()));
        assert_eq!(told, expected);
        let spec = of("program", "environment=A=secret,B=2").processes[0].clone();
        let all = process(&spec);
        assert_eq!(all.last().unwrap().1, "A, B");
        assert!(!format!("{all:?}").contains("secret"));
    }

    #[test]
    fn a_listener_and_a_fastcgi_program_have_options_of_their_own() {
        let old = of("eventlistener", "events=TICK_5,EVENT\nbuffer_size=7");
        let new = of("eventlistener", "events=EVENT,TICK_60\nbuffer_size=7");
        let told = group_changes(&old, &new);
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].old.as_deref(), Some("EVENT,TICK_5"));
        let fcgi = of("fcgi-program", "socket=unix:///s\nsocket_mode=0770");
        let all = process(&fcgi.processes[0]);
        for shown in
            [("socket", "unix:///s"), ("socket_mode", "770"), ("section", "fcgi-program:a")]
        {
            assert!(
                all.contains(&(shown.0.to_owned(), shown.1.to_owned())),
                "{shown:?} in {all:?}"
            );
        }
    }

    #[test]
    fn whatever_is_a_change_is_told() {
        let base = of("program", "");
        for options in [
            "command=y",
            "process_name=b",
            "directory=/x",
            "umask=011",
            "user=root",
            "priority=1",
            "autostart=false",
            "autorestart=true",
            "startsecs=9",
            "startretries=9",
            "exitcodes=9",
            "stopsignal=INT",
            "stopwaitsecs=9",
            "stopasgroup=true\nkillasgroup=true",
            "killasgroup=true",
            "redirect_stderr=true",
            "stdout_logfile=/x",
            "stderr_logfile=NONE",
            "stdout_logfile_maxbytes=9",
            "stdout_logfile_backups=9",
            "stdout_capture_maxbytes=9",
            "stdout_events_enabled=true",
            "stdout_syslog=true",
            "stderr_logfile_maxbytes=9",
            "stderr_logfile_backups=9",
            "stderr_capture_maxbytes=9",
            "stderr_events_enabled=true",
            "stderr_syslog=true",
            "serverurl=http://x",
            "environment=A=1",
        ] {
            let text = format!("[program:a]\ncommand=x\n{options}");
            let text =
                if options.starts_with("command") { text.replace("command=x\n", "") } else { text };
            let new = load_text(&text).unwrap().groups[0].clone();
            let (old, new) = (&base.processes[0], &new.processes[0]);
            assert!(!diff::is_same(old, new), "{options} is a change");
            let named = old.name != new.name;
            assert!(named || !changes(old, new).is_empty(), "{options} is told");
        }
    }
}
