//! The daemon's own log.

use nix::sys::signal::Signal;

use super::*;

/// Says of its standard output, whatever that is, that it is a stream to the journal.
const AS_A_SERVICE: &str = "exec 3>&1; JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/3); \
     export JOURNAL_STREAM; exec 3>&-; exec \"$@\"";

/// Starts the daemon as systemd does, with its standard output in the journal.
fn start_service(scratch: &Scratch, journald: &Journald, config: &str) -> Daemon {
    let config = scratch.write("supervisord.conf", config);
    let mut service = command("/bin/sh", scratch.path());
    service.args(["-c", AS_A_SERVICE, "sh", SUPERVISORD, "-n", "-c"]).arg(&config);
    service.env(VARIABLE, journald.path());
    Daemon::start_command(scratch.path(), &config, service)
}

/// The fields that say what a line is about, as text.
fn facts(entry: &Entry) -> String {
    let shown = entry.names().into_iter().filter(|name| name.starts_with("SUPERVISOR_"));
    let shown = shown.map(|name| format!("{}={}", &name["SUPERVISOR_".len()..], entry.get(name)));
    shown.collect::<Vec<_>>().join(" ")
}

#[test]
fn a_service_logs_entries_with_fields_instead_of_lines_with_times() {
    let scratch = Scratch::new();
    let mut journald = Journald::bind(&scratch.join("journal"));
    let programs = "[group:shop]\nprograms=web\n[program:web]\ncommand=/bin/sleep 1000\nprocess_name=api\n\
         [program:broken]\ncommand=/nonexistent\nstartretries=0\n\
         [program:done]\ncommand=/bin/sh -c 'exit 3'\nstartsecs=0\nautorestart=false\n\
         [program:stubborn]\ncommand=/bin/sh -c 'trap \"\" TERM; touch %(here)s/up; while :; do sleep 1; done'\n\
         startsecs=0\nstopwaitsecs=0\n";
    let mut daemon = start_service(&scratch, &journald, &format!("{HEAD}{programs}"));

    let started = journald.expect_message("supervisord started with pid");
    assert_eq!(started.get("MESSAGE"), format!("supervisord started with pid {}", daemon.pid()));
    assert_eq!(started.get("PRIORITY"), "6");
    assert_eq!(started.get("SYSLOG_IDENTIFIER"), "supervisord");
    assert_eq!(started.get("MESSAGE_ID"), "ec76d0cb39344161ac0b3e274af2ab62");

    let running = journald.expect_message("success: api entered RUNNING");
    let pid = daemon.pid_of("shop:api").to_string();
    let about = format!("GROUP=shop PID={pid} PROCESS=shop:api PROGRAM=web STATE=");
    assert_eq!(facts(&running), format!("{about}RUNNING"));
    assert_eq!(running.get("OBJECT_PID"), pid);
    assert_eq!(running.get("MESSAGE_ID"), "44af8a1ec5ff4447a98ae7ddb18dffaf");
    let spawned = journald.expect_message("spawned: 'api'");
    assert_eq!(facts(&spawned), format!("{about}STARTING"));
    assert_eq!(spawned.get("OBJECT_PID"), pid);
    assert_eq!(spawned.get("MESSAGE_ID"), "1da73d36505a44879bba2208289fdcfa");

    let error = journald.expect_message("spawnerr: ");
    let why = error.get("MESSAGE")["spawnerr: ".len()..].to_owned();
    let broken = "GROUP=broken PROCESS=broken PROGRAM=broken STATE=";
    assert_eq!(facts(&error), format!("ERROR={why} {broken}BACKOFF"));
    assert_eq!(error.get("MESSAGE_ID"), "425e7164b4a24c39a21bfa70b71e5f59");
    let gave_up = journald.expect_message("gave up: broken entered FATAL");
    assert_eq!(facts(&gave_up), format!("{broken}FATAL"));
    assert_eq!(gave_up.get("MESSAGE_ID"), "76620515489c4dc795a46893479a9f87");

    let exited = journald.expect_message("exited: done (exit status 3; not expected)");
    assert!(facts(&exited).starts_with("EXIT_STATUS=3 GROUP=done PID="), "{}", facts(&exited));
    assert!(facts(&exited).ends_with(" STATE=EXITED"), "{}", facts(&exited));
    assert_eq!((exited.get("PRIORITY"), exited.get("OBJECT_PID")), ("4".into(), String::new()));
    assert_eq!(exited.get("MESSAGE_ID"), "3b0ff73950994ba19f8e88eaf32ac0c6");

    assert_eq!(daemon.ctl(&["stop", "shop:api"]).stdout, "shop:api: stopped\n");
    let stopped = journald.expect_message("stopped: api (terminated by SIGTERM)");
    assert_eq!(facts(&stopped), format!("EXIT_SIGNAL=SIGTERM {about}STOPPED"));
    assert_eq!(stopped.get("MESSAGE_ID"), "93666b72271745a29b44c05a528c2dd1");

    expect_in_file(&scratch.join("up"), "");
    assert_eq!(daemon.ctl(&["stop", "stubborn"]).stdout, "stubborn: stopped\n");
    let killed = journald.expect_message("killing 'stubborn'");
    assert!(facts(&killed).contains("SIGNAL=SIGKILL STATE=STOPPING"), "{}", facts(&killed));
    assert_eq!(killed.get("MESSAGE_ID"), "f87b031e16264c98a85c5b021e9c9126");

    // A restart with a broken configuration is refused.
    scratch.write("supervisord.conf", format!("{HEAD}{programs}[program:x]\n"));
    daemon.process.signal(Signal::SIGHUP);
    let refused = journald.expect_message("not restarting, the configuration has errors");
    assert_eq!(refused.get("MESSAGE_ID"), "366dfb43bf354db59088daa251e07cee");
    assert_eq!(refused.get("PRIORITY"), "2");
    assert!(refused.get("SUPERVISOR_ERROR").contains("command"), "{}", facts(&refused));
    let asked = journald.expect_message("received SIGHUP indicating restart request");
    assert_eq!(asked.get("MESSAGE_ID"), "5d94436d91ac4a35b6b6b3e368ba6950");

    assert!(daemon.ctl(&["reread"]).stdout.contains("CANT_REREAD"));
    let refused = journald.expect_message("the configuration has errors, all stays as it is: ");
    assert_eq!(refused.get("MESSAGE_ID"), "366dfb43bf354db59088daa251e07cee");
    assert_eq!(refused.get("PRIORITY"), "3");

    // One without errors is applied.
    scratch.write("supervisord.conf", format!("{HEAD}{programs}[program:new]\ncommand=/bin/cat\n"));
    assert_eq!(daemon.ctl(&["update"]).stdout, "new: added process group\n");
    let applied = journald.expect_message("configuration applied: added group new");
    assert_eq!(applied.get("MESSAGE_ID"), "9444a224c55748c2971620ab5f4ca73b");
    assert_eq!(facts(&applied), "GROUP=new");

    // Who asked for what is told, too.
    let asked = journald.expect_message(" called Manager.StopProcess name shop:api: done");
    assert_eq!(asked.get("MESSAGE_ID"), "d6b905a2d7344849a42938eb86624488");
    let uid = nix::unistd::getuid();
    assert!(facts(&asked).starts_with("ACTION=Manager.StopProcess "), "{}", facts(&asked));
    assert_eq!(asked.get("SUPERVISOR_CLIENT_UID"), uid.to_string());
    assert!(!asked.get("SUPERVISOR_CLIENT_PID").is_empty());

    let output = daemon.stop();
    assert_eq!(output.stdout, "", "nothing goes the other way too");
    let ending = journald.expect_message("received SIGTERM indicating exit request");
    assert_eq!(ending.get("MESSAGE_ID"), "b8fa72f30a994dec946d27369ed5a790");
    assert_eq!(facts(&ending), "SIGNAL=SIGTERM");
    journald.expect_message("waiting for ");

    // The file has the same lines as ever.
    let log = scratch.read("supervisord.log");
    for entry in journald.seen() {
        let level = match entry.get("PRIORITY").as_str() {
            "2" => "CRIT",
            "3" => "ERRO",
            "4" => "WARN",
            "6" => "INFO",
            other => panic!("priority {other}"),
        };
        let message = entry.get("MESSAGE");
        let first = message.lines().next().unwrap_or_default();
        assert!(log.contains(&format!(" {level} {first}\n")), "{first:?} is not in\n{log}");
    }
    assert!(log.lines().all(|line| line.starts_with("20") || !line.contains(" INFO ")), "{log}");
}

#[test]
fn a_daemon_whose_output_goes_elsewhere_leaves_the_journal_alone() {
    let scratch = Scratch::new();
    let journald = Journald::bind(&scratch.join("journal"));
    let config = scratch.write("supervisord.conf", HEAD);
    let mut elsewhere = command(SUPERVISORD, scratch.path());
    elsewhere.arg("-n").arg("-c").arg(&config);
    elsewhere.env(VARIABLE, journald.path()).env("JOURNAL_STREAM", "1:1");
    let mut daemon = Daemon::start_command(scratch.path(), &config, elsewhere);
    daemon.expect_log("supervisord started with pid");
    daemon.stop();
    assert!(journald.is_empty());
}

#[test]
fn silent_is_silent_in_the_journal_too() {
    let scratch = Scratch::new();
    let journald = Journald::bind(&scratch.join("journal"));
    let config = HEAD.replace("[supervisord]\n", "[supervisord]\nsilent=true\n");
    let mut daemon = start_service(&scratch, &journald, &config);
    assert_eq!(daemon.stop().stdout, "");
    assert!(journald.is_empty());
    assert!(scratch.read("supervisord.log").contains("supervisord started with pid"));
}

#[test]
fn a_service_without_a_journal_socket_keeps_its_stream() {
    let scratch = Scratch::new();
    let journald = Journald::bind(&scratch.join("journal"));
    std::fs::remove_file(journald.path()).expect("it was there");
    let daemon = start_service(&scratch, &journald, HEAD);
    daemon.expect_log("supervisord started with pid");
}

#[test]
fn the_journal_can_be_the_only_log() {
    let scratch = Scratch::new();
    let mut journald = Journald::bind(&scratch.join("journal"));
    let config = HEAD.replace("%(here)s/supervisord.log", "journal");
    let daemon = start_service(&scratch, &journald, &config);
    journald.expect_message("supervisord started with pid");
    let once = journald.seen().iter().filter(|e| e.get("MESSAGE").contains("started with pid"));
    assert_eq!(once.count(), 1);
    let output = daemon.ctl(&["maintail"]);
    assert_eq!(
        output.stdout,
        "supervisord: ERROR (no log file: it is in the journal, see: journalctl -t supervisord)\n"
    );
    assert_eq!(output.code, 1);
    assert!(!scratch.join("journal.log").exists() && !scratch.join("supervisord.log").exists());
}

#[test]
fn without_a_journal_it_cannot_be_the_log() {
    let scratch = Scratch::new();
    let config = HEAD.replace("%(here)s/supervisord.log", "journal");
    let config = scratch.write("supervisord.conf", config);
    let mut refused = command(SUPERVISORD, scratch.path());
    refused.args(["-n", "-c"]).arg(&config).env(VARIABLE, scratch.join("none"));
    let output = crate::support::process::run(&mut refused);
    assert_eq!(output.code, 1);
    let expected = format!(
        "Error: could not log to the journal (logfile=journal) at {}: No such file or directory \
         (os error 2)\n",
        scratch.join("none").display()
    );
    assert!(output.stderr.ends_with(&expected), "{}", output.stderr);
}
