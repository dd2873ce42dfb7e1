//! `supervisorctl web` over a system bus.

use std::process::Command;

use crate::authority::Polkitd;
use crate::broker::Broker;
use crate::bus::{World, for_everybody};
use crate::support::daemon::{HEAD, SUPERVISORCTL, command};
use crate::support::http::loopback;
use crate::support::process::{Output, run};
use crate::support::require_root;
use crate::support::scratch::Scratch;

/// The lines of a link, without the secret: what is before it and how many digits it has.
fn links(output: &Output) -> Vec<(String, usize)> {
    let words = output.stdout.split_whitespace().filter(|word| word.contains("/login/"));
    let parts = words.filter_map(|word| word.split_once("/login/"));
    parts.map(|(server, secret)| (server.to_owned(), secret.len())).collect()
}

/// A daemon with two servers where people log in, and what their links begin with.
fn served() -> (World, Vec<(String, usize)>) {
    let (one, two) = (loopback(), loopback());
    let world = World::with(&format!(
        "[inet_http_server]\nport={one}\nauth=login\n\
         [inet_http_server:b]\nport={two}\nauth=login\n\
         [inet_http_server:c]\nport={}\n",
        loopback()
    ));
    (world, [one, two].map(|address| (format!("http://{address}"), 32)).to_vec())
}

/// supervisorctl of an ordinary user.
fn as_nobody(world: &World, programs: &Scratch, args: &[&str]) -> Output {
    let mut ctl: Command = command("setpriv", world.scratch.path());
    ctl.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(for_everybody(programs));
    ctl.arg("--no-ask-password").arg("-c").arg(world.scratch.join("supervisord.conf")).args(args);
    run(ctl.env("DBUS_SYSTEM_BUS_ADDRESS", &world.broker.address))
}

#[test]
fn a_link_for_each_server_with_a_login_is_printed() {
    let (world, expected) = served();
    let acts = world.ctl(&["web"]);
    assert_eq!((acts.code, acts.stderr.as_str()), (0, ""), "{acts:?}");
    assert_eq!(links(&acts), expected, "{acts:?}");
    let looks = world.ctl(&["web", "--read-only"]);
    assert_eq!((looks.code, links(&looks)), (0, expected), "{looks:?}");
    for said in [&acts, &looks] {
        assert!(
            said.stdout.contains("once") && said.stdout.contains("within 60 seconds"),
            "{said:?}"
        );
    }
    assert_ne!(acts.stdout, looks.stdout);
    let log = world.daemon.log();
    let secret = acts.stdout.split("/login/").nth(1).and_then(|rest| rest.get(..32));
    assert!(!log.contains(secret.expect("a secret")), "{log}");
    world.daemon.expect_log("called Manager.CreateReadOnlyLogin: done");
}

#[test]
fn what_else_is_said_makes_no_link() {
    let (world, _) = served();
    for args in [&["web", "--nonsense"][..], &["web", "--read-only", "x"], &["web", "a"]] {
        let refused = world.ctl(args);
        assert_eq!(refused.code, 1, "{refused:?}");
        let error = "Error: web accepts nothing but --read-only\n";
        assert!(refused.stdout.starts_with(error), "{refused:?}");
    }
    assert!(!world.daemon.log().contains("Login"), "{}", world.daemon.log());
}

#[test]
fn where_nobody_logs_in_there_is_no_link() {
    let world = World::with(&format!("[inet_http_server]\nport={}\n", loopback()));
    let refused = world.ctl(&["web"]);
    let error = "ERROR: there is no link: no [inet_http_server] has auth=login\n";
    assert_eq!((refused.stdout.as_str(), refused.code), (error, 1));
}

#[test]
fn without_a_daemon_there_is_no_link() {
    let broker = Broker::start();
    let scratch = Scratch::new();
    let config = scratch.write("supervisord.conf", HEAD);
    let mut ctl = command(SUPERVISORCTL, scratch.path());
    ctl.arg("-c").arg(config).args(["-s", "dbus:system", "web"]);
    let output = run(ctl.env("DBUS_SYSTEM_BUS_ADDRESS", &broker.address));
    assert_eq!((output.stdout.as_str(), output.code), ("dbus:system refused connection\n", 4));
}

#[test]
fn an_ordinary_user_makes_no_link_that_may_do_more_than_they_may() {
    require_root();
    let (world, expected) = served();
    let programs = Scratch::new();
    // Nobody may look and read logs, and act on processes: but not all of what the page can do.
    let rules = r#"
polkit.addRule(function(action, subject) {
    var name = "org.supervisord.Supervisor1.";
    if (subject.user != "nobody") return;
    if (["inspect", "read-logs", "manage-processes"].indexOf(action.id.replace(name, "")) >= 0)
        return polkit.Result.YES;
});
"#;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let polkitd = runtime.block_on(Polkitd::start(&world.broker, rules));
    let refused = as_nobody(&world, &programs, &["web"]);
    assert_eq!((refused.code, links(&refused)), (1, Vec::new()), "{refused:?}");
    let error = "error: <class 'PermissionError'>, [Errno 13] Permission denied: This needs \
                 org.supervisord.Supervisor1.";
    assert!(refused.stdout.starts_with(error), "{refused:?}");
    let looks = as_nobody(&world, &programs, &["web", "--read-only"]);
    assert_eq!((looks.code, links(&looks)), (0, expected), "{looks:?}");
    // Nobody is asked any more: then nobody but root gets anything.
    drop(polkitd);
    let refused = as_nobody(&world, &programs, &["web", "--read-only"]);
    assert_eq!((refused.code, links(&refused)), (1, Vec::new()), "{refused:?}");
    assert_eq!(world.ctl(&["web"]).code, 0);
    world.daemon.expect_log("WARN refused user 65534 (pid ");
}
