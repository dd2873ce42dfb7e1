//! `GET /events`: what happens, as a stream of server-sent events for people without an event
//! listener. Each has the type as its name, the serial as its id, and an object of JSON:
//! `{"type": …, "serial": …, "time": …, "details": {…}}`.

use std::collections::VecDeque;
use std::fmt::Write;
use std::time::Duration;

use futures_util::stream;
use percent_encoding::percent_decode_str;
use serde_json::{Map, json};
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use warp::http::StatusCode;
use warp::reply::Response;
use warp::{Filter, Rejection};

use super::page;
use super::streams::{self, Place, Room, stopping};
use crate::api::Api;
use crate::model::event::{Event, Period, Published, Value};
use crate::model::event_type::EventType;
use crate::runtime::handle::WantedTicks;
use crate::runtime::happenings::Subscription as Heard;

/// How much of a wrong type is shown, in characters.
const MAX_SHOWN: usize = 64;
/// After how long silence a stream says that it is still there.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// The streams of events.
#[derive(Debug, Clone)]
pub struct Events {
    api: Api,
    room: Room,
    stopped: watch::Receiver<bool>,
}

impl Events {
    /// Streams events until the server stops.
    #[must_use]
    pub fn new(api: Api, stopped: watch::Receiver<bool>) -> Self {
        Self { api, room: Room::new("Too many streams of events"), stopped }
    }

    /// The route.
    pub fn route(self) -> impl Filter<Extract = (Response,), Error = Rejection> + Clone {
        let query = warp::query::raw().or(warp::any().map(String::new)).unify();
        warp::path!("events")
            .and(warp::get())
            .and(query)
            .map(move |query: String| self.answer(&query))
    }

    fn answer(&self, query: &str) -> Response {
        let types = match wanted(query) {
            Ok(types) => types,
            Err(why) => return page::error(StatusCode::BAD_REQUEST, &why),
        };
        let Some(place) = self.room.enter() else { return self.room.full() };
        let engine = self.api.engine();
        let wants = |event_type: EventType| types.iter().any(|&wanted| event_type.is_a(wanted));
        let ticks = Period::ALL.into_iter().filter(|period| wants(period.event_type()));
        let subscription = Subscription {
            _ticks: ticks.map(|period| engine.want_ticks(period)).collect(),
            events: engine.events(),
            stopped: self.stopped.clone(),
            types,
            expected: None,
            ready: VecDeque::from([": what happens from now on\n\n".to_owned()]),
            left: None,
            _place: place,
        };
        let parts = stream::unfold(subscription, |mut subscription| async move {
            let part = subscription.next().await?;
            Some((part, subscription))
        });
        streams::unbuffered(streams::answer("text/event-stream", parts))
    }
}

/// What one client gets.
struct Subscription {
    events: Heard,
    stopped: watch::Receiver<bool>,
    types: Vec<EventType>,
    /// The serial that comes next, unless something is missed.
    expected: Option<u64>,
    ready: VecDeque<String>,
    /// How many more are told, once the server stops.
    left: Option<usize>,
    _ticks: Vec<WantedTicks>,
    _place: Place,
}

impl Subscription {
    /// What is to be sent next; none when the server stops.
    async fn next(&mut self) -> Option<String> {
        let heartbeat = Instant::now() + HEARTBEAT;
        loop {
            if let Some(part) = self.ready.pop_front() {
                return Some(part);
            }
            tokio::select! {
                biased;
                () = stopping(&mut self.stopped) => {
                    // What had happened by then is told, and no more.
                    let left = self.left.get_or_insert(self.events.waiting());
                    *left = left.checked_sub(1)?;
                    match self.events.try_recv() {
                        Ok(event) => self.take(&event),
                        Err(TryRecvError::Lagged(_)) => {}
                        Err(TryRecvError::Empty | TryRecvError::Closed) => return None,
                    }
                }
                event = self.events.recv() => match event {
                    Ok(event) => self.take(&event),
                    // Later, the gap in the serials tells.
                    Err(RecvError::Lagged(missed)) if self.expected.is_none() => {
                        self.ready.push_back(gap(missed));
                    }
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return None,
                },
                () = sleep_until(heartbeat) => return Some(": still here\n\n".to_owned()),
            }
        }
    }

    fn take(&mut self, published: &Published) {
        let missed = self.expected.map_or(0, |expected| published.serial.saturating_sub(expected));
        self.expected = Some(published.serial + 1);
        if missed > 0 {
            self.ready.push_back(gap(missed));
        }
        let event_type = published.event.event_type();
        if self.types.iter().any(|&wanted| event_type.is_a(wanted)) {
            self.ready.push_back(message(published));
        }
    }
}

/// So many events, of any type, are missing here.
fn gap(missed: u64) -> String {
    format!("event: missed\ndata: {{\"missed\":{missed}}}\n\n")
}

/// An event as it is sent.
fn message(published: &Published) -> String {
    let event_type = published.event.event_type();
    let data = json!({
        "type": event_type.name(),
        "serial": published.serial,
        "time": published.at.0.as_secs_f64(),
        "details": details(&published.event),
    });
    let mut message = String::new();
    // JSON has no raw newlines, and writing to a string does not fail.
    let _ = write!(message, "id: {}\nevent: {event_type}\ndata: {data}\n\n", published.serial);
    message
}

fn details(event: &Event) -> Map<String, serde_json::Value> {
    let value = |value: Value<'_>| match value {
        Value::Text(text) => json!(text),
        Value::Number(number) => json!(number),
        Value::Flag(flag) => json!(flag),
        data @ Value::Data(_) => json!(data.to_string()),
    };
    event.fields().into_iter().map(|(name, field)| (name.to_owned(), value(field))).collect()
}

/// The types that a client wants: all, unless `types` names some.
fn wanted(query: &str) -> Result<Vec<EventType>, String> {
    let mut types = Vec::new();
    for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        if name != "types" {
            continue;
        }
        let value = percent_decode_str(value).decode_utf8();
        let value = value.map_err(|_| "The types are not UTF-8".to_owned())?;
        for name in value.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let Some(event_type) = EventType::parse(&name.to_uppercase()) else {
                let name: String = name.chars().take(MAX_SHOWN).collect();
                return Err(format!("There is no type of events {name:?}"));
            };
            if !types.contains(&event_type) {
                types.push(event_type);
            }
        }
    }
    if types.is_empty() {
        types.push(EventType::Event);
    }
    Ok(types)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::time::Wall;
    use crate::runtime::happenings::Happenings;

    #[test]
    fn types_are_named_by_clients() {
        assert_eq!(wanted(""), Ok(vec![EventType::Event]));
        assert_eq!(wanted("other=1&types="), Ok(vec![EventType::Event]));
        let two = wanted("types=process_state%2CTICK_60,TICK_60");
        assert_eq!(two, Ok(vec![EventType::ProcessState, EventType::Tick60]));
        let wrong = wanted("types=TICK_5,TICK_7");
        assert_eq!(wrong, Err("There is no type of events \"TICK_7\"".to_owned()));
        assert!(wanted(&format!("types={}", "x".repeat(5000))).unwrap_err().len() < 200);
        assert!(wanted("types=%FF").is_err());
    }

    #[test]
    fn an_event_is_one_message() {
        let event = Event::Remote { kind: "a\nb".to_owned(), data: "\"".to_owned() };
        let at = Wall(Duration::from_millis(1500));
        let said = message(&Published { serial: 7, at, event });
        assert_eq!(
            said,
            "id: 7\nevent: REMOTE_COMMUNICATION\ndata: {\"details\":{\"data\":\"\\\"\",\
             \"type\":\"a\\nb\"},\"serial\":7,\"time\":1.5,\"type\":\"REMOTE_COMMUNICATION\"}\n\n"
        );
    }

    fn tick(serial: u64) -> Arc<Published> {
        let event = Event::Tick { period: Period::Seconds5, when: 5 };
        Arc::new(Published { serial, at: Wall(Duration::from_secs(5)), event })
    }

    fn subscribed(events: &Happenings, stopped: &watch::Sender<bool>) -> Subscription {
        Subscription {
            events: events.subscribe(),
            stopped: stopped.subscribe(),
            types: vec![EventType::Event],
            expected: None,
            ready: VecDeque::new(),
            left: None,
            _ticks: Vec::new(),
            _place: Room::new("").enter().unwrap(),
        }
    }

    #[tokio::test]
    async fn a_slow_client_is_told_how_many_it_missed_and_goes_on() {
        let (events, stopped) = (Happenings::new(2), watch::Sender::new(false));
        let mut client = subscribed(&events, &stopped);
        for serial in 0..5 {
            events.tell(tick(serial));
        }
        assert_eq!(client.next().await, Some(gap(3)));
        assert_eq!(client.next().await, Some(message(&tick(3))));
        assert_eq!(client.next().await, Some(message(&tick(4))));
        // Left out before it came here.
        events.tell(tick(7));
        assert_eq!(client.next().await, Some(gap(2)));
        assert_eq!(client.next().await, Some(message(&tick(7))));
    }

    #[tokio::test]
    async fn the_last_events_come_before_the_end() {
        let (events, stopped) = (Happenings::new(4), watch::Sender::new(false));
        let mut client = subscribed(&events, &stopped);
        events.tell(tick(0));
        stopped.send_replace(true);
        assert_eq!(client.next().await, Some(message(&tick(0))));
        assert_eq!(client.next().await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_stream_says_that_it_is_there() {
        let (events, stopped) = (Happenings::new(4), watch::Sender::new(false));
        let mut client = subscribed(&events, &stopped);
        assert_eq!(client.next().await.as_deref(), Some(": still here\n\n"));
    }
}
