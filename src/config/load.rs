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
    for note in notes {
        reader.note(note.level, note.text);
    }
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

#[cfg(test)]
mod tests {
    use super::super::testing::{MemoryHost, errors, load as load_host};
    use super::*;
    use crate::config::settings::Access;
    use crate::model::record::Level;

    #[test]
    fn a_configuration_is_searched_when_none_is_named() {
        // C-001, C-002, C-004
        let host = MemoryHost::new().file("/work/etc/supervisord.conf", "[supervisord]\n");
        let overrides = Overrides { argv0: "supervisord".to_owned(), ..Overrides::default() };
        let settings = load(&overrides, &host).unwrap();
        assert_eq!(settings.daemon.config_file.to_str(), Some("/work/etc/supervisord.conf"));
        let error = load(&overrides, &MemoryHost::new()).unwrap_err().to_string();
        assert!(error.starts_with("No config file found at default paths (etc/supervisord.conf, "));
    }

    #[test]
    fn the_main_section_is_needed_wherever_it_is() {
        // C-016, C-113
        let host = MemoryHost::with("[include]\nfiles=i\n");
        assert_eq!(load_host(&host).unwrap_err(), ".ini file does not include supervisord section");
        let host = host.file("/etc/i", "[supervisord]\nidentifier=i\n");
        assert_eq!(load_host(&host).unwrap().daemon.identifier, "i");
    }

    #[test]
    fn here_works_everywhere_when_something_is_included() {
        // C-042, C-442
        let text = "[supervisord]\n[include]\nfiles=d%%/i\n[inet_http_server]\nport=1\n\
                    username=u\npassword=%(here)s\n[program:m]\ncommand=%(here)s %%(here)s\n";
        let host = MemoryHost::with(text)
            .file("/etc/d%/i", "[program:i]\ncommand=%(here)s/x\npriority=0\n");
        let settings = load_host(&host).unwrap();
        let access = settings.servers[0].access.clone();
        assert!(access == Access::Basic { username: "u".to_owned(), password: "/etc".to_owned() });
        assert_eq!(settings.groups[0].processes[0].command, "/etc/d%/x");
        assert_eq!(settings.groups[1].processes[0].command, "/etc %(here)s");
    }

    #[test]
    fn the_most_important_notes_come_first() {
        // C-118
        let host = MemoryHost::with(
            "[supervisord]\n[include]\nfiles=i none\n[program:a]\ncommand=x\n\
             stdout_logfile_maxbytes=0\n[rpcinterface:x]\nsupervisor.rpcinterface_factory=a:b\n",
        )
        .file("/etc/i", "");
        let notes = load_host(&host).unwrap().notes;
        let levels: Vec<Level> = notes.iter().map(|note| note.level).collect();
        assert_eq!(levels, [Level::Critical, Level::Warn, Level::Warn, Level::Info]);
        assert!(notes[1].text.starts_with("No file matches via include"));
    }

    #[test]
    fn defaults_apply_to_all_sections() {
        // C-014
        let host = MemoryHost::with(
            "[DEFAULT]\nautostart=false\n[supervisord]\n[program:a]\ncommand=x\n[program:b]\n\
             command=x\nautostart=true\n",
        );
        let settings = load_host(&host).unwrap();
        let autostart: Vec<bool> =
            settings.groups.iter().map(|group| group.processes[0].autostart).collect();
        assert_eq!(autostart, [false, true]);
    }

    proptest::proptest! {
        #[test]
        fn no_configuration_makes_it_panic(
            options in proptest::collection::vec("(command|numprocs|environment|stdout_logfile|process_name|priority|x)=[%()a-zA-Z_;, \"'0-9\n]{0,20}", 0..6)
        ) {
            let _ = load_host(&MemoryHost::with(&format!(
                "[supervisord]\n[program:a]\n{}\n", options.join("\n")
            )));
            let _ = errors_or_none(&options.join("\n"));
        }
    }

    fn errors_or_none(text: &str) -> Option<String> {
        load_host(&MemoryHost::with(&format!("[supervisord]\n{text}"))).err()
    }

    #[test]
    fn errors_of_two_sections_are_both_there() {
        assert_eq!(errors("[program:a]\n[program:b]\n").lines().count(), 2);
    }
}
