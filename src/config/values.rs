//! What the text of a value means: one function per type (C-044 to C-055). Errors are upstream's
//! messages without the place, which the reader adds.

use super::host::Host;
use super::path::{dirname, expand_user};
use super::py::{self, repr};
use crate::model::record::Level;
use crate::model::signal::Signal;
use crate::model::spec::{Account, Autorestart, EventLength, FcgiAddress, KillMode, LogFile};

type Read<T> = Result<T, String>;

/// `yes`, `true`, `on`, `1` and their opposites, in any case (C-044).
pub fn boolean(text: &str) -> Read<bool> {
    match text.to_lowercase().as_str() {
        "yes" | "true" | "on" | "1" => Ok(true),
        "no" | "false" | "off" | "0" => Ok(false),
        _ => Err(format!("not a valid boolean value: {}", repr(text))),
    }
}

/// A whole number, read as Python reads it (C-045).
pub fn integer(text: &str) -> Read<i64> {
    py::int(text, 10)
        .ok_or_else(|| format!("invalid literal for int() with base 10: {}", repr(text)))
}

/// A number of bytes, with an optional `KB`, `MB` or `GB` of 1024 (C-046).
pub fn byte_size(text: &str) -> Read<i64> {
    let lower = text.to_lowercase();
    let units = [("kb", 1 << 10), ("mb", 1 << 20), ("gb", 1 << 30)];
    for (unit, factor) in units {
        if let Some(number) = lower.strip_suffix(unit) {
            return Ok(integer(number)?.saturating_mul(factor));
        }
    }
    integer(&lower)
}

/// A number in base 8, such as a file mode (C-047).
pub fn octal(text: &str) -> Read<u32> {
    let number = py::int(text, 8).and_then(|number| u32::try_from(number).ok());
    number.ok_or_else(|| format!("{text} can not be converted to an octal type"))
}

/// A signal by number or name (C-048).
pub fn signal(text: &str) -> Read<Signal> {
    if let Some(number) = py::int(text, 10) {
        let number = i32::try_from(number).ok();
        return number
            .and_then(Signal::from_number)
            .ok_or_else(|| format!("value {} is not a valid signal number", repr(text)));
    }
    Signal::parse(text).map_err(|_| format!("value {} is not a valid signal name", repr(text)))
}

/// Exit codes from 0 to 255, separated by commas; no text is no code (C-049).
pub fn exit_codes(text: &str) -> Read<Vec<i32>> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let code = |word| py::int(word, 10).filter(|code| (0..=255).contains(code));
    let codes: Option<Vec<i64>> = text.split(',').map(code).collect();
    let codes = codes.ok_or_else(|| format!("not a valid list of exit codes: {}", repr(text)))?;
    Ok(codes.into_iter().filter_map(|code| i32::try_from(code).ok()).collect())
}

/// When to start a program again (C-050).
pub fn autorestart(text: &str) -> Read<Autorestart> {
    let lower = text.to_lowercase();
    match (boolean(&lower), lower.as_str()) {
        (Ok(true), _) => Ok(Autorestart::Always),
        (Ok(false), _) => Ok(Autorestart::Never),
        (_, "unexpected") => Ok(Autorestart::Unexpected),
        _ => Err(format!("invalid 'autorestart' value {}", repr(&lower))),
    }
}

/// What `len` counts in the header of an event (C-339).
pub fn event_length(text: &str) -> Read<EventLength> {
    match text.to_lowercase().as_str() {
        "characters" => Ok(EventLength::Characters),
        "bytes" => Ok(EventLength::Bytes),
        _ => Err(format!("invalid event_length {}, it is characters or bytes", repr(text))),
    }
}

/// What is ended with a program.
pub fn kill_mode(text: &str) -> Read<KillMode> {
    let lower = text.to_lowercase();
    let modes = [KillMode::ControlGroup, KillMode::Mixed, KillMode::Process];
    modes.into_iter().find(|mode| mode.name() == lower).ok_or_else(|| {
        format!("invalid 'killmode' value {} (control-group, mixed or process)", repr(&lower))
    })
}

/// A level of the log (C-060).
pub fn level(text: &str) -> Read<Level> {
    Level::parse(text).ok_or_else(|| format!("bad logging level name {}", repr(text)))
}

/// A directory that exists; `~` is expanded (C-059).
pub fn existing_directory(host: &dyn Host, text: &str) -> Read<String> {
    let expanded = expand_user(host, text);
    if host.is_dir(expanded.as_ref()) {
        Ok(expanded)
    } else {
        Err(format!("{text} is not an existing directory"))
    }
}

/// The path of a file in a directory that exists; `~` is expanded (C-051, C-059).
pub fn existing_dirpath(host: &dyn Host, text: &str) -> Read<String> {
    let expanded = expand_user(host, text);
    let directory = dirname(&expanded);
    if directory.is_empty() || host.is_dir(directory.as_ref()) {
        Ok(expanded)
    } else {
        Err(format!("The directory named as part of the path {text} does not exist"))
    }
}

/// What `stdout_logfile` and `stderr_logfile` name (C-051).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChildLog {
    /// A log file, an AUTO one, the journal, or none.
    File(LogFile),
    /// The old spelling of `*_syslog=true` (C-089).
    Syslog,
}

/// The log of a channel (C-051).
pub fn child_log(host: &dyn Host, text: &str) -> Read<ChildLog> {
    Ok(match text.to_lowercase().as_str() {
        // Upstream lets an empty name pass and then opens no file for it.
        "" | "none" | "off" => ChildLog::File(LogFile::None),
        "auto" => ChildLog::File(LogFile::Auto),
        "syslog" => ChildLog::Syslog,
        "journal" => ChildLog::File(LogFile::Journal),
        _ => ChildLog::File(LogFile::Path(existing_dirpath(host, text)?.into())),
    })
}

/// A user by name or number (C-053).
pub fn user(host: &dyn Host, text: &str) -> Read<Account> {
    match py::int(text, 10) {
        Some(uid) => u32::try_from(uid)
            .ok()
            .and_then(|uid| host.user_by_id(uid))
            .ok_or_else(|| format!("Invalid user id {text}")),
        None => host.user_by_name(text).ok_or_else(|| format!("Invalid user name {text}")),
    }
}

/// A group's id, from its name or number (C-053).
pub fn group(host: &dyn Host, text: &str) -> Read<u32> {
    match py::int(text, 10) {
        Some(gid) => u32::try_from(gid)
            .ok()
            .filter(|gid| host.group_exists(*gid))
            .ok_or_else(|| format!("Invalid group id {text}")),
        None => host.group_by_name(text).ok_or_else(|| format!("Invalid group name {text}")),
    }
}

/// `user` or `user:group`, as ids; without a group the group stays as it is (C-053).
pub fn owner(host: &dyn Host, text: &str) -> Read<(u32, Option<u32>)> {
    match text.split_once(':') {
        None => Ok((user(host, text)?.uid, None)),
        Some((name, group_name)) => Ok((user(host, name)?.uid, Some(group(host, group_name)?))),
    }
}

/// Where an HTTP server listens: `PORT` or `HOST:PORT`; every address is an empty host (C-054).
pub fn inet_address(text: &str) -> Read<(String, u16)> {
    let Some((host, port)) = text.rsplit_once(':') else {
        let port = port_number(text);
        let port = port.map_err(|_| format!("not a valid port number: {} ", repr(text)))?;
        return Ok((String::new(), port));
    };
    if port.is_empty() {
        return Err(format!("no port number specified in {}", repr(port)));
    }
    let port = port_number(port)?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let host = if bare == "*" { String::new() } else { bare.to_lowercase() };
    Ok((host, port))
}

/// A port from 1 to 65535.
fn port_number(text: &str) -> Read<u16> {
    let number = integer(text)?;
    match u16::try_from(number) {
        Ok(port) if port > 0 => Ok(port),
        _ if number < 1 => Err(format!("{number} is below lower bound (1)")),
        _ => Err(format!("{number} is above upper bound (65535)")),
    }
}

/// A URL: a scheme, and a host or a path (C-055).
pub fn url(text: &str) -> Read<String> {
    let is_scheme = |scheme: &str| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    };
    let rest = text.split_once(':').filter(|(scheme, _)| is_scheme(scheme)).map(|(_, rest)| rest);
    let start = rest.and_then(|rest| rest.strip_prefix("//").unwrap_or(rest).chars().next());
    match start {
        None | Some('?' | '#' | ';') => Err(format!("value {} is not a URL", repr(text))),
        Some(_) => Ok(text.to_owned()),
    }
}

/// The name of a group or process: trimmed, without what other protocols use (C-092).
pub fn name(text: &str) -> Read<String> {
    let trimmed = py::strip(text);
    match [' ', ':', '/'].into_iter().find(|c| trimmed.contains(*c)) {
        None => Ok(trimmed.to_owned()),
        Some(c) => Err(format!(
            "Invalid name: {} because of character: {}",
            repr(text),
            repr(&c.to_string())
        )),
    }
}

/// Words between commas, trimmed; no text is no word.
pub fn list(text: &str) -> Vec<String> {
    if text.is_empty() {
        return Vec::new();
    }
    text.split(',').map(|word| py::strip(word).to_owned()).collect()
}

/// A FastCGI socket, before mode and owner are known (C-105, C-106, C-443). Upstream knows no
/// `tcp://[::1]:9000`.
pub fn fcgi_socket(text: &str) -> Read<FcgiAddress> {
    if let Some(path) = text.strip_prefix("unix://") {
        if !path.starts_with('/') {
            return Err(format!("Unix socket path {path} is not an absolute path"));
        }
        let path = super::path::normalize(path).into();
        return Ok(FcgiAddress::Unix { path, mode: 0o700, owner: None });
    }
    let is_ipv6 = |host: &str| host.chars().all(|c| c.is_ascii_hexdigit() || ":.".contains(c));
    let address = text.strip_prefix("tcp://").and_then(|rest| match rest.strip_prefix('[') {
        Some(rest) => rest.split_once("]:").filter(|(host, _)| is_ipv6(host)),
        None => rest.split_once(':'),
    });
    let is_host = |host: &str| !host.is_empty() && !host.contains(py::is_space);
    match address {
        Some((host, port))
            if is_host(host) && !port.is_empty() && port.chars().all(|c| c.is_ascii_digit()) =>
        {
            Ok(FcgiAddress::Tcp { host: host.to_lowercase(), port: port_number(port)? })
        }
        _ => Err(format!("Bad socket format {text}")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::MemoryHost;
    use super::*;

    #[test]
    fn booleans_are_a_few_words() {
        // C-044, C-050
        for text in ["yes", "TRUE", "On", "1"] {
            assert_eq!(boolean(text), Ok(true));
            assert_eq!(autorestart(text), Ok(Autorestart::Always));
        }
        for text in ["no", "False", "OFF", "0"] {
            assert_eq!(boolean(text), Ok(false));
            assert_eq!(autorestart(text), Ok(Autorestart::Never));
        }
        assert_eq!(boolean("y").unwrap_err(), "not a valid boolean value: 'y'");
        assert_eq!(boolean("").unwrap_err(), "not a valid boolean value: ''");
        assert_eq!(autorestart("Unexpected"), Ok(Autorestart::Unexpected));
        assert_eq!(autorestart("X").unwrap_err(), "invalid 'autorestart' value 'x'");
    }

    #[test]
    fn sizes_have_units_of_1024() {
        // C-046
        for (text, size) in
            [("0", 0), ("12", 12), ("1KB", 1024), ("2 mb", 2 << 20), ("1Gb", 1 << 30), ("-1", -1)]
        {
            assert_eq!(byte_size(text), Ok(size), "{text}");
        }
        for (text, shown) in [("1K", "1k"), ("1TB", "1tb"), ("1.5MB", "1.5"), ("", ""), ("MB", "")]
        {
            let expected = format!("invalid literal for int() with base 10: '{shown}'");
            assert_eq!(byte_size(text).unwrap_err(), expected);
        }
    }

    #[test]
    fn octal_numbers_may_have_a_prefix() {
        // C-021, C-047
        for text in ["022", "22", "0o22"] {
            assert_eq!(octal(text), Ok(0o22));
        }
        assert_eq!(octal("9").unwrap_err(), "9 can not be converted to an octal type");
        assert_eq!(octal("-1").unwrap_err(), "-1 can not be converted to an octal type");
    }

    #[test]
    fn signals_are_numbers_or_names() {
        // C-048
        assert_eq!(signal("SIGTERM"), Ok(Signal::TERM));
        assert_eq!(signal("1_5"), Ok(Signal::TERM));
        assert_eq!(signal("0"), Ok(Signal(0)));
        assert_eq!(signal("FOO").unwrap_err(), "value 'FOO' is not a valid signal name");
        assert_eq!(signal("35").unwrap_err(), "value '35' is not a valid signal number");
        assert_eq!(signal("-1").unwrap_err(), "value '-1' is not a valid signal number");
    }

    #[test]
    fn exit_codes_are_a_list_of_bytes() {
        // C-049
        assert_eq!(exit_codes("0, 2 ,255"), Ok(vec![0, 2, 255]));
        assert_eq!(exit_codes(""), Ok(vec![]));
        for text in ["0,", "256", "-1", "a"] {
            assert_eq!(
                exit_codes(text).unwrap_err(),
                format!("not a valid list of exit codes: '{text}'")
            );
        }
    }

    #[test]
    fn logs_have_words_and_paths() {
        // C-051, C-052
        let host = MemoryHost::new().variable("HOME", "/work");
        let file = |file| Ok(ChildLog::File(file));
        for (text, log) in [
            ("NONE", file(LogFile::None)),
            ("off", file(LogFile::None)),
            ("", file(LogFile::None)),
            ("Auto", file(LogFile::Auto)),
            ("Journal", file(LogFile::Journal)),
            ("./journal", file(LogFile::Path("./journal".into()))),
            ("SysLog", Ok(ChildLog::Syslog)),
            ("x.log", file(LogFile::Path("x.log".into()))),
            ("~/x.log", file(LogFile::Path("/work/x.log".into()))),
            (
                "/no/x",
                Err("The directory named as part of the path /no/x does not exist".to_owned()),
            ),
        ] {
            assert_eq!(child_log(&host, text), log, "{text}");
        }
    }

    #[test]
    fn owners_are_users_and_groups() {
        // C-021, C-053
        let host = MemoryHost::new().user("bob", 7, 8);
        assert_eq!(owner(&host, "bob"), Ok((7, None)));
        assert_eq!(owner(&host, "7:8"), Ok((7, Some(8))));
        assert_eq!(owner(&host, "bob:bob"), Ok((7, Some(8))));
        assert_eq!(user(&host, "eve").unwrap_err(), "Invalid user name eve");
        assert_eq!(user(&host, "99").unwrap_err(), "Invalid user id 99");
        assert_eq!(user(&host, "-1").unwrap_err(), "Invalid user id -1");
        assert_eq!(group(&host, "eve").unwrap_err(), "Invalid group name eve");
        assert_eq!(group(&host, "99").unwrap_err(), "Invalid group id 99");
    }

    #[test]
    fn ports_may_have_a_host() {
        // C-054
        for (text, address) in [
            ("9001", ("", 9001)),
            ("*:1", ("", 1)),
            (":1", ("", 1)),
            ("LocalHost:65535", ("localhost", 65535)),
            ("::1:80", ("::1", 80)),
            ("[::1]:80", ("::1", 80)),
            ("[]:80", ("", 80)),
        ] {
            assert_eq!(inet_address(text), Ok((address.0.to_owned(), address.1)));
        }
        for (text, error) in [
            ("host:", "no port number specified in ''"),
            ("0", "not a valid port number: '0' "),
            ("x", "not a valid port number: 'x' "),
            ("h:0", "0 is below lower bound (1)"),
            ("h:65536", "65536 is above upper bound (65535)"),
            ("h:x", "invalid literal for int() with base 10: 'x'"),
        ] {
            assert_eq!(inet_address(text).unwrap_err(), error);
        }
    }

    #[test]
    fn urls_have_a_scheme_and_something_behind_it() {
        // C-055
        for text in ["http://h:1", "unix:///x", "dbus:system", "a:b"] {
            assert_eq!(url(text).as_deref(), Ok(text));
        }
        for text in ["foo", "", "http:", "http://", ":x", "1a:b", "unix://?x"] {
            assert_eq!(url(text).unwrap_err(), format!("value '{text}' is not a URL"));
        }
    }

    #[test]
    fn names_leave_other_protocols_alone() {
        // C-092
        assert_eq!(name(" a\t").as_deref(), Ok("a"));
        assert_eq!(name("").as_deref(), Ok(""));
        assert_eq!(name("é[1]").as_deref(), Ok("é[1]"));
        assert_eq!(name("a b").unwrap_err(), "Invalid name: 'a b' because of character: ' '");
    }

    #[test]
    fn fcgi_sockets_are_unix_or_tcp() {
        // C-105, C-106, C-443
        assert_eq!(
            fcgi_socket("tcp://HOST:80"),
            Ok(FcgiAddress::Tcp { host: "host".to_owned(), port: 80 })
        );
        assert_eq!(
            fcgi_socket("tcp://[::1]:80"),
            Ok(FcgiAddress::Tcp { host: "::1".to_owned(), port: 80 })
        );
        assert_eq!(fcgi_socket("tcp://[::1]:80").unwrap().to_string(), "tcp://[::1]:80");
        assert_eq!(
            fcgi_socket("unix:///a/../b"),
            Ok(FcgiAddress::Unix { path: "/b".into(), mode: 0o700, owner: None })
        );
        for (text, error) in [
            ("foo", "Bad socket format foo"),
            ("tcp://:80", "Bad socket format tcp://:80"),
            ("tcp://a:b:1", "Bad socket format tcp://a:b:1"),
            ("unix://rel.sock", "Unix socket path rel.sock is not an absolute path"),
            ("tcp://h:0", "0 is below lower bound (1)"),
        ] {
            assert_eq!(fcgi_socket(text).unwrap_err(), error);
        }
    }
}
