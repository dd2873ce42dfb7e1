//! From a name and values to a use case and back (C-284, C-288 to C-322).

use std::borrow::Cow;

use super::audit::{Entry, Log};
use super::budget::{Budget, Share};
use super::methods::{Call, Method, SUPERVISOR, SYSTEM};
use super::value::Value;
use super::{decode, encode, info};
use crate::api::{API_VERSION, Api, Named, Outcome, VERSION};
use crate::model::fault::{Fault, FaultKind};

/// The methods that can be called, and what they act on.
#[derive(Clone)]
pub struct Rpc {
    api: Api,
    /// The namespaces of `[rpcinterface:x]` sections (C-073).
    namespaces: Vec<String>,
    budget: Budget,
    log: Log,
}

/// A request: who sent it, and what its answer takes of memory.
#[derive(Debug)]
pub struct Session {
    /// Who sent it, for the log.
    pub caller: String,
    /// What the answer has of the memory.
    pub share: Share,
}

impl Rpc {
    /// Methods over these use cases, under these names.
    #[must_use]
    pub fn new(api: Api, namespaces: Vec<String>, log: Log) -> Self {
        Self { api, namespaces, budget: Budget::default(), log }
    }

    /// A request of this caller.
    #[must_use]
    pub fn session(&self, caller: String) -> Session {
        Session { caller, share: self.budget.share() }
    }

    /// Calls a method.
    ///
    /// # Errors
    /// UNKNOWN_METHOD, INCORRECT_PARAMETERS, SHUTDOWN_STATE (C-288), and what the method says.
    pub async fn call(
        &self,
        method: &str,
        arguments: Vec<Value>,
        session: &mut Session,
    ) -> Result<Value, Fault> {
        let method = self.method(method)?;
        let arguments = Arguments::of(method, arguments)?;
        if method.call == Call::Multicall {
            return self.multicall(arguments, session).await;
        }
        self.perform(method, &arguments, session).await
    }

    /// The method of this name: exactly `namespace.method` (C-284).
    fn method(&self, name: &str) -> Result<&'static Method, Fault> {
        let found = name.split_once('.').and_then(|(namespace, name)| {
            self.table(namespace)?.iter().find(|method| method.name == name)
        });
        found.ok_or_else(|| FaultKind::UnknownMethod.into())
    }

    fn table(&self, namespace: &str) -> Option<&'static [Method]> {
        if namespace == "system" {
            return Some(SYSTEM);
        }
        self.namespaces.iter().any(|known| known == namespace).then_some(SUPERVISOR)
    }

    /// The full names of all methods.
    fn names(&self) -> Vec<String> {
        let spaces = self.namespaces.iter().map(|name| (name.as_str(), SUPERVISOR));
        let mut names: Vec<String> = spaces
            .filter(|(namespace, _)| *namespace != "system")
            .chain([("system", SYSTEM)])
            .flat_map(|(namespace, table)| {
                table.iter().map(move |method| format!("{namespace}.{}", method.name))
            })
            .collect();
        names.sort();
        names.dedup();
        names
    }

    /// Does it, and tells who did when it changes something.
    async fn perform(
        &self,
        method: &Method,
        arguments: &Arguments,
        session: &mut Session,
    ) -> Result<Value, Fault> {
        let entry = Entry::begin(&self.log, &session.caller, method, &arguments.values);
        let outcome = self.carry_out(method, arguments, session).await;
        entry.end(&outcome);
        outcome
    }

    async fn carry_out(
        &self,
        method: &Method,
        arguments: &Arguments,
        session: &mut Session,
    ) -> Result<Value, Fault> {
        let system = SYSTEM.iter().any(|known| std::ptr::eq(known, method));
        if !system && method.call != Call::SendEvent {
            self.api.gate()?;
        }
        let api = &self.api.on_behalf_of(&session.caller);
        Ok(match method.call {
            Call::ApiVersion => API_VERSION.into(),
            Call::Version => VERSION.into(),
            Call::Identification => api.identity().identifier.as_str().into(),
            Call::State => {
                let state = api.state();
                Value::of([("statecode", state.code().into()), ("statename", state.name().into())])
            }
            Call::Pid => i64::from(api.identity().pid).into(),
            Call::Shutdown => done(api.shutdown().await?),
            Call::Restart => done(api.restart().await?),
            Call::Reload => {
                let changes = api.reread().await?;
                let groups = [changes.added, changes.changed, changes.removed];
                let groups =
                    groups.map(|names| names.iter().map(|name| &**name).collect::<Value>());
                Value::Array(vec![Value::Array(groups.into())])
            }
            Call::AddGroup => done(api.add_group(&arguments.group()?).await?),
            Call::RemoveGroup => done(api.remove_group(&arguments.group()?).await?),
            Call::Start => outcome(api.start(arguments.named()?, arguments.wait(1)).await?),
            Call::StartGroup => {
                info::results(api.start_group(&arguments.group()?, arguments.wait(1)).await?)
            }
            Call::StartAll => info::results(api.start_all(arguments.wait(0)).await?),
            Call::Stop => outcome(api.stop(arguments.named()?, arguments.wait(1)).await?),
            Call::StopGroup => {
                info::results(api.stop_group(&arguments.group()?, arguments.wait(1)).await?)
            }
            Call::StopAll => info::results(api.stop_all(arguments.wait(0)).await?),
            Call::Signal => outcome(api.signal(arguments.named()?, &arguments.word(1)?).await?),
            Call::SignalGroup => {
                info::results(api.signal_group(&arguments.group()?, &arguments.word(1)?).await?)
            }
            Call::SignalAll => info::results(api.signal_all(&arguments.word(0)?).await?),
            Call::AllConfigInfo => info::configuration(&api.snapshot()),
            Call::ProcessInfo => info::process(api, &*api.process(arguments.text(0)?)?),
            Call::AllProcessInfo => {
                let snapshot = api.snapshot();
                snapshot.processes.values().map(|process| info::process(api, process)).collect()
            }
            Call::ListMethods => self.names().into_iter().collect(),
            Call::MethodHelp => self.described(arguments)?.help.into(),
            Call::MethodSignature => {
                let method = self.described(arguments)?;
                [method.returns].iter().chain(method.takes).copied().collect()
            }
            Call::SendStdin => {
                let Some(Value::Str(text)) = arguments.values.get(1) else {
                    let wrong = match arguments.value(1)? {
                        Value::Int(number) => number.to_string(),
                        other => other.kind().to_owned(),
                    };
                    return Err(Fault::new(FaultKind::IncorrectParameters, wrong));
                };
                done(api.send_stdin(arguments.process()?, text.clone().into_bytes()).await?)
            }
            Call::SendEvent => {
                let (kind, data) = (arguments.word(0)?, arguments.word(1)?);
                done(api.send_remote_event(&kind, &data).await?)
            }
            _ => return self.logs(method.call, arguments, session).await,
        })
    }

    /// The methods that read and empty logs.
    async fn logs(
        &self,
        call: Call,
        arguments: &Arguments,
        session: &mut Session,
    ) -> Result<Value, Fault> {
        let api = &self.api;
        Ok(match call {
            Call::ReadLog => {
                let (offset, length) = (arguments.int(0)?, arguments.int(1)?);
                session.share.reserve(offset, length).await?;
                encode::text(api.read_log(offset, length).await?)
            }
            Call::ReadProcessLog(channel) => {
                let (offset, length) = (arguments.int(1)?, arguments.int(2)?);
                let name = arguments.process()?;
                session.share.reserve(offset, length).await?;
                encode::text(api.read_process_log(&name, channel, offset, length).await?)
            }
            Call::TailProcessLog(channel) => {
                let (offset, length) = (arguments.int(1)?, arguments.int(2)?);
                let name = arguments.process()?;
                session.share.reserve(0, length.max(1)).await?;
                let (bytes, size, overflow) =
                    api.tail_process_log(&name, channel, offset, length).await?;
                Value::Array(vec![encode::text(bytes), size.into(), overflow.into()])
            }
            Call::ClearLog => done(api.clear_log().await?),
            Call::ClearProcessLogs => done(api.clear_process_logs(&arguments.process()?).await?),
            Call::ClearAllProcessLogs => info::results(api.clear_all_process_logs().await?),
            _ => return Err(FaultKind::UnknownMethod.into()),
        })
    }

    /// The method that help is asked about (C-320).
    fn described(&self, arguments: &Arguments) -> Result<&'static Method, Fault> {
        let unsupported = |_| Fault::from(FaultKind::SignatureUnsupported);
        let name = arguments.word(0).map_err(unsupported)?;
        self.method(&name).map_err(unsupported)
    }

    /// Calls one after the other, and gives their results as they are (C-321, C-322).
    async fn multicall(&self, arguments: Arguments, session: &mut Session) -> Result<Value, Fault> {
        let Some(Value::Array(calls)) = arguments.values.into_iter().next() else {
            return Err(FaultKind::IncorrectParameters.into());
        };
        if let Some(wrong) = calls.iter().find(|call| !matches!(call, Value::Struct(_))) {
            return Err(incorrect("a call", wrong));
        }
        let mut results = Vec::with_capacity(calls.len());
        for call in calls {
            let result = match self.one_of_many(&call, session).await {
                Ok(result) => match session.share.add(&result) {
                    Ok(()) => result,
                    Err(fault) => encode::fault_struct(&fault),
                },
                Err(fault) => encode::fault_struct(&fault),
            };
            results.push(result);
            // Others have their turn too.
            tokio::task::yield_now().await;
        }
        Ok(Value::Array(results))
    }

    async fn one_of_many(&self, call: &Value, session: &mut Session) -> Result<Value, Fault> {
        let incorrect = |what: &str| Fault::new(FaultKind::IncorrectParameters, what);
        let name = match call.get("methodName") {
            None | Some(Value::Nil) => return Err(incorrect("No methodName")),
            Some(Value::Str(name)) => name,
            Some(other) => {
                let what = format!("methodName is {}, not a string", other.kind());
                return Err(Fault::new(FaultKind::Failed, what));
            }
        };
        if name == "system.multicall" {
            return Err(incorrect("Recursive system.multicall forbidden"));
        }
        let arguments = match call.get("params") {
            None => Vec::new(),
            Some(Value::Array(arguments)) => arguments.clone(),
            Some(_) => return Err(FaultKind::IncorrectParameters.into()),
        };
        let method = self.method(name)?;
        let arguments = Arguments::of(method, arguments)?;
        self.perform(method, &arguments, session).await
    }
}

fn done((): ()) -> Value {
    true.into()
}

fn outcome(outcome: Outcome) -> Value {
    match outcome {
        Outcome::Done => true.into(),
        Outcome::Results(results) => info::results(results),
    }
}

fn incorrect(what: &str, value: &Value) -> Fault {
    let text = format!("{what} is {}", value.kind());
    Fault::new(FaultKind::IncorrectParameters, text)
}

/// The parameters of a call, as many as the method takes.
struct Arguments {
    values: Vec<Value>,
}

impl Arguments {
    fn of(method: &Method, values: Vec<Value>) -> Result<Self, Fault> {
        if method.accepts(values.len()) {
            Ok(Self { values })
        } else {
            Err(FaultKind::IncorrectParameters.into())
        }
    }

    fn value(&self, at: usize) -> Result<&Value, Fault> {
        self.values.get(at).ok_or_else(|| FaultKind::IncorrectParameters.into())
    }

    fn text(&self, at: usize) -> Result<&str, Fault> {
        match self.value(at)? {
            Value::Str(text) => Ok(text),
            other => Err(incorrect("a name", other)),
        }
    }

    /// Text, or a number as text: signals, and what upstream looks up as it comes.
    fn word(&self, at: usize) -> Result<Cow<'_, str>, Fault> {
        match self.value(at)? {
            Value::Str(text) => Ok(text.into()),
            Value::Int(number) => Ok(number.to_string().into()),
            _ => Err(FaultKind::IncorrectParameters.into()),
        }
    }

    fn group(&self) -> Result<Cow<'_, str>, Fault> {
        self.word(0)
    }

    /// A process or a whole group.
    fn named(&self) -> Result<Named, Fault> {
        Named::parse(self.text(0)?)
    }

    /// One process.
    fn process(&self) -> Result<Named, Fault> {
        Named::parse_process(self.text(0)?)
    }

    /// A number, also as text (C-294).
    fn int(&self, at: usize) -> Result<i64, Fault> {
        let value = self.value(at)?;
        let number = match value {
            Value::Int(number) => Some(*number),
            Value::Bool(is_true) => Some(i64::from(*is_true)),
            Value::Str(text) => decode::integer(text),
            // Python cuts off what is behind the point; so does the cast, and it saturates.
            #[allow(clippy::cast_possible_truncation)]
            Value::Double(number) if number.is_finite() => Some(*number as i64),
            _ => None,
        };
        number.ok_or_else(|| incorrect("a number", value))
    }

    /// Whether to wait: whatever Python takes for true; yes when nothing is said.
    fn wait(&self, at: usize) -> bool {
        self.values.get(at).is_none_or(Value::is_true)
    }
}
