//! HTTP servers and RPC interfaces (C-067 to C-073).

use super::document::{Section, Value};
use super::options::{OptionDef, SectionKind, option};
use super::path;
use super::reader::{Reader, Scope};
use super::settings::{Access, HttpAddress, HttpServer, RpcInterface, TlsFiles};
use super::{password, py, values};
use crate::model::record::Level;

/// The RPC interface that is built in.
pub const MAIN_INTERFACE: &str = "supervisor.rpcinterface:make_main_rpcinterface";

/// Reads all HTTP servers: inet ones first, then unix, each in file order (C-071).
pub(crate) fn read(reader: &Reader<'_>) -> Vec<HttpServer> {
    let inet = reader.sections(SectionKind::InetHttpServer).map(|section| inet(reader, section));
    let mut servers: Vec<HttpServer> = inet.flatten().collect();
    let unix = reader.sections(SectionKind::UnixHttpServer).map(|section| unix(reader, section));
    servers.extend(unix.flatten());
    servers
}

fn inet(reader: &Reader<'_>, section: &Section) -> Option<HttpServer> {
    const PORT: &OptionDef = option!(InetHttpServer, "port");
    let scope = reader.scope(SectionKind::InetHttpServer, section);
    let (access, tls) = (access(&scope), tls(&scope));
    if scope.given(PORT).is_none() {
        scope.wrong_section(format!("section [{}] has no port value", section.name));
    }
    let (host, port) = scope.read(PORT, values::inet_address)?;
    let address = HttpAddress::Inet { host, port };
    Some(HttpServer { section: section.name.clone(), address, access: access?, tls: tls.ok()? })
}

fn unix(reader: &Reader<'_>, section: &Section) -> Option<HttpServer> {
    const FILE: &OptionDef = option!(UnixHttpServer, "file");
    let scope = reader.scope(SectionKind::UnixHttpServer, section);
    let host = reader.host;
    if scope.given(FILE).is_none() {
        scope.wrong_section(format!("section [{}] has no file value", section.name));
    }
    let file = scope.text(FILE);
    let access = access(&scope);
    let owner = scope.read(option!(UnixHttpServer, "chown"), |text| {
        values::owner(host, text).map_err(|_| format!("Invalid chown value {text}"))
    });
    let mode = scope.read(option!(UnixHttpServer, "chmod"), |text| {
        values::octal(text).map_err(|_| format!("Invalid chmod value {text}"))
    });
    let file = path::expand_user(host, py::strip(&file?));
    let path = path::absolute(&reader.base, &file).into();
    let address = HttpAddress::Unix { path, mode: mode.unwrap_or_default(), owner };
    for (key, value) in
        section.values().filter(|(key, _)| ["tls_certificate", "tls_key"].contains(key))
    {
        let why = "nobody between can read what goes through a unix socket";
        let message = format!("{key} is for [inet_http_server] only: {why}");
        scope.wrong_value(key, value, message);
    }
    Some(HttpServer { section: section.name.clone(), address, access: access?, tls: None })
}

/// The files of a certificate, both or none; an error, which was told, when what says so is wrong.
fn tls(scope: &Scope<'_>) -> Result<Option<TlsFiles>, ()> {
    const CERTIFICATE: &OptionDef = option!(InetHttpServer, "tls_certificate");
    const KEY: &OptionDef = option!(InetHttpServer, "tls_key");
    let given = [CERTIFICATE, KEY].map(|option| scope.given(option).is_some());
    if given == [false, false] {
        return Ok(None);
    }
    if given != [true, true] {
        let name = &scope.section.name;
        scope.wrong_section(format!("section [{name}] needs both tls_certificate and tls_key"));
        return Err(());
    }
    let file = |option: &'static OptionDef| {
        let text = scope.text(option)?;
        let text = py::strip(&text);
        if text.is_empty() {
            scope.wrong(option, format!("{} is no path", option.key));
            return None;
        }
        let expanded = path::expand_user(scope.reader.host, text);
        Some(path::absolute(&scope.reader.base, &expanded).into())
    };
    let (certificate, key) = (file(CERTIFICATE), file(KEY));
    certificate.zip(key).map(|(certificate, key)| Some(TlsFiles { certificate, key })).ok_or(())
}

/// Who may use the server; none when what says it is wrong.
fn access(scope: &Scope<'_>) -> Option<Access> {
    const AUTH: &OptionDef = option!(UnixHttpServer, "auth");
    let credentials = credentials(scope);
    let wrong = |message: String| {
        scope.wrong(AUTH, message);
        None
    };
    let basic = |(username, password)| Access::Basic { username, password };
    let counts = scope.given(AUTH).is_some_and(|auth| match overruled(scope, auth) {
        Some(later) => {
            let (section, text, file) = (&scope.section.name, &auth.text, &auth.file);
            let why = format!("{later} says anew where it is or who may use it");
            let note = format!("auth={text} in {file} has no effect on [{section}]: {why}");
            scope.reader.note(Level::Warn, note);
            false
        }
        None => true,
    });
    if !counts {
        return Some(credentials.map_or(Access::Open, basic));
    }
    let auth = scope.text(AUTH)?;
    match (py::strip(&auth), credentials) {
        ("basic", Some(credentials)) => Some(basic(credentials)),
        ("basic", None) => wrong("auth=basic needs a username and a password".to_owned()),
        ("none", None) => Some(Access::Open),
        ("login", None) => Some(Access::Login),
        (kind @ ("none" | "login"), Some(_)) => wrong(format!(
            "auth={kind} makes no use of username and password: leave them out, or say auth=basic"
        )),
        (other, _) => wrong(format!("auth is none, basic or login, not '{other}'")),
    }
}

/// The later file that says anew where the server is or who may use it, when `auth` is in the
/// first one. The shipped configuration has `auth`, which is new; a file included by it that
/// was written for 4.x goes on meaning what it meant there.
fn overruled<'a>(scope: &Scope<'a>, auth: &Value) -> Option<&'a str> {
    let is_anew = |key: &str| ["port", "file", "username", "password"].contains(&key);
    let mut values = scope.section.values().filter(|(key, _)| is_anew(key));
    let later = values.find(|(_, value)| value.file != auth.file)?.1;
    (auth.file == scope.section.file).then_some(&*later.file)
}

/// User name and password: both or none; an empty user name is none (C-069).
fn credentials(scope: &Scope<'_>) -> Option<(String, String)> {
    const USERNAME: &OptionDef = option!(UnixHttpServer, "username");
    const PASSWORD: &OptionDef = option!(UnixHttpServer, "password");
    let (username, password) = (scope.text(USERNAME), scope.text(PASSWORD));
    if scope.given(USERNAME).is_some() != scope.given(PASSWORD).is_some() {
        scope.wrong_section(format!(
            "Section [{}] contains incomplete authentication: If a username or a password is \
             specified, both the username and password must be specified",
            scope.section.name
        ));
    }
    let credentials = username.filter(|username| !username.is_empty()).zip(password)?;
    if password::is_hash(&credentials.1) {
        if let Err(message) = password::parse(&credentials.1) {
            scope.wrong(PASSWORD, message);
        }
    } else if password::looks_foreign(&credentials.1) {
        scope.warn(format!(
            "the password of [{}] looks like a hash of a kind that is not known, and is taken as \
             the password itself: argon2 and {{SHA}} are known",
            scope.section.name
        ));
    }
    Some(credentials)
}

/// What `SUPERVISOR_SERVER_URL` tells programs: the first unix server, else the last inet one,
/// with an empty host shown as localhost (C-072).
#[must_use]
pub fn derived_url(servers: &[HttpServer]) -> Option<String> {
    let unix = servers.iter().find_map(|server| match &server.address {
        HttpAddress::Unix { path, .. } => Some(format!("unix://{}", path.display())),
        HttpAddress::Inet { .. } => None,
    });
    unix.or_else(|| {
        servers.iter().rev().find_map(|server| match &server.address {
            HttpAddress::Inet { host, port } => {
                let host = if host.is_empty() { "localhost" } else { host };
                let scheme = if server.tls.is_some() { "https" } else { "http" };
                Some(format!("{scheme}://{host}:{port}"))
            }
            HttpAddress::Unix { .. } => None,
        })
    })
}

/// Reads all `[rpcinterface:x]` sections (C-073). Python interfaces cannot be loaded: that is
/// reported, and everything else runs.
pub(crate) fn interfaces(reader: &Reader<'_>) -> Vec<RpcInterface> {
    const FACTORY: &OptionDef = option!(RpcInterface, "supervisor.rpcinterface_factory");
    let mut interfaces = Vec::new();
    for section in reader.sections(SectionKind::RpcInterface) {
        let scope = reader.scope(SectionKind::RpcInterface, section);
        let name = &section.name;
        if scope.given(FACTORY).is_none() {
            let key = FACTORY.key;
            scope.wrong_section(format!("section [{name}] does not specify a {key}"));
            continue;
        }
        let Some(factory) = scope.text(FACTORY) else { continue };
        check_extras(&scope, FACTORY);
        let builtin = factory == MAIN_INTERFACE;
        if !builtin {
            reader.note(
                Level::Critical,
                format!(
                    "[{name}] cannot be loaded: {factory} is a Python RPC interface. Use the \
                     built-in {MAIN_INTERFACE}, the D-Bus interface org.supervisord.Supervisor1, \
                     or an event listener instead. Everything else runs."
                ),
            );
        }
        let namespace = name.split_once(':').map_or("", |(_, namespace)| namespace).to_owned();
        interfaces.push(RpcInterface { namespace, builtin });
    }
    interfaces
}

/// The other keys of a plugin's section are its own; they must still be good templates.
pub(crate) fn check_extras(scope: &Scope<'_>, factory: &OptionDef) {
    use super::options::NameSet;
    for (key, value) in scope.reader.document.options(scope.section) {
        if key == factory.key {
            continue;
        }
        let names = scope.names(NameSet::ENV, Some(value));
        if let Err(error) = super::expand::expand(&value.text, &names) {
            let label = format!("{}.{key}", scope.section.name);
            scope.wrong_value(key, value, error.message(&value.text, &label, &names));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{MemoryHost, errors, load_text};
    use super::*;

    fn servers(text: &str) -> Vec<HttpServer> {
        load_text(text).unwrap().servers
    }

    fn error(text: &str) -> String {
        errors(text).split(" (section ").next().unwrap().to_owned()
    }

    fn access(options: &str) -> Access {
        servers(&format!("[inet_http_server]\nport=1\n{options}"))[0].access.clone()
    }

    #[test]
    fn auth_says_who_may_come_in() {
        assert_eq!(access("auth=none\n"), Access::Open);
        assert_eq!(access("auth=login\n"), Access::Login);
        let unix = servers("[unix_http_server]\nfile=/s\nauth=login\n");
        assert_eq!(unix[0].access, Access::Login);
        for (options, message) in [
            ("auth=basic\n", "auth=basic needs a username and a password"),
            ("auth=Login\n", "auth is none, basic or login, not 'Login'"),
            ("auth=\n", "auth is none, basic or login, not ''"),
            (
                "auth=none\nusername=u\npassword=p\n",
                "auth=none makes no use of username and password: leave them out, or say auth=basic",
            ),
        ] {
            assert_eq!(error(&format!("[inet_http_server]\nport=1\n{options}")), message);
        }
        let shown = format!("{:?}", access("username=u\npassword=secret\n"));
        assert_eq!(shown, "basic", "a password is never shown");
    }

    #[test]
    fn a_server_of_an_included_file_is_as_that_file_says() {
        let main = "[supervisord]\n[inet_http_server]\nport=127.0.0.1:9001\nauth=login\n\
                    [include]\nfiles=/d/*\n";
        let load = |included: &str| {
            let host = MemoryHost::with(main).file("/d/web.conf", included);
            let settings = super::super::testing::load(&host).unwrap();
            let warned = settings.notes.iter().any(|note| note.text.starts_with("auth=login in "));
            (settings.servers[0].access.clone(), warned)
        };
        let basic = Access::Basic { username: "u".to_owned(), password: "p".to_owned() };
        for (included, wanted) in [
            ("port=*:9001\nusername=u\npassword=p\n", (basic.clone(), true)),
            ("username=u\npassword=p\n", (basic.clone(), true)),
            ("port=9001\n", (Access::Open, true)),
            ("port=9001\nauth=login\n", (Access::Login, false)),
            ("auth=none\n", (Access::Open, false)),
            ("", (Access::Login, false)),
        ] {
            assert_eq!(load(&format!("[inet_http_server]\n{included}")), wanted, "{included}");
        }
    }

    #[test]
    fn inet_servers_come_first_and_any_name_that_starts_so_is_one() {
        // C-067, C-068, C-070, C-071, C-072
        let servers = servers(
            "[unix_http_server]\nfile=run/../s\nchmod=0770\nchown=root\n\
             [inet_http_server:b]\nport=1\n[inet_http_serverfoo]\nport=HOST:2\n",
        );
        let names: Vec<_> = servers.iter().map(|server| server.section.as_str()).collect();
        assert_eq!(names, ["inet_http_server:b", "inet_http_serverfoo", "unix_http_server"]);
        assert_eq!(servers[1].address, HttpAddress::Inet { host: "host".to_owned(), port: 2 });
        assert_eq!(
            servers[2].address,
            HttpAddress::Unix { path: "/work/s".into(), mode: 0o770, owner: Some((0, None)) }
        );
        assert_eq!(derived_url(&servers).as_deref(), Some("unix:///work/s"));
        assert_eq!(derived_url(&servers[..2]).as_deref(), Some("http://host:2"));
        assert_eq!(derived_url(&[]), None);
    }

    #[test]
    fn credentials_are_both_or_none() {
        // C-040, C-069
        let both = Access::Basic { username: "u".to_owned(), password: "p%".to_owned() };
        assert_eq!(access("username=u\npassword=p%%\n"), both);
        assert_eq!(access("auth = basic\nusername=u\npassword=p%%\n"), both);
        assert_eq!(access("username=\npassword=\n"), Access::Open);
        assert_eq!(access(""), Access::Open);
        let message = "Section [inet_http_server] contains incomplete authentication: If a \
                       username or a password is specified, both the username and password must \
                       be specified";
        assert_eq!(error("[inet_http_server]\nport=1\nusername=u\n"), message);
        assert_eq!(error("[inet_http_server]\nport=1\npassword=u\n"), message);
        let here = error("[inet_http_server]\nport=1\nusername=u\npassword=%(here)s\n");
        assert!(here.contains("('here') which cannot be expanded"));
    }

    #[test]
    fn a_password_may_be_an_argon2_hash() {
        const HASH: &str = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$\
                            pGAgPgkJ+esPqBoW9JTt6WhwKYDSed0z8JpcGysy3V0";
        let given = Access::Basic { username: "u".to_owned(), password: HASH.to_owned() };
        assert_eq!(access(&format!("username=u\npassword={HASH}\n")), given);
        assert_eq!(access(&format!("username=u\npassword = {HASH} ; a comment\n")), given);
        let wrong = |password: &str| {
            error(&format!("[inet_http_server]\nport=1\nusername=u\npassword={password}\n"))
        };
        assert!(wrong("$argon2id$v=19$m=256").contains("argon2"));
        assert!(wrong(&HASH.replace("256", "9999999")).contains("costs too much"));
        let foreign = load_text("[inet_http_server]\nport=1\nusername=u\npassword=$6$a$b\n");
        let notes = foreign.unwrap().notes;
        assert!(notes[0].text.contains("the password of [inet_http_server] looks like a hash"));
    }

    #[test]
    fn a_certificate_has_a_key_and_only_inet_servers_have_one() {
        let inet = |options: &str| format!("[inet_http_server]\nport=h:1\n{options}");
        let both = servers(&inet("tls_certificate=%(here)s/tls/../c.pem\ntls_key=~/k.pem\n"));
        let files = both[0].tls.as_ref().unwrap();
        assert!(files.certificate.ends_with("c.pem") && files.certificate.is_absolute());
        assert!(!files.certificate.ends_with("tls/../c.pem"), "{files:?}");
        assert!(files.key.is_absolute());
        assert_eq!(derived_url(&both).as_deref(), Some("https://h:1"));
        assert_eq!(servers(&inet(""))[0].tls, None);
        let incomplete = "section [inet_http_server] needs both tls_certificate and tls_key";
        assert_eq!(error(&inet("tls_key=k\n")), incomplete);
        assert_eq!(error(&inet("tls_certificate=c\n")), incomplete);
        assert_eq!(error(&inet("tls_certificate=c\ntls_key=\n")), "tls_key is no path");
        let unix = error("[unix_http_server]\nfile=/s\ntls_certificate=c\n");
        assert!(unix.starts_with("tls_certificate is for [inet_http_server] only"), "{unix}");
    }

    #[test]
    fn addresses_are_needed_and_checked() {
        // C-054, C-067, C-068, C-070, C-443
        for (text, message) in [
            ("[unix_http_server]\n", "section [unix_http_server] has no file value"),
            ("[inet_http_server]\n", "section [inet_http_server] has no port value"),
            ("[inet_http_server]\nport=0\n", "not a valid port number: '0' "),
            ("[unix_http_server]\nfile=/s\nchmod=x\n", "Invalid chmod value x"),
            ("[unix_http_server]\nfile=/s\nchown=eve\n", "Invalid chown value eve"),
        ] {
            assert_eq!(error(text), message);
        }
    }

    #[test]
    fn foreign_interfaces_are_reported_and_the_rest_runs() {
        // C-073
        let settings = load_text(
            "[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory = \
             supervisor.rpcinterface:make_main_rpcinterface\n[rpcinterface:twiddler]\n\
             supervisor.rpcinterface_factory=t:make\nkey=1\n[inet_http_server]\nport=1\n",
        )
        .unwrap();
        let interface =
            |namespace: &str, builtin| RpcInterface { namespace: namespace.to_owned(), builtin };
        assert_eq!(
            settings.rpcinterfaces,
            [interface("supervisor", true), interface("twiddler", false)]
        );
        assert_eq!(settings.notes[0].level, Level::Critical);
        assert!(settings.notes[0].text.starts_with("[rpcinterface:twiddler] cannot be loaded"));
        assert_eq!(settings.notes.len(), 1, "its own keys are not unknown");
        assert_eq!(
            error("[rpcinterface:x]\na=b\n"),
            "section [rpcinterface:x] does not specify a supervisor.rpcinterface_factory"
        );
    }
}
