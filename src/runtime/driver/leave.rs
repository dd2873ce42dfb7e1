//! The engine hands over to the next one, or goes on for the last one. It leaves when no child is
//! being made: then everything that it knows can be written down.

use std::time::Instant;

use tokio::time::timeout;

use super::{Action, Baggage, CALM, Engine, EngineLeft, Input, LOGS, Leaving, Resumed, Unfinished};
use crate::core::request::{Reply, Token};
use crate::model::fault::{Fault, FaultKind};
use crate::model::record::{Level, Record};
use crate::runtime::logs::Handed;
use crate::runtime::signals::Signals;
use crate::sys::clock;

/// What a client hears whose request waits for something.
const AGAIN: &str = "supervisord is being upgraded, ask again";

impl Engine {
    /// Somebody wants the engine to hand over.
    pub(super) fn begin_to_leave(&mut self, token: Option<Token>) {
        if self.leaving.is_some() {
            let fault = Fault::new(FaultKind::Failed, "an upgrade is under way already");
            self.outbox_replies.extend(token.map(|token| (token, Err(fault))));
            return;
        }
        let until = clock::now().mono + CALM;
        self.leaving = Some(Leaving { token, until, logs_gone: false });
    }

    /// Whether it can leave, and is asked to.
    pub(super) fn is_calm(&mut self) -> bool {
        let Some(leaving) = &self.leaving else { return false };
        let calm = self.spawner.in_flight() == 0
            && self.news_backlog.is_empty()
            && self.loaded.is_none()
            && self.early_exits.is_empty();
        if !calm && clock::now().mono >= leaving.until {
            self.stay("programs take too long to start");
            return false;
        }
        calm
    }

    /// What is to be done by the next engine, because this one has given away what it takes.
    pub(super) fn is_for_the_next(&self, action: &Action) -> bool {
        let Some(leaving) = &self.leaving else { return false };
        match action {
            Action::Spawn { .. } | Action::CreateLogs { .. } | Action::TrySocket(_) => true,
            Action::Publish(_) | Action::Reply { .. } => false,
            _ => leaving.logs_gone,
        }
    }

    /// It cannot leave: all goes on as it was.
    pub(super) fn stay(&mut self, why: &str) {
        let Some(Leaving { token, .. }) = self.leaving.take() else { return };
        self.effects.keep().go_on();
        let text = format!("not upgraded: {why}");
        self.effects.log(Record::new(Level::Error, text.clone()));
        let fault = Fault::new(FaultKind::Failed, text);
        self.outbox_replies.extend(token.map(|token| (token, Err(fault))));
        for action in std::mem::take(&mut self.held) {
            self.carry_out(action);
        }
        self.feed(Input::Tick);
    }

    /// Has the log plane give everything away. There is no way back then, and none is needed: an
    /// engine that goes on here is made of what this one leaves.
    pub(super) async fn take_logs(&mut self) -> Result<Handed, String> {
        self.effects.keep().leave();
        let handed = self.effects.logs().hand_over(Instant::now() + LOGS);
        let handed = timeout(2 * LOGS, handed)
            .await
            .map_err(|_| "a disk that logs are on hangs".to_owned())?
            .map_err(|error| error.to_string())?;
        if let Some(leaving) = &mut self.leaving {
            leaving.logs_gone = true;
        }
        Ok(handed)
    }

    /// Gives everything else away. Signals are blocked by now.
    pub(super) async fn leave(
        mut self,
        (logs, pipes): Handed,
        mut signals: Signals,
    ) -> (EngineLeft, Baggage) {
        self.answer_all();
        while let Some(tapped) = self.tapped.recv().await {
            self.hear(tapped);
        }
        let mut baggage = Baggage::default();
        let pipes = pipes.into_iter().map(|pipe| baggage.put(pipe)).collect();
        let effects = self.effects.hand_over(&mut baggage).await;
        for told in self.effects.told_now() {
            self.take_told(told);
        }
        let (spawner, baggage) = self.spawner.hand_over(baggage).await;
        let unfinished = Unfinished {
            effects,
            logs,
            pipes,
            found: Vec::new(),
            sweeps: self.sweeps.into_iter().map(|(key, (run, sweep))| (key, run, sweep)).collect(),
            held: self.held,
            signals: signals.rest().await,
            taken_back: false,
        };
        if let Some(link) = self.link {
            link.end(clock::now().mono);
        }
        self.core.forget_clients();
        (EngineLeft { supervisor: self.core, spawner, unfinished }, baggage)
    }

    /// Nobody of those who wait is there when the next engine is.
    fn answer_all(&mut self) {
        let asked = self.leaving.as_ref().and_then(|leaving| leaving.token);
        let again = || Fault::new(FaultKind::Failed, AGAIN);
        for token in self.waiting.keys().copied().collect::<Vec<Token>>() {
            let outcome = if asked == Some(token) {
                Ok(Reply::Done)
            } else {
                self.feed(Input::Abandoned(token));
                Err(again())
            };
            self.outbox_replies.push((token, outcome));
        }
        self.publish();
        self.requests.close();
        while let Ok(envelope) = self.requests.try_recv() {
            let _ = envelope.reply.send(Err(again())); // the client may have gone
        }
    }

    /// Goes on where another engine stopped.
    pub(super) fn resume(&mut self, resumed: Resumed) {
        let Resumed { sweeps, held, signals, taken_back } = resumed;
        if taken_back {
            self.feed(Input::TakenBack);
        }
        for (key, generation, sweep) in sweeps {
            self.carry_out(Action::Sweep { key, generation, sweep });
        }
        for action in held {
            self.carry_out(action);
        }
        for signal in signals {
            self.feed(Input::Os(signal));
        }
        self.feed(Input::Tick);
    }
}
