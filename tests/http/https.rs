//! `supervisorctl` over HTTPS: whom it trusts, and what it says of others.

use std::net::{SocketAddr, TcpListener};
use std::process::Command;

use nix::sys::signal::Signal;

use crate::support::daemon::{Daemon, SUPERVISORCTL, command};
use crate::support::http::loopback;
use crate::support::process::{Output, Running, run};
use crate::support::scratch::Scratch;
use crate::support::terminal::Terminal;
use crate::tls::{make, section};

const PROGRAM: &str = "[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory = \
                       supervisor.rpcinterface:make_main_rpcinterface\n\
                       [program:a]\ncommand=/bin/sh -c 'echo hello; exec cat'\nstdout_logfile=%(here)s/a.out\n\
                       [program:b]\ncommand=/bin/cat\nautostart=false\nstartsecs=0\n";

fn served(scratch: &Scratch, options: &str) -> (Daemon, SocketAddr) {
    let address = loopback();
    make(scratch, "host", address, "2");
    let daemon = Daemon::start(scratch, &format!("{}{options}{PROGRAM}", section(address, "host")));
    daemon.expect_log("success: a entered RUNNING");
    (daemon, address)
}

fn ctl(scratch: &Scratch, args: &[&str]) -> Command {
    let mut ctl = command(SUPERVISORCTL, scratch.path());
    ctl.args(["-c", "supervisord.conf"]).args(args);
    ctl
}

/// Asks for the status with this trust.
fn status(scratch: &Scratch, url: &str, trust: &str) -> Output {
    run(ctl(scratch, &["-s", url, "--tls-ca", trust, "status"]).env("NO_COLOR", "1"))
}

/// A certificate for the address, issued by an authority `ca.pem`.
fn issue(scratch: &Scratch, address: SocketAddr) {
    let openssl = |args: &str| {
        let mut command = Command::new("openssl");
        let output = run(command.args(args.split_whitespace()).current_dir(scratch.path()));
        assert_eq!(output.code, 0, "openssl {args}: {}", output.stderr);
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(&format!("req -x509 {key} -keyout ca.key -out ca.pem -days 2 -subj /CN=authority"));
    openssl(&format!("req -new {key} -keyout host.key -out host.csr -subj /CN=host"));
    scratch.write("host.ext", format!("subjectAltName=IP:{}\n", address.ip()));
    openssl(
        "x509 -req -in host.csr -CA ca.pem -CAkey ca.key -days 2 -extfile host.ext -out host.pem",
    );
}

#[test]
fn supervisorctl_does_over_https_what_it_does_over_the_bus() {
    // C-239
    let scratch = Scratch::new();
    let (daemon, address) = served(&scratch, "username=bob\npassword=secret\n");
    let url = format!("https://{address}");
    let asked = |args: &[&str]| {
        let known = ["-s", &url, "--tls-ca", "host.pem", "-u", "bob", "-p", "secret"];
        run(&mut ctl(&scratch, &[&known[..], args].concat()))
    };
    for args in [
        &["status", "b"][..],
        &["pid"],
        &["restart", "a"],
        &["start", "a", "b"],
        &["stop", "b"],
        &["signal", "HUP", "nope"],
        &["avail"],
        &["reread"],
        &["tail", "a"],
        &["version"],
    ] {
        let over_bus = daemon.ctl(args);
        if args[0] == "start" {
            daemon.ctl(&["stop", "b"]);
        } else if args[0] == "stop" {
            daemon.ctl(&["start", "b"]);
        }
        let over_https = asked(args);
        assert_eq!(over_https.code, over_bus.code, "{args:?}: {over_https:?}");
        assert_eq!(over_https.stdout, over_bus.stdout, "{args:?}");
        assert_eq!(over_https.stderr, over_bus.stderr, "{args:?}");
    }
    let refused = run(&mut ctl(&scratch, &["-s", &url, "--tls-ca", "host.pem", "status"]));
    assert_eq!(refused.code, 1);
    assert!(refused.stdout.starts_with("Server requires authentication\n"), "{refused:?}");
}

#[test]
fn a_log_is_followed_and_the_shell_opens_an_https_url() {
    // C-269
    let scratch = Scratch::new();
    let (daemon, address) = served(&scratch, "");
    let url = format!("https://{address}");
    let mut follower = ctl(&scratch, &["-s", &url, "--tls-ca", "host.pem", "tail", "-f", "a"]);
    let follower = Running::spawn(&mut follower);
    follower.expect("hello\n");
    assert_eq!(daemon.ctl(&["restart", "a"]).code, 0);
    follower.expect("hello\nhello\n");
    follower.signal(Signal::SIGINT);

    let mut shell = command("/usr/bin/setsid", scratch.path());
    shell.args(["-c", SUPERVISORCTL, "-c", "supervisord.conf", "--tls-ca", "host.pem"]);
    let mut terminal = Terminal::spawn(&mut shell);
    terminal.expect("supervisor>", 1);
    terminal.press(&format!("open {url}\n"));
    terminal.expect("RUNNING", 2);
    terminal.press("exit\n");
    assert_eq!(terminal.finish(), Some(0));
}

#[test]
fn the_configuration_says_where_and_whom_to_trust() {
    // C-239
    let scratch = Scratch::new();
    let address = loopback();
    issue(&scratch, address);
    let daemon = Daemon::start(&scratch, &format!("{}{PROGRAM}", section(address, "host")));
    daemon.expect_log("success: a entered RUNNING");
    let url = format!("https://{address}");
    scratch
        .write("ctl.conf", format!("[supervisorctl]\nserverurl={url}\ntls_ca=%(here)s/ca.pem\n"));
    let mut configured = command(SUPERVISORCTL, scratch.path());
    let output = run(configured.args(["-c", "ctl.conf", "status", "a"]));
    assert_eq!(output.code, 0, "{output:?}");
    assert!(output.stdout.contains("RUNNING"), "{output:?}");
    // What the machine trusts can be named too.
    let mut machine = command(SUPERVISORCTL, scratch.path());
    machine.args(["-c", "supervisord.conf", "-s", &url, "status", "a"]);
    let output = run(machine.env("SSL_CERT_FILE", scratch.join("ca.pem")));
    assert_eq!(output.code, 0, "{output:?}");
}

#[test]
fn whoever_is_not_trusted_is_told_why() {
    // C-233
    let scratch = Scratch::new();
    let elsewhere = loopback();
    let more = section(elsewhere, "host").replace("_server]", "_server:elsewhere]");
    let (_daemon, address) = served(&scratch, &more);
    make(&scratch, "other", address, "2");
    let url = format!("https://{address}");
    let fails = |output: Output, expected: &str, hint: &str| {
        assert_eq!(output.code, 1, "{output:?}");
        let verify = "error: <class 'ssl.SSL";
        assert!(output.stdout.starts_with(verify), "{output:?}");
        assert!(output.stdout.contains(expected), "{output:?}");
        assert!(output.stderr.contains(hint), "{output:?}");
    };
    let certificate = "<class 'ssl.SSLCertVerificationError'>, certificate verify failed: ";
    fails(
        status(&scratch, &url, "other.pem"),
        &format!("{certificate}nobody who is trusted has issued it: no supervisord at {url}"),
        "--tls-ca",
    );
    // Who is trusted without a file is what the machine says.
    let mut machine = ctl(&scratch, &["-s", &url, "status"]);
    fails(
        run(machine.env("SSL_CERT_FILE", scratch.join("other.pem"))),
        &format!("{certificate}nobody who is trusted has issued it"),
        "--tls-ca",
    );
    fails(
        status(&scratch, &format!("https://{elsewhere}"), "host.pem"),
        &format!("it is not for {}: it is for IpAddress({})", elsewhere.ip(), address.ip()),
        "use the name that it is for",
    );
    let missing = status(&scratch, &url, "nope.pem");
    fails(missing, "nope.pem: cannot be read: No such file or directory", "--tls-ca");
    scratch.write("empty.pem", "");
    fails(status(&scratch, &url, "empty.pem"), "there is no certificate in it", "--tls-ca");
}

#[test]
fn dates_and_servers_without_tls_are_told() {
    // C-233
    let scratch = Scratch::new();
    let (expired, plain) = (loopback(), loopback());
    make(&scratch, "host", expired, "-1");
    let sections = section(expired, "host").replace("_server]", "_server:tls]");
    let _daemon = Daemon::start(
        &scratch,
        &format!("{sections}[inet_http_server:plain]\nport={plain}\n{PROGRAM}"),
    );
    let output = status(&scratch, &format!("https://{expired}"), "host.pem");
    let words = "certificate verify failed: it has expired";
    assert!(output.code == 1 && output.stdout.contains(words), "{output:?}");
    let output = status(&scratch, &format!("https://{plain}"), "host.pem");
    assert!(output.code == 1 && output.stdout.contains("what answers is no TLS"), "{output:?}");
    assert!(output.stderr.contains("its URL begins with http://"), "{output:?}");
    // And the other way round, the server says it.
    let output = status(&scratch, &format!("http://{expired}"), "host.pem");
    let said = "400 Bad Request>: This server speaks HTTPS only: use https://";
    assert!(output.code == 1 && output.stdout.contains(said), "{output:?}");
    // Nobody is there, as over HTTP.
    let nobody = TcpListener::bind("127.0.0.1:0").and_then(|gone| gone.local_addr());
    let nobody = nobody.expect("an address");
    let output = status(&scratch, &format!("https://{nobody}"), "host.pem");
    assert_eq!(output.code, 4);
    assert_eq!(output.stdout, format!("https://{nobody} refused connection\n"));
}
