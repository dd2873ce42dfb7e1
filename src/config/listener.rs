//! `[eventlistener:x]` (C-100 to C-104, C-412).

use std::sync::Arc;

use super::groups::each_process_once;
use super::options::{OptionDef, option};
use super::program;
use super::reader::Scope;
use super::{py, values};
use crate::model::event_type::EventType;
use crate::model::spec::{EventLength, GroupSpec, ListenerPool, ProcessKind};

/// The result handler that is built in.
pub const DEFAULT_HANDLER: &str = "supervisor.dispatchers:default_handler";

/// Reads an event listener pool.
pub(crate) fn read(scope: Scope<'_>, global: &[(String, String)]) -> Arc<GroupSpec> {
    const BUFFER: &OptionDef = option!(EventListener, "buffer_size");
    const REDIRECT: &OptionDef = option!(EventListener, "redirect_stderr");
    let section = &scope.section.name;
    let name = py::strip(section.split_once(':').map_or("", |(_, title)| title));
    let priority = priority(&scope);
    let buffer_size = scope.read(BUFFER, values::integer).unwrap_or(1);
    if buffer_size < 1 {
        scope
            .wrong(BUFFER, format!("[{section}] section sets invalid buffer_size ({buffer_size})"));
    }
    let result_handler = result_handler(&scope);
    let events = events(&scope);
    let event_length = scope
        .read(option!(EventListener, "event_length"), values::event_length)
        .unwrap_or(EventLength::Characters);
    // Read here with the names of a group, as upstream does (C-040).
    let redirected = scope
        .text_with(REDIRECT, super::options::NameSet::HERE)
        .map(|text| values::boolean(&text).map_err(|message| scope.wrong(REDIRECT, message)));
    if redirected == Some(Ok(true)) {
        scope.wrong(
            REDIRECT,
            format!(
                "[{section}] section sets redirect_stderr=true but this is not allowed because it \
                 will interfere with the eventlistener protocol"
            ),
        );
    }
    let processes = program::processes(scope, name, &ProcessKind::EventListener, global);
    Arc::new(GroupSpec {
        name: Arc::from(name),
        priority,
        listener: Some(ListenerPool { buffer_size, events, event_length, result_handler }),
        processes: each_process_once(scope.reader, processes),
    })
}

/// A pool starts before other groups when nothing is set; its processes keep the usual default
/// among themselves (C-100).
fn priority(scope: &Scope<'_>) -> i64 {
    const PRIORITY: &OptionDef = option!(EventListener, "priority");
    if scope.given(PRIORITY).is_none() {
        return -1;
    }
    let text = scope.text_with(PRIORITY, super::options::NameSet::HERE).unwrap_or_default();
    values::integer(&text).map_err(|message| scope.wrong(PRIORITY, message)).unwrap_or_default()
}

/// Python handlers cannot be loaded (C-102).
fn result_handler(scope: &Scope<'_>) -> String {
    const HANDLER: &OptionDef = option!(EventListener, "result_handler");
    let handler = scope.text(HANDLER).unwrap_or_default();
    if handler != DEFAULT_HANDLER {
        scope.wrong(
            HANDLER,
            format!(
                "{handler} cannot be resolved within [{}]: Python result handlers cannot be \
                 loaded; remove result_handler to use {DEFAULT_HANDLER}, and let the listener \
                 answer RESULT 2\\nOK or RESULT 4\\nFAIL",
                scope.section.name
            ),
        );
    }
    DEFAULT_HANDLER.to_owned()
}

/// The types to receive, each once, in the order given.
fn events(scope: &Scope<'_>) -> Vec<EventType> {
    const EVENTS: &OptionDef = option!(EventListener, "events");
    let section = &scope.section.name;
    let text = if scope.given(EVENTS).is_some() { scope.text(EVENTS) } else { Some(String::new()) };
    // What cannot be expanded is reported already.
    let Some(text) = text else { return Vec::new() };
    let mut events = Vec::new();
    for name in values::list(&text).iter().map(|name| name.to_uppercase()) {
        match EventType::parse(&name) {
            None => scope.wrong(EVENTS, format!("Unknown event type {name} in [{section}] events")),
            Some(event) if events.contains(&event) => {}
            Some(event) => events.push(event),
        }
    }
    if text.is_empty() {
        scope.wrong(EVENTS, format!("[{section}] section requires an \"events\" line"));
    }
    events
}

#[cfg(test)]
mod tests {
    use super::super::testing::{errors, load_text};
    use super::*;

    fn text(options: &str) -> String {
        format!("[eventlistener:l]\ncommand=x\n{options}\n")
    }

    fn pool(options: &str) -> GroupSpec {
        (*load_text(&text(options)).unwrap().groups[0]).clone()
    }

    fn error(options: &str) -> String {
        let all = errors(&text(options));
        all.split(" (section ").next().unwrap().to_owned()
    }

    #[test]
    fn pools_start_first_and_know_their_events() {
        // C-100, C-101, C-102, C-104, C-412
        let first = pool("events=tick_5, EVENT,TICK_5\nstdout_capture_maxbytes=1MB");
        assert_eq!((first.priority, first.processes[0].priority), (-1, 999));
        assert_eq!(first.processes[0].kind, ProcessKind::EventListener);
        assert_eq!(
            first.listener.unwrap(),
            ListenerPool {
                buffer_size: 1000,
                events: vec![EventType::Tick5, EventType::Event],
                event_length: EventLength::Characters,
                result_handler: DEFAULT_HANDLER.to_owned(),
            }
        );
        let in_bytes = pool("events=EVENT\nevent_length=Bytes").listener.unwrap();
        assert_eq!(in_bytes.event_length, EventLength::Bytes);
        let with_priority = pool("events=EVENT\npriority=3");
        assert_eq!((with_priority.priority, with_priority.processes[0].priority), (3, 3));
    }

    #[test]
    fn what_a_pool_cannot_be_is_told() {
        // C-020, C-101, C-102, C-103
        for (options, message) in [
            ("", "[eventlistener:l] section requires an \"events\" line"),
            ("events=", "[eventlistener:l] section requires an \"events\" line"),
            ("events=X,EVENT", "Unknown event type X in [eventlistener:l] events"),
            ("events=EVENT,", "Unknown event type  in [eventlistener:l] events"),
            (
                "events=EVENT\nbuffer_size=0",
                "[eventlistener:l] section sets invalid buffer_size (0)",
            ),
            (
                "events=EVENT\nevent_length=octets",
                "invalid event_length 'octets', it is characters or bytes",
            ),
            (
                "events=EVENT\nredirect_stderr=true",
                "[eventlistener:l] section sets redirect_stderr=true but this is not allowed \
                 because it will interfere with the eventlistener protocol",
            ),
        ] {
            assert_eq!(error(options), message);
        }
        let handler = error("events=EVENT\nresult_handler=my:handler");
        assert!(handler.starts_with("my:handler cannot be resolved within [eventlistener:l]: "));
        assert!(handler.contains("remove result_handler"));
    }
}
