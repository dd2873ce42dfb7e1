//! Where the servers listen, from start to end.

use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::process::Command;

use nix::sys::signal::Signal;

use crate::support::daemon::{Daemon, HEAD, SUPERVISORD, command};
use crate::support::http::{Http, Target, get, loopback, unix};
use crate::support::process::{Output, run};
use crate::support::scratch::Scratch;

/// Lets `supervisord -n` fail to start with these servers.
fn refused(scratch: &Scratch, servers: &str) -> Output {
    let config = scratch.write("refused.conf", format!("{HEAD}{servers}"));
    run(command(SUPERVISORD, scratch.path()).arg("-n").arg("-c").arg(config))
}

fn is_ok(target: &Target) {
    let answer = get(target, "/ok.html", "");
    assert_eq!((answer.status(), answer.text().as_str()), (200, "OK"));
    assert_eq!(answer.header("content-type"), Some("text/plain"));
}

#[test]
fn every_section_is_a_server_and_all_end_with_the_daemon() {
    // C-067, C-068, C-070, C-131, C-334
    let scratch = Scratch::new();
    let (first, second) = (loopback(), loopback());
    let mut daemon = Daemon::start(
        &scratch,
        &format!(
            "[inet_http_server]\nport={first}\n[inet_http_server:b]\nport={second}\n\
             [inet_http_server:six]\nport=[::1]:{}\n\
             [unix_http_server]\nfile=%(here)s/a.sock\n\
             [unix_http_server:b]\nfile=%(here)s/b.sock\nchmod=0770\n",
            10_000 + std::process::id() % 50_000
        ),
    );
    let sockets = [unix(scratch.path(), "a.sock"), unix(scratch.path(), "b.sock")];
    for target in [Target::Inet(first), Target::Inet(second)].iter().chain(&sockets) {
        is_ok(target);
    }
    let port = 10_000 + std::process::id() % 50_000;
    is_ok(&Target::Inet(format!("[::1]:{port}").parse().expect("an address")));
    let mode = |name: &str| {
        let file = std::fs::metadata(scratch.join(name)).expect("a socket");
        file.permissions().mode() & 0o7777
    };
    assert_eq!((mode("a.sock"), mode("b.sock")), (0o700, 0o770));
    assert_eq!(daemon.stop().code, 0);
    assert!(!scratch.join("a.sock").exists() && !scratch.join("b.sock").exists());
    Http::connect(&Target::Inet(first)).err().expect("it is closed");
}

#[test]
fn a_restart_serves_what_the_configuration_says_then() {
    // C-390, C-391
    let scratch = Scratch::new();
    let (stays, goes, comes) = (loopback(), loopback(), loopback());
    let daemon = Daemon::start(
        &scratch,
        &format!("[inet_http_server]\nport={stays}\n[inet_http_server:b]\nport={goes}\n"),
    );
    let mut client = Http::connect(&Target::Inet(goes)).expect("it listens");
    // An answer shows that it was accepted: what is not is reset, and does not just end.
    client.send("GET /ok.html HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("it takes it");
    assert_eq!(client.answer().expect("it answers").expect("and stays").status(), 200);
    scratch.write(
        "supervisord.conf",
        format!(
            "{HEAD}[inet_http_server]\nport={stays}\nusername=u\npassword=p\n\
             [inet_http_server:c]\nport={comes}\n"
        ),
    );
    daemon.process.signal(Signal::SIGHUP);
    assert_eq!(client.rest().expect("its connections end"), b"");
    daemon.expect_log_times("supervisord started with pid", 2);
    is_ok(&Target::Inet(comes));
    assert_eq!(get(&Target::Inet(stays), "/ok.html", "").status(), 401);
    Http::connect(&Target::Inet(goes)).err().expect("it is closed");
}

#[test]
fn a_restart_that_could_not_listen_is_refused() {
    // C-415
    let scratch = Scratch::new();
    let (ours, theirs) = (loopback(), loopback());
    let server = format!("[inet_http_server]\nport={ours}\n");
    let daemon = Daemon::start(&scratch, &format!("{server}[program:a]\ncommand=/bin/cat\n"));
    daemon.expect_log("success: a entered RUNNING");
    let pid = daemon.pid_of("a");
    let _taken = TcpListener::bind(theirs).expect("it is free");
    scratch.write(
        "supervisord.conf",
        format!(
            "{HEAD}{server}[inet_http_server:b]\nport={theirs}\n[program:a]\ncommand=/bin/cat\n"
        ),
    );
    daemon.process.signal(Signal::SIGHUP);
    daemon.expect_log("Another program is already listening on a port");
    assert_eq!(daemon.pid_of("a"), pid, "nothing was stopped");
    is_ok(&Target::Inet(ours));
}

#[test]
fn what_cannot_listen_prevents_the_start_and_leaves_nothing() {
    // C-132, C-133, C-337
    let scratch = Scratch::new();
    let address = loopback();
    let _taken = TcpListener::bind(address).expect("it is free");
    let socket = "[unix_http_server]\nfile=%(here)s/s.sock\n";
    let output = refused(&scratch, &format!("{socket}[inet_http_server]\nport={address}\n"));
    assert_eq!(output.code, 2);
    let text = "Error: Another program is already listening on a port that one of our HTTP servers \
                is configured to use.  Shut this program down first before starting supervisord.";
    assert!(output.stderr.starts_with(text), "{output:?}");
    assert!(output.stderr.contains(&format!("([inet_http_server] {address})")), "{output:?}");

    let output = refused(&scratch, "[inet_http_server]\nport=192.0.2.1:9001\n");
    assert_eq!(output.code, 2);
    let text = "Error: Cannot open an HTTP server: socket.error reported errno.EADDRNOTAVAIL (99)";
    assert!(output.stderr.starts_with(text), "{output:?}");

    let missing = "[unix_http_server]\nfile=%(here)s/no/s.sock\n";
    let output = refused(&scratch, missing);
    let text = "Error: Cannot open an HTTP server: socket.error reported errno.ENOENT (2)";
    assert!(output.code == 2 && output.stderr.starts_with(text), "{output:?}");
    for left in ["s.sock", "supervisord.bus", "supervisord.pid"] {
        assert!(!scratch.join(left).exists(), "{left} is left");
    }
}

#[test]
fn a_stale_socket_is_replaced_and_a_live_one_or_a_file_is_not() {
    // C-132, C-336, C-421
    let scratch = Scratch::new();
    let path = scratch.join("s.sock");
    let live = UnixListener::bind(&path).expect("it is free");
    let section = "[unix_http_server]\nfile=%(here)s/s.sock\n";
    let output = refused(&scratch, section);
    assert!(output.code == 2 && output.stderr.contains("Another program is already listening"));
    drop(live);
    let mut daemon = Daemon::start(&scratch, section);
    is_ok(&Target::Unix(path.clone()));
    let stale = format!("Unlinking stale socket {}\n", path.display());
    assert_eq!(daemon.stop().stderr, stale);
    std::fs::write(&path, "precious").expect("a file");
    let output = refused(&scratch, section);
    assert!(output.code == 2 && output.stderr.contains("exists and is no socket"), "{output:?}");
    assert_eq!(scratch.read("s.sock"), "precious");
}

#[test]
fn a_socket_is_the_users_and_a_privileged_port_is_served_after_root_was_given_up() {
    // C-068, C-337
    crate::support::require_root();
    let scratch = Scratch::new();
    nix::unistd::chown(scratch.path(), Some(65534.into()), None).expect("root may");
    let mut address = loopback();
    address.set_port(80);
    let daemon = Daemon::start(
        &scratch,
        &format!(
            "user=nobody\n[inet_http_server]\nport={address}\n\
             [unix_http_server]\nfile=%(here)s/a.sock\n\
             [unix_http_server:b]\nfile=%(here)s/b.sock\nchown=daemon:daemon\n"
        ),
    );
    is_ok(&Target::Inet(address));
    let owner = |name: &str| {
        let file = std::fs::metadata(scratch.join(name)).expect("a socket");
        (file.uid(), file.gid())
    };
    assert_eq!((owner("a.sock"), owner("b.sock")), ((65534, 65534), (1, 1)));
    daemon.process.signal(Signal::SIGHUP);
    daemon.expect_log_times("supervisord started with pid", 2);
    is_ok(&Target::Inet(address));
}

#[test]
fn who_may_not_give_a_socket_away_is_told_so() {
    // C-337
    crate::support::require_root();
    let scratch = Scratch::new();
    nix::unistd::chown(scratch.path(), Some(65534.into()), None).expect("root may");
    let text = "[unix_http_server]\nfile=%(here)s/s.sock\nchown=root\n";
    let config = scratch.write("c.conf", format!("{HEAD}{text}"));
    let mut setpriv = Command::new("setpriv");
    setpriv.args(["--reuid=nobody", "--clear-groups", "--regid=nogroup", SUPERVISORD, "-n", "-c"]);
    let output = run(setpriv.arg(config).current_dir(scratch.path()));
    let path = scratch.join("s.sock");
    let expected = format!(
        "Error: Not permitted to chown {} to uid/gid (0, -1); adjust \"sockchown\" value in \
         config file or on command line to values that the current user (nobody) can \
         successfully chown\n",
        path.display()
    );
    assert!(output.code == 2 && output.stderr.starts_with(&expected), "{output:?}");
    assert!(!path.exists());
}

#[test]
fn a_socket_of_the_service_manager_is_used() {
    // As systemd does it: the descriptor is 3, and the variables tell of it.
    let scratch = Scratch::new();
    let address = loopback();
    let config = scratch.write(
        "supervisord.conf",
        format!("{HEAD}[inet_http_server]\nport={address}\nauth=login\n"),
    );
    let script = "import os, socket, sys\n\
                  host, port = sys.argv[1].split(':')\n\
                  s = socket.create_server((host, int(port)))\n\
                  s.fileno() == 3 or os.dup2(s.fileno(), 3)\n\
                  os.set_inheritable(3, True)\n\
                  os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1', LISTEN_FDNAMES='http')\n\
                  os.execv(sys.argv[2], sys.argv[2:])\n";
    let mut started = command("/usr/bin/python3", scratch.path());
    started.args(["-c", script, &address.to_string(), SUPERVISORD, "-n", "-c"]).arg(&config);
    let daemon = Daemon::start_command(scratch.path(), &config, started);
    daemon.expect_log(&format!("took over the socket \"http\" at {address}"));
    is_ok(&Target::Inet(address));
    daemon.process.signal(Signal::SIGHUP);
    daemon.expect_log_times("supervisord started with pid", 2);
    is_ok(&Target::Inet(address));
}

#[test]
fn what_is_open_to_everybody_is_told() {
    // C-137
    let scratch = Scratch::new();
    let port = 10_000 + std::process::id() % 50_000;
    let daemon = Daemon::start(
        &scratch,
        &format!(
            "[inet_http_server]\nport=*:{port}\n[inet_http_server:login]\nport={}\nauth=login\n\
             [inet_http_server:basic]\nport={}\nusername=u\npassword=p\n\
             [unix_http_server]\nfile=%(here)s/s.sock\n\
             [unix_http_server:all]\nfile=%(here)s/t.sock\nchmod=0777\n\
             [rpcinterface:supervisor]\nsupervisor.rpcinterface_factory = \
             supervisor.rpcinterface:make_main_rpcinterface\n",
            loopback(),
            loopback()
        ),
    );
    daemon.expect_log("Server 'unix_http_server:all' running");
    let log = daemon.log();
    let open = |level: &str, section: &str| {
        log.contains(&format!(
            "{level} Server '{section}' running without any HTTP authentication checking"
        ))
    };
    assert!(open("CRIT", "inet_http_server") && open("CRIT", "unix_http_server:all"), "{log}");
    assert!(open("INFO", "unix_http_server"), "its mode protects it: {log}");
    assert!(!log.contains("Server 'inet_http_server:"), "{log}");
    let warning = format!("WARN [inet_http_server] whoever reaches *:{port} can run any command");
    assert!(log.contains(&warning), "{log}");
    assert_eq!(log.matches("RPC interface 'supervisor' initialized").count(), 5, "{log}");
}
