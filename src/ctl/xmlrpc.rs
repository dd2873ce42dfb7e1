//! `unix://` and `http://`: where XML-RPC is spoken. This build only finds out whether somebody
//! listens there, and says that it cannot talk to them.

use super::unreachable::Reason;

/// The port of `http://` when the URL names none.
const HTTP_PORT: u16 = 80;

/// Host (lower case, without user) and port of what follows `http:` in a URL.
#[must_use]
pub fn host_and_port(rest: &str) -> (String, u16) {
    let authority = rest.strip_prefix("//").unwrap_or_default();
    let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().unwrap_or(HTTP_PORT)),
        None => (authority, HTTP_PORT),
    };
    (host.to_ascii_lowercase(), port)
}

/// Why there is no talking to the daemon at a `unix://` or `http://` URL: nobody listens (C-231,
/// C-232), or somebody does and expects XML-RPC.
pub async fn probe(url: &str) -> (Reason, String) {
    let connected = match url.get(..7) {
        Some(scheme) if scheme.eq_ignore_ascii_case("unix://") => {
            tokio::net::UnixStream::connect(&url[7..]).await.map(drop)
        }
        _ => {
            let (host, port) = host_and_port(url.split_once(':').map_or("", |(_, rest)| rest));
            let host = if host.is_empty() { "localhost".to_owned() } else { host };
            tokio::net::TcpStream::connect((host, port)).await.map(drop)
        }
    };
    match connected {
        Err(error) => Reason::of_io(&error),
        Ok(()) => (
            Reason::Other {
                class: "<class 'NotImplementedError'>".into(),
                text: "it speaks XML-RPC, and this build of supervisorctl only D-Bus".into(),
            },
            "a supervisord of this version is reached by its configuration, or with -s \
             dbus:system or -s dbus:unix:path=…"
                .into(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports_are_read() {
        assert_eq!(host_and_port("//LocalHost:9001/x"), ("localhost".into(), 9001));
        assert_eq!(host_and_port("//u:p@h"), ("h".into(), 80));
        assert_eq!(host_and_port("//:9001"), (String::new(), 9001));
    }
}
