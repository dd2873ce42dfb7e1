//! Who may do what: an ordinary user, polkit's rules, and what is left in the journal of it.

use super::machine::Machine;
use super::rootfs::Suite;
use super::{PROGRAMS, installed};

super::on_each_suite!(an_ordinary_user_is_refused_then_granted);

const RULES: &str = "/etc/polkit-1/rules.d/50-shop.rules";

/// Writes rules, and waits until polkit has read them: it does so by itself.
pub fn rules(machine: &Machine, text: &str) {
    machine.write("/tmp/rules", text);
    machine.ok(&format!(
        "mkdir -p /etc/polkit-1/rules.d && install -m 644 /tmp/rules {RULES}.new && \
         systemctl restart polkit && mv {RULES}.new {RULES} && systemctl restart polkit"
    ));
}

fn an_ordinary_user_is_refused_then_granted(suite: Suite) {
    let machine = installed(suite);
    machine.write("/etc/supervisor/conf.d/shop.conf", PROGRAMS);
    machine.ok("systemctl reload supervisor; useradd alice");
    machine.until("supervisorctl status && ! supervisorctl status | grep -v RUNNING");
    let pids = machine.ok("pgrep -x sleep");
    let alice = |what: &str| machine.run_as("alice", &format!("supervisorctl {what} 2>&1"));

    for what in ["status", "restart mail", "tail mail", "update", "shutdown"] {
        let refused = alice(what);
        assert_ne!(refused.code, 0, "{what}: {}", refused.stdout);
        let said = refused.stdout.to_lowercase();
        assert!(said.contains("polkit") || said.contains("not allowed"), "{what}: {said}");
    }
    assert_eq!(machine.ok("pgrep -x sleep"), pids);

    // Looking is granted, then mail and nothing else.
    rules(
        &machine,
        "polkit.addRule(function(action, subject) {\n\
           if (subject.user != 'alice') return;\n\
           if (action.id == 'org.supervisord.Supervisor1.inspect') return 'yes';\n\
           if (action.id == 'org.supervisord.Supervisor1.manage-processes' &&\n\
               action.lookup('process') == 'mail') return 'yes';\n\
         });\n",
    );
    let status = alice("status");
    assert_eq!((status.code, status.stdout.lines().count()), (0, 3), "{}", status.stdout);
    let restarted = alice("restart mail");
    assert_eq!(restarted.code, 0, "{}", restarted.stdout);
    assert_eq!(restarted.stdout, "mail: stopped\nmail: started\n");
    for what in ["restart worker:worker_0", "stop all", "tail mail", "update", "shutdown"] {
        let refused = alice(what);
        assert_ne!(refused.code, 0, "{what}: {}", refused.stdout);
    }
    let now = machine.ok("pgrep -x sleep");
    assert_eq!(pids.lines().filter(|pid| now.lines().any(|n| n == *pid)).count(), 2);

    // One line for each: who, what.
    let uid = machine.ok("id -u alice");
    let audit = "journalctl -q -o cat MESSAGE_ID=d6b905a2d7344849a42938eb86624488";
    let done = machine.ok(&format!("{audit} SUPERVISOR_CLIENT_UID={uid}"));
    assert!(!done.is_empty() && done.lines().all(|line| line.contains("mail")), "{done}");
    machine.ok("supervisorctl stop mail");
    machine.journal_has(
        "MESSAGE_ID=d6b905a2d7344849a42938eb86624488 SUPERVISOR_CLIENT_UID=0",
        "StopProcess name mail",
    );
    let refusals = machine.ok(&format!(
        "journalctl -q -o cat MESSAGE_ID=9a7b8e2a70ae46b4af6e7d0e1f2859f8 \
         SUPERVISOR_CLIENT_UID={uid}"
    ));
    println!("{done}\n{refusals}");
    assert!(refusals.lines().count() >= 9, "{refusals}");
}
