//! The pages, by raw requests: what they show, what their forms do, and what nobody can make them do.

mod daemon;
mod files;
mod forms;
mod live;
mod overview;
mod process;
mod safety;

use crate::support::daemon::Daemon;
use crate::support::http::{Answer, Target, ask, get, loopback};
use crate::support::scratch::Scratch;

pub const PROGRAMS: &str = "\
[program:up]\ncommand=/bin/cat\nstartsecs=0\n\
[program:down]\ncommand=/bin/cat\nautostart=false\nstartsecs=0\n\
[program:none]\ncommand=/nothing/here\nautostart=false\n\
[program:sour]\ncommand=/bin/false\nautostart=false\nstartretries=0\n\
[program:b]\ncommand=/bin/cat\nprocess_name=x%(process_num)d\nnumprocs=2\nautostart=false\nstartsecs=0\n";

/// A daemon with one inet server and these programs, and its address.
pub fn served(scratch: &Scratch, config: &str) -> (Daemon, Target) {
    let address = loopback();
    let daemon = Daemon::start(scratch, &format!("[inet_http_server]\nport={address}\n{config}"));
    (daemon, Target::Inet(address))
}

pub fn post(target: &Target, path: &str, body: &str) -> Answer {
    let length = body.len();
    ask(
        target,
        format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n{body}"
        ),
    )
}

/// The token in the forms of a page.
pub fn token(page: &str) -> String {
    let (_, rest) = page.split_once("name=\"csrf\" value=\"").expect("a form with a token");
    rest.split('"').next().expect("its end").to_owned()
}

/// Fetches a token and posts a form with it; the message that it leads to.
pub fn act(target: &Target, query: &str) -> String {
    let page = get(target, "/", "").text();
    let answer = post(target, &format!("/index.html?{query}"), &format!("csrf={}", token(&page)));
    assert_eq!(answer.status(), 303, "{answer:?}");
    let location = answer.header("location").expect("a place to go").to_owned();
    let (path, message) = location.split_once("?message=").expect("a message");
    assert_eq!(path, "/");
    let shown = get(target, &location, "").text();
    let (_, shown) = shown.split_once("class=\"status_msg\" role=\"status\">").expect("a message");
    let message = percent_encoding::percent_decode_str(message).decode_utf8_lossy().into_owned();
    let codes = [('&', "&#38;"), ('\'', "&#39;"), ('"', "&#34;"), ('<', "&#60;"), ('>', "&#62;")];
    let escaped = codes.iter().fold(message.clone(), |text, (from, to)| text.replace(*from, to));
    assert!(shown.starts_with(&escaped), "{message}: {shown}");
    message
}
