//! TICK events reach whoever wants them, and wake nobody else (C-368).

use crate::core::action::Input;
use crate::core::testing::World;
use crate::core::testing::build::{listeners, plain};
use crate::model::event::{Event, Period};
use crate::model::event_type::EventType;

fn ticks(world: &mut World) -> Vec<u64> {
    let events = world.events().into_iter().filter_map(|event| match event {
        Event::Tick { when, .. } => Some(when),
        _ => None,
    });
    events.collect()
}

#[test]
fn a_pool_gets_the_ticks_that_it_wants() {
    // C-368
    let mut world = World::booted(vec![listeners("p", 1, &[EventType::Tick60], |_| {})]);
    world.set_wall(1_700_000_050);
    world.run_ms(1000);
    ticks(&mut world);
    world.run_ms(130_000);
    assert_eq!(ticks(&mut world), [1_700_000_100, 1_700_000_160]);
}

#[test]
fn nothing_wakes_up_for_ticks_that_nobody_wants() {
    let mut world =
        World::booted(vec![plain("a"), listeners("p", 1, &[EventType::ProcessState], |_| {})]);
    world.run_ms(5000);
    assert_eq!(world.core.next_deadline(), None);
    world.run_ms(100_000);
    assert_eq!(ticks(&mut world), [] as [u64; 0]);
    for wanted in [true, true, false] {
        world.give(Input::WantTicks { period: Period::Seconds5, wanted });
    }
    assert!(world.core.next_deadline().is_some());
    world.run_ms(5000);
    assert_eq!(ticks(&mut world).len(), 1);
    world.give(Input::WantTicks { period: Period::Seconds5, wanted: false });
    assert_eq!(world.core.next_deadline(), None);
}

#[test]
fn a_clock_that_is_set_is_noticed_soon() {
    let mut world = World::booted(vec![listeners("p", 1, &[EventType::Tick3600], |_| {})]);
    world.run_ms(5000);
    world.set_wall(1_800_000_000);
    world.run_ms(5000);
    assert_eq!(ticks(&mut world), [1_800_000_000]);
}
