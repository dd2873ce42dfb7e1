//! Shows events as listeners get them, to prove that an event holds what its payload needs.

use crate::model::event::Event;
use crate::model::state::ProcessState;

/// The type and the payload of an event (C-358 to C-361); other events as they are.
pub fn payload(event: &Event) -> String {
    let Event::ProcessState { name, from, to, pid, tries, expected, .. } = event else {
        return format!("{event:?}");
    };
    let extra = match to {
        ProcessState::Starting | ProcessState::Backoff => format!(" tries:{tries}"),
        ProcessState::Running | ProcessState::Stopping | ProcessState::Stopped => {
            format!(" pid:{pid}")
        }
        ProcessState::Exited => format!(" expected:{} pid:{pid}", i32::from(*expected)),
        ProcessState::Fatal | ProcessState::Unknown => String::new(),
    };
    format!(
        "PROCESS_STATE_{to} processname:{} groupname:{} from_state:{from}{extra}",
        name.process, name.group
    )
}
