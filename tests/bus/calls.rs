//! Calls of every method, and what goes wrong with them.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use supervisor::core::request::{Request, Scope};
use supervisor::dbus::contract::contract;
use supervisor::dbus::error::fault_of;
use supervisor::dbus::proxy::{Options, ProcessProxy};
use supervisor::dbus::types;
use supervisor::model::fault::{Fault, FaultKind};
use supervisor::model::name::ProcessName;
use supervisor::model::state::{DaemonState, ProcessState};
use zbus::message::Flags;
use zbus::{Connection, Message, OwnedObjectPath, OwnedVariant, Variant};

use super::broker::{Broker, Whom};
use super::fake::{CLOCK_IS_BROKEN, G, MANAGER, WEB, World};

pub type Properties = HashMap<String, OwnedVariant>;
pub type Objects = HashMap<OwnedObjectPath, HashMap<String, Properties>>;

/// Calls a method with arguments of the right types, and returns the types of the answer, or the
/// name of the error.
async fn called(client: &Connection, path: &str, interface: &str, member: &str) -> String {
    macro_rules! call {
        ($body:expr) => {
            client.call_method(None::<&str>, path, Some(interface), member, $body).await
        };
    }
    let input = &contract().interface(interface).unwrap().methods[member].input;
    let options = Options::new();
    let bytes = types::Bytes::default();
    let answer = match input.as_str() {
        "" => call!(&()),
        "s" if member == "UnwatchLog" => call!(&"stdout"),
        "s" if member.ends_with("All") || path != MANAGER => call!(&"HUP"),
        "s" => call!(&"web"),
        "a{sv}" => call!(&options),
        "asa{sv}" => call!(&(Vec::<&str>::new(), options)),
        "ay" => call!(&bytes),
        "xx" => call!(&(0_i64, 0_i64)),
        "ss" => call!(&("web", "HUP")),
        "say" => call!(&("web", bytes)),
        "sa{sv}" if path == MANAGER => call!(&("web", options)),
        "sa{sv}" => call!(&("stdout", options)),
        "ssa{sv}" => call!(&("web", "stdout", options)),
        "sxx" => call!(&("stdout", 0_i64, 0_i64)),
        "ssxx" => call!(&("web", "stdout", 0_i64, 0_i64)),
        other => panic!("{member} takes ({other}): say what to call it with"),
    };
    match answer {
        Ok(answer) => answer.body().signature().to_string_no_parens(),
        Err(zbus::Error::MethodError(name, ..)) => name.to_string(),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn every_method_of_the_contract_is_there() {
    let world = World::start(None);
    let client = world.connect().await;
    let objects = [(MANAGER, types::MANAGER), (G, types::GROUP), (WEB, types::PROCESS)];
    for (path, interface) in objects {
        for (member, method) in &contract().interface(interface).unwrap().methods {
            let answer = called(&client, path, interface, member).await;
            let expected = match *member {
                "AddGroup" => "org.supervisord.Supervisor1.Error.AlreadyAdded",
                "RemoveGroup" => "org.supervisord.Supervisor1.Error.StillRunning",
                "Reread" | "Update" => "org.supervisord.Supervisor1.Error.CantReread",
                "Restart" if path == MANAGER => "org.supervisord.Supervisor1.Error.CantReread",
                // One structure looks like its fields here.
                "GetProcessInfo" => method.output.trim_matches(['(', ')']),
                _ => &method.output,
            };
            assert_eq!(answer, expected, "{interface}.{member}");
        }
    }
}

#[tokio::test]
async fn every_property_has_the_type_of_the_contract() {
    let world = World::start(None);
    let client = world.connect().await;
    let objects = [(MANAGER, types::MANAGER), (G, types::GROUP), (WEB, types::PROCESS)];
    for (path, interface) in objects {
        let standard = Some("org.freedesktop.DBus.Properties");
        let all =
            client.call_method(None::<&str>, path, standard, "GetAll", &interface).await.unwrap();
        let all: BTreeMap<String, OwnedVariant> = all.body().deserialize().unwrap();
        let properties = &contract().interface(interface).unwrap().properties;
        assert_eq!(all.len(), properties.len());
        for (name, property) in properties {
            assert_eq!(all[*name].value_signature().to_string(), property.signature, "{name}");
            let one = client
                .call_method(None::<&str>, path, standard, "Get", &(interface, name))
                .await
                .unwrap();
            let one: OwnedVariant = one.body().deserialize().unwrap();
            let is_measured =
                ["ControlGroup", "CPUUsageNSec", "MemoryCurrent", "TasksCurrent"].contains(name);
            assert!(is_measured || one == all[*name], "{name}");
            let set = client
                .call_method(
                    None::<&str>,
                    path,
                    standard,
                    "Set",
                    &(interface, name, Variant::from("x")),
                )
                .await
                .unwrap_err();
            assert!(set.to_string().contains("PropertyReadOnly"), "{set}");
        }
    }
}

#[tokio::test]
async fn a_process_is_told_as_status_shows_it() {
    // C-242, C-307, C-309
    let world = World::start(None);
    let manager = world.manager().await;
    let rows = manager.list_processes().await.unwrap();
    let names: Vec<_> = rows.iter().map(|row| format!("{}:{}", row.group, row.name)).collect();
    assert_eq!(names, ["g:a", "g:slow", "web:web"]);
    assert_eq!(rows[2].description, "pid 4242, uptime 1:01:01");
    assert_eq!((rows[2].state, rows[2].pid, rows[2].stop), (20, 4242, 0));
    assert_eq!(rows[2].start, 1_763_803_403_000_000);
    assert_eq!(rows[2].path.as_str(), WEB);
    assert_eq!(manager.get_process_info("web").await.unwrap(), rows[2]);
    let process = ProcessProxy::builder(manager.inner().connection())
        .path(rows[2].path.clone())
        .cache_properties(zbus::proxy::CacheProperties::No)
        .build()
        .await
        .unwrap();
    assert_eq!(process.description().await.unwrap(), rows[2].description);
    assert_eq!(manager.get_group("g").await.unwrap().as_str(), G);
    let configured = manager.list_configuration().await.unwrap();
    assert_eq!((configured.len(), configured[0].active), (3, true));
}

#[tokio::test]
async fn a_request_reaches_the_engine_as_it_was_meant() {
    let world = World::start(None);
    let manager = world.manager().await;
    let no_wait = || Options::from([("wait", Variant::from(false))]);
    manager.start_process("web", no_wait()).await.unwrap();
    manager.stop_group("g", Options::new()).await.unwrap();
    let rows = manager.signal_all("hup").await.unwrap();
    assert_eq!((rows[0].code, rows[0].text.as_str()), (80, "OK"));
    assert_eq!((rows[1].code, rows[1].text.as_str()), (50, "SPAWN_ERROR: g:a"));
    let asked = world.asked.lock().unwrap();
    let web = Scope::Process(ProcessName::new("web", "web"));
    let refused = BTreeMap::new();
    assert_eq!(asked[0], Request::Start { scope: web, wait: false, refused });
    assert_eq!(asked[1], Request::Stop { scope: Scope::Group("g".into()), wait: true });
    assert!(matches!(&asked[2], Request::Signal { scope: Scope::All, signal } if signal.0 == 1));
}

#[tokio::test]
async fn options_that_are_not_known_are_refused_by_every_method_that_takes_some() {
    // C-436
    let world = World::start(None);
    let client = world.connect().await;
    let wrong = || Options::from([("nonsense", Variant::from(true))]);
    let mut tried = 0;
    for (path, interface) in [(MANAGER, types::MANAGER), (G, types::GROUP), (WEB, types::PROCESS)] {
        for (member, method) in &contract().interface(interface).unwrap().methods {
            let Some(before) = method.input.strip_suffix("a{sv}") else { continue };
            macro_rules! call {
                ($body:expr) => {
                    client.call_method(None::<&str>, path, Some(interface), *member, $body).await
                };
            }
            let answer = match before {
                "" => call!(&wrong()),
                "as" => call!(&(Vec::<&str>::new(), wrong())),
                "s" if path == MANAGER => call!(&("g", wrong())),
                "s" => call!(&("stdout", wrong())),
                "ss" => call!(&("web", "stdout", wrong())),
                other => panic!("{member} takes ({other}) before its options"),
            };
            let said = answer.unwrap_err().to_string();
            assert!(
                said.contains("InvalidArgs: There is no option \"nonsense\""),
                "{member}: {said}"
            );
            tried += 1;
        }
    }
    assert!(tried >= 18, "{tried}");
    assert!(world.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_restart_is_a_stop_and_a_start() {
    let world = World::start(None);
    let client = world.connect().await;
    let wait = |wait| Options::from([("wait", Variant::from(wait))]);
    let call = async |path: &str, interface, body: &Options<'_>| {
        let answer = client.call_method(None::<&str>, path, Some(interface), "Restart", body).await;
        answer.unwrap()
    };
    call(WEB, types::PROCESS, &wait(false)).await;
    let rows: Vec<types::ResultRow> =
        call(G, types::GROUP, &wait(true)).await.body().deserialize().unwrap();
    assert_eq!(rows.len(), 2);
    let web = Scope::Process(ProcessName::new("web", "web"));
    let (g, refused) = (Scope::Group("g".into()), BTreeMap::new());
    assert_eq!(
        *world.asked.lock().unwrap(),
        [
            Request::Stop { scope: web.clone(), wait: false },
            Request::Start { scope: web, wait: false, refused: refused.clone() },
            Request::Stop { scope: g.clone(), wait: true },
            Request::Start { scope: g, wait: true, refused },
        ]
    );
    let said = client
        .call_method(
            None::<&str>,
            MANAGER,
            Some(types::MANAGER),
            "RestartProcess",
            &("x", wait(true)),
        )
        .await;
    assert_eq!(fault_of(&said.unwrap_err()).unwrap(), Fault::new(FaultKind::BadName, "x"));
}

#[tokio::test]
async fn a_group_gets_its_input_and_loses_its_logs_as_one() {
    let world = World::start(None);
    let client = world.connect().await;
    let call = async |member, body: &types::Bytes| -> Vec<types::ResultRow> {
        let g = Some(types::GROUP);
        let answer = if member == "SendStdin" {
            client.call_method(None::<&str>, G, g, member, body).await
        } else {
            client.call_method(None::<&str>, G, g, member, &()).await
        };
        answer.unwrap().body().deserialize().unwrap()
    };
    world.change(|snapshot| {
        super::fake::alter(snapshot, "g", "slow", |process| process.pid = 0);
    });
    let rows = call("SendStdin", &types::Bytes(b"hi\n".to_vec())).await;
    assert_eq!(
        rows.iter().map(|row| (row.name.as_str(), row.code)).collect::<Vec<_>>(),
        [("a", 80)]
    );
    let name = ProcessName::new("g", "a");
    let data = b"hi\n".to_vec();
    assert_eq!(*world.asked.lock().unwrap(), [Request::Stdin { name, data }]);
    let rows = call("ClearLogs", &types::Bytes::default()).await;
    assert_eq!(rows.len(), 2);
    assert_eq!(std::fs::metadata(world.plane.file("a")).unwrap().len(), 0);
    assert_eq!(std::fs::metadata(world.plane.file("web")).unwrap().len(), 10);
}

#[tokio::test]
async fn the_configuration_is_told_with_all_settings() {
    // C-310, C-311
    let world = World::start(None);
    let client = world.connect().await;
    let answer = client
        .call_method(None::<&str>, MANAGER, Some(types::MANAGER), "DescribeConfiguration", &())
        .await
        .unwrap();
    let all: Vec<(String, String, Properties)> = answer.body().deserialize().unwrap();
    let names: Vec<_> = all.iter().map(|(_, name, _)| name.as_str()).collect();
    assert_eq!(names, ["a", "slow", "web"]);
    let settings = &all[2].2;
    for (name, value) in [
        ("command", Variant::from("/bin/cat")),
        ("type", "program".into()),
        ("active", true.into()),
        ("autorestart", "unexpected".into()),
        ("exitcodes", vec![0_i32].into()),
        ("stopsignal", 15_i32.into()),
        ("startretries", 3_i64.into()),
        ("group_priority", 999_i64.into()),
        ("stdout_logfile", "".into()),
        ("stderr_logfile_maxbytes", 0_i64.into()),
    ] {
        assert_eq!(*settings[name], value, "{name}");
    }
    assert!(!settings.contains_key("directory") && !settings.contains_key("environment"));
}

#[tokio::test]
async fn the_manager_counts_its_processes() {
    let world = World::start(None);
    let client = world.connect().await;
    world.change(|snapshot| {
        super::fake::alter(snapshot, "g", "a", |process| process.state = ProcessState::Fatal);
    });
    let standard = Some("org.freedesktop.DBus.Properties");
    let all = client
        .call_method(None::<&str>, MANAGER, standard, "GetAll", &types::MANAGER)
        .await
        .unwrap();
    let all: Properties = all.body().deserialize().unwrap();
    let count = |name: &str| (*all[name]).clone();
    assert_eq!(count("ProcessCount"), Variant::from(3_u32));
    assert_eq!(count("RunningCount"), Variant::from(2_u32));
    assert_eq!(count("FailedCount"), Variant::from(1_u32));
    assert_eq!(count("StartTime"), Variant::from(2_000_000_000_000_000_u64));
    assert_eq!(
        count("LogFile"),
        Variant::from(world.plane.main_log().to_str().unwrap().to_owned())
    );
}

#[tokio::test]
async fn faults_come_by_name_with_their_detail() {
    // C-286, C-287
    let world = World::start(None);
    let manager = world.manager().await;
    let fault = |result: zbus::Result<()>| fault_of(&result.unwrap_err()).unwrap();
    let start = |name| manager.start_process(name, Options::new());
    assert_eq!(fault(start("nosuch").await), Fault::new(FaultKind::BadName, "nosuch"));
    assert_eq!(fault(start("g:*").await), Fault::new(FaultKind::BadName, "g:*"));
    assert_eq!(fault(start("g:a").await), Fault::new(FaultKind::NotRunning, "g:a"));
    let signalled = manager.signal_process("web", "NOSUCH").await;
    assert_eq!(fault(signalled), Fault::new(FaultKind::BadSignal, "NOSUCH"));
    let reread = manager.reread().await.map(drop);
    assert_eq!(fault(reread), Fault::new(FaultKind::CantReread, "the file is gone"));
    world.change(|snapshot| snapshot.state = DaemonState::Shutdown);
    assert_eq!(fault(start("web").await).kind, FaultKind::ShutdownState);
    // What only looks still answers.
    assert_eq!(manager.state().await.unwrap(), "SHUTDOWN");
    assert_eq!(manager.list_processes().await.unwrap().len(), 3);
}

#[tokio::test]
async fn what_is_not_in_the_contract_is_refused_by_standard_names() {
    // C-436
    let broker = Broker::start();
    let world = World::start(Some(broker.bus()));
    world.hears("on the bus").await;
    let cases = [
        (WEB, "org.supervisord.Supervisor1.Process.Nope", vec![], "UnknownMethod"),
        (WEB, "org.supervisord.Supervisor1.Group.Start", vec!["{}"], "UnknownInterface"),
        (WEB, "org.freedesktop.DBus.ObjectManager.GetManagedObjects", vec![], "UnknownInterface"),
        ("/nowhere", "org.freedesktop.DBus.Introspectable.Introspect", vec![], "UnknownObject"),
        (
            "/org/supervisord/Supervisor1/process/g/nosuch",
            "org.supervisord.Supervisor1.Process.ClearLogs",
            vec![],
            "UnknownObject",
        ),
        (
            MANAGER,
            "org.supervisord.Supervisor1.Manager.StartProcess",
            vec!["'web'", "{'wiat': <true>}"],
            "InvalidArgs",
        ),
        (
            MANAGER,
            "org.supervisord.Supervisor1.Manager.StartProcess",
            vec!["'web'", "{'wait': <'yes'>}"],
            "InvalidArgs",
        ),
        (
            WEB,
            "org.freedesktop.DBus.Properties.Get",
            vec!["'org.supervisord.Supervisor1.Process'", "'Nope'"],
            "UnknownProperty",
        ),
    ];
    for (path, method, args, expected) in cases {
        let said = broker.gdbus(Whom::Me, path, &[&[method][..], &args].concat()).await;
        let said = said.unwrap_err();
        let name = format!("org.freedesktop.DBus.Error.{expected}");
        assert!(said.contains(&name), "{path} {method}: {said}");
    }
    // gdbus looks at the types itself, busctl sends what it is told to.
    let wrong = ["call", types::BUS_NAME, MANAGER, types::MANAGER, "StartProcess", "s", "web"];
    let said = broker.busctl(&wrong).await.unwrap_err();
    assert!(said.contains("StartProcess takes (sa{sv}), not (s)"), "{said}");
}

#[tokio::test]
async fn without_an_interface_the_method_is_found_by_its_name() {
    let world = World::start(None);
    let client = world.connect().await;
    let none = None::<&str>;
    let listed = client.call_method(none, MANAGER, none, "ListGroups", &()).await.unwrap();
    let groups: Vec<types::GroupRow> = listed.body().deserialize().unwrap();
    assert_eq!(groups.len(), 2);
    client.call_method(none, MANAGER, none, "Ping", &()).await.unwrap();
}

#[tokio::test]
async fn a_slow_call_holds_up_no_other() {
    // C-289
    let world = World::start(None);
    let manager = world.manager().await;
    let slow = manager.clone();
    let slow = tokio::spawn(async move { slow.stop_process("g:slow", Options::new()).await });
    world.held(1).await;
    manager.list_processes().await.unwrap();
    manager.stop_process("web", Options::new()).await.unwrap();
    assert!(!slow.is_finished());
    world.release.add_permits(1);
    slow.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_panic_fails_its_own_call_only() {
    let world = World::start(None);
    let manager = world.manager().await;
    CLOCK_IS_BROKEN.set(true);
    let failed = manager.list_processes().await.unwrap_err();
    assert!(failed.to_string().contains("Something went wrong inside supervisord"), "{failed}");
    CLOCK_IS_BROKEN.set(false);
    assert_eq!(manager.list_processes().await.unwrap().len(), 3);
}

#[tokio::test]
async fn without_a_broker_calls_beyond_the_limit_wait_their_turn() {
    let world = World::start(None);
    let manager = world.manager().await;
    let slow = |_| {
        let manager = manager.clone();
        tokio::spawn(async move { manager.stop_process("g:slow", Options::new()).await })
    };
    let calls: Vec<_> = (0..70).map(slow).collect();
    world.held(64).await;
    assert_eq!(world.asked.lock().unwrap().len(), 64);
    // Another connection is served meanwhile.
    world.manager().await.list_processes().await.unwrap();
    assert_eq!(world.asked.lock().unwrap().len(), 64);
    world.release.add_permits(70);
    for call in calls {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn on_a_bus_calls_beyond_the_limit_of_one_client_are_refused() {
    let broker = Broker::start();
    let world = World::start(Some(broker.bus()));
    world.hears("on the bus").await;
    let manager = supervisor::dbus::proxy::manager(&broker.connect().await).await.unwrap();
    let slow = |_| {
        let manager = manager.clone();
        tokio::spawn(async move { manager.stop_process("g:slow", Options::new()).await })
    };
    let calls: Vec<_> = (0..64).map(slow).collect();
    world.held(64).await;
    let refused = manager.list_processes().await.unwrap_err();
    assert!(refused.to_string().contains("LimitsExceeded"), "{refused}");
    let other = supervisor::dbus::proxy::manager(&broker.connect().await).await.unwrap();
    other.list_processes().await.unwrap();
    world.release.add_permits(64);
    for call in calls {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn who_wants_no_answer_gets_none() {
    let world = World::start(None);
    let client = world.connect().await;
    let mut stream = zbus::MessageStream::from(&client);
    let call =
        |flags| Message::method_call(MANAGER, "ListGroups").with_flags(flags).build(&()).unwrap();
    client.send(&call(Flags::NO_REPLY_EXPECTED)).await.unwrap();
    let wanted = call(Flags::empty());
    client.send(&wanted).await.unwrap();
    let next = std::future::poll_fn(|cx| {
        futures_core::Stream::poll_next(std::pin::Pin::new(&mut stream), cx)
    });
    let answer = next.await.unwrap().unwrap();
    assert_eq!(answer.header().reply_serial(), Some(wanted.primary_header().serial_num()));
}

#[tokio::test]
async fn a_thousand_objects_are_told_in_one_answer() {
    let names: Vec<_> = (0..1000).map(|at| format!("p{at}")).collect();
    let names: Vec<_> = names.iter().map(|name| ("many", name.as_str())).collect();
    let world = World::of(None, &names);
    let client = world.connect().await;
    let began = Instant::now();
    let none = None::<&str>;
    let all = client.call_method(none, MANAGER, none, "GetManagedObjects", &()).await.unwrap();
    let took = began.elapsed();
    let all: Objects = all.body().deserialize().unwrap();
    assert_eq!(all.len(), 1001);
    let one = all.iter().find(|(path, _)| path.as_str().ends_with("/process/many/p7")).unwrap();
    let count = contract().interface(types::PROCESS).unwrap().properties.len();
    assert_eq!(one.1[types::PROCESS].len(), count);
    // Nowhere near a second even unoptimised: no more than one pass over the snapshot.
    assert!(took < Duration::from_secs(5), "{took:?}");
}
