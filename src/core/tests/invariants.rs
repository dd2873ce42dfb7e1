//! Random histories. What must hold is checked in every turn by `testing/watch.rs`; here is what
//! must hold at the end.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use crate::core::action::Input;
use crate::core::request::{Request, Token};
use crate::core::testing::build::{group, process};
use crate::core::testing::{Program, World, scope};
use crate::model::exit::ExitStatus;
use crate::model::fault::{Fault, FaultKind};
use crate::model::name::ProcessName;
use crate::model::signal::Signal;
use crate::model::spec::{Autorestart, GroupSpec, KillMode};
use crate::model::state::ProcessState;

const NAMES: [&str; 5] = ["g:a", "g:b", "h:a", "h:b", "solo"];
const SCOPES: [&str; 9] = ["g:a", "g:b", "h:a", "h:b", "solo", "g:*", "h:*", "*", "nobody"];
const GROUPS: [&str; 4] = ["g", "h", "solo", "nobody"];

/// One thing that happens in a history.
#[derive(Debug, Clone)]
enum Step {
    Start { scope: usize, wait: bool, refuse: bool },
    Stop { scope: usize, wait: bool },
    Signal { scope: usize, signal: Signal },
    Stdin(usize),
    Add(usize),
    Remove(usize),
    Reread(u8),
    Restart(bool),
    Shutdown,
    Abandon(u64),
    Os(Signal),
    Program { name: usize, program: Program },
    Exit { name: usize, status: ExitStatus },
    LeftEnd(usize),
    Stranger(i32),
    Wait(u64),
    HandOver,
}

fn status() -> impl Strategy<Value = ExitStatus> {
    prop_oneof![
        (0..3).prop_map(ExitStatus::Code),
        Just(ExitStatus::Signal { signal: Signal(11), core_dumped: true }),
    ]
}

fn behaviour() -> impl Strategy<Value = Program> {
    let millis = || prop_oneof![Just(0), Just(1), 0..4000_u64].prop_map(Duration::from_millis);
    (
        prop_oneof![3 => Just(Duration::ZERO), 1 => millis()],
        prop::option::weighted(0.2, Just("no")),
        prop::option::weighted(0.5, (millis(), status())),
        prop::option::weighted(0.8, millis()),
        prop::option::weighted(0.3, status()),
        prop::bool::weighted(0.8),
        prop::option::weighted(0.05, Just("EPERM")),
        (
            prop_oneof![2 => Just(0), 1 => 1..4_u32],
            prop::option::weighted(0.7, millis()),
            prop::bool::weighted(0.8),
        ),
    )
        .prop_map(
            |(
                spawns_in,
                spawn_error,
                lives,
                stops_in,
                stops_with,
                killable,
                signal_error,
                left,
            )| {
                let (leaves, left_end_in, left_killable) = left;
                Program {
                    spawns_in,
                    spawn_error,
                    lives,
                    stops_in,
                    stops_with,
                    killable,
                    signal_error,
                    heard_in: spawns_in,
                    leaves,
                    left_end_in,
                    left_killable,
                }
            },
        )
}

fn step() -> impl Strategy<Value = Step> {
    let scope = || 0..SCOPES.len();
    prop_oneof![
        6 => (scope(), any::<bool>(), prop::bool::weighted(0.1))
            .prop_map(|(scope, wait, refuse)| Step::Start { scope, wait, refuse }),
        6 => (scope(), any::<bool>()).prop_map(|(scope, wait)| Step::Stop { scope, wait }),
        2 => (scope(), prop::sample::select(vec![Signal::HUP, Signal::TERM, Signal::KILL]))
            .prop_map(|(scope, signal)| Step::Signal { scope, signal }),
        1 => (0..NAMES.len()).prop_map(Step::Stdin),
        2 => (0..GROUPS.len()).prop_map(Step::Add),
        2 => (0..GROUPS.len()).prop_map(Step::Remove),
        1 => any::<u8>().prop_map(Step::Reread),
        1 => prop::bool::weighted(0.3).prop_map(Step::Restart),
        1 => Just(Step::Shutdown),
        1 => (0..40_u64).prop_map(Step::Abandon),
        1 => prop::sample::select(vec![Signal::HUP, Signal::USR2, Signal::CHLD, Signal::TERM])
            .prop_map(Step::Os),
        8 => (0..NAMES.len(), behaviour()).prop_map(|(name, program)| Step::Program { name, program }),
        6 => (0..NAMES.len(), status()).prop_map(|(name, status)| Step::Exit { name, status }),
        2 => (0..NAMES.len()).prop_map(Step::LeftEnd),
        1 => (5000..5005).prop_map(Step::Stranger),
        16 => prop_oneof![0..50_u64, 500..4000_u64, Just(1000), Just(20_000)].prop_map(Step::Wait),
        1 => Just(Step::HandOver),
    ]
}

/// A configuration of three groups; `seed` chooses the options.
fn configuration(seed: u8) -> Vec<Arc<GroupSpec>> {
    let seed = i64::from(seed);
    let one = |name: &str, at: i64| {
        let bits = seed.wrapping_mul(31).wrapping_add(at * 7);
        process(name, |spec| {
            spec.startsecs = [0, 1, 2, -1][usize::try_from(bits % 4).unwrap()];
            spec.startretries = bits / 2 % 4 - 1;
            spec.stopwaitsecs = [0, 1, 3, -1][usize::try_from(bits / 3 % 4).unwrap()];
            spec.autostart = bits % 3 != 0;
            spec.stdout.events_enabled = bits % 2 == 1;
            spec.priority = bits % 5;
            spec.stopasgroup = bits % 2 == 0;
            spec.killmode = [KillMode::ControlGroup, KillMode::Mixed, KillMode::Process]
                [usize::try_from(bits / 7 % 3).unwrap()];
            spec.autorestart = [Autorestart::Never, Autorestart::Unexpected, Autorestart::Always]
                [usize::try_from(bits / 5 % 3).unwrap()];
        })
    };
    let mut groups = vec![
        group("g", seed % 3, vec![one("g:a", 1), one("g:b", 2)]),
        group("h", 1, vec![one("h:a", 3), one("h:b", 4)]),
        group("solo", 999, vec![one("solo", 5)]),
    ];
    if seed % 7 == 0 {
        groups.remove(1);
    }
    groups
}

fn take(world: &mut World, step: Step) {
    match step {
        Step::Start { scope: at, wait, refuse } => {
            let refused = if refuse {
                let name = |text: &str| match scope(text) {
                    crate::core::request::Scope::Process(name) => name,
                    _ => ProcessName::new("", ""),
                };
                [(name(NAMES[at % NAMES.len()]), Fault::from(FaultKind::NoFile))].into()
            } else {
                std::collections::BTreeMap::new()
            };
            world.ask(Request::Start { scope: scope(SCOPES[at]), wait, refused });
        }
        Step::Stop { scope: at, wait } => {
            world.ask(Request::Stop { scope: scope(SCOPES[at]), wait });
        }
        Step::Signal { scope: at, signal } => {
            world.signal(SCOPES[at], signal);
        }
        Step::Stdin(at) => {
            if let crate::core::request::Scope::Process(name) = scope(NAMES[at]) {
                world.ask(Request::Stdin { name, data: b"x".to_vec() });
            }
        }
        Step::Add(at) => {
            world.ask(Request::AddGroup(GROUPS[at].into()));
        }
        Step::Remove(at) => {
            world.ask(Request::RemoveGroup(GROUPS[at].into()));
        }
        Step::Reread(seed) => {
            world.ask(Request::Reread { groups: Arc::new(configuration(seed)) });
        }
        Step::Restart(good) => {
            world.config = if good { Ok(()) } else { Err("bad".to_owned()) };
            world.ask(Request::Restart);
        }
        Step::Shutdown => {
            world.ask(Request::Shutdown);
        }
        Step::Abandon(token) => world.give(Input::Abandoned(Token(token))),
        Step::Os(signal) => world.os(signal),
        Step::Program { name, program } => world.program(NAMES[name], program),
        Step::Exit { name, status } => {
            let alive = |p: &crate::core::process::Process| {
                p.spec().name.to_string() == NAMES[name] && p.pid() != 0
            };
            if world.core.processes().any(alive) {
                world.exits(NAMES[name], status);
            }
        }
        Step::LeftEnd(name) => {
            if world.core.processes().any(|p| p.spec().name.to_string() == NAMES[name]) {
                world.leftovers_end(NAMES[name]);
            }
        }
        Step::Stranger(pid) => world.give(Input::Exited { pid, status: ExitStatus::Code(0) }),
        Step::Wait(millis) => world.run_ms(millis),
        Step::HandOver => world.hand_over(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_history_ends_well(seed: u8, steps in prop::collection::vec(step(), 1..80)) {
        let mut world = World::booted(configuration(seed));
        for step in steps {
            if world.exit.is_some() {
                break;
            }
            take(&mut world, step);
        }
        // From here on every child can be killed; what ends by itself does so within seconds.
        for name in NAMES {
            world.program(name, Program::default());
        }
        if world.exit.is_none() {
            world.run_ms(600_000);
        }
        if world.exit.is_none() {
            prop_assert_eq!(world.unanswered(), 0, "all has settled, and somebody waits");
            prop_assert_eq!(world.core.waiting(), 0);
            world.os(Signal::TERM);
            world.run_ms(600_000);
        }
        prop_assert!(world.exit.is_some(), "the shutdown hangs");
        prop_assert_eq!(world.unanswered(), 0);
        for child in world.children.values() {
            prop_assert_eq!(world.state(&child.name.to_string()), ProcessState::Unknown);
        }
        for process in world.core.processes().filter(|p| p.state() != ProcessState::Unknown) {
            let given_up = process.snapshot().left > 0;
            let name = &process.spec().name;
            prop_assert!(given_up || !world.left.contains_key(&process.key()), "{}", name);
        }
    }
}
