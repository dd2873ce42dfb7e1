//! How a newly read configuration differs from what is active (C-394, C-395, C-424).

use std::collections::HashMap;
use std::sync::Arc;

use crate::core::request::Changes;
use crate::model::spec::{GroupSpec, ListenerPool, LogFile, ProcessSpec};

/// Compares the active groups with the newly read ones. Added and changed names come in the order
/// of the new configuration, removed ones in that of the active groups.
#[must_use]
pub fn compare(active: &[Arc<GroupSpec>], read: &[Arc<GroupSpec>]) -> Changes {
    let by_name = |groups: &[Arc<GroupSpec>]| -> HashMap<Arc<str>, Arc<GroupSpec>> {
        groups.iter().map(|group| (Arc::clone(&group.name), Arc::clone(group))).collect()
    };
    let (old, new) = (by_name(active), by_name(read));
    let mut changes = Changes::default();
    for group in read {
        match old.get(&group.name) {
            None => changes.added.push(Arc::clone(&group.name)),
            Some(active) if !is_same_group(active, group) => {
                changes.changed.push(Arc::clone(&group.name));
            }
            Some(_) => {}
        }
    }
    let gone = active.iter().filter(|group| !new.contains_key(&group.name));
    changes.removed.extend(gone.map(|group| Arc::clone(&group.name)));
    changes
}

fn is_same_group(active: &GroupSpec, read: &GroupSpec) -> bool {
    active.priority == read.priority
        && is_same_pool(active.listener.as_ref(), read.listener.as_ref())
        && active.processes.len() == read.processes.len()
        && active.processes.iter().zip(&read.processes).all(|(old, new)| is_same(old, new))
}

/// The order of event types has no meaning.
fn is_same_pool(active: Option<&ListenerPool>, read: Option<&ListenerPool>) -> bool {
    let sorted = |pool: &ListenerPool| {
        let mut pool = pool.clone();
        pool.events.sort();
        pool
    };
    active.map(sorted) == read.map(sorted)
}

/// Whether a process is configured as before. A log that is AUTO now is no change, wherever it
/// was before (C-395), unless that was the journal; the URL of a server changes with a restart only (C-391).
#[must_use]
pub fn is_same(active: &ProcessSpec, read: &ProcessSpec) -> bool {
    if active == read {
        return true;
    }
    let mut read = read.clone();
    for (old, new) in [(&active.stdout, &mut read.stdout), (&active.stderr, &mut read.stderr)] {
        if new.file == LogFile::Auto && old.file != LogFile::Journal {
            new.file.clone_from(&old.file);
        }
    }
    read.server_url.clone_from(&active.server_url);
    *active == read
}

#[cfg(test)]
mod tests {
    use super::super::testing::load_text;
    use super::*;

    fn names(names: &[Arc<str>]) -> String {
        names.join(" ")
    }

    fn changes(active: &str, read: &str) -> (String, String, String) {
        let groups = |text| load_text(text).unwrap().groups;
        let changes = compare(&groups(active), &groups(read));
        (names(&changes.added), names(&changes.changed), names(&changes.removed))
    }

    fn is_changed(active: &str, read: &str) -> bool {
        let text = |options: &str| format!("[program:a]\ncommand=x\n{options}");
        changes(&text(active), &text(read)).1 == "a"
    }

    #[test]
    fn groups_are_added_changed_and_removed() {
        // C-394
        let program =
            |name: &str, options: &str| format!("[program:{name}]\ncommand=x\n{options}\n");
        let active =
            program("same", "") + &program("z", "") + &program("c", "") + &program("y", "");
        let read = program("same", "")
            + &program("b", "")
            + &program("a", "priority=1")
            + &program("c", "priority=1");
        let expected = ("a b", "c", "y z");
        let found = changes(&active, &read);
        assert_eq!((found.0.as_str(), found.1.as_str(), found.2.as_str()), expected);
    }

    #[test]
    fn any_option_is_a_change_after_expansion() {
        // C-394
        assert!(is_changed("", "startsecs=2"));
        assert!(is_changed("environment=A=1", "environment=A=2"));
        assert!(is_changed("", "numprocs=2\nprocess_name=%(process_num)d"));
        assert!(is_changed("", "serverurl=http://x"));
        assert!(!is_changed("", "startsecs=1"));
        assert!(!is_changed("stopsignal=TERM", "stopsignal=15"));
        assert!(!is_changed("environment=A=1,B=2", "environment=B=2,A=1"));
    }

    #[test]
    fn a_log_that_becomes_auto_is_no_change() {
        // C-395
        assert!(!is_changed("stdout_logfile=/tmp/x", "stdout_logfile=AUTO"));
        assert!(!is_changed("stderr_logfile=NONE", ""));
        assert!(is_changed("", "stdout_logfile=/tmp/x"));
        assert!(is_changed("", "stdout_logfile=NONE"));
        // The journal is no place that upstream knows.
        assert!(is_changed("stdout_logfile=journal", "stdout_logfile=AUTO"));
        assert!(!is_changed("stdout_logfile=journal", "stdout_logfile=JOURNAL"));
        assert!(is_changed("stdout_logfile=/tmp/x", "stdout_logfile_maxbytes=1"));
    }

    #[test]
    fn all_of_a_fastcgi_socket_counts() {
        // C-424
        let text =
            |options: &str| format!("[fcgi-program:a]\ncommand=x\nsocket=unix:///s\n{options}");
        assert_eq!(changes(&text(""), &text("socket_mode=0770")).1, "a");
        assert_eq!(changes(&text(""), &text("socket_backlog=1")).1, "a");
        assert_eq!(changes(&text(""), &text("")).1, "");
        assert_eq!(changes(&text(""), "[program:a]\ncommand=x").1, "a");
    }

    #[test]
    fn a_pool_changes_with_its_events_but_not_with_their_order() {
        // C-394
        let text = |events: &str| format!("[eventlistener:a]\ncommand=x\nevents={events}");
        assert_eq!(changes(&text("TICK_5,EVENT"), &text("EVENT,TICK_5")).1, "");
        assert_eq!(changes(&text("TICK_5"), &text("TICK_60")).1, "a");
        assert_eq!(changes(&text("TICK_5"), &text("TICK_5\nbuffer_size=1")).1, "a");
    }

    #[test]
    fn servers_are_not_part_of_a_group() {
        // C-391
        let text = |port: u16| format!("[inet_http_server]\nport={port}\n[program:a]\ncommand=x\n");
        assert_eq!(changes(&text(1), &text(2)).1, "");
    }
}
