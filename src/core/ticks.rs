//! TICK events: the periods of the wall clock (C-368).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::event::{Event, Period};
use crate::model::time::{Mono, Now};

/// How long it takes at most until it is noticed that the clock was set.
const CLOCK_WATCH: Duration = Duration::from_secs(5);

/// Counts periods. Nothing wakes up for those that nobody wants.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Ticks {
    /// The number of each current period; none before the start.
    current: Option<[u64; 3]>,
    /// How many clients want each.
    clients: [u32; 3],
}

impl Ticks {
    /// A client wants ticks of this period, or no longer.
    pub fn want(&mut self, period: Period, wanted: bool) {
        let clients = &mut self.clients[period as usize];
        *clients = if wanted { clients.saturating_add(1) } else { clients.saturating_sub(1) };
    }

    /// All clients are gone.
    pub fn forget_clients(&mut self) {
        self.clients = [0; 3];
    }

    /// Whether a client wants ticks of this period.
    #[must_use]
    pub fn is_wanted(&self, period: Period) -> bool {
        self.clients[period as usize] > 0
    }

    /// The periods that began since it was last asked, each told once. At the start none did.
    pub fn pass(&mut self, now: Now) -> Vec<Event> {
        let new = Period::ALL.map(|period| now.wall.secs() / period.secs());
        let old = self.current.replace(new).unwrap_or(new);
        let began = Period::ALL.into_iter().filter(|&period| {
            let at = period as usize;
            new[at] != old[at]
        });
        began
            .map(|period| Event::Tick { period, when: new[period as usize] * period.secs() })
            .collect()
    }

    /// When the next of the wanted periods begins, as the clock goes now.
    #[must_use]
    pub fn deadline(now: Now, wanted: impl Fn(Period) -> bool) -> Option<Mono> {
        let wanted = Period::ALL.into_iter().filter(|&period| wanted(period));
        let next = wanted.map(|period| {
            let begins = (now.wall.secs() / period.secs() + 1).saturating_mul(period.secs());
            Duration::from_secs(begins).saturating_sub(now.wall.0)
        });
        next.min().map(|left| now.mono + left.min(CLOCK_WATCH))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Wall;

    fn at(millis: u64) -> Now {
        Now { mono: Mono(Duration::from_secs(7)), wall: Wall(Duration::from_millis(millis)) }
    }

    fn told(ticks: &mut Ticks, millis: u64) -> Vec<(u64, u64)> {
        let events = ticks.pass(at(millis));
        events
            .into_iter()
            .map(|event| match event {
                Event::Tick { period, when } => (period.secs(), when),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn a_period_is_told_when_its_number_changes() {
        // C-368
        let mut ticks = Ticks::default();
        assert_eq!(told(&mut ticks, 3_599_999), [], "none at the start");
        assert_eq!(told(&mut ticks, 3_600_000), [(5, 3600), (60, 3600), (3600, 3600)]);
        assert_eq!(told(&mut ticks, 3_604_999), []);
        assert_eq!(told(&mut ticks, 3_617_000), [(5, 3615)], "what was missed is told once");
        assert_eq!(told(&mut ticks, 3_599_000), [(5, 3595), (60, 3540), (3600, 0)], "set back");
    }

    #[test]
    fn it_wakes_for_what_is_wanted_and_looks_at_the_clock_now_and_then() {
        let only = |wanted| move |period| period == wanted;
        let start = at(0).mono;
        assert_eq!(Ticks::deadline(at(1_000), |_| false), None);
        let deadline = Ticks::deadline(at(3_599_250), only(Period::Seconds3600));
        assert_eq!(deadline, Some(start + Duration::from_millis(750)));
        let deadline = Ticks::deadline(at(1_000), only(Period::Seconds3600));
        assert_eq!(deadline, Some(start + CLOCK_WATCH));
        let deadline = Ticks::deadline(at(1_000), only(Period::Seconds5));
        assert_eq!(deadline, Some(start + Duration::from_secs(4)));
    }
}
