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
