//! What became of each process since the daemon began to work with its configuration: the last
//! changes of its state, with how and why.

mod book;
mod change;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use self::book::Book;
pub use self::change::Change;
use crate::api::Api;
use crate::model::event::Event;
use crate::model::name::ProcessName;
use crate::runtime::happenings::Subscription;

/// Remembers. A clone is the same one; when the last is dropped, nothing is heard any more.
#[derive(Debug, Clone)]
pub struct History {
    shared: Arc<Shared>,
    _hearing: Arc<Hearing>,
}

#[derive(Debug)]
struct Shared {
    api: Api,
    book: Mutex<Book>,
    count: watch::Sender<u64>,
}

/// The task that hears what happens.
#[derive(Debug)]
struct Hearing(JoinHandle<()>);

impl Drop for Hearing {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl History {
    /// Remembers from now on; what runs already is known to have been started. To be called
    /// inside of a tokio runtime.
    #[must_use]
    pub fn new(api: Api) -> Self {
        // Heard from before the first picture on: what is in both is known to be the same.
        let events = api.engine().events();
        let book = Book::of(&api.snapshot(), api.askers().clone());
        let count = watch::Sender::new(book.newest());
        let shared = Arc::new(Shared { api, book: Mutex::new(book), count });
        let hearing = tokio::spawn(hear(Arc::clone(&shared), events));
        Self { shared, _hearing: Arc::new(Hearing(hearing)) }
    }

    /// The changes of a process that have a number above `after`, oldest first: 0 is all that are
    /// kept.
    #[must_use]
    pub fn of(&self, name: &ProcessName, after: u64) -> Vec<Change> {
        self.shared.book().changes(name, after)
    }

    /// The number of the newest change of any process: wakes whoever waits for changes.
    #[must_use]
    pub fn newest(&self) -> watch::Receiver<u64> {
        self.shared.count.subscribe()
    }
}

impl Shared {
    fn book(&self) -> MutexGuard<'_, Book> {
        // Nothing that holds the lock leaves it half changed.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something was entered.
    fn tell(&self, count: u64) {
        self.count.send_if_modified(|old| std::mem::replace(old, count) != count);
    }
}

async fn hear(shared: Arc<Shared>, mut events: Subscription) {
    // Some changes were missed, and it is not known yet of which processes.
    let mut missed = false;
    loop {
        let event = match events.try_recv() {
            Err(TryRecvError::Empty) => {
                if std::mem::take(&mut missed) {
                    let (snapshot, now) = (shared.api.snapshot(), shared.api.now().wall);
                    let count = shared.book().catch_up(&snapshot, now);
                    shared.tell(count);
                }
                match events.recv().await {
                    Ok(event) => event,
                    Err(RecvError::Lagged(_)) => {
                        missed = true;
                        continue;
                    }
                    Err(RecvError::Closed) => return,
                }
            }
            Ok(event) => event,
            Err(TryRecvError::Lagged(_)) => {
                missed = true;
                continue;
            }
            Err(TryRecvError::Closed) => return,
        };
        let count = match &event.event {
            Event::GroupRemoved(_) => shared.book().tidy(&shared.api.snapshot()),
            heard => shared.book().hear(heard, event.at),
        };
        shared.tell(count);
    }
}
