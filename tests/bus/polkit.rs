//! What polkit is asked, and what its answers mean: polkit is played by a script.

use std::collections::HashMap;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::watch;
use tokio::time::timeout;
use zbus::connection::Builder;
use zbus::{Connection, Message, OwnedVariant};

use super::broker::{Broker, Whom, command_of, run};
use super::fake::{G, MANAGER, WEB, World};
use super::flood::Flood;

/// A question as polkit sees it.
#[derive(Debug, Clone)]
struct Asked {
    kind: String,
    name: String,
    action: String,
    details: HashMap<String, String>,
    interactive: bool,
    cancellation: String,
}

/// How polkit answers.
#[derive(Debug, Clone, Copy)]
enum Says {
    /// `is_authorized`, `is_challenge`, and whether the dialog was dismissed.
    Verdict(bool, bool, bool),
    Error(&'static str, &'static str),
    /// Nothing, ever.
    Nothing,
}

const YES: Says = Says::Verdict(true, false, false);
const NO: Says = Says::Verdict(false, false, false);
const PASSWORD: Says = Says::Verdict(false, true, false);

/// Polkit, played.
struct Polkit {
    asked: Arc<Mutex<Vec<Asked>>>,
    cancelled: watch::Receiver<Vec<String>>,
    count: watch::Receiver<usize>,
    says: Arc<Mutex<Says>>,
    /// An action that nobody may do.
    refused: Arc<Mutex<Option<&'static str>>>,
}

impl Polkit {
    async fn start(broker: &Broker, says: Says) -> Self {
        let builder = Builder::address(broker.address.as_str());
        let mut stream = builder.build_message_stream().await.unwrap();
        let connection = Connection::from(&stream);
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let (cancel, cancelled) = watch::channel(Vec::new());
        let (counting, count) = watch::channel(0);
        let says = Arc::new(Mutex::new(says));
        let refused = Arc::<Mutex<Option<&'static str>>>::default();
        let (questions, answers, refusals) = (asked.clone(), says.clone(), refused.clone());
        let served = connection.clone();
        tokio::spawn(async move {
            while let Some(Ok(message)) = stream.next().await {
                let header = message.header();
                match header.member().map(|member| member.as_str().to_owned()).as_deref() {
                    Some("CheckAuthorization") => {
                        let question = question(&message);
                        let refused = *refusals.lock().unwrap();
                        let is_refused = refused.is_some_and(|it| question.action.ends_with(it));
                        questions.lock().unwrap().push(question);
                        counting.send_modify(|count| *count += 1);
                        let says = if is_refused { NO } else { *answers.lock().unwrap() };
                        answer(&served, &message, says).await;
                    }
                    Some("CancelCheckAuthorization") => {
                        let id: String = message.body().deserialize().unwrap();
                        cancel.send_modify(|cancelled| cancelled.push(id));
                        served.reply(&header, &()).await.unwrap();
                    }
                    _ => {}
                }
            }
        });
        connection.request_name("org.freedesktop.PolicyKit1").await.unwrap();
        Self { asked, cancelled, count, says, refused }
    }

    fn refuse(&self, action: &'static str) {
        *self.refused.lock().unwrap() = Some(action);
    }

    fn say(&self, says: Says) {
        *self.says.lock().unwrap() = says;
    }

    fn last(&self) -> Asked {
        self.asked.lock().unwrap().last().expect("a question").clone()
    }

    async fn is_asked(&self, times: usize) {
        let mut count = self.count.clone();
        let asked = count.wait_for(|count| *count >= times);
        timeout(Duration::from_secs(20), asked).await.expect("a question in time").unwrap();
    }
}

fn question(message: &Message) -> Asked {
    type Subject = (String, HashMap<String, OwnedVariant>);
    let (subject, action, details, flags, cancellation): (
        Subject,
        String,
        HashMap<String, String>,
        u32,
        String,
    ) = message.body().deserialize().unwrap();
    let (kind, mut about) = subject;
    Asked {
        kind,
        name: String::try_from(about.remove("name").unwrap()).unwrap(),
        action,
        details,
        interactive: flags == 1,
        cancellation,
    }
}

async fn answer(connection: &Connection, message: &Message, says: Says) {
    let header = message.header();
    match says {
        Says::Verdict(authorised, challenge, dismissed) => {
            let mut details = HashMap::new();
            if dismissed {
                details.insert("polkit.dismissed", "true");
            }
            connection.reply(&header, &((authorised, challenge, details),)).await.unwrap();
        }
        Says::Error(name, text) => connection.reply_error(&header, name, &text).await.unwrap(),
        Says::Nothing => {}
    }
}

/// A world on a bus with polkit.
async fn world(says: Says) -> (Broker, World, Polkit) {
    let broker = Broker::start();
    let polkit = Polkit::start(&broker, says).await;
    let world = World::start(Some(broker.bus()));
    world.hears("as org.supervisord").await;
    (broker, world, polkit)
}

const MANAGER_: &str = "org.supervisord.Supervisor1.Manager.";

async fn call(broker: &Broker, method: &str, args: &[&str]) -> Result<String, String> {
    let method = format!("{MANAGER_}{method}");
    broker.gdbus(Whom::Nobody, MANAGER, &[&[method.as_str()], args].concat()).await
}

#[tokio::test]
async fn root_is_not_asked_about() {
    let (broker, _world, polkit) = world(NO).await;
    let list = format!("{MANAGER_}ListProcesses");
    broker.gdbus(Whom::Me, MANAGER, &[&list]).await.unwrap();
    assert!(polkit.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn polkit_lets_an_ordinary_user_do_what_it_says() {
    let (broker, world, polkit) = world(YES).await;
    for (method, args, action) in [
        ("ListProcesses", vec![], "inspect"),
        ("ReadProcessLog", vec!["'web'", "'stdout'", "int64 0", "int64 0"], "read-logs"),
        ("StopProcess", vec!["'web'", "@a{sv} {}"], "manage-processes"),
        ("ClearLog", vec![], "manage-configuration"),
        ("Shutdown", vec![], "shutdown"),
    ] {
        call(&broker, method, &args).await.unwrap();
        let asked = polkit.last();
        assert_eq!(asked.action, format!("org.supervisord.Supervisor1.{action}"));
        assert_eq!(asked.kind, "system-bus-name");
        assert!(asked.name.starts_with(":1."), "{asked:?}");
        assert_eq!(asked.details["method"], method);
        assert!(!asked.interactive && asked.cancellation.is_empty(), "{asked:?}");
    }
    // Each call is a question of its own: a rule may look at what it is about.
    polkit.say(NO);
    let said = call(&broker, "StopProcess", &["'g:a'", "@a{sv} {}"]).await.unwrap_err();
    assert!(said.contains("Error.AccessDenied: You are not authorised for org.super"), "{said}");
    let asked = polkit.last();
    assert_eq!((&*asked.details["group"], &*asked.details["process"]), ("g", "g:a"));
    let asked_of_engine = world.asked.lock().unwrap().len();
    assert_eq!(asked_of_engine, 2, "stop and shutdown");
}

#[tokio::test]
async fn a_link_to_the_web_page_needs_all_that_its_session_may_do() {
    let (broker, world, polkit) = world(YES).await;
    let everything =
        ["inspect", "read-logs", "manage-processes", "manage-configuration", "shutdown"];
    for (method, actions) in
        [("CreateReadOnlyLogin", &everything[..2]), ("CreateLogin", &everything)]
    {
        polkit.asked.lock().unwrap().clear();
        let links = call(&broker, method, &[]).await.unwrap();
        assert!(links.starts_with("(['http://127.0.0.1:9001/login/"), "{links}");
        assert!(links.contains("], uint64 60)"), "{links}");
        let asked: Vec<String> = {
            let asked = polkit.asked.lock().unwrap();
            // gdbus looks at the interface first.
            let of_it = asked.iter().filter(|asked| asked.details["method"] == method);
            of_it.map(|asked| asked.action.rsplit('.').next().unwrap().to_owned()).collect()
        };
        assert_eq!(asked, actions);
        world.hears(&format!("called Manager.{method}: done")).await;
    }
    // One of them missing is enough.
    for missing in everything {
        polkit.refuse(missing);
        let said = call(&broker, "CreateLogin", &[]).await.unwrap_err();
        assert!(said.contains("Error.AccessDenied"), "{said}");
        let may_look = call(&broker, "CreateReadOnlyLogin", &[]).await.is_ok();
        assert_eq!(may_look, !everything[..2].contains(&missing), "{missing}");
    }
    world.hears("refused user 65534").await;
}

#[tokio::test]
async fn rules_see_what_an_object_is() {
    let (broker, _world, polkit) = world(YES).await;
    let stop = ["org.supervisord.Supervisor1.Process.Stop", "@a{sv} {}"];
    broker.gdbus(Whom::Nobody, WEB, &stop).await.unwrap();
    let details = polkit.last().details;
    assert_eq!(
        (&*details["group"], &*details["process"], &*details["method"]),
        ("web", "web", "Stop")
    );
    let stop = ["org.supervisord.Supervisor1.Group.Stop", "@a{sv} {}"];
    broker.gdbus(Whom::Nobody, G, &stop).await.unwrap();
    let details = polkit.last().details;
    assert_eq!(details["group"], "g");
    assert!(!details.contains_key("process"));
    for method in ["Properties.GetAll", "Introspectable.Introspect"] {
        let method = format!("org.freedesktop.DBus.{method}");
        let args = if method.ends_with("GetAll") { &["''"][..] } else { &[] };
        broker.gdbus(Whom::Nobody, WEB, &[&[method.as_str()], args].concat()).await.unwrap();
        assert_eq!(polkit.last().action, "org.supervisord.Supervisor1.inspect");
    }
}

#[tokio::test]
async fn a_password_is_asked_for_only_when_the_call_allows_it() {
    let (broker, _world, polkit) = world(PASSWORD).await;
    let said = call(&broker, "ListGroups", &[]).await.unwrap_err();
    assert!(said.contains("InteractiveAuthorizationRequired: This needs org.sup"), "{said}");
    let address = format!("--address={}", broker.address);
    let interactive = "--allow-interactive-authorization=yes";
    let call = [
        &address,
        interactive,
        "call",
        "org.supervisord.Supervisor1",
        MANAGER,
        "org.supervisord.Supervisor1.Manager",
        "ListGroups",
    ];
    // Nobody was there to ask for it.
    let said = run("busctl", &call, Whom::Nobody).await.unwrap_err();
    assert!(said.contains("polkit found no agent that could ask for a password"), "{said}");
    let asked = polkit.last();
    assert!(asked.interactive && !asked.cancellation.is_empty(), "{asked:?}");
    let first = asked.cancellation;
    polkit.say(Says::Verdict(false, true, true));
    let said = run("busctl", &call, Whom::Nobody).await.unwrap_err();
    assert!(said.contains("Access denied"), "{said}");
    assert_ne!(polkit.last().cancellation, first);
    polkit.say(YES);
    run("busctl", &call, Whom::Nobody).await.unwrap();
}

#[tokio::test]
async fn without_an_answer_nobody_may() {
    let failed = "org.freedesktop.PolicyKit1.Error.Failed";
    let (broker, world, _polkit) = world(Says::Error(failed, "Action is not registered")).await;
    let said = call(&broker, "Shutdown", &[]).await.unwrap_err();
    let why = "AccessDenied: polkit could not decide about org.supervisord.Supervisor1.shutdown: \
               Action is not registered";
    assert!(said.contains(why), "{said}");
    world.hears("Manager.Shutdown: polkit could not decide").await;
    assert!(world.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_question_ends_when_the_caller_leaves() {
    let (broker, world, polkit) = world(Says::Nothing).await;
    let address = format!("--address={}", broker.address);
    let args = [
        &address,
        "call",
        "org.supervisord.Supervisor1",
        MANAGER,
        "org.supervisord.Supervisor1.Manager",
        "Shutdown",
    ];
    let mut busctl =
        command_of("busctl", &args, Whom::Nobody).stdout(Stdio::null()).spawn().unwrap();
    polkit.is_asked(1).await;
    busctl.kill().unwrap();
    busctl.wait().unwrap();
    let mut cancelled = polkit.cancelled.clone();
    let all = timeout(Duration::from_secs(20), cancelled.wait_for(|all| !all.is_empty())).await;
    assert_eq!(*all.expect("a cancellation").unwrap(), [polkit.last().cancellation]);
    world.hears("Manager.Shutdown: The caller went away.").await;
}

#[tokio::test]
async fn questions_that_stand_hold_up_nobody_else() {
    let (broker, world, polkit) = world(Says::Nothing).await;
    let address = format!("--address={}", broker.address);
    let args = [
        &address,
        "call",
        "org.supervisord.Supervisor1",
        MANAGER,
        "org.supervisord.Supervisor1.Manager",
        "ListGroups",
    ];
    let mut waiting: Vec<_> = (0..30)
        .map(|_| command_of("busctl", &args, Whom::Nobody).stdout(Stdio::null()).spawn().unwrap())
        .collect();
    polkit.is_asked(16).await;
    let list = format!("{MANAGER_}ListProcesses");
    let list = [list.as_str()];
    let other = broker.gdbus(Whom::Me, MANAGER, &list);
    timeout(Duration::from_secs(10), other).await.expect("root is answered").unwrap();
    let mut world = world;
    // Those who wait do not hold up the end either.
    let end = world.stop(Duration::from_secs(60));
    timeout(Duration::from_secs(20), end).await.expect("it ends before the questions do");
    assert_eq!(polkit.asked.lock().unwrap().len(), 16, "at most so many at the same time");
    for client in &mut waiting {
        assert!(!client.wait().unwrap().success());
    }
}

#[tokio::test]
async fn what_waits_for_polkit_is_bounded() {
    let (broker, _world, polkit) = world(Says::Nothing).await;
    // One user, several connections: together they get no more than one share.
    let _flood = Flood::start(&broker, 4, 60, "ListGroups").await;
    polkit.is_asked(16).await;
    assert_eq!(polkit.asked.lock().unwrap().len(), 16);
}
