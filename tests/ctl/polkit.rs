//! supervisorctl of an ordinary user, on a system bus with polkit.

use std::process::Command;

use nix::sys::signal::Signal;

use crate::authority::Polkitd;
use crate::bus::{World, for_everybody};
use crate::support::process::{pid_of, run, wait_gone};
use crate::support::scratch::Scratch;
use crate::support::terminal::Terminal;
use crate::support::{PATIENCE, daemon, require_root};

/// Nobody may look at everything, and stop what is called `web`.
const RULE: &str = r#"
polkit.addRule(function(action, subject) {
    var name = "org.supervisord.Supervisor1.";
    if (subject.user != "nobody") return;
    if (action.id == name + "inspect") return polkit.Result.YES;
    if (action.id == name + "manage-processes" && action.lookup("process") == "web")
        return polkit.Result.YES;
});
"#;

/// Nobody may look, and no more.
const LOOK: &str = r#"
polkit.addRule(function(action, subject) {
    if (action.id == "org.supervisord.Supervisor1.inspect") return polkit.Result.YES;
});
"#;

/// An agent that tells how it was started, and that it was ended.
const AGENT: &str = "#!/bin/sh\n\
    trap 'echo ended >>\"$0.said\"; exit 0' TERM\n\
    echo \"$*\" >>\"$0.said\"\n\
    exec >&-\n\
    while :; do sleep 0.05; done\n";

/// What an ordinary user has.
struct User {
    world: World,
    programs: Scratch,
    /// Where it finds programs.
    path: String,
}

impl User {
    fn new(world: World) -> Self {
        require_root();
        let programs = Scratch::new();
        for_everybody(&programs);
        let path = format!("{}:/usr/bin:/bin", programs.path().display());
        Self { world, programs, path }
    }

    /// An agent in the path, and a place where it can write.
    fn with_agent(self) -> Self {
        self.programs.script("pkttyagent", AGENT);
        self.programs.write("pkttyagent.said", "");
        let said = self.programs.join("pkttyagent.said");
        nix::unistd::chown(&said, Some(65534.into()), Some(65534.into())).unwrap();
        self
    }

    /// supervisorctl, by this user; on the terminal that it is given, as its own session has one.
    fn ctl(&self, uid: u32, terminal: bool, args: &[&str]) -> Command {
        let mut ctl = daemon::command("setsid", self.world.scratch.path());
        ctl.arg("--wait").args(terminal.then_some("--ctty")).arg("setpriv");
        ctl.arg(format!("--reuid={uid}")).arg(format!("--regid={uid}")).arg("--clear-groups");
        ctl.arg("env").arg(format!("PATH={}", self.path));
        ctl.arg(self.programs.join("supervisorctl"));
        ctl.arg("-c").arg(self.world.scratch.join("supervisord.conf")).args(args);
        ctl.env("DBUS_SYSTEM_BUS_ADDRESS", &self.world.broker.address);
        ctl
    }

    /// What it shows on a terminal, and its exit code.
    fn on_a_terminal(&self, uid: u32, args: &[&str]) -> (String, Option<i32>) {
        let mut terminal = Terminal::spawn(&mut self.ctl(uid, true, args));
        let code = terminal.finish();
        (terminal.screen.text(), code)
    }
}

fn polkitd(world: &World, rules: &str) -> Polkitd {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(Polkitd::start(&world.broker, rules))
}

#[test]
fn an_ordinary_user_does_what_polkit_allows() {
    let world = World::start();
    let _polkitd = polkitd(&world, RULE);
    let user = User::new(world);
    // No terminal, so nobody is asked.
    let ctl = |args: &[&str]| {
        let mut all = vec!["--no-ask-password"];
        all.extend(args);
        run(&mut user.ctl(65534, false, &all))
    };
    // Found without being told where: only the system bus is for everybody.
    let status = ctl(&["status"]);
    assert!(status.stdout.starts_with("web  ") && status.code == 0, "{status:?}");
    assert_eq!(ctl(&["stop", "web"]).stdout, "web: stopped\n");
    assert_eq!(ctl(&["start", "web"]).stdout, "web: started\n");
    for args in [&["shutdown"][..], &["stop", "all"], &["tail", "web"], &["reread"]] {
        let refused = ctl(args);
        let start = "error: <class 'PermissionError'>, [Errno 13] Permission denied: This needs \
                     org.supervisord.Supervisor1.";
        assert!(refused.stdout.starts_with(start) && refused.code == 1, "{args:?} {refused:?}");
    }
    user.world.daemon.expect_log("called Manager.StopProcess name web: done");
}

#[test]
fn a_foreground_without_signals_sees_the_end() {
    let rule = RULE.replace("\"inspect\")", "\"inspect\" || action.id == name + \"read-logs\")");
    let world = World::start();
    let _polkitd = polkitd(&world, &rule);
    let pid = world.ctl(&["pid", "web"]).stdout.trim().parse().unwrap();
    let user = User::new(world).with_agent();
    let mut terminal = Terminal::spawn(&mut user.ctl(65534, true, &["fg", "web"]));
    terminal.expect("Press Ctrl-C to exit", 1);
    nix::sys::signal::kill(pid_of(pid), Signal::SIGKILL).unwrap();
    terminal.expect("Process got killed", 1);
    assert_eq!(terminal.finish(), Some(0));
}

#[test]
fn the_agent_runs_while_an_ordinary_user_may_be_asked() {
    let user = User::new(World::start()).with_agent();
    let said = || user.programs.read("pkttyagent.said");
    let (screen, code) = user.on_a_terminal(65534, &["-s", "dbus:system", "stop", "web"]);
    assert!(screen.contains("polkit, which could give it to others, is not there"), "{screen}");
    assert_eq!(code, Some(1));
    let lines: Vec<String> = said().lines().map(str::to_owned).collect();
    let pid = lines[0].strip_prefix("--notify-fd 1 --process ").expect("its arguments");
    assert_eq!(lines[1..], ["ended"]);
    let pid = pid.parse().unwrap();
    assert!(wait_gone(pid, PATIENCE), "that was supervisorctl");

    // In a session the agent of the desktop comes first.
    let mut ctl = user.ctl(65534, true, &["-s", "dbus:system", "status"]);
    Terminal::spawn(ctl.env("XDG_SESSION_ID", "7")).finish();
    assert!(said().lines().nth(2).unwrap().ends_with(" --fallback"), "{}", said());

    // Root needs none, nor does who said so, nor who has no terminal.
    user.on_a_terminal(0, &["-s", "dbus:system", "status"]);
    user.on_a_terminal(65534, &["--no-ask-password", "-s", "dbus:system", "status"]);
    run(&mut user.ctl(65534, false, &["-s", "dbus:system", "status"]));
    assert_eq!(said().lines().count(), 4, "{}", said());
}

#[test]
fn without_an_agent_the_daemon_says_what_is_missing() {
    let world = World::start();
    let _polkitd = polkitd(&world, "");
    let mut user = User::new(world);
    user.path = user.programs.path().display().to_string();
    let (screen, code) = user.on_a_terminal(65534, &["-s", "dbus:system", "stop", "web"]);
    assert_eq!(code, Some(1));
    assert!(screen.contains("polkit found no agent that could ask for a password"), "{screen}");
}

#[test]
fn polkits_own_agent_asks_on_the_terminal() {
    let world = World::start();
    let _polkitd = polkitd(&world, LOOK);
    let user = User::new(world);
    let mut terminal =
        Terminal::spawn(&mut user.ctl(65534, true, &["-s", "dbus:system", "stop", "web"]));
    // What is asked for says what it is for.
    terminal.expect("AUTHENTICATING FOR org.supervisord.Supervisor1.manage-processes", 1);
    terminal.expect(
        "Authentication is required for StopProcess of the program web that supervisord runs.",
        1,
    );
    terminal.press("\x03");
    terminal.finish();
    // Without a password it is not allowed, which is told, and nothing was done.
    user.world.daemon.expect_log("Manager.StopProcess name web: ");
    let log = user.world.daemon.log();
    assert!(
        log.contains("WARN refused user 65534 (pid ") && !log.contains("stopped: web"),
        "{log}"
    );
}
