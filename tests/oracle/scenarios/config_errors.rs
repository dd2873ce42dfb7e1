//! Configurations and command lines that are refused: the message, and exit code 2.

use crate::compare::compare;
use crate::world::{DAEMON, World};

/// Lets both refuse `[supervisord]` plus this.
fn refuse(world: &mut World, what: &str, text: &str, message: &str) {
    world.refuses(what, &format!("{DAEMON}{text}")).usage(message);
}

/// The suffix of errors in a program's section.
fn in_section(message: &str, section: &str) -> String {
    format!("{message} in section '{section}' (file: 'bad.conf')")
}

/// C-005, C-018: a configuration file that is not there or cannot be read.
#[test]
fn file_missing_or_unreadable() {
    compare(|world| {
        world
            .supervisord(&["-n", "-c", "nowhere.conf"])
            .usage("could not find config file nowhere.conf");
        world
            .supervisord(&["-n", "-c", "DIRECTORY/x.conf"])
            .usage("could not find config file DIRECTORY/x.conf");
    });
}

/// C-016, C-017: text that is no configuration.
#[test]
fn syntax_errors() {
    compare(|world| {
        world
            .refuses("no supervisord section", "[program:a]\ncommand=/bin/cat\n")
            .usage(".ini file does not include supervisord section");
        world.refuses("empty file", "").usage(".ini file does not include supervisord section");
        world
            .refuses("section name with blanks", "[ supervisord ]\n")
            .usage(".ini file does not include supervisord section");
        world
            .refuses("section name in capitals", "[SUPERVISORD]\n")
            .usage(".ini file does not include supervisord section");
        world.refuses("lines without a value", "[supervisord]\nfoo\nlogfile=x\nbar baz\n").usage(
            "Source contains parsing errors: 'bad.conf'\n\t[line  2]: 'foo\\n'\n\t[line  4]: 'bar baz\\n'",
        );
        world.refuses("text before any section", "; fine\nnodaemon=true\n[supervisord]\n").usage(
            "File contains no section headers.\nfile: 'bad.conf', line: 2\n'nodaemon=true\\n'",
        );
    });
}

/// C-007: encodings.
#[test]
fn encodings() {
    compare(|world| {
        world.dir.write("bad.conf", b"[supervisord]\nlogfile=x\n[program:\xff]\ncommand=x\n");
        world.supervisord(&["-n", "-c", "bad.conf"]).exits(2);
        world
            .refuses("byte order mark", "\u{feff}[supervisord]\n")
            .complains("File contains no section headers.")
            .exits(2);
    });
}

/// C-018, C-021, C-044, C-045, C-046, C-047, C-060: values of `[supervisord]` of the wrong type.
#[test]
fn daemon_values() {
    compare(|world| {
        for (option, message) in [
            ("nodaemon=maybe", "not a valid boolean value: 'maybe'"),
            ("silent=y", "not a valid boolean value: 'y'"),
            ("minfds=many", "invalid literal for int() with base 10: 'many'"),
            ("minprocs=1.5", "invalid literal for int() with base 10: '1.5'"),
            ("logfile_backups=", "invalid literal for int() with base 10: ''"),
            ("logfile_maxbytes=1K", "invalid literal for int() with base 10: '1k'"),
            ("logfile_maxbytes=1.5MB", "invalid literal for int() with base 10: '1.5'"),
            ("logfile_maxbytes=1TB", "invalid literal for int() with base 10: '1tb'"),
            ("umask=9", "9 can not be converted to an octal type"),
            ("loglevel=warning", "bad logging level name 'warning'"),
            ("loglevel=loud", "bad logging level name 'loud'"),
            ("childlogdir=/no/such/place", "/no/such/place is not an existing directory"),
            ("directory=/no/such/place", "/no/such/place is not an existing directory"),
        ] {
            let config = format!("[supervisord]\n{option}\n");
            world.refuses(option, &config).complains(message).exits(2);
        }
        world
            .refuses(
                "logfile in a missing directory",
                "[supervisord]\nlogfile=/no/such/place/log\n",
            )
            .exits(2);
        world
            .refuses(
                "pidfile in a missing directory",
                "[supervisord]\npidfile=/no/such/place/pid\n",
            )
            .exits(2);
    });
}

/// C-053, C-123: users that do not exist.
#[test]
fn daemon_users() {
    compare(|world| {
        world
            .refuses("unknown user", "[supervisord]\nuser=nobody-at-all\n")
            .complains("Invalid user name nobody-at-all")
            .exits(2);
        world
            .refuses("unknown uid", "[supervisord]\nuser=54321\n")
            .complains("Invalid user id 54321")
            .exits(2);
    });
}

/// C-019, C-021, C-044, C-045, C-046, C-047: values of a program of the wrong type.
#[test]
fn program_values() {
    compare(|world| {
        for (option, message) in [
            ("autostart=maybe", "not a valid boolean value: 'maybe'"),
            ("redirect_stderr=2", "not a valid boolean value: '2'"),
            ("autorestart=sometimes", "invalid 'autorestart' value 'sometimes'"),
            ("startsecs=soon", "invalid literal for int() with base 10: 'soon'"),
            ("startretries=", "invalid literal for int() with base 10: ''"),
            ("stopwaitsecs=1.5", "invalid literal for int() with base 10: '1.5'"),
            ("numprocs=two", "invalid literal for int() with base 10: 'two'"),
            ("stdout_logfile_maxbytes=5XB", "invalid literal for int() with base 10: '5xb'"),
            ("umask=8", "8 can not be converted to an octal type"),
            ("user=nobody-at-all", "Invalid user name nobody-at-all"),
            ("user=54321", "Invalid user id 54321"),
            (
                "stdout_logfile=/no/such/place/a.log",
                "The directory named as part of the path /no/such/place/a.log does not exist",
            ),
        ] {
            let text = format!("[program:a]\ncommand=/bin/cat\n{option}\n");
            let message = in_section(message, "program:a");
            refuse(world, option, &text, &message);
        }
    });
}

/// C-048, C-049: signals and exit codes.
#[test]
fn signals_and_exit_codes() {
    compare(|world| {
        for (option, message) in [
            ("stopsignal=FOO", "value 'FOO' is not a valid signal name"),
            ("stopsignal=RTMIN+1", "value 'RTMIN+1' is not a valid signal name"),
            ("stopsignal=35", "value '35' is not a valid signal number"),
            ("stopsignal=-1", "value '-1' is not a valid signal number"),
            ("stopsignal=", "value '' is not a valid signal name"),
            ("exitcodes=0,256", "not a valid list of exit codes: '0,256'"),
            ("exitcodes=0,", "not a valid list of exit codes: '0,'"),
            ("exitcodes=-1", "not a valid list of exit codes: '-1'"),
            ("exitcodes=zero", "not a valid list of exit codes: 'zero'"),
        ] {
            let text = format!("[program:a]\ncommand=/bin/cat\n{option}\n");
            refuse(world, option, &text, &in_section(message, "program:a"));
        }
    });
}

/// C-077, C-078, C-082: what a program's section has to have, and what contradicts itself.
#[test]
fn program_rules() {
    compare(|world| {
        let section = "program:a";
        refuse(
            world,
            "no command",
            "[program:a]\nautostart=true\n",
            &in_section("program section program:a does not specify a command", section),
        );
        refuse(
            world,
            "numprocs without process_num",
            "[program:a]\ncommand=/bin/cat\nnumprocs=2\n",
            &in_section(
                "%(process_num) must be present within process_name when numprocs > 1",
                section,
            ),
        );
        refuse(
            world,
            "stopasgroup without killasgroup",
            "[program:a]\ncommand=/bin/cat\nstopasgroup=true\nkillasgroup=false\n",
            &in_section("Cannot set stopasgroup=true and killasgroup=false", section),
        );
    });
}

/// C-039, C-092: names.
#[test]
fn names() {
    compare(|world| {
        for (name, char) in [("a b", "' '"), ("a:b", "':'"), ("a/b", "'/'")] {
            world
                .refuses(
                    &format!("program {name}"),
                    &format!("{DAEMON}[program:{name}]\ncommand=/bin/cat\n"),
                )
                .complains(&format!("Invalid name: '{name}' because of character: {char}"))
                .exits(2);
        }
        world
            .refuses(
                "process name",
                &format!("{DAEMON}[program:a]\ncommand=/bin/cat\nprocess_name=x y\n"),
            )
            .complains("Invalid name: 'x y' because of character: ' '")
            .exits(2);
        world
            .refuses("group", &format!("{DAEMON}[group:a b]\nprograms=\n"))
            .complains("Invalid name: 'a b' because of character: ' '")
            .exits(2);
    });
}

/// C-020, C-036, C-093, C-094: groups.
#[test]
fn groups() {
    compare(|world| {
        let a = "[program:a]\ncommand=/bin/cat\n";
        world
            .refuses("unknown member", &format!("{DAEMON}{a}[group:g]\nprograms=a,b\n"))
            .complains("names unknown program or fcgi-program b")
            .exits(2);
        world
            .refuses("trailing comma", &format!("{DAEMON}{a}[group:g]\nprograms=a,\n"))
            .complains("names unknown program or fcgi-program ")
            .exits(2);
        world
            .refuses(
                "ambiguous member",
                &format!(
                    "{DAEMON}{a}[fcgi-program:a]\ncommand=/bin/cat\nsocket=tcp://localhost:1\n[group:g]\nprograms=a\n"
                ),
            )
            .complains("[group:g] name a is ambiguous (exists as program and fcgi-program)")
            .exits(2);
        refuse(
            world,
            "group priority",
            &format!("{a}[group:g]\nprograms=a\npriority=first\n"),
            "invalid literal for int() with base 10: 'first'",
        );
        refuse(
            world,
            "program priority",
            "[program:a]\ncommand=/bin/cat\npriority=first\n",
            "invalid literal for int() with base 10: 'first'",
        );
    });
}

/// C-027, C-028, C-030, C-032, C-034, C-037, C-038: expansions that cannot be made.
#[test]
fn expansions() {
    compare(|world| {
        world.env.push(("KNOWN".to_owned(), "1".to_owned()));
        for (what, option) in [
            ("unknown name in command", "command=/bin/echo %(nothing)s"),
            ("unknown variable", "command=/bin/echo %(ENV_NOT_SET)s"),
            ("lone percent", "command=/bin/echo 100%"),
            ("bad conversion", "command=/bin/echo %(here)q"),
            ("unclosed name", "command=/bin/echo %(here"),
            ("text as number", "command=/bin/echo %(here)d"),
            ("process_num in a one-off option", "command=/bin/cat\nstartsecs=%(process_num)d"),
            ("own variable in the environment", "command=/bin/cat\nenvironment=A=1,B=%(ENV_A)s"),
        ] {
            world
                .refuses(what, &format!("{DAEMON}[program:a]\n{option}\n"))
                .complains("Format string ")
                .exits(2);
        }
        world
            .refuses("host name in supervisord", "[supervisord]\nidentifier=%(host_node_name)s\n")
            .complains("contains names ('host_node_name') which cannot be expanded")
            .exits(2);
    });
}

/// C-032, C-038, C-442: what upstream expands twice.
#[test]
fn double_expansions() {
    compare(|world| {
        let sleep = "command=/bin/sleep 100";
        for (what, text) in [
            (
                "logfile, doubled once",
                format!("{DAEMON}[program:a]\n{sleep}\nstdout_logfile=DIR/100%%.log\n"),
            ),
            ("environment, doubled once", format!("{DAEMON}environment=A=\"1%%\"\n")),
            ("environment, doubled twice", format!("{DAEMON}environment=A=\"1%%%%\"\n")),
        ] {
            let accepted = world.accepts(what, &text);
            world.upstream_is(what, accepted == what.ends_with("twice"));
        }
    });
}

/// C-056, C-057, C-058: environments that cannot be read.
#[test]
fn environments() {
    compare(|world| {
        for value in
            ["A", "A=", "A=a@b", "A=\"x\" B=\"y\"", "A=\"1\"\n  B=2", "A=\"say \\\"hi\\\"\""]
        {
            world
                .refuses(
                    &format!("environment={value}"),
                    &format!("{DAEMON}[program:a]\ncommand=/bin/cat\nenvironment={value}\n"),
                )
                .complains(" in section 'program:a' (file: 'bad.conf')")
                .exits(2);
        }
        refuse(
            world,
            "unclosed quote",
            "[program:a]\ncommand=/bin/cat\nenvironment=A=\"x\n",
            &in_section("No closing quotation", "program:a"),
        );
    });
}

/// C-054, C-067, C-068, C-069, C-070, C-071, C-073: HTTP servers and RPC interfaces.
#[test]
fn servers() {
    compare(|world| {
        for (what, text, message) in [
            ("no file", "[unix_http_server]\n", "section [unix_http_server] has no file value"),
            ("no port", "[inet_http_server]\n", "section [inet_http_server] has no port value"),
            ("port zero", "[inet_http_server]\nport=0\n", "not a valid port number: '0' "),
            ("no number", "[inet_http_server]\nport=host:\n", "no port number specified in ''"),
            ("bad mode", "[unix_http_server]\nfile=DIR/s\nchmod=x\n", "Invalid chmod value x"),
            (
                "bad owner",
                "[unix_http_server]\nfile=DIR/s\nchown=no-one:x\n",
                "Invalid sockchown value no-one:x",
            ),
            (
                "password alone",
                "[unix_http_server]\nfile=DIR/s\npassword=x\n",
                "Section [unix_http_server] contains incomplete authentication: If a username or a password is specified, both the username and password must be specified",
            ),
            (
                "user name alone",
                "[inet_http_server:b]\nport=9001\nusername=x\n",
                "Section [inet_http_server:b] contains incomplete authentication: If a username or a password is specified, both the username and password must be specified",
            ),
            (
                "no factory",
                "[rpcinterface:x]\na=b\n",
                "section [rpcinterface:x] does not specify a supervisor.rpcinterface_factory",
            ),
        ] {
            world.refuses(what, &format!("[supervisord]\n{text}")).complains(message).exits(2);
        }
    });
}

/// C-101, C-102, C-103, C-105, C-106, C-107, C-108: event listeners and FastCGI programs.
#[test]
fn listeners_and_fcgi() {
    compare(|world| {
        let listener = "[eventlistener:l]\ncommand=/bin/cat\n";
        let fcgi = "[fcgi-program:f]\ncommand=/bin/cat\n";
        for (what, text, message) in [
            (
                "no events",
                listener.to_owned(),
                "[eventlistener:l] section requires an \"events\" line",
            ),
            (
                "unknown event",
                format!("{listener}events=TICK_5,NOISE\n"),
                "Unknown event type NOISE in [eventlistener:l] events",
            ),
            (
                "no buffer",
                format!("{listener}events=TICK_5\nbuffer_size=0\n"),
                "[eventlistener:l] section sets invalid buffer_size (0)",
            ),
            (
                "redirected listener",
                format!("{listener}events=TICK_5\nredirect_stderr=true\n"),
                "[eventlistener:l] section sets redirect_stderr=true but this is not allowed because it will interfere with the eventlistener protocol",
            ),
            (
                "handler of another kind",
                format!("{listener}events=TICK_5\nresult_handler=nowhere:nothing\n"),
                "nowhere:nothing cannot be resolved within [eventlistener:l]",
            ),
            ("no socket", fcgi.to_owned(), "[fcgi-program:f] section requires a \"socket\" line"),
            ("bad socket", format!("{fcgi}socket=foo\n"), "foo"),
            (
                "relative socket",
                format!("{fcgi}socket=unix://rel.sock\n"),
                "is not an absolute path",
            ),
            (
                "bad backlog",
                format!("{fcgi}socket=tcp://localhost:1\nsocket_backlog=0\n"),
                "Invalid socket_backlog value 0",
            ),
            (
                "mode of a tcp socket",
                format!("{fcgi}socket=tcp://localhost:1\nsocket_mode=0700\n"),
                "socket_owner and socket_mode params should only be used with a Unix domain socket",
            ),
        ] {
            world.refuses(what, &format!("{DAEMON}{text}")).complains(message).exits(2);
        }
    });
}

/// C-019, C-109, C-114: includes.
#[test]
fn includes() {
    compare(|world| {
        world
            .refuses("no files", &format!("{DAEMON}[include]\n"))
            .complains(".ini file has [include] section, but no files setting")
            .exits(2);
        world.write("conf.d/broken.conf", "[program:a]\nnothing here\n");
        world
            .refuses("broken file", &format!("{DAEMON}[include]\nfiles=conf.d/*.conf\n"))
            .complains("broken.conf")
            .exits(2);
        world.write("conf.d/broken.conf", "[program:a]\ncommand=/bin/cat\nstartsecs=x\n");
        world
            .refuses("bad value", &format!("{DAEMON}[include]\nfiles=conf.d/*.conf\n"))
            .complains("in section 'program:a' (file: 'DIR/conf.d/broken.conf')")
            .exits(2);
    });
}
