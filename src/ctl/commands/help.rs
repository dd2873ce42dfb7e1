//! `help`: the list of actions, and what each does (C-272).

use super::super::session::{Failure, Session};

/// What comes before the list.
const HEADER: &str = "default commands (type help <topic>):";

/// The actions in the order of upstream's list, each with its usage lines and what they do.
const TOPICS: &[Topic] = &[
    ("add", &[("add <group> [...]", "Make groups of the configuration active")]),
    ("avail", &[("avail", "List all configured processes")]),
    (
        "clear",
        &[
            ("clear <name> [...]", "Empty the logs of processes"),
            ("clear all", "Empty the logs of all processes"),
        ],
    ),
    ("exit", &[("exit", "Leave the shell")]),
    ("fg", &[("fg <name>", "See the output of a process and type its input; Ctrl-C leaves it")]),
    (
        "maintail",
        &[
            ("maintail", "The last 1600 bytes of supervisord's own log"),
            ("maintail -<bytes>", "The last so many bytes of it"),
            ("maintail -f", "Follow it until Ctrl-C"),
        ],
    ),
    (
        "open",
        &[(
            "open <url>",
            "Talk to another supervisord: dbus:system, dbus:unix:path=PATH, unix://PATH, \
             http://HOST:PORT, https://HOST:PORT",
        )],
    ),
    (
        "pid",
        &[
            ("pid", "The pid of supervisord"),
            ("pid <name> [...]", "The pids of processes"),
            ("pid all", "The pid of every process, one a line"),
        ],
    ),
    ("quit", &[("quit", "Leave the shell")]),
    ("reload", &[("reload", "Restart supervisord itself")]),
    ("remove", &[("remove <group> [...]", "Make stopped groups inactive")]),
    ("reread", &[("reread", "Read the configuration again and tell what changed; change nothing")]),
    (
        "restart",
        &[
            ("restart <name> [...]", "Stop processes and start them again"),
            ("restart <group>:*", "The same for the processes of a group"),
            ("restart all", "The same for all processes"),
            ("", "The configuration is not read again: see reread and update"),
        ],
    ),
    ("shutdown", &[("shutdown", "Stop all processes and supervisord itself")]),
    (
        "signal",
        &[
            ("signal <signal> <name> [...]", "Send a signal to processes"),
            ("signal <signal> <group>:*", "Send it to the processes of a group"),
            ("signal <signal> all", "Send it to all processes"),
        ],
    ),
    (
        "start",
        &[
            ("start <name> [...]", "Start processes"),
            ("start <group>:*", "Start the processes of a group"),
            ("start all", "Start all processes"),
        ],
    ),
    (
        "status",
        &[
            ("status", "The status of all processes"),
            ("status <name> [...]", "The status of processes"),
            ("status <group>:*", "The status of the processes of a group"),
        ],
    ),
    (
        "stop",
        &[
            ("stop <name> [...]", "Stop processes"),
            ("stop <group>:*", "Stop the processes of a group"),
            ("stop all", "Stop all processes"),
        ],
    ),
    (
        "tail",
        &[
            ("tail <name> [stdout|stderr]", "The last 1600 bytes of a log, stdout by default"),
            ("tail -<bytes> <name> [...]", "The last so many bytes"),
            ("tail -f <name> [...]", "Follow the log until Ctrl-C"),
        ],
    ),
    (
        "update",
        &[
            ("update", "Read the configuration again and apply it: restart what changed"),
            ("update <group> [...]", "The same for these groups only"),
            ("update all", "The same as update"),
        ],
    ),
    ("version", &[("version", "The version of supervisord")]),
];

/// What comes before the list of the actions that upstream does not have.
const MORE: &str = "more commands (type help <topic>):";

/// The actions that upstream does not have.
const ADDITIONS: &[Topic] = &[
    (
        "upgrade",
        &[
            ("upgrade", "Go on as the supervisord that is installed now; programs run on"),
            ("", "One that cannot go on is not used. Works over D-Bus alone"),
        ],
    ),
    (
        "web",
        &[
            ("web", "Print a link that opens the web page, once and within a minute"),
            ("web --read-only", "The same for somebody who may only look"),
            ("", "It leads to the servers with auth=login, and works over D-Bus alone"),
        ],
    ),
];

/// An action: its name, its usage lines and what they do.
pub type Topic = (&'static str, &'static [(&'static str, &'static str)]);

/// All actions.
pub fn topics() -> impl Iterator<Item = &'static Topic> {
    TOPICS.iter().chain(ADDITIONS)
}

/// `help [action]`.
pub(super) fn help(session: &mut Session, args: &str) -> Result<(), Failure> {
    match args {
        "" => {
            session.out.line("")?;
            for (header, topics) in [(HEADER, TOPICS), (MORE, ADDITIONS)] {
                let names: Vec<&str> = topics.iter().map(|(name, _)| *name).collect();
                let underline = "=".repeat(header.len());
                let text = format!("{header}\n{underline}\n{}\n", columns(&names, 80));
                session.out.bytes(text.as_bytes())?;
            }
        }
        "help" => {
            session.out.line(&aligned("help", "List the actions"))?;
            session.out.line(&aligned("help <action>", "Tell what an action does"))?;
        }
        action => topic(session, action)?,
    }
    Ok(())
}

/// What one action does.
pub(super) fn topic(session: &mut Session, action: &str) -> Result<(), Failure> {
    let Some((_, lines)) = topics().find(|(name, _)| *name == action) else {
        return Ok(session.out.line(&format!("*** No help on {action}"))?);
    };
    for (usage, meaning) in *lines {
        session.out.line(&aligned(usage, meaning))?;
    }
    Ok(())
}

fn aligned(usage: &str, meaning: &str) -> String {
    format!("{usage:<31} {meaning}")
}

/// Words in columns read downwards, in as few rows as fit, two blanks between.
fn columns(words: &[&str], width: usize) -> String {
    let layout = |rows: usize| -> Vec<usize> {
        words.chunks(rows).map(|column| column.iter().map(|w| w.len()).max().unwrap_or(0)).collect()
    };
    let fits = |rows: &usize| {
        let widths = layout(*rows);
        widths.iter().sum::<usize>() + 2 * (widths.len() - 1) <= width
    };
    let rows = (1..=words.len()).find(fits).unwrap_or(words.len().max(1));
    let widths = layout(rows);
    let mut text = String::new();
    for row in 0..rows {
        let cells: Vec<String> = words
            .chunks(rows)
            .zip(&widths)
            .filter_map(|(column, width)| column.get(row).map(|word| format!("{word:<width$}")))
            .collect();
        text.push_str(&cells.join("  "));
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_actions_is_upstreams() {
        // C-272
        let names: Vec<&str> = TOPICS.iter().map(|(name, _)| *name).collect();
        assert_eq!(
            columns(&names, 80),
            "add    exit      open  reload  restart   start   tail   \n\
             avail  fg        pid   remove  shutdown  status  update \n\
             clear  maintail  quit  reread  signal    stop    version\n"
        );
    }

    #[test]
    fn help_lines_stay_readable() {
        for (name, lines) in topics() {
            for (usage, _) in *lines {
                assert!(usage.len() <= 31, "{name}: {usage}");
            }
        }
    }
}
