//! polkit, which is asked for callers that are neither root nor the daemon's own user.
//!
//! Answers are not remembered: polkit has its own memory (`auth_admin_keep`), knows when it ends,
//! and a rule may decide by the details of each call.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, timeout, timeout_at};
use zbus::message::{Header, Type};
use zbus::names::{BusName, UniqueName};
use zbus::proxy::CacheProperties;
use zbus::{Connection, MatchRule, MessageStream, fdo};
use zbus_polkit::policykit1::{
    AuthorityProxy, AuthorizationResult, CheckAuthorizationFlags, Subject,
};

use super::caller::Caller;
use super::error::Failure;
use super::session::stopping;
use super::types::BUS_NAME;

/// How many questions about one user, and about all of them, are put at the same time; more wait.
/// A question may stand for minutes, when a person is asked for a password.
const QUESTIONS_OF_USER: usize = 16;
const QUESTIONS: usize = 256;
/// How many calls of one user may wait for an answer, and how many bytes they may have.
const WAITING_OF_USER: u32 = 128;
const BYTES_OF_USER: u32 = 16 * 1024 * 1024;
/// How long an answer may take, waiting included: when nobody is asked, and when a person is.
const ANSWER: Duration = Duration::from_secs(25);
const PASSWORD: Duration = Duration::from_secs(300);
/// How long polkit may take to hear that nobody wants to know any more.
const CANCEL: Duration = Duration::from_secs(2);

/// What a call is about: rules of polkit can look at it.
pub(super) type Details<'d> = HashMap<&'static str, &'d str>;

/// The one who decides.
#[derive(Debug)]
pub(super) struct Authority {
    connection: Connection,
    room: Arc<Semaphore>,
    users: Mutex<HashMap<u32, Arc<User>>>,
    asked: AtomicU64,
    stopped: watch::Receiver<bool>,
}

/// What one user has under way.
#[derive(Debug)]
struct User {
    questions: Arc<Semaphore>,
    calls: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
}

/// A question.
pub(super) struct Question<'q> {
    /// Who wants to do something.
    pub(super) caller: &'q Caller,
    /// The head of their call: its sender is who polkit is asked about.
    pub(super) header: &'q Header<'q>,
    /// The last part of the action's name.
    pub(super) action: &'q str,
    /// What the call is about.
    pub(super) details: Details<'q>,
    /// Whether a person may be asked for a password.
    pub(super) interactive: bool,
    /// How many bytes the call holds while it waits.
    pub(super) bytes: usize,
}

impl Authority {
    /// The one on this bus; `stopped` ends all waiting.
    pub(super) fn new(connection: Connection, stopped: watch::Receiver<bool>) -> Self {
        Self {
            connection,
            room: Arc::new(Semaphore::new(QUESTIONS)),
            users: Mutex::default(),
            asked: AtomicU64::new(0),
            stopped,
        }
    }

    /// Passes when polkit says yes.
    ///
    /// # Errors
    /// `AccessDenied`, or `InteractiveAuthorizationRequired` when a password would help and the
    /// call did not allow that one is asked for; `LimitsExceeded` when this user has too many
    /// calls waiting.
    pub(super) async fn check(&self, question: Question<'_>) -> Result<(), Failure> {
        let limit = if question.interactive { PASSWORD } else { ANSWER };
        let until = Instant::now() + limit;
        let user = self.user(question.caller.uid);
        let _waiting = user.wait(question.bytes)?;
        let mut stopped = self.stopped.clone();
        tokio::select! {
            () = stopping(&mut stopped) => Err(Failure::access_denied("supervisord is stopping.")),
            answer = self.ask(&user, &question, until) => answer,
        }
    }

    async fn ask(
        &self,
        user: &User,
        question: &Question<'_>,
        until: Instant,
    ) -> Result<(), Failure> {
        let late = || {
            let limit = if question.interactive { PASSWORD } else { ANSWER };
            Failure::access_denied(format!(
                "polkit did not say within {} s whether you may.",
                limit.as_secs()
            ))
        };
        let room = async {
            let own = user.questions.clone().acquire_owned().await;
            (own, self.room.clone().acquire_owned().await)
        };
        let _room = timeout_at(until, room).await.map_err(|_| late())?;
        let name = question.header.sender();
        let name = name.ok_or_else(|| Failure::access_denied("The caller has no name."))?;
        if !question.interactive {
            let answer = timeout_at(until, self.put(question, "")).await;
            return verdict(question, answer.map_err(|_| late())?);
        }
        // A person is asked: that may take long, so it ends when the caller goes.
        let id = format!("{BUS_NAME}-{}", self.asked.fetch_add(1, Ordering::Relaxed));
        tokio::select! {
            answer = timeout_at(until, self.put(question, &id)) => {
                if let Ok(answer) = answer {
                    return verdict(question, answer);
                }
                self.cancel(&id).await;
                Err(late())
            }
            () = self.left(name) => {
                self.cancel(&id).await;
                Err(Failure::access_denied("The caller went away."))
            }
        }
    }

    async fn put(&self, question: &Question<'_>, id: &str) -> zbus::Result<AuthorizationResult> {
        // The name of a connection, and never a pid: that could be another process's by the time
        // polkit looks.
        let subject = Subject::new_for_message_header(question.header)
            .map_err(|error| zbus::Error::Failure(error.to_string()))?;
        let action = format!("{BUS_NAME}.{}", question.action);
        let flags = if question.interactive {
            CheckAuthorizationFlags::ALLOW_USER_INTERACTION
        } else {
            CheckAuthorizationFlags::empty()
        };
        let polkit = self.polkit().await?;
        polkit.check_authorization(&subject, &action, &question.details, flags, id).await
    }

    async fn cancel(&self, id: &str) {
        let cancel = async { self.polkit().await?.cancel_check_authorization(id).await };
        // It may just have ended by itself.
        let _ = timeout(CANCEL, cancel).await;
    }

    async fn polkit(&self) -> zbus::Result<AuthorityProxy<'static>> {
        AuthorityProxy::builder(&self.connection)
            .cache_properties(CacheProperties::No)
            .build()
            .await
    }

    /// Resolves when this name is gone from the bus; never when that cannot be known.
    async fn left(&self, name: &UniqueName<'_>) {
        if self.watch(name).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    async fn watch(&self, name: &UniqueName<'_>) -> zbus::Result<()> {
        let rule = MatchRule::builder()
            .msg_type(Type::Signal)
            .sender("org.freedesktop.DBus")
            .interface("org.freedesktop.DBus")
            .member("NameOwnerChanged")
            .arg(0, name.as_str())
            .build()?;
        let mut changes = MessageStream::for_match_rule(rule, &self.connection, None).await?;
        let bus = fdo::DBusProxy::builder(&self.connection)
            .cache_properties(CacheProperties::No)
            .build()
            .await?;
        if bus.name_has_owner(BusName::Unique(name.as_ref())).await? {
            // A unique name changes once: when it goes.
            changes.next().await;
        }
        Ok(())
    }

    fn user(&self, uid: u32) -> Arc<User> {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        // Those who wait hold theirs.
        users.retain(|_, user| Arc::strong_count(user) > 1);
        let new = || {
            Arc::new(User {
                questions: Arc::new(Semaphore::new(QUESTIONS_OF_USER)),
                calls: Arc::new(Semaphore::new(WAITING_OF_USER as usize)),
                bytes: Arc::new(Semaphore::new(BYTES_OF_USER as usize)),
            })
        };
        users.entry(uid).or_insert_with(new).clone()
    }
}

impl User {
    /// A place to wait at.
    fn wait(&self, bytes: usize) -> Result<(OwnedSemaphorePermit, OwnedSemaphorePermit), Failure> {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let call = self.calls.clone().try_acquire_owned();
        let bytes = self.bytes.clone().try_acquire_many_owned(bytes);
        call.and_then(|call| Ok((call, bytes?))).map_err(|_| {
            Failure::limits_exceeded("Too many calls of this user wait for their authorisation.")
        })
    }
}

/// What polkit's answer means.
fn verdict(
    question: &Question<'_>,
    answer: zbus::Result<AuthorizationResult>,
) -> Result<(), Failure> {
    let action = format!("{BUS_NAME}.{}", question.action);
    let answer = answer.map_err(|error| Failure::access_denied(without_answer(&action, error)))?;
    if answer.is_authorized {
        return Ok(());
    }
    if answer.details.get("polkit.dismissed").is_some_and(|value| !value.is_empty()) {
        return Err(Failure::access_denied(format!(
            "The authentication for {action} was dismissed."
        )));
    }
    if !answer.is_challenge {
        return Err(Failure::access_denied(format!("You are not authorised for {action}.")));
    }
    Err(Failure::interactive_authorization_required(if question.interactive {
        format!(
            "This needs {action}, and polkit found no agent that could ask for a password: ask \
             as root, or from a session that has one."
        )
    } else {
        format!(
            "This needs {action}, which polkit gives for a password only: allow interactive \
             authorisation, or ask as root."
        )
    }))
}

/// Why there is no answer. Without one nobody may do anything.
fn without_answer(action: &str, error: zbus::Error) -> String {
    use fdo::Error as Known;
    let absent = match &error {
        zbus::Error::FDO(error) => match &**error {
            Known::ServiceUnknown(_) | Known::NameHasNoOwner(_) => true,
            other => zbus::DBusError::name(other).starts_with("org.freedesktop.DBus.Error.Spawn."),
        },
        zbus::Error::MethodError(name, ..) => name.starts_with("org.freedesktop.systemd1."),
        _ => false,
    };
    if absent {
        return format!(
            "This needs {action}, which only root and the user of supervisord have: polkit, which \
             could give it to others, is not there (the package polkitd)."
        );
    }
    match error {
        zbus::Error::MethodError(name, text, _) => {
            let text = text.unwrap_or_else(|| name.to_string());
            format!("polkit could not decide about {action}: {text}")
        }
        error => format!("polkit could not decide about {action}: {error}"),
    }
}

/// Whether the one who sent this message has a person who may be asked for a password.
pub(super) fn is_interactive(header: &Header<'_>) -> bool {
    header.primary().flags().contains(zbus::message::Flags::ALLOW_INTERACTIVE_AUTH)
}
