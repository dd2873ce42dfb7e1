//! One picture after another, for all pages that are open; none while no page is.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use serde::Serialize;
use tokio::sync::watch;

/// A value of each process, by its name as people write it.
pub type Values<V> = BTreeMap<Arc<str>, V>;

/// A picture: the values at one moment, and which of them are not those of the picture before.
pub struct Picture<V> {
    number: u64,
    at: u64,
    values: Values<V>,
    /// Names whose values are new or gone.
    changed: Vec<Arc<str>>,
    whole: OnceLock<Arc<str>>,
    news: OnceLock<Arc<str>>,
}

/// What is sent of a picture: `{"at":1700000000000,"of":{"web":…,"gone":null}}`.
#[derive(Serialize)]
struct Sent<'p, V> {
    /// In milliseconds since the epoch.
    at: u64,
    /// Whether it is all there is, or what changed.
    whole: bool,
    of: BTreeMap<&'p str, Option<&'p V>>,
}

impl<V: Serialize> Picture<V> {
    /// All of it, as JSON.
    fn whole(&self) -> Arc<str> {
        let all = || self.values.iter().map(|(name, value)| (&**name, Some(value)));
        Arc::clone(self.whole.get_or_init(|| self.json(true, all().collect())))
    }

    /// What is new in it, as JSON.
    fn news(&self) -> Arc<str> {
        let new = || self.changed.iter().map(|name| (&**name, self.values.get(name)));
        Arc::clone(self.news.get_or_init(|| self.json(false, new().collect())))
    }

    fn json(&self, whole: bool, of: BTreeMap<&str, Option<&V>>) -> Arc<str> {
        // Values of ours always have a JSON.
        serde_json::to_string(&Sent { at: self.at, whole, of }).unwrap_or_default().into()
    }
}

/// Where pictures are published.
pub struct Feed<V> {
    pictures: watch::Sender<Arc<Picture<V>>>,
    /// Whether somebody is making them.
    at_work: Mutex<bool>,
}

impl<V> fmt::Debug for Feed<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed")
            .field("lookers", &self.pictures.receiver_count())
            .finish_non_exhaustive()
    }
}

impl<V> Default for Feed<V> {
    fn default() -> Self {
        let nothing = Picture {
            number: 0,
            at: 0,
            values: Values::new(),
            changed: Vec::new(),
            whole: OnceLock::new(),
            news: OnceLock::new(),
        };
        Self { pictures: watch::Sender::new(Arc::new(nothing)), at_work: Mutex::new(false) }
    }
}

impl<V: PartialEq> Feed<V> {
    /// Looks from now on. When nobody makes pictures yet, `begin` is called to see to it; it is
    /// given the shift, which ends when that is dropped.
    pub fn look(self: &Arc<Self>, begin: impl FnOnce(Shift<V>)) -> Looking<V> {
        let mut at_work = self.at_work();
        let mut pictures = self.pictures.subscribe();
        if !*at_work {
            *at_work = true;
            // What is there is from the last time that somebody looked.
            pictures.mark_unchanged();
            drop(at_work);
            begin(Shift(Arc::clone(self)));
        } else if pictures.borrow().number > 0 {
            pictures.mark_changed();
        }
        Looking { pictures, seen: None }
    }

    fn at_work(&self) -> MutexGuard<'_, bool> {
        self.at_work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The time during which pictures are made.
#[derive(Debug)]
pub struct Shift<V: PartialEq>(Arc<Feed<V>>);

impl<V: PartialEq> Shift<V> {
    /// Ends the shift, unless somebody looks: then it goes on.
    #[must_use]
    pub fn go_on(self) -> Option<Self> {
        let mut at_work = self.0.at_work();
        if self.0.pictures.receiver_count() > 0 {
            drop(at_work);
            return Some(self);
        }
        // Under the lock: whoever begins to look now begins a new shift.
        *at_work = false;
        drop(at_work);
        None
    }

    /// Shows these values, taken at this time in milliseconds since the epoch.
    pub fn publish(&self, at: u64, values: Values<V>) {
        let old = Arc::clone(&self.0.pictures.borrow());
        let new = values.iter().filter(|(name, value)| old.values.get(*name) != Some(value));
        let gone = old.values.keys().filter(|name| !values.contains_key(*name));
        let changed = new.map(|(name, _)| name).chain(gone).cloned().collect();
        self.0.pictures.send_replace(Arc::new(Picture {
            number: old.number + 1,
            at,
            values,
            changed,
            whole: OnceLock::new(),
            news: OnceLock::new(),
        }));
    }
}

impl<V: PartialEq> Drop for Shift<V> {
    fn drop(&mut self) {
        // A shift that was ended by a panic: the next who looks begins another.
        *self.0.at_work() = false;
    }
}

/// Somebody who looks, until this is dropped.
pub struct Looking<V> {
    pictures: watch::Receiver<Arc<Picture<V>>>,
    seen: Option<u64>,
}

impl<V> fmt::Debug for Looking<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Looking").field("seen", &self.seen).finish_non_exhaustive()
    }
}

impl<V: Serialize> Looking<V> {
    /// The next picture as JSON: first all of it, then what changed, and all of it again after
    /// some were missed. It may be cancelled and called again. None when there will be no more.
    pub async fn next(&mut self) -> Option<Arc<str>> {
        loop {
            self.pictures.changed().await.ok()?;
            let picture = Arc::clone(&self.pictures.borrow_and_update());
            let follows = self.seen.is_some_and(|seen| seen + 1 == picture.number);
            self.seen = Some(picture.number);
            if !follows {
                return Some(picture.whole());
            }
            if !picture.changed.is_empty() {
                return Some(picture.news());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn values(all: &[(&str, u32)]) -> Values<u32> {
        all.iter().map(|&(name, value)| (name.into(), value)).collect()
    }

    /// Looks, and gives back the shift if this began one.
    fn look(feed: &Arc<Feed<u32>>) -> (Looking<u32>, Option<Shift<u32>>) {
        let mut shift = None;
        let looking = feed.look(|begun| shift = Some(begun));
        (looking, shift)
    }

    #[tokio::test]
    async fn the_first_picture_is_whole_and_the_next_tells_what_changed() {
        let feed = Arc::new(Feed::default());
        let (mut looking, shift) = look(&feed);
        let shift = shift.expect("the first begins");
        shift.publish(5, values(&[("a", 1), ("b", 2), ("c", 3)]));
        let whole = r#"{"at":5,"whole":true,"of":{"a":1,"b":2,"c":3}}"#;
        assert_eq!(&*looking.next().await.unwrap(), whole);
        shift.publish(6, values(&[("a", 1), ("b", 7), ("d", 4)]));
        let news = r#"{"at":6,"whole":false,"of":{"b":7,"c":null,"d":4}}"#;
        assert_eq!(&*looking.next().await.unwrap(), news);
        let (mut late, second) = look(&feed);
        assert!(second.is_none(), "one is at work");
        assert!(late.next().await.unwrap().contains(r#""whole":true"#), "at once");
    }

    #[tokio::test]
    async fn whoever_missed_a_picture_gets_all_of_the_newest() {
        let feed = Arc::new(Feed::default());
        let (mut looking, shift) = look(&feed);
        let shift = shift.unwrap();
        for value in 1..=3 {
            shift.publish(value.into(), values(&[("a", value), ("b", 9)]));
            if value == 1 {
                looking.next().await.unwrap();
            }
        }
        let whole = r#"{"at":3,"whole":true,"of":{"a":3,"b":9}}"#;
        assert_eq!(&*looking.next().await.unwrap(), whole);
    }

    #[tokio::test]
    async fn a_picture_like_the_one_before_is_not_told() {
        let feed = Arc::new(Feed::default());
        let (mut looking, shift) = look(&feed);
        let shift = shift.unwrap();
        shift.publish(1, values(&[("a", 1)]));
        looking.next().await.unwrap();
        shift.publish(2, values(&[("a", 1)]));
        let mut next = Box::pin(looking.next());
        assert!(next.as_mut().now_or_never().is_none());
        shift.publish(3, values(&[("a", 2)]));
        assert_eq!(&*next.await.unwrap(), r#"{"at":3,"whole":false,"of":{"a":2}}"#);
    }

    #[tokio::test]
    async fn a_shift_ends_with_the_last_who_looks_and_a_new_one_begins_with_the_next() {
        let feed = Arc::new(Feed::default());
        let (looking, shift) = look(&feed);
        let shift = shift.unwrap().go_on().expect("somebody looks");
        shift.publish(1, values(&[("a", 1)]));
        drop(looking);
        assert!(shift.go_on().is_none());
        let (mut looking, shift) = look(&feed);
        let shift = shift.expect("another shift");
        let mut next = Box::pin(looking.next());
        assert!(next.as_mut().now_or_never().is_none(), "the old picture is old");
        shift.publish(2, values(&[]));
        assert_eq!(&*next.await.unwrap(), r#"{"at":2,"whole":true,"of":{}}"#);
        drop(shift);
        assert!(look(&feed).1.is_some(), "a shift that was dropped is over");
    }
}
