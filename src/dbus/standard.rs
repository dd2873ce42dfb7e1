//! The interfaces that every D-Bus object has: introspection, properties, peer, object manager.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write;
use std::sync::{Arc, LazyLock};

use zbus::{OwnedObjectPath, Variant};

use super::call::{Answer, Call};
use super::contract::{Contract, Property, contract, read};
use super::error::Failure;
use super::path::{Node, Object, escape};
use super::process::is_measured;
use super::types::{GROUP, MANAGER, PROCESS};
use super::{group, manager, path, process};
use crate::api::{Api, Usage};
use crate::model::snapshot::{GroupSnapshot, ProcessSnapshot, Snapshot};

/// `org.freedesktop.DBus.Peer`.
pub(super) const PEER: &str = "org.freedesktop.DBus.Peer";
/// `org.freedesktop.DBus.Introspectable`.
pub(super) const INTROSPECTABLE: &str = "org.freedesktop.DBus.Introspectable";
/// `org.freedesktop.DBus.Properties`.
pub(super) const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
/// `org.freedesktop.DBus.ObjectManager`.
pub(super) const OBJECT_MANAGER: &str = "org.freedesktop.DBus.ObjectManager";

const XML: &str = r#"<node>
  <interface name="org.freedesktop.DBus.Peer">
    <method name="Ping"/>
    <method name="GetMachineId">
      <arg name="machine_uuid" type="s" direction="out"/>
    </method>
  </interface>
  <interface name="org.freedesktop.DBus.Introspectable">
    <method name="Introspect">
      <arg name="xml_data" type="s" direction="out"/>
    </method>
  </interface>
  <interface name="org.freedesktop.DBus.Properties">
    <method name="Get">
      <arg name="interface_name" type="s" direction="in"/>
      <arg name="property_name" type="s" direction="in"/>
      <arg name="value" type="v" direction="out"/>
    </method>
    <method name="GetAll">
      <arg name="interface_name" type="s" direction="in"/>
      <arg name="props" type="a{sv}" direction="out"/>
    </method>
    <method name="Set">
      <arg name="interface_name" type="s" direction="in"/>
      <arg name="property_name" type="s" direction="in"/>
      <arg name="value" type="v" direction="in"/>
    </method>
    <signal name="PropertiesChanged">
      <arg name="interface_name" type="s"/>
      <arg name="changed_properties" type="a{sv}"/>
      <arg name="invalidated_properties" type="as"/>
    </signal>
  </interface>
  <interface name="org.freedesktop.DBus.ObjectManager">
    <method name="GetManagedObjects">
      <arg name="objects" type="a{oa{sa{sv}}}" direction="out"/>
    </method>
    <signal name="InterfacesAdded">
      <arg name="object" type="o"/>
      <arg name="interfaces" type="a{sa{sv}}"/>
    </signal>
    <signal name="InterfacesRemoved">
      <arg name="object" type="o"/>
      <arg name="interfaces" type="as"/>
    </signal>
  </interface>
</node>"#;

static STANDARD: LazyLock<Contract> = LazyLock::new(|| read(XML));

/// The standard interfaces.
pub(super) fn standard() -> &'static Contract {
    &STANDARD
}

/// The names of the interfaces that an object has, our own first.
pub(super) fn interfaces(object: &Object) -> &'static [&'static str] {
    match object {
        Object::Manager => &[MANAGER, PEER, INTROSPECTABLE, PROPERTIES, OBJECT_MANAGER],
        Object::Group(_) => &[GROUP, PEER, INTROSPECTABLE, PROPERTIES],
        Object::Process(_) => &[PROCESS, PEER, INTROSPECTABLE, PROPERTIES],
        Object::Above(_) => &[PEER, INTROSPECTABLE],
    }
}

/// An object that is there.
#[derive(Debug)]
pub(super) enum Found {
    Manager,
    Group(Arc<GroupSnapshot>),
    Process(Arc<ProcessSnapshot>),
    Above,
}

/// Looks an object up.
pub(super) fn find(object: &Object, snapshot: &Snapshot) -> Option<Found> {
    match object {
        Object::Manager => Some(Found::Manager),
        Object::Group(name) => snapshot.groups.get(name).cloned().map(Found::Group),
        Object::Process(name) => snapshot.processes.get(name).cloned().map(Found::Process),
        Object::Above(Node::ProcessesOf(group)) => {
            snapshot.members(group).next().map(|_| Found::Above)
        }
        Object::Above(_) => Some(Found::Above),
    }
}

pub(super) async fn call(
    api: &Api,
    object: &Object,
    found: &Found,
    interface: &str,
    member: &str,
    call: &Call<'_>,
) -> Answer {
    match (interface, member) {
        (PEER, "Ping") => call.done(),
        (PEER, "GetMachineId") => call.reply(&machine_id().await?),
        (INTROSPECTABLE, "Introspect") => call.reply(&introspect(object, &api.snapshot())),
        (PROPERTIES, "Get") => {
            let (of, name): (String, String) = call.args()?;
            known_interface(object, &of)?;
            let usage = if is_measured(&name) { usage(api, found).await } else { None };
            let value = Some(&of)
                .filter(|of| is_own(of))
                .and_then(|_| property(api, &api.snapshot(), found, usage.as_ref(), &name))
                .ok_or_else(|| Failure::unknown_property(&name))?;
            call.reply(&(value,))
        }
        (PROPERTIES, "GetAll") => {
            let of: String = call.args()?;
            if of.is_empty() || is_own(known_interface(object, &of)?) {
                let usage = usage(api, found).await;
                call.reply(&properties(api, &api.snapshot(), found, usage.as_ref(), |_| true))
            } else {
                call.reply(&Properties::new())
            }
        }
        (PROPERTIES, "Set") => {
            let (of, name, _): (String, String, zbus::OwnedVariant) = call.args()?;
            known_interface(object, &of)?;
            match contract().interface(&of).and_then(|own| own.properties.get(name.as_str())) {
                Some(_) => Err(Failure::read_only(&name)),
                None => Err(Failure::unknown_property(&name)),
            }
        }
        (OBJECT_MANAGER, "GetManagedObjects") => call.reply(&managed_objects(api).await),
        _ => Err(Failure::unknown_method(member)),
    }
}

fn is_own(interface: &str) -> bool {
    contract().interface(interface).is_some()
}

fn known_interface<'i>(object: &Object, interface: &'i str) -> Result<&'i str, Failure> {
    if interfaces(object).contains(&interface) {
        Ok(interface)
    } else {
        Err(Failure::unknown_interface(interface))
    }
}

/// Properties by name: `a{sv}`.
pub(super) type Properties = BTreeMap<&'static str, Variant<'static>>;

/// Interfaces of an object, with their properties: `a{sa{sv}}`.
pub(super) type Interfaces = BTreeMap<&'static str, Properties>;

/// What a process uses, for the properties that tell it.
async fn usage(api: &Api, found: &Found) -> Option<Usage> {
    match found {
        Found::Process(process) => api.usage(vec![process.clone()]).await.pop(),
        _ => None,
    }
}

fn property(
    api: &Api,
    snapshot: &Snapshot,
    found: &Found,
    usage: Option<&Usage>,
    name: &str,
) -> Option<Variant<'static>> {
    match found {
        Found::Manager => manager::property(api, name),
        Found::Group(group) => group::property(snapshot, group, name),
        Found::Process(process) => process::property(process, api.now(), usage, name),
        Found::Above => None,
    }
}

/// Those properties of an object's own interface that are wanted; those that have to be measured
/// only with what was measured.
pub(super) fn properties(
    api: &Api,
    snapshot: &Snapshot,
    found: &Found,
    usage: Option<&Usage>,
    wanted: impl Fn(&Property) -> bool,
) -> Properties {
    let Some(own) = own_interface(found).and_then(|name| contract().interface(name)) else {
        return Properties::new();
    };
    own.properties
        .iter()
        .filter(|(_, property)| wanted(property))
        .filter_map(|(name, _)| Some((*name, property(api, snapshot, found, usage, name)?)))
        .collect()
}

fn own_interface(found: &Found) -> Option<&'static str> {
    match found {
        Found::Manager => Some(MANAGER),
        Found::Group(_) => Some(GROUP),
        Found::Process(_) => Some(PROCESS),
        Found::Above => None,
    }
}

async fn managed_objects(api: &Api) -> HashMap<OwnedObjectPath, Interfaces> {
    let snapshot = api.snapshot();
    let usage = api.usage(snapshot.processes.values().cloned().collect()).await;
    let groups = snapshot.groups.values().map(|group| {
        let properties = properties(api, &snapshot, &Found::Group(group.clone()), None, |_| true);
        (path::group(&group.spec.name), Interfaces::from([(GROUP, properties)]))
    });
    let processes = snapshot.processes.iter().zip(&usage).map(|((name, process), usage)| {
        let found = Found::Process(process.clone());
        let properties = properties(api, &snapshot, &found, Some(usage), |_| true);
        (path::process(name), Interfaces::from([(PROCESS, properties)]))
    });
    groups.chain(processes).collect()
}

fn introspect(object: &Object, snapshot: &Snapshot) -> String {
    let mut xml = String::from(concat!(
        "<!DOCTYPE node PUBLIC \"-//freedesktop//DTD D-BUS Object Introspection 1.0//EN\"\n",
        " \"http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd\">\n<node>\n",
    ));
    for name in interfaces(object) {
        let interface = contract().interface(name).or_else(|| standard().interface(name));
        for part in interface.iter().map(|interface| interface.xml.as_str()) {
            xml.push_str("  ");
            xml.push_str(part);
            xml.push('\n');
        }
    }
    for child in children(object, snapshot) {
        // Escaped names need no escaping in XML.
        let _ = writeln!(xml, "  <node name=\"{child}\"/>");
    }
    xml.push_str("</node>\n");
    xml
}

/// The names of the nodes below.
fn children(object: &Object, snapshot: &Snapshot) -> Vec<String> {
    match object {
        Object::Manager => vec!["group".to_owned(), "process".to_owned()],
        Object::Group(_) | Object::Process(_) => Vec::new(),
        Object::Above(Node::Root(next)) => vec![(*next).to_owned()],
        Object::Above(Node::Groups) => snapshot.groups.keys().map(|name| escape(name)).collect(),
        Object::Above(Node::Processes) => {
            let groups: BTreeSet<_> = snapshot.processes.keys().map(|name| &name.group).collect();
            groups.into_iter().map(|group| escape(group)).collect()
        }
        Object::Above(Node::ProcessesOf(group)) => {
            snapshot.members(group).map(|process| escape(&process.spec.name.process)).collect()
        }
    }
}

async fn machine_id() -> Result<String, Failure> {
    let look = || {
        ["/etc/machine-id", "/var/lib/dbus/machine-id"]
            .iter()
            .find_map(|path| std::fs::read_to_string(path).ok())
    };
    let found = tokio::task::spawn_blocking(look).await;
    found
        .ok()
        .flatten()
        .map(|id| id.trim().to_owned())
        .ok_or_else(|| Failure::failed("This machine has no machine id."))
}
