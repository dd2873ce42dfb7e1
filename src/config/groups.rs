//! Groups: `[group:x]`, and every program that is in none (C-092 to C-100, C-423, C-445).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::document::Section;
use super::options::{NameSet, SectionKind, option};
use super::program;
use super::reader::{Reader, Scope};
use super::{fcgi, listener, values};
use crate::model::record::Level;
use crate::model::spec::{GroupSpec, ProcessKind, ProcessSpec};

/// Reads all groups, in upstream's order: `[group:x]`, then lone programs, event listeners and
/// FastCGI programs. They come back sorted by priority and name, each name once.
pub(crate) fn read(reader: &Reader<'_>, global: &[(String, String)]) -> Vec<Arc<GroupSpec>> {
    let mut groups = Vec::new();
    let mut grouped = HashSet::new();
    for section in reader.sections(SectionKind::Group) {
        let scope = reader.scope(SectionKind::Group, section);
        groups.extend(heterogeneous(&scope, global, &mut grouped));
    }
    let lone = |kind| {
        let grouped = &grouped;
        let sections = reader.sections(kind);
        sections.filter(move |section| !grouped.contains(section.name.as_str()))
    };
    for section in lone(SectionKind::Program) {
        let scope = reader.scope(SectionKind::Program, section);
        let Some(name) = name(&scope) else { continue };
        let priority = group_priority(&scope);
        let processes = program::processes(scope, &name, &ProcessKind::Program, global);
        groups.push(group(reader, &name, priority, processes));
    }
    for section in reader.sections(SectionKind::EventListener) {
        let scope = reader.scope(SectionKind::EventListener, section);
        groups.push(listener::read(scope, global));
    }
    for section in lone(SectionKind::FcgiProgram) {
        let scope = reader.scope(SectionKind::FcgiProgram, section);
        let Some(name) = name(&scope) else { continue };
        let priority = group_priority(&scope);
        let socket = fcgi::socket(&scope, &name);
        let kind = socket.map_or(ProcessKind::Program, ProcessKind::FastCgi);
        let processes = program::processes(scope, &name, &kind, global);
        groups.push(group(reader, &name, priority, processes));
    }
    groups.sort_by(|a, b| (a.priority, &a.name).cmp(&(b.priority, &b.name)));
    each_name_once(reader, groups)
}

/// The name after the colon; none when it cannot be one (C-092).
fn name(scope: &Scope<'_>) -> Option<String> {
    let title = scope.section.name.split_once(':').map_or("", |(_, title)| title);
    values::name(title).map_err(|message| scope.wrong_section(message)).ok()
}

/// A program's priority, read for its group: before the names of programs are known (C-020,
/// C-036).
fn group_priority(scope: &Scope<'_>) -> i64 {
    const PRIORITY: &super::options::OptionDef = option!(Program, "priority");
    let Some(text) = scope.text_with(PRIORITY, NameSet::HERE) else { return 0 };
    values::integer(&text).map_err(|message| scope.wrong(PRIORITY, message)).unwrap_or_default()
}

/// A group from its processes.
pub(crate) fn group(
    reader: &Reader<'_>,
    name: &str,
    priority: i64,
    processes: Vec<Arc<ProcessSpec>>,
) -> Arc<GroupSpec> {
    let processes = each_process_once(reader, processes);
    Arc::new(GroupSpec { name: Arc::from(name), priority, listener: None, processes })
}

/// Reads `[group:x]` and the programs it names (C-093 to C-097).
fn heterogeneous<'a>(
    scope: &Scope<'a>,
    global: &[(String, String)],
    grouped: &mut HashSet<&'a str>,
) -> Option<Arc<GroupSpec>> {
    let reader = scope.reader;
    let name = name(scope)?;
    let members = scope.text(option!(Group, "programs"));
    let members = values::list(&members.unwrap_or_default());
    let priority = scope.int(option!(Group, "priority"));
    let mut processes = Vec::new();
    for member in members {
        let Some((kind, section)) = find_member(scope, &member) else { continue };
        grouped.insert(section.name.as_str());
        let member_scope = reader.scope(kind, section);
        let kind = match kind {
            SectionKind::FcgiProgram => fcgi::kind_in_group(&member_scope, &member),
            _ => ProcessKind::Program,
        };
        processes.extend(program::processes(member_scope, &name, &kind, global));
    }
    Some(group(reader, &name, priority, processes))
}

/// The section of a group's member (C-094, C-443).
fn find_member<'a>(scope: &Scope<'a>, member: &str) -> Option<(SectionKind, &'a Section)> {
    const PROGRAMS: &super::options::OptionDef = option!(Group, "programs");
    let document = scope.reader.document;
    let program = document.section(&format!("program:{member}"));
    let fcgi = document.section(&format!("fcgi-program:{member}"));
    let section = &scope.section.name;
    match (program, fcgi) {
        (Some(found), None) => Some((SectionKind::Program, found)),
        (None, Some(found)) => Some((SectionKind::FcgiProgram, found)),
        (None, None) => {
            scope.wrong(
                PROGRAMS,
                format!("[{section}] names unknown program or fcgi-program {member}"),
            );
            None
        }
        (Some(_), Some(_)) => {
            scope.wrong(
                PROGRAMS,
                format!(
                    "[{section}] name {member} is ambiguous (exists as program and fcgi-program)"
                ),
            );
            None
        }
    }
}

/// Of processes with the same name, the last one takes the place of the first (C-098).
pub(crate) fn each_process_once(
    reader: &Reader<'_>,
    processes: Vec<Arc<ProcessSpec>>,
) -> Vec<Arc<ProcessSpec>> {
    let mut places: HashMap<Arc<str>, usize> = HashMap::new();
    let mut kept: Vec<Arc<ProcessSpec>> = Vec::with_capacity(processes.len());
    for process in processes {
        let next = kept.len();
        let place = *places.entry(Arc::clone(&process.name.process)).or_insert(next);
        if place == next {
            kept.push(process);
        } else {
            let text = format!(
                "Group {} has several processes named {}, only the last one is used",
                process.name.group, process.name.process
            );
            reader.note(Level::Warn, text);
            kept[place] = process;
        }
    }
    kept
}

/// Of groups with the same name, the first one counts (C-098, C-445).
fn each_name_once(reader: &Reader<'_>, mut groups: Vec<Arc<GroupSpec>>) -> Vec<Arc<GroupSpec>> {
    let mut names = HashSet::new();
    groups.retain(|group| {
        let is_new = names.insert(Arc::clone(&group.name));
        if !is_new {
            let text = format!(
                "Several sections define a group named {}, only the one that comes first by \
                 priority is used",
                group.name
            );
            reader.note(Level::Warn, text);
        }
        is_new
    });
    groups
}

#[cfg(test)]
mod tests {
    use super::super::testing::{MemoryHost, errors, load, load_text};

    const THREE: &str = "[program:a]\ncommand=x\npriority=5\n[program:b]\ncommand=x\n\
                         [program:c]\ncommand=x\npriority=-1\n";

    /// `GROUP:PRIORITY=PROCESSES`, one a word.
    fn shown(text: &str) -> String {
        let groups = load_text(text).unwrap().groups;
        let shown = groups.iter().map(|group| {
            let names: Vec<_> =
                group.processes.iter().map(|p| p.name.process.to_string()).collect();
            format!("{}:{}={}", group.name, group.priority, names.join(","))
        });
        shown.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn groups_are_sorted_and_take_their_programs_away() {
        // C-095, C-096, C-097, C-099
        assert_eq!(shown(THREE), "c:-1=c a:5=a b:999=b");
        assert_eq!(shown(&format!("{THREE}[group:g]\nprograms= c , a\n")), "b:999=b g:999=c,a");
        assert_eq!(
            shown(&format!("{THREE}[group:g]\nprograms=a\npriority=1\n[group:h]\nprograms=a,b\n")),
            "c:-1=c g:1=a h:999=a,b"
        );
        assert_eq!(shown("[group:g]\nprograms=\n[group:h]\n"), "g:999= h:999=");
    }

    #[test]
    fn members_must_be_programs() {
        // C-093, C-094, C-443
        let place = "(section 'group:g', option 'programs', file: '/etc/s.conf', line 11)";
        let listener = "[eventlistener:l]\ncommand=x\nevents=EVENT\n";
        for (members, unknown) in [("a,x", "x"), ("a,", ""), ("l", "l")] {
            assert_eq!(
                errors(&format!("{THREE}[group:g]\nprograms={members}\n{listener}")),
                format!("[group:g] names unknown program or fcgi-program {unknown} {place}")
            );
        }
        let both = "[fcgi-program:a]\ncommand=x\nsocket=tcp://h:1\n";
        assert_eq!(
            errors(&format!("{THREE}[group:g]\nprograms=a\n{both}")),
            format!("[group:g] name a is ambiguous (exists as program and fcgi-program) {place}")
        );
    }

    #[test]
    fn names_are_trimmed_and_checked() {
        // C-092, C-043
        assert_eq!(shown("[program: a ]\ncommand=x\n"), "a:999=a");
        assert_eq!(shown("[program:]\ncommand=x\n"), ":999=");
        assert_eq!(
            errors("[program:a b]\ncommand=x\n"),
            "Invalid name: 'a b' because of character: ' ' \
             (section 'program:a b', file: '/etc/s.conf', line 2)"
        );
        assert!(
            errors("[group:a/b]\n").starts_with("Invalid name: 'a/b' because of character: '/'")
        );
        assert!(
            errors("[program:a]\ncommand=x\nprocess_name=b c\n").starts_with(
                "Invalid name: 'b c' because of character: ' ' in section 'program:a'"
            )
        );
        let text = "[program:a]\ncommand=%(group_name)s\n[group:g]\nprograms=a\n";
        assert_eq!(load_text(text).unwrap().groups[0].processes[0].command, "g");
    }

    #[test]
    fn of_equal_names_one_counts_and_the_others_are_told() {
        // C-098, C-445
        let settings = load_text(
            "[group:a]\nprograms=b,c\n[program:a]\ncommand=x\npriority=1\n[program:b]\n\
             command=1\nprocess_name=same\n[program:c]\ncommand=2\nprocess_name=same\n",
        )
        .unwrap();
        assert_eq!(settings.groups.len(), 1);
        assert_eq!(settings.groups[0].priority, 1);
        let notes: Vec<_> = settings.notes.iter().map(|note| note.text.as_str()).collect();
        assert_eq!(
            notes,
            [
                "Group a has several processes named same, only the last one is used",
                "Several sections define a group named a, only the one that comes first by priority \
             is used",
            ]
        );
        let text = "[group:g]\nprograms=b,d,c\n[program:b]\ncommand=1\nprocess_name=same\n\
                    [program:c]\ncommand=2\nprocess_name=same\n[program:d]\ncommand=3\n";
        let commands: Vec<_> = load_text(text).unwrap().groups[0]
            .processes
            .iter()
            .map(|p| p.command.clone())
            .collect();
        assert_eq!(commands, ["2", "3"]);
    }

    #[test]
    fn priorities_of_groups_are_told_without_the_programs_suffix() {
        // C-019, C-020
        assert_eq!(
            errors("[program:a]\ncommand=x\npriority=y\n"),
            "invalid literal for int() with base 10: 'y' \
             (section 'program:a', option 'priority', file: '/etc/s.conf', line 4)"
        );
        assert_eq!(
            errors("[program:a]\ncommand=x\npriority=y\n[group:g]\nprograms=a\n"),
            "invalid literal for int() with base 10: 'y' in section 'program:a' \
             (file: '/etc/s.conf') at line 4, option 'priority'"
        );
    }

    #[test]
    fn errors_name_the_included_file() {
        // C-019
        let host = MemoryHost::with("[supervisord]\n[include]\nfiles=i\n[program:b]\ncommand=x\n")
            .file("/etc/i", "[program:a]\ncommand=x\numask=8\n[program:b]\numask=9\n");
        assert_eq!(
            load(&host).unwrap_err().lines().collect::<Vec<_>>(),
            [
                "9 can not be converted to an octal type in section 'program:b' \
                 (file: '/etc/s.conf') at line 5 of '/etc/i', option 'umask'",
                "8 can not be converted to an octal type in section 'program:a' (file: '/etc/i') \
                 at line 3, option 'umask'",
            ]
        );
    }
}
