//! What happened: the one stream that D-Bus signals, event listeners and live pages are made
//! from (C-357).

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::event_type::EventType;
use super::exit::ExitStatus;
use super::name::ProcessName;
use super::snapshot::Channel;
use super::state::{DaemonState, ProcessState};
use super::text::{repr_bytes, utf8};
use super::time::Wall;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// A process changed its state (C-358 to C-361).
    ProcessState {
        /// Which.
        name: ProcessName,
        /// The state it left.
        from: ProcessState,
        /// The state it entered.
        to: ProcessState,
        /// Its pid; for STOPPED and EXITED the one it had, else 0.
        pid: i32,
        /// The backoff counter, for STARTING and BACKOFF.
        tries: u32,
        /// Whether an exit was expected, for EXITED.
        expected: bool,
        /// How its child ended; none when it had none since the last start, or it still lives.
        ended: Option<ExitStatus>,
        /// Why it could not be started, or ended unexpectedly. Empty when all is well.
        problem: Arc<str>,
        /// How many times it was started again by itself since somebody started it.
        restarts: u32,
    },
    /// A process wrote something (C-362).
    ProcessLog(Output),
    /// A process sent something to listeners, between the tokens (C-364).
    ProcessCommunication(Output),
    /// A group became active.
    GroupAdded(Arc<str>),
    /// A group is no longer active.
    GroupRemoved(Arc<str>),
    /// The daemon is at work (`Running`) or began to stop (`Shutdown`, `Restarting`).
    DaemonState(DaemonState),
    /// A client sent an event of its own (C-366).
    Remote {
        /// Its type.
        kind: String,
        /// Its data.
        data: String,
    },
    /// A period of the wall clock began (C-368).
    Tick {
        /// Which period.
        period: Period,
        /// When, in seconds since 1970-01-01 00:00 UTC: a multiple of the period.
        when: u64,
    },
}

/// What a process wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// Which process.
    pub name: ProcessName,
    /// Its pid when it wrote that.
    pub pid: i32,
    /// Where to.
    pub channel: Channel,
    /// The bytes.
    pub data: Vec<u8>,
}

/// What TICK events count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Period {
    /// Five seconds.
    Seconds5,
    /// A minute.
    Seconds60,
    /// An hour.
    Seconds3600,
}

impl Period {
    /// All of them, the shortest first.
    pub const ALL: [Self; 3] = [Self::Seconds5, Self::Seconds60, Self::Seconds3600];

    /// Its length in seconds.
    #[must_use]
    pub fn secs(self) -> u64 {
        match self {
            Self::Seconds5 => 5,
            Self::Seconds60 => 60,
            Self::Seconds3600 => 3600,
        }
    }

    /// The type of its events.
    #[must_use]
    pub fn event_type(self) -> EventType {
        match self {
            Self::Seconds5 => EventType::Tick5,
            Self::Seconds60 => EventType::Tick60,
            Self::Seconds3600 => EventType::Tick3600,
        }
    }
}

/// An event, as everybody who listens is told of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// Counts all events of the daemon's life, from 0: a gap is what somebody missed. Not the
    /// serial of event listeners, which counts the events that one of them gets (C-340).
    pub serial: u64,
    /// When it happened.
    pub at: Wall,
    /// What happened.
    pub event: Event,
}

/// One named value of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value<'a> {
    /// A text.
    Text(Cow<'a, str>),
    /// A number.
    Number(u64),
    /// 1 or 0 in a payload.
    Flag(bool),
    /// What a process wrote.
    Data(&'a [u8]),
}

impl fmt::Display for Value<'_> {
    /// As in a payload.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => write!(f, "{number}"),
            Self::Flag(flag) => write!(f, "{}", u8::from(*flag)),
            Self::Data(data) => f.write_str(&shown(data)),
        }
    }
}

/// What is no text is shown as Python shows bytes (C-365).
fn shown(data: &[u8]) -> Cow<'_, str> {
    utf8(data).unwrap_or_else(|| Cow::Owned(format!("Undecodable: {}", repr_bytes(data))))
}

fn text<'a>(text: impl Into<Cow<'a, str>>) -> Value<'a> {
    Value::Text(text.into())
}

fn pid<'a>(pid: i32) -> Value<'a> {
    Value::Number(u64::try_from(pid).unwrap_or(0))
}

impl Event {
    /// Its type, which is never a base type.
    #[must_use]
    pub fn event_type(&self) -> EventType {
        match self {
            Self::ProcessState { to, .. } => match to {
                ProcessState::Stopped => EventType::ProcessStateStopped,
                ProcessState::Starting => EventType::ProcessStateStarting,
                ProcessState::Running => EventType::ProcessStateRunning,
                ProcessState::Backoff => EventType::ProcessStateBackoff,
                ProcessState::Stopping => EventType::ProcessStateStopping,
                ProcessState::Exited => EventType::ProcessStateExited,
                ProcessState::Fatal => EventType::ProcessStateFatal,
                ProcessState::Unknown => EventType::ProcessStateUnknown,
            },
            Self::ProcessLog(output) => match output.channel {
                Channel::Stdout => EventType::ProcessLogStdout,
                Channel::Stderr => EventType::ProcessLogStderr,
            },
            Self::ProcessCommunication(output) => match output.channel {
                Channel::Stdout => EventType::ProcessCommunicationStdout,
                Channel::Stderr => EventType::ProcessCommunicationStderr,
            },
            Self::GroupAdded(_) => EventType::ProcessGroupAdded,
            Self::GroupRemoved(_) => EventType::ProcessGroupRemoved,
            Self::DaemonState(DaemonState::Running) => EventType::SupervisorStateChangeRunning,
            Self::DaemonState(_) => EventType::SupervisorStateChangeStopping,
            Self::Remote { .. } => EventType::RemoteCommunication,
            Self::Tick { period, .. } => period.event_type(),
        }
    }

    /// Its values by name, in the order of the payload.
    #[must_use]
    pub fn fields(&self) -> Vec<(&'static str, Value<'_>)> {
        let of = |name: &'_ ProcessName| {
            [
                ("processname", text(name.process.to_string())),
                ("groupname", text(name.group.to_string())),
            ]
        };
        match self {
            Self::ProcessState { name, from, to, pid: child, tries, expected, .. } => {
                let mut fields = Vec::from(of(name));
                fields.push(("from_state", text(from.name())));
                match to {
                    ProcessState::Starting | ProcessState::Backoff => {
                        fields.push(("tries", Value::Number((*tries).into())));
                    }
                    ProcessState::Running | ProcessState::Stopping | ProcessState::Stopped => {
                        fields.push(("pid", pid(*child)));
                    }
                    ProcessState::Exited => {
                        fields.push(("expected", Value::Flag(*expected)));
                        fields.push(("pid", pid(*child)));
                    }
                    ProcessState::Fatal | ProcessState::Unknown => {}
                }
                fields
            }
            Self::ProcessLog(output) => {
                let mut fields = Vec::from(of(&output.name));
                fields.push(("pid", pid(output.pid)));
                fields.push(("channel", text(output.channel.name())));
                fields.push(("data", Value::Data(&output.data)));
                fields
            }
            Self::ProcessCommunication(output) => {
                let mut fields = Vec::from(of(&output.name));
                fields.push(("pid", pid(output.pid)));
                fields.push(("data", Value::Data(&output.data)));
                fields
            }
            Self::GroupAdded(name) | Self::GroupRemoved(name) => vec![("groupname", text(&**name))],
            Self::DaemonState(_) => Vec::new(),
            Self::Remote { kind, data } => {
                vec![("type", text(kind.as_str())), ("data", text(data.as_str()))]
            }
            Self::Tick { when, .. } => vec![("when", Value::Number(*when))],
        }
    }

    /// What event listeners get, without the header (C-358 to C-369): `name:value` between blanks,
    /// and data on the lines after that.
    #[must_use]
    pub fn payload(&self) -> String {
        let mut payload = String::new();
        for (name, value) in self.fields() {
            // Writing to a string does not fail.
            let _ = match (name, payload.is_empty()) {
                ("data", _) => write!(payload, "\n{value}"),
                (_, true) => write!(payload, "{name}:{value}"),
                (_, false) => write!(payload, " {name}:{value}"),
            };
        }
        if matches!(self, Self::GroupAdded(_) | Self::GroupRemoved(_)) {
            payload.push('\n');
        }
        payload
    }

    /// How many bytes it carries that came from outside.
    #[must_use]
    pub fn weight(&self) -> usize {
        match self {
            Self::ProcessLog(output) | Self::ProcessCommunication(output) => output.data.len(),
            Self::Remote { kind, data } => kind.len() + data.len(),
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(to: ProcessState) -> String {
        let name = ProcessName::new("g", "p");
        let from = ProcessState::Stopped;
        let event = Event::ProcessState {
            name,
            from,
            to,
            pid: 7,
            tries: 3,
            expected: true,
            ended: None,
            problem: "".into(),
            restarts: 0,
        };
        event.payload()
    }

    fn output(channel: Channel, data: &[u8]) -> Output {
        Output { name: ProcessName::new("g", "p"), pid: 7, channel, data: data.to_vec() }
    }

    #[test]
    fn changes_of_state_have_what_belongs_to_the_state() {
        // C-358, C-359, C-360, C-361
        let begin = "processname:p groupname:g from_state:STOPPED";
        assert_eq!(state(ProcessState::Starting), format!("{begin} tries:3"));
        assert_eq!(state(ProcessState::Backoff), format!("{begin} tries:3"));
        assert_eq!(state(ProcessState::Running), format!("{begin} pid:7"));
        assert_eq!(state(ProcessState::Stopping), format!("{begin} pid:7"));
        assert_eq!(state(ProcessState::Stopped), format!("{begin} pid:7"));
        assert_eq!(state(ProcessState::Exited), format!("{begin} expected:1 pid:7"));
        assert_eq!(state(ProcessState::Fatal), begin);
        assert_eq!(state(ProcessState::Unknown), begin);
    }

    #[test]
    fn output_stands_below_its_origin() {
        // C-362, C-364
        let log = Event::ProcessLog(output(Channel::Stderr, "a\né\n".as_bytes()));
        assert_eq!(log.event_type(), EventType::ProcessLogStderr);
        assert_eq!(log.payload(), "processname:p groupname:g pid:7 channel:stderr\na\né\n");
        let sent = Event::ProcessCommunication(output(Channel::Stdout, b""));
        assert_eq!(sent.event_type(), EventType::ProcessCommunicationStdout);
        assert_eq!(sent.payload(), "processname:p groupname:g pid:7\n");
    }

    #[test]
    fn what_is_no_text_is_shown_as_python_shows_bytes() {
        // C-365
        let log = |data| Event::ProcessLog(output(Channel::Stdout, data)).payload();
        let shown = |data| log(data).split_once('\n').unwrap().1.to_owned();
        assert_eq!(shown(b"\xff\x00'\"\\\n\t\rz"), r#"Undecodable: b'\xff\x00\'"\\\n\t\rz'"#);
        assert_eq!(shown(b"\xed\xa0\x80'"), r#"Undecodable: b"\xed\xa0\x80'""#);
    }

    #[test]
    fn the_other_payloads() {
        // C-366, C-367, C-368, C-369
        let remote = Event::Remote { kind: "t".to_owned(), data: "d\n".to_owned() };
        assert_eq!(remote.payload(), "type:t\nd\n");
        for daemon in [DaemonState::Running, DaemonState::Shutdown, DaemonState::Restarting] {
            assert_eq!(Event::DaemonState(daemon).payload(), "");
        }
        let tick = Event::Tick { period: Period::Seconds60, when: 120 };
        assert_eq!((tick.payload(), tick.event_type()), ("when:120".to_owned(), EventType::Tick60));
        assert_eq!(Event::GroupAdded("g".into()).payload(), "groupname:g\n");
        assert_eq!(Event::GroupRemoved("g".into()).payload(), "groupname:g\n");
    }
}
