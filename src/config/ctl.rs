//! What supervisorctl reads of a configuration (C-074 to C-076, C-041, C-447).

use super::error::{ConfigError, ConfigErrors};
use super::host::Host;
use super::include::read_main;
use super::options::{OptionDef, SectionKind, option};
use super::reader::{Reader, Scope};
use super::settings::CtlSettings;
use super::{path, search, servers, values};
use crate::model::record::Level;

/// Where supervisorctl connects when nothing says otherwise.
const DEFAULT_URL: &str = "http://localhost:9001";

/// Reads `[supervisorctl]` of the file that the command line names, or that is found. No file is
/// no error (C-003). What `[include]` names is not read (C-076).
///
/// # Errors
/// Everything that is wrong with the file, in upstream's words.
pub fn load(
    config_file: Option<&str>,
    argv0: &str,
    host: &dyn Host,
) -> Result<CtlSettings, ConfigErrors> {
    let base = host.cwd();
    let found = match config_file {
        Some(file) => Some(file.to_owned()),
        None => search::find(argv0, &base, host),
    };
    let Some(file) = found else {
        return Ok(CtlSettings {
            config_file: None,
            serverurl: DEFAULT_URL.to_owned(),
            username: None,
            password: None,
            prompt: "supervisor".to_owned(),
            history_file: None,
            tls_ca: None,
            pidfile: None,
            notes: Vec::new(),
        });
    };
    let document = read_main(&file, &base, host)?;
    let here = path::absolute(&base, path::dirname(&file));
    let reader = Reader::new(&document, host, &here, &base);
    let Some(section) = document.section("supervisorctl") else {
        return Err(ConfigError::new(".ini file does not include supervisorctl section").into());
    };
    let scope = reader.scope(SectionKind::Supervisorctl, section);
    let serverurl = scope.text(option!(Supervisorctl, "serverurl")).unwrap_or_default();
    let file_of = |option| {
        let file = scope.text(option).filter(|file| !file.is_empty());
        file.map(|file| absolute(&reader, &file).into())
    };
    let mut settings = CtlSettings {
        config_file: Some(path::absolute(&base, &file).into()),
        serverurl: match serverurl.strip_prefix("unix://") {
            Some(path) => format!("unix://{}", absolute(&reader, path)),
            None => serverurl,
        },
        prompt: scope.text(option!(Supervisorctl, "prompt")).unwrap_or_default(),
        username: scope.text(option!(Supervisorctl, "username")),
        password: scope.text(option!(Supervisorctl, "password")),
        history_file: file_of(option!(Supervisorctl, "history_file")),
        tls_ca: file_of(option!(Supervisorctl, "tls_ca")),
        pidfile: pidfile(&reader).map(Into::into),
        notes: Vec::new(),
    };
    check_plugins(&reader);
    settings.notes = reader.finish()?;
    Ok(settings)
}

fn absolute(reader: &Reader<'_>, file: &str) -> String {
    path::absolute(&reader.base, &path::expand_user(reader.host, file))
}

/// The daemon's pid file. What is wrong with it is the daemon's business.
fn pidfile(reader: &Reader<'_>) -> Option<String> {
    let section = reader.document.section("supervisord")?;
    let trial = reader.trial();
    let scope = trial.scope(SectionKind::Supervisord, section);
    let read = scope.read(option!(Supervisord, "pidfile"), |text| {
        values::existing_dirpath(reader.host, text)
    })?;
    Some(absolute(reader, &read))
}

/// Python plugins cannot be loaded; that is told, and everything else works (C-073).
fn check_plugins(reader: &Reader<'_>) {
    const FACTORY: &OptionDef = option!(CtlPlugin, "supervisor.ctl_factory");
    for section in reader.sections(SectionKind::CtlPlugin) {
        let scope: Scope<'_> = reader.scope(SectionKind::CtlPlugin, section);
        let name = &section.name;
        if scope.given(FACTORY).is_none() {
            let key = FACTORY.key;
            scope.wrong_section(format!("section [{name}] does not specify a {key}"));
            continue;
        }
        let Some(factory) = scope.text(FACTORY) else { continue };
        servers::check_extras(&scope, FACTORY);
        reader.note(
            Level::Critical,
            format!(
                "[{name}] cannot be loaded: {factory} is a Python plugin. Use the built-in \
                 actions, or a script that calls supervisorctl instead."
            ),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::MemoryHost;
    use super::*;

    fn read(text: &str) -> Result<CtlSettings, String> {
        let host = MemoryHost::with(text)
            .directory("/run")
            .variable("HOME", "/home/me")
            .variable("P", "1%2");
        load(Some("/etc/s.conf"), "supervisorctl", &host).map_err(|errors| errors.to_string())
    }

    #[test]
    fn without_a_file_there_are_defaults() {
        // C-003, C-075
        let settings = load(None, "supervisorctl", &MemoryHost::new()).unwrap();
        assert_eq!(settings.serverurl, "http://localhost:9001");
        assert_eq!(settings.config_file, None);
    }

    #[test]
    fn the_section_is_needed_and_has_its_options() {
        // C-074, C-075, C-041
        assert_eq!(
            read("[supervisord]\n").unwrap_err(),
            ".ini file does not include supervisorctl section"
        );
        let settings = read(
            "[supervisord]\npidfile=/run/p.pid\n[supervisorctl]\nserverurl=unix://%(here)s/../s\n\
             username=u\npassword=%(ENV_P)s\nprompt=x\nhistory_file=~/h\n\
             tls_ca=%(here)s/ca.pem\n",
        )
        .unwrap();
        assert_eq!(settings.serverurl, "unix:///s");
        assert_eq!(settings.username.as_deref(), Some("u"));
        assert_eq!(settings.password.as_deref(), Some("1%2"));
        assert_eq!(settings.prompt, "x");
        assert_eq!(settings.history_file, Some("/home/me/h".into()));
        assert_eq!(settings.tls_ca, Some("/etc/ca.pem".into()));
        assert_eq!(settings.pidfile, Some("/run/p.pid".into()));
        assert_eq!(settings.config_file, Some("/etc/s.conf".into()));
        let settings = read("[supervisorctl]\nserverurl=foo\n").unwrap();
        assert_eq!(settings.serverurl, "foo", "not checked");
        assert_eq!(settings.pidfile, None);
        let error = read("[supervisorctl]\nprompt=%(here)s\nusername=%\n").unwrap_err();
        assert!(error.starts_with("Format string '%(here)s' for 'supervisorctl.prompt' contains"));
        assert_eq!(error.lines().count(), 2);
    }

    #[test]
    fn includes_are_not_read_and_plugins_not_loaded() {
        // C-073, C-076
        let settings = read(
            "[include]\nfiles=*.conf\n[supervisorctl]\n[ctlplugin:x]\n\
             supervisor.ctl_factory=a:b\nkey=1\n",
        )
        .unwrap();
        assert_eq!(settings.serverurl, "http://localhost:9001");
        assert!(settings.notes[0].text.starts_with("[ctlplugin:x] cannot be loaded: a:b is"));
        assert_eq!(
            read("[supervisorctl]\n[ctlplugin:x]\n").unwrap_err(),
            "section [ctlplugin:x] does not specify a supervisor.ctl_factory \
             (section 'ctlplugin:x', file: '/etc/s.conf', line 2)"
        );
    }
}
