//! Runs a scenario against both daemons, and holds what the client saw against each other.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::process::Command;

use crate::support::daemon::command;
use crate::support::process::Output;
use crate::world::{Side, World, upstream};

/// A scenario on both sides at the same time. `ORACLE_SIDE=upstream` runs that side alone and prints
/// what was observed, which is how new scenarios are written.
///
/// # Panics
/// When the client saw different things, or a side did not get to its end.
pub fn same_of_both(scenario: impl Fn(&mut World) + Sync) {
    let one = |side| {
        let mut world = World::new(side);
        let end = catch_unwind(AssertUnwindSafe(|| scenario(&mut world)));
        if end.is_err() {
            eprintln!("{side:?} did not get to the end; its log:\n{}", world.main_log());
        }
        let seen: Vec<(String, String)> =
            world.observations().iter().map(|o| (o.label.clone(), o.text.clone())).collect();
        (end, seen)
    };
    if std::env::var("ORACLE_SIDE").is_ok_and(|side| side == "upstream") {
        let (end, seen) = one(Side::Upstream);
        for (label, text) in seen {
            println!("[{label}]\n{text}");
        }
        return end.unwrap_or_else(|panic| resume_unwind(panic));
    }
    let ((their_end, theirs), (our_end, ours)) = std::thread::scope(|scope| {
        let theirs = scope.spawn(|| one(Side::Upstream));
        let ours = one(Side::Ours);
        (theirs.join().expect("panics are caught within"), ours)
    });
    for end in [their_end, our_end] {
        if let Err(panic) = end {
            resume_unwind(panic);
        }
    }
    let labels = |seen: &[(String, String)]| -> Vec<String> {
        seen.iter().map(|(label, _)| label.clone()).collect()
    };
    assert_eq!(labels(&theirs), labels(&ours));
    assert!(!theirs.is_empty(), "nothing was observed");
    let different: Vec<String> = theirs
        .iter()
        .zip(&ours)
        .filter(|(theirs, ours)| theirs.1 != ours.1)
        .map(|(theirs, ours)| format!("[{}]\nupstream:\n{}\nours:\n{}", ours.0, theirs.1, ours.1))
        .collect();
    assert!(different.is_empty(), "{}", different.join("\n\n"));
}

/// Where the clients are installed.
///
/// # Panics
/// When they are not there: without them nothing is tested.
pub fn clients() -> PathBuf {
    let venv = std::env::var_os("SUPERVISOR_CLIENTS").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/clients"),
        PathBuf::from,
    );
    assert!(
        venv.join("installed").exists(),
        "no clients in {}: `make clients` installs them (from pypi.org), SUPERVISOR_CLIENTS names \
         another place",
        venv.display()
    );
    venv
}

/// One of the installed clients, to run in the scenario's directory.
pub fn client(world: &World, program: &str) -> Command {
    command(clients().join("bin").join(program), world.dir.path())
}

/// Upstream's `supervisorctl` on the scenario's configuration, whose daemon it may be.
pub fn upstreams_ctl(world: &World, args: &[&str]) -> Command {
    let mut command = command(upstream().join("bin/supervisorctl"), world.dir.path());
    command.args(["-c", "supervisord.conf"]).args(args);
    command
}

/// Observes what a client did, with its own paths taken out on both sides.
pub fn observe(world: &mut World, label: &str, mut output: Output) {
    for text in [&mut output.stdout, &mut output.stderr] {
        *text = without_paths(world, text);
    }
    world.observe(label, &output);
}

/// A text without the places of clients and of the side's own programs.
pub fn without_paths(world: &World, text: &str) -> String {
    let own = world.program("supervisorctl").display().to_string();
    let upstreams = upstream().join("bin/supervisorctl").display().to_string();
    text.replace(&own, "SUPERVISORCTL")
        .replace(&upstreams, "SUPERVISORCTL")
        .replace(&clients().display().to_string(), "CLIENTS")
        .replace(&upstream().display().to_string(), "UPSTREAM")
}
