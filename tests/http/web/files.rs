//! The files of the pages, and what all of a page weighs.

use super::{PROGRAMS, served};
use crate::support::http::{ask, get};
use crate::support::scratch::Scratch;

const CSS: &str = "/stylesheets/supervisor.css";

#[test]
fn files_are_sent_once_and_nothing_else_is_there() {
    // C-335, C-323
    let scratch = Scratch::new();
    let (_daemon, target) = served(&scratch, PROGRAMS);
    let whole = get(&target, CSS, "");
    assert_eq!(whole.status(), 200);
    let head = ask(&target, format!("HEAD {CSS} HTTP/1.0\r\n\r\n"));
    assert_eq!((head.status(), head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), Some(whole.body.len().to_string().as_str()));
    let packed = get(&target, CSS, "Accept-Encoding: gzip\r\n");
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    assert!(packed.body.len() * 2 < whole.body.len(), "{}", packed.body.len());
    for header in [
        format!("Connection: close\r\nIf-None-Match: {}\r\n", whole.header("etag").expect("a tag")),
        format!(
            "Connection: close\r\nIf-Modified-Since: {}\r\n",
            whole.header("last-modified").expect("a date")
        ),
    ] {
        let known = get(&target, CSS, &header);
        assert_eq!((known.status(), known.body.len()), (304, 0), "{header}");
    }
    let directory = get(&target, "/stylesheets", "");
    assert_eq!(directory.status(), 301);
    assert_eq!(directory.header("location"), Some("/stylesheets/"));
    for nothing in [
        "/stylesheets/",
        "/stylesheets/../../../../../etc/passwd",
        "/images/%2e%2e/%2e%2e/etc/passwd",
        "/etc/passwd",
        "/images/..%2f..%2fetc/passwd",
        "/stylesheets/nothing.css",
    ] {
        assert_eq!(get(&target, nothing, "").status(), 404, "{nothing}");
    }
    for verb in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let request = format!("{verb} {CSS} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(ask(&target, request).status(), 400, "{verb}");
    }
    assert_eq!(ask(&target, "HEAD / HTTP/1.0\r\n\r\n").status(), 200);
}

#[test]
fn the_page_is_light() {
    let scratch = Scratch::new();
    let (_daemon, target) = served(&scratch, PROGRAMS);
    let mut weight = 0;
    let mut left = vec!["/".to_owned()];
    let mut seen = Vec::new();
    while let Some(path) = left.pop() {
        if seen.contains(&path) {
            continue;
        }
        let packed = get(&target, &path, "Accept-Encoding: gzip\r\n");
        assert_eq!(packed.status(), 200, "{path}");
        weight += packed.body.len();
        let text = get(&target, &path, "").text();
        for (mark, folder) in [("src=\"/", "/"), ("link href=\"/", "/"), ("from \"./", "/scripts/")]
        {
            let found = text.split(mark).skip(1).filter_map(|rest| rest.split('"').next());
            left.extend(found.map(|name| format!("{folder}{name}")));
        }
        seen.push(path);
    }
    assert!(seen.len() > 10, "scripts and style sheets are part of it: {seen:?}");
    assert!(weight < 60_000, "{weight} bytes");
    println!("{weight} bytes in {} files", seen.len());
}
