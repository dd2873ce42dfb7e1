//! The sample configuration that `echo_supervisord_conf` prints (C-385), made from the table.

use super::options::{Default, OptionDef, SectionKind};

const HEAD: &str = "\
; Sample supervisor config file.
;
; Every option is shown here once. A line that starts with a semicolon has no effect; what it
; shows is an example, and the comment behind it tells the default where that is another.
;
; How values are read:
;  - %(ENV_HOME)s is the environment variable HOME, %(here)s the directory of this file.
;    A percent sign is written %%. Neither ~ nor $HOME means anything in a command.
;  - Quotes are part of a value, except in environment= and in command=.
;  - A semicolon or # after a blank starts a comment, even inside quotes:
;    command=sh -c 'one ; two' is cut to command=sh -c 'one
;
; The files are in /tmp here because it is there and writable everywhere. Choose better places:
; some systems clean /tmp up, and supervisorctl cannot connect when the socket is gone.
";

/// One section of the sample.
struct Part {
    about: &'static str,
    kind: SectionKind,
    /// What follows the colon in its name.
    title: &'static str,
    /// Options that are in effect; none leaves out the section's header too.
    active: &'static [&'static str],
    /// Leave out what `[program:x]` shows already.
    only_own: bool,
}

const PARTS: [Part; 10] = [
    Part {
        about: "The socket that supervisorctl and XML-RPC clients connect to.",
        kind: SectionKind::UnixHttpServer,
        title: "",
        active: &["file"],
        only_own: false,
    },
    Part {
        about: "The web page, and XML-RPC over TCP. Who can connect can run any command as the user\n\
                of supervisord: keep it on localhost, or set a password, and a certificate because\n\
                nothing is encrypted without one.",
        kind: SectionKind::InetHttpServer,
        title: "",
        active: &[],
        only_own: false,
    },
    Part {
        about: "supervisord itself.",
        kind: SectionKind::Supervisord,
        title: "",
        active: &[
            "logfile",
            "logfile_maxbytes",
            "logfile_backups",
            "loglevel",
            "pidfile",
            "nodaemon",
            "silent",
            "minfds",
            "minprocs",
        ],
        only_own: false,
    },
    Part {
        about: "Without this section there is no XML-RPC, and no web page.",
        kind: SectionKind::RpcInterface,
        title: "supervisor",
        active: &["supervisor.rpcinterface_factory"],
        only_own: false,
    },
    Part {
        about: "How supervisorctl connects. It has to match one of the servers above.",
        kind: SectionKind::Supervisorctl,
        title: "",
        active: &["serverurl"],
        only_own: false,
    },
    Part {
        about: "A program to run, with all options that programs have.",
        kind: SectionKind::Program,
        title: "theprogramname",
        active: &[],
        only_own: false,
    },
    Part {
        about: "A program that is told of events. It has the options of a program, and these.",
        kind: SectionKind::EventListener,
        title: "theeventlistenername",
        active: &[],
        only_own: true,
    },
    Part {
        about: "A FastCGI program. It has the options of a program, and these.",
        kind: SectionKind::FcgiProgram,
        title: "thefcgiprogramname",
        active: &[],
        only_own: true,
    },
    Part {
        about: "Programs that are started and stopped together.",
        kind: SectionKind::Group,
        title: "thegroupname",
        active: &[],
        only_own: false,
    },
    Part {
        about: "More files like this one.",
        kind: SectionKind::Include,
        title: "",
        active: &[],
        only_own: false,
    },
];

/// A commented sample of all sections and options; it is a configuration itself.
#[must_use]
pub fn sample() -> String {
    PARTS.iter().map(Part::text).fold(HEAD.to_owned(), |all, part| all + "\n" + &part)
}

impl Part {
    fn text(&self) -> String {
        let comment =
            |lines: &str| lines.lines().fold(String::new(), |all, line| all + "; " + line + "\n");
        let off = if self.active.is_empty() { ";" } else { "" };
        let header = format!("{off}[{}{}]\n", self.kind.prefix(), self.title);
        let options = self.kind.options().filter(|option| self.shows(option));
        let lines = options.map(|option| self.line(option));
        lines.fold(comment(self.about) + &header, |all, line| all + &line)
    }

    fn shows(&self, option: &OptionDef) -> bool {
        let is_programs = option.sections.contains(&SectionKind::Program);
        let is_idle = option.key == "profile_options";
        !is_idle && (!self.only_own || option.key == "command" || !is_programs)
    }

    /// An option with an example value and what it is for.
    fn line(&self, option: &OptionDef) -> String {
        let off = if self.active.contains(&option.key) { "" } else { ";" };
        let setting = format!("{off}{}={}", option.key, option.example);
        let default = match option.default {
            Default::Required => " (required)".to_owned(),
            Default::Value("") => " (default: none)".to_owned(),
            Default::Value(value) if value == option.example => String::new(),
            Default::Value(value) => format!(" (default: {value})"),
            Default::Unset(meaning) => format!(" (default: {meaning})"),
        };
        format!("{setting:<34} ; {}{default}\n", option.summary())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{MemoryHost, load};
    use super::*;

    fn host(text: &str) -> MemoryHost {
        let host = MemoryHost::with(text).directory("/srv").directory("/etc/conf.d");
        ["nobody", "nogroup", "supervisor", "www-data"]
            .into_iter()
            .zip(1..)
            .fold(host, |host, (name, id)| host.user(name, id, id))
    }

    #[test]
    fn the_sample_is_a_configuration_with_nothing_unusual() {
        // C-385
        let text = sample();
        assert!(text.lines().next().unwrap().contains("Sample supervisor config file"));
        let settings = load(&host(&text)).unwrap();
        assert_eq!(settings.notes, []);
        assert_eq!(settings.groups, []);
        assert_eq!(settings.servers.len(), 1);
        assert!(settings.rpcinterfaces[0].builtin);
        let bare = load(&host(
            "[supervisord]\nlogfile=/tmp/supervisord.log\npidfile=/tmp/supervisord.pid\n",
        ));
        assert_eq!(settings.daemon, bare.unwrap().daemon, "it sets defaults only");
        assert!(text.lines().all(|line| line.len() <= 160));
        insta::assert_snapshot!(text);
    }

    #[test]
    fn every_example_in_it_is_valid() {
        // C-385
        let mut text = String::new();
        for line in sample().lines() {
            let option = line.strip_prefix(';').filter(|rest| !rest.starts_with(' '));
            text += option.unwrap_or(line);
            text += "\n";
        }
        let text = text.replace("programs=web,worker", "programs=theprogramname");
        let settings = load(&host(&text)).unwrap();
        assert_eq!(settings.groups.len(), 3);
        assert_eq!(settings.servers.len(), 2);
        let warnings: Vec<_> = settings.notes.iter().map(|note| note.text.as_str()).collect();
        assert_eq!(warnings, ["No file matches via include \"/etc/conf.d/*.conf\""]);
    }
}
