//! Completion of what is typed in the shell (C-276).

use super::client::ProcessInfo;
use super::commands::help::topics;

/// Where the word before `pos` begins, and what may stand there; `processes` is asked only when
/// names are wanted.
pub fn complete(
    line: &str,
    pos: usize,
    processes: impl FnOnce() -> Vec<ProcessInfo>,
) -> (usize, Vec<String>) {
    let before = &line[..pos];
    let start = before
        .rfind(is_delimiter)
        .map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8));
    let word = &before[start..];
    let mut words = before.split_whitespace();
    let first = words.next().unwrap_or_default();
    let in_first_word = words.next().is_none() && !before.ends_with(char::is_whitespace);
    let candidates = match first {
        _ if in_first_word => actions(),
        "" | "help" => actions(),
        "add" | "remove" | "update" => groups(&processes()),
        "clear" | "fg" | "pid" | "restart" | "signal" | "start" | "status" | "stop" | "tail" => {
            names(&processes(), word.contains(':'))
        }
        "web" => vec!["--read-only".to_owned()],
        _ => Vec::new(),
    };
    let matching = candidates.into_iter().filter(|candidate| candidate.starts_with(word));
    (start, matching.map(|candidate| candidate + " ").collect())
}

/// What ends a word; `:`, `*` and `-` are parts of names.
fn is_delimiter(c: char) -> bool {
    c.is_whitespace() || "`!@#$%^&()=+[{]}\\|;'\",<>/?".contains(c)
}

fn actions() -> Vec<String> {
    let mut names: Vec<String> = topics().map(|(name, _)| (*name).to_owned()).collect();
    names.push("help".to_owned());
    names.sort();
    names
}

fn push_new(list: &mut Vec<String>, item: String) {
    if !list.contains(&item) {
        list.push(item);
    }
}

fn groups(processes: &[ProcessInfo]) -> Vec<String> {
    let mut groups: Vec<String> =
        processes.iter().map(|process| process.name.group.as_ref().to_owned()).collect();
    groups.dedup();
    groups
}

/// The names of processes; with `qualified`, also those that have the name of their group stand
/// behind it.
fn names(processes: &[ProcessInfo], qualified: bool) -> Vec<String> {
    let mut names = Vec::new();
    let mut last_group = None;
    for process in processes {
        let name = &process.name;
        if !qualified && name.group == name.process {
            push_new(&mut names, name.process.as_ref().to_owned());
            continue;
        }
        names.push(format!("{}:{}", name.group, name.process));
        if last_group.replace(name.group.clone()).as_ref() != Some(&name.group) {
            names.push(format!("{}:*", name.group));
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::name::ProcessName;
    use crate::model::state::ProcessState;

    fn processes() -> Vec<ProcessInfo> {
        [("cat", "cat"), ("g-1", "a"), ("g-1", "b")]
            .map(|(group, name)| ProcessInfo {
                name: ProcessName::new(group, name),
                state: ProcessState::Running,
                pid: 1,
                description: String::new(),
            })
            .to_vec()
    }

    fn at_end(line: &str) -> (usize, Vec<String>) {
        complete(line, line.len(), processes)
    }

    #[test]
    fn the_first_word_is_an_action() {
        // C-276
        assert_eq!(at_end("sta"), (0, vec!["start ".to_owned(), "status ".to_owned()]));
        assert_eq!(at_end("  he"), (2, vec!["help ".to_owned()]));
        assert_eq!(at_end("help ver"), (5, vec!["version ".to_owned()]));
        assert_eq!(at_end("").1.len(), 24);
        assert_eq!(at_end("web --").1, ["--read-only "]);
    }

    #[test]
    fn names_follow_the_actions_that_take_them() {
        // C-276
        let (_, all) = at_end("start ");
        assert_eq!(all, ["cat ", "g-1:a ", "g-1:* ", "g-1:b "]);
        assert_eq!(
            at_end("stop g-1:"),
            (5, vec!["g-1:a ".to_owned(), "g-1:* ".to_owned(), "g-1:b ".to_owned()])
        );
        assert_eq!(at_end("tail -f cat:").1, ["cat:cat ", "cat:* "]);
        assert_eq!(at_end("signal HUP c"), (11, vec!["cat ".to_owned()]));
        assert_eq!(at_end("update g"), (7, vec!["g-1 ".to_owned()]));
        assert_eq!(at_end("add ").1, ["cat ", "g-1 "]);
        assert_eq!(at_end("version x").1, Vec::<String>::new());
    }

    #[test]
    fn the_daemon_is_not_asked_for_actions() {
        let (_, found) = complete("sta", 3, || unreachable!("no names are wanted"));
        assert_eq!(found.len(), 2);
    }
}
