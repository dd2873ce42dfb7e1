//! The newest line that each process wrote to its log, while somebody looks. The log plane wakes
//! this; nothing is looked at that did not grow.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use serde::Serialize;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use super::feed::{Feed, Looking, Shift, Values};
use super::millis;
use crate::api::{Api, Named};
use crate::model::key::ProcKey;
use crate::model::name::ProcessName;
use crate::model::snapshot::{Channel, Snapshot};
use crate::runtime::logs::{self, Growth};

/// The time between two looks, however much is written.
const PACE: Duration = Duration::from_millis(500);
/// A look that took long is followed by a pause so many times as long.
const PAUSE: u32 = 100;
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(30);
/// How long at most nothing happens before it is seen whether somebody still looks.
const LINGER: Duration = Duration::from_secs(3);
/// How much of a log is looked at, in bytes.
const WINDOW: i64 = 4096;
/// The longest line that is shown, in characters.
const LONGEST_LINE: usize = 200;

/// The newest line of a process: `["stdout",1700000000000,"ready"]`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line(
    /// Where it was written to.
    &'static str,
    /// When its log last grew, in milliseconds since the epoch.
    u64,
    /// What it says, without what is no text.
    Arc<str>,
);

/// Reads newest lines. A clone is the same one.
#[derive(Debug, Clone)]
pub struct LastLines {
    api: Api,
    feed: Arc<Feed<Line>>,
}

impl LastLines {
    /// Reads the logs of this daemon's programs. Nothing is done before somebody looks.
    #[must_use]
    pub fn new(api: Api) -> Self {
        Self { api, feed: Arc::default() }
    }

    /// Looks at the newest lines of all processes, until the result is dropped.
    #[must_use]
    pub fn look(&self) -> Looking<Line> {
        self.feed.look(|shift| drop(tokio::spawn(read(self.api.clone(), shift))))
    }
}

/// A log: whose, and which.
type Log = (ProcKey, Channel);

/// A log that may have grown: which it is, where, and what tells of its growth.
struct Grown {
    log: Log,
    path: PathBuf,
    growth: watch::Receiver<Growth>,
}

async fn read(api: Api, mut shift: Shift<Line>) {
    let mut snapshots = api.engine().snapshots();
    let mut watched = Watched::default();
    loop {
        let began = Instant::now();
        let snapshot = Arc::clone(&snapshots.borrow_and_update());
        watched.follow(&api, &snapshot);
        watched.look().await;
        shift.publish(millis(api.now().wall), watched.values(&snapshot));
        sleep(PACE.max(began.elapsed().saturating_mul(PAUSE).min(LONGEST))).await;
        loop {
            match shift.go_on() {
                Some(goes_on) => shift = goes_on,
                None => return,
            }
            tokio::select! {
                () = watched.growth() => break,
                changed = snapshots.changed() => if changed.is_ok() { break } else { return },
                () = sleep(LINGER) => {}
            }
        }
    }
}

/// The logs that are watched, and the newest line of each.
#[derive(Default)]
struct Watched {
    known: HashSet<Log>,
    lines: HashMap<Log, (u64, Arc<str>)>,
    /// Those that have not grown since they were read.
    quiet: FuturesUnordered<BoxFuture<'static, Option<Grown>>>,
    /// Those that have.
    grown: Vec<Grown>,
}

impl Watched {
    /// Watches the logs of all processes there are, and no others.
    fn follow(&mut self, api: &Api, snapshot: &Snapshot) {
        let there: HashSet<_> = logs_of(snapshot).map(|(_, log, _)| log).collect();
        if !self.known.is_subset(&there) {
            // To begin anew is simple, and processes seldom go.
            *self = Self::default();
        }
        for (name, log, path) in logs_of(snapshot) {
            if self.known.contains(&log) {
                continue;
            }
            let Ok(named) = Named::parse_process(&name.to_string()) else { continue };
            // While the daemon stops, nothing is watched.
            let Ok((growth, _)) = api.watch_process_log(&named, log.1) else { continue };
            self.known.insert(log);
            self.grown.push(Grown { log, path: path.clone(), growth });
        }
    }

    /// Waits until some log has grown.
    async fn growth(&mut self) {
        loop {
            match self.quiet.next().await {
                Some(Some(grown)) => {
                    self.grown.push(grown);
                    return;
                }
                // The log plane has stopped, or the process is gone.
                Some(None) => {}
                None => std::future::pending().await,
            }
        }
    }

    /// Reads what has grown.
    async fn look(&mut self) {
        while let Some(Some(grown)) = self.quiet.next().now_or_never() {
            self.grown.extend(grown);
        }
        let mut grown = std::mem::take(&mut self.grown);
        // What comes from here on is news again.
        for grown in &mut grown {
            grown.growth.mark_unchanged();
        }
        let reading = spawn_blocking(move || {
            let lines: Vec<_> =
                grown.iter().map(|grown| (grown.log, newest(&grown.path))).collect();
            (grown, lines)
        });
        let Ok((grown, lines)) = reading.await else { return };
        for (log, line) in lines {
            match line {
                Some(line) => drop(self.lines.insert(log, line)),
                None => drop(self.lines.remove(&log)),
            }
        }
        for mut grown in grown {
            self.quiet.push(Box::pin(async move {
                grown.growth.changed().await.ok()?;
                Some(grown)
            }));
        }
    }

    /// The newest line of each process.
    fn values(&self, snapshot: &Snapshot) -> Values<Line> {
        let mut values = BTreeMap::new();
        for (name, process) in &snapshot.processes {
            let of = |channel| Some((channel, self.lines.get(&(process.key, channel))?));
            let both = [of(Channel::Stderr), of(Channel::Stdout)];
            let newest = both.into_iter().flatten().max_by_key(|(_, line)| line.0);
            if let Some((channel, (at, text))) = newest {
                let line = Line(channel.name(), *at, Arc::clone(text));
                values.insert(name.to_string().into(), line);
            }
        }
        values
    }
}

/// The logs of all processes that have files.
fn logs_of(snapshot: &Snapshot) -> impl Iterator<Item = (&ProcessName, Log, &PathBuf)> {
    snapshot.processes.iter().flat_map(|(name, process)| {
        let channels = [Channel::Stdout, Channel::Stderr].into_iter();
        let log = move |channel| Some((name, (process.key, channel), process.logs.of(channel)?));
        channels.filter_map(log)
    })
}

/// The newest whole line of a file that says something, and when the file last grew.
fn newest(path: &Path) -> Option<(u64, Arc<str>)> {
    let modified = fs::metadata(path).ok()?.modified().ok()?;
    let at = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
    let at = u64::try_from(at.as_millis()).unwrap_or(u64::MAX);
    let (bytes, size, _) = logs::tail(path, 0, WINDOW);
    let is_cut = size > WINDOW;
    let end = bytes.iter().rposition(|&byte| byte == b'\n')?;
    let mut lines = bytes[..end].split(|&byte| byte == b'\n').rev().peekable();
    while let Some(line) = lines.next() {
        let begins_before = is_cut && lines.peek().is_none();
        let text = plain(&String::from_utf8_lossy(line));
        if !text.is_empty() {
            return Some((at, shortened(&text, begins_before).into()));
        }
    }
    None
}

/// A line without what is no text: escape sequences, control characters and what turns the
/// direction of writing. Of what was written over by a carriage return, the last is left.
fn plain(line: &str) -> String {
    let mut text = String::new();
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => match chars.next() {
                // CSI: parameters, then one final byte.
                Some('[') => drop(chars.find(|c| ('@'..='~').contains(c))),
                // OSC, DCS and the like: to BEL, or to the ESC of ESC \.
                Some(']' | 'P' | 'X' | '^' | '_') => {
                    chars.find(|c| matches!(c, '\u{7}' | '\u{1b}'));
                    chars.next_if_eq(&'\\');
                }
                // Intermediate bytes, then one final byte.
                Some(' '..='/') => drop(chars.find(|c| ('0'..='~').contains(c))),
                _ => {}
            },
            '\r' if chars.peek().is_some() => text.clear(),
            '\t' => text.push(' '),
            c if c.is_control() || is_directional(c) => {}
            c => text.push(c),
        }
    }
    text.trim().to_owned()
}

/// Whether a character turns the direction of what follows, and could show something else than is
/// there.
fn is_directional(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn shortened(text: &str, begins_before: bool) -> String {
    let mut short = String::new();
    if begins_before {
        short.push('…');
    }
    short.extend(text.chars().take(LONGEST_LINE));
    if text.chars().nth(LONGEST_LINE).is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::super::testing::{World, process};
    use super::*;
    use crate::model::snapshot::{LogPaths, ProcessSnapshot};

    fn newest_of(text: impl AsRef<[u8]>) -> Option<String> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_ref()).unwrap();
        newest(file.path()).map(|(_, text)| text.to_string())
    }

    #[test]
    fn the_newest_line_is_whole_and_says_something() {
        assert_eq!(newest_of("one\ntwo\nthr").as_deref(), Some("two"));
        assert_eq!(newest_of("one\n\n \x1b[0m\n").as_deref(), Some("one"));
        assert_eq!(newest_of("no end"), None);
        assert_eq!(newest_of("\n\n"), None);
        assert_eq!(newest(Path::new("/nonexistent/log")), None);
        assert_eq!(newest_of(b"caf\xc3\xa9 \xff\n").as_deref(), Some("café \u{fffd}"));
    }

    #[test]
    fn a_long_line_is_cut_where_it_is_not_seen() {
        let long = newest_of("x".repeat(1000) + "\n").unwrap();
        assert_eq!(long, "x".repeat(200) + "…");
        let longer = newest_of("begin".to_owned() + &"é".repeat(100_000) + "\n").unwrap();
        assert!(longer.starts_with('…') && longer.ends_with("é…"), "{longer}");
        assert!(longer.chars().count() <= 202);
        assert_eq!(newest_of("x".repeat(5000) + "\nshort\n").as_deref(), Some("short"));
    }

    #[test]
    fn what_is_no_text_is_left_out() {
        for (line, text) in [
            ("\x1b[1;31mred\x1b[0m and\tnot", "red and not"),
            ("\x1b]0;title\x07x \x1b]8;;http://a\x1b\\link\x1b]8;;\x1b\\", "x link"),
            ("\x1b(Bplain\x1b", "plain"),
            ("10%\r20%\r100%\r", "100%"),
            ("a\0b\x08c\u{9b}d\u{7f}", "abcd"),
            ("\u{202e}evil\u{2066}", "evil"),
            ("<script>alert(1)</script>", "<script>alert(1)</script>"),
            ("\x1b[31", ""),
            ("\x1b]never ends", ""),
        ] {
            assert_eq!(plain(line), text, "{line:?}");
        }
    }

    #[tokio::test]
    async fn lines_come_as_they_are_written() {
        let dir = tempfile::tempdir().unwrap();
        let log = |name: &str, text: &str| {
            let path = dir.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let with = |name: &str, logs: LogPaths| ProcessSnapshot {
            logs: Arc::new(logs),
            ..process(name, name)
        };
        let logs = LogPaths { stdout: Some(log("web", "ready\n")), stderr: None };
        let world = World::new(vec![with("web", logs)]);
        let lines = LastLines::new(world.api.clone());
        let mut looking = lines.look();
        let first = looking.next().await.unwrap();
        assert!(first.contains(r#""of":{"web":["stdout","#) && first.contains("ready"), "{first}");
        // Another process comes: the picture tells.
        let logs = LogPaths { stdout: None, stderr: Some(log("new", "oh\n")) };
        let mut new = with("new", logs);
        new.key = ProcKey(2);
        world.change(|snapshot| {
            snapshot.processes.insert(new.spec.name.clone(), Arc::new(new));
        });
        let next = looking.next().await.unwrap();
        assert!(next.contains(r#"{"new":["stderr","#) && next.contains("oh"), "{next}");
        // And goes.
        world.change(|snapshot| {
            snapshot.processes.remove(&ProcessName::new("new", "new"));
        });
        let next = looking.next().await.unwrap();
        assert!(next.contains(r#""of":{"new":null}"#), "{next}");
        // Its log grows: the log plane tells.
        world.write(ProcKey(1), &dir.path().join("web"), "and more\n");
        let next = looking.next().await.unwrap();
        assert!(next.contains("and more"), "{next}");
    }
}
