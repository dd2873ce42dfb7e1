//! The words of an event listener: `READY`, and `RESULT` with an answer (C-342 to C-347).
//!
//! What comes in is a stream of bytes. It may be cut anywhere, it may be anything, and what is kept
//! of it is bounded.

use serde::{Deserialize, Serialize};

use crate::model::listener::ListenerState::{self, Acknowledged, Busy, Ready, Unknown};
use crate::model::text::{repr_bytes, utf8};

/// What a listener says when it can take an event.
const READY: &[u8] = b"READY\n";
/// How the first line of an answer begins; the length of the rest follows.
const RESULT: &[u8] = b"RESULT ";
/// The answer that takes an event as done (C-346).
const OK: &[u8] = b"OK";
/// Bytes of the first line of an answer at most.
const LINE_MAX: usize = 256;
/// Bytes of an answer at most: one that never ends would keep a listener busy for ever.
const RESULT_MAX: u64 = 1 << 20;

/// What was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// It can take an event.
    Ready,
    /// The event is done with.
    Processed,
    /// The event is to be sent again.
    Rejected,
    /// An answer began with this line, which is none.
    BadResult(String),
    /// Something else than what it owed.
    Chatter,
}

/// The state of the protocol with one run of a listener.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    state: ListenerState,
    /// The beginning of a word or of a line.
    begun: Vec<u8>,
    /// The answer that is coming in.
    answer: Option<Answer>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Answer {
    /// Bytes that are still to come.
    left: u64,
    /// The beginning, one byte more than what it is compared with.
    head: Vec<u8>,
}

impl Default for Listener {
    /// One that was just started (C-342).
    fn default() -> Self {
        Self { state: Acknowledged, begun: Vec::new(), answer: None }
    }
}

impl Listener {
    /// The state.
    #[must_use]
    pub fn state(&self) -> ListenerState {
        self.state
    }

    /// An event was sent to it.
    pub fn gets_event(&mut self) {
        self.state = Busy;
    }

    /// The event did not reach it.
    pub fn gets_event_back(&mut self) {
        if self.state == Busy {
            self.state = Ready;
            self.begun.clear();
            self.answer = None;
        }
    }

    /// Whether what was begun is shorter than what it is the beginning of.
    ///
    /// # Errors
    /// It is not.
    pub fn check(&self) -> Result<(), &'static str> {
        let longest = match self.state {
            Acknowledged => READY.len() - 1,
            Busy if self.answer.is_none() => LINE_MAX - 1,
            Busy | Ready | Unknown => 0,
        };
        let fits = match &self.answer {
            None => true,
            Some(Answer { left, head }) => {
                self.state == Busy && (1..=RESULT_MAX).contains(left) && head.len() <= OK.len() + 1
            }
        };
        if fits && self.begun.len() <= longest { Ok(()) } else { Err("its words do not fit") }
    }

    /// It broke the protocol, or left it. Nothing it says counts any more.
    pub fn give_up(&mut self) {
        self.state = Unknown;
        self.begun = Vec::new();
        self.answer = None;
    }

    /// Takes in what it wrote, up to the first thing that means something: how many bytes that
    /// was, and what it means.
    pub fn hear(&mut self, data: &[u8]) -> (usize, Option<Heard>) {
        match self.state {
            _ if data.is_empty() => (0, None),
            Unknown => (data.len(), None),
            // Be strict about what nobody asked for (C-344).
            Ready => self.breaks(data.len(), Heard::Chatter),
            Acknowledged => self.hear_ready(data),
            Busy if self.answer.is_some() => self.hear_answer(data),
            Busy => self.hear_line(data),
        }
    }

    fn breaks(&mut self, taken: usize, why: Heard) -> (usize, Option<Heard>) {
        self.give_up();
        (taken, Some(why))
    }

    /// Decides by as many bytes as the word has, like upstream (C-343).
    fn hear_ready(&mut self, data: &[u8]) -> (usize, Option<Heard>) {
        let taken = data.len().min(READY.len() - self.begun.len());
        self.begun.extend_from_slice(&data[..taken]);
        if self.begun.len() < READY.len() {
            return (taken, None);
        }
        if self.begun != READY {
            return self.breaks(taken, Heard::Chatter);
        }
        self.begun.clear();
        self.state = Ready;
        (taken, Some(Heard::Ready))
    }

    fn hear_line(&mut self, data: &[u8]) -> (usize, Option<Heard>) {
        let room = &data[..data.len().min(LINE_MAX - self.begun.len())];
        let end = room.iter().position(|&byte| byte == b'\n');
        self.begun.extend_from_slice(&room[..end.unwrap_or(room.len())]);
        let taken = end.map_or(room.len(), |end| end + 1);
        if end.is_none() && self.begun.len() < LINE_MAX {
            return (taken, None);
        }
        let line = std::mem::take(&mut self.begun);
        match end.and_then(|_| length(&line)) {
            Some(0) => (taken, Some(self.answered(&[]))),
            Some(left) => {
                self.answer = Some(Answer { left, head: Vec::new() });
                (taken, None)
            }
            None => {
                let undecodable = || format!("Undecodable: {}", repr_bytes(&line)).into();
                let shown = utf8(&line).unwrap_or_else(undecodable).into_owned();
                self.breaks(taken, Heard::BadResult(shown))
            }
        }
    }

    fn hear_answer(&mut self, data: &[u8]) -> (usize, Option<Heard>) {
        let Some(answer) = &mut self.answer else { return (0, None) };
        let taken = data.len().min(usize::try_from(answer.left).unwrap_or(usize::MAX));
        let kept = taken.min(OK.len() + 1 - answer.head.len());
        answer.head.extend_from_slice(&data[..kept]);
        answer.left -= taken as u64;
        if answer.left > 0 {
            return (taken, None);
        }
        let head = std::mem::take(&mut answer.head);
        (taken, Some(self.answered(&head)))
    }

    /// What upstream's default result handler makes of it (C-346).
    fn answered(&mut self, answer: &[u8]) -> Heard {
        self.answer = None;
        self.state = Acknowledged;
        if answer == OK { Heard::Processed } else { Heard::Rejected }
    }
}

/// The length in the first line of an answer (C-345, C-411).
fn length(line: &[u8]) -> Option<u64> {
    let number = std::str::from_utf8(line.strip_prefix(RESULT)?).ok()?;
    number.trim().parse().ok().filter(|&length| length <= RESULT_MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Says something to a listener that gets an event as soon as it is ready.
    fn hear(listener: &mut Listener, mut data: &[u8]) -> Vec<Heard> {
        let mut all = Vec::new();
        while !data.is_empty() {
            let (taken, heard) = listener.hear(data);
            data = &data[taken..];
            if heard == Some(Heard::Ready) {
                listener.gets_event();
            }
            all.extend(heard);
        }
        all
    }

    fn heard(data: &[u8]) -> (Vec<Heard>, ListenerState) {
        let mut listener = Listener::default();
        (hear(&mut listener, data), listener.state())
    }

    fn bad(line: &str) -> (Vec<Heard>, ListenerState) {
        (vec![Heard::Ready, Heard::BadResult(line.to_owned())], Unknown)
    }

    #[test]
    fn a_listener_is_ready_gets_an_event_and_answers() {
        // C-342, C-343, C-345, C-346
        use Heard::{Processed, Ready, Rejected};
        assert_eq!(heard(b""), (vec![], Acknowledged));
        assert_eq!(heard(b"READY"), (vec![], Acknowledged));
        assert_eq!(heard(b"READY\n"), (vec![Ready], Busy));
        assert_eq!(heard(b"READY\nRESULT 2\nO"), (vec![Ready], Busy));
        assert_eq!(heard(b"READY\nRESULT 2\nOK"), (vec![Ready, Processed], Acknowledged));
        assert_eq!(heard(b"READY\nRESULT 2\nOKREADY\n"), (vec![Ready, Processed, Ready], Busy));
        for other in ["4\nFAIL", "2\nok", "3\nfoo", "3\nOK\n", "1\nO", "7\nOKOKOKO"] {
            let said = format!("READY\nRESULT {other}");
            assert_eq!(heard(said.as_bytes()), (vec![Ready, Rejected], Acknowledged), "{other}");
        }
        for length in [" 2", "2\r", "+2", "002"] {
            let said = format!("READY\nRESULT {length}\nOK");
            assert_eq!(heard(said.as_bytes()).0, [Ready, Processed], "{length:?}");
        }
    }

    #[test]
    fn an_empty_answer_is_judged_at_once() {
        // C-411
        assert_eq!(
            heard(b"READY\nRESULT 0\n"),
            (vec![Heard::Ready, Heard::Rejected], Acknowledged)
        );
    }

    #[test]
    fn other_words_break_the_protocol() {
        // C-343, C-344, C-348
        assert_eq!(heard(b"hello"), (vec![], Acknowledged), "under six bytes: who knows");
        assert_eq!(heard(b"hello\n"), (vec![Heard::Chatter], Unknown));
        assert_eq!(heard(b"READY\r\n"), (vec![Heard::Chatter], Unknown));
        assert_eq!(heard(b"hello READY\nREADY\n"), (vec![Heard::Chatter], Unknown));
        let mut listener = Listener::default();
        assert_eq!(listener.hear(b"READY\nREADY\n"), (6, Some(Heard::Ready)));
        assert_eq!(listener.hear(b"READY\n"), (6, Some(Heard::Chatter)));
        assert_eq!(listener.state(), Unknown);
    }

    #[test]
    fn lines_that_are_no_result_are_told() {
        // C-347, C-411
        for line in ["READY", "RESULT", "RESULT ", "RESULT x", "RESULTS 2", "result 2", "1234567 2"]
        {
            assert_eq!(heard(format!("READY\n{line}\nOK").as_bytes()), bad(line));
        }
        let undecodable = "Undecodable: b'RESULT \\xff'";
        assert_eq!(heard(b"READY\nRESULT \xff\nOK"), bad(undecodable));
    }

    #[test]
    fn lengths_are_bounded() {
        // C-345
        for length in ["-1", "1048577", "99999999999999999999999999", "1e3"] {
            let line = format!("RESULT {length}");
            assert_eq!(heard(format!("READY\n{line}\nOK").as_bytes()), bad(&line));
        }
        let long = "x".repeat(LINE_MAX);
        assert_eq!(heard(format!("READY\n{long}yyy").as_bytes()), bad(&long));
        let answer = "x".repeat(1 << 20);
        let said = format!("READY\nRESULT 1048576\n{answer}READY\n");
        assert_eq!(heard(said.as_bytes()).0, [Heard::Ready, Heard::Rejected, Heard::Ready]);
    }

    fn words() -> impl Strategy<Value = Vec<u8>> {
        let word = prop_oneof![
            8 => prop::sample::select(vec![
                "READY\n", "RESULT 2\nOK", "RESULT 4\nFAIL", "RESULT 0\n", "RESULT 12\nREADY\nREADY\n",
            ]).prop_map(|word| word.as_bytes().to_vec()),
            1 => prop::collection::vec(any::<u8>(), 0..9),
            1 => "RESULT [ -9]{0,3}\n".prop_map(String::into_bytes),
        ];
        prop::collection::vec(word, 0..12).prop_map(|words| words.concat())
    }

    proptest! {
        #[test]
        fn any_split_of_what_it_says_means_the_same(
            said in words(),
            cuts in prop::collection::vec(1..9_usize, 1..20),
        ) {
            let (whole, state) = heard(&said);
            let mut listener = Listener::default();
            let (mut rest, mut pieces, mut cuts) = (said.as_slice(), Vec::new(), cuts.iter().cycle());
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(rest.len().min(*cuts.next().unwrap()));
                pieces.extend(hear(&mut listener, piece));
                prop_assert!(listener.begun.len() <= LINE_MAX);
                let text = serde_json::to_string(&listener).unwrap();
                listener = serde_json::from_str(&text).unwrap();
                rest = after;
            }
            prop_assert_eq!((pieces, listener.state()), (whole, state));
        }
    }
}
