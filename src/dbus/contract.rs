//! The contract file, read once: what objects have, and what a call of each method needs.
//!
//! The file is ours and compiled in, so its reader knows just the XML that it uses: elements with
//! double-quoted attributes, and comments. A test holds that it reads the whole file.

use std::collections::BTreeMap;
use std::sync::LazyLock;

/// The contract file.
pub const XML: &str = include_str!("../../dbus/org.supervisord.Supervisor1.xml");

const ACTION: &str = "org.supervisord.Supervisor1.Action";
const EMITS_CHANGED: &str = "org.freedesktop.DBus.Property.EmitsChangedSignal";

static CONTRACT: LazyLock<Contract> = LazyLock::new(|| read(XML));

/// The contract.
#[must_use]
pub fn contract() -> &'static Contract {
    &CONTRACT
}

/// All interfaces, by name.
#[derive(Debug, Default)]
pub struct Contract {
    interfaces: BTreeMap<&'static str, Interface>,
}

impl Contract {
    /// The interface of this name.
    #[must_use]
    pub fn interface(&self, name: &str) -> Option<&Interface> {
        self.interfaces.get(name)
    }
}

/// One interface.
#[derive(Debug, Default)]
pub struct Interface {
    /// Its part of the file, without comments: what introspection answers.
    pub xml: String,
    /// Its methods, by name.
    pub methods: BTreeMap<&'static str, Method>,
    /// Its properties, by name.
    pub properties: BTreeMap<&'static str, Property>,
    /// The signatures of its signals, by name.
    pub signals: BTreeMap<&'static str, String>,
}

/// One method.
#[derive(Debug, Default)]
pub struct Method {
    /// The polkit actions that a call needs, all of them, without their prefix. A method without
    /// one is refused.
    pub actions: Vec<&'static str>,
    /// The names of what goes in.
    pub names: Vec<&'static str>,
    /// The types of what goes in, one after the other.
    pub input: String,
    /// The types of what comes out.
    pub output: String,
}

/// One property.
#[derive(Debug)]
pub struct Property {
    /// Its type.
    pub signature: &'static str,
    /// Whether a change of it is told.
    pub emits_changed: bool,
}

/// An element's tag.
struct Tag {
    name: &'static str,
    attributes: BTreeMap<&'static str, &'static str>,
    closes: bool,
    /// Where it begins and ends in the file.
    span: (usize, usize),
}

impl Tag {
    fn get(&self, attribute: &str) -> &'static str {
        self.attributes.get(attribute).copied().unwrap_or_default()
    }
}

enum Member {
    None,
    Method(&'static str),
    Property(&'static str),
    Signal(&'static str),
}

pub(super) fn read(xml: &'static str) -> Contract {
    let mut contract = Contract::default();
    let mut name = "";
    let mut start = 0;
    let mut member = Member::None;
    for tag in tags(xml) {
        let interface = contract.interfaces.entry(name).or_default();
        match (tag.name, &member) {
            ("interface", _) if tag.closes => {
                interface.xml = without_comments(&xml[start..tag.span.1]);
            }
            ("interface", _) => (name, start) = (tag.get("name"), tag.span.0),
            ("method", _) if !tag.closes => {
                interface.methods.insert(tag.get("name"), Method::default());
                member = Member::Method(tag.get("name"));
            }
            ("property", _) if !tag.closes => {
                let property = Property { signature: tag.get("type"), emits_changed: true };
                interface.properties.insert(tag.get("name"), property);
                member = Member::Property(tag.get("name"));
            }
            ("signal", _) if !tag.closes => {
                interface.signals.insert(tag.get("name"), String::new());
                member = Member::Signal(tag.get("name"));
            }
            ("arg", Member::Method(method)) => {
                let method = interface.methods.entry(method).or_default();
                let out = tag.get("direction") == "out";
                if !out {
                    method.names.push(tag.get("name"));
                }
                let types = if out { &mut method.output } else { &mut method.input };
                types.push_str(tag.get("type"));
            }
            ("arg", Member::Signal(signal)) => {
                interface.signals.entry(signal).or_default().push_str(tag.get("type"));
            }
            ("annotation", Member::Method(method)) if tag.get("name") == ACTION => {
                interface.methods.entry(method).or_default().actions =
                    tag.get("value").split(' ').collect();
            }
            ("annotation", Member::Property(property)) if tag.get("name") == EMITS_CHANGED => {
                if let Some(property) = interface.properties.get_mut(property) {
                    property.emits_changed = !matches!(tag.get("value"), "false" | "const");
                }
            }
            _ => {}
        }
    }
    contract.interfaces.remove("");
    contract
}

/// All tags of elements, in order.
fn tags(xml: &'static str) -> Vec<Tag> {
    let mut tags = Vec::new();
    let mut at = 0;
    while let Some(open) = xml[at..].find('<').map(|found| at + found) {
        let rest = &xml[open..];
        if rest.starts_with("<!--") {
            at = rest.find("-->").map_or(xml.len(), |end| open + end + 3);
            continue;
        }
        let end = rest.find('>').map_or(xml.len(), |end| open + end + 1);
        at = end;
        if rest.starts_with("<!") || rest.starts_with("<?") {
            continue;
        }
        let text = xml[open..end].trim_start_matches('<').trim_end_matches(['/', '>']);
        let closes = text.starts_with('/');
        let text = text.trim_start_matches('/');
        let (name, attributes) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        tags.push(Tag { name, attributes: pairs(attributes), closes, span: (open, end) });
    }
    tags
}

/// `key="value"` pairs.
fn pairs(text: &'static str) -> BTreeMap<&'static str, &'static str> {
    let mut parts = text.split('"');
    let mut pairs = BTreeMap::new();
    while let (Some(key), Some(value)) = (parts.next(), parts.next()) {
        pairs.insert(key.trim().trim_end_matches('=').trim(), value);
    }
    pairs
}

fn without_comments(xml: &str) -> String {
    let mut text = String::with_capacity(xml.len());
    let mut rest = xml;
    while let Some((before, comment)) = rest.split_once("<!--") {
        text.push_str(before.trim_end());
        rest = comment.split_once("-->").map_or("", |(_, after)| after);
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::super::types::{GROUP, MANAGER, PROCESS};
    use super::*;
    use crate::model::fault::FaultKind;

    #[test]
    fn the_whole_file_is_read() {
        let contract = contract();
        assert_eq!(
            contract.interfaces.keys().copied().collect::<Vec<_>>(),
            [GROUP, MANAGER, PROCESS]
        );
        let count = |element: &str| XML.matches(&format!("<{element} ")).count();
        let sum = |of: fn(&Interface) -> usize| contract.interfaces.values().map(of).sum::<usize>();
        assert_eq!(sum(|i| i.methods.len()), count("method"));
        assert_eq!(sum(|i| i.properties.len()), count("property"));
        assert_eq!(sum(|i| i.signals.len()), count("signal"));

        let method = &contract.interface(MANAGER).unwrap().methods["TailProcessLog"];
        assert_eq!(method.actions, ["read-logs"]);
        assert_eq!((method.input.as_str(), method.output.as_str()), ("ssxx", "ayxb"));
        let process = contract.interface(PROCESS).unwrap();
        // C-446: 64 bits.
        assert_eq!(process.properties["StartTime"].signature, "t");
        assert!(process.properties["State"].emits_changed);
        assert!(!process.properties["Description"].emits_changed);
        let signal = &contract.interface(MANAGER).unwrap().signals["ProcessStateChanged"];
        assert_eq!(signal, "ssssuo");
    }

    #[test]
    fn every_method_says_which_action_it_needs() {
        let known =
            ["inspect", "read-logs", "manage-processes", "manage-configuration", "shutdown"];
        for (name, interface) in &contract().interfaces {
            for (method, needs) in &interface.methods {
                let is_known = |action: &&str| known.contains(action);
                assert!(!needs.actions.is_empty(), "{name}.{method}");
                assert!(needs.actions.iter().all(is_known), "{name}.{method}");
            }
        }
    }

    /// The comment that ends just before this.
    fn comment_before(end: usize) -> Option<&'static str> {
        let before = XML[..end].trim_end().strip_suffix("-->")?;
        Some(&before[before.rfind("<!--")?..])
    }

    #[test]
    fn everything_is_explained() {
        for kind in ["interface", "method", "property", "signal"] {
            for (at, _) in XML.match_indices(&format!("<{kind} name=")) {
                let name = XML[at..].lines().next().unwrap_or_default();
                let comment = comment_before(at).unwrap_or_else(|| panic!("no comment at {name}"));
                if kind != "method" && kind != "signal" {
                    continue;
                }
                let body = &XML[at..at + XML[at..].find(&format!("</{kind}>")).unwrap()];
                let args =
                    body.split("<arg name=\"").skip(1).filter_map(|arg| arg.split('"').next());
                let told = comment.matches("\n         @").count();
                assert_eq!(args.clone().count(), told, "{name}");
                for arg in args {
                    assert!(comment.contains(&format!("@{arg}: ")), "@{arg} at {name}");
                }
            }
        }
    }

    #[test]
    fn the_errors_that_are_named_are_faults_and_every_fault_can_come() {
        let named: std::collections::BTreeSet<&str> = XML
            .match_indices("Errors: ")
            .map(|(at, found)| &XML[at + found.len()..])
            .filter_map(|rest| rest.split_once('.'))
            .flat_map(|(list, _)| list.split(',').map(str::trim))
            .collect();
        let known = FaultKind::ALL.iter().map(|kind| kind.bus_name());
        let known: std::collections::BTreeSet<&str> = known.collect();
        assert!(named.is_subset(&known), "{:?}", named.difference(&known));
        // These are of XML-RPC alone, or told of everything in one place.
        let elsewhere = [
            "IncorrectParameters",
            "ShutdownState",
            "SignatureUnsupported",
            "Success",
            "UnknownMethod",
        ];
        assert!(known.difference(&named).eq(&elsewhere), "{:?}", known.difference(&named));
    }

    #[test]
    fn introspection_has_no_comments_and_every_member() {
        for interface in contract().interfaces.values() {
            assert!(!interface.xml.contains("<!--"));
            assert!(interface.xml.starts_with("<interface "));
            assert!(interface.xml.ends_with("</interface>"));
            for method in interface.methods.keys() {
                assert!(interface.xml.contains(&format!("<method name=\"{method}\"")));
            }
        }
    }
}
