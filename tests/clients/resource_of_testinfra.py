"""What pytest-testinfra's Supervisor resource sees, one line for each question."""
import sys

import testinfra

ctl, conf, names = sys.argv[1], sys.argv[2], sys.argv[3:]
host = testinfra.get_host("local://")


def say(what, ask):
    try:
        print(what, repr(ask()))
    except AssertionError as error:
        # What it says has the command's errors in it; the exit code is what it goes by.
        print(what, "AssertionError", str(error).split(" for ")[0])
    except Exception as error:
        print(what, type(error).__name__, error)


for name in names:
    service = host.supervisor(name, ctl, conf)
    say(name + " status", lambda: service.status)
    say(name + " is_running", lambda: service.is_running)
    say(name + " pid", lambda: service.pid and open("/proc/%d/comm" % service.pid).read())
say("services", lambda: sorted(
    (s.name, s.status, s.is_running, s.pid is None)
    for s in host.supervisor.get_services(ctl, conf)
))
