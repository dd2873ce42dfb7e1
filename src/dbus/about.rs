//! What a call is about: the group or process that it names, by its object or by its arguments.
//! polkit's rules can look at it, and the audit log tells it.

use std::fmt::Write;

use zbus::Message;

use super::contract::Method;
use super::path::Object;
use super::polkit::Details;
use crate::api::Named;
use crate::model::name::Target;
use crate::model::text::repr;

/// How many bytes of an argument the log tells.
const SHOWN: usize = 200;
/// The arguments that are told. What goes to a program's stdin is nobody's business.
const TOLD: [&str; 5] = ["group", "name", "signal", "type", "channel"];
/// How many names of a list the log tells.
const LISTED: usize = 8;

/// What polkit's dialog says of a call; polkit puts the details in.
const PROCESS: &str =
    "Authentication is required for $(method) of the program $(process) that supervisord runs.";
const GROUP: &str =
    "Authentication is required for $(method) of the group $(group) that supervisord runs.";

/// What a call is about.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct About {
    method: String,
    group: Option<String>,
    process: Option<String>,
    /// The call for the log.
    line: String,
}

impl About {
    /// What a call whose signature is right is about.
    pub(super) fn of(
        object: &Object,
        interface: &str,
        member: &str,
        method: &Method,
        message: &Message,
    ) -> Self {
        let short = interface.rsplit('.').next().unwrap_or(interface);
        let mut about = Self {
            method: member.to_owned(),
            line: format!("{short}.{member}"),
            ..Self::default()
        };
        match object {
            Object::Manager | Object::Above(_) => {}
            Object::Group(group) => {
                about.group = Some(group.to_string());
                about.tell("of", group);
            }
            Object::Process(name) => {
                about.group = Some(name.group.to_string());
                about.process = Some(name.to_string());
                about.tell("of", &name.to_string());
            }
        }
        if method.input.starts_with("as") {
            about.tell_list(method.names.first().copied().unwrap_or_default(), message);
        }
        for (name, value) in method.names.iter().zip(texts(method, message)) {
            if TOLD.contains(name) {
                about.tell(name, &value);
            }
            match *name {
                _ if *object != Object::Manager => {}
                "group" => about.group = Some(value),
                "name" if member.contains("Process") => about.name_process(&value),
                "name" if member.contains("Group") => about.group = Some(value),
                _ => {}
            }
        }
        about
    }

    fn name_process(&mut self, text: &str) {
        // What is not the name of a process fails later, or is refused.
        let Ok(named) = Named::parse_process(text) else { return };
        if let Target::Process(name) = named.target() {
            self.group = Some(name.group.to_string());
            self.process = Some(name.to_string());
        }
    }

    fn tell(&mut self, what: &str, value: &str) {
        let _ = write!(self.line, " {what} {}", shown(value));
    }

    /// Tells the first argument, a list of names.
    fn tell_list(&mut self, what: &str, message: &Message) {
        let body = message.body();
        // What cannot be read is refused when the arguments are.
        let Ok(names) = body.deserialize_ignore_signature::<Vec<&str>>() else { return };
        let told: Vec<_> = names.iter().take(LISTED).map(|name| shown(name)).collect();
        let _ = write!(self.line, " {what} [{}]", told.join(", "));
        if names.len() > LISTED {
            let _ = write!(self.line, " and {} more", names.len() - LISTED);
        }
    }

    /// For polkit. A call about everything has neither `group` nor `process`.
    pub(super) fn details(&self) -> Details<'_> {
        let mut details = Details::from([("method", self.method.as_str())]);
        details.extend(self.group.as_deref().map(|group| ("group", group)));
        details.extend(self.process.as_deref().map(|process| ("process", process)));
        // The dialog names it too, where that cannot be used to write something else there.
        let name = self.process.as_deref().or(self.group.as_deref()).unwrap_or_default();
        if !name.is_empty() && shown(name) == name {
            details.insert("polkit.message", if self.process.is_some() { PROCESS } else { GROUP });
        }
        details
    }

    /// For the log: the interface and method, and what of the arguments may be told.
    pub(super) fn line(&self) -> &str {
        &self.line
    }
}

/// The texts among the first three arguments, up to the first that is none.
fn texts(method: &Method, message: &Message) -> Vec<String> {
    let count = method.input.bytes().take_while(|kind| *kind == b's').take(3).count();
    let body = message.body();
    let texts = match count {
        0 => Ok(Vec::new()),
        1 => body.deserialize_ignore_signature::<&str>().map(|one| vec![one.to_owned()]),
        2 => body
            .deserialize_ignore_signature::<(&str, &str)>()
            .map(|(one, two)| vec![one.to_owned(), two.to_owned()]),
        _ => body
            .deserialize_ignore_signature::<(&str, &str, &str)>()
            .map(|(one, two, three)| [one, two, three].map(str::to_owned).to_vec()),
    };
    // A body that cannot be read is refused when its arguments are.
    texts.unwrap_or_default()
}

/// A text from outside, so that it is one short line and what it looks like.
pub(super) fn shown(text: &str) -> String {
    let end = (0..=SHOWN.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let (head, rest) = text.split_at(end);
    let plain = |c: char| c.is_ascii_graphic() && c != '\'' && c != '\\';
    let mut shown =
        if !head.is_empty() && head.chars().all(plain) { head.to_owned() } else { repr(head) };
    if !rest.is_empty() {
        let _ = write!(shown, "... ({} bytes)", text.len());
    }
    shown
}

#[cfg(test)]
mod tests {
    use zbus::{DynamicType, OwnedVariant};

    use super::super::contract::contract;
    use super::super::types::{self, Bytes, MANAGER, MANAGER_PATH};
    use super::*;
    use crate::model::name::ProcessName;

    fn about<B: serde::Serialize + DynamicType>(
        object: &Object,
        interface: &str,
        member: &str,
        body: &B,
    ) -> About {
        let method = &contract().interface(interface).unwrap().methods[member];
        let message = Message::method_call(MANAGER_PATH, member).build(body).unwrap();
        About::of(object, interface, member, method, &message)
    }

    fn details(about: &About) -> Vec<(&'static str, &str)> {
        let mut details = about.details();
        details.remove("polkit.message");
        let mut details: Vec<_> = details.into_iter().collect();
        details.sort_unstable();
        details
    }

    type Options = std::collections::HashMap<String, OwnedVariant>;

    #[test]
    fn rules_see_the_group_and_the_process() {
        let stop = |name: &str| {
            let body = (name, Options::new());
            about(&Object::Manager, MANAGER, "StopProcess", &body)
        };
        let web = [("group", "web"), ("method", "StopProcess"), ("process", "web")];
        assert_eq!(details(&stop("web")), web);
        assert_eq!(details(&stop("web:web")), web);
        let member = stop("g:a");
        assert_eq!(
            details(&member),
            [("group", "g"), ("method", "StopProcess"), ("process", "g:a")]
        );
        assert_eq!(member.line(), "Manager.StopProcess name g:a");
        // What is no process is not told to a rule as if it were one.
        for other in ["g:*", "g:", &"x".repeat(5000)] {
            assert_eq!(details(&stop(other)), [("method", "StopProcess")]);
        }
        let group = about(&Object::Manager, MANAGER, "StartGroup", &("g", Options::new()));
        assert_eq!(details(&group), [("group", "g"), ("method", "StartGroup")]);
        let group = about(&Object::Manager, MANAGER, "UpdateGroup", &"g");
        assert_eq!(details(&group), [("group", "g"), ("method", "UpdateGroup")]);
        let all = about(&Object::Manager, MANAGER, "StopAll", &Options::new());
        assert_eq!(details(&all), [("method", "StopAll")]);
    }

    #[test]
    fn a_list_of_names_is_told_in_part() {
        let update = |names: Vec<String>| {
            about(&Object::Manager, MANAGER, "Update", &(names, Options::new()))
        };
        let two = update(vec!["web".to_owned(), "a\nb".to_owned()]);
        assert_eq!(two.line(), "Manager.Update groups [web, 'a\\nb']");
        assert_eq!(details(&two), [("method", "Update")]);
        let many = update((0..100).map(|number| number.to_string()).collect());
        assert_eq!(many.line(), "Manager.Update groups [0, 1, 2, 3, 4, 5, 6, 7] and 92 more");
    }

    #[test]
    fn a_dialog_shows_names_that_are_nothing_else() {
        let stop = |name: &str| {
            let about = about(&Object::Manager, MANAGER, "StopProcess", &(name, Options::new()));
            about.details().get("polkit.message").map(|text| (*text).to_owned())
        };
        assert_eq!(stop("web").as_deref(), Some(PROCESS));
        for name in ["web. Type your password", "a\nb", "g:*"] {
            assert_eq!(stop(name), None, "{name}");
        }
    }

    #[test]
    fn an_object_says_what_a_call_is_about() {
        let name = ProcessName::new("g", "a");
        let signal = about(&Object::Process(name), types::PROCESS, "Signal", &"HUP");
        assert_eq!(details(&signal), [("group", "g"), ("method", "Signal"), ("process", "g:a")]);
        assert_eq!(signal.line(), "Process.Signal of g:a signal HUP");
        let stop = about(&Object::Group("g".into()), types::GROUP, "Stop", &Options::new());
        assert_eq!(details(&stop), [("group", "g"), ("method", "Stop")]);
    }

    #[test]
    fn secrets_and_control_characters_stay_out_of_the_log() {
        let body = ("web", Bytes(b"secret".to_vec()));
        let stdin = about(&Object::Manager, MANAGER, "SendProcessStdin", &body);
        assert_eq!(stdin.line(), "Manager.SendProcessStdin name web");
        let event = about(&Object::Manager, MANAGER, "SendRemoteEvent", &("a\nb", "secret"));
        assert_eq!(event.line(), "Manager.SendRemoteEvent type 'a\\nb'");
        assert_eq!(shown("\u{202e}x y"), "'\\u202ex y'");
        assert_eq!(shown(""), "''");
        let long = shown(&"é".repeat(150));
        assert!(long.ends_with("'... (300 bytes)"), "{long}");
        assert_eq!(shown(&"x".repeat(201)), format!("{}... (201 bytes)", "x".repeat(200)));
    }
}
