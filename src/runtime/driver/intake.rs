//! What the engine takes in: exits, reports of the other threads, requests, what programs wrote. Each
//! is bounded, so that a flood of one kind keeps no other waiting.

use super::{
    Announcement, Delivery, Engine, Envelope, ExitStatus, Heard, Input, News, PER_TURN, Run,
    Settings, Tapped, Token, Told, What, reap,
};

impl Engine {
    /// Takes exits in; says whether there are more.
    pub(super) fn reap(&mut self) -> bool {
        for _ in 0..PER_TURN {
            let Some((pid, status)) = reap::peek() else { return false };
            if !self.effects.is_child(pid) {
                self.take_news(); // it may have been made and reported just now
            }
            if self.effects.is_child(pid) || self.spawner.in_flight() == 0 {
                self.feed(Input::Exited { pid, status });
            } else {
                self.early_exits.insert(pid, status);
            }
            // Only now may the kernel give the pid to somebody else, and nobody else tells how it
            // ended.
            self.write_down();
            if let Err(error) = reap::reap(pid) {
                self.effects.warn(format!("could not reap pid {pid}: {error}"));
                return false;
            }
        }
        true
    }

    /// Takes reports of the spawner in; says whether there may be more.
    pub(super) fn take_news(&mut self) -> bool {
        for _ in 0..PER_TURN {
            let news = match self.news_backlog.pop_front() {
                Some(news) => news,
                None => match self.news.try_recv() {
                    Ok(news) => news,
                    Err(_) => return false,
                },
            };
            self.spawner.settled();
            if let News::Spawn(news) = news {
                if let Ok((child, _)) = &news.outcome
                    && self.effects.is_child(child.pid)
                {
                    // An earlier daemon's child had the pid, and is gone.
                    let (pid, status) = (child.pid, ExitStatus::Unknown);
                    self.feed(Input::Exited { pid, status });
                }
                let (input, pid) = self.effects.take_news(*news);
                self.feed(input);
                if let Some(pid) = pid
                    && let Some(status) = self.early_exits.remove(&pid)
                {
                    self.feed(Input::Exited { pid, status });
                }
            }
            if self.spawner.in_flight() == 0 {
                // Whoever ended meanwhile and was not reported is nobody's child.
                for (pid, status) in std::mem::take(&mut self.early_exits) {
                    self.feed(Input::Exited { pid, status });
                }
            }
        }
        true
    }

    /// Takes in what became of an event.
    pub(super) fn take_told(&mut self, told: Told) {
        self.feed(match told {
            Told::Delivered(Delivery { run, serial }) => Input::Delivered { run, serial },
            Told::Undelivered(Delivery { run, serial }) => Input::Undelivered { run, serial },
        });
    }

    /// Takes in what was seen of leftovers.
    pub(super) fn take_swept(&mut self, first: Input) {
        let mut gone = false;
        let mut next = Some(first);
        let mut taken = 1;
        while let Some(input) = next {
            if let Input::Swept { key, generation, left } = &input
                && left.count == 0
            {
                self.effects.nothing_left(*key, *generation);
                if self.sweeps.get(key).is_some_and(|(swept, _)| swept == generation) {
                    self.sweeps.remove(key);
                }
                gone = true;
            }
            self.feed(input);
            next = if taken < PER_TURN { self.swept.try_recv().ok() } else { None };
            taken += 1;
        }
        if gone {
            self.spawner.look(); // cgroups can go
        }
    }

    /// Takes requests in; says whether there may be more.
    pub(super) fn take_requests(&mut self) -> bool {
        if self.leaving.is_some() {
            return false; // the next one answers them
        }
        for _ in 0..PER_TURN {
            match self.requests.try_recv() {
                Ok(envelope) => self.request(envelope),
                Err(_) => return false,
            }
        }
        true
    }

    /// Takes in what programs wrote; says whether there may be more.
    pub(super) fn take_tapped(&mut self, first: Tapped) -> bool {
        let mut next = Some(first);
        for _ in 0..PER_TURN {
            let Some(tapped) = next.take().or_else(|| self.tapped.try_recv().ok()) else {
                return false;
            };
            self.hear(tapped);
        }
        true
    }

    pub(super) fn hear(&mut self, tapped: Tapped) {
        // Dropped when this is where it belongs: there is room for more then.
        let Tapped { key, generation, pid, what, ordinal, data, permit: _permit } = tapped;
        let what = match what {
            What::Protocol if self.checkpoint.is_some() => {
                self.confirmed.push((key, generation, data.len()));
                Heard::Words { ordinal, data }
            }
            What::Protocol => Heard::Protocol(data),
            What::Taken => Heard::Taken,
            What::Log => Heard::Log(data),
            What::Communication => Heard::Communication(data),
            What::End => Heard::End,
        };
        let run = Run { key: key.process, generation };
        self.feed(Input::Heard { run, channel: key.channel, pid, what });
    }

    pub(super) fn request(&mut self, envelope: Envelope) {
        let token = Token(self.next_token);
        self.next_token += 1;
        self.waiting.insert(token, envelope.reply);
        self.feed(Input::Request { token, request: envelope.request });
    }

    pub(super) fn loaded(&mut self, outcome: Result<Settings, String>) {
        self.loaded = None;
        let outcome = outcome.map(|settings| self.next = Some(settings));
        self.feed(Input::RestartLoaded(outcome));
    }

    pub(super) fn announced(&mut self, announcement: Announcement) {
        match (announcement, &mut self.link) {
            (Announcement::FrontEndsUp, _) => self.front_ends_up = true,
            (Announcement::ReloadBegins, Some(link)) => link.reload_begins(),
            (Announcement::ReloadEnds, Some(link)) => link.reload_ends(),
            (Announcement::TicksWanted(period), _) => {
                self.feed(Input::WantTicks { period, wanted: true });
            }
            (Announcement::TicksUnwanted(period), _) => {
                self.feed(Input::WantTicks { period, wanted: false });
            }
            (_, None) => {}
        }
    }

    /// Clients that went away wait for nothing.
    pub(super) fn forget_abandoned(&mut self) {
        let gone: Vec<Token> = self
            .waiting
            .iter()
            .filter(|(_, reply)| reply.is_closed())
            .map(|(&token, _)| token)
            .collect();
        for token in gone {
            self.waiting.remove(&token);
            self.feed(Input::Abandoned(token));
        }
    }
}
