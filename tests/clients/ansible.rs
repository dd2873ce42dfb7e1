//! Ansible's `community.general.supervisorctl`, which runs `supervisorctl` and parses what it says.

use std::process::Stdio;
use std::time::Duration;

use crate::both::{client, clients, observe, same_of_both};
use crate::support::http::loopback;
use crate::support::process::Running;
use crate::world::{DAEMON, World, upstream};

/// A run of the whole list of tasks: some fifty runs of Python on a busy machine.
const WHILE: Duration = Duration::from_secs(120);

const PROGRAMS: &str = "\
[program:a]
command=/bin/sh -c 'trap \"\" USR1; while :; do sleep 100; done'
autostart=false
startsecs=0
stopasgroup=true
[program:bad]
command=/no/such/thing
autostart=false
[program:x]
command=/bin/sleep 100
startsecs=0
[program:y]
command=/bin/sleep 100
startsecs=0
[group:g]
programs=x,y
[include]
files=*.ini
";

fn programs(world: &mut World, more: &str) {
    world.config(&format!("{DAEMON}{PROGRAMS}{more}"));
    world.start();
    world.expect_running(&["x", "y"]);
}

/// Runs all tasks with a `supervisorctl` and observes what each reported.
fn play(world: &mut World, ctl: &str, more: &str) {
    let dir = world.dir.path().display();
    let python = clients().join("bin/python");
    let variables = format!(
        "{{\"ansible_connection\":\"local\",\"ansible_python_interpreter\":\"{}\",\"ctl\":\"{ctl}\",\
         \"dir\":\"{dir}\",\"config\":\"{dir}/supervisord.conf\"{more}}}",
        python.display()
    );
    let mut ansible = client(world, "ansible-playbook");
    ansible
        .env("ANSIBLE_COLLECTIONS_PATH", clients())
        .env("ANSIBLE_STDOUT_CALLBACK", "minimal")
        .env("ANSIBLE_NOCOLOR", "1")
        .env("ANSIBLE_LOCALHOST_WARNING", "False")
        .env("ANSIBLE_INVENTORY_UNPARSED_WARNING", "False")
        .args(["--extra-vars", &variables])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/ansible.yml"))
        .stdin(Stdio::null());
    let mut output = Running::spawn(&mut ansible).finish(WHILE);
    let tasks = output.stdout.matches("localhost | ").count();
    assert_eq!(tasks, 21, "{output:?}");
    for done in ["CHANGED", "SUCCESS", "FAILED!"] {
        assert!(output.stdout.contains(&format!("localhost | {done} =>")), "{done}: {output:?}");
    }
    // Of the task that copies a file: its temporary name. Of a failure: the command's place.
    let unique = |line: &&str| {
        !["\"src\":", "\"cmd\":", "\"gid\":", "\"uid\":"].iter().any(|key| line.contains(key))
    };
    output.stdout = output.stdout.lines().filter(unique).fold(String::new(), |mut all, line| {
        all.push_str(line);
        all.push('\n');
        all
    });
    observe(world, "tasks", output);
}

/// C-226, C-239: with the `supervisorctl` of each side, over what it uses by itself.
#[test]
fn with_its_own_supervisorctl() {
    same_of_both(|world| {
        programs(world, "");
        let own = world.program("supervisorctl").display().to_string();
        play(world, &own, "");
    });
}

/// C-226, C-239, C-278: with upstream's `supervisorctl`, over TCP with a password.
#[test]
fn with_upstreams_supervisorctl() {
    same_of_both(|world| {
        let address = loopback();
        let http = format!("[inet_http_server]\nport={address}\nusername=bob\npassword=secret\n");
        programs(world, &http);
        let more =
            format!(",\"url\":\"http://{address}\",\"username\":\"bob\",\"password\":\"secret\"");
        let upstreams = upstream().join("bin/supervisorctl").display().to_string();
        play(world, &upstreams, &more);
    });
}
