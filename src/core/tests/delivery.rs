//! Random lives of listeners: no event is lost but those that are counted, and a pool that behaves
//! in the end has done with all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;

use crate::core::request::Request;
use crate::core::testing::build::{listeners, plain};
use crate::core::testing::{Delivery, World};
use crate::model::event_type::EventType::RemoteCommunication;
use crate::model::exit::ExitStatus;
use crate::model::state::ProcessState;

const LISTENERS: usize = 3;

#[derive(Debug, Clone)]
enum Step {
    /// A client sends so many events.
    Happens(usize),
    /// A listener says something, in one piece or byte by byte.
    Says {
        listener: usize,
        what: &'static str,
        in_pieces: bool,
    },
    /// It ends.
    Dies(usize),
    /// It closes its stdin with an event on its way.
    Closes(usize),
    Stops(usize),
    Starts(usize),
    Wait(u64),
    HandOver,
}

fn step() -> impl Strategy<Value = Step> {
    let listener = || 0..LISTENERS;
    let words = vec![
        "READY\n",
        "RESULT 2\nOK",
        "RESULT 2\nOKREADY\n",
        "RESULT 4\nFAIL",
        "RESULT 4\nFAILREADY\n",
        "RESULT 0\n",
        "RESULT -1\n",
        "hello world\n",
    ];
    prop_oneof![
        4 => (1..4_usize).prop_map(Step::Happens),
        10 => (listener(), prop::sample::select(words), any::<bool>())
            .prop_map(|(listener, what, in_pieces)| Step::Says { listener, what, in_pieces }),
        2 => listener().prop_map(Step::Dies),
        1 => listener().prop_map(Step::Closes),
        1 => listener().prop_map(Step::Stops),
        1 => listener().prop_map(Step::Starts),
        6 => prop_oneof![0..300_u64, Just(1000), Just(5000)].prop_map(Step::Wait),
        1 => Just(Step::HandOver),
    ]
}

/// What was seen of the events, by their number in the pool.
#[derive(Debug, Default)]
struct Seen {
    /// With whom each is, as far as is known.
    with: BTreeMap<String, u64>,
    /// Those that were sent at all.
    sent: BTreeSet<u64>,
    /// Those that a listener was done with.
    done: BTreeSet<u64>,
}

impl Seen {
    fn look(&mut self, world: &mut World) -> Vec<Delivery> {
        let deliveries = world.deliveries();
        for sent in &deliveries {
            let number = pool_serial(sent);
            let youngest = self.sent.last().copied();
            let first = self.sent.insert(number);
            assert!(!first || youngest < Some(number), "{number} is sent first after {youngest:?}");
            assert!(!self.done.contains(&number), "{number} is sent after it was done with");
            self.with.insert(sent.name.clone(), number);
        }
        deliveries
    }
}

fn pool_serial(sent: &Delivery) -> u64 {
    sent.text.split("poolserial:").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap()
}

fn name(listener: usize) -> String {
    format!("p:p_{listener}")
}

fn is_up(world: &World, name: &str) -> bool {
    matches!(world.state(name), ProcessState::Running | ProcessState::Starting)
        && world.pid(name) != 0
}

fn take(world: &mut World, seen: &mut Seen, last: &mut BTreeMap<String, Delivery>, step: &Step) {
    match *step {
        Step::Happens(number) => {
            for _ in 0..number {
                let event = Request::RemoteEvent { kind: "t".to_owned(), data: "d".to_owned() };
                world.answer(event).unwrap();
            }
        }
        Step::Says { listener, what, in_pieces } => {
            let name = name(listener);
            if !is_up(world, &name) {
                return;
            }
            let length = if in_pieces { 1 } else { what.len() };
            for piece in what.as_bytes().chunks(length) {
                say(world, seen, &name, std::str::from_utf8(piece).unwrap());
            }
        }
        Step::Dies(listener) if is_up(world, &name(listener)) => {
            world.exits(&name(listener), ExitStatus::Code(1));
        }
        Step::Closes(listener) => {
            if let Some(sent) = last.get(&name(listener)) {
                world.loses(&sent.clone());
            }
        }
        Step::Stops(listener) => {
            world.stop(&name(listener));
        }
        Step::Starts(listener) => {
            world.start(&name(listener));
        }
        Step::Wait(millis) => world.run_ms(millis),
        Step::HandOver => world.hand_over(),
        Step::Dies(_) => {}
    }
}

/// Says something, and notes what a listener was done with by that.
fn say(world: &mut World, seen: &mut Seen, name: &str, what: &str) {
    world.forget_lines();
    world.says(name, what);
    let done = format!("DEBG {}: event was processed", &name[2..]);
    if world.lines().contains(&done) {
        let number = seen.with.remove(name).expect("it had an event");
        assert!(seen.done.insert(number), "{number} is done with twice");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_event_is_done_with_or_counted(
        buffer in prop_oneof![Just(3_i64), Just(1000)],
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let pool = listeners("p", LISTENERS, &[RemoteCommunication], |pool| pool.buffer_size = buffer);
        let mut world = World::booted(vec![Arc::clone(&pool), plain("a")]);
        let (mut seen, mut last) = (Seen::default(), BTreeMap::new());
        for step in steps {
            take(&mut world, &mut seen, &mut last, &step);
            for sent in seen.look(&mut world) {
                last.insert(sent.name.clone(), sent);
            }
        }
        // From here on all of them behave.
        for listener in 0..LISTENERS {
            world.stop(&name(listener));
            seen.with.remove(&name(listener));
            world.run_ms(100_000);
            world.start(&name(listener));
            world.run_ms(5000);
            seen.look(&mut world);
            say(&mut world, &mut seen, &name(listener), "READY\n");
            seen.look(&mut world);
        }
        for _ in 0..200 {
            world.run_ms(40_000);
            for listener in 0..LISTENERS {
                seen.look(&mut world);
                if seen.with.contains_key(&name(listener)) {
                    say(&mut world, &mut seen, &name(listener), "RESULT 2\nOKREADY\n");
                }
            }
        }
        let counts = world.snapshot.groups["p"].pool.unwrap();
        prop_assert_eq!((counts.queued, counts.sent), (0, 0));
        let accepted = world.core.serials().listeners;
        prop_assert_eq!(seen.done.len() as u64 + counts.dropped, accepted);
        if buffer == 1000 {
            prop_assert_eq!(counts.dropped, 0);
        }
    }
}
