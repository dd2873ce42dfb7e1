//! supervisord's command line.

use crate::compare::compare;
use crate::world::DAEMON;

/// C-115: what is answered before any configuration is read.
#[test]
fn information() {
    compare(|world| {
        for flag in ["-v", "--version"] {
            world.supervisord(&[flag]).prints("4.3.0\n").exits(0);
        }
        for flag in ["-h", "--help", "-?"] {
            let output = crate::support::process::run(&mut world.command("supervisord", &[flag]));
            world.note(&format!("{flag} / exit"), &output.code.to_string());
            world.note(&format!("{flag} / stderr"), &output.stderr);
            for option in ["-c/--configuration", "-n/--nodaemon", "--minprocs"] {
                let has = output.stdout.contains(option.rsplit('/').next().expect("a part"));
                world.note(&format!("{flag} mentions {option}"), &has.to_string());
            }
        }
    });
}

/// C-018, C-022, C-023, C-024, C-025, C-117: command lines that are refused.
#[test]
fn refused() {
    compare(|world| {
        world.config(DAEMON);
        for (args, message) in [
            (&["--bogus"][..], "option --bogus not recognized"),
            (&["-X"], "option -X not recognized"),
            (&["-c"], "option -c requires argument"),
            (&["--configuration"], "option --configuration requires argument"),
            (&["-n", "foo"], "positional arguments are not supported: ['foo']"),
            (&["foo", "bar"], "positional arguments are not supported: ['foo', 'bar']"),
            (&["-c", "a", "-c", "b"], "conflicting command line option '-c'"),
            (&["-n", "-n"], "conflicting command line option '-n'"),
            (&["--nodaemon", "-n"], "conflicting command line option '-n'"),
            (&["--m", "20"], "option --m not a unique prefix"),
            (&["-e", "loud"], "invalid value for -e 'loud': bad logging level name 'loud'"),
            (&["-a", "x"], "invalid value for -a 'x': invalid literal for int() with base 10: 'x'"),
            (&["-m", "9"], "invalid value for -m '9': 9 can not be converted to an octal type"),
            (
                &["-y", "1K"],
                "invalid value for -y '1K': invalid literal for int() with base 10: '1k'",
            ),
            (&["--nodaemon=yes"], "option --nodaemon must not have an argument"),
        ] {
            world.supervisord(args).complains(message).exits(2);
        }
    });
}

/// C-025, C-065, C-066, C-116, C-154: flags, short, long and abbreviated, win over the file.
#[test]
fn precedence() {
    compare(|world| {
        world.config(
            "[supervisord]\nlogfile=DIR/file.log\npidfile=DIR/file.pid\nchildlogdir=DIR\nloglevel=critical\nidentifier=fromfile\n\
             [program:a]\ncommand=/bin/sleep 100\n",
        );
        world.dir.write("logs/keep", "");
        world.start_with(&[
            "-l",
            "supervisord.log",
            "--pidf=flag.pid",
            "--loglevel",
            "DEBUG",
            "-q",
            "logs",
            "-iflag",
            "--minp",
            "20",
            "--profile_options",
            "cumulative",
        ]);
        world.expect_running(&["a"]);
        let there: Vec<bool> = ["file.log", "file.pid", "flag.pid"]
            .iter()
            .map(|name| world.dir.join(name).exists())
            .collect();
        world.note("files", &format!("{there:?}"));
        let names = world.dir.names("logs").join(" ");
        world.note("logs", &names);
        world.upstream_is("the identifier is the flag's", names.contains("---flag-"));
        let debug = world.main_log().contains(" DEBG ");
        world.note("debug lines", &debug.to_string());
        world.signal(nix::sys::signal::Signal::SIGTERM);
        let _ = world.daemon.as_mut().expect("it was started").wait(crate::support::PATIENCE);
        world.note("pid file is gone", &(!world.dir.join("flag.pid").exists()).to_string());
    });
}

/// C-001, C-002, C-004: the configuration that is found without being named.
#[test]
fn search_path() {
    compare(|world| {
        world.supervisord(&["-n"]).exits(2);
        let bin = world.dir.join("prefix/bin");
        std::fs::create_dir_all(&bin).expect("a directory");
        let link = bin.join("supervisord");
        std::os::unix::fs::symlink(world.program("supervisord"), &link).expect("a link");
        // Each names itself by an error; the first of them wins and is then removed.
        let places = [
            "prefix/etc/supervisord.conf",
            "prefix/supervisord.conf",
            "supervisord.conf",
            "etc/supervisord.conf",
        ];
        for place in places {
            world.dir.write(place, format!("[supervisord]\nminfds={place}\n"));
        }
        for place in places {
            let mut command = crate::support::daemon::command(&link, world.dir.path());
            let output = crate::support::process::run(command.arg("-n"));
            let seen = world.observe(&format!("with {place}"), &output);
            seen.complains(&format!("base 10: '{place}'")).exits(2);
            std::fs::remove_file(world.dir.join(place)).expect("it was there");
        }
    });
}
