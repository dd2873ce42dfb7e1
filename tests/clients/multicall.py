"""A script as people write them: Python's xmlrpc.client and nothing else, with many calls in one."""
import sys
from xmlrpc.client import Fault, MultiCall, ProtocolError, ServerProxy

server = ServerProxy(sys.argv[1])
print(type(server).__name__, server.supervisor.getState(), server.supervisor.getAPIVersion())
print(sorted(server.system.listMethods()))

many = MultiCall(server)
many.supervisor.getState()
many.supervisor.stopProcess("a")
many.supervisor.getProcessInfo("a")
many.supervisor.startProcess("a")
many.supervisor.startProcess("a")
many.supervisor.signalProcess("a", "CONT")
many.supervisor.sendProcessStdin("a", "caf\u00e9\n")
many.supervisor.noSuchThing()
many.supervisor.readProcessStdoutLog("nope", 0, 10)
many.supervisor.stopProcessGroup("g")
many.supervisor.startProcessGroup("g")
many.system.methodSignature("supervisor.startProcess")
many.supervisor.getAllConfigInfo()


def plain(value):
    """Types as well as values; times and pids differ from run to run."""
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {
            key: type(one).__name__ if key in ("now", "start", "stop", "pid") else
            "..." if key == "description" else plain(one)
            for key, one in sorted(value.items())
        }
    return value


# What the class makes of answers that are not in lists of one, and what is there.
answers = many()
for number in range(13):
    try:
        print(number, plain(answers[number]))
    except Exception as error:
        print(number, type(error).__name__, error)
    print(number, plain(answers.results[number]))

nested = server.system.multicall([
    {"methodName": "system.multicall", "params": [[]]},
    {"methodName": "supervisor.getIdentification", "params": []},
    {"params": []},
])
print(nested)
for wrong in (
    lambda: server.supervisor.startProcess(),
    lambda: server.supervisor.startProcess("a", True, "more"),
    lambda: server.nothing(),
):
    try:
        print(wrong())
    except Fault as fault:
        print("fault", fault.faultCode, fault.faultString)
try:
    ServerProxy(sys.argv[1].replace("bob:secret@", "bob:wrong@")).supervisor.getState()
except ProtocolError as error:
    # This class takes names of fields as they are written.
    print(error.errcode, error.errmsg, error.headers["Content-Type"].split(";")[0],
          [name for name in error.headers if name.lower() == "content-length"],
          [error.headers[name] for name in error.headers if name.lower() == "www-authenticate"])
