//! One line for each call that changes something: who, what, and what became of it.

use std::sync::Arc;

use super::methods::{Call, Method};
use super::value::Value;
use crate::model::fault::Fault;
use crate::model::record::{Level, Record};

/// Where lines for the daemon's log go.
pub type Log = Arc<dyn Fn(Record) + Send + Sync>;

/// A call under way. Dropped before it was ended, it tells that nobody waited for the answer.
pub struct Entry {
    log: Log,
    /// Who calls what; none when there is nothing to tell, or it was told.
    line: Option<String>,
}

impl Entry {
    /// Begins a call of `caller`. What goes to a program's stdin is nobody's business.
    pub fn begin(log: &Log, caller: &str, method: &Method, arguments: &[Value]) -> Self {
        let told = match method.call {
            Call::Signal | Call::SignalGroup => 2,
            _ => 1,
        };
        let arguments: String = arguments.iter().take(told).filter_map(argument).collect();
        let line = changes(method.call)
            .then(|| format!("{caller} called XML-RPC {}{arguments}", method.name));
        Self { log: Arc::clone(log), line }
    }

    /// Tells what became of it.
    pub fn end(mut self, outcome: &Result<Value, Fault>) {
        match outcome {
            Ok(_) => self.tell("done"),
            Err(fault) => self.tell(&format!("failed: {}", shown(&fault.to_string()))),
        }
    }

    fn tell(&mut self, outcome: &str) {
        if let Some(line) = self.line.take() {
            (self.log)(Record::new(Level::Info, format!("{line}: {outcome}")));
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.tell("nobody waited for the answer");
    }
}

fn argument(value: &Value) -> Option<String> {
    match value {
        Value::Str(text) => Some(format!(" '{}'", shown(text))),
        Value::Int(number) => Some(format!(" {number}")),
        _ => None,
    }
}

/// What a client sent, on one line and no longer than that.
#[must_use]
pub fn shown(text: &str) -> String {
    text.chars().take(128).flat_map(char::escape_debug).collect()
}

fn changes(call: Call) -> bool {
    match call {
        Call::ApiVersion
        | Call::Version
        | Call::Identification
        | Call::State
        | Call::Pid
        | Call::ReadLog
        | Call::AllConfigInfo
        | Call::ProcessInfo
        | Call::AllProcessInfo
        | Call::ReadProcessLog(_)
        | Call::TailProcessLog(_)
        | Call::ListMethods
        | Call::MethodHelp
        | Call::MethodSignature
        | Call::Multicall => false,
        Call::ClearLog
        | Call::Shutdown
        | Call::Restart
        | Call::Reload
        | Call::AddGroup
        | Call::RemoveGroup
        | Call::Start
        | Call::StartGroup
        | Call::StartAll
        | Call::Stop
        | Call::StopGroup
        | Call::StopAll
        | Call::Signal
        | Call::SignalGroup
        | Call::SignalAll
        | Call::ClearProcessLogs
        | Call::ClearAllProcessLogs
        | Call::SendStdin
        | Call::SendEvent => true,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::super::methods::SUPERVISOR;
    use super::*;
    use crate::model::fault::FaultKind;

    #[test]
    fn who_changed_what_is_told_once_and_on_one_line() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let log: Log = {
            let lines = Arc::clone(&lines);
            Arc::new(move |record: Record| lines.lock().unwrap().push(record.text))
        };
        let begin = |name: &str, arguments: &[Value]| {
            let method = SUPERVISOR.iter().find(|method| method.name == name).unwrap();
            Entry::begin(&log, "user 7 (pid 8)", method, arguments)
        };
        begin("getState", &[]).end(&Ok(Value::Nil));
        begin("stopProcess", &["a\nWARN b".into(), true.into()]).end(&Ok(true.into()));
        begin("sendProcessStdin", &["a".into(), "secret".into()]).end(&Ok(true.into()));
        let fault = Fault::new(FaultKind::BadName, "x");
        begin("signalProcess", &["x".into(), 9.into()]).end(&Err(fault));
        drop(begin("startAllProcesses", &[]));
        assert_eq!(
            *lines.lock().unwrap(),
            [
                "user 7 (pid 8) called XML-RPC stopProcess 'a\\nWARN b': done",
                "user 7 (pid 8) called XML-RPC sendProcessStdin 'a': done",
                "user 7 (pid 8) called XML-RPC signalProcess 'x' 9: failed: BAD_NAME: x",
                "user 7 (pid 8) called XML-RPC startAllProcesses: nobody waited for the answer",
            ]
        );
    }
}
