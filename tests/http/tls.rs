//! HTTPS of the inet server, with curl and openssl as they come.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::support::PATIENCE;
use crate::support::daemon::{Daemon, HEAD, SUPERVISORD, command};
use crate::support::http::{Http, Target, ask, loopback};
use crate::support::process::{Output, run};
use crate::support::scratch::Scratch;

/// Makes a key and a certificate for an address, as `NAME.key` and `NAME.pem`.
pub(crate) fn make(scratch: &Scratch, name: &str, address: SocketAddr, days: &str) {
    let openssl = |args: &str| {
        let mut command = Command::new("openssl");
        let output = run(command.args(args.split_whitespace()).current_dir(scratch.path()));
        assert_eq!(output.code, 0, "openssl {args}: {}", output.stderr);
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(&format!("req -new {key} -keyout {name}.key -out {name}.csr -subj /CN={name}"));
    scratch.write(&format!("{name}.ext"), format!("subjectAltName=IP:{}\n", address.ip()));
    openssl(&format!(
        "x509 -req -in {name}.csr -signkey {name}.key -days {days} -extfile {name}.ext -out {name}.pem"
    ));
}

pub(crate) fn section(address: SocketAddr, name: &str) -> String {
    format!(
        "[inet_http_server]\nport={address}\ntls_certificate=%(here)s/{name}.pem\n\
         tls_key=%(here)s/{name}.key\n"
    )
}

fn served(scratch: &Scratch, options: &str) -> (Daemon, SocketAddr) {
    let address = loopback();
    make(scratch, "host", address, "2");
    (Daemon::start(scratch, &format!("{}{options}", section(address, "host"))), address)
}

/// Asks with curl, which trusts `NAME.pem` and nobody else.
fn curl(scratch: &Scratch, name: &str, address: SocketAddr, args: &[&str]) -> Output {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "30", "--cacert"]);
    curl.arg(scratch.join(&format!("{name}.pem"))).args(args);
    run(curl.arg(format!("https://{address}/ok.html")))
}

/// Lets `supervisord` fail with this configuration, when it starts and when it is only tested.
fn refused(scratch: &Scratch, text: &str) -> String {
    let config = scratch.write("refused.conf", format!("{HEAD}{text}"));
    let with = |option: &str| {
        let output = run(command(SUPERVISORD, scratch.path()).args([option, "-c"]).arg(&config));
        assert_eq!(output.code, 2, "{output:?}");
        output.stderr
    };
    let (started, tested) = (with("-n"), with("-t"));
    assert_eq!(started.lines().next(), tested.lines().next());
    started
}

#[test]
fn https_is_served_with_new_versions_of_tls_alone() {
    // C-070
    let scratch = Scratch::new();
    let (daemon, address) = served(&scratch, "username=bob\npassword=secret\n");
    let asked = |args: &[&str]| curl(&scratch, "host", address, args);
    let known = ["--user", "bob:secret"];
    for version in [&["--tlsv1.3"][..], &["--tlsv1.2", "--tls-max", "1.2"], &["--http2"]] {
        let args =
            [&known[..], version, &["--write-out", " %{http_code} %{http_version}"]].concat();
        let output = asked(&args);
        assert_eq!((output.code, output.stdout.as_str()), (0, "OK 200 1.1"), "{output:?}");
    }
    let code = ["--output", "/dev/null", "--write-out", "%{http_code}"];
    assert_eq!(asked(&code).stdout, "401");
    // 35: the handshake failed.
    let ciphers = ["--ciphers", "DEFAULT@SECLEVEL=0", "--tlsv1.0", "--tls-max", "1.1"];
    assert_eq!(asked(&ciphers).code, 35);
    make(&scratch, "other", address, "2");
    // 60: this is not whom curl trusts.
    assert_eq!(curl(&scratch, "other", address, &known).code, 60);
    let log = daemon.log();
    assert!(!log.contains("WARN") && !log.contains("tls"), "{log}");
}

#[test]
fn who_comes_without_tls_is_told_so_and_who_is_slow_keeps_nobody_out() {
    let scratch = Scratch::new();
    let (daemon, address) = served(&scratch, "");
    let target = Target::Inet(address);
    let began = Instant::now();
    let mut slow = Http::connect(&target).expect("it listens");
    slow.send(b"\x16\x03\x01\x02\x00\x01").expect("it takes it");
    let plain = ask(&target, "GET /ok.html HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(plain.status(), 400);
    assert!(plain.text().contains("HTTPS only"), "{plain:?}");
    for garbage in [&b"\0\0\0\0\r\n\r\n"[..], b"\x16\x03\x01\x00\x02ab", b"\x16\x02", b""] {
        let mut http = Http::connect(&target).expect("it listens");
        http.send(garbage).expect("it takes it");
    }
    let mut held = Vec::new();
    for at in 0..400 {
        let mut http = Http::connect(&target).expect("it listens");
        if at % 2 == 0 {
            http.send(b"\x16\x03\x01\x02\x00\x01").expect("it takes it");
        }
        held.push(http);
    }
    let output = curl(&scratch, "host", address, &[]);
    assert_eq!(output.stdout, "OK", "{output:?}");
    assert!(began.elapsed() < Duration::from_secs(10), "nobody waited for the slow ones");
    assert_eq!(slow.rest().unwrap_or_default(), b"", "it had to go");
    // The last one had a place, and time, and is sent away.
    let last = held.last_mut().expect("there are many");
    assert_eq!(last.rest().expect("it closes"), b"");
    assert!(began.elapsed() >= Duration::from_secs(10) && began.elapsed() < PATIENCE);
    assert!(!daemon.log().contains("it is a bug"), "{}", daemon.log());
}

#[test]
fn a_renewed_certificate_is_served_and_a_broken_one_is_not() {
    let scratch = Scratch::new();
    let (daemon, address) = served(&scratch, "[program:a]\ncommand=/bin/cat\n");
    daemon.expect_log("success: a entered RUNNING");
    let pid = daemon.pid_of("a");
    let is_ok = |name: &str| curl(&scratch, name, address, &[]).stdout == "OK";
    let renewed = |name: &str| {
        let end = Instant::now() + PATIENCE;
        while !is_ok(name) {
            assert!(Instant::now() < end, "it is not served: {}", daemon.log());
        }
    };
    let install = |name: &str| {
        for ending in ["key", "pem"] {
            let new = scratch.join(&format!("{name}.{ending}"));
            std::fs::copy(new, scratch.join(&format!("host.{ending}"))).expect("a copy");
        }
    };
    assert!(is_ok("host"));
    make(&scratch, "next", address, "2");
    install("next");
    renewed("next");
    daemon.expect_log("INFO [inet_http_server] serves the new certificate of ");

    scratch.write("host.pem", "broken");
    let said = |text: &str| daemon.log().contains(text);
    let kept = "there is no certificate in it (-----BEGIN CERTIFICATE-----); the certificate that \
                was read before is still served";
    while !said(kept) {
        assert!(is_ok("next"));
    }
    daemon.process.signal(Signal::SIGHUP);
    daemon.expect_log("host.pem: there is no certificate in it (-----BEGIN CERTIFICATE-----)\n");
    assert_eq!(daemon.pid_of("a"), pid, "nothing was stopped");
    assert!(is_ok("next"));

    make(&scratch, "third", address, "2");
    install("third");
    daemon.process.signal(Signal::SIGHUP);
    daemon.expect_log_times("supervisord started with pid", 2);
    renewed("third");
}

#[test]
fn files_that_cannot_be_served_are_errors_that_name_them() {
    // C-070
    let scratch = Scratch::new();
    let address = loopback();
    make(&scratch, "host", address, "2");
    make(&scratch, "other", address, "2");
    let key = scratch.read("host.key");
    scratch.write("empty", "");
    scratch.write("huge", vec![b'\n'; 2 * 1024 * 1024]);
    scratch.write("torn", key.replace("-----END", "----END"));
    scratch.write("secret", key.replace("BEGIN PRIVATE", "BEGIN ENCRYPTED PRIVATE"));
    scratch.write("nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    mkfifo(&scratch.join("fifo"), Mode::S_IRWXU).expect("a fifo");
    for (certificate, key, expected) in [
        ("none", "host.key", "tls_certificate=DIR/none: cannot be read: No such file or directory"),
        ("host.pem", "none", "tls_key=DIR/none: cannot be read: No such file or directory"),
        ("fifo", "host.key", "tls_certificate=DIR/fifo: is no regular file"),
        (".", "host.key", "tls_certificate=DIR: is no regular file"),
        ("huge", "host.key", "tls_certificate=DIR/huge: is too big"),
        ("empty", "host.key", "tls_certificate=DIR/empty: there is no certificate in it"),
        ("host.key", "host.key", "tls_certificate=DIR/host.key: there is no certificate in it"),
        ("nonsense", "host.key", "tls_certificate=DIR/nonsense: the first certificate cannot be"),
        ("host.pem", "host.pem", "tls_key=DIR/host.pem: there is no private key in it"),
        ("host.pem", "torn", "tls_key=DIR/torn: is no proper PEM file"),
        ("host.pem", "secret", "tls_key=DIR/secret: the private key has a passphrase"),
        (
            "host.pem",
            "other.key",
            "tls_key=DIR/other.key: is not the key of the certificate in DIR",
        ),
    ] {
        let error = refused(
            &scratch,
            &format!(
                "[inet_http_server]\nport={address}\ntls_certificate={certificate}\ntls_key={key}\n"
            ),
        );
        let expected = expected.replace("DIR", &scratch.path().display().to_string());
        let expected = format!("Cannot open an HTTP server: [inet_http_server] {expected}");
        assert!(error.contains(&expected), "{error} is not {expected}");
    }
    let unix = format!("{HEAD}[unix_http_server]\nfile=%(here)s/s\ntls_key=host.key\n");
    let config = scratch.write("refused.conf", unix);
    let output = run(command(SUPERVISORD, scratch.path()).arg("-n").arg("-c").arg(config));
    assert_eq!(output.code, 2);
    assert!(output.stderr.contains("tls_key is for [inet_http_server] only"), "{output:?}");
}

#[test]
fn what_is_doubtful_is_served_and_warned_of() {
    let scratch = Scratch::new();
    let address = loopback();
    make(&scratch, "host", address, "-1");
    let key = scratch.join("host.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).expect("it is ours");
    let daemon = Daemon::start(&scratch, &section(address, "host"));
    daemon.expect_log("supervisord started with pid");
    let log = daemon.log();
    for part in [
        "host.pem: the certificate has expired, clients will refuse it",
        "host.key: every user of this machine can get at this key",
    ] {
        assert!(log.contains(part), "{log}");
    }
    assert_eq!(curl(&scratch, "host", address, &[]).code, 60);
    assert_eq!(curl(&scratch, "host", address, &["--insecure"]).stdout, "OK");
}

#[test]
fn a_key_that_only_root_reads_is_served_by_a_daemon_that_gave_root_up() {
    crate::support::require_root();
    let scratch = Scratch::new();
    nix::unistd::chown(scratch.path(), Some(65534.into()), None).expect("root may");
    let address = loopback();
    make(&scratch, "host", address, "2");
    let key: PathBuf = scratch.join("host.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).expect("it is ours");
    let text = format!("user=nobody\n{}", section(address, "host"));
    let daemon = Daemon::start(&scratch, &text);
    assert_eq!(curl(&scratch, "host", address, &[]).stdout, "OK");
    daemon.process.signal(Signal::SIGHUP);
    daemon.expect_log_times("supervisord started with pid", 2);
    daemon.expect_log("host.key: cannot be read: Permission denied (os error 13); the certificate");
    assert_eq!(curl(&scratch, "host", address, &[]).stdout, "OK");
}
