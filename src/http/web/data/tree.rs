//! The processes that make a program.

use serde::Serialize;

use crate::api::{Api, Member};
use crate::model::snapshot::ProcessSnapshot;

/// The processes of a program, the main one first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tree {
    /// Those that are told of.
    pub processes: Vec<Node>,
    /// Whether there are more.
    pub more: bool,
}

/// One process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Node {
    /// Its pid.
    pub pid: i32,
    /// The pid of its parent, which may be none of these.
    pub parent: i32,
    /// What it does, in a word.
    pub state: &'static str,
    /// Its command line, as text without control characters.
    pub command: String,
    /// Memory that is in memory, in KiB; none where it is not known.
    pub memory: Option<u64>,
}

impl Tree {
    /// The processes of a program now; none while it does not run.
    pub async fn of(api: &Api, process: &ProcessSnapshot) -> Self {
        let (members, more) = api.members(process).await;
        Self { processes: members.into_iter().map(Node::from).collect(), more }
    }
}

impl From<Member> for Node {
    fn from(member: Member) -> Self {
        let command = String::from_utf8_lossy(&member.command);
        Self {
            pid: member.pid,
            parent: member.parent,
            state: word(member.state),
            command: command.chars().map(|c| if c.is_control() { ' ' } else { c }).collect(),
            memory: member.memory.map(|bytes| bytes / 1024),
        }
    }
}

/// The word for a letter of `ps`.
fn word(state: char) -> &'static str {
    match state {
        'R' => "running",
        'S' | 'I' => "sleeping",
        'D' => "waiting for a device",
        'T' => "stopped",
        't' => "traced",
        'Z' | 'X' => "ended",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{World, process};
    use super::*;

    #[tokio::test]
    async fn the_processes_of_a_program_are_told() {
        let mut web = process("web", "web");
        web.pid = std::process::id().cast_signed();
        let world = World::new(vec![web.clone(), process("down", "down")]);
        let tree = Tree::of(&world.api, &web).await;
        assert_eq!(tree.processes[0].pid, web.pid);
        assert!(!tree.processes[0].command.is_empty() && !tree.more);
        let tree = Tree::of(&world.api, &process("down", "down")).await;
        assert_eq!(serde_json::to_string(&tree).unwrap(), r#"{"processes":[],"more":false}"#);
    }

    #[test]
    fn a_command_is_text_whatever_its_bytes() {
        let node = Node::from(Member {
            pid: 7,
            parent: 1,
            state: 'D',
            command: b"a\x1b[31m <b>\n\xff".to_vec(),
            memory: Some(2048),
        });
        assert_eq!(
            serde_json::to_string(&node).unwrap(),
            "{\"pid\":7,\"parent\":1,\"state\":\"waiting for a device\",\
             \"command\":\"a [31m <b> \u{fffd}\",\"memory\":2}"
        );
    }
}
