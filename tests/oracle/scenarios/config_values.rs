//! Configurations that are accepted, and what they mean: seen in what the programs got.

use crate::compare::compare;
use crate::world::{DAEMON, World};

/// A program that prints something into `NAME.out` and ends.
fn once(name: &str, options: &str) -> String {
    format!(
        "[program:{name}]\nstartsecs=0\nautorestart=false\nstdout_logfile=DIR/{name}.out\n{options}\n"
    )
}

/// Runs such programs to their end and observes what each printed.
fn outputs(world: &mut World, head: &str, programs: &[(&str, &str)]) {
    let text: String = programs.iter().map(|(name, options)| once(name, options)).collect();
    world.config(&format!("{head}{text}"));
    world.start();
    for (name, _) in programs {
        world.expect_exited(&[name]);
        world.file(&format!("{name}.out"));
    }
}

/// C-008, C-009, C-010, C-011, C-012, C-015: how the file is read.
#[test]
fn syntax() {
    compare(|world| {
        let programs = [
            ("equals", "command=/bin/echo a=b:c"),
            ("colon", "command: /bin/echo a=b:c"),
            ("capitals", "COMMAND = /bin/echo capitals"),
            ("blanks", "command   =    /bin/echo    blanks   "),
            ("semicolon", "command=/bin/echo a;b c ; d"),
            ("hash", "command=/bin/echo a#b c # d"),
            ("tab", "command=/bin/echo a\t; b"),
            ("quoted", "command=/bin/sh -c 'echo one two'"),
            ("continued", "command=/bin/echo one\n  two\n\n  three\n  ; four\n  five=5"),
            ("comments", "; one\n# two\n   ; three\ncommand=/bin/echo comments"),
            ("unknown", "no_such_option=%(nothing)s\ncommand=/bin/echo unknown"),
            ("twice", "command=/bin/echo first\ncommand=/bin/echo second"),
            ("bracket]s", "command=/bin/echo brackets"),
        ];
        outputs(world, DAEMON, &programs);
        let text = world.dir.read("quoted.out");
        world.upstream_is("quotes are for the command", text == "one two\n");
    });
}

/// C-007, C-008, C-013, C-014: sections that come twice, defaults, and line ends of another system.
#[test]
fn sections() {
    compare(|world| {
        let text = "[DEFAULT]\r\nstartsecs=0\r\nautorestart=false\r\n\
             [supervisord] and more\r\nlogfile=DIR/other.log\r\n\
             [program:a]\r\ncommand=/bin/echo one\r\n\
             [supervisord]\r\nlogfile=DIR/supervisord.log\r\npidfile=DIR/supervisord.pid\r\nchildlogdir=DIR\r\n\
             [program:a]\r\ncommand=/bin/echo two\r\nstdout_logfile=DIR/a.out\r\n";
        world.write("supervisord.conf", text);
        world.start();
        world.expect_exited(&["a"]);
        let text = world.file("a.out");
        world.upstream_is("the last command counts", text == "two\n");
    });
}

/// C-006, C-026, C-029, C-031, C-033, C-035, C-037, C-038, C-039, C-042, C-043: expansions.
#[test]
fn expansions() {
    compare(|world| {
        world.env.push(("PERCENT".to_owned(), "100%s%%".to_owned()));
        let head = format!("{DAEMON}environment=GLOBAL=\"g\",TWICE=\"a%%%%b\"\n");
        let programs = [
            ("here", "command=/bin/echo %(here)s"),
            ("names", "command=/bin/echo %(program_name)s %(group_name)s %(numprocs)d"),
            ("numbers", "command=/bin/echo %(process_num)d %(process_num)03d %(process_num)x"),
            ("widths", "command=/bin/echo \"[%(program_name)-10s]\" \"[%(program_name)10s]\""),
            ("percent", "command=/bin/echo 100%%"),
            ("env", "command=/bin/echo %(ENV_PERCENT)s"),
            ("global", "command=/bin/echo %(ENV_GLOBAL)s %(ENV_TWICE)s"),
            ("own", "environment=OWN=\"o\"\ncommand=/bin/echo %(ENV_OWN)s"),
            (
                "num",
                "process_name=%(program_name)s_%(process_num)02d\nnumprocs=1\nnumprocs_start=7\ncommand=/bin/echo %(process_num)d",
            ),
        ];
        let text: String = programs.iter().map(|(name, options)| once(name, options)).collect();
        world.config(&format!("{head}{text}"));
        world.start();
        for (name, _) in programs {
            world.expect_exited(&[if name == "num" { "num_07" } else { name }]);
            world.file(&format!("{name}.out"));
        }
        let name = rustix_node_name();
        world.config(&format!("{head}{}", once("host", "command=/bin/echo %(host_node_name)s")));
        world.ctl(&["update"]).exits(0);
        world.expect_exited(&["host"]);
        let same = world.dir.read("host.out").trim() == name;
        world.note("host name", &same.to_string());
    });
}

/// The machine's name as uname(2) has it.
fn rustix_node_name() -> String {
    nix::sys::utsname::uname().expect("uname").nodename().to_string_lossy().into_owned()
}

/// C-045, C-046, C-047, C-048, C-049, C-050, C-080, C-081: all the ways to write a value.
#[test]
fn spellings() {
    compare(|world| {
        let mut text = String::new();
        for (index, options) in [
            "autostart=YES\nautorestart=On\nstartsecs= +0 ",
            "autostart=1\nautorestart=UNEXPECTED\nstartsecs=1_0\nstartretries=-1",
            "autostart=No\npriority=-5\nstopsignal=hup",
            "autostart=oFF\npriority=1_000\nstopsignal=SIGusr1",
            "autostart=false\nstopsignal= 9 \nexitcodes=",
            "autostart=0\nstopsignal=CLD\nexitcodes= 0 , 255 ,1",
            "autostart=false\nstopsignal=RTMIN\nstdout_logfile_maxbytes=10 mb",
            "autostart=false\numask=0o22\nstdout_logfile_maxbytes=1_0kB\nstderr_logfile_maxbytes=-1",
            "autostart=false\numask=022\nstdout_logfile_backups=-1\nstdout_logfile=NONE",
            "autostart=false\nstdout_logfile=auto\nstderr_logfile=OFF\nstopsignal=0",
            "autostart=false\nstdout_logfile=\nenvironment=\nuser=root\ndirectory=~",
        ]
        .iter()
        .enumerate()
        {
            let section = format!("[program:p{index}]\ncommand=/bin/sleep 100\n{options}\n");
            text.push_str(&section);
        }
        world.programs(&text);
        world.start();
        world.ctl(&["avail"]).exits(0);
        world.expect_running(&["p0"]);
        world.ctl(&["status"]).exits(3);
    });
}

/// C-056, C-057, C-058, C-064, C-210: what `environment=` gives.
#[test]
fn environments() {
    compare(|world| {
        let head = format!("{DAEMON}environment=SHARED=\"global\",ONLY=\"global\"\n");
        let values = [
            "A=\"1\", B=2",
            "A=1,B=2,",
            "A=1,\n  B=2",
            "A=a b",
            "A=$HOME",
            "A=~/x",
            "A='single \"inside\"',B=\"double 'inside'\"",
            "A=/usr/bin:/bin,B=x-y+z.w(1)",
            "A=1;B=2",
            "A=first,A=second",
            "SHARED=mine",
            "A=\"with, comma\",B=\"equals=in\"",
            "A=\"\"",
            "A=\"ünïcode\"",
            "HOME_OF=\"%(here)s\",SUPERVISOR_ENABLED=\"mine\"",
        ];
        let programs: Vec<(String, String)> = values
            .iter()
            .enumerate()
            .map(|(index, value)| {
                (format!("e{index}"), format!("command=/usr/bin/env\nenvironment={value}"))
            })
            .collect();
        let text: String = programs.iter().map(|(name, options)| once(name, options)).collect();
        world.config(&format!("{head}{text}"));
        world.start();
        for (name, _) in &programs {
            world.expect_exited(&[name]);
            world.sorted_file(&format!("{name}.out"));
        }
        let text = world.dir.read("e10.out");
        world.upstream_is("the program's own value wins", text.contains("SHARED=mine\n"));
        world.upstream_is("the rest comes along", text.contains("ONLY=global\n"));
    });
}

/// C-037, C-076, C-110, C-111, C-112, C-113, C-114: includes that are found.
#[test]
fn includes() {
    compare(|world| {
        world.write("conf.d/b.conf", &once("b", "command=/bin/echo b %(here)s"));
        world.write("conf.d/a.conf", &once("a", "command=/bin/echo a"));
        world.write("conf.d/.hidden.conf", &once("hidden", "command=/bin/echo hidden"));
        world.write("conf.d/nested.conf", "[include]\nfiles=../more/*.conf\n");
        world.write("conf.d/directory.conf/x", "");
        world.write("more/m.conf", &once("m", "command=/bin/echo m"));
        world.write("override.conf", "[program:a]\ncommand=/bin/echo overridden\n");
        world.config(&format!(
            "{DAEMON}[include]\nfiles=conf.d/*.conf no/such/*.conf\n  DIR/over*.conf\n"
        ));
        world.start();
        world.expect_exited(&["a", "b"]);
        world.log("of includes", &["Included", "No file matches"]);
        let text = world.file("a.out");
        world.upstream_is("the later file wins", text == "overridden\n");
        world.file("b.out");
        world.ctl(&["avail"]);
    });
}

/// C-085, C-086, C-089: options that are accepted with a warning.
#[test]
fn warnings() {
    compare(|world| {
        world.programs(
            "[program:a]\ncommand=/bin/cat\nautostart=false\nredirect_stderr=true\nstderr_logfile=DIR/x.err\n\
             [program:b]\ncommand=/bin/cat\nautostart=false\nstdout_logfile_maxbytes=0\n\
             [program:c]\ncommand=/bin/cat\nautostart=false\nstdout_logfile=syslog\n",
        );
        world.start();
        world.expect_log("Use stdout_syslog=true");
        let text = world.log("of the programs", &["program:"]);
        world.upstream_is("three warnings", text.matches(" WARN ").count() == 3);
    });
}

/// C-079, C-091, C-092, C-095, C-096, C-097, C-098, C-099, C-226, C-227, C-259: names and groups.
#[test]
fn names_and_groups() {
    compare(|world| {
        let off = "command=/bin/cat\nautostart=false\n";
        world.programs(&format!(
            "[program:many]\nprocess_name=%(program_name)s_%(process_num)d\nnumprocs=11\n{off}\
             [program: trimmed ]\n{off}\
             [program:ünï]\n{off}\
             [program:none]\nnumprocs=0\n{off}\
             [program:x]\npriority=5\n{off}\
             [program:y]\npriority=1\n{off}\
             [program:z]\n{off}\
             [group:g]\nprograms=x , y\npriority=7\n\
             [group:h]\nprograms=y\n\
             [group:empty]\n",
        ));
        world.start();
        world.ctl(&["avail"]);
        world.ctl(&["status"]).exits(3);
        world.ctl(&["status", "g:*"]).exits(3);
        world.ctl(&["status", "empty:*"]);
        world.ctl(&["status", "none:*"]);
        world.ctl(&["status", "trimmed"]);
        world.ctl(&["status", "many"]);
        world.ctl(&["status", "g:x", "many:many_10"]);
        world.ctl(&["status", "g:"]);
    });
}

/// C-074, C-075, C-220, C-221: what supervisorctl reads of the file.
#[test]
fn command_line_sections() {
    compare(|world| {
        world.dir.write("no.conf", "[supervisord]\n");
        world.ctl_raw(&["-c", "no.conf", "version"]).exits(2);
        world.dir.write("broken.conf", "nothing\n");
        world.ctl_raw(&["-c", "broken.conf", "version"]).exits(1);
        world.ctl_raw(&["-c", "nowhere.conf", "version"]).exits(2);
        world.ctl_raw(&["-s", "foo", "version"]).exits(2);
        world.ctl_raw(&["--bogus"]).exits(2);
        world.ctl_raw(&["-c"]).exits(2);
        world.ctl_raw(&["-c", "a", "-c", "b", "version"]).exits(2);
    });
}

/// C-100, C-104, C-105: listeners and FastCGI programs among the groups.
#[test]
fn listeners_and_fcgi() {
    compare(|world| {
        world.programs(
            "[program:a]\ncommand=/bin/cat\nautostart=false\n\
             [eventlistener:l]\ncommand=/bin/cat\nautostart=false\nevents=TICK_5\nstdout_capture_maxbytes=1MB\n\
             [eventlistener:m]\ncommand=/bin/cat\nautostart=false\nevents=EVENT\npriority=7\n\
             [fcgi-program:f]\ncommand=/bin/cat\nautostart=false\nsocket=unix://DIR/f.sock\n",
        );
        world.start();
        world.ctl(&["avail"]).mentions("-1:999").exits(0);
        world.ctl(&["status"]).exits(3);
    });
}
