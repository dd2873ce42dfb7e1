//! `supervisorctl` over HTTP, where a comparison with upstream's shows nothing.

use crate::support::daemon::{Daemon, SUPERVISORCTL, command};
use crate::support::http::loopback;
use crate::support::process::run;
use crate::support::scratch::Scratch;
use crate::support::terminal::Terminal;

const INTERFACE: &str = "[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory = \
                         supervisor.rpcinterface:make_main_rpcinterface\n";

#[test]
fn a_password_is_asked_for_and_not_shown() {
    // C-237
    let scratch = Scratch::new();
    let address = loopback();
    let _daemon = Daemon::start(
        &scratch,
        &format!(
            "[inet_http_server]\nport={address}\nusername=bob\npassword=secret\n{INTERFACE}\
             [program:a]\ncommand=/bin/cat\nautostart=false\n"
        ),
    );
    let url = format!("http://{address}");
    // Its own session, so that the terminal is its own.
    let mut shell = command("/usr/bin/setsid", scratch.path());
    shell.args(["-c", SUPERVISORCTL, "-c", "supervisord.conf", "-s", &url]);
    let mut terminal = Terminal::spawn(&mut shell);
    terminal.expect("Username:", 1);
    terminal.press("bob\n");
    terminal.expect("Password:", 1);
    terminal.press("wrong\n");
    terminal.expect("Username:", 2);
    terminal.press("bob\n");
    terminal.expect("Password:", 2);
    terminal.press("secret\n");
    terminal.expect("Not started", 1);
    terminal.expect("supervisor>", 1);
    // They are kept.
    terminal.press("pid a\n");
    terminal.expect("pid a", 1);
    terminal.press("version\n");
    terminal.expect(env!("CARGO_PKG_VERSION"), 1);
    terminal.press("exit\n");
    assert_eq!(terminal.finish(), Some(0));
    let screen = terminal.screen.text();
    assert!(!screen.contains("secret") && !screen.contains("wrong"), "{screen}");
    assert_eq!(screen.matches("Server requires authentication").count(), 2, "{screen}");
}

#[test]
fn a_login_server_says_where_to_go() {
    // C-236
    let scratch = Scratch::new();
    let address = loopback();
    let _daemon =
        Daemon::start(&scratch, &format!("[inet_http_server]\nport={address}\nauth=login\n"));
    let url = format!("http://{address}");
    let mut ctl = command(SUPERVISORCTL, scratch.path());
    let output = run(ctl.args(["-c", "supervisord.conf", "-s", &url, "status"]));
    assert_eq!(output.code, 1);
    assert!(output.stdout.starts_with("Server requires authentication\nerror: <class 'xmlrpc"));
    assert!(output.stdout.contains("use: sudo supervisorctl"), "{output:?}");
}
