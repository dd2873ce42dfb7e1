//! Waiting for what happens to files, by inotify.

use std::mem::MaybeUninit;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::inotify::{self, CreateFlags, Reader, WatchFlags};

use super::PATIENCE;
use super::process::readable;

/// Waits until `found` sees what it looks for; it is asked again whenever something in `dir`
/// is created, written, renamed or removed. `None` at the limit.
pub fn wait_dir<T>(dir: &Path, limit: Duration, mut found: impl FnMut() -> Option<T>) -> Option<T> {
    let events = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).expect("inotify");
    let all = WatchFlags::CREATE | WatchFlags::MODIFY | WatchFlags::MOVE | WatchFlags::DELETE;
    inotify::add_watch(&events, dir, all | WatchFlags::ATTRIB).expect("a directory to watch");
    let end = Instant::now() + limit;
    loop {
        // Asked after the watch stands, so nothing falls between.
        if let Some(answer) = found() {
            return Some(answer);
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() || !readable(&events, left) {
            return found();
        }
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = Reader::new(&events, &mut buffer);
        while reader.next().is_ok() {}
    }
}

/// Waits until a file holds a text and gives all of it.
///
/// # Panics
/// When the text does not come.
pub fn expect_in_file(path: &Path, needle: &str) -> String {
    let dir = path.parent().expect("a file in a directory");
    let read = || String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned();
    wait_dir(dir, PATIENCE, || Some(read()).filter(|text| text.contains(needle))).unwrap_or_else(
        || panic!("{needle:?} never came to {}, which holds:\n{}", path.display(), read()),
    )
}
