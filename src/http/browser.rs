//! Keeps other sites from using this server through somebody's browser.
//!
//! A browser adds headers that scripts cannot take away, so a request without any of them is not
//! a browser's, and clients of any kind may use any name for this machine. A browser has to use a
//! name that is ours: otherwise a site could make its own name lead here and read what it likes
//! (DNS rebinding). And it must not send what another site's page made it send (`Origin`, and
//! `Sec-Fetch-Site`, which also tells of what a page loads as an image or a frame); only a link from
//! elsewhere to one of our pages may be followed, for no GET changes anything.

use std::fs;
use std::net::IpAddr;

use nix::unistd::gethostname;
use warp::http::header::{ACCEPT_LANGUAGE, COOKIE, HOST, ORIGIN, REFERER, USER_AGENT};
use warp::http::{HeaderMap, Method};

/// What is wrong with a request that another site has made a browser send.
const FOREIGN: &str = "another site asked for this";

/// The longest file that is read for names of this machine, in bytes.
const LONGEST: usize = 1024 * 1024;

/// The names under which browsers may reach a server, in lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    names: Vec<String>,
}

impl Names {
    /// The names of this machine: its host name, with the domains that are searched, and what
    /// `/etc/hosts` calls it.
    #[must_use]
    pub fn of_this_machine() -> Self {
        let host = gethostname().unwrap_or_default();
        let read = |path| {
            let mut text = fs::read(path).unwrap_or_default();
            text.truncate(LONGEST);
            String::from_utf8_lossy(&text).into_owned()
        };
        Self::from_files(&host.to_string_lossy(), &read("/etc/resolv.conf"), &read("/etc/hosts"))
    }

    fn from_files(host: &str, resolv: &str, hosts: &str) -> Self {
        let host = host.to_lowercase();
        let short = host.split('.').next().unwrap_or_default().to_owned();
        let mut names = vec![host.clone(), short.clone(), format!("{short}.local")];
        for line in resolv.lines() {
            let mut words = line.split_whitespace();
            if let Some("search" | "domain") = words.next() {
                names.extend(words.map(|domain| format!("{short}.{}", domain.to_lowercase())));
            }
        }
        for line in hosts.lines() {
            let line = line.split('#').next().unwrap_or_default().to_lowercase();
            let aliases: Vec<&str> = line.split_whitespace().skip(1).collect();
            if aliases.iter().any(|alias| *alias == host || *alias == short) {
                names.extend(aliases.into_iter().map(str::to_owned));
            }
        }
        names.retain(|name| !name.is_empty() && !name.starts_with('.'));
        Self { names }
    }

    /// The same and one more, unless it is empty.
    #[must_use]
    pub fn and(mut self, name: &str) -> Self {
        self.names.extend((!name.is_empty()).then(|| name.to_lowercase()));
        self
    }

    /// Whether a `Host` is ours: an address, localhost, or one of the names. A name that leads
    /// here by a stranger's doing is none of them.
    fn has(&self, authority: &str) -> bool {
        let host = host_of(authority).to_ascii_lowercase();
        let host = host.strip_suffix('.').unwrap_or(&host);
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        bare.parse::<IpAddr>().is_ok()
            || host == "localhost"
            || host.ends_with(".localhost")
            || self.names.iter().any(|name| name == host)
    }
}

/// The host of `host`, `host:port` or `[address]:port`.
fn host_of(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

/// Whether a browser sent this.
#[must_use]
pub fn is_browser(headers: &HeaderMap) -> bool {
    let marks = [ORIGIN, REFERER, COOKIE, ACCEPT_LANGUAGE];
    let agent = headers.get(USER_AGENT).map_or(&[][..], |agent| agent.as_bytes());
    marks.iter().any(|mark| headers.contains_key(mark))
        || headers.keys().any(|name| name.as_str().starts_with("sec-"))
        || agent.starts_with(b"Mozilla/")
}

/// Looks whether a request is one that another site made a browser send.
///
/// # Errors
/// What is wrong, for a person.
pub fn check(names: &Names, method: &Method, headers: &HeaderMap) -> Result<(), &'static str> {
    if !is_browser(headers) {
        return Ok(());
    }
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next().and_then(|host| host.to_str().ok()), hosts.next())
    else {
        return Err("a browser has to say which host it means");
    };
    if !names.has(host) {
        return Err("this host name is not known to be of this machine: \
                    use its address, or the name that [inet_http_server] port has");
    }
    for origin in headers.get_all(ORIGIN) {
        let ours = origin.to_str().is_ok_and(|origin| is_same_origin(origin, host));
        if !ours {
            return Err(FOREIGN);
        }
    }
    if is_of_another_site(method, headers) { Err(FOREIGN) } else { Ok(()) }
}

/// Whether a browser says that the page of another site is behind a request, and it is more than
/// a link that somebody follows.
fn is_of_another_site(method: &Method, headers: &HeaderMap) -> bool {
    let says = |name: &str, values: &[&[u8]]| {
        headers.get_all(name).iter().all(|value| values.contains(&value.as_bytes()))
    };
    let is_link = matches!(*method, Method::GET | Method::HEAD)
        && headers.contains_key("sec-fetch-mode")
        && says("sec-fetch-mode", &[b"navigate"])
        && says("sec-fetch-dest", &[b"document"]);
    // `none`: somebody typed the address, or has it as a bookmark.
    !says("sec-fetch-site", &[b"same-origin", b"none"]) && !is_link
}

/// Whether an `Origin` is that of a page of `host`.
fn is_same_origin(origin: &str, host: &str) -> bool {
    let Some((scheme @ ("http" | "https"), authority)) = origin.split_once("://") else {
        return false;
    };
    let default = if scheme == "https" { ":443" } else { ":80" };
    let plain = |authority: &str| {
        let authority = authority.to_ascii_lowercase();
        authority.strip_suffix(default).map_or(authority.clone(), str::to_owned)
    };
    plain(authority) == plain(host)
}

#[cfg(test)]
mod tests {
    use warp::http::HeaderName;

    use super::*;

    fn names() -> Names {
        let resolv = "nameserver 1.1.1.1\nsearch lan Example.COM\n";
        let hosts = "127.0.0.1 localhost\n127.0.1.1 web1.corp web1 www # mail\n10.0.0.9 db evil\n";
        Names::from_files("Web1", resolv, hosts).and("Configured.example")
    }

    fn checked(headers: &[(&str, &str)]) -> Result<(), &'static str> {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| {
                (HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap())
            })
            .collect();
        check(&names(), &Method::GET, &headers)
    }

    #[test]
    fn browsers_use_names_that_are_ours() {
        for host in [
            "127.0.0.1:9001",
            "[::1]:9001",
            "192.168.1.4",
            "localhost:9001",
            "LOCALHOST",
            "a.localhost:1",
            "web1",
            "WEB1.:9001",
            "web1.lan",
            "web1.example.com:9001",
            "web1.local",
            "web1.corp",
            "www",
            "configured.example:80",
        ] {
            assert_eq!(checked(&[("host", host), ("user-agent", "Mozilla/5.0")]), Ok(()), "{host}");
        }
        for host in ["evil.example:9001", "web1.evil.example", "mail", "db", "", ":9001", "lan"] {
            checked(&[("host", host), ("accept-language", "de")]).expect_err(host);
        }
        checked(&[("sec-fetch-site", "none")]).unwrap_err();
        checked(&[("host", "localhost"), ("host", "evil"), ("cookie", "a=b")]).unwrap_err();
    }

    #[test]
    fn what_is_no_browser_may_call_us_what_it_likes() {
        assert_eq!(
            checked(&[("host", "worker:9001"), ("user-agent", "Python-xmlrpc/3.11")]),
            Ok(())
        );
        assert_eq!(checked(&[]), Ok(()));
    }

    #[test]
    fn a_page_of_another_site_gets_nothing() {
        let from = |origin: &str| checked(&[("host", "127.0.0.1:9001"), ("origin", origin)]);
        assert_eq!(from("http://127.0.0.1:9001"), Ok(()));
        for origin in [
            "http://evil.example",
            "null",
            "http://127.0.0.1:8000",
            "http://localhost:9001",
            "file://",
            "",
            "ftp://127.0.0.1:9001",
        ] {
            from(origin).expect_err(origin);
        }
        let default = [("host", "localhost"), ("origin", "http://localhost:80")];
        assert_eq!(checked(&default), Ok(()));
    }

    #[test]
    fn a_link_from_elsewhere_is_followed_and_nothing_else_of_another_site() {
        let of = |method: Method, [site, mode, dest]: [&'static str; 3]| {
            let name = |name: &'static str| HeaderName::from_static(name);
            let mut headers = HeaderMap::new();
            headers.insert(HOST, "localhost".parse().unwrap());
            headers.insert(name("sec-fetch-site"), site.parse().unwrap());
            headers.insert(name("sec-fetch-mode"), mode.parse().unwrap());
            headers.insert(name("sec-fetch-dest"), dest.parse().unwrap());
            check(&names(), &method, &headers)
        };
        for site in ["same-origin", "none"] {
            assert_eq!(of(Method::GET, [site, "cors", "empty"]), Ok(()));
            assert_eq!(of(Method::POST, [site, "navigate", "document"]), Ok(()));
        }
        for site in ["cross-site", "same-site", "", "Same-Origin"] {
            assert_eq!(of(Method::GET, [site, "navigate", "document"]), Ok(()), "a link");
            for (method, mode, dest) in [
                (Method::GET, "cors", "empty"),
                (Method::GET, "no-cors", "image"),
                (Method::GET, "navigate", "iframe"),
                (Method::GET, "", ""),
                (Method::POST, "navigate", "document"),
                (Method::PUT, "cors", "empty"),
            ] {
                assert_eq!(of(method, [site, mode, dest]), Err(FOREIGN), "{site} {mode} {dest}");
            }
        }
        checked(&[("host", "localhost"), ("sec-fetch-site", "cross-site")]).unwrap_err();
    }
}
