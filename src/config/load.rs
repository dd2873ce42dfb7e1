//! From files and command line to [`Settings`].

use std::sync::Arc;

use super::error::{ConfigError, ConfigErrors};
use super::flags::Overrides;
use super::host::Host;
use super::include::{Loaded, read_all};
use super::options::SectionKind;
use super::reader::Reader;
use super::settings::Settings;
use super::{daemon, groups, search, servers, unknown};
use crate::model::record::Record;

/// Reads the configuration that the command line names, or that is found (C-001).
///
/// # Errors
/// Everything that is wrong with it; the first error is the one upstream stops at.
pub fn load(overrides: &Overrides, host: &dyn Host) -> Result<Settings, ConfigErrors> {
    let base = overrides.base(host);
    let file = match &overrides.config_file {
        Some(file) => file.clone(),
        None => search::find(&overrides.argv0, &base, host)
            .ok_or_else(|| ConfigError::new(search::not_found(&overrides.argv0)))?,
    };
    let loaded = read_all(&file, &base, host);
    let Loaded { document, here, notes } = loaded.map_err(several)?;
    let mut reader = Reader::new(&document, host, &here, &base);
    let Some(section) = document.section("supervisord") else {
        return Err(ConfigError::new(".ini file does not include supervisord section").into());
    };
    let scope = reader.scope(SectionKind::Supervisord, section);
    let mut daemon = daemon::read(&scope, overrides, &file);
    // From here on the environment of [supervisord] is known too (C-031).
    reader.environ.extend(daemon.environment.iter().cloned());
    let rpcinterfaces = servers::interfaces(&reader);
    let groups = groups::read(&reader, &daemon.environment);
    let servers = servers::read(&reader);
    daemon::check_user(&reader.scope(SectionKind::Supervisord, section), overrides, &mut daemon);
    for note in notes {
        reader.note(note.level, note.text);
    }
    unknown::warn(&reader);
    let notes: Vec<Record> = reader.finish()?;
    let url = servers::derived_url(&servers);
    let mut settings = Settings { daemon, servers, rpcinterfaces, groups, notes };
    settings.use_server_url(url.as_deref());
    Ok(settings)
}

impl Settings {
    /// Tells every program with `serverurl=AUTO` this URL (C-072, C-090). A reread configuration
    /// gets the URL of the servers that run: new servers need a restart (C-391).
    pub fn use_server_url(&mut self, url: Option<&str>) {
        for group in &mut self.groups {
            for process in &mut Arc::make_mut(group).processes {
                let server_url = match &process.serverurl {
                    None => url.map(str::to_owned),
                    Some(given) => Some(given.clone()).filter(|given| !given.is_empty()),
                };
                if process.server_url != server_url {
                    Arc::make_mut(process).server_url = server_url;
                }
            }
        }
    }
}

/// The list, which has at least one error.
fn several(errors: Vec<ConfigError>) -> ConfigErrors {
    ConfigErrors::from_list(errors)
        .unwrap_or_else(|| ConfigError::new("could not read the configuration").into())
}
