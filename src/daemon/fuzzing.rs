//! What the fuzz targets (`fuzz/`) call, and the tests with their kept inputs: the readings of what
//! administrators write and of what another program leaves, with what has to hold of them.

mod life;
mod machine;

use std::borrow::Cow;

use super::upgrade;
use crate::config::expand::{Arg, Names, expand, expand_doubled};
use crate::config::{self, Overrides};
use crate::core::action::Input;
use crate::core::supervisor::{Identity, Serials, Supervisor};
use life::Life;
use machine::Machine;

/// What of a configuration is looked at: one value may be as long as this for each two bytes.
const LONGEST: usize = 4096;
/// Expansions times sections that are looked at: each of them may make a long value.
const MOST: usize = 256;

/// Reads a configuration, and lets a daemon start with it. Parts between lines that are a `\0`
/// are files: the main one, and those that may be included as `d/1`, `d/2` and so on.
///
/// # Panics
/// Something does not hold that has to.
pub fn configuration(bytes: &[u8]) {
    if bytes.len() > LONGEST || parts(bytes, b'%') * parts(bytes, b'[') > MOST {
        return;
    }
    let machine = Machine::with(bytes);
    let overrides =
        Overrides { config_file: Some(machine::MAIN.to_owned()), ..Overrides::default() };
    let read = config::load(&overrides, &machine);
    assert!(read == config::load(&overrides, &machine), "it is read differently again");
    let Ok(settings) = read else { return };
    let written = serde_json::to_vec(&settings).expect("it can be written");
    let again = serde_json::from_slice(&written).expect("what was written can be read");
    assert!(settings == again, "something was lost when it was written");
    let identity = Identity {
        identifier: settings.daemon.identifier,
        childlogdir: settings.daemon.childlogdir,
        seed: 1,
        serials: Serials::default(),
    };
    let mut life = Life::of(Supervisor::new(identity, settings.groups));
    life.give(Input::Boot);
    life.run();
}

/// How many parts there are between bytes like this.
fn parts(bytes: &[u8], between: u8) -> usize {
    bytes.split(|byte| *byte == between).count()
}

/// The names that a template of the fuzz target may use: each is a letter, and stands for a line.
struct Lines<'a>(Vec<&'a str>);

impl Names for Lines<'_> {
    fn get(&self, name: &str) -> Option<Arg<'_>> {
        let [letter] = *name.as_bytes() else { return None };
        let text = *self.0.get(usize::from(letter.checked_sub(b'a')?))?;
        Some(text.parse().map_or(Arg::Text(Cow::Borrowed(text)), Arg::Int))
    }

    fn available(&self) -> Vec<String> {
        ('a'..='z').take(self.0.len()).map(String::from).collect()
    }
}

/// Expands the first line, with the others as what the names `a`, `b` and so on stand for.
///
/// # Panics
/// Something does not hold that has to.
pub fn expansions(bytes: &[u8]) {
    if bytes.len() > LONGEST || parts(bytes, b'%') > MOST {
        return;
    }
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.split('\n');
    let template = lines.next().unwrap_or_default();
    let names = Lines(lines.collect());
    let doubled = template.replace('%', "%%");
    assert_eq!(expand(&doubled, &names).as_deref(), Ok(template), "what is doubled means itself");
    let expanded = expand(template, &names);
    match &expanded {
        Ok(expanded) => assert!(template.contains('%') || expanded == template),
        Err(error) => {
            assert!(error.message(template, "command", &names).contains("'command'"));
        }
    }
    let twice = expand_doubled(template, &names, &names);
    assert_eq!(expanded.is_ok(), twice.is_ok(), "the first pass decides");
    let inserted = names.available().into_iter().find(|name| template == format!("%({name})s"));
    if let Some(name) = inserted {
        let value = match names.get(&name) {
            Some(Arg::Text(text)) => text.into_owned(),
            Some(Arg::Int(number)) => number.to_string(),
            None => unreachable!("it is available"),
        };
        assert_eq!(expanded.as_ref(), Ok(&value), "what is inserted is left as it is");
        assert_eq!(twice, Ok(value), "and by the second pass too");
    }
}

/// Reads the state of another program, as an upgrade does. A state that is accepted is written
/// again, and goes on: programs end, clients ask, time passes.
///
/// # Panics
/// Something does not hold that has to.
pub fn handover(bytes: &[u8]) {
    let Ok((head, state)) = upgrade::parse(bytes) else { return };
    let written = upgrade::written(&head, &state).expect("it can be written");
    let (head, state) = upgrade::parse(&written).expect("what was accepted is accepted again");
    let again = upgrade::written(&head, &state).expect("it can be written");
    assert!(of_the_same(&written, &again), "something was lost when it was written");
    let (supervisor, logs) = state.engine.apart();
    logs.try_out(b"\x1b[1mout<!--XSUPERVISOR:BEGIN-->put\n<!--XSUPERVISOR:END-->\xff");
    Life::of(supervisor.restored()).run();
}

/// The same but for the order of what has none.
fn of_the_same(one: &[u8], other: &[u8]) -> bool {
    let state = |bytes: &[u8]| {
        let at = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(0);
        serde_json::from_slice::<serde_json::Value>(&bytes[at..]).ok()
    };
    state(one) == state(other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::testing::feed;

    #[test]
    fn kept_configurations_upset_nobody() {
        feed("configuration", configuration);
    }

    #[test]
    fn kept_templates_upset_nobody() {
        feed("expansions", expansions);
    }

    #[test]
    fn kept_states_upset_nobody() {
        feed("handover", handover);
    }
}
