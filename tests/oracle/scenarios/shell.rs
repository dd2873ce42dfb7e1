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
