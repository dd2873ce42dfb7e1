//! supervisorctl's own flags, and how it finds its configuration and its daemon.

use crate::compare::compare;
use crate::support::process::run;
use crate::world::DAEMON;

const A: &str = "[program:a]\ncommand=/bin/sleep 100\nstartsecs=0\n";

/// C-219, C-220: help, and flags that are refused.
#[test]
fn flags() {
    compare(|world| {
        for flag in ["-h", "--help", "-?"] {
            let output = run(&mut world.command("supervisorctl", &[flag]));
            world.note(&format!("{flag} / exit"), &output.code.to_string());
            for option in ["--configuration", "--interactive", "--serverurl", "--username"] {
                let has = output.stdout.contains(option);
                world.note(&format!("{flag} mentions {option}"), &has.to_string());
            }
        }
        world.config(DAEMON);
        for args in [
            &["-v"][..],
            &["--bogus", "status"],
            &["-i", "-i"],
            &["-s"],
            &["--serverurl"],
            &["--user"],
            &["-c", "nowhere.conf", "status"],
        ] {
            world.ctl_raw(args).exits(2);
        }
    });
}

/// C-055: server URLs that are none.
#[test]
fn server_urls() {
    compare(|world| {
        world.config(DAEMON);
        for url in ["foo", "http:", "unix://", "://x", ""] {
            world.ctl_raw(&["-c", "supervisord.conf", "-s", url, "version"]);
        }
        world
            .ctl_raw(&["-c", "supervisord.conf", "-s", "foo", "version"])
            .complains("invalid value for -s 'foo': value 'foo' is not a URL")
            .exits(2);
    });
}

/// C-001, C-003, C-006: the configuration is found where supervisord's is, or none is used.
#[test]
fn finds_its_configuration() {
    compare(|world| {
        world.programs(A);
        world.start();
        world.expect_running(&["a"]);
        world.ctl_raw(&["status", "a"]).exits(0);
        std::fs::create_dir(world.dir.join("etc")).expect("a directory");
        let (from, to) = (world.dir.join("supervisord.conf"), world.dir.join("away.conf"));
        std::fs::rename(from, &to).expect("it was there");
        let url = format!("unix://{}/sv.sock", world.dir.path().display());
        let output = run(&mut world.command("supervisorctl", &["version"]));
        world.note("without any configuration / exit", &output.code.to_string());
        let upstream = world.side == crate::world::Side::Upstream;
        if upstream {
            let output = run(&mut world.command("supervisorctl", &["-s", &url, "version"]));
            world.upstream_is("the URL is enough", output.stdout == "4.3.0\n");
        }
    });
}

/// C-074, C-076, C-041: the section it has to have, and what it expands.
#[test]
fn its_section() {
    compare(|world| {
        world.write("included.conf", "[supervisorctl]\nprompt=included\n");
        world.write("only.conf", "[supervisord]\n[include]\nfiles=included.conf\n");
        world
            .ctl_raw(&["-c", "only.conf", "version"])
            .complains(".ini file does not include supervisorctl section")
            .exits(2);
        world.write("bad.conf", "[supervisorctl]\nprompt=%(nothing)s\n");
        world.ctl_raw(&["-c", "bad.conf", "version"]).exits(2);
        world.env.push(("WHO".to_owned(), "expanded".to_owned()));
        world.write(
            "supervisord.conf",
            &format!("{}prompt=%(ENV_WHO)s\n{DAEMON}{A}", crate::world::HEAD),
        );
        world.start();
        world.expect_running(&["a"]);
        world.ctl_typing(&[], "version\n").mentions("expanded> ");
    });
}

/// C-051, C-059, C-063, C-087, C-136: paths and names that are left to the defaults.
#[test]
fn defaults() {
    compare(|world| {
        world.env.push(("TMPDIR".to_owned(), world.dir.join("tmp").display().to_string()));
        std::fs::create_dir(world.dir.join("tmp")).expect("a directory");
        std::fs::create_dir(world.dir.join("sub")).expect("a directory");
        world.config(&format!(
            "[supervisord]\nidentifier=my own\n{A}\
             [program:b]\ncommand=/bin/echo b\nstartsecs=0\nautorestart=false\nstdout_logfile=sub/b.out\nstderr_logfile=Off\n\
             [program:c]\ncommand=/bin/echo c\nstartsecs=0\nautorestart=false\nstdout_logfile=~/c.out\nstderr_logfile=\n"
        ));
        world.start();
        world.expect_running(&["a"]);
        world.expect_exited(&["b", "c"]);
        for dir in [".", "tmp", "sub"] {
            let names = world.names(dir).join("\n");
            world.note(&format!("files in {dir}"), &names);
        }
        world.stop();
    });
}
