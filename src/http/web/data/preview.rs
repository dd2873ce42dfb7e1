//! What reading the configuration again and applying it would change, without doing either.

use std::sync::Arc;

use serde::Serialize;

use crate::api::{Api, MAX_NAME};
use crate::config::diff;
use crate::config::shown::{self, Changed};
use crate::model::fault::Fault;
use crate::model::spec::{GroupSpec, ProcessSpec};

/// How many groups are told of, and how many kinds of changes in a group.
const MOST: usize = 200;
/// How many processes of one change are named.
const NAMED: usize = 20;

/// What an update would do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Preview {
    /// Groups that are new, by name.
    pub added: Vec<Group>,
    /// Groups that are configured differently, by name.
    pub changed: Vec<Difference>,
    /// Groups that are gone, by name.
    pub removed: Vec<Group>,
    /// How many groups more would change than are told.
    #[serde(skip_serializing_if = "is_zero")]
    pub more: usize,
}

/// A group that comes or goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Group {
    /// Its name.
    pub group: Arc<str>,
    /// Its processes.
    pub processes: Names,
}

/// A group that changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Its name.
    pub group: Arc<str>,
    /// The group's own options.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<Line>,
    /// Processes that are new in it.
    #[serde(skip_serializing_if = "Names::is_empty")]
    pub added: Names,
    /// Processes that are configured differently, those together whose change is the same.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<Edit>,
    /// Processes that are gone from it.
    #[serde(skip_serializing_if = "Names::is_empty")]
    pub removed: Names,
}

/// A change that is the same for some processes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Edit {
    /// Which.
    pub processes: Names,
    /// What changes.
    pub options: Vec<Line>,
}

/// An option that changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Which.
    pub option: String,
    /// Its value now; none when it is not set.
    pub old: Option<String>,
    /// Its value then; none when it is not set any more.
    pub new: Option<String>,
}

/// Names of processes: some, and how many more.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Names {
    /// As people write them.
    pub names: Vec<String>,
    /// How many more.
    #[serde(skip_serializing_if = "is_zero")]
    pub more: usize,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl Names {
    fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    fn push(&mut self, process: &ProcessSpec) {
        if self.names.len() < NAMED {
            self.names.push(process.name.to_string());
        } else {
            self.more += 1;
        }
    }

    fn of<'a>(processes: impl IntoIterator<Item = &'a Arc<ProcessSpec>>) -> Self {
        let mut names = Self::default();
        processes.into_iter().for_each(|process| names.push(process));
        names
    }
}

impl From<Changed> for Line {
    fn from(changed: Changed) -> Self {
        let Changed { option, old, new } = changed;
        Self { option, old: old.map(bounded), new: new.map(bounded) }
    }
}

/// Values are as long as somebody wrote them.
fn bounded(value: String) -> String {
    if value.chars().nth(MAX_NAME).is_none() {
        return value;
    }
    value.chars().take(MAX_NAME).chain(['…']).collect()
}

impl Preview {
    /// Reads the configuration, and compares it with what is active. Nothing is changed by it.
    ///
    /// # Errors
    /// SHUTDOWN_STATE; CANT_REREAD with what is wrong in the configuration.
    pub async fn read(api: &Api) -> Result<Self, Fault> {
        let read = api.read_configuration().await?;
        let snapshot = api.snapshot();
        let active: Vec<_> = snapshot.groups.values().map(|group| group.spec.clone()).collect();
        Ok(Self::of(&active, &read))
    }

    /// What changes from these groups to those.
    #[must_use]
    pub fn of(active: &[Arc<GroupSpec>], read: &[Arc<GroupSpec>]) -> Self {
        let mut changes = diff::compare(active, read);
        let find = |groups: &[Arc<GroupSpec>], name: &Arc<str>| {
            groups.iter().find(|group| group.name == *name).cloned()
        };
        let mut room = MOST;
        let mut more = 0;
        let mut cut = |names: &mut Vec<Arc<str>>| {
            names.sort_unstable();
            more += names.len().saturating_sub(room);
            names.truncate(room);
            room -= names.len();
        };
        [&mut changes.removed, &mut changes.changed, &mut changes.added]
            .into_iter()
            .for_each(&mut cut);
        let whole = |groups: &[Arc<GroupSpec>], names: Vec<Arc<str>>| -> Vec<Group> {
            let found = names.iter().filter_map(|name| find(groups, name));
            let group = |group: Arc<GroupSpec>| Group {
                group: Arc::clone(&group.name),
                processes: Names::of(&group.processes),
            };
            found.map(group).collect()
        };
        let both = changes
            .changed
            .iter()
            .filter_map(|name| Some(Difference::of(&*find(active, name)?, &*find(read, name)?)));
        Self {
            changed: both.collect(),
            added: whole(read, changes.added),
            removed: whole(active, changes.removed),
            more,
        }
    }

    /// Whether nothing would change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }
}

impl Difference {
    fn of(old: &GroupSpec, new: &GroupSpec) -> Self {
        let known = |group: &GroupSpec, process: &ProcessSpec| {
            group.processes.iter().find(|other| other.name == process.name).cloned()
        };
        let mut changed: Vec<Edit> = Vec::new();
        for process in &new.processes {
            let Some(before) = known(old, process) else { continue };
            if diff::is_same(&before, process) {
                continue;
            }
            let options: Vec<Line> =
                shown::changes(&before, process).into_iter().map(Line::from).collect();
            if let Some(edit) = changed.iter_mut().find(|edit| edit.options == options) {
                edit.processes.push(process);
            } else if changed.len() < MOST {
                changed.push(Edit { processes: Names::of([process]), options });
            }
        }
        let only = |these: &GroupSpec, those: &GroupSpec| {
            Names::of(these.processes.iter().filter(|process| known(those, process).is_none()))
        };
        Self {
            group: Arc::clone(&new.name),
            options: shown::group_changes(old, new).into_iter().map(Line::from).collect(),
            added: only(new, old),
            changed,
            removed: only(old, new),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{World, group};
    use super::*;
    use crate::config::testing::load_text;
    use crate::model::fault::FaultKind;

    fn preview(active: &str, read: &str) -> Preview {
        Preview::of(&load_text(active).unwrap().groups, &load_text(read).unwrap().groups)
    }

    #[test]
    fn groups_that_come_and_go_are_told_with_their_processes() {
        let program = |name: &str| format!("[program:{name}]\ncommand=x\n");
        let many = "[program:many]\ncommand=x\nnumprocs=30\nprocess_name=%(process_num)02d\n";
        let told = preview(&(program("a") + &program("b")), &(program("b") + many));
        assert_eq!(told.removed[0].processes.names, ["a"]);
        assert!(told.changed.is_empty());
        let Names { names, more } = &told.added[0].processes;
        assert_eq!((names.len(), names[0].as_str(), *more), (NAMED, "many:00", 10));
        assert!(preview(many, many).is_empty());
    }

    #[test]
    fn what_is_the_same_for_many_processes_is_told_once() {
        let text = |count: u32, startsecs: u32, secret: &str| {
            format!(
                "[program:a]\ncommand=x\nnumprocs={count}\nprocess_name=%(process_num)d\n\
                 startsecs={startsecs}\nenvironment=KEY=\"{secret}\"\n"
            )
        };
        let told = preview(&text(3, 1, "old"), &text(2, 5, "new"));
        let json = serde_json::to_string(&told).unwrap();
        assert_eq!(
            json,
            r#"{"added":[],"changed":[{"group":"a","changed":[{"processes":{"names":["a:0","a:1"]},"options":[{"option":"startsecs","old":"1","new":"5"},{"option":"environment KEY","old":"(hidden)","new":"(hidden)"}]}],"removed":{"names":["a:2"]}}],"removed":[]}"#
        );
    }

    #[test]
    fn what_no_update_would_change_is_not_told() {
        // C-391, C-395
        let text = |options: &str| format!("[program:a]\ncommand=x\n{options}");
        assert!(preview(&text("stdout_logfile=/x"), &text("stdout_logfile=AUTO")).is_empty());
        let servers = "[inet_http_server]\nport=1\n".to_owned() + &text("");
        assert!(preview(&text(""), &servers).is_empty());
    }

    #[test]
    fn however_much_changes_what_is_told_is_bounded() {
        let program = |n: usize| format!("[program:p{n:04}]\ncommand=x\n");
        let text = (0..MOST + 5).map(program).collect::<Vec<_>>().concat();
        let told = preview("", &text);
        assert_eq!((told.added.len(), told.more), (MOST, 5));
        let long = format!("[program:a]\ncommand={}\n", "x".repeat(100_000));
        let told = preview("[program:a]\ncommand=x\n", &long);
        let new = told.changed[0].changed[0].options[0].new.clone().unwrap();
        assert_eq!(new.chars().count(), MAX_NAME + 1);
    }

    #[tokio::test]
    async fn a_configuration_is_read_and_nothing_is_done() {
        let world = World::new(Vec::new());
        let refused = Preview::read(&world.api).await.unwrap_err();
        assert_eq!((refused.kind, &*refused.detail), (FaultKind::CantReread, "line 3 is wrong"));
        let read = load_text("[program:new]\ncommand=x\n").unwrap();
        *world.read.lock().unwrap() = Ok(read);
        world.change(|snapshot| {
            snapshot.groups.insert("old".into(), group("[program:old]\ncommand=x\n"));
        });
        let told = Preview::read(&world.api).await.unwrap();
        assert_eq!((&*told.added[0].group, &*told.removed[0].group), ("new", "old"));
    }
}
