//! What nobody can make the pages do.

use super::{PROGRAMS, act, post, served, token};
use crate::support::http::{Target, ask, get, loopback};
use crate::support::scratch::Scratch;

#[test]
fn nothing_is_done_without_a_form_of_ours() {
    // C-439
    let scratch = Scratch::new();
    let (daemon, target) = served(&scratch, PROGRAMS);
    daemon.expect_log("success: up entered RUNNING");
    let asked = get(&target, "/index.html?processname=up&action=stop", "");
    assert_eq!(asked.status(), 200);
    assert!(
        asked.text().contains("Nothing was done yet. Do you want to <strong>stop up</strong>?")
    );
    let page = asked.text();
    let refused = |body: &str| {
        let answer = post(&target, "/index.html?processname=up&action=stop", body);
        assert_eq!(answer.status(), 403, "{body}");
        assert!(answer.text().contains("Nothing was done yet."), "{body}");
    };
    let token = token(&page);
    for body in ["", "csrf=", "csrf=0", &format!("csrf={}", &token[1..]), &format!("csrf={token}0")]
    {
        refused(body);
    }
    // A token in the address would be seen by others.
    assert_eq!(
        get(&target, &format!("/?processname=up&action=stop&csrf={token}"), "").status(),
        200
    );
    for (query, grave) in [("action=stopall", false), ("action=shutdown", true)] {
        let page = get(&target, &format!("/?{query}"), "").text();
        assert_eq!(page.contains("name=\"sure\" value=\"yes\" required"), grave, "{query}");
    }
    // What ends everything is asked for twice.
    let once = post(&target, "/", &format!("action=shutdown&csrf={token}"));
    assert_eq!(once.status(), 403);
    assert!(daemon.ctl(&["status", "up"]).stdout.contains("RUNNING"));
    let form = format!("csrf={token}&action=stop&processname=up");
    assert_eq!(post(&target, "/index.html", &form).status(), 303);
    assert!(daemon.ctl(&["status", "up"]).stdout.contains("STOPPED"));
}

#[test]
fn a_token_of_another_server_is_good_for_nothing() {
    // C-439
    let scratch = Scratch::new();
    let other = loopback();
    let (daemon, target) = served(
        &scratch,
        &format!("[inet_http_server:b]\nport={other}\nusername=u\npassword=p\n{PROGRAMS}"),
    );
    daemon.expect_log("success: up entered RUNNING");
    // u:p
    let theirs = get(&Target::Inet(other), "/", "Authorization: Basic dTpw\r\n").text();
    let form = format!("csrf={}&action=stop&processname=up", token(&theirs));
    assert_eq!(post(&target, "/index.html", &form).status(), 403);
    assert!(daemon.ctl(&["status", "up"]).stdout.contains("RUNNING"));
}

#[test]
fn other_sites_get_nowhere() {
    // C-439
    let scratch = Scratch::new();
    let (_daemon, target) = served(&scratch, PROGRAMS);
    for headers in [
        "Host: evil.example\r\nUser-Agent: Mozilla/5.0\r\n",
        "Host: localhost\r\nOrigin: http://evil.example\r\n",
        "Host: localhost\r\nOrigin: null\r\n",
    ] {
        for line in ["GET /", "GET /stylesheets/supervisor.css", "POST /index.html?action=stopall"]
        {
            let request = format!("{line} HTTP/1.1\r\n{headers}Content-Length: 0\r\n\r\n");
            assert_eq!(ask(&target, request).status(), 403, "{line} {headers}");
        }
    }
}

#[test]
fn a_page_runs_nothing_and_is_framed_by_nobody() {
    // C-439
    let scratch = Scratch::new();
    let (_daemon, target) = served(&scratch, PROGRAMS);
    for path in
        ["/", "/?action=stopall", "/tail.html", "/?message=%3Cscript%3Ealert(1)%3C/script%3E"]
    {
        let answer = get(&target, path, "");
        let policy = answer.header("content-security-policy").expect("a policy").to_owned();
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'sha256-",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        ] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("x-frame-options"), Some("DENY"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("content-type"), Some("text/html;charset=utf-8"));
        let text = answer.text();
        for inline in [" style=", " onclick=", "javascript:", "<script>"] {
            assert!(!text.contains(inline), "{path} has {inline}");
        }
    }
}

#[test]
fn text_from_outside_is_never_markup() {
    let scratch = Scratch::new();
    let (daemon, target) = served(
        &scratch,
        "[program:<i>&\"'x]\ncommand=/bin/sh -c 'echo \"<script>alert(1)</script>\"; exec cat'\n",
    );
    daemon.expect_log("entered RUNNING");
    let evil = "%3Cscript%3Ealert(1)%3C/script%3E";
    let named = "%3Ci%3E%26%22%27x";
    for path in [
        "/".to_owned(),
        format!("/?message={evil}"),
        format!("/?action=stop&processname={evil}"),
        format!("/?action=signal&signal={evil}&selected={evil}"),
        format!("/tail.html?processname={evil}&limit={evil}"),
        format!("/tail.html?processname={named}"),
    ] {
        let text = get(&target, &path, "").text();
        assert!(!text.contains("<script>") && !text.contains("<i>"), "{path}: {text}");
    }
    let text = get(&target, &format!("/tail.html?processname={named}"), "").text();
    assert!(text.contains("&#60;script&#62;alert(1)&#60;/script&#62;"), "{text}");
    assert_eq!(
        act(&target, &format!("processname={named}&action=stop")),
        "Process <i>&\"'x stopped"
    );
}
