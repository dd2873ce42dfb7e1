//! The fixed table of methods (C-290 to C-322): nothing that is not in it can be called, whatever
//! its name looks like.

use crate::model::snapshot::Channel;

/// What a method does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// The version of the API.
    ApiVersion,
    /// The version of the daemon.
    Version,
    /// Its identifier.
    Identification,
    /// Its state.
    State,
    /// Its pid.
    Pid,
    /// Read its log.
    ReadLog,
    /// Empty its log.
    ClearLog,
    /// End it.
    Shutdown,
    /// Begin anew.
    Restart,
    /// Read the configuration.
    Reload,
    /// Activate a group.
    AddGroup,
    /// Deactivate a group.
    RemoveGroup,
    /// Start one.
    Start,
    /// Start a group.
    StartGroup,
    /// Start all.
    StartAll,
    /// Stop one.
    Stop,
    /// Stop a group.
    StopGroup,
    /// Stop all.
    StopAll,
    /// Signal one.
    Signal,
    /// Signal a group.
    SignalGroup,
    /// Signal all.
    SignalAll,
    /// What is configured.
    AllConfigInfo,
    /// How one is.
    ProcessInfo,
    /// How all are.
    AllProcessInfo,
    /// Read a log of one.
    ReadProcessLog(Channel),
    /// The end of a log of one.
    TailProcessLog(Channel),
    /// Empty the logs of one.
    ClearProcessLogs,
    /// Empty the logs of all.
    ClearAllProcessLogs,
    /// Write to one.
    SendStdin,
    /// Send an event.
    SendEvent,
    /// The names of all methods.
    ListMethods,
    /// What a method does.
    MethodHelp,
    /// What it takes and gives.
    MethodSignature,
    /// Several calls in one.
    Multicall,
}

/// A method: what is told of it, and what it does.
#[derive(Debug)]
pub struct Method {
    /// Its name without the namespace.
    pub name: &'static str,
    /// What it does.
    pub call: Call,
    /// The type of its result.
    pub returns: &'static str,
    /// The types of its parameters.
    pub takes: &'static [&'static str],
    /// How many of them, from the last on, may be left out.
    pub optional: usize,
    /// What it does, for people.
    pub help: &'static str,
}

impl Method {
    /// Whether it can be called with so many parameters.
    #[must_use]
    pub fn accepts(&self, count: usize) -> bool {
        (self.takes.len() - self.optional..=self.takes.len()).contains(&count)
    }
}

const fn method(
    name: &'static str,
    call: Call,
    returns: &'static str,
    takes: &'static [&'static str],
    help: &'static str,
) -> Method {
    Method { name, call, returns, takes, optional: 0, help }
}

/// A method whose last parameter says whether to wait, which it does when nothing is said.
const fn waiting(
    name: &'static str,
    call: Call,
    returns: &'static str,
    takes: &'static [&'static str],
    help: &'static str,
) -> Method {
    Method { name, call, returns, takes, optional: 1, help }
}

const S: &str = "string";
const I: &str = "int";
const B: &str = "boolean";
const A: &str = "array";
const T: &str = "struct";
/// What the results of methods on many look like.
macro_rules! with_results {
    ($text:literal) => {
        concat!(
            $text,
            " The result has a struct for each process that was tried: name, group, status (80, \
             or the code of a fault) and description."
        )
    };
}

/// The methods of a namespace that `supervisor.rpcinterface:make_main_rpcinterface` makes.
#[rustfmt::skip]
pub static SUPERVISOR: &[Method] = &[
    method("getAPIVersion", Call::ApiVersion, S, &[],
        "The version of this API."),
    method("getVersion", Call::ApiVersion, S, &[],
        "The version of this API, as getAPIVersion."),
    method("getSupervisorVersion", Call::Version, S, &[],
        "The version of supervisord."),
    method("getIdentification", Call::Identification, S, &[],
        "The identifier that the configuration gives this supervisord."),
    method("getState", Call::State, T, &[],
        "The state of supervisord: statecode and statename."),
    method("getPID", Call::Pid, I, &[],
        "The process id of supervisord."),
    method("readLog", Call::ReadLog, S, &[I, I],
        "Part of supervisord's own log. Takes an offset and a length in bytes. Length 0 is to the end; a negative offset with length 0 is that many bytes from the end."),
    method("readMainLog", Call::ReadLog, S, &[I, I],
        "Part of supervisord's own log, as readLog."),
    method("clearLog", Call::ClearLog, B, &[],
        "Empties supervisord's own log."),
    method("shutdown", Call::Shutdown, B, &[],
        "Stops all processes and ends supervisord. The answer comes at once."),
    method("restart", Call::Restart, B, &[],
        "Stops all processes and begins again with the configuration read afresh. The answer comes at once."),
    method("reloadConfig", Call::Reload, A, &[],
        "Reads the configuration and tells how it differs from what is active, as an array in an array: groups added, changed, removed. Nothing else changes."),
    method("addProcessGroup", Call::AddGroup, B, &[S],
        "Activates a group of the configuration as last read. Takes its name."),
    method("removeProcessGroup", Call::RemoveGroup, B, &[S],
        "Deactivates a group whose processes are all stopped. Takes its name."),
    waiting("startProcess", Call::Start, B, &[S, B],
        "Starts a process. Takes its name (name, group:name, or group:* for all of a group, which gives an array) and whether to wait until it is running."),
    waiting("startProcessGroup", Call::StartGroup, A, &[S, B],
        with_results!("Starts what is not running in a group. Takes its name and whether to wait until all are running.")),
    waiting("startAllProcesses", Call::StartAll, A, &[B],
        with_results!("Starts all that is not running. Takes whether to wait until all are running.")),
    waiting("stopProcess", Call::Stop, B, &[S, B],
        "Stops a process. Takes its name (name, group:name, or group:* for all of a group, which gives an array) and whether to wait until it has ended."),
    waiting("stopProcessGroup", Call::StopGroup, A, &[S, B],
        with_results!("Stops what runs in a group. Takes its name and whether to wait until all have ended.")),
    waiting("stopAllProcesses", Call::StopAll, A, &[B],
        with_results!("Stops all that runs. Takes whether to wait until all have ended.")),
    method("signalProcess", Call::Signal, B, &[S, S],
        "Sends a signal to a process. Takes its name (group:* for all of a group, which gives an array) and the signal by name or number."),
    method("signalProcessGroup", Call::SignalGroup, A, &[S, S],
        with_results!("Sends a signal to what runs in a group. Takes its name and the signal by name or number.")),
    method("signalAllProcesses", Call::SignalAll, A, &[S],
        with_results!("Sends a signal to all that runs. Takes the signal by name or number.")),
    method("getAllConfigInfo", Call::AllConfigInfo, A, &[],
        "The configuration as last read: a struct for each process, by name."),
    method("getProcessInfo", Call::ProcessInfo, T, &[S],
        "How a process is: state, times, pid, last exit, logs. Takes its name."),
    method("getAllProcessInfo", Call::AllProcessInfo, A, &[],
        "How all processes are: a struct for each as getProcessInfo gives it, by group and name."),
    method("readProcessStdoutLog", Call::ReadProcessLog(Channel::Stdout), S, &[S, I, I],
        "Part of the stdout log of a process. Takes its name, and offset and length as readLog."),
    method("readProcessLog", Call::ReadProcessLog(Channel::Stdout), S, &[S, I, I],
        "Part of the stdout log of a process, as readProcessStdoutLog."),
    method("readProcessStderrLog", Call::ReadProcessLog(Channel::Stderr), S, &[S, I, I],
        "Part of the stderr log of a process. Takes its name, and offset and length as readLog."),
    method("tailProcessStdoutLog", Call::TailProcessLog(Channel::Stdout), A, &[S, I, I],
        "The last bytes of the stdout log of a process. Takes its name, an offset and how many bytes. Gives the text, the size of the log, and whether the log goes beyond offset and length. At or past the end there is no text."),
    method("tailProcessLog", Call::TailProcessLog(Channel::Stdout), A, &[S, I, I],
        "The last bytes of the stdout log of a process, as tailProcessStdoutLog."),
    method("tailProcessStderrLog", Call::TailProcessLog(Channel::Stderr), A, &[S, I, I],
        "The last bytes of the stderr log of a process, as tailProcessStdoutLog."),
    method("clearProcessLogs", Call::ClearProcessLogs, B, &[S],
        "Empties the logs of a process. Takes its name."),
    method("clearProcessLog", Call::ClearProcessLogs, B, &[S],
        "Empties the logs of a process, as clearProcessLogs."),
    method("clearAllProcessLogs", Call::ClearAllProcessLogs, A, &[],
        with_results!("Empties the logs of all processes.")),
    method("sendProcessStdin", Call::SendStdin, B, &[S, S],
        "Writes to the standard input of a process, in UTF-8. Takes its name and the text."),
    method("sendRemoteCommEvent", Call::SendEvent, B, &[S, S],
        "Sends an event to the listeners that subscribed to REMOTE_COMMUNICATION. Takes its type and its data."),
];

/// The methods of the namespace `system`, which is always there.
#[rustfmt::skip]
pub static SYSTEM: &[Method] = &[
    method("listMethods", Call::ListMethods, A, &[],
        "The names of all methods."),
    method("methodHelp", Call::MethodHelp, S, &[S],
        "What a method does. Takes its name."),
    method("methodSignature", Call::MethodSignature, A, &[S],
        "The types of a method: that of its result, then those of its parameters. Takes its name."),
    method("multicall", Call::Multicall, A, &[A],
        "Calls methods one after the other. Takes an array of structs with methodName and params; gives an array of their results, with a struct of faultCode and faultString for each that failed."),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn there_are_as_many_methods_as_upstream_has() {
        // C-319, C-320
        let names: BTreeSet<&str> =
            SUPERVISOR.iter().chain(SYSTEM).map(|method| method.name).collect();
        assert_eq!((SUPERVISOR.len(), SYSTEM.len(), names.len()), (37, 4, 41));
        for method in SUPERVISOR.iter().chain(SYSTEM) {
            assert!(method.help.ends_with('.') && method.help.len() > 20, "{method:?}");
        }
    }

    #[test]
    fn waiting_may_be_left_out_and_nothing_else() {
        // C-284
        let named = |name| SUPERVISOR.iter().find(|method| method.name == name).unwrap();
        let accepted =
            |name| (0..5).filter(|count| named(name).accepts(*count)).collect::<Vec<_>>();
        assert_eq!(accepted("startProcess"), [1, 2]);
        assert_eq!(accepted("stopAllProcesses"), [0, 1]);
        assert_eq!(accepted("signalProcess"), [2]);
        assert_eq!(accepted("getState"), [0]);
    }
}
