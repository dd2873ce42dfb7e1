//! supervisorctl's shell, fed through a pipe.

use crate::compare::compare;

const SOME: &str = "[program:a]\ncommand=/bin/sleep 100\nstartsecs=0\n";

/// C-224, C-271, C-273, C-274, C-275: prompt, first status, empty lines, end of input.
#[test]
fn session() {
    compare(|world| {
        world.programs(SOME);
        world.start();
        world.expect_running(&["a"]);
        world.ctl_typing(&[], "\nversion\n\nstop a\nbogus\nquit\n").exits(0);
        world.ctl_typing(&[], "start a\n").exits(0);
        world.ctl_typing(&["-i"], "pid nope\nexit\n").exits(0);
    });
}

/// C-266, C-267, C-275: what is asked before a shutdown or a restart.
#[test]
fn confirmations() {
    compare(|world| {
        world.programs(SOME);
        world.start();
        world.expect_running(&["a"]);
        world.ctl_typing(&[], "shutdown\nn\nreload\nno\nversion\n").exits(0);
        world.ctl_typing(&[], "shutdown\ny\n").exits(0);
        world.finish();
    });
}

/// C-273, C-075: the prompt of the configuration.
#[test]
fn prompt() {
    compare(|world| {
        world.write(
            "supervisord.conf",
            &format!("{}prompt=mine\n{}{SOME}", crate::world::HEAD, crate::world::DAEMON),
        );
        world.start();
        world.expect_running(&["a"]);
        world.ctl_typing(&[], "version\n").mentions("mine> 4.3.0\n").exits(0);
    });
}

/// C-273, C-276, C-277, C-275: on a terminal: completion of actions and names, history.
#[test]
fn on_a_terminal() {
    compare(|world| {
        world.write(
            "supervisord.conf",
            &format!(
                "{}history_file=DIR/history\n{}{SOME}[program:long-name]\ncommand=/bin/sleep 100\nstartsecs=0\n\
                 [program:x]\ncommand=/bin/sleep 100\nstartsecs=0\n[group:team]\nprograms=x\n",
                crate::world::HEAD,
                crate::world::DAEMON
            ),
        );
        world.start();
        world.expect_running(&["a", "long-name", "x"]);
        let mut shell = world.ctl_on_terminal(&[]);
        shell.expect("supervisor> ", 1);
        shell.press("versi\t\r");
        shell.expect(world.version(), 1);
        shell.press("stop lon\t\r");
        shell.expect("long-name: stopped", 1);
        shell.press("pid team:\t\r");
        shell.expect("No such process team:", 1);
        shell.press("restart team:x\t\r");
        shell.expect("team:x: started", 1);
        shell.press("quit\r");
        world.note("exit", &format!("{:?}", shell.finish()));
        let history = world.dir.read("history");
        let commands: Vec<&str> =
            history.lines().map(str::trim).filter(|line| !line.starts_with('#')).collect();
        world.note("history", &commands.join("\n"));
        world.ctl(&["status"]).exits(3);
    });
}

/// C-275: Ctrl-C and the end of input at the prompt leave the shell.
#[test]
fn leaving() {
    compare(|world| {
        world.programs(SOME);
        world.start();
        world.expect_running(&["a"]);
        for keys in ["\u{3}", "\u{4}"] {
            let mut shell = world.ctl_on_terminal(&[]);
            shell.expect("supervisor> ", 1);
            // Python notices an interrupt only while it waits for keys, not just before: one press
            // may be lost.
            let code = shell.press_until_the_end(keys);
            world.note(&format!("exit after {keys:?}"), &format!("{code:?}"));
        }
    });
}

/// C-273, C-275: several lines pasted at once are all run.
#[test]
fn pasting() {
    compare(|world| {
        world.programs(SOME);
        world.start();
        world.expect_running(&["a"]);
        let mut shell = world.ctl_on_terminal(&[]);
        shell.expect("supervisor> ", 1);
        shell.press("version\rstop a\rquit\r");
        world.note("exit", &format!("{:?}", shell.finish()));
        let ran = [world.version(), "a: stopped"].map(|text| shell.screen.text().contains(text));
        world.note("ran", &format!("{ran:?}"));
    });
}
