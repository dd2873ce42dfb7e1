//! Logging in on the web page as it is shipped: links that root makes, and whom root lets.

use super::access::rules;
use super::machine::Machine;
use super::rootfs::Suite;
use super::{PROGRAMS, installed};

super::on_each_suite!(
    root_logs_in_once_by_a_link_and_others_do_not,
    a_link_needs_every_right_that_it_gives,
);

const WEB: &str = "http://127.0.0.1:9001";

/// The status and the place it sends to of what a browser does: `args` are of curl.
fn browse(machine: &Machine, args: &str) -> String {
    machine.ok(&format!(
        "curl -s -o /tmp/page -w '%{{http_code}} %{{redirect_url}}' -m 20 \
         -c /tmp/jar -b /tmp/jar -H 'Origin: {WEB}' -A Mozilla/5.0 {args}"
    ))
}

/// The link in what `supervisorctl web` said.
fn link(said: &str) -> &str {
    let words = said.split_whitespace();
    let mut links = words.filter(|word| word.starts_with(&format!("{WEB}/login/")));
    links.next().unwrap_or_else(|| panic!("no link in {said}"))
}

fn root_logs_in_once_by_a_link_and_others_do_not(suite: Suite) {
    let machine = installed(suite);
    machine.write("/etc/supervisor/conf.d/shop.conf", PROGRAMS);
    machine.ok("systemctl reload supervisor; useradd alice");
    machine.until("supervisorctl status && ! supervisorctl status | grep -v RUNNING");

    // Without a session there is what to do, and nothing of what runs.
    assert_eq!(browse(&machine, &format!("{WEB}/")), "200");
    let front = machine.read("/tmp/page");
    assert!(front.contains("sudo supervisorctl web") && !front.contains("mail"), "{front}");
    let refused = machine.run_as("alice", "supervisorctl web 2>&1");
    assert!(refused.code != 0 && !refused.stdout.contains("/login/"), "{}", refused.stdout);
    let said = refused.stdout.to_lowercase();
    assert!(said.contains("polkit") || said.contains("not allowed"), "{said}");

    let said = machine.ok("supervisorctl web");
    let link = link(&said);
    assert_eq!(browse(&machine, link), "200", "it is only looked at");
    assert_eq!(browse(&machine, &format!("-X POST {link}")), format!("303 {WEB}/"));
    assert_eq!(browse(&machine, &format!("{WEB}/")), "200");
    let page = machine.read("/tmp/page");
    for name in ["mail", "worker_0", "worker_1"] {
        assert!(page.contains(name), "{name} is not in {page}");
    }
    assert_eq!(browse(&machine, &format!("{WEB}/process/mail/mail")), "200");

    // The page's own form acts.
    let form =
        "csrf=$(sed -n 's/.*name=\"csrf\" value=\"\\([0-9a-f]*\\)\".*/\\1/p' /tmp/page | head -1)";
    let stop = format!("-d \"{form}\" -d processname=mail -d action=stop {WEB}/");
    assert!(browse(&machine, &stop).starts_with(&format!("303 {WEB}/?message=")));
    machine.until("supervisorctl status mail | grep STOPPED");

    // Used is used; for alice as for root, with a jar of her own.
    assert_eq!(browse(&machine, &format!("-X POST {link}")), "403");
    assert!(machine.read("/tmp/page").contains("This link was used already"));
    assert_eq!(
        machine
            .run_as(
                "alice",
                &format!("curl -s -m 20 -o /dev/null -w '%{{http_code}}' -X POST {link}")
            )
            .stdout,
        "403"
    );

    // Who may only look does not act, on this machine either.
    let looks = machine.ok("rm /tmp/jar; supervisorctl web --read-only");
    assert_eq!(browse(&machine, &format!("-X POST {}", self::link(&looks))), format!("303 {WEB}/"));
    assert_eq!(browse(&machine, &format!("{WEB}/")), "200");
    let start = stop.replace("action=stop", "action=start");
    assert_eq!(browse(&machine, &start), "403");
    assert!(machine.read("/tmp/page").contains("This session may only look"));
    assert!(machine.run("supervisorctl status mail").stdout.contains("STOPPED"));
    assert_eq!(browse(&machine, &format!("{WEB}/daemon")), "200");

    machine.journal_has(
        "_SYSTEMD_UNIT=supervisor.service",
        "logged in by a link of user 0, and may act",
    );
    machine.journal_has("_SYSTEMD_UNIT=supervisor.service", "refused a link that is no good");
    // Sessions end with the daemon.
    machine.ok("systemctl restart supervisor");
    machine.until("supervisorctl status");
    assert_eq!(browse(&machine, &format!("{WEB}/daemon")), "401");
}

fn a_link_needs_every_right_that_it_gives(suite: Suite) {
    let machine = installed(suite);
    machine.ok("for user in asks reads manages owns; do useradd $user; done");
    // Each may what the one before may, and more.
    rules(
        &machine,
        "polkit.addRule(function(action, subject) {\n\
           var users = ['owns', 'manages', 'reads', 'asks'];\n\
           var needed = {'inspect': 4, 'read-logs': 3, 'manage-processes': 2,\n\
                         'manage-configuration': 2, 'shutdown': 1};\n\
           var at = users.indexOf(subject.user);\n\
           if (at >= 0 && at < needed[action.id.split('.').pop()]) return 'yes';\n\
         });\n",
    );
    let web = |user: &str, what: &str| machine.run_as(user, &format!("supervisorctl {what} 2>&1"));
    // A page shows logs too, and does all that there is to do.
    for (user, what, lacks) in [
        ("asks", "web --read-only", "read-logs"),
        ("reads", "web", "manage-processes"),
        ("manages", "web", "shutdown"),
    ] {
        let output = web(user, what);
        let said = &output.stdout;
        assert!(output.code != 0 && !said.contains("/login/"), "{user} {what}: {said}");
        assert!(said.contains(&format!("org.supervisord.Supervisor1.{lacks}")), "{user}: {said}");
    }
    for (user, what, may) in [("reads", "web --read-only", "may look"), ("owns", "web", "may act")]
    {
        let output = web(user, what);
        assert_eq!(output.code, 0, "{user} {what}: {}", output.stdout);
        let login = browse(&machine, &format!("-X POST {}", link(&output.stdout)));
        assert_eq!(login, format!("303 {WEB}/"));
        // It tells who it was, and not that it was root's daemon.
        let uid = machine.ok(&format!("id -u {user}"));
        machine.journal_has(
            "_SYSTEMD_UNIT=supervisor.service",
            &format!("logged in by a link of user {uid}, and {may}"),
        );
    }
}
