//! Which page is at which path.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use askama::Template;
use futures_util::{Stream, stream};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::Serialize;
use tokio::sync::{Semaphore, watch};
use warp::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use warp::http::{HeaderMap, HeaderValue, StatusCode};
use warp::path::FullPath;
use warp::reply::Response;
use warp::{Buf, Filter, Rejection, Reply};

use super::acts::{Wish, refreshed, unexpected};
use super::calls::{self, Call};
use super::data::history::{Change, History};
use super::data::meter::{Meter, Sample};
use super::data::preview::{Line, Names, Preview};
use super::data::tree::Tree;
use super::form::Form;
use super::live::Live;
use super::pages::{self, Confirm, Shell, Status, Tail};
use super::{assets, body, respond};
use crate::api::{Api, Named};
use crate::http::asked::Asked;
use crate::http::page;
use crate::http::places::{Peer, Seat, Work};
use crate::http::visitor::Visitor;
use crate::http::wire::End;
use crate::http::xmlrpc::{Log, shown};
use crate::model::fault::{Fault, FaultKind};
use crate::model::name::ProcessName;
use crate::model::record::{Level, Record};
use crate::model::snapshot::Channel;

/// How many wishes are granted at the same time.
const MAX_GRANTING: usize = 64;
/// How many look at what the configuration would change at the same time.
const MAX_PREVIEWING: usize = 4;
/// What others serve, by how it begins (C-323): pages do not answer for them.
const OTHERS: [&str; 3] = ["/RPC2", "/logtail", "/mainlogtail"];
/// The longest message that a page shows, in characters.
const MAX_MESSAGE: usize = 2000;
/// How much of a log stands in the page of a process, in bytes.
const SHOWN: i64 = 8 * 1024;
/// How much of a log is read at once for a download, in bytes.
const PART: i64 = 256 * 1024;
/// The least and the most that `/tail.html` shows, in bytes.
const TAIL: (i64, i64) = (1024, 1024 * 1024);

/// The pages.
#[derive(Clone)]
pub struct Web {
    api: Api,
    log: Log,
    granting: Arc<Semaphore>,
    previewing: Arc<Semaphore>,
    history: History,
    meter: Meter,
    live: Live,
}

/// What the page of a process asks for.
#[derive(Serialize)]
struct Facts {
    history: Vec<Change>,
    samples: Vec<Sample>,
    tree: Tree,
}

/// What reading the configuration again comes to.
#[derive(Serialize)]
#[serde(untagged)]
enum Outlook {
    Changes(Preview),
    Wrong { error: String },
}

impl fmt::Display for Outlook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let preview = match self {
            Self::Changes(preview) if preview.is_empty() => {
                return f.write_str("Nothing would change.");
            }
            Self::Changes(preview) => preview,
            Self::Wrong { error } => {
                return write!(f, "The configuration has errors, nothing would change:\n{error}");
            }
        };
        for group in &preview.added {
            writeln!(f, "added {}: {}", group.group, listed(&group.processes))?;
        }
        for group in &preview.changed {
            writeln!(f, "changed {}:", group.group)?;
            options(f, &group.options)?;
            if !group.added.names.is_empty() {
                writeln!(f, "  + {}", listed(&group.added))?;
            }
            if !group.removed.names.is_empty() {
                writeln!(f, "  - {}", listed(&group.removed))?;
            }
            for edit in &group.changed {
                writeln!(f, "  {}:", listed(&edit.processes))?;
                options(f, &edit.options)?;
            }
        }
        for group in &preview.removed {
            writeln!(f, "removed {}: {}", group.group, listed(&group.processes))?;
        }
        if preview.more > 0 { write!(f, "and {} groups more", preview.more) } else { Ok(()) }
    }
}

fn options(f: &mut fmt::Formatter<'_>, lines: &[Line]) -> fmt::Result {
    for Line { option, old, new } in lines {
        if let Some(old) = old {
            writeln!(f, "    - {option} = {old}")?;
        }
        if let Some(new) = new {
            writeln!(f, "    + {option} = {new}")?;
        }
    }
    Ok(())
}

fn listed(names: &Names) -> String {
    let more = if names.more > 0 { format!(" and {} more", names.more) } else { String::new() };
    names.names.join(", ") + &more
}

/// A log that can be downloaded.
enum Source {
    Daemon,
    Process(Named, Channel),
}

impl Source {
    async fn size(&self, api: &Api) -> Result<i64, Fault> {
        match self {
            Self::Daemon => Ok(api.tail_log(0, 0).await?.1),
            Self::Process(name, channel) => {
                // Whether there is a file; then how large it is.
                api.read_process_log(name, *channel, 0, 1).await?;
                Ok(api.tail_process_log(name, *channel, 0, 0).await?.1)
            }
        }
    }

    async fn read(&self, api: &Api, at: i64, length: i64) -> Result<Vec<u8>, Fault> {
        match self {
            Self::Daemon => api.read_log(at, length).await,
            Self::Process(name, channel) => api.read_process_log(name, *channel, at, length).await,
        }
    }
}

/// A request, as far as pages look at it.
struct Request {
    path: String,
    query: String,
    headers: HeaderMap,
    visitor: Option<Visitor>,
}

impl Request {
    /// The path as pages know it: any number of slashes before it is the same, as upstream has it.
    fn page(&self) -> &str {
        match self.path.trim_start_matches('/') {
            "" => "index.html",
            page => page,
        }
    }
}

impl Web {
    /// Pages over these use cases, until the server stops. To be called inside of a tokio runtime.
    #[must_use]
    pub fn new(api: Api, log: Log, stopped: watch::Receiver<bool>) -> Self {
        let meter = Meter::new(api.clone());
        Self {
            log,
            granting: Arc::new(Semaphore::new(MAX_GRANTING)),
            previewing: Arc::new(Semaphore::new(MAX_PREVIEWING)),
            history: History::new(api.clone()),
            live: Live::new(api.clone(), meter.clone(), stopped),
            meter,
            api,
        }
    }

    /// The routes.
    pub fn route(self) -> impl Filter<Extract = (Response,), Error = Rejection> + Clone {
        let request = warp::path::full()
            .and_then(|path: FullPath| async move {
                let asked = path.as_str();
                let others =
                    asked == "/events" || OTHERS.iter().any(|other| asked.starts_with(other));
                if others { Err(warp::reject::not_found()) } else { Ok(path) }
            })
            .and(warp::query::raw().or(warp::any().map(String::new)).unify())
            .and(warp::header::headers_cloned())
            .and(warp::ext::optional::<Visitor>())
            .map(|path: FullPath, query, headers, visitor| Request {
                path: path.as_str().to_owned(),
                query,
                headers,
                visitor,
            });
        let (looking, acting) = (self.clone(), self);
        let get =
            warp::get().or(warp::head()).unify().and(request).then(move |request: Request| {
                let web = looking.clone();
                async move {
                    let nothing = || page::plain_error(StatusCode::NOT_FOUND);
                    web.get(&request).await.unwrap_or_else(nothing)
                }
            });
        let post = warp::post()
            .and(warp::body::content_length_limit(body::MOST))
            .and(request)
            .and(warp::ext::get::<Arc<Seat>>())
            .and(warp::ext::get::<End>())
            .and(warp::body::stream())
            .then(move |request: Request, seat: Arc<Seat>, end: End, body| {
                let web = acting.clone();
                async move { web.post(&request, (&seat, &end), body).await.unwrap_or_else(|no| no) }
            });
        get.or(post).unify()
    }

    /// What is at a path; none when nothing is.
    async fn get(&self, request: &Request) -> Option<Response> {
        let Some(visitor) = &request.visitor else { return public(&request.path) };
        let form = Form::new(&request.query, b"");
        match request.page() {
            "ok.html" => Some(page::ok()),
            "live" => Some(self.live.answer()),
            "daemon" => Some(self.daemon(request, visitor, &form).await),
            "data/process" => self.facts(&form).await,
            "data/preview" => Some(self.preview().await.map_or_else(|no| no, |data| json(&data))),
            "download" => self.download(&form).await,
            "index.html" => Some(self.index(request, visitor, &form)),
            "tail.html" => Some(self.tail(request, visitor, &form).await),
            page => match page.strip_prefix("process/") {
                Some(rest) => self.process(request, visitor, rest).await,
                None => assets::find(&request.path, &request.headers),
            },
        }
    }

    /// What becomes of a form; the error is an answer, too.
    async fn post<B: Buf>(
        &self,
        request: &Request,
        (seat, end): (&Arc<Seat>, &End),
        body: impl Stream<Item = Result<B, warp::Error>>,
    ) -> Result<Response, Response> {
        let refused = || page::plain_error(StatusCode::BAD_REQUEST);
        let visitor = request.visitor.as_ref().ok_or_else(refused)?;
        let page = request.page();
        if page == "act" {
            return self.act(request, visitor, (seat, end), body).await;
        }
        if !matches!(page, "index.html" | "tail.html" | "ok.html") {
            return Err(refused());
        }
        let bytes = body::read(body).await?;
        // It has come whole: from now on the connection keeps its place.
        let work = seat.work();
        let form = Form::new(&request.query, &bytes);
        Ok(match page {
            "index.html" if form.get("action").is_some() => {
                self.wish(request, visitor, &form, (work, end)).await
            }
            "index.html" => self.index(request, visitor, &form),
            "tail.html" => self.tail(request, visitor, &form).await,
            _ => page::ok(),
        })
    }

    /// The overview, or what stands before an action that was not asked for by one of our forms.
    fn index(&self, request: &Request, visitor: &Visitor, form: &Form) -> Response {
        if form.get("action").is_some() {
            return match Wish::of(form) {
                // It changes nothing.
                Some(Wish::Refresh) => told(&refreshed()),
                Some(wish) => self.confirm(StatusCode::OK, request, visitor, &wish, form),
                None => unknown(),
            };
        }
        let message: String =
            form.get("message").unwrap_or_default().chars().take(MAX_MESSAGE).collect();
        show(StatusCode::OK, &Status::new(&self.api, visitor, &message), request)
    }

    fn confirm(
        &self,
        status: StatusCode,
        request: &Request,
        visitor: &Visitor,
        wish: &Wish,
        form: &Form,
    ) -> Response {
        show(status, &Confirm::new(&self.api, visitor, wish, form), request)
    }

    /// Grants a wish that somebody has who may have it (C-330).
    async fn wish(
        &self,
        request: &Request,
        visitor: &Visitor,
        form: &Form,
        (work, end): (Work, &End),
    ) -> Response {
        let Some(wish) = Wish::of(form) else { return unknown() };
        if wish == Wish::Refresh {
            return told(&refreshed());
        }
        let is_ours = form.get("csrf").is_some_and(|token| visitor.owns(token));
        let is_sure = !wish.is_grave() || form.get("sure") == Some("yes");
        if !visitor.may_act() || !is_ours || !is_sure {
            return self.confirm(StatusCode::FORBIDDEN, request, visitor, &wish, form);
        }
        let Ok(permit) = Arc::clone(&self.granting).try_acquire_owned() else {
            return page::error(StatusCode::SERVICE_UNAVAILABLE, "Too much is under way");
        };
        let who = self.asked(visitor, &work, Some(&wish));
        let (api, log) = (self.api.clone(), Arc::clone(&self.log));
        let granting = tokio::spawn(async move {
            let _permit = permit;
            let message = wish.grant(&api).await;
            let line = format!(
                "{who} used the web page to {}: {}",
                shown(&wish.to_string()),
                shown(&message)
            );
            log(Record::new(Level::Info, line));
            (message, work)
        });
        match Asked::new(granting).ended(end).await {
            Ok((message, work)) => {
                let mut response = told(&message);
                response.extensions_mut().insert(Arc::new(work));
                response
            }
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => page::plain_error(StatusCode::SERVICE_UNAVAILABLE),
        }
    }

    /// Does what a script of ours asks for.
    async fn act<B: Buf>(
        &self,
        request: &Request,
        visitor: &Visitor,
        (seat, end): (&Arc<Seat>, &End),
        body: impl Stream<Item = Result<B, warp::Error>>,
    ) -> Result<Response, Response> {
        if !calls::is_ours(&request.headers, visitor) {
            return Err(page::error(StatusCode::FORBIDDEN, "This is for our own pages"));
        }
        let bytes = body::read(body).await?;
        let work = seat.work();
        let call: Call = serde_json::from_slice(&bytes).map_err(|error| {
            page::error(StatusCode::BAD_REQUEST, &format!("The call cannot be read: {error}"))
        })?;
        let permit = Arc::clone(&self.granting).try_acquire_owned();
        let permit = permit
            .map_err(|_| page::error(StatusCode::SERVICE_UNAVAILABLE, "Too much is under way"))?;
        let who = self.asked(visitor, &work, call.wish().as_ref());
        let (api, log) = (self.api.clone(), Arc::clone(&self.log));
        let acting = tokio::spawn(async move {
            let _permit = permit;
            let report = call.carry_out(&api).await;
            let told = report.as_ref().map_or_else(
                || "nobody knows how".to_owned(),
                |report| match report.failed.first() {
                    None => "done".to_owned(),
                    Some((_, why)) => format!("{} failed: {why}", report.failed.len()),
                },
            );
            let line =
                format!("{who} used the web page to {}: {}", shown(&call.line()), shown(&told));
            log(Record::new(Level::Info, line));
            (report, work)
        });
        match Asked::new(acting).ended(end).await {
            Ok((Some(report), work)) => {
                let mut response = json(&report);
                response.extensions_mut().insert(Arc::new(work));
                Ok(response)
            }
            Ok((None, _)) => Err(unknown()),
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => Err(page::plain_error(StatusCode::SERVICE_UNAVAILABLE)),
        }
    }

    /// Who asks, for the log; and for the history of whom it is about.
    fn asked(&self, visitor: &Visitor, work: &Work, wish: Option<&Wish>) -> String {
        let who = caller(visitor, work.peer());
        for target in wish.map(Wish::whom).unwrap_or_default() {
            self.history.asked(target.as_ref(), &who);
        }
        who
    }

    /// The page of a process, by the path behind `process/`.
    async fn process(&self, request: &Request, visitor: &Visitor, rest: &str) -> Option<Response> {
        let (group, name) = rest.split_once('/')?;
        let decoded = |part| percent_decode_str(part).decode_utf8().ok();
        let name = ProcessName::new(&*decoded(group)?, &*decoded(name)?);
        let process = self.api.snapshot().processes.get(&name).cloned()?;
        let named = Named::from(name.clone());
        let tail = self.api.tail_process_log(&named, Channel::Stdout, 0, SHOWN).await;
        let (tail, _, _) = tail.unwrap_or_default();
        let tree = Tree::of(&self.api, &process).await;
        let past = self.history.of(&name, 0);
        let page = pages::Process::new(&self.api, visitor, &process, &tail, tree, past);
        Some(show(StatusCode::OK, &page, request))
    }

    /// What the script of that page asks for besides.
    async fn facts(&self, form: &Form) -> Option<Response> {
        let process = self.api.process(form.get("name")?).ok()?;
        let after = form.get("after").and_then(|after| after.parse().ok()).unwrap_or(0);
        let facts = Facts {
            history: self.history.of(&process.spec.name, after),
            // They go on with what is told live.
            samples: if after == 0 { self.meter.history(process.key) } else { Vec::new() },
            tree: Tree::of(&self.api, &process).await,
        };
        Some(json(&facts))
    }

    async fn daemon(&self, request: &Request, visitor: &Visitor, form: &Form) -> Response {
        let (tail, _, _) = self.api.tail_log(0, SHOWN).await.unwrap_or_default();
        let preview = match form.get("preview") {
            None => None,
            Some(_) => match self.preview().await {
                Ok(data) => Some(data.to_string()),
                Err(no) => return no,
            },
        };
        show(StatusCode::OK, &pages::Daemon::new(&self.api, visitor, &tail, preview), request)
    }

    /// What reading the configuration again would change.
    async fn preview(&self) -> Result<Outlook, Response> {
        let Ok(_permit) = self.previewing.try_acquire() else {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            return Err(page::error(status, "Others look at it already, try again in a moment"));
        };
        Ok(match Preview::read(&self.api).await {
            Ok(preview) => Outlook::Changes(preview),
            Err(fault) if fault.kind == FaultKind::CantReread => {
                Outlook::Wrong { error: fault.detail }
            }
            Err(fault) => Outlook::Wrong { error: fault.to_string() },
        })
    }

    /// All of a log, as a file: of a process, or the daemon's own.
    async fn download(&self, form: &Form) -> Option<Response> {
        let (source, file) = match form.get("name") {
            None => (Source::Daemon, "supervisord.log".to_owned()),
            Some(name) => {
                let channel = match form.get("channel").unwrap_or("stdout") {
                    "stdout" => Channel::Stdout,
                    "stderr" => Channel::Stderr,
                    _ => return None,
                };
                let named = Named::parse_process(name).ok()?;
                let plain =
                    |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
                let file: String = name.chars().take(64).map(plain).collect();
                (Source::Process(named, channel), format!("{file}-{}.log", channel.name()))
            }
        };
        let size = source.size(&self.api).await.ok()?;
        let state = (self.api.clone(), source, 0_i64);
        let parts = stream::unfold(state, move |(api, source, at)| async move {
            let length = PART.min(size - at);
            if length <= 0 {
                return None;
            }
            // A log that was rotated meanwhile ends here.
            let bytes =
                source.read(&api, at, length).await.ok().filter(|bytes| !bytes.is_empty())?;
            let next = at + i64::try_from(bytes.len()).unwrap_or(length);
            Some((Ok::<_, Infallible>(bytes), (api, source, next)))
        });
        let mut response = warp::reply::stream(parts).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain;charset=utf-8"));
        let disposition = format!("attachment; filename=\"{file}\"");
        headers.insert(CONTENT_DISPOSITION, HeaderValue::from_str(&disposition).ok()?);
        Some(response)
    }

    /// The end of a log (C-333).
    async fn tail(&self, request: &Request, visitor: &Visitor, form: &Form) -> Response {
        let asked = form.get("limit").filter(|limit| limit.bytes().all(|b| b.is_ascii_digit()));
        // A number that is too large is as good as the largest.
        let asked = asked.map_or(TAIL.0, |limit| limit.parse().unwrap_or(TAIL.1));
        let limit = asked.clamp(TAIL.0, TAIL.1);
        let name = form.get("processname").unwrap_or_default();
        let text = if name.is_empty() {
            "No process name found".to_owned()
        } else {
            match self.end_of_log(name, limit).await {
                Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
                Err(fault) if fault.kind == FaultKind::NoFile => format!("No file for {name}"),
                Err(fault) => format!("ERROR: {}", unexpected(&fault)),
            }
        };
        let shell = Shell::new(&self.api, visitor, "tail");
        let more = limit.saturating_mul(16).min(TAIL.1);
        let name = name.to_owned();
        show(StatusCode::OK, &Tail { shell, name, text, limit, more }, request)
    }

    async fn end_of_log(&self, name: &str, limit: i64) -> Result<Vec<u8>, Fault> {
        let name = Named::parse_process(name)?;
        self.api.read_process_log(&name, Channel::Stdout, -limit, 0).await
    }
}

/// What is there for those who have not logged in.
fn public(path: &str) -> Option<Response> {
    match path {
        "/" | "/index.html" => Some(page::front()),
        "/ok.html" => Some(page::ok()),
        _ => None,
    }
}

/// Who asks, for the log.
fn caller(visitor: &Visitor, peer: Peer) -> String {
    if visitor.name.is_empty() {
        peer.to_string()
    } else {
        format!("{peer} as '{}'", shown(&visitor.name))
    }
}

/// Data for our scripts.
fn json(data: &impl Serialize) -> Response {
    let mut response = Response::new(serde_json::to_string(data).unwrap_or_default().into());
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

fn show(status: StatusCode, page: &impl Template, request: &Request) -> Response {
    match page.render() {
        Ok(text) => respond::html(status, text, &request.headers),
        Err(_) => page::plain_error(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

/// Back to the overview, with a message.
fn told(message: &str) -> Response {
    let message: String = message.chars().take(MAX_MESSAGE).collect();
    respond::see(&format!("/?message={}", utf8_percent_encode(&message, NON_ALPHANUMERIC)))
}

fn unknown() -> Response {
    page::error(StatusCode::BAD_REQUEST, "Nobody knows what to do with this form")
}
