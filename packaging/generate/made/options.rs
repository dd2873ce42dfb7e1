//! The sections and options of `supervisord.conf`(5), from the table of the configuration.

use supervisor::config::options::{Default, Kind, OptionDef, SectionKind};

use super::markup::{bold, italic, item, prose, subsection, text_line};

/// What each section is for.
fn about(kind: SectionKind) -> &'static str {
    match kind {
        SectionKind::UnixHttpServer => {
            "A socket in the file system that serves XML-RPC. More of them may follow, with names \
             such as [unix_http_server:second]."
        }
        SectionKind::InetHttpServer => {
            "A port that serves the web page and XML-RPC. Without tls_certificate nothing on it is \
             encrypted: keep it on the machine then, or behind a proxy that encrypts. More of them \
             may follow, with names such as [inet_http_server:second]."
        }
        SectionKind::Supervisord => "supervisord itself. This section must be there.",
        SectionKind::Supervisorctl => {
            "What supervisorctl needs to know. It reads this section in the main file alone, not in \
             included ones."
        }
        SectionKind::Program => {
            "A program to run. Its name follows the colon; unless a group takes it in, the program \
             is a group of the same name."
        }
        SectionKind::Include => "More files. Included files cannot include others.",
        SectionKind::Group => "Programs that are started, stopped and named together.",
        SectionKind::FcgiProgram => {
            "A FastCGI program: processes that share one listening socket, which is their standard \
             input. It is opened before the first of them starts, and closed, and its file removed, \
             when the last one is gone: to restart them without losing a connection, have at least \
             two and restart one after the other. When it cannot be opened, the processes fail to \
             start, and supervisorctl status says why. An IPv6 address stands in brackets. The section has all \
             options of [program:NAME], and these:"
        }
        SectionKind::EventListener => {
            "A program that is told of events on its standard input. It has all options of \
             [program:NAME] but redirect_stderr and the capture of standard output, and these:"
        }
        SectionKind::RpcInterface => {
            "The methods of XML-RPC. Where this section is missing, there is no XML-RPC."
        }
        SectionKind::CtlPlugin => "A plugin of supervisorctl.",
    }
}

/// All sections with their options.
pub fn sections() -> String {
    SectionKind::ALL.into_iter().map(section).collect()
}

fn section(kind: SectionKind) -> String {
    let name = match kind.prefix().split_once(':') {
        Some((prefix, _)) => format!("[{prefix}:NAME]"),
        None => format!("[{}]", kind.prefix()),
    };
    let own = |option: &&OptionDef| {
        kind == SectionKind::Program || !option.sections.contains(&SectionKind::Program)
    };
    let options = kind.options().filter(own).map(option);
    let head = subsection(&name) + &text_line(&prose(about(kind)));
    options.fold(head, |all, option| all + &option)
}

fn option(option: &OptionDef) -> String {
    let term = format!("{}={}", bold(option.key), italic(placeholder(option.kind)));
    let mut text = item(&term, &prose(option.doc));
    text += ".br\n";
    let default = match option.default {
        Default::Required => "Required.".to_owned(),
        Default::Value("") => "Default: none.".to_owned(),
        Default::Value(value) => format!("Default: {}.", bold(value)),
        Default::Unset(meaning) => format!("Default: {}.", prose(meaning)),
    };
    text += &text_line(&default);
    let names: Vec<String> = option.names.list().map(bold).collect();
    text += &text_line(&format!("Expansions: {}.", names.join(", ")));
    if option.since != "3.0" {
        text += &text_line(&format!("Since {}.", option.since));
    }
    text
}

/// What stands for a value; the page tells of most of them under VALUES.
fn placeholder(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "text",
        Kind::Bool => "boolean",
        Kind::Int => "number",
        Kind::Bytes => "bytes",
        Kind::Octal => "octal",
        Kind::Signal => "signal",
        Kind::ExitCodes => "codes",
        Kind::Autorestart => "boolean|unexpected",
        Kind::KillMode => "control-group|mixed|process",
        Kind::ChildLog => "log",
        Kind::FilePath | Kind::Path => "path",
        Kind::Directory => "directory",
        Kind::Level => "level",
        Kind::User => "user",
        Kind::Owner => "owner",
        Kind::Address => "[host:]port",
        Kind::Url => "url",
        Kind::Environment => "environment",
        Kind::Command => "command",
        Kind::List => "list",
        Kind::Patterns => "patterns",
        Kind::Socket => "socket",
    }
}
