//! The socket of `[fcgi-program:x]` (C-105 to C-108, C-423).

use super::options::{OptionDef, option};
use super::reader::{Context, Scope};
use super::values;
use crate::model::record::Level;
use crate::model::spec::{FcgiAddress, FcgiSocket, ProcessKind};

const SOCKET: &OptionDef = option!(FcgiProgram, "socket");
const BACKLOG: &OptionDef = option!(FcgiProgram, "socket_backlog");
const OWNER: &OptionDef = option!(FcgiProgram, "socket_owner");
const MODE: &OptionDef = option!(FcgiProgram, "socket_mode");

/// Reads the socket, in upstream's order; none when something is wrong with it.
pub(crate) fn socket(scope: &Scope<'_>, program: &str) -> Option<FcgiSocket> {
    let scope = scope.with(Context { program, ..Context::default() });
    let host = scope.reader.host;
    let section = &scope.section.name;
    let user = scope.text_with(option!(FcgiProgram, "user"), super::options::NameSet::HERE);
    let user = user.map(|text| {
        values::user(host, &text)
            .map_err(|message| scope.wrong(option!(FcgiProgram, "user"), message))
    });
    let backlog = scope.read(BACKLOG, |text| {
        let number = values::integer(text)?;
        let backlog = u16::try_from(number).ok().filter(|backlog| *backlog > 0);
        backlog.ok_or_else(|| format!("Invalid socket_backlog value {number}"))
    });
    let owner = scope.read(OWNER, |text| {
        values::owner(host, text).map_err(|_| format!("Invalid socket_owner value {text}"))
    });
    let mode = scope.read(MODE, |text| {
        values::octal(text).map_err(|_| format!("Invalid socket_mode value {text}"))
    });
    let Some(text) = scope.text(SOCKET).filter(|text| !text.is_empty()) else {
        // An option that is there but cannot be expanded is reported already.
        if scope.given(SOCKET).is_none_or(|value| value.text.is_empty()) {
            scope.wrong(SOCKET, format!("[{section}] section requires a \"socket\" line"));
        }
        return None;
    };
    let address = match values::fcgi_socket(&text) {
        Ok(FcgiAddress::Unix { path, .. }) => {
            // The program's user owns the socket when it is another than ours (C-108).
            let own = user.and_then(Result::ok).filter(|user| user.uid != host.uid());
            let owner = owner.or(own.map(|user| (user.uid, Some(user.gid))));
            Ok(FcgiAddress::Unix { path, mode: mode.unwrap_or(0o700), owner })
        }
        _ if scope.given(OWNER).is_some() || scope.given(MODE).is_some() => {
            Err("socket_owner and socket_mode params should only be used with a Unix domain socket"
                .to_owned())
        }
        other => other,
    };
    match address {
        Ok(address) => Some(FcgiSocket { address, backlog }),
        Err(message) => {
            scope.wrong(SOCKET, format!("{message} in [{section}] socket"));
            None
        }
    }
}

/// What a FastCGI program in a `[group:x]` is. Upstream never looks at its socket and runs it
/// without one; here it keeps its socket (C-423). A section that upstream would run is not
/// refused for a socket that is wrong.
pub(crate) fn kind_in_group(scope: &Scope<'_>, program: &str) -> ProcessKind {
    let trial = scope.reader.trial();
    let socket = socket(&Scope { reader: &trial, ..*scope }, program);
    match (trial.finish(), socket) {
        (Ok(_), Some(socket)) => ProcessKind::FastCgi(socket),
        (Err(errors), _) => {
            let text = format!("Running without its FastCGI socket: {errors}");
            scope.reader.note(Level::Warn, text);
            ProcessKind::Program
        }
        (Ok(_), None) => ProcessKind::Program,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{MemoryHost, errors, load, load_text};
    use super::*;

    fn kind(host: &MemoryHost) -> ProcessKind {
        load(host).unwrap().groups[0].processes[0].kind.clone()
    }

    fn host(options: &str) -> MemoryHost {
        MemoryHost::with(&format!("[supervisord]\n[fcgi-program:a]\ncommand=x\n{options}"))
            .user("bob", 7, 8)
    }

    fn unix(mode: u32, owner: Option<(u32, Option<u32>)>) -> ProcessKind {
        let address = FcgiAddress::Unix { path: "/run/a.sock".into(), mode, owner };
        ProcessKind::FastCgi(FcgiSocket { address, backlog: None })
    }

    #[test]
    fn unix_sockets_belong_to_the_programs_user() {
        // C-105, C-108, C-040
        let socket = "socket=unix:///run/%(program_name)s.sock\n";
        assert_eq!(kind(&host(socket)), unix(0o700, None));
        let bobs = host(&format!("{socket}user=bob\n"));
        assert_eq!(kind(&bobs), unix(0o700, Some((7, Some(8)))));
        assert_eq!(kind(&bobs.running_as(7)), unix(0o700, None));
        let given = host(&format!("{socket}user=bob\nsocket_owner=root\nsocket_mode=0770\n"));
        assert_eq!(kind(&given), unix(0o770, Some((0, None))));
    }

    #[test]
    fn tcp_sockets_have_a_backlog_and_no_owner() {
        // C-105, C-107, C-108
        let tcp = kind(&host("socket=tcp://LOCALHOST:9\nsocket_backlog=65535\n"));
        let address = FcgiAddress::Tcp { host: "localhost".to_owned(), port: 9 };
        assert_eq!(tcp, ProcessKind::FastCgi(FcgiSocket { address, backlog: Some(65535) }));
        let place = |option, line| {
            format!(
                "(section 'fcgi-program:a', option '{option}', file: '/etc/s.conf', line {line})"
            )
        };
        for (options, message) in [
            (
                "socket=tcp://h:9\nsocket_mode=0700\n",
                "socket_owner and socket_mode params should only be used with a Unix domain socket \
                 in [fcgi-program:a] socket"
                    .to_owned()
                    + " " + &place("socket", 4),
            ),
            (
                "socket=tcp://h:9\nsocket_backlog=0\n",
                format!("Invalid socket_backlog value 0 {}", place("socket_backlog", 5)),
            ),
            (
                "socket=foo\n",
                format!("Bad socket format foo in [fcgi-program:a] socket {}", place("socket", 4)),
            ),
            (
                "",
                format!(
                    "[fcgi-program:a] section requires a \"socket\" line {}",
                    place("socket", 2)
                ),
            ),
            (
                "socket=unix:///s\nsocket_owner=eve\n",
                format!("Invalid socket_owner value eve {}", place("socket_owner", 5)),
            ),
        ] {
            assert_eq!(errors(&format!("[fcgi-program:a]\ncommand=x\n{options}")), message);
        }
    }

    #[test]
    fn programs_in_a_group_keep_their_socket() {
        // C-405, C-423
        let text = "[group:g]\nprograms=a,b\n[fcgi-program:a]\ncommand=x\nsocket=tcp://h:1\n\
                    [fcgi-program:b]\ncommand=x\n";
        let settings = load_text(text).unwrap();
        let kinds: Vec<_> = settings.groups[0].processes.iter().map(|p| p.kind.clone()).collect();
        assert!(matches!(kinds[..], [ProcessKind::FastCgi(_), ProcessKind::Program]));
        assert!(settings.notes[0].text.starts_with("Running without its FastCGI socket: "));
    }
}
