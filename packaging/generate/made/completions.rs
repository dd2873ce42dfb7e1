//! The completions: clap's own for `supervisord`; for `supervisorctl` the scripts in
//! `packaging/generate/shells`, which ask the daemon for names, with flags and actions put in.

use clap::{Arg, Command, ValueHint};
use clap_complete::{Shell, generate};
use supervisor::ctl::commands::help::topics;

use super::{Made, programs};

/// Flags that say which daemon is meant, and how to get in.
const WHERE: [&str; 4] = ["configuration", "serverurl", "username", "password"];
/// What URLs begin with, and those that are complete.
const URLS: &str = "dbus:system dbus:session dbus:unix:path= unix:/// http://";
/// The signals that programs are sent most.
const SIGNALS: &str = "HUP INT QUIT KILL USR1 USR2 TERM CONT STOP WINCH";

/// All completions.
pub fn all() -> Vec<Made> {
    [(Shell::Bash, "bash/"), (Shell::Zsh, "zsh/_"), (Shell::Fish, "fish/")]
        .into_iter()
        .flat_map(|(shell, place)| {
            let suffix = if shell == Shell::Fish { ".fish" } else { "" };
            let path = move |name: &str| format!("packaging/completions/{place}{name}{suffix}");
            let static_ = |mut command: Command| {
                let name = command.get_name().to_owned();
                let mut text = Vec::new();
                generate(shell, &mut command, &name, &mut text);
                let text = String::from_utf8(text).expect("a script of text");
                Made { path: path(&name), text }
            };
            let supervisorctl = Made { path: path("supervisorctl"), text: supervisorctl(shell) };
            [static_(programs::supervisord()), supervisorctl]
        })
        .collect()
}

fn supervisorctl(shell: Shell) -> String {
    let command = programs::supervisorctl();
    let flags: Vec<&Arg> = command.get_arguments().collect();
    let takes_value = |arg: &&Arg| arg.get_action().takes_values();
    let is_where = |arg: &Arg| arg.get_long().is_some_and(|long| WHERE.contains(&long));
    let some = |wanted: &dyn Fn(&Arg) -> bool, between: &str| -> String {
        let wanted = flags.iter().filter(|arg| wanted(arg)).flat_map(|arg| spellings(arg));
        wanted.collect::<Vec<_>>().join(between)
    };
    let between = if shell == Shell::Bash { " | " } else { " " };
    let text = match shell {
        Shell::Bash => include_str!("../shells/supervisorctl.bash"),
        Shell::Zsh => include_str!("../shells/supervisorctl.zsh"),
        _ => include_str!("../shells/supervisorctl.fish"),
    };
    let put_in: [(&str, String); 11] = [
        ("@where@", some(&is_where, between)),
        ("@other@", some(&|arg| takes_value(&arg) && !is_where(arg), between)),
        ("@values@", some(&|arg| takes_value(&arg), between)),
        ("@files@", some(&|arg| arg.get_value_hint() == ValueHint::FilePath, between)),
        ("@flags@", some(&|_| true, " ")),
        ("@urls@", URLS.to_owned()),
        ("@signals@", SIGNALS.to_owned()),
        ("@described@", zsh_actions()),
        ("@arguments@", lines(&flags, zsh_flag)),
        ("@options@", lines(&flags, fish_flag)),
        ("@actions@", if shell == Shell::Fish { fish_actions() } else { names().join(" ") }),
    ];
    let (first, rest) = text.split_once('\n').expect("several lines");
    let note = "# Made by `make generated` from packaging/generate/shells; edit that.";
    let text = format!("{first}\n{note}\n{rest}");
    put_in.into_iter().fold(text, |text, (name, value)| text.replace(name, &value))
}

fn spellings(arg: &Arg) -> Vec<String> {
    let short = arg.get_short().map(|short| format!("-{short}"));
    short.into_iter().chain(arg.get_long().map(|long| format!("--{long}"))).collect()
}

fn lines(flags: &[&Arg], line: impl Fn(&Arg) -> String) -> String {
    flags.iter().map(|arg| line(arg)).collect::<Vec<_>>().join("\n")
}

/// The actions and what they do, `help` among them.
fn actions() -> Vec<(&'static str, &'static str)> {
    let topics = topics().map(|(name, lines)| (*name, lines[0].1));
    let mut actions: Vec<_> = topics.chain([("help", "Tell what an action does")]).collect();
    actions.sort_unstable();
    actions
}

fn names() -> Vec<&'static str> {
    actions().into_iter().map(|(name, _)| name).collect()
}

/// What an argument is for, without what zsh would take for its own.
fn help(arg: &Arg) -> String {
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    help.replace(['[', ']'], "").replace(": ", " - ")
}

/// Text between single quotes.
fn zsh_quoted(text: &str) -> String {
    text.replace('\'', "'\\''")
}

/// Text between single quotes.
fn fish_quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\'', "\\'")
}

fn zsh_actions() -> String {
    let line = |(name, text)| format!("        '{name}:{}'", zsh_quoted(text));
    actions().into_iter().map(line).collect::<Vec<_>>().join("\n")
}

fn zsh_flag(arg: &Arg) -> String {
    let spelled = spellings(arg);
    let value = match (arg.get_long(), arg.get_value_hint()) {
        _ if !arg.get_action().takes_values() => "",
        (_, ValueHint::FilePath) => ":file:_files",
        (Some("serverurl"), _) => ":URL:->url",
        _ => ":value: ",
    };
    // Braces around one word are no braces to a shell.
    let all = spelled.join(",");
    let all = if spelled.len() > 1 { format!("{{{all}}}") } else { all };
    format!(
        "        '({})'{all}'[{}]{value}' \\",
        spelled.join(" "),
        zsh_quoted(&help(arg).replace(':', "\\:"))
    )
}

fn fish_flag(arg: &Arg) -> String {
    let mut words = vec!["complete -c supervisorctl -n __supervisorctl_no_action".to_owned()];
    words.extend(arg.get_short().map(|short| format!("-s {short}")));
    words.extend(arg.get_long().map(|long| format!("-l {long}")));
    words.extend(match (arg.get_long(), arg.get_value_hint()) {
        _ if !arg.get_action().takes_values() => None,
        (_, ValueHint::FilePath) => Some("-r -F".to_owned()),
        (Some("serverurl"), _) => Some(format!("-x -a '{URLS}'")),
        _ => Some("-x".to_owned()),
    });
    words.push(format!("-d '{}'", fish_quoted(&help(arg))));
    words.join(" ")
}

fn fish_actions() -> String {
    let line = |(name, text)| {
        let text = fish_quoted(text);
        format!(
            "complete -c supervisorctl -n __supervisorctl_no_action -a {name} -d '{text}'\n\
             complete -c supervisorctl -n '__supervisorctl_action help' -a {name} -d '{text}'"
        )
    };
    actions().into_iter().map(line).collect::<Vec<_>>().join("\n")
}
