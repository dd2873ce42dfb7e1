//! `web`: a link that opens the web page.

use super::super::client::{CallError, Login};
use super::super::http::host_and_port;
use super::super::render::exit;
use super::super::session::{Failure, Session};
use super::usage;
use crate::model::fault::FaultKind;

/// `web [--read-only]`.
pub(super) async fn web(session: &mut Session, args: &str) -> Result<(), Failure> {
    let read_only = match args {
        "" => false,
        "--read-only" => true,
        _ => {
            let error = "Error: web accepts nothing but --read-only";
            return usage(session, "web", error, exit::GENERIC);
        }
    };
    let Some(client) = session.upcheck().await? else { return Ok(()) };
    match client.create_login(read_only).await {
        Ok(login) => {
            let machine = nix::unistd::gethostname().unwrap_or_default();
            let text = told(&login, read_only, &machine.to_string_lossy());
            session.out.bytes(text.as_bytes())?;
        }
        Err(CallError::Fault(fault)) if fault.kind == FaultKind::Failed => {
            session.out.line(&format!("ERROR: there is no link: {}", fault.detail))?;
            session.exit = exit::GENERIC;
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// What a person reads.
fn told(login: &Login, read_only: bool, machine: &str) -> String {
    let what = if read_only { "to look, " } else { "" };
    let mut text = format!(
        "Open this in a browser within {} seconds. It lets somebody in, {what}once:\n\n",
        login.seconds
    );
    for link in &login.links {
        text.extend(["  ", link, "\n"]);
    }
    let tunnels = login.links.iter().filter_map(|link| tunnel(link, machine));
    for (at, tunnel) in tunnels.enumerate() {
        let start = if at == 0 { "\nFrom another machine, run this there first:\n\n" } else { "" };
        text.extend([start, "  ", &tunnel, "\n"]);
    }
    text
}

/// How a link for this machine alone is reached from another one.
fn tunnel(link: &str, machine: &str) -> Option<String> {
    let (_, rest) = link.split_once(':')?;
    let (host, port) = host_and_port(rest);
    let port = port?;
    let is_local = host == "localhost" || host.starts_with("127.") || host == "::1";
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    // A browser there finds the same address; without one ssh listens where localhost is.
    let usual = matches!(host.as_str(), "127.0.0.1" | "localhost");
    let here = if usual { String::new() } else { format!("{host}:") };
    is_local.then(|| format!("ssh -L {here}{port}:{host}:{port} {machine}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_comes_with_what_to_do() {
        let login = Login {
            links: vec!["http://127.0.0.1:9001/login/a".into(), "https://db7:9443/login/a".into()],
            seconds: 60,
        };
        assert_eq!(
            told(&login, false, "db7"),
            "Open this in a browser within 60 seconds. It lets somebody in, once:\n\n\
             \x20 http://127.0.0.1:9001/login/a\n\
             \x20 https://db7:9443/login/a\n\n\
             From another machine, run this there first:\n\n\
             \x20 ssh -L 9001:127.0.0.1:9001 db7\n"
        );
        let remote = Login { links: vec!["https://db7:9443/login/a".into()], seconds: 60 };
        assert_eq!(
            told(&remote, true, "db7"),
            "Open this in a browser within 60 seconds. It lets somebody in, to look, once:\n\n\
             \x20 https://db7:9443/login/a\n"
        );
        let six = tunnel("http://[::1]:9001/login/a", "db7");
        assert_eq!(six.as_deref(), Some("ssh -L [::1]:9001:[::1]:9001 db7"));
        let other = tunnel("http://127.0.0.2:9001/login/a", "db7");
        assert_eq!(other.as_deref(), Some("ssh -L 127.0.0.2:9001:127.0.0.2:9001 db7"));
    }
}
