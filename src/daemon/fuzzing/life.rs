//! A short life for a state: what it wants done is done in the simplest way, and after every turn
//! it has to fit together still.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::core::action::{Action, Heard, Input, Leftovers, Run};
use crate::core::process::Process;
use crate::core::request::{Request, Scope, Token};
use crate::core::supervisor::Supervisor;
use crate::model::exit::ExitStatus;
use crate::model::signal::Signal;
use crate::model::snapshot::Channel;
use crate::model::time::{Mono, Now, Wall};

/// Turns of a life at most: time may stand still in a state that comes from anywhere.
const TURNS: usize = 2000;
/// Deadlines that pass after each thing that happens, at most.
const DEADLINES: usize = 8;
/// The longest time until a deadline that is waited for.
const PATIENCE: Duration = Duration::from_secs(1000);

/// A supervisor and what is left of its life.
pub(super) struct Life {
    core: Supervisor,
    now: Now,
    inputs: VecDeque<Input>,
    turns: usize,
    tokens: u64,
    pids: i32,
    over: bool,
}

impl Life {
    pub(super) fn of(core: Supervisor) -> Self {
        let pids = core.processes().map(Process::pid).max().unwrap_or(0);
        Self {
            core,
            now: Now {
                mono: Mono(Duration::from_secs(1000)),
                wall: Wall(Duration::from_secs(1_700_000_000)),
            },
            inputs: VecDeque::new(),
            turns: 0,
            tokens: 0,
            pids: pids.min(i32::MAX / 2),
            over: false,
        }
    }

    /// Lets something happen, and all that follows from it.
    pub(super) fn give(&mut self, input: Input) {
        self.inputs.push_back(input);
        self.settle();
        for _ in 0..DEADLINES {
            let Some(at) = self.core.next_deadline().filter(|_| !self.over) else { return };
            let wait = (at - self.now.mono).min(PATIENCE);
            self.now = Now { mono: self.now.mono + wait, wall: Wall(self.now.wall.0 + wait) };
            self.inputs.push_back(Input::Tick);
            self.settle();
        }
    }

    fn settle(&mut self) {
        while let Some(input) = self.inputs.pop_front() {
            if self.over || self.turns >= TURNS {
                self.inputs.clear();
                return;
            }
            self.turns += 1;
            let said = format!("{input:?}");
            let actions = self.core.handle(input, self.now);
            let _ = self.core.take_snapshot();
            self.over |= actions.iter().any(|action| matches!(action, Action::Exit(_)));
            if !self.over
                && let Err(error) = self.core.check()
            {
                // A counter had little room.
                assert!(error.ends_with("at its end"), "{error} after {said}");
            }
            for action in &actions {
                self.carry_out(action);
            }
        }
    }

    fn carry_out(&mut self, action: &Action) {
        match *action {
            Action::Spawn { key, generation, .. } => {
                self.pids += 1;
                let pid = self.pids;
                // Every third fails.
                self.inputs.push_back(if pid % 3 == 0 {
                    Input::SpawnFailed { key, generation, error: "no".to_owned() }
                } else {
                    Input::Spawned { key, generation, pid }
                });
            }
            Action::Signal { key, generation, pid, signal, token, .. } => {
                self.inputs.push_back(Input::Signalled { key, generation, token, outcome: Ok(()) });
                if signal == Signal::KILL || pid % 2 == 0 {
                    let status = ExitStatus::Signal { signal, core_dumped: false };
                    self.inputs.push_back(Input::Exited { pid, status });
                }
            }
            Action::Sweep { key, generation, .. } => {
                let some = Leftovers { count: 1, text: "1 (x)".to_owned() };
                for left in [some, Leftovers::default()] {
                    self.inputs.push_back(Input::Swept { key, generation, left });
                }
            }
            Action::Deliver { run, serial, .. } if serial % 2 == 0 => {
                self.inputs.push_back(Input::Undelivered { run, serial });
            }
            Action::LoadForRestart => self.inputs.push_back(Input::RestartLoaded(Ok(()))),
            _ => {}
        }
    }

    fn ask(&mut self, request: Request) {
        let token = Token(self.tokens);
        self.tokens += 1;
        self.give(Input::Request { token, request });
    }

    /// Everything that listeners and programs may say.
    fn talk(&mut self) {
        let runs: Vec<(Run, i32)> =
            self.core.processes().map(|process| (process.run(), process.pid())).collect();
        for (run, pid) in runs {
            let words: &[u8] = b"READY\nRESULT 2\nOKREADY\nRESULT 4\nFAILREADY\nwhat?";
            for what in [
                Heard::Protocol(words.to_vec()),
                Heard::Log(words.to_vec()),
                Heard::Communication(words.to_vec()),
                Heard::End,
            ] {
                let channel = Channel::Stdout;
                self.inputs.push_back(Input::Heard { run, channel, pid, what });
            }
        }
        self.give(Input::Tick);
    }

    /// Lives to its end.
    pub(super) fn run(mut self) {
        self.give(Input::Tick);
        self.talk();
        let groups: Vec<Arc<str>> = {
            let mut names: Vec<_> =
                self.core.processes().map(|p| Arc::clone(&p.spec().name.group)).collect();
            names.dedup();
            names
        };
        let specs: Vec<Arc<_>> =
            self.core.processes().map(|process| Arc::clone(process.spec())).collect();
        let pids: Vec<i32> = self.core.processes().map(Process::pid).collect();
        for pid in pids.into_iter().filter(|pid| *pid != 0) {
            self.give(Input::Exited { pid, status: ExitStatus::Code(pid % 2) });
        }
        self.ask(Request::RemoteEvent { kind: "k".to_owned(), data: "data".to_owned() });
        self.ask(Request::Start { scope: Scope::All, wait: true, refused: BTreeMap::new() });
        self.ask(Request::Signal { scope: Scope::All, signal: Signal::HUP });
        for spec in specs.iter().take(DEADLINES) {
            self.ask(Request::Stop { scope: Scope::Process(spec.name.clone()), wait: true });
        }
        self.talk();
        for group in groups.iter().take(DEADLINES) {
            self.ask(Request::UpdateGroup(Arc::clone(group)));
            self.ask(Request::Stop { scope: Scope::Group(Arc::clone(group)), wait: true });
            self.ask(Request::RemoveGroup(Arc::clone(group)));
            self.ask(Request::AddGroup(Arc::clone(group)));
        }
        self.give(Input::Abandoned(Token(1)));
        self.ask(Request::Restart);
        self.give(Input::Os(Signal::TERM));
        for _ in 0..DEADLINES {
            self.give(Input::Tick);
        }
    }
}
