//! What the fuzz targets (`fuzz/`) call, and the tests with their kept inputs: the readings of what
//! strangers send, over a daemon without programs, with what has to hold of them.

use std::sync::Arc;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, watch};
use tower_service::Service;
use warp::filters::BoxedFilter;
use warp::http::header::{HOST, ORIGIN};
use warp::http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri};
use warp::reply::Response;

use super::browser::{self, Names};
use super::places::{Peer, Places};
use super::server::Options;
use super::sessions::Sessions;
use super::visitor::{Role, Visitor};
use super::xmlrpc::{Rpc, Value, decode, encode};
use super::{routes, tail};
use crate::api::{Api, Identity, MAX_NAME, Named, Parts, Upgrades};
use crate::model::record::Level;
use crate::model::snapshot::{Channel, Snapshot};
use crate::model::time::Now;
use crate::runtime::handle::EngineHandle;
use crate::runtime::happenings::Happenings;
use crate::runtime::logs::{LogPlane, MainLogPlan, MainTarget};

/// A daemon that has no programs, and whose engine is gone.
struct World {
    runtime: Runtime,
    rpc: Rpc,
    routes: BoxedFilter<(Response,)>,
}

impl World {
    fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let plan = MainLogPlan {
            target: MainTarget::None,
            maxbytes: 0,
            backups: 0,
            level: Level::Critical,
            copy_to_stdout: false,
        };
        // Both ends here are gone at once: what asks the engine hears so.
        let (requests, _) = mpsc::channel(1);
        let (_, snapshots) = watch::channel(Arc::new(Snapshot::empty()));
        let api = Api::new(Parts {
            engine: EngineHandle::new(requests, snapshots, Happenings::new(1)),
            logs: LogPlane::start(&plan).expect("a thread").0.handle(),
            main_log: None,
            load: Arc::new(|| Err("there is no configuration".to_owned())),
            resolve: Arc::new(|_| Ok(())),
            clock: Now::default,
            identity: Identity {
                identifier: "supervisor".to_owned(),
                pid: 1,
                config_file: "/etc/supervisord.conf".into(),
                upgrades: Upgrades::default(),
            },
        });
        let options = Options {
            api,
            namespaces: vec!["supervisor".to_owned()],
            sessions: Sessions::default(),
            log: Arc::new(drop),
        };
        let (_, stopped) = watch::channel(false);
        let inside = runtime.enter();
        let rpc =
            Rpc::new(options.api.clone(), options.namespaces.clone(), Arc::clone(&options.log));
        let routes = routes::all(&options, &stopped);
        drop(inside);
        Self { runtime, rpc, routes }
    }

    fn status(
        &self,
        method: &Method,
        target: &Uri,
        body: &'static str,
        visitor: Option<Visitor>,
    ) -> StatusCode {
        let peer = Peer::Unix { uid: 0, pid: None };
        let seat = Places::new(1).enter(peer).expect("there is one place");
        let request = Request::builder().method(method).uri(target.clone());
        let request = request.extension(Arc::new(seat));
        let request = request.header("content-length", body.len());
        let mut request = request.body(body.to_owned()).expect("all its parts are valid");
        visitor.map(|visitor| request.extensions_mut().insert(visitor));
        let answer = warp::service(self.routes.clone()).call(request);
        self.runtime.block_on(answer).unwrap_or_else(|never| match never {}).status()
    }
}

thread_local! {
    static WORLD: World = World::new();
}

/// Reads a body of `/RPC2`, calls what it asks for, and writes the answer.
///
/// # Panics
/// Something does not hold that has to.
pub fn xmlrpc(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(document) = decode::decode(text) else { return };
    if let Some(value) = document.fault {
        comes_back(&[value]);
    }
    let arguments = document.params.unwrap_or_default();
    comes_back(&arguments);
    let method = document.method.unwrap_or_default();
    WORLD.with(|world| {
        let mut session = world.rpc.session("somebody".to_owned());
        let call = async { world.rpc.call(&method, arguments, &mut session).await };
        let answer = encode::answer(&world.runtime.block_on(call));
        let read = decode::decode(&answer).expect("an answer is well-formed");
        assert!(read.fault.is_some() || read.params.is_some_and(|values| values.len() == 1));
    });
}

/// What was read can be written, and is read as the same.
fn comes_back(values: &[Value]) {
    let read = decode::decode(&encode::call("a.b", values)).expect("a call is well-formed");
    let read = read.params.unwrap_or_default();
    // As text: a number that is none is not equal to itself.
    assert_eq!(format!("{read:?}"), format!("{values:?}"));
}

/// Asks for a path with its query by every verb; the second line, when there is one, is the
/// `Host` and the third the `Origin` that a browser would send.
///
/// # Panics
/// Something does not hold that has to.
pub fn http_target(bytes: &[u8]) {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let target = lines.next().unwrap_or_default();
    let value = |bytes: &[u8]| HeaderValue::from_bytes(bytes).ok();
    if let Some(host) = lines.next().and_then(value) {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.clone());
        let origin = lines.next().and_then(value);
        headers.insert(ORIGIN, origin.unwrap_or(HeaderValue::from_static("null")));
        if browser::check(&Names::default().and("web1"), &Method::GET, &headers).is_ok() {
            let lower = |value: &HeaderValue| value.as_bytes().to_ascii_lowercase();
            let (host, origin) = (lower(&host), lower(&headers[ORIGIN]));
            let name = host.strip_suffix(b":443").or(host.strip_suffix(b":80")).unwrap_or(&host);
            let named = name.is_empty() || origin.windows(name.len()).any(|part| part == name);
            assert!(named, "a page of another site was let in");
        }
    }
    let Ok(uri) = Uri::try_from(target) else { return };
    let path = uri.path();
    let wanted = tail::wanted(path);
    if let Some((name, channel)) = &wanted {
        one_process(name, *channel);
    }
    let public = routes::is_public(&Method::GET, path);
    assert!(!public || wanted.is_none(), "nobody sees a log without a password");
    if uri.path_and_query().is_none() {
        return; // refused before anybody looks for a route
    }
    let plain = Uri::try_from(path).expect("it is one of a target");
    WORLD.with(|world| {
        for method in [Method::GET, Method::HEAD, Method::POST, Method::DELETE] {
            let status = world.status(&method, &uri, "<a/>", None);
            let is_page = public && method != Method::POST && method != Method::DELETE;
            let expected =
                if is_page { status == StatusCode::OK } else { status.is_client_error() };
            assert!(expected, "{method} {uri}: {status}");
            // No public page depends on its query.
            assert_eq!(status, world.status(&method, &plain, "<a/>", None), "{method} {uri}");
            // Somebody who was let in gets a page, or a refusal that says why.
            let visitor = Visitor::new(Role::Act, "", "");
            let status = world.status(&method, &uri, "<a/>", Some(visitor));
            let is_fine = !status.is_server_error() || status == StatusCode::SERVICE_UNAVAILABLE;
            assert!(is_fine, "{method} {uri}: {status}");
        }
    });
}

/// A log is that of one process, by a name as long as names are.
fn one_process(name: &str, channel: Channel) {
    assert!(!name.contains('/'), "{name:?}");
    let path = format!(
        "/logtail/{}/{}",
        utf8_percent_encode(name, NON_ALPHANUMERIC),
        match channel {
            Channel::Stdout => "stdout",
            Channel::Stderr => "stderr",
        }
    );
    assert_eq!(tail::wanted(&path), Some((name.to_owned(), channel)));
    if let Ok(named) = Named::parse_process(name) {
        assert!(named.text() == name && name.len() <= 2 * MAX_NAME + 1, "{name:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::testing::feed;

    #[test]
    fn kept_documents_upset_nobody() {
        feed("xmlrpc", xmlrpc);
    }

    #[test]
    fn kept_targets_upset_nobody() {
        feed("http_target", http_target);
    }
}
