//! CPU and memory of the programs that run, measured while somebody looks.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::feed::{Feed, Looking, Shift, Values};
use super::millis;
use crate::api::{Api, Usage};
use crate::model::key::ProcKey;
use crate::model::snapshot::{ProcessSnapshot, Snapshot};
use crate::model::time::{Mono, Now};

/// The time between two looks at all programs.
const INTERVAL: Duration = Duration::from_secs(2);
/// The second look comes sooner: only then it is known what CPU they use.
const SECOND: Duration = Duration::from_millis(500);
/// A look that took long is followed by a pause so many times as long, so that measuring never
/// takes more than a hundredth of a processor.
const PAUSE: u32 = 100;
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(60);
/// How long samples are kept.
const KEPT: Duration = Duration::from_secs(5 * 60);
/// An account that is older says nothing of what is used now.
const FRESH: Duration = Duration::from_secs(10);

/// What a program uses: `[1.5,10240]`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Load(
    /// CPU, in percent of one processor, since the look before; none at the first look.
    pub Option<f32>,
    /// Memory, in KiB; none where it is not known.
    pub Option<u64>,
);

/// What a program used at some time: `[1700000000000,1.5,10240]`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Sample(
    /// In milliseconds since the epoch.
    pub u64,
    /// As in [`Load`].
    pub Option<f32>,
    /// As in [`Load`].
    pub Option<u64>,
);

/// Measures programs. A clone is the same one.
#[derive(Debug, Clone)]
pub struct Meter {
    api: Api,
    feed: Arc<Feed<Load>>,
    book: Arc<Mutex<Book>>,
}

impl Meter {
    /// Measures the programs of this daemon. Nothing is done before somebody looks.
    #[must_use]
    pub fn new(api: Api) -> Self {
        Self { api, feed: Arc::default(), book: Arc::default() }
    }

    /// Looks at what all programs use, until the result is dropped: `{"at":…,"of":{"web":[1.5,
    /// 10240]}}`.
    #[must_use]
    pub fn look(&self) -> Looking<Load> {
        self.feed.look(|shift| drop(tokio::spawn(self.clone().measure(shift))))
    }

    /// What a process used in the last minutes, as far as somebody looked, oldest first.
    #[must_use]
    pub fn history(&self, process: ProcKey) -> Vec<Sample> {
        let since = millis(self.api.now().wall).saturating_sub(in_millis(KEPT));
        self.book().history(process, since)
    }

    async fn measure(self, mut shift: Shift<Load>) {
        loop {
            let began = Instant::now();
            let is_first = self.once(&shift).await;
            let usual = if is_first { SECOND } else { INTERVAL };
            sleep(usual.max(began.elapsed().saturating_mul(PAUSE).min(LONGEST))).await;
            match shift.go_on() {
                Some(goes_on) => shift = goes_on,
                None => break,
            }
        }
    }

    /// Looks once; whether the CPU of some is not known yet.
    async fn once(&self, shift: &Shift<Load>) -> bool {
        let snapshot = self.api.snapshot();
        let alive: Vec<_> = snapshot.processes.values().filter(|p| p.pid > 0).cloned().collect();
        let now = self.api.now();
        let usage = self.api.usage(alive.clone()).await;
        let measured: Vec<_> = alive.into_iter().zip(usage).collect();
        let values = self.book().enter(now, measured, &self.api.snapshot());
        let is_first = values.values().any(|load| load.0.is_none());
        shift.publish(millis(now.wall), values);
        is_first
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        // Nothing that holds the lock leaves it half changed.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The samples so far.
#[derive(Debug, Default)]
struct Book {
    series: HashMap<ProcKey, Series>,
}

/// The samples of one process, and its account at the last look: of which run, when, and the time
/// on processors in nanoseconds.
#[derive(Debug, Default)]
struct Series {
    account: Option<(Mono, Mono, u64)>,
    samples: VecDeque<Sample>,
}

impl Book {
    /// Enters what was measured from `now` on. `after` is how everything was afterwards: what
    /// ended meanwhile is left out, because its pid may have been somebody else's when it was
    /// looked at.
    fn enter(
        &mut self,
        now: Now,
        measured: Vec<(Arc<ProcessSnapshot>, Usage)>,
        after: &Snapshot,
    ) -> Values<Load> {
        let at = millis(now.wall);
        let mut values = Values::new();
        for (process, usage) in measured {
            let name = &process.spec.name;
            let lives = |now: &Arc<ProcessSnapshot>| {
                (now.key, now.pid, now.started) == (process.key, process.pid, process.started)
            };
            let Some((run, _)) = process.started else { continue };
            if !after.processes.get(name).is_some_and(lives) {
                continue;
            }
            let series = self.series.entry(process.key).or_default();
            let cpu = usage.cpu_nsec.and_then(|used| {
                let last = series.account.replace((run, now.mono, used));
                let (before, then, had) = last?;
                let passed = now.mono - then;
                let fresh = before == run && !passed.is_zero() && passed <= FRESH;
                fresh.then(|| percent(used.saturating_sub(had), passed))
            });
            let memory = usage.memory.map(|bytes| bytes / 1024);
            series.samples.push_back(Sample(at, cpu, memory));
            values.insert(name.to_string().into(), Load(cpu, memory));
        }
        self.forget(at, after);
        values
    }

    /// Forgets what is old, and processes that are gone.
    fn forget(&mut self, at: u64, after: &Snapshot) {
        let since = at.saturating_sub(in_millis(KEPT));
        let known: Vec<_> = after.processes.values().map(|process| process.key).collect();
        let known: std::collections::HashSet<_> = known.into_iter().collect();
        self.series.retain(|key, series| {
            while series.samples.front().is_some_and(|sample| sample.0 < since) {
                series.samples.pop_front();
            }
            known.contains(key) && !series.samples.is_empty()
        });
    }

    fn history(&self, process: ProcKey, since: u64) -> Vec<Sample> {
        let samples = self.series.get(&process).map(|series| series.samples.iter());
        samples.into_iter().flatten().filter(|sample| sample.0 >= since).copied().collect()
    }
}

/// So many nanoseconds of CPU in this time, in percent with one decimal.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)] // one decimal is enough
fn percent(used: u64, passed: Duration) -> f32 {
    let share = used as f64 / passed.as_nanos() as f64;
    ((share * 1000.0).round() / 10.0) as f32
}

fn in_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{World, pass, process};
    use super::*;
    use crate::model::time::Wall;

    fn at(secs: u64) -> Now {
        let time = Duration::from_secs(secs);
        Now { mono: Mono(time), wall: Wall(time) }
    }

    /// A process with this pid that was started at this time.
    fn running(name: &str, pid: i32, started: u64) -> ProcessSnapshot {
        let now = at(started);
        ProcessSnapshot { pid, started: Some((now.mono, now.wall)), ..process(name, name) }
    }

    fn used(millis: u64, memory: u64) -> Usage {
        Usage {
            cpu_nsec: Some(millis * 1_000_000),
            memory: Some(memory * 1024),
            ..Usage::default()
        }
    }

    fn snapshot(processes: &[&ProcessSnapshot]) -> Snapshot {
        let mut snapshot = Snapshot::empty();
        for &process in processes {
            snapshot.processes.insert(process.spec.name.clone(), Arc::new(process.clone()));
        }
        snapshot
    }

    #[test]
    fn cpu_is_what_was_used_between_two_looks() {
        let web = running("web", 7, 1);
        let after = snapshot(&[&web]);
        let mut book = Book::default();
        let mut look = |secs, usage| {
            let values = book.enter(at(secs), vec![(Arc::new(web.clone()), usage)], &after);
            values["web"]
        };
        assert_eq!(look(10, used(500, 4)), Load(None, Some(4)));
        assert_eq!(look(12, used(1500, 5)), Load(Some(50.0), Some(5)));
        assert_eq!(look(14, used(1501, 5)), Load(Some(0.1), Some(5)));
        assert_eq!(look(16, used(1400, 5)), Load(Some(0.0), Some(5)), "never less than nothing");
        // Nobody looked in between: the mean of all that time would be a wrong picture of now.
        assert_eq!(look(60, used(9000, 5)), Load(None, Some(5)));
        assert_eq!(look(61, Usage::default()), Load(None, None));
        let history = book.history(web.key, 0);
        assert_eq!(history.len(), 6);
        assert_eq!(history[1], Sample(12_000, Some(50.0), Some(5)));
        assert_eq!(book.history(web.key, 16_000).len(), 3);
    }

    #[test]
    fn another_run_with_the_same_pid_is_another_account() {
        let mut book = Book::default();
        let old = running("web", 7, 1);
        book.enter(at(10), vec![(Arc::new(old.clone()), used(500, 4))], &snapshot(&[&old]));
        let new = running("web", 7, 11);
        // It was measured for the old run, and is the new one by now.
        let late = vec![(Arc::new(old), used(600, 4))];
        assert!(book.enter(at(12), late, &snapshot(&[&new])).is_empty());
        let values =
            book.enter(at(14), vec![(Arc::new(new.clone()), used(900, 4))], &snapshot(&[&new]));
        assert_eq!(values["web"], Load(None, Some(4)));
        assert_eq!(book.history(new.key, 0).len(), 2, "the chart goes on");
    }

    #[test]
    fn samples_are_kept_for_minutes_and_those_of_gone_processes_not_at_all() {
        let mut book = Book::default();
        let web = running("web", 7, 1);
        for secs in 0..1000 {
            book.enter(at(secs), vec![(Arc::new(web.clone()), used(0, 4))], &snapshot(&[&web]));
        }
        let history = book.history(web.key, 0);
        assert_eq!((history.len(), history[0].0), (301, 699_000));
        book.enter(at(1001), Vec::new(), &Snapshot::empty());
        assert!(book.series.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn programs_are_measured_while_somebody_looks_and_no_longer() {
        let own = std::process::id().cast_signed();
        let world = World::new(vec![running("web", own, 1)]);
        let meter = Meter::new(world.api.clone());
        let mut looking = meter.look();
        let mut second = meter.look();
        let first = looking.next().await.unwrap();
        assert!(first.contains(r#""of":{"web":[null,"#), "{first}");
        pass(Duration::from_secs(1));
        let next = second.next().await.unwrap();
        assert!(next.contains(r#""whole":true"#), "{next}");
        let next = looking.next().await.unwrap();
        assert!(next.contains(r#""web":["#) && !next.contains("null"), "{next}");
        drop((looking, second));
        sleep(2 * INTERVAL).await;
        let measured =
            meter.book().series.values().map(|series| series.samples.len()).sum::<usize>();
        sleep(10 * INTERVAL).await;
        assert_eq!(meter.history(ProcKey(1)).len(), measured, "nobody looks");
    }
}
