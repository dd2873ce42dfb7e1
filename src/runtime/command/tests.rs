//! With real files and processes.

use std::fs::File;
use std::os::fd::OwnedFd;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use tempfile::TempDir;

use super::*;
use crate::model::exit::ExitStatus;
use crate::model::fault::FaultKind;
use crate::model::name::ProcessName;
use crate::model::signal::Signal;
use crate::model::spec::{Autorestart, KillMode, LogFile, LogSpec, ProcessKind};
use crate::sys::reap;

fn log() -> LogSpec {
    LogSpec {
        file: LogFile::None,
        maxbytes: 0,
        backups: 0,
        capture_maxbytes: 0,
        events_enabled: false,
        syslog: false,
    }
}

fn spec(command: &str) -> ProcessSpec {
    ProcessSpec {
        name: ProcessName::new("group", "web"),
        program: "web".into(),
        kind: ProcessKind::Program,
        command: command.into(),
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
        stdout: log(),
        stderr: log(),
    }
}

fn in_directory(command: &str, directory: &Path) -> ProcessSpec {
    ProcessSpec { directory: Some(directory.to_owned()), ..spec(command) }
}

fn with_variable(spec: ProcessSpec, name: &str, value: &str) -> ProcessSpec {
    ProcessSpec { environment: vec![(name.to_owned(), value.to_owned())], ..spec }
}

fn inheritance(variables: &[(&str, &str)]) -> Inheritance {
    Inheritance::new(variables.iter().map(|(name, value)| (name.into(), value.into())), None)
}

fn usual() -> Inheritance {
    inheritance(&[("PATH", "/usr/bin:/bin"), ("HOME", "/home/of/daemon")])
}

/// A directory with these files.
fn files(entries: &[(&str, &str, u32)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text, mode) in entries {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(*mode)).unwrap();
    }
    dir
}

fn problem(spec: &ProcessSpec, inheritance: &Inheritance) -> String {
    let error = resolve(spec, inheritance).unwrap_err();
    assert_eq!(check(spec, inheritance), Err(error.clone()));
    error.to_string()
}

fn program(spec: &ProcessSpec, inheritance: &Inheritance) -> PathBuf {
    check(spec, inheritance).unwrap();
    let plan = resolve(spec, inheritance).unwrap().plan;
    OsStr::from_bytes(plan.program.as_bytes()).into()
}

fn read(fd: Option<OwnedFd>) -> Vec<u8> {
    let fd = fd.unwrap();
    fcntl(&fd, FcntlArg::F_SETFL(OFlag::empty())).unwrap();
    let mut bytes = Vec::new();
    File::from(fd).read_to_end(&mut bytes).unwrap();
    bytes
}

/// stdout of a process that has to succeed.
fn output(spec: &ProcessSpec, inheritance: &Inheritance) -> String {
    let child = resolve(spec, inheritance).unwrap().start().unwrap();
    let (out, err) = (read(child.stdout), child.stderr.map(|fd| read(Some(fd))));
    assert_eq!(reap::wait(child.pid), Ok(ExitStatus::Code(0)), "{out:?} {err:?}");
    String::from_utf8_lossy(&out).into_owned()
}

fn failure(spec: &ProcessSpec) -> SpawnError {
    resolve(spec, &usual()).unwrap().start().unwrap_err()
}

#[test]
fn a_command_is_run_with_its_words_as_they_are_written() {
    // C-193, C-199
    let words = spec(r#"printf "[%%s]" 'a b' $HOME ~ *"#);
    assert_eq!(program(&words, &usual()), Path::new("/usr/bin/printf"));
    assert_eq!(resolve(&words, &usual()).unwrap().plan.argv[0].as_c_str(), c"printf");
    assert_eq!(output(&spec(r#"printf "[%s]" 'a b' $HOME ~ *"#), &usual()), "[a b][$HOME][~][*]");
}

#[test]
fn a_command_that_cannot_be_split_or_is_empty_is_refused() {
    // C-194, C-195
    let open = spec("sh -c 'x");
    assert_eq!(problem(&open, &usual()), "can't parse command \"sh -c 'x\": No closing quotation");
    assert_eq!(problem(&spec(""), &usual()), "command is empty");
}

#[test]
fn commands_that_cannot_be_run_are_refused_before_they_are_tried() {
    // C-198
    let dir = files(&[("plain", "", 0o644), ("sub/x", "", 0o755)]);
    let at = |name: &str| dir.path().join(name).display().to_string();
    for (command, text) in [
        ("nowhere".to_owned(), "can't find command 'nowhere'".to_owned()),
        (at("nowhere"), format!("can't find command '{}'", at("nowhere"))),
        (at("plain/x"), format!("can't find command '{}'", at("plain/x"))),
        (at("sub"), format!("command at '{}' is a directory", at("sub"))),
        (at("plain"), format!("command at '{}' is not executable", at("plain"))),
    ] {
        assert_eq!(problem(&spec(&command), &usual()), text);
    }
    let kind = |command: &str| check(&spec(command), &usual()).unwrap_err().fault().kind;
    assert_eq!(kind("nowhere"), FaultKind::NoFile);
    assert_eq!(kind(&at("plain")), FaultKind::NotExecutable);
}

#[test]
fn the_path_is_the_programs_then_the_daemons_then_a_default() {
    // C-196
    let dir = files(&[("sh", "#!/bin/sh\n", 0o755)]);
    let path = dir.path().to_str().unwrap();
    let own = with_variable(spec("sh"), "PATH", path);
    assert_eq!(program(&own, &usual()), dir.path().join("sh"));
    assert_eq!(program(&spec("sh"), &inheritance(&[("PATH", path)])), dir.path().join("sh"));
    assert_eq!(program(&spec("sh"), &inheritance(&[])), Path::new("/bin/sh"));
    assert_eq!(
        problem(&with_variable(spec("sh"), "PATH", "/nonexistent"), &usual()),
        "can't find command 'sh'"
    );
}

#[test]
fn a_file_that_cannot_be_executed_does_not_hide_one_that_can() {
    // C-429
    let dir = files(&[("a/tool", "", 0o644), ("b/tool/x", "", 0o644), ("c/tool", "", 0o755)]);
    let at = |names: &[&str]| {
        names.iter().map(|name| dir.path().join(name).display().to_string()).collect::<Vec<_>>()
    };
    let all = inheritance(&[("PATH", &at(&["none", "a", "b", "c"]).join(":"))]);
    assert_eq!(program(&spec("tool"), &all), dir.path().join("c/tool"));
    let bad = inheritance(&[("PATH", &at(&["none", "a", "b"]).join(":"))]);
    assert_eq!(
        problem(&spec("tool"), &bad),
        format!("command at '{}/tool' is not executable", at(&["a"])[0])
    );
}

#[test]
fn a_relative_command_is_looked_for_where_it_will_run() {
    // C-197, C-429
    let dir = files(&[("run.sh", "#!/bin/sh\npwd\n", 0o755), ("bin/tool", "#!/bin/sh\n", 0o755)]);
    let here = dir.path().canonicalize().unwrap();
    let run = in_directory("./run.sh", &here);
    assert_eq!(output(&run, &usual()).trim(), here.to_str().unwrap());
    assert_eq!(problem(&spec("./run.sh"), &usual()), "can't find command './run.sh'");
    let relative_path = with_variable(in_directory("tool", &here), "PATH", "bin");
    assert_eq!(output(&relative_path, &usual()), "");
}

#[test]
fn the_environment_is_the_daemons_then_supervisors_then_the_configured() {
    // C-208, C-209, C-210, C-449
    let daemon = inheritance(&[
        ("PATH", "/usr/bin:/bin"),
        ("A", "daemon"),
        ("SUPERVISOR_ENABLED", "old"),
        ("HOME", "/home/of/daemon"),
        ("NOTIFY_SOCKET", "/run/notify"),
        ("LISTEN_FDS", "2"),
    ]);
    let mut env = spec("env");
    env.environment = vec![
        ("A".into(), "program=1".into()),
        ("B".into(), String::new()),
        ("SUPERVISOR_GROUP_NAME".into(), "mine".into()),
    ];
    let sorted = |spec: &ProcessSpec| {
        let mut lines: Vec<String> = output(spec, &daemon).lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let mut expected = vec![
        "A=program=1",
        "B=",
        "HOME=/home/of/daemon",
        "PATH=/usr/bin:/bin",
        "SUPERVISOR_ENABLED=1",
        "SUPERVISOR_GROUP_NAME=mine",
        "SUPERVISOR_PROCESS_NAME=web",
    ];
    assert_eq!(sorted(&env), expected);
    env.server_url = Some("unix:///tmp/s.sock".into());
    expected.push("SUPERVISOR_SERVER_URL=unix:///tmp/s.sock");
    assert_eq!(sorted(&env), expected);
}

#[test]
fn variables_that_are_not_utf_8_are_passed_on() {
    let name = OsString::from_vec(b"N\xff".to_vec());
    let value = OsString::from_vec(b"V\xfe".to_vec());
    let daemon = Inheritance::new([(name, value)], None);
    let child = resolve(&spec("env"), &daemon).unwrap().start().unwrap();
    let text = read(child.stdout);
    reap::wait(child.pid).unwrap();
    assert!(text.windows(5).any(|bytes| bytes == b"N\xff=V\xfe"), "{text:?}");
}

#[test]
fn directory_umask_limit_and_redirection_reach_the_child() {
    // C-201, C-203
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path().canonicalize().unwrap();
    let mut shell = in_directory("sh -c 'pwd; umask; ulimit -n; echo error >&2'", &here);
    shell.umask = Some(0o77);
    shell.redirect_stderr = true;
    let daemon = Inheritance::new([("PATH".into(), "/bin".into())], Some((123, 1024)));
    assert_eq!(output(&shell, &daemon), format!("{}\n0077\n123\nerror\n", here.display()));
}

#[test]
fn a_process_with_the_daemons_own_user_needs_no_privileges() {
    // C-207: and it keeps the daemon's groups.
    let uid = getuid().as_raw();
    let own =
        ProcessSpec { user: Some(Account { name: "me".into(), uid, gid: 12345 }), ..spec("id -g") };
    let gid = nix::unistd::getgid();
    assert_eq!(output(&own, &usual()).trim(), gid.to_string());
}

#[test]
fn failures_of_the_child_are_told_in_upstreams_words_and_more() {
    // C-198, C-205
    let dir = files(&[
        ("no-interpreter", "#! /nonexistent/python -u\n", 0o755),
        ("dos", "#!/bin/sh\r\n", 0o755),
        ("text", "hello\n", 0o755),
    ]);
    let at = |name: &str| dir.path().join(name).display().to_string();
    let cases = [
        (in_directory("true", Path::new("/nonexistent")), "couldn't chdir to /nonexistent: ENOENT"),
        (in_directory("./x", Path::new("/nonexistent")), "couldn't chdir to /nonexistent: ENOENT"),
        (in_directory("true", Path::new("/etc/passwd")), "couldn't chdir to /etc/passwd: ENOTDIR"),
        (
            in_directory("./no-interpreter", dir.path()),
            "couldn't exec ./no-interpreter: ENOENT \
             (its interpreter '/nonexistent/python' is missing)",
        ),
        (
            in_directory("./dos", dir.path()),
            "couldn't exec ./dos: ENOENT (its interpreter '/bin/sh\\r' is missing)",
        ),
        (
            in_directory("./text", dir.path()),
            "couldn't exec ./text: ENOEXEC (it is no program and has no #! line)",
        ),
    ];
    for (spec, text) in cases {
        let error = failure(&spec);
        assert_eq!(error.to_string(), text);
        assert_eq!(
            error.child_log_text().unwrap(),
            format!("supervisor: {text}\nsupervisor: child process was not spawned\n")
        );
    }

    let gone = spec(&at("text"));
    let resolved = resolve(&gone, &usual()).unwrap();
    fs::remove_file(dir.path().join("text")).unwrap();
    assert_eq!(
        resolved.start().unwrap_err().to_string(),
        format!("couldn't exec {}: ENOENT", at("text"))
    );
}

#[test]
fn failures_of_the_daemon_name_the_process() {
    // C-200
    let resolved = resolve(&spec("true"), &usual()).unwrap();
    let text = |stage, errno| resolved.explain(SpawnFailure { stage, errno }).to_string();
    for errno in [Errno::EMFILE, Errno::ENFILE] {
        assert_eq!(text(Stage::Pipes, errno), "too many open files to spawn 'web'");
    }
    assert_eq!(
        text(Stage::Pipes, Errno::EPERM),
        "unknown error making dispatchers for 'web': EPERM"
    );
    for stage in [Stage::Fork, Stage::Exec] {
        assert_eq!(
            text(stage, Errno::EAGAIN),
            "Too many processes in process table to spawn 'web'"
        );
    }
    assert!(text(Stage::Fork, Errno::ENOMEM).contains("ENOMEM"));
    assert_eq!(text(Stage::Fork, Errno::EPERM), "unknown error during fork for 'web': EPERM");
}
