//! HTTP servers and RPC interfaces (C-067 to C-073).

use super::document::Section;
use super::options::{OptionDef, SectionKind, option};
use super::path;
use super::reader::{Reader, Scope};
use super::settings::{HttpAddress, HttpServer, RpcInterface};
use super::{py, values};
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
    let credentials = credentials(&scope);
    if scope.given(PORT).is_none() {
        scope.wrong_section(format!("section [{}] has no port value", section.name));
    }
    let (host, port) = scope.read(PORT, values::inet_address)?;
    let address = HttpAddress::Inet { host, port };
    Some(HttpServer { section: section.name.clone(), address, credentials })
}

fn unix(reader: &Reader<'_>, section: &Section) -> Option<HttpServer> {
    const FILE: &OptionDef = option!(UnixHttpServer, "file");
    let scope = reader.scope(SectionKind::UnixHttpServer, section);
    let host = reader.host;
    if scope.given(FILE).is_none() {
        scope.wrong_section(format!("section [{}] has no file value", section.name));
    }
    let file = scope.text(FILE);
    let credentials = credentials(&scope);
    let owner = scope.read(option!(UnixHttpServer, "chown"), |text| {
        values::owner(host, text).map_err(|_| format!("Invalid chown value {text}"))
    });
    let mode = scope.read(option!(UnixHttpServer, "chmod"), |text| {
        values::octal(text).map_err(|_| format!("Invalid chmod value {text}"))
    });
    let file = path::expand_user(host, py::strip(&file?));
    let path = path::absolute(&reader.base, &file).into();
    let address = HttpAddress::Unix { path, mode: mode.unwrap_or_default(), owner };
    Some(HttpServer { section: section.name.clone(), address, credentials })
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
    username.filter(|username| !username.is_empty()).zip(password)
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
                Some(format!("http://{host}:{port}"))
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
