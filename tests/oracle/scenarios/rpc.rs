//! XML-RPC: every method, every fault, through Python's own client, over a socket and over TCP.

use std::process::Command;

use nix::sys::signal::Signal;

use crate::compare::compare;
use crate::support::daemon::command;
use crate::support::http::{Http, ask, loopback, unix};
use crate::support::process::run_with_input;
use crate::world::{DAEMON, World, upstream};

/// Makes calls through Python's client: each line is a JSON array of method and parameters. Each
/// is an observation under what was called.
pub fn calls(world: &mut World, calls: &str) {
    let socket = world.dir.join("sv.sock").display().to_string();
    calls_at(world, &socket, calls);
}

fn calls_at(world: &mut World, target: &str, calls: &str) {
    let python = upstream().join("bin/python");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracle/rpc.py");
    let mut client: Command = command(python, world.dir.path());
    client.arg(script).arg(target);
    let output = run_with_input(&mut client, calls);
    assert_eq!(output.code, 0, "{:?}: {}", world.side, output.stderr);
    for line in output.stdout.lines() {
        let (call, result) = line.split_once(" = ").unwrap_or((line, ""));
        world.note(call, result);
    }
}

const PROGRAMS: &str = "\
[program:a]
command=/bin/sh -c 'echo hello; echo 0123456789; echo oops >&2; exec cat'
stdout_logfile=DIR/a.out
stderr_logfile=DIR/a.err
[program:off]
command=/bin/cat
autostart=false
[program:bad]
command=/no/such/thing
autostart=false
[program:text]
command=/etc/passwd
autostart=false
[program:fast]
command=/bin/false
autostart=false
startretries=0
[program:slow]
command=/bin/sh -c 'sleep 0.3; exit 3'
autostart=false
startretries=1
[program:x]
command=/bin/sleep 100
autostart=false
stdout_logfile=NONE
[program:y]
command=/bin/sleep 100
autostart=false
redirect_stderr=true
autorestart=false
priority=5
[group:g]
programs=x,y
priority=10
";

fn started(world: &mut World) {
    world.programs(PROGRAMS);
    world.start();
    world.expect_running(&["a"]);
    world.expect_file("a.out", "0123456789\n");
    world.expect_file("a.err", "oops\n");
}

/// C-278, C-282, C-284, C-286, C-287, C-290, C-291, C-292, C-319, C-320, C-449: what there is to
/// call, and what there is not.
#[test]
fn introspection() {
    compare(|world| {
        started(world);
        calls(world, "[\"system.listMethods\"]\n");
        for name in METHODS {
            calls(world, &format!("[\"system.methodSignature\", \"{name}\"]\n"));
        }
        calls(
            world,
            r#"["system.methodSignature", "supervisor.nope"]
["system.methodSignature", "nope"]
["system.methodSignature", 5]
["system.methodSignature"]
["system.methodHelp", "nope"]
["system.nope"]
["nope"]
["supervisor.nope"]
["supervisor._update"]
["supervisor.__class__"]
["supervisor.getState.x"]
["supervisor.supervisord.options"]
["supervisor"]
[" supervisor.getState"]
["other.getState"]
["supervisor.getState", 1]
["supervisor.startProcess"]
["supervisor.startProcess", "a", true, 3]
["supervisor.getAPIVersion"]
["supervisor.getVersion"]
["supervisor.getSupervisorVersion"]
["supervisor.getIdentification"]
["supervisor.getState"]
["supervisor.getPID"]
"#,
        );
    });
}

const METHODS: &[&str] = &[
    "supervisor.addProcessGroup",
    "supervisor.clearAllProcessLogs",
    "supervisor.clearLog",
    "supervisor.clearProcessLog",
    "supervisor.clearProcessLogs",
    "supervisor.getAPIVersion",
    "supervisor.getAllConfigInfo",
    "supervisor.getAllProcessInfo",
    "supervisor.getIdentification",
    "supervisor.getPID",
    "supervisor.getProcessInfo",
    "supervisor.getState",
    "supervisor.getSupervisorVersion",
    "supervisor.getVersion",
    "supervisor.readLog",
    "supervisor.readMainLog",
    "supervisor.readProcessLog",
    "supervisor.readProcessStderrLog",
    "supervisor.readProcessStdoutLog",
    "supervisor.reloadConfig",
    "supervisor.removeProcessGroup",
    "supervisor.restart",
    "supervisor.sendProcessStdin",
    "supervisor.sendRemoteCommEvent",
    "supervisor.shutdown",
    "supervisor.signalAllProcesses",
    "supervisor.signalProcess",
    "supervisor.signalProcessGroup",
    "supervisor.startAllProcesses",
    "supervisor.startProcess",
    "supervisor.startProcessGroup",
    "supervisor.stopAllProcesses",
    "supervisor.stopProcess",
    "supervisor.stopProcessGroup",
    "supervisor.tailProcessLog",
    "supervisor.tailProcessStderrLog",
    "supervisor.tailProcessStdoutLog",
    "system.listMethods",
    "system.methodHelp",
    "system.methodSignature",
    "system.multicall",
];

/// C-287, C-289, C-300, C-301, C-302, C-303, C-304: starting and stopping.
#[test]
fn starting_and_stopping() {
    compare(|world| {
        started(world);
        calls(
            world,
            r#"["supervisor.startProcess", "nope"]
["supervisor.startProcess", "g:nope"]
["supervisor.startProcess", "nope:*"]
["supervisor.startProcess", "bad"]
["supervisor.startProcess", "text"]
["supervisor.startProcess", "a"]
["supervisor.startProcess", "fast"]
{"wait": "fast FATAL"}
["supervisor.startProcess", "slow"]
{"wait": "slow FATAL"}
["supervisor.startProcess", "off"]
["supervisor.startProcess", "off", false]
["supervisor.stopProcess", "off"]
["supervisor.stopProcess", "off"]
["supervisor.startProcess", "off", 0]
{"wait": "off RUNNING"}
["supervisor.stopProcess", "off", ""]
{"wait": "off STOPPED"}
["supervisor.stopProcess", "nope"]
["supervisor.startProcess", "g:*"]
["supervisor.startProcess", "g:*"]
["supervisor.stopProcess", "g:"]
["supervisor.stopProcess", "g:*"]
["supervisor.startProcessGroup", "g", false]
{"wait": "g:x RUNNING"}
{"wait": "g:y RUNNING"}
["supervisor.stopProcessGroup", "g"]
["supervisor.startProcessGroup", "g"]
["supervisor.startProcessGroup", "nope"]
["supervisor.startProcessGroup", 5]
["supervisor.stopProcessGroup", "nope"]
["supervisor.stopProcessGroup", ["a"]]
["supervisor.startAllProcesses"]
["supervisor.stopAllProcesses"]
["supervisor.stopAllProcesses", false]
"#,
        );
    });
}

/// C-305, C-306, C-317, C-318: signals, input, events.
#[test]
fn signals_and_input() {
    compare(|world| {
        started(world);
        calls(
            world,
            r#"["supervisor.signalProcess", "a", "CONT"]
["supervisor.signalProcess", "a", "sigcont"]
["supervisor.signalProcess", "a", 18]
["supervisor.signalProcess", "a", "18"]
["supervisor.signalProcess", "a", 0]
["supervisor.signalProcess", "a", "NOPE"]
["supervisor.signalProcess", "a", 999]
["supervisor.signalProcess", "off", "CONT"]
["supervisor.signalProcess", "off", "NOPE"]
["supervisor.signalProcess", "nope", "NOPE"]
["supervisor.signalProcess", "g:*", "CONT"]
["supervisor.signalProcess", "a:*", "CONT"]
["supervisor.signalProcess", "a:*", "NOPE"]
["supervisor.signalProcessGroup", "a", "CONT"]
["supervisor.signalProcessGroup", "g", "CONT"]
["supervisor.signalProcessGroup", "nope", "CONT"]
["supervisor.signalAllProcesses", "CONT"]
["supervisor.signalAllProcesses", "NOPE"]
["supervisor.sendProcessStdin", "a", "typed é\n"]
["supervisor.sendProcessStdin", "a", "base64:bytes\n"]
["supervisor.sendProcessStdin", "a", ""]
["supervisor.sendProcessStdin", "a", 5]
["supervisor.sendProcessStdin", "off", "x"]
["supervisor.sendProcessStdin", "nope", "x"]
["supervisor.sendProcessStdin", "g:*", "x"]
["supervisor.sendRemoteCommEvent", "type", "data"]
["supervisor.sendRemoteCommEvent", 1, 2]
["supervisor.sendRemoteCommEvent", "type"]
"#,
        );
        let text = world.expect_file("a.out", "bytes\n");
        world.note("what was typed", &text);
    });
}

/// C-286, C-307, C-308, C-309: how processes are.
#[test]
fn process_information() {
    compare(|world| {
        started(world);
        calls(
            world,
            r#"["supervisor.startProcess", "fast"]
["supervisor.startProcess", "slow", false]
{"wait": "slow FATAL"}
["supervisor.startProcess", "g:y"]
["supervisor.signalProcess", "g:y", "KILL"]
{"wait": "g:y EXITED"}
["supervisor.getProcessInfo", "a"]
["supervisor.getProcessInfo", "a:a"]
["supervisor.getProcessInfo", "off"]
["supervisor.getProcessInfo", "fast"]
["supervisor.getProcessInfo", "slow"]
["supervisor.getProcessInfo", "g:x"]
["supervisor.getProcessInfo", "g:y"]
["supervisor.getProcessInfo", "x"]
["supervisor.getProcessInfo", "g:*"]
["supervisor.getProcessInfo", "nope"]
["supervisor.getProcessInfo", ""]
["supervisor.getProcessInfo", 5]
["supervisor.getAllProcessInfo"]
"#,
        );
    });
}

/// C-297, C-298, C-299, C-310, C-311: the configuration.
#[test]
fn configuration() {
    compare(|world| {
        started(world);
        let changed = PROGRAMS.replace("[program:bad]", "[program:new]").replace(
            "[program:off]\n",
            "[program:off]\nuser=root\ndirectory=/tmp\nexitcodes=0,2\nstopsignal=USR1\n\
             stdout_capture_maxbytes=1MB\nstdout_events_enabled=true\nkillasgroup=true\n\
             serverurl=http://x:1\nstdout_syslog=true\nstdout_logfile_maxbytes=1GB\n",
        );
        calls(world, "[\"supervisor.getAllConfigInfo\"]\n[\"supervisor.reloadConfig\"]\n");
        calls(world, "[\"supervisor.getAllConfigInfo\"]\n");
        world.programs(&changed);
        calls(
            world,
            r#"["supervisor.reloadConfig"]
["supervisor.getAllConfigInfo"]
["supervisor.addProcessGroup", "a"]
["supervisor.addProcessGroup", "nope"]
["supervisor.addProcessGroup", 7]
["supervisor.addProcessGroup", "new"]
["supervisor.addProcessGroup", "bad"]
["supervisor.removeProcessGroup", "a"]
["supervisor.removeProcessGroup", "nope"]
["supervisor.removeProcessGroup", "bad"]
["supervisor.removeProcessGroup", "bad"]
["supervisor.removeProcessGroup", "off"]
["supervisor.addProcessGroup", "off"]
["supervisor.getProcessInfo", "off"]
["supervisor.getAllProcessInfo"]
["supervisor.reloadConfig"]
"#,
        );
        world.programs("[program:broken]\n");
        calls(
            world,
            r#"["supervisor.reloadConfig"]
["supervisor.getState"]
["supervisor.addProcessGroup", "new"]
"#,
        );
    });
}

/// C-293, C-294, C-295, C-312, C-313, C-314, C-315, C-316: logs.
#[test]
fn logs() {
    compare(|world| {
        started(world);
        calls(
            world,
            r#"["supervisor.readProcessStdoutLog", "a", 0, 0]
["supervisor.readProcessLog", "a", 0, 5]
["supervisor.readProcessLog", "a", 6, 0]
["supervisor.readProcessLog", "a", 6, 1000]
["supervisor.readProcessLog", "a", -3, 0]
["supervisor.readProcessLog", "a", -1000, 0]
["supervisor.readProcessLog", "a", -3, 1]
["supervisor.readProcessLog", "a", 0, -1]
["supervisor.readProcessLog", "a", 1000, 0]
["supervisor.readProcessLog", "a", "2", "3"]
["supervisor.readProcessLog", "a", 2.9, 3]
["supervisor.readProcessLog", "a", true, 3]
["supervisor.readProcessLog", "a", "x", 3]
["supervisor.readProcessLog", "a", 0]
["supervisor.readProcessLog", "nope", 0, 0]
["supervisor.readProcessLog", "g:*", 0, 0]
["supervisor.readProcessLog", "g:x", 0, 0]
["supervisor.readProcessStderrLog", "a", 0, 0]
["supervisor.readProcessStderrLog", "g:y", 0, 0]
["supervisor.tailProcessStdoutLog", "a", 0, 100]
["supervisor.tailProcessLog", "a", 5, 100]
["supervisor.tailProcessLog", "a", 5, 3]
["supervisor.tailProcessLog", "a", 16, 3]
["supervisor.tailProcessLog", "a", 17, 3]
["supervisor.tailProcessLog", "a", 0, 0]
["supervisor.tailProcessLog", "a", 0, -5]
["supervisor.tailProcessLog", "a", -5, 5]
["supervisor.tailProcessLog", "g:x", 0, 100]
["supervisor.tailProcessLog", "g:*", 0, 100]
["supervisor.tailProcessLog", "nope", 0, 100]
["supervisor.tailProcessStderrLog", "a", 0, 100]
["supervisor.clearProcessLogs", "a"]
["supervisor.tailProcessLog", "a", 0, 100]
["supervisor.clearProcessLog", "nope"]
["supervisor.clearProcessLog", "g:*"]
["supervisor.clearAllProcessLogs"]
["supervisor.readLog", -1, 1]
["supervisor.readLog", 0, -1]
["supervisor.readLog", 1000000, 10]
["supervisor.readLog", 24, 4]
["supervisor.readMainLog", 1000000, 0]
["supervisor.clearLog"]
["supervisor.stopProcess", "a"]
["supervisor.clearProcessLogs", "a"]
"#,
        );
    });
}

/// C-293: without a file of its own, the daemon has no log to read.
#[test]
fn log_in_syslog() {
    compare(|world| {
        // That it runs is seen by what it makes.
        let here = "[program:t]\ncommand=/usr/bin/touch DIR/here\n";
        world.config(&format!("{}{here}", DAEMON.replace("%(here)s/supervisord.log", "syslog")));
        world.start();
        calls(world, "[\"supervisor.readLog\", 0, 0]\n[\"supervisor.clearLog\"]\n");
    });
}

/// C-434, C-435: what is no text in a log.
#[test]
fn odd_logs() {
    compare(|world| {
        world.programs(
            "[program:a]\ncommand=/bin/sh -c 'printf \"\\\\033[31mred\\\\033[0m \\\\377 \\\\000 .\\\\n\"; exec cat'\nstdout_logfile=DIR/a.out\n\
             [program:b]\ncommand=/bin/sh -c 'printf \"a\\\\r\\\\nb <&> \\\\303\\\\251\\\\n\"; exec cat'\nstdout_logfile=DIR/b.out\n",
        );
        world.start();
        world.expect_file("a.out", ".\n");
        world.expect_file("b.out", "é\n");
        for name in ["a", "b"] {
            let read = format!(
                "supervisor.readProcessLog</methodName><params><param><value>{name}</value></param><param><value><int>0</int></value></param><param><value><int>0</int></value></param></params>"
            );
            let answer = post(world, &format!("<methodCall><methodName>{read}</methodCall>"));
            world.note(&format!("log of {name}"), &answer);
        }
    });
}

/// C-321, C-322: several calls in one.
#[test]
fn multicall() {
    compare(|world| {
        started(world);
        calls(
            world,
            r#"["system.multicall", [{"methodName": "supervisor.getState", "params": []}, {"methodName": "supervisor.getState"}]]
["system.multicall", [{"methodName": "nope"}, {}, {"methodName": null}, {"params": []}, {"methodName": ""}]]
["system.multicall", [{"methodName": "system.multicall", "params": [[]]}]]
["system.multicall", [{"methodName": "supervisor.getState", "params": [1]}, {"methodName": "supervisor.getState", "params": null}]]
["system.multicall", [{"methodName": "supervisor.startProcess", "params": ["off"]}, {"methodName": "supervisor.getProcessInfo", "params": ["off"]}, {"methodName": "supervisor.stopProcess", "params": ["off"]}, {"methodName": "supervisor.getProcessInfo", "params": ["off"]}]]
["system.multicall", [{"methodName": "supervisor.startProcess", "params": ["fast"]}, {"methodName": "supervisor.stopProcessGroup", "params": ["g"]}, {"methodName": "supervisor.getAPIVersion"}]]
["system.multicall", []]
["system.multicall", 5]
["system.multicall", "abc"]
["system.multicall", [5]]
["system.multicall", [{"methodName": 5}]]
["system.multicall"]
"#,
        );
    });
}

/// Posts a document; the status, and the body of an answer.
fn post(world: &World, body: &str) -> String {
    let request =
        format!("POST /RPC2 HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let answer = ask(&unix(world.dir.path(), "sv.sock"), request);
    match answer.status() {
        200 => format!("{}\n{}", answer.header("content-type").unwrap_or("-"), answer.text()),
        status => status.to_string(),
    }
}

/// C-280, C-282, C-283, C-284, C-286: documents as no client writes them; answers byte for byte.
#[test]
fn documents() {
    compare(|world| {
        started(world);
        let name = "<methodName>supervisor.getState</methodName>";
        let of = |params: &str| {
            format!(
                "<methodCall><methodName>supervisor.readProcessLog</methodName><params><param><value>a</value></param>{params}</params></methodCall>"
            )
        };
        let int = |kind: &str, text: &str| {
            of(&format!(
                "<param><value><{kind}>{text}</{kind}></value></param><param><value><int>3</int></value></param>"
            ))
        };
        for (what, body) in [
            ("no parameters", format!("<methodCall>{name}</methodCall>")),
            ("empty parameters", format!("<methodCall>{name}<params/></methodCall>")),
            ("other root", format!("<call>{name}</call>")),
            ("declared", format!("<?xml version='1.0' encoding='utf-8'?><methodCall>{name}</methodCall>")),
            ("commented", format!("<!-- a --><methodCall>{name}<!-- b --></methodCall><!-- c -->")),
            ("blanks in the name", format!("<methodCall>{}</methodCall>", name.replace("supervisor", " supervisor"))),
            ("name twice", format!("<methodCall><methodName>nope</methodName>{name}</methodCall>")),
            ("no name", "<methodCall/>".to_owned()),
            ("empty name", "<methodCall><methodName/></methodCall>".to_owned()),
            ("nothing", " ".to_owned()),
            ("no XML", "hello".to_owned()),
            ("cut off", format!("<methodCall>{name}")),
            ("two roots", format!("<methodCall>{name}</methodCall><a/>")),
            ("text behind", format!("<methodCall>{name}</methodCall>x")),
            ("unknown entity", format!("<methodCall>{name}&foo;</methodCall>")),
            ("control character", format!("<methodCall>{name}\u{1}</methodCall>")),
            ("int", int("int", "2")),
            ("i4", int("i4", "2")),
            ("i8", int("i8", "2")),
            ("int with blanks", int("int", " 2 ")),
            ("int with underscore", int("int", "0_2")),
            ("no int", int("int", "two")),
            ("empty int", int("int", "")),
            ("double", int("double", "2.5")),
            ("no double", int("double", "x")),
            ("boolean", int("boolean", "1")),
            ("boolean in words", int("boolean", "true")),
            ("string", int("string", "2")),
            ("base64", int("base64", "Mg==")),
            ("bad base64", int("base64", "M")),
            ("base64 that is no text", int("base64", "/w==")),
            ("bad date", int("dateTime.iso8601", "x")),
            ("bare", of("<param><value>2</value></param><param><value>3</value></param>")),
            ("unknown tag", of("<param><value><foo>2</foo></value></param><param><value>3</value></param>")),
            ("value without param", of("<value>2</value><value>3</value>")),
            ("empty param", of("<param/>")),
            ("empty array", of("<param><value><array/></value></param>")),
            ("half a member", of("<param><value><struct><member><name>a</name></member></struct></value></param>")),
            ("fault", "<methodCall><methodName>supervisor.getProcessInfo</methodName><params><param><value>&lt;n&gt;&amp;é</value></param></params></methodCall>".to_owned()),
            ("results", "<methodCall><methodName>supervisor.signalProcessGroup</methodName><params><param><value>a</value></param><param><value>CONT</value></param></params></methodCall>".to_owned()),
            ("array of strings", "<methodCall><methodName>system.methodSignature</methodName><params><param><value>supervisor.signalProcess</value></param></params></methodCall>".to_owned()),
        ] {
            let answer = post(world, &body);
            world.note(what, &answer);
        }
    });
}

/// C-278, C-279, C-285: requests around the documents.
#[test]
fn requests() {
    compare(|world| {
        started(world);
        let socket = unix(world.dir.path(), "sv.sock");
        let body = "<methodCall><methodName>supervisor.getPID</methodName></methodCall>";
        let length = body.len();
        let post = |path: &str, headers: &str| {
            ask(&socket, format!("POST {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n{body}")).status()
        };
        let with = format!("Content-Length: {length}\r\n");
        for path in ["/RPC2", "/RPC2/", "/RPC2/x", "/RPC2x", "/RPC2?a=b", "/rpc2", "/RPC"] {
            let status = post(path, &with);
            world.note(&format!("POST {path}"), &status.to_string());
        }
        for kind in
            ["text/xml", "text/plain", "application/json", "application/x-www-form-urlencoded"]
        {
            let status = post("/RPC2", &format!("{with}Content-Type: {kind}\r\n"));
            world.note(kind, &status.to_string());
        }
        for method in ["GET", "PUT", "HEAD"] {
            let status = ask(&socket, format!("{method} /RPC2 HTTP/1.0\r\n\r\n")).status();
            world.note(method, &status.to_string());
        }
        let without = ask(&socket, "POST /RPC2 HTTP/1.1\r\nHost: x\r\n\r\n").status();
        world.note("without length", &without.to_string());
        let mut http = Http::connect(&socket).expect("it listens");
        let one = format!("POST /RPC2 HTTP/1.1\r\nHost: x\r\n{with}\r\n{body}");
        http.send(one.repeat(3)).expect("it takes them");
        let answers: Vec<u16> =
            (0..3).map(|_| http.answer().expect("it answers").expect("each").status()).collect();
        world.note("pipelined", &format!("{answers:?}"));
        http.send(format!("POST /RPC2 HTTP/1.1\r\nConnection: close\r\n{with}\r\n{body}"))
            .expect("it");
        let answer = http.answer().expect("it answers").expect("it does");
        world.note("the last", &answer.status().to_string());
        world.note("closed", &http.rest().map(|rest| rest.len().to_string()).unwrap_or_default());
    });
}

/// C-288, C-296: while the daemon ends.
#[test]
fn while_ending() {
    compare(|world| {
        world.programs("[program:a]\ncommand=/bin/sh -c 'trap \"\" TERM; while :; do sleep 0.2; done'\nstopwaitsecs=8\n");
        world.start();
        world.expect_running(&["a"]);
        calls(world, "[\"supervisor.shutdown\"]\n");
        world.expect_log("waiting for a to die");
        calls(
            world,
            r#"["supervisor.getState"]
["supervisor.getAPIVersion"]
["supervisor.getAllProcessInfo"]
["supervisor.startProcess", "nope"]
["supervisor.startProcess"]
["supervisor.signalAllProcesses", "CONT"]
["supervisor.readLog", 0, 5]
["supervisor.tailProcessLog", "a", 0, 5]
["supervisor.sendRemoteCommEvent", "a", "b"]
["supervisor.shutdown"]
["supervisor.restart"]
["system.methodSignature", "supervisor.getState"]
["system.multicall", [{"methodName": "supervisor.getState"}, {"methodName": "system.methodSignature", "params": ["supervisor.getPID"]}]]
"#,
        );
        world.finish();
    });
}

/// C-296: a restart through the API.
#[test]
fn restart() {
    compare(|world| {
        world.programs("[program:a]\ncommand=/bin/cat\n");
        world.start();
        world.expect_running(&["a"]);
        calls(world, "[\"supervisor.restart\"]\n");
        world.expect_log_times("success: a entered RUNNING", 2);
        calls(world, "[\"supervisor.getState\"]\n[\"supervisor.getProcessInfo\", \"a\"]\n");
        world.signal(Signal::SIGTERM);
        world.finish();
    });
}

/// C-073, C-284: without an interface there is only `system`; its name is the configuration's.
#[test]
fn namespaces() {
    compare(|world| {
        let socket = "[unix_http_server]\nfile=DIR/sv.sock\n";
        let factory =
            "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n";
        for interfaces in [
            String::new(),
            format!("[rpcinterface:foo]\n{factory}"),
            format!("[rpcinterface:foo]\n{factory}[rpcinterface:supervisor]\n{factory}"),
        ] {
            world.write("supervisord.conf", &format!("{socket}{interfaces}{DAEMON}"));
            world.start();
            calls(
                world,
                "[\"system.listMethods\"]\n[\"supervisor.getState\"]\n[\"foo.getState\"]\n",
            );
            world.stop();
        }
    });
}

/// C-072, C-278, C-289, C-324: the same over TCP, with a password.
#[test]
fn over_tcp() {
    compare(|world| {
        let address = loopback();
        world.config(&format!(
            "{DAEMON}{PROGRAMS}[inet_http_server]\nport={address}\nusername=bob\npassword=secret\n"
        ));
        world.start();
        world.expect_running(&["a"]);
        let some = r#"["supervisor.getState"]
["supervisor.startProcess", "off"]
["supervisor.stopProcess", "off"]
["supervisor.getAllProcessInfo"]
"#;
        calls_at(world, &format!("http://bob:secret@{address}"), some);
        calls_at(world, &format!("http://{address}"), "[\"supervisor.getState\"]\n");
        calls_at(world, &format!("http://bob:wrong@{address}"), "[\"supervisor.getState\"]\n");
    });
}
