//! The command line and the configuration file.

use crate::fake::Fake;
use crate::run::{Run, supervisorctl};

fn run(args: &[&str]) -> Run {
    supervisorctl(args).run(b"")
}

#[test]
fn mistakes_are_usage_errors() {
    // C-018, C-022, C-023, C-024, C-025, C-055, C-005, C-220
    let program = env!("CARGO_BIN_EXE_supervisorctl");
    for (args, text) in [
        (&["--bogus"][..], "option --bogus not recognized"),
        (&["-x"], "option -x not recognized"),
        (&["-c"], "option -c requires argument"),
        (&["--conf"], "option --configuration requires argument"),
        (&["--h"], "option --h not a unique prefix"),
        (&["--interactive=1"], "option --interactive must not have an argument"),
        (&["-i", "-i"], "conflicting command line option '-i'"),
        (&["-ca", "--conf=b"], "conflicting command line option '--configuration'"),
        (&["-s", "foo"], "invalid value for -s 'foo': value 'foo' is not a URL"),
        (&["-c", "/nonexistent"], "could not find config file /nonexistent"),
    ] {
        let run = run(args);
        run.expect("", 2);
        assert_eq!(run.stderr, format!("Error: {text}\nFor help, use {program} -h\n"));
    }
}

#[test]
fn help_goes_to_stdout() {
    // C-219
    for flag in ["-h", "--help", "-?"] {
        let run = run(&[flag, "status"]);
        assert_eq!(run.code, Some(0));
        for option in ["--configuration", "--interactive", "--serverurl", "--history_file"] {
            assert!(run.stdout.contains(option), "{run:?}");
        }
    }
}

#[test]
fn the_file_needs_its_section_and_an_error_is_no_traceback() {
    // C-074, C-221, C-447
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.conf");
    let path = path.to_str().unwrap();
    std::fs::write(path, "[supervisord]\n").unwrap();
    let missing = run(&["-c", path, "status"]);
    missing.expect("", 2);
    assert!(missing.stderr.starts_with("Error: .ini file does not include supervisorctl section"));
    std::fs::write(path, "[supervisorctl]\nfoo\n").unwrap();
    let broken = run(&["-c", path, "status"]);
    broken.expect("", 1);
    assert!(broken.stderr.starts_with("Error: Source contains parsing errors: "), "{broken:?}");
}

#[test]
fn words_of_the_action_are_joined_and_split_again() {
    // C-222
    let fake = Fake::start();
    fake.ctl(&["start  cat   g:a"]).expect("cat: started\ng:a: started\n", 0);
    fake.ctl(&["start", " cat ", "g:a\tb"]).expect("cat: started\ng:a: started\nb: started\n", 0);
}
