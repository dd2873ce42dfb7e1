//! What the engine hears of the output of programs, for event listeners: the protocol of a
//! listener, output as `PROCESS_LOG`, communications. What is on its way is bounded: a program
//! that is too quick waits in its writes, as it does for a slow log.

use std::borrow::Cow;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::handle::Inbox;
use super::plan::{ChannelKey, ChannelPlan};
use crate::core::action::Generation;
use crate::core::ansi::Ansi;
use crate::core::capture::{Kept, Piece, Splitter};

/// Bytes of one channel that may be on their way; one piece more than that at most.
const OF_CHANNEL: usize = 256 * 1024;

/// Bytes that may be on their way from all channels together. Listeners' protocols do not count
/// here, so that no number of programs can keep their answers back.
const OF_ALL: usize = 4 << 20;

/// What of a channel's output the engine wants to hear.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TapPlan {
    /// All of it as it comes: it is the stdout of an event listener.
    pub protocol: bool,
    /// What is logged (`PROCESS_LOG`).
    pub log: bool,
    /// What stands between the tokens (`PROCESS_COMMUNICATION`), up to so many bytes.
    pub capture: Option<NonZeroU64>,
}

impl TapPlan {
    /// Nothing at all.
    pub const OFF: Self = Self { protocol: false, log: false, capture: None };

    /// Whether there is anything to hear.
    #[must_use]
    pub fn is_on(self) -> bool {
        self != Self::OFF
    }
}

/// What it is that was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Bytes of a listener, as they came (C-355).
    Protocol,
    /// All that was told ahead has left the pipe; only where it stays there until it is confirmed.
    Taken,
    /// What was read at once, without escape sequences if they are stripped (C-362).
    Log,
    /// One communication (C-364).
    Communication,
    /// The process is gone and all that it wrote was heard, or it closed the channel. Nothing
    /// follows of this channel and generation. Comes once for each channel that is tapped.
    End,
}

/// A piece of output on its way to the engine.
#[derive(Debug)]
pub struct Tapped {
    /// Which process, and whether stdout or stderr.
    pub key: ChannelKey,
    /// Of which spawn.
    pub generation: Generation,
    /// The pid of that spawn.
    pub pid: i32,
    /// What it is.
    pub what: What,
    /// How many bytes the spawn said before these, if they are [`What::Protocol`]; how many were
    /// told, if this is [`What::Taken`]. After a change of daemons the same ones may come again.
    pub ordinal: u64,
    /// The bytes.
    pub data: Vec<u8>,
    /// To be dropped when the bytes are: more may come then.
    pub permit: Permit,
}

/// The place that a piece takes as long as it is somewhere.
#[derive(Debug)]
pub struct Permit {
    bytes: usize,
    accounts: [Option<Arc<Account>>; 2],
}

impl Drop for Permit {
    fn drop(&mut self) {
        for account in self.accounts.iter().flatten() {
            account.release(self.bytes);
        }
    }
}

/// What is on its way, and how much of that may be.
#[derive(Debug)]
struct Account {
    limit: usize,
    used: AtomicUsize,
    /// The plane wants to know when there is room again.
    awaited: AtomicBool,
    relief: Arc<Relief>,
}

/// How the plane hears of room.
#[derive(Debug)]
struct Relief {
    given: AtomicBool,
    inbox: Arc<Inbox>,
}

impl Account {
    fn new(limit: usize, relief: Arc<Relief>) -> Arc<Self> {
        Arc::new(Self { limit, used: 0.into(), awaited: false.into(), relief })
    }

    fn charge(&self, bytes: usize) {
        self.used.fetch_add(bytes, Ordering::SeqCst);
    }

    /// The plane is woken when half of it is free, not for every piece.
    fn release(&self, bytes: usize) {
        let left = self.used.fetch_sub(bytes, Ordering::SeqCst) - bytes;
        if left <= self.limit / 2 && self.awaited.swap(false, Ordering::SeqCst) {
            self.relief.given.store(true, Ordering::SeqCst);
            // It only fails when the counter is at its limit, and then the plane is awake.
            let _ = self.relief.inbox.wake.write(1);
        }
    }

    /// Whether there is room; if not, the plane will hear when there is.
    fn has_room(&self) -> bool {
        let has_room = || self.used.load(Ordering::SeqCst) < self.limit;
        if has_room() {
            return true;
        }
        self.awaited.store(true, Ordering::SeqCst);
        // It may have been freed just before.
        has_room()
    }
}

/// The plane's side of all taps.
#[derive(Debug)]
pub(super) struct Taps {
    tapped: mpsc::UnboundedSender<Tapped>,
    all: Arc<Account>,
    relief: Arc<Relief>,
    /// The words of listeners stay in their pipes until the engine has confirmed them.
    careful: bool,
}

impl Taps {
    pub(super) fn new(
        tapped: mpsc::UnboundedSender<Tapped>,
        inbox: Arc<Inbox>,
        careful: bool,
    ) -> Self {
        let relief = Arc::new(Relief { given: false.into(), inbox });
        Self { tapped, all: Account::new(OF_ALL, Arc::clone(&relief)), relief, careful }
    }

    /// The tap of one channel of one child; none when it has none.
    pub(super) fn open(
        &self,
        plan: &ChannelPlan,
        key: ChannelKey,
        generation: Generation,
        pid: i32,
    ) -> Option<Tap> {
        let TapPlan { protocol, log, capture } = plan.tap;
        plan.tap.is_on().then(|| Tap {
            protocol,
            log,
            capture: capture.map(|most| Capture::new(most, plan.strip_ansi)),
            words: Words { careful: protocol && self.careful, ..Words::default() },
            overdrawn: false,
            handed_over: false,
            key,
            generation,
            pid,
            tapped: self.tapped.clone(),
            of_channel: Account::new(OF_CHANNEL, Arc::clone(&self.relief)),
            all: (!protocol).then(|| Arc::clone(&self.all)),
        })
    }

    /// Whether channels that had no room may have some now.
    pub(super) fn take_relief(&self) -> bool {
        self.relief.given.swap(false, Ordering::SeqCst)
    }
}

/// The tap of one channel of one child. Says that it ends when it is dropped.
#[derive(Debug)]
pub(super) struct Tap {
    pub protocol: bool,
    pub log: bool,
    /// Taken while it is used.
    pub capture: Option<Capture>,
    words: Words,
    /// There is no time to wait for room.
    overdrawn: bool,
    /// Another daemon goes on with it: it does not end.
    handed_over: bool,
    key: ChannelKey,
    generation: Generation,
    pid: i32,
    tapped: mpsc::UnboundedSender<Tapped>,
    of_channel: Arc<Account>,
    /// None for protocols.
    all: Option<Arc<Account>>,
}

impl Tap {
    /// Whether more may be read; if not, [`Taps::take_relief`] tells when.
    pub(super) fn has_room(&self) -> bool {
        self.overdrawn
            || self.tapped.is_closed()
            || (self.of_channel.has_room() && self.all.as_ref().is_none_or(|all| all.has_room()))
    }

    /// Whether words are told while they are in the pipe, and stay there until they are confirmed.
    pub(super) fn is_careful(&self) -> bool {
        self.words.careful
    }

    /// How many bytes at the beginning of the pipe were told and are in no log.
    pub(super) fn told(&self) -> usize {
        self.words.told
    }

    /// How many bytes at the beginning of the pipe go to the log now. When nobody is left to
    /// confirm them, all that were told.
    pub(super) fn confirmed(&mut self) -> usize {
        if self.overdrawn || self.tapped.is_closed() {
            self.words.confirmed = self.words.told;
        }
        self.words.confirmed
    }

    /// The engine has taken so many more of them into its state.
    pub(super) fn confirm(&mut self, bytes: usize) {
        let Words { told, confirmed, .. } = &mut self.words;
        *confirmed = confirmed.saturating_add(bytes).min(*told);
    }

    /// So many of those that are confirmed have left the pipe.
    pub(super) fn logged(&mut self, bytes: usize) {
        let Words { told, confirmed, .. } = &mut self.words;
        *told = told.saturating_sub(bytes);
        *confirmed = confirmed.saturating_sub(bytes);
        if *told == 0 {
            self.send(What::Taken, Vec::new());
        }
    }

    /// Tells what a listener says.
    pub(super) fn tell(&mut self, words: &[u8]) {
        self.send(What::Protocol, words.to_vec());
        self.words.said += words.len() as u64;
        if self.words.careful {
            self.words.told += words.len();
        }
    }

    /// The pipe is about to be closed: what it holds is read without regard to the room.
    pub(super) fn overdraw(&mut self) {
        self.overdrawn = true;
    }

    /// Takes it to another daemon.
    pub(super) fn hand_over(mut self) -> TapLeft {
        self.handed_over = true;
        let Words { said, told, confirmed, .. } = self.words;
        // What the engine has not confirmed is told again.
        let said = said.saturating_sub((told - confirmed) as u64);
        TapLeft { capture: self.capture.take(), said, confirmed }
    }

    /// Goes on where another daemon stopped.
    pub(super) fn resume(&mut self, left: TapLeft) {
        let TapLeft { capture, said, confirmed } = left;
        self.capture = capture;
        let careful = self.words.careful;
        self.words = Words { careful, said, told: confirmed, confirmed };
    }

    pub(super) fn send(&self, what: What, data: Vec<u8>) {
        let bytes = data.len() + size_of::<Tapped>();
        let accounts = [Some(Arc::clone(&self.of_channel)), self.all.clone()];
        for account in accounts.iter().flatten() {
            account.charge(bytes);
        }
        let (key, generation, pid) = (self.key, self.generation, self.pid);
        let permit = Permit { bytes, accounts };
        let numbered = matches!(what, What::Protocol | What::Taken);
        let ordinal = if numbered { self.words.said } else { 0 };
        // Nobody hears it: it is dropped.
        let _ = self.tapped.send(Tapped { key, generation, pid, what, ordinal, data, permit });
    }
}

/// What a listener says.
#[derive(Debug, Clone, Copy, Default)]
struct Words {
    careful: bool,
    /// Bytes that were told.
    said: u64,
    /// Those among them that are in the pipe still, and so many of these that need not be.
    told: usize,
    confirmed: usize,
}

/// Where a tap stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct TapLeft {
    capture: Option<Capture>,
    said: u64,
    confirmed: usize,
}

impl TapLeft {
    /// Whether it is as it may be between two pieces of output.
    pub(super) fn fits(&self) -> bool {
        self.capture.as_ref().is_none_or(|capture| capture.splitter.fits())
    }

    /// Takes output in, and forgets it.
    pub(super) fn try_out(self, data: &[u8]) {
        let Some(Capture { mut splitter, mut text }) = self.capture else { return };
        let mut hear = |piece: Piece<'_>| match piece {
            Piece::Output(_) => {}
            Piece::Inside(data) => drop(text.push(data)),
            Piece::Complete => drop(text.take()),
        };
        splitter.feed(data, &mut hear);
        splitter.finish(&mut hear);
    }
}

/// The communications of one channel of one child.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Capture {
    pub splitter: Splitter,
    pub text: Captured,
}

impl Capture {
    fn new(most: NonZeroU64, strip_ansi: bool) -> Self {
        let ansi = strip_ansi.then(Ansi::default);
        Self { splitter: Splitter::default(), text: Captured { ansi, kept: Kept::new(most) } }
    }
}

/// The communication that is coming in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Captured {
    ansi: Option<Ansi>,
    kept: Kept,
}

impl Captured {
    /// Adds output to it; answers with what was added.
    pub(super) fn push<'a>(&mut self, data: &'a [u8]) -> Cow<'a, [u8]> {
        let data = match &mut self.ansi {
            Some(ansi) => {
                let mut stripped = Vec::with_capacity(data.len());
                ansi.strip(data, &mut stripped);
                Cow::Owned(stripped)
            }
            None => Cow::Borrowed(data),
        };
        self.kept.push(&data);
        data
    }

    /// Ends it, and gives it away.
    pub(super) fn take(&mut self) -> Vec<u8> {
        if let Some(ansi) = &mut self.ansi {
            let mut rest = Vec::new();
            ansi.finish(&mut rest);
            self.kept.push(&rest);
        }
        self.kept.take()
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        if !self.handed_over {
            self.send(What::End, Vec::new());
        }
    }
}
