//! pytest-testinfra's Supervisor resource, which parses `supervisorctl status`.

use crate::both::{client, observe, same_of_both};
use crate::support::process::run;
use crate::world::{World, upstream};

const PROGRAMS: &str = "\
[program:a]
command=/bin/sleep 100
[program:off]
command=/bin/cat
autostart=false
[program:bad]
command=/no/such/thing
startretries=0
[program:done]
command=/bin/true
startsecs=0
autorestart=false
[program:x]
command=/bin/sleep 100
process_name=a_very_long_name_of_a_process_%(process_num)02d
numprocs=2
";

/// One of each kind of state.
const NAMES: &[&str] = &["a", "off", "bad", "done", "nope", "x:a_very_long_name_of_a_process_01"];

/// Asks about these processes and about all, with this command line.
fn ask(world: &mut World, ctl: &str, names: &[&str]) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/resource_of_testinfra.py");
    let mut python = client(world, "python");
    python.args([script, ctl, "supervisord.conf"]).args(names);
    let output = run(&mut python);
    observe(world, ctl.rsplit('/').next().unwrap_or(ctl), output);
}

fn everything(world: &mut World) {
    world.programs(PROGRAMS);
    world.start();
    let process = "a_very_long_name_of_a_process_0";
    world.expect_running(&["a", &format!("{process}0"), &format!("{process}1")]);
    world.expect_log("gave up: bad entered FATAL state");
    world.expect_log("exited: done");
}

/// C-240, C-241, C-242: with the `supervisorctl` of each side.
#[test]
fn with_its_own_supervisorctl() {
    same_of_both(|world| {
        everything(world);
        let own = world.program("supervisorctl").display().to_string();
        ask(world, &own, NAMES);
        world.stop();
        ask(world, &own, &["a"]);
    });
}

/// C-240, C-241: the list of all, which it makes only when all are running.
#[test]
fn all_running() {
    same_of_both(|world| {
        world.programs("[program:a]\ncommand=/bin/sleep 100\nnumprocs=3\nprocess_name=a%(process_num)d\n[program:b]\ncommand=/bin/cat\n");
        world.start();
        world.expect_running(&["a0", "a1", "a2", "b"]);
        for ctl in [world.program("supervisorctl"), upstream().join("bin/supervisorctl")] {
            ask(world, &ctl.display().to_string(), &["a:a2", "b"]);
        }
    });
}

/// C-240, C-241, C-242: with upstream's `supervisorctl`.
#[test]
fn with_upstreams_supervisorctl() {
    same_of_both(|world| {
        everything(world);
        let upstreams = upstream().join("bin/supervisorctl").display().to_string();
        ask(world, &upstreams, NAMES);
        world.stop();
        ask(world, &upstreams, &["a"]);
    });
}
