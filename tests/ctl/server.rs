//! `version`, `shutdown`, `reload`, `open`, `quit`, `help`.

use crate::fake::{Fake, Reply};
use crate::run::supervisorctl;

#[test]
fn version_is_that_of_the_daemon() {
    // C-268
    let fake = Fake::start().property("Version", "5.0.7");
    fake.ctl(&["version"]).expect("5.0.7\n", 0).quiet();
    assert_eq!(fake.calls(), Vec::<String>::new(), "the properties are enough");
}

#[test]
fn some_actions_take_no_arguments() {
    // C-268
    let fake = Fake::start();
    for action in ["shutdown", "reload", "reread", "avail", "version"] {
        let help = fake.ctl(&["help", action]).stdout;
        fake.ctl(&[action, "x"])
            .expect(&format!("Error: {action} accepts no arguments\n{help}"), 1)
            .quiet();
    }
    assert_eq!(fake.calls(), Vec::<String>::new());
}

#[test]
fn shutdown_asks_the_daemon_to_end() {
    // C-266
    let fake =
        Fake::start().on("Shutdown", Reply::Done).on("Shutdown", Reply::Fault("ShutdownState", ""));
    fake.ctl(&["shutdown"]).expect("Shut down\n", 0).quiet();
    fake.ctl(&["shutdown"]).expect("ERROR: already shutting down\n", 0).quiet();
}

#[test]
fn reload_asks_the_daemon_to_restart() {
    // C-267
    let fake = Fake::start()
        .on("Restart", Reply::Done)
        .on("Restart", Reply::Fault("ShutdownState", ""))
        .on("Restart", Reply::Fault("CantReread", "bad"));
    fake.ctl(&["reload"]).expect("Restarted supervisord\n", 0).quiet();
    fake.ctl(&["reload"]).expect("ERROR: already shutting down\n", 1);
    fake.ctl(&["reload"]).expect("ERROR: CANT_REREAD: bad\n", 1);
}

#[test]
fn dangerous_actions_are_confirmed_with_i() {
    // C-223, C-266, C-267
    let shutdown = "Really shut the remote supervisord process down y/N? ";
    let reload = "Really restart the remote supervisord process y/N? ";
    let ask = |action: &str, answer: &[u8]| {
        let fake = Fake::start();
        let run = supervisorctl(&fake.with_config(&["-i", action])).run(answer);
        (run, fake.calls())
    };
    for answer in [&b"n\n"[..], b"\n", b"no y\n"] {
        let (run, calls) = ask("shutdown", answer);
        run.expect(shutdown, 0).quiet();
        assert_eq!(calls, Vec::<String>::new());
    }
    for answer in [&b"y\n"[..], b"Yes\n", b"yup"] {
        let (run, calls) = ask("shutdown", answer);
        run.expect(&format!("{shutdown}Shut down\n"), 0).quiet();
        assert_eq!(calls, ["Shutdown"]);
    }
    ask("reload", b"y\n").0.expect(&format!("{reload}Restarted supervisord\n"), 0);
    let (run, calls) = ask("reload", b"");
    let start = format!("{reload}error: <class 'EOFError'>, EOF when reading a line: ");
    assert!(run.stdout.starts_with(&start) && run.code == Some(1), "{run:?}");
    assert_eq!(calls, Vec::<String>::new());
}

#[test]
fn open_switches_and_shows_the_status() {
    // C-269
    let fake = Fake::start();
    let other = Fake::start().process(
        "x",
        "x",
        supervisor::model::state::ProcessState::Stopped,
        "Not started",
    );
    let url = format!("dbus:unix:path={}/s.bus", other.path().display());
    fake.ctl(&["open", &url])
        .expect("x                                STOPPED   Not started\n", 0)
        .quiet();
    fake.ctl(&["open", "unix:///nonexistent/s"]).expect("unix:///nonexistent/s no such file\n", 0);
    for wrong in ["foo", "", "ftp://x"] {
        fake.ctl(&["open", wrong]).expect("ERROR: url must be http:// or unix://\n", 1).quiet();
    }
}

#[test]
fn quit_prints_an_empty_line() {
    // C-271
    let fake = Fake::start();
    for action in ["quit", "exit", "EOF"] {
        fake.ctl(&[action]).expect("\n", 0).quiet();
    }
}

#[test]
fn an_upgrade_that_is_refused_is_told() {
    let why = "an upgrade is under way already";
    let fake = Fake::start().on("Upgrade", Reply::Fault("Failed", why));
    fake.ctl(&["upgrade"]).expect(&format!("ERROR: FAILED: {why}\n"), 1).quiet();
    fake.ctl(&["upgrade", "x"]);
    assert_eq!(fake.calls().iter().filter(|call| *call == "Upgrade").count(), 1);
}

#[test]
fn help_lists_the_actions() {
    // C-272
    let fake = Fake::start();
    let list = "\ndefault commands (type help <topic>):\n\
                =====================================\n\
                add    exit      open  reload  restart   start   tail   \n\
                avail  fg        pid   remove  shutdown  status  update \n\
                clear  maintail  quit  reread  signal    stop    version\n\n\
                more commands (type help <topic>):\n\
                ==================================\n\
                upgrade  web\n\n";
    fake.ctl(&["help"]).expect(list, 0).quiet();
    fake.ctl(&["?"]).expect(list, 0).quiet();
    fake.ctl(&["help", "foo"]).expect("*** No help on foo\n", 0);
    fake.ctl(&["help", "EOF"]).expect("*** No help on EOF\n", 0);
    assert!(fake.ctl(&["help", "help"]).stdout.starts_with("help  "));
    assert!(fake.ctl(&["?start"]).stdout.starts_with("start <name>"));
}

#[test]
fn an_unknown_action_is_told() {
    // C-222, C-225
    let fake = Fake::start();
    fake.ctl(&["foo", "bar"]).expect("*** Unknown syntax: foo bar\n", 1).quiet();
    fake.ctl(&["!ls"]).expect("*** Unknown syntax: !ls\n", 1);
    fake.ctl(&["--", "-x"]).expect("*** Unknown syntax: -x\n", 1);
    fake.ctl(&["  "]).expect("", 0);
    fake.ctl(&["pid ", " all "]).expect("", 0);
}
