//! The completions of supervisorctl in the three shells, against a supervisorctl that answers
//! from a file.

use std::path::Path;
use std::process::Command;

use super::support::process::{Output, run};
use super::support::scratch::Scratch;
use super::tree;

/// Answers `status` and `avail`; a name tries to do harm, and there is an error among the lines.
const FAKE: &str = r#"#!/bin/sh
echo "$*" >>"$CALLS"
for last; do :; done
case $last in
status)
    echo 'web:web_0                        RUNNING   pid 12, uptime 0:00:01'
    echo 'web:web_1                        STOPPED   Not started'
    echo 'worker                           FATAL     can not find it'
    echo 'evil$(touch$IFS$PWNED)           RUNNING   pid 13, uptime 0:00:01'
    echo 'error: is no process'
    exit 3 ;;
avail)
    echo 'web:web_0                        in use    auto      999:999'
    echo 'web:web_1                        in use    auto      999:999'
    echo 'newone                           avail     auto      -1:999' ;;
esac
"#;

/// What is typed, and the candidates (or for zsh, what it becomes when there is only one).
const NAMES: [(&str, &[&str]); 15] = [
    ("supervisorctl shut", &["shutdown"]),
    ("supervisorctl --hist", &["--history_file"]),
    ("supervisorctl -s dbus:sy", &["dbus:system"]),
    ("supervisorctl start wo", &["worker"]),
    ("supervisorctl start web:web_1", &["web:web_1"]),
    ("supervisorctl -c x --serverurl dbus:system start wo", &["worker"]),
    ("supervisorctl stop worker al", &["all"]),
    ("supervisorctl signal H", &["HUP"]),
    ("supervisorctl signal HUP wo", &["worker"]),
    ("supervisorctl tail -f wo", &["worker"]),
    ("supervisorctl tail worker stdo", &["stdout"]),
    ("supervisorctl add n", &["newone"]),
    ("supervisorctl remove w", &["web"]),
    ("supervisorctl help vers", &["version"]),
    ("supervisorctl web --r", &["--read-only"]),
];

struct Stage {
    scratch: Scratch,
}

impl Stage {
    fn new() -> Self {
        let scratch = Scratch::new();
        scratch.script("bin/supervisorctl", FAKE);
        Self { scratch }
    }

    /// Runs a script of a shell with the stand-in first in PATH.
    fn run(&self, shell: &str, script: &str, args: &[&str]) -> Output {
        let script = self.scratch.write("script", script);
        let path = format!("{}:/usr/bin:/bin", self.scratch.join("bin").display());
        let mut command = Command::new(shell);
        if shell == "zsh" {
            command.arg("-f");
        }
        command.arg(script).args(args).current_dir(self.scratch.path()).env("PATH", path);
        command.env("HOME", self.scratch.path()).env("TERM", "dumb");
        command.env("CALLS", self.scratch.join("calls"));
        run(command.env("PWNED", self.scratch.join("pwned")))
    }

    /// The lines of a script's output, which has to be without a complaint.
    fn lines(&self, shell: &str, script: &str, args: &[&str]) -> Vec<String> {
        let output = self.run(shell, script, args);
        assert_eq!((output.code, output.stderr.as_str()), (0, ""), "{shell}: {}", output.stdout);
        output.stdout.lines().map(ToOwned::to_owned).collect()
    }

    fn check_calls(&self) {
        let calls = self.scratch.read("calls");
        assert!(calls.contains("--no-ask-password -c x --serverurl dbus:system status"), "{calls}");
        assert!(!self.scratch.join("pwned").exists(), "a name was run as a command");
    }
}

fn script(place: &str) -> String {
    tree("packaging/completions").join(place).display().to_string()
}

#[test]
fn bash_completes_actions_flags_and_names() {
    let stage = Stage::new();
    let test = format!(
        "source {}\n\
         compopt() {{ :; }}\n\
         for line in \"$@\"; do\n\
             COMP_LINE=$line COMP_POINT=${{#line}} COMP_WORDBREAKS=$' \\t\\n'\n\
             _supervisorctl && echo \"${{COMPREPLY[*]}}\"\n\
         done\n",
        script("bash/supervisorctl")
    );
    let typed = NAMES.map(|(line, _)| line);
    let wanted = NAMES.map(|(_, names)| names.join(" "));
    assert_eq!(stage.lines("bash", &test, &typed), wanted);
    stage.check_calls();

    let typed = ["supervisorctl st", "supervisorctl start w", "supervisorctl start e"];
    let wanted = [
        "start status stop",
        "web:* web:web_0 web:web_1 worker",
        "evil\\$\\(touch\\$IFS\\$PWNED\\)",
    ];
    assert_eq!(stage.lines("bash", &test, &typed), wanted);
    // As bash has it, names end at their colons.
    let test = test.replace("$' \\t\\n'", "$' \\t\\n:='");
    assert_eq!(stage.lines("bash", &test, &["supervisorctl stop web:"]), ["* web_0 web_1"]);
}

#[test]
fn fish_completes_actions_flags_and_names() {
    let stage = Stage::new();
    let test = format!(
        "source {}\n\
         for line in $argv\n\
             complete -C $line | string replace -r '\\t.*' '' | string join ' '\n\
         end\n\
         true\n",
        script("fish/supervisorctl.fish")
    );
    let typed = NAMES.map(|(line, _)| line);
    let wanted = NAMES.map(|(_, names)| names.join(" "));
    assert_eq!(stage.lines("fish", &test, &typed), wanted);
    stage.check_calls();

    let typed = ["supervisorctl st", "supervisorctl start w"];
    let wanted = ["start status stop", "web:* web:web_0 web:web_1 worker"];
    assert_eq!(stage.lines("fish", &test, &typed), wanted);
}

/// Zsh completes on a terminal only, so it gets one: what a single candidate makes of the line.
#[test]
fn zsh_completes_actions_flags_and_names() {
    let stage = Stage::new();
    let dir = tree("packaging/completions/zsh");
    let test = ZSH.replace("@functions@", &dir.display().to_string());
    let typed = NAMES.map(|(line, _)| line);
    let wanted = NAMES.map(|(line, names)| {
        let (before, _) = line.rsplit_once(' ').expect("several words");
        format!("{before} {}", names[0])
    });
    let became = stage.lines("zsh", &test, &typed);
    assert_eq!(became.iter().map(|line| line.trim_end()).collect::<Vec<_>>(), wanted);
    stage.check_calls();

    let typed = ["supervisorctl start e", "supervisorctl sta"];
    let became = stage.lines("zsh", &test, &typed);
    let wanted = ["supervisorctl start evil\\$\\(touch\\$IFS\\$PWNED\\) ", "supervisorctl sta"];
    assert_eq!(became, wanted, "names are quoted; what is not clear stays");
}

const ZSH: &str = r#"
zmodload zsh/zpty
zpty shell zsh -f -i
tell() { zpty -w shell "$1" }
tell 'unsetopt prompt_cr; PS1=; fpath=(@functions@ $fpath); autoload -U compinit; compinit -u -D'
tell 'show() { print -r -- "LINE[$BUFFER]"; BUFFER= }; zle -N show; bindkey "^X^X" show'
tell 'setopt no_beep no_auto_list; bindkey "^I" complete-word; print READY'
zpty -r -m shell line '*READY*READY*'
for typed in "$@"; do
    zpty -w -n shell "$typed"$'\t\x18\x18'
    zpty -r -m shell line '*LINE\[*\]*'
    print -r -- "${${line##*LINE\[}%%\]*}"
done
zpty -d shell
"#;

#[test]
fn completions_of_the_other_programs_load() {
    let stage = Stage::new();
    for name in ["supervisord", "pidproxy"] {
        let loaded = format!("source {}; complete -p {name}", script(&format!("bash/{name}")));
        assert!(stage.lines("bash", &loaded, &[])[0].contains("-F"), "{name}");
        let loaded = format!("source {}", script(&format!("fish/{name}.fish")));
        assert!(stage.lines("fish", &loaded, &[]).is_empty(), "{name}");
        let function = script(&format!("zsh/_{name}"));
        assert!(Path::new(&function).exists());
        let output =
            stage.run("zsh", &format!("zmodload zsh/zleparameter; zsh -n {function}"), &[]);
        assert_eq!((output.code, output.stderr.as_str()), (0, ""), "{name}");
    }
    let levels =
        format!("source {}\ncomplete -C 'supervisord -e '", script("fish/supervisord.fish"));
    let levels = stage.lines("fish", &levels, &[]);
    assert!(levels.iter().any(|level| level.starts_with("blather")), "{levels:?}");
}
