//! The system bus, by busctl: what is there, what it is, calls and signals.

use super::machine::Machine;
use super::rootfs::Suite;
use super::{PROGRAMS, installed};

super::on_each_suite!(
    busctl_shows_and_calls_everything,
    introspection_is_the_contract,
    the_name_comes_back_with_the_bus,
    a_call_starts_the_service_where_it_is_enabled,
);

const NAME: &str = "org.supervisord.Supervisor1";
const ROOT: &str = "/org/supervisord/Supervisor1";

fn with_programs(suite: Suite) -> Machine {
    let machine = installed(suite);
    machine.write("/etc/supervisor/conf.d/shop.conf", PROGRAMS);
    machine.ok("systemctl reload supervisor");
    machine.until("supervisorctl status && ! supervisorctl status | grep -v RUNNING");
    machine
}

fn busctl_shows_and_calls_everything(suite: Suite) {
    let machine = with_programs(suite);
    let tree = machine.ok(&format!("busctl --list tree {NAME}"));
    let objects: Vec<&str> =
        tree.lines().filter_map(|line| line.strip_prefix(ROOT)).filter(|o| !o.is_empty()).collect();
    assert_eq!(
        objects,
        [
            "/group",
            "/group/mail",
            "/group/worker",
            "/process",
            "/process/mail",
            "/process/mail/mail",
            "/process/worker",
            "/process/worker/worker_5f0",
            "/process/worker/worker_5f1",
        ]
    );
    println!("{}", machine.ok(&format!("busctl --no-pager tree {NAME}")));

    let mail = format!("{ROOT}/process/mail/mail");
    let members = machine.ok(&format!("busctl --no-pager --full introspect {NAME} {mail}"));
    println!("{members}");
    let pid = machine.ok("supervisorctl pid mail");
    for (name, value) in [("Name", "\"mail\""), ("State", "\"RUNNING\""), ("Pid", pid.as_str())] {
        let line = members.lines().find(|line| line.starts_with(&format!(".{name} ")));
        let words: Vec<&str> = line.expect(name).split_whitespace().collect();
        assert_eq!((words[1], words[3]), ("property", value), "{members}");
    }

    // What is heard while it is restarted by a call to its object and by one to the manager.
    let monitor = machine
        .start(&format!("stdbuf -oL busctl monitor {NAME} 2>&1 & trap 'kill $!' TERM; wait"));
    monitor.expect("Monitoring bus message stream");
    let process = format!("{NAME}.Process");
    machine.ok(&format!("busctl call {NAME} {mail} {process} Stop a{{sv}} 1 wait b true"));
    let state = format!("busctl get-property {NAME} {mail} {process} State");
    assert_eq!(machine.ok(&state), "s \"STOPPED\"");
    machine.ok(&format!(
        "busctl call {NAME} {ROOT} {NAME}.Manager StartProcess sa{{sv}} mail 1 wait b true"
    ));
    assert_eq!(machine.ok(&state), "s \"RUNNING\"");
    for heard in ["ProcessStateChanged", "PropertiesChanged", "\"STOPPED\"", "\"RUNNING\""] {
        monitor.expect(heard);
    }

    // Mistakes have names.
    let wrong = machine.fails(&format!(
        "busctl call {NAME} {ROOT} {NAME}.Manager StartProcess sa{{sv}} nothing 0"
    ));
    assert!(wrong.stderr.contains("nothing"), "{}", wrong.stderr);
    let unknown = machine.fails(&format!(
        "busctl call {NAME} {ROOT} {NAME}.Manager StopProcess sa{{sv}} mail 1 colour s red"
    ));
    assert!(unknown.stderr.contains("colour"), "{}", unknown.stderr);

    // Nobody else can have the name.
    machine.ok("useradd alice");
    let own = "busctl call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus \
               RequestName su org.supervisord.Supervisor1 0";
    assert_ne!(machine.run_as("alice", own).code, 0);
}

/// An interface in introspection data, without comments and blanks that mean nothing.
fn interface(xml: &str, name: &str) -> String {
    let mut text = String::new();
    let mut rest = xml;
    while let Some((before, comment)) = rest.split_once("<!--") {
        text.push_str(before);
        rest = comment.split_once("-->").expect("the end of a comment").1;
    }
    text.push_str(rest);
    let start = text.find(&format!("<interface name=\"{name}\">")).expect("the interface");
    let end = text[start..].find("</interface>").expect("its end");
    text[start..start + end].split_whitespace().collect::<Vec<_>>().join(" ")
}

fn introspection_is_the_contract(suite: Suite) {
    let machine = with_programs(suite);
    let contract = machine.read("/usr/share/dbus-1/interfaces/org.supervisord.Supervisor1.xml");
    for (object, name) in
        [("", "Manager"), ("/group/worker", "Group"), ("/process/worker/worker_5f0", "Process")]
    {
        let live = machine.ok(&format!("busctl introspect --xml-interface {NAME} {ROOT}{object}"));
        let name = format!("{NAME}.{name}");
        assert_eq!(interface(&live, &name), interface(&contract, &name));
    }
}

fn the_name_comes_back_with_the_bus(suite: Suite) {
    let machine = with_programs(suite);
    let pids = machine.ok("pgrep -x 'sleep|supervisord'");
    machine.ok("systemctl restart dbus");
    machine.until(&format!("busctl --no-pager status {NAME}"));
    assert_eq!(machine.ok("supervisorctl -s dbus:system status | grep -c RUNNING"), "3");
    assert_eq!(machine.ok("pgrep -x 'sleep|supervisord'"), pids);
    assert_eq!(machine.ok("systemctl show supervisor --value -p NRestarts"), "0");
}

fn a_call_starts_the_service_where_it_is_enabled(suite: Suite) {
    let machine = installed(suite);
    let ping = format!("busctl call {NAME} {ROOT} org.freedesktop.DBus.Peer Ping");
    machine.ok("systemctl stop supervisor");
    machine.ok(&ping);
    machine.until("systemctl is-active supervisor");
    machine.ok("systemctl disable --now supervisor");
    machine.fails(&ping);
    assert_eq!(machine.fails("systemctl is-active supervisor").stdout, "inactive\n");
}
