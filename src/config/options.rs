//! The one table of all options. The parser, the sample file, the manual page and the warnings
//! about unknown options are made from it.

mod table;

pub use table::OPTIONS;

/// What kind of section it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SectionKind {
    /// `[unix_http_server]`
    UnixHttpServer,
    /// `[inet_http_server]`
    InetHttpServer,
    /// `[supervisord]`
    Supervisord,
    /// `[supervisorctl]`
    Supervisorctl,
    /// `[program:x]`
    Program,
    /// `[include]`
    Include,
    /// `[group:x]`
    Group,
    /// `[fcgi-program:x]`
    FcgiProgram,
    /// `[eventlistener:x]`
    EventListener,
    /// `[rpcinterface:x]`
    RpcInterface,
    /// `[ctlplugin:x]`
    CtlPlugin,
}

impl SectionKind {
    /// All kinds, in the order in which the manual tells of them.
    pub const ALL: [Self; 11] = [
        Self::UnixHttpServer,
        Self::InetHttpServer,
        Self::Supervisord,
        Self::Supervisorctl,
        Self::Program,
        Self::Include,
        Self::Group,
        Self::FcgiProgram,
        Self::EventListener,
        Self::RpcInterface,
        Self::CtlPlugin,
    ];

    /// The name of such a section, without what follows the colon.
    #[must_use]
    pub fn prefix(self) -> &'static str {
        match self {
            Self::UnixHttpServer => "unix_http_server",
            Self::InetHttpServer => "inet_http_server",
            Self::Supervisord => "supervisord",
            Self::Supervisorctl => "supervisorctl",
            Self::Program => "program:",
            Self::Include => "include",
            Self::Group => "group:",
            Self::FcgiProgram => "fcgi-program:",
            Self::EventListener => "eventlistener:",
            Self::RpcInterface => "rpcinterface:",
            Self::CtlPlugin => "ctlplugin:",
        }
    }

    /// The kind of the section of this name; HTTP servers go by how it starts (C-071).
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| match kind {
            Self::Supervisord | Self::Supervisorctl | Self::Include => name == kind.prefix(),
            _ => name.starts_with(kind.prefix()),
        })
    }

    /// Whether such a section may have keys of its own, for a plugin.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self, Self::RpcInterface | Self::CtlPlugin)
    }

    /// The options of such a section, in the order of the table.
    pub fn options(self) -> impl Iterator<Item = &'static OptionDef> {
        OPTIONS.iter().filter(move |option| option.sections.contains(&self))
    }
}

/// The type of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Any text.
    Text,
    /// `true` or `false` (C-044).
    Bool,
    /// A whole number (C-045).
    Int,
    /// A number of bytes (C-046).
    Bytes,
    /// A number in base 8 (C-047).
    Octal,
    /// A signal (C-048).
    Signal,
    /// Exit codes (C-049).
    ExitCodes,
    /// When to restart (C-050).
    Autorestart,
    /// What is ended with a program.
    KillMode,
    /// The log of a channel (C-051).
    ChildLog,
    /// The path of a file in an existing directory (C-059).
    FilePath,
    /// A directory that exists (C-059).
    Directory,
    /// A path that nobody checks.
    Path,
    /// A level of the log (C-060).
    Level,
    /// A user (C-053).
    User,
    /// A user, or a user and a group (C-053).
    Owner,
    /// A port, or a host and a port (C-054).
    Address,
    /// A URL (C-055).
    Url,
    /// `KEY="value"` pairs (C-056).
    Environment,
    /// A command line (C-193).
    Command,
    /// Words between commas.
    List,
    /// File name patterns between blanks (C-109).
    Patterns,
    /// A FastCGI socket (C-105).
    Socket,
}

/// What an option is when nobody sets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Default {
    /// It must be set.
    Required,
    /// Nothing; the text says what that means.
    Unset(&'static str),
    /// As if this text had been given.
    Value(&'static str),
}

/// Names that `%(…)s` knows; `ENV_*` is always there (C-030 to C-043).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NameSet(u8);

impl NameSet {
    /// `ENV_*` only.
    pub const ENV: Self = Self(0);
    /// `here`.
    pub const HERE: Self = Self(1);
    /// `host_node_name`.
    pub const HOST: Self = Self(2);
    /// `program_name`.
    pub const PROGRAM: Self = Self(4);
    /// `group_name`.
    pub const GROUP: Self = Self(8);
    /// `process_num` and `numprocs`.
    pub const NUMBER: Self = Self(16);
    /// `ENV_*` of the section's own `environment` too.
    pub const OWN: Self = Self(32);
    /// What all processes of a program share (C-034).
    pub const SHARED: Self = Self::HERE.and(Self::HOST).and(Self::PROGRAM).and(Self::GROUP);
    /// What one process knows (C-035, C-037).
    pub const PROCESS: Self = Self::SHARED.and(Self::NUMBER).and(Self::OWN);

    /// Both sets together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all names of the other set are in this one.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The names, for the manual.
    pub fn list(self) -> impl Iterator<Item = &'static str> {
        const NAMES: [(NameSet, &str); 6] = [
            (NameSet::HERE, "here"),
            (NameSet::HOST, "host_node_name"),
            (NameSet::PROGRAM, "program_name"),
            (NameSet::GROUP, "group_name"),
            (NameSet::NUMBER, "process_num"),
            (NameSet::NUMBER, "numprocs"),
        ];
        let known = NAMES.into_iter().filter(move |(set, _)| self.has(*set));
        known.map(|(_, name)| name).chain(["ENV_*"])
    }
}

/// One option, as the table describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptionDef {
    /// The kinds of section that have it.
    pub sections: &'static [SectionKind],
    /// Its key.
    pub key: &'static str,
    /// The type of its value.
    pub kind: Kind,
    /// What it is when nobody sets it.
    pub default: Default,
    /// The names that may be used in it.
    pub names: NameSet,
    /// The names of upstream's second pass, where it has one (C-032, C-038).
    pub second_pass: Option<NameSet>,
    /// The version of Supervisor that brought it.
    pub since: &'static str,
    /// A value to show.
    pub example: &'static str,
    /// What it is for: a few words for the sample, and more sentences for the manual.
    pub doc: &'static str,
}

impl OptionDef {
    /// The first sentence of what it is for, without its full stop.
    #[must_use]
    pub fn summary(&self) -> &'static str {
        let first = self.doc.split_once(". ").map_or(self.doc, |(first, _)| first);
        first.strip_suffix('.').unwrap_or(first)
    }
}

/// The option of this name in such a section. Meant for `const`: a name that is not in the table
/// does not compile.
pub(crate) const fn lookup(section: SectionKind, key: &str) -> &'static OptionDef {
    let mut at = 0;
    while at < OPTIONS.len() {
        let option = &OPTIONS[at];
        if same_text(option.key, key) {
            let mut place = 0;
            while place < option.sections.len() {
                if option.sections[place] as u8 == section as u8 {
                    return option;
                }
                place += 1;
            }
        }
        at += 1;
    }
    panic!("the option is not in the table")
}

const fn same_text(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut at = 0;
    while at < a.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    true
}

/// The table's entry of an option: `option!(Program, "startsecs")`, checked when compiled.
macro_rules! option {
    ($section:ident, $key:literal) => {
        const { $crate::config::options::lookup($crate::config::options::SectionKind::$section, $key) }
    };
}
pub(crate) use option;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_section_has_each_option_once() {
        for kind in SectionKind::ALL {
            let mut keys: Vec<_> = kind.options().map(|option| option.key).collect();
            let all = keys.len();
            keys.sort_unstable();
            keys.dedup();
            assert_eq!(keys.len(), all, "{kind:?}");
            assert!(all > 0, "{kind:?}");
        }
    }

    #[test]
    fn options_say_what_they_are_for_in_sentences() {
        for option in OPTIONS {
            assert!(option.doc.ends_with('.'), "{}", option.key);
            assert!(option.summary().len() <= 72, "{}: {}", option.key, option.summary());
            assert!(!option.example.is_empty(), "{}", option.key);
            assert_eq!(option.key, option.key.to_lowercase());
        }
    }

    #[test]
    fn sections_are_known_by_their_names() {
        // C-071
        assert_eq!(SectionKind::of("supervisord"), Some(SectionKind::Supervisord));
        assert_eq!(SectionKind::of("supervisord2"), None);
        assert_eq!(SectionKind::of("inet_http_serverfoo"), Some(SectionKind::InetHttpServer));
        assert_eq!(SectionKind::of("program:"), Some(SectionKind::Program));
        assert_eq!(SectionKind::of("program"), None);
        assert_eq!(SectionKind::of(" program:x"), None);
    }
}
