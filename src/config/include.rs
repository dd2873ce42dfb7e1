//! The main file, and the files that its `[include]` names (C-005, C-109 to C-114).

use std::io;
use std::rc::Rc;

use glob::{MatchOptions, Pattern};

use super::document::Document;
use super::error::{ConfigError, Place};
use super::host::Host;
use super::ini;
use super::options::{SectionKind, option};
use super::path;
use super::reader::{Reader, words};
use crate::model::record::{Level, Record};

/// A configuration with everything it includes.
pub(crate) struct Loaded {
    pub(crate) document: Document,
    /// The directory of the main file, absolute (C-006).
    pub(crate) here: String,
    /// What was included, or looked for in vain (C-112).
    pub(crate) notes: Vec<Record>,
}

/// Reads the main file alone.
///
/// # Errors
/// The file is not there, not readable, or not a configuration (C-005, C-007, C-017).
pub(crate) fn read_main(file: &str, base: &str, host: &dyn Host) -> Result<Document, ConfigError> {
    let real = path::join(base, file);
    if !host.exists(real.as_ref()) {
        return Err(ConfigError::new(format!("could not find config file {file}")));
    }
    let bytes = host
        .read(real.as_ref())
        .map_err(|_| ConfigError::new(format!("could not read config file {file}")))?;
    let mut document = Document::new();
    merge(&mut document, bytes, file)?;
    Ok(document)
}

/// Reads the main file and all files it includes.
///
/// # Errors
/// What is wrong with the syntax of any of them.
pub(crate) fn read_all(
    file: &str,
    base: &str,
    host: &dyn Host,
) -> Result<Loaded, Vec<ConfigError>> {
    let mut document = read_main(file, base, host).map_err(|error| vec![error])?;
    let here = path::absolute(base, path::dirname(file));
    let mut notes = Vec::new();
    let Some(patterns) = patterns(&mut document, host, &here, base)? else {
        return Ok(Loaded { document, here, notes });
    };
    let mut errors = Vec::new();
    for pattern in patterns {
        let pattern = path::join(&here, &pattern);
        let mut found = find(host, &pattern);
        if found.is_empty() {
            let text = format!("No file matches via include \"{pattern}\"");
            notes.push(Record::new(Level::Warn, text));
        }
        found.sort();
        for name in found {
            let text = format!("Included extra file \"{name}\" during parsing");
            notes.push(Record::new(Level::Info, text));
            // What cannot be read is passed over, as upstream does (C-112).
            match host.read(name.as_ref()) {
                Ok(bytes) => match merge(&mut document, bytes, &name) {
                    Ok(()) => {}
                    Err(error) => errors.push(error),
                },
                Err(error) if error.kind() == io::ErrorKind::IsADirectory => {}
                Err(error) => {
                    let text = format!("Could not read included file \"{name}\": {error}");
                    notes.push(Record::new(Level::Warn, text));
                }
            }
            document.tie_here(&path::absolute(base, path::dirname(&name)));
        }
    }
    if errors.is_empty() { Ok(Loaded { document, here, notes }) } else { Err(errors) }
}

fn merge(document: &mut Document, bytes: Vec<u8>, file: &str) -> Result<(), ConfigError> {
    let sections = ini::decode(bytes).and_then(|text| ini::parse(&text, file));
    let sections = sections.map_err(|error| {
        let mut wrong = ConfigError::new(error.to_string());
        if let ini::SyntaxError::Encoding(_) = error {
            wrong.place = Place { file: Some(file.to_owned()), ..Place::default() };
        }
        wrong
    })?;
    document.merge(sections, &Rc::from(file));
    Ok(())
}

/// The patterns of `[include] files`; none when there is no such section (C-033, C-109).
fn patterns(
    document: &mut Document,
    host: &dyn Host,
    here: &str,
    base: &str,
) -> Result<Option<Vec<String>>, Vec<ConfigError>> {
    const FILES: &super::options::OptionDef = option!(Include, "files");
    if document.section("include").is_none() {
        return Ok(None);
    }
    document.tie_here(here);
    let reader = Reader::new(document, host, here, base);
    let Some(section) = document.section("include") else { return Ok(None) };
    let scope = reader.scope(SectionKind::Include, section);
    if scope.given(FILES).is_none() {
        scope.wrong_section(".ini file has [include] section, but no files setting");
    }
    let text = scope.text(FILES);
    reader.finish().map_err(|errors| errors.iter().cloned().collect::<Vec<_>>())?;
    Ok(Some(words(&text.unwrap_or_default()).map(str::to_owned).collect()))
}

/// The paths that a pattern matches, as Python's `glob` finds and writes them (C-111).
fn find(host: &dyn Host, pattern: &str) -> Vec<String> {
    if !has_magic(pattern) {
        let found = host.exists(pattern.as_ref());
        return if found { vec![pattern.to_owned()] } else { Vec::new() };
    }
    let directory = path::dirname(pattern);
    let name = &pattern[pattern.rfind('/').map_or(0, |at| at + 1)..];
    let directories = if has_magic(directory) {
        find(host, directory).into_iter().filter(|path| host.is_dir(path.as_ref())).collect()
    } else {
        vec![directory.to_owned()]
    };
    let names_in = |directory: &str| -> Vec<String> {
        if has_magic(name) {
            let names = host.list(directory.as_ref()).into_iter();
            names.filter(|candidate| matches(name, candidate)).collect()
        } else if host.exists(path::join(directory, name).as_ref()) {
            vec![name.to_owned()]
        } else {
            Vec::new()
        }
    };
    let joined = directories.iter().flat_map(|directory| {
        names_in(directory).into_iter().map(|name| path::join(directory, &name))
    });
    joined.collect()
}

fn has_magic(pattern: &str) -> bool {
    pattern.contains(['*', '?', '['])
}

/// Whether a name matches; a star does not match hidden files, and two stars are one.
fn matches(pattern: &str, name: &str) -> bool {
    if name.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    let mut single = pattern.to_owned();
    while single.contains("**") {
        single = single.replace("**", "*");
    }
    // A bracket that is not closed stands for itself.
    let compiled = Pattern::new(&single).or_else(|_| Pattern::new(&single.replace('[', "[[]")));
    compiled.is_ok_and(|pattern| pattern.matches_with(name, MatchOptions::new()))
}

#[cfg(test)]
mod tests {
    use super::super::testing::MemoryHost;
    use super::*;

    fn load(host: &MemoryHost) -> Result<Loaded, String> {
        read_all("/etc/s.conf", "/work", host)
            .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    }

    fn notes(loaded: &Loaded) -> Vec<&str> {
        loaded.notes.iter().map(|note| note.text.as_str()).collect()
    }

    #[test]
    fn files_that_are_not_there_are_usage_errors() {
        // C-005
        let host = MemoryHost::new();
        let error = read_main("x.conf", "/work", &host).unwrap_err();
        assert_eq!(error.to_string(), "could not find config file x.conf");
        let error = read_main("/etc", "/work", &host).unwrap_err();
        assert_eq!(error.to_string(), "could not read config file /etc");
    }

    #[test]
    fn patterns_are_taken_in_order_and_their_matches_by_name() {
        // C-033, C-109, C-110, C-111, C-112, C-113
        let host = MemoryHost::with(
            "[include]\nfiles = c.d/*.conf\n  %(here)s/one.ini %(ENV_D)s/**.x\t/none/*\n[a]\nv=0\n",
        )
        .variable("D", "/opt")
        .file("/etc/c.d/b.conf", "[a]\nv=2\n")
        .file("/etc/c.d/a.conf", "[a]\nv=1\n[b]\n")
        .file("/etc/c.d/.hidden.conf", "x")
        .directory("/etc/c.d/d.conf")
        .file("/etc/one.ini", "[c]\n")
        .file("/opt/f.x", "[d]\n");
        let loaded = load(&host).unwrap();
        assert_eq!(
            notes(&loaded),
            [
                "Included extra file \"/etc/c.d/a.conf\" during parsing",
                "Included extra file \"/etc/c.d/b.conf\" during parsing",
                "Included extra file \"/etc/c.d/d.conf\" during parsing",
                "Included extra file \"/etc/one.ini\" during parsing",
                "Included extra file \"/opt/f.x\" during parsing",
                "No file matches via include \"/none/*\"",
            ]
        );
        let section = loaded.document.section("a").unwrap();
        let value = loaded.document.get(section, "v").unwrap();
        assert_eq!((value.text.as_str(), &*value.file), ("2", "/etc/c.d/b.conf"));
        assert_eq!(&*loaded.document.section("b").unwrap().file, "/etc/c.d/a.conf");
    }

    #[test]
    fn an_include_needs_files_and_is_not_followed_further() {
        // C-109, C-114
        let error = load(&MemoryHost::with("[x]\n\n[include]\n")).err().unwrap();
        assert_eq!(
            error,
            ".ini file has [include] section, but no files setting \
             (section 'include', file: '/etc/s.conf', line 3)"
        );
        assert_eq!(notes(&load(&MemoryHost::with("[include]\nfiles=\n")).unwrap()), [""; 0]);
        let host = MemoryHost::with("[include]\nfiles=a\n")
            .file("/etc/a", "[include]\nfiles=b\n")
            .file("/etc/b", "[b]\n");
        assert!(load(&host).unwrap().document.section("b").is_none());
    }

    #[test]
    fn bad_included_files_are_all_named() {
        // C-114
        let host = MemoryHost::with("[include]\nfiles=a b c\n")
            .file("/etc/a", "x=1\n")
            .file("/etc/b", "[b]\noops\n")
            .file("/etc/c", b"[\xff]\n");
        assert_eq!(
            load(&host).err().unwrap(),
            "File contains no section headers.\nfile: '/etc/a', line: 1\n'x=1\\n'\n\
             Source contains parsing errors: '/etc/b'\n\t[line  2]: 'oops\\n'\n\
             'utf-8' codec can't decode byte 0xff in position 1: invalid start byte \
             (file: '/etc/c')"
        );
    }

    #[test]
    fn here_is_the_main_directory_for_the_main_file() {
        // C-006
        let host = MemoryHost::new().file("/work/d/s.conf", "");
        assert_eq!(read_all("d/../d/s.conf", "/work", &host).ok().unwrap().here, "/work/d");
    }

    #[test]
    fn names_match_as_in_a_shell() {
        // C-111
        for (pattern, name, expected) in [
            ("*.conf", "a.conf", true),
            ("*.conf", ".a.conf", false),
            (".*", ".a", true),
            ("?[ab]", "xb", true),
            ("[!a]", "a", false),
            ("a[b", "a[b", true),
            ("a[b*", "a[bc", true),
            ("***", "x", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
