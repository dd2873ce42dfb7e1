//! What the Debian package is made of: files that are made from the source are current, the
//! shipped configuration is valid, manual pages and completions work.

#[path = "../../packaging/generate/made/mod.rs"]
mod made;
#[path = "../support/mod.rs"]
mod support;

mod completions;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::daemon::{SUPERVISORD, command};
use support::process::run;
use support::scratch::Scratch;

const SHIPPED: &str = include_str!("../../packaging/supervisord.conf");

/// A file of the tree.
fn tree(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

#[test]
fn what_is_made_from_the_source_is_current() {
    let old: Vec<String> = made::files()
        .into_iter()
        .filter(|file| std::fs::read_to_string(tree(&file.path)).ok().as_ref() != Some(&file.text))
        .map(|file| file.path)
        .collect();
    assert!(old.is_empty(), "not current: {}; `make generated` makes them anew", old.join(", "));
}

#[test]
fn every_option_and_section_has_its_place_in_the_manual() {
    use supervisor::config::options::{OPTIONS, SectionKind};
    let page = std::fs::read_to_string(tree("docs/man/supervisord.conf.5")).unwrap();
    for option in OPTIONS {
        let term = format!("\n\\fB{}\\fR=", option.key);
        assert!(page.contains(&term), "{}", option.key);
    }
    let sections = page.lines().filter(|line| line.starts_with(".SS \"[")).count();
    assert_eq!(sections, SectionKind::ALL.len());
}

#[test]
fn manual_pages_give_no_warnings() {
    for file in made::files().into_iter().filter(|file| file.path.starts_with("docs/man/")) {
        let mut groff = command("groff", Path::new("/"));
        let output = run(groff.args(["-man", "-ww", "-z", "-Tutf8"]).arg(tree(&file.path)));
        assert_eq!((output.code, output.stderr.as_str()), (0, ""), "{}", file.path);
        for section in [".SH \"NAME\"", ".SH \"SYNOPSIS\"", ".SH \"SEE ALSO\""] {
            assert!(file.text.contains(section), "{}: {section}", file.path);
        }
    }
}

#[test]
fn the_shipped_configuration_is_valid_and_gives_no_warnings() {
    let scratch = Scratch::new();
    let dir = scratch.path().display().to_string();
    // Where the package makes the directories, a test cannot.
    let staged = ["/var/log/supervisor", "/run/", "/etc/supervisor/"]
        .into_iter()
        .fold(SHIPPED.to_owned(), |text, path| text.replace(path, &format!("{dir}{path}")));
    scratch.write("var/log/supervisor/x", "");
    scratch.write("run/x", "");
    scratch.write("etc/supervisor/conf.d/app.conf", "[program:app]\ncommand=cat\n");
    let config = scratch.write("etc/supervisor/supervisord.conf", staged);
    let output = run(command(SUPERVISORD, scratch.path()).arg("-t").arg("-c").arg(&config));
    let valid =
        format!("The configuration {} is valid: 1 groups, 1 processes.\n", config.display());
    assert_eq!((output.code, output.stderr), (0, valid));
}

#[test]
fn the_shipped_configuration_uses_the_paths_of_debian() {
    let settings: BTreeSet<&str> =
        SHIPPED.lines().filter(|line| !line.starts_with([';', '['])).collect();
    for line in [
        "logfile=/var/log/supervisor/supervisord.log",
        "pidfile=/run/supervisord.pid",
        "childlogdir=/var/log/supervisor",
        "file=/run/supervisor.sock",
        "chmod=0700",
        "port=127.0.0.1:9001",
        "serverurl=unix:///run/supervisor.sock",
        "files=/etc/supervisor/conf.d/*.conf",
    ] {
        assert!(settings.contains(line), "{line}");
    }
    assert!(!settings.iter().any(|line| line.starts_with("password")), "no password is shipped");
}

#[test]
fn the_package_has_the_version_of_the_programs() {
    let changelog = std::fs::read_to_string(tree("debian/changelog")).unwrap();
    let version = changelog.split(['(', ')']).nth(1).unwrap();
    let (upstream, _revision) = version.rsplit_once('-').expect("a Debian revision");
    assert_eq!(upstream, env!("CARGO_PKG_VERSION"));
}

/// Files that the package installs are there; debhelper would say so only at its build.
#[test]
fn the_files_of_the_package_exist() {
    for list in ["install", "manpages", "docs"] {
        let text = std::fs::read_to_string(tree(&format!("debian/supervisor.{list}"))).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        for pattern in lines.filter_map(|line| line.split_whitespace().next()) {
            let found = glob::glob(&tree(pattern).display().to_string()).unwrap().count();
            assert!(found > 0, "debian/supervisor.{list}: {pattern}");
        }
    }
}

/// What is made for the system is of no use when it stays in the tree.
#[test]
fn all_units_and_bus_files_are_in_the_package() {
    let install = std::fs::read_to_string(tree("debian/supervisor.install")).unwrap();
    for dir in ["dbus", "systemd"] {
        for entry in std::fs::read_dir(tree(dir)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let link = std::fs::read_link(tree(&format!("debian/{name}")));
            let is_link = link.is_ok_and(|target| target == Path::new("..").join(dir).join(&name));
            let is_listed = install.lines().any(|line| line.starts_with(&format!("{dir}/{name} ")));
            assert!(is_link || is_listed, "debian/supervisor.install lacks {dir}/{name}");
        }
    }
}

#[test]
fn maintainer_scripts_are_valid_shell() {
    for script in ["postinst", "prerm", "postrm"] {
        let path = tree(&format!("debian/supervisor.{script}"));
        let output = run(Command::new("sh").arg("-n").arg(&path));
        assert_eq!((output.code, output.stderr.as_str()), (0, ""), "{script}");
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.contains("\n#DEBHELPER#\n"), "{script}");
        // What is enabled is the administrator's affair, and deb-systemd-helper knows it.
        assert!(!text.contains("systemctl enable"), "{script}");
    }
    let output = run(Command::new("sh").arg("-n").arg(tree("packaging/cleanup")));
    assert_eq!((output.code, output.stderr.as_str()), (0, ""));
}

#[test]
fn tests_of_the_installed_package_are_valid_shell_and_known() {
    let control = std::fs::read_to_string(tree("debian/tests/control")).unwrap();
    let named: BTreeSet<&str> =
        control.lines().filter_map(|line| line.strip_prefix("Tests: ")).collect();
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(tree("debian/tests")).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        if name == "control" {
            continue;
        }
        let output = run(Command::new("sh").arg("-n").arg(entry.path()));
        assert_eq!((output.code, output.stderr.as_str()), (0, ""), "{name}");
        found.insert(name);
    }
    assert_eq!(found.iter().map(String::as_str).collect::<BTreeSet<_>>(), named);
}
