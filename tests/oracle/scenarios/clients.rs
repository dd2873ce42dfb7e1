//! Command lines over XML-RPC: both daemons, each asked by upstream's supervisorctl and by ours.

use crate::compare::compare;
use crate::support::daemon::{SUPERVISORCTL, command};
use crate::support::http::loopback;
use crate::support::process::{run, run_with_input};
use crate::world::{DAEMON, World, upstream};

const PROGRAMS: &str = "\
[program:a]
command=/bin/sh -c 'echo hello; echo oops >&2; exec cat'
stdout_logfile=DIR/a.out
stderr_logfile=DIR/a.err
[program:off]
command=/bin/cat
autostart=false
[program:bad]
command=/no/such/thing
autostart=false
[program:fast]
command=/bin/false
autostart=false
startretries=0
[program:x]
command=/bin/sleep 100
autostart=false
[program:y]
command=/bin/sleep 100
autostart=false
[group:g]
programs=x,y
";

/// What a person may type.
const COMMANDS: &[&str] = &[
    "status",
    "status a g:* nope",
    "pid",
    "pid a",
    "pid off",
    "pid nope",
    "version",
    "avail",
    "start off",
    "start off",
    "start nope",
    "start bad",
    "start fast",
    "start g:*",
    "stop g:*",
    "start nope:*",
    "stop off",
    "stop off",
    "stop nope",
    "restart a",
    "signal CONT a",
    "signal NOPE a",
    "signal CONT off",
    "signal CONT g:*",
    "tail a",
    "tail -3 a",
    "tail a stderr",
    "tail off",
    "tail nope",
    "tail -f nope",
    "clear a",
    "tail a",
    "clear nope",
    "fg nope",
    "fg off",
    "reread",
    "update",
    "remove a",
    "remove off",
    "add off",
    "add off",
    "add nope",
    "remove nope",
    "maintail nonsense",
    "nonsense",
];

/// Runs all of it with a supervisorctl, and notes what it prints.
fn all(world: &mut World, program: &str, url: &str, more: &[&str]) {
    for line in COMMANDS {
        let mut command = command(program, world.dir.path());
        command.args(["-c", "supervisord.conf", "-s", url]).args(more).args(line.split(' '));
        let mut output = run(&mut command);
        if output.stdout.lines().count() > 1 {
            // In the order in which processes come to it.
            let mut lines: Vec<&str> = output.stdout.split_inclusive('\n').collect();
            lines.sort_unstable();
            output.stdout = lines.concat();
        }
        if output.stdout.trim().parse().is_ok_and(|pid: u32| pid > 0) {
            "a pid\n".clone_into(&mut output.stdout);
        }
        output.stdout = output.stdout.replace(url, "URL");
        output.stderr = output.stderr.replace(url, "URL");
        world.observe(line, &output);
    }
}

fn started(world: &mut World) -> String {
    world.programs(PROGRAMS);
    world.start();
    world.expect_running(&["a"]);
    world.expect_file("a.out", "hello\n");
    world.expect_file("a.err", "oops\n");
    format!("unix://{}", world.dir.join("sv.sock").display())
}

fn upstreams() -> String {
    upstream().join("bin/supervisorctl").display().to_string()
}

/// C-226, C-239, C-278: upstream's supervisorctl says the same of our daemon as of its own.
#[test]
fn upstreams_supervisorctl() {
    compare(|world| {
        let url = started(world);
        all(world, &upstreams(), &url, &[]);
    });
}

/// C-226, C-239: ours says the same of upstream's daemon as of its own.
#[test]
fn our_supervisorctl() {
    compare(|world| {
        let url = started(world);
        all(world, SUPERVISORCTL, &url, &[]);
    });
}

/// C-226, C-239: each with its own, over TCP with a password.
#[test]
fn over_tcp() {
    compare(|world| {
        let address = loopback();
        world.config(&format!(
            "{DAEMON}{PROGRAMS}[inet_http_server]\nport={address}\nusername=bob\npassword=secret\n"
        ));
        world.start();
        world.expect_running(&["a"]);
        world.expect_file("a.out", "hello\n");
        world.expect_file("a.err", "oops\n");
        let own = world.program("supervisorctl").display().to_string();
        let url = format!("http://{address}");
        all(world, &own, &url, &["-u", "bob", "-p", "secret"]);
    });
}

/// C-229, C-230, C-236, C-237, C-239: without the password, and asked for it.
#[test]
fn passwords() {
    compare(|world| {
        let address = loopback();
        world.config(&format!(
            "{DAEMON}[program:a]\ncommand=/bin/cat\n[inet_http_server]\nport={address}\nusername=bob\npassword=secret\n"
        ));
        world.start();
        world.expect_running(&["a"]);
        let url = format!("http://{address}");
        let ctl = |world: &World, args: &[&str]| {
            let mut command =
                world.command("supervisorctl", &["-c", "supervisord.conf", "-s", &url]);
            command.args(args);
            command
        };
        for action in ["status", "avail", "reread", "tail -f a", "shutdown", "version"] {
            let mut ctl = ctl(world, &action.split(' ').collect::<Vec<_>>());
            let output = run(&mut ctl);
            world.observe(action, &output);
        }
        let wrong = run(&mut ctl(world, &["-u", "bob", "-p", "wrong", "status"]));
        world.observe("wrong", &wrong);
        let half = run(&mut ctl(world, &["-u", "bob", "status"]));
        world.observe("half", &half);
        let asked = run_with_input(&mut ctl(world, &["-i", "status", "a"]), "bob\nsecret\n");
        world.note("asked", &asked.stdout);
        world.note("asked, exit", &asked.code.to_string());
    });
}

/// C-231, C-232, C-233: nobody is there.
#[test]
fn nobody_there() {
    compare(|world| {
        world.programs("");
        let address = loopback();
        for url in [format!("http://{address}"), "unix://DIR/nobody.sock".to_owned()] {
            let url = url.replace("DIR", &world.dir.path().display().to_string());
            for action in ["status", "pid", "reread", "version", "shutdown"] {
                let args = ["-c", "supervisord.conf", "-s", &url, action];
                let mut output = run(&mut world.command("supervisorctl", &args));
                output.stdout = output.stdout.replace(&address.to_string(), "ADDRESS");
                world.note(&format!("{action} {}", &url[..4]), &output.stdout);
                world.note(&format!("{action} {} exit", &url[..4]), &output.code.to_string());
            }
        }
    });
}
