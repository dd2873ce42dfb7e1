//! The manual pages: `packaging/man/*.txt` with what is made put in.

use clap::Command;
use clap_mangen::Man;
use supervisor::ctl::commands::help::topics;

use super::markup::{bold, item, page, prose, text_line};
use super::{Made, options, programs};

/// All pages.
pub fn all() -> Vec<Made> {
    vec![
        program(programs::supervisord(), include_str!("../../man/supervisord.1.txt")),
        program(programs::supervisorctl(), include_str!("../../man/supervisorctl.1.txt")),
        program(
            programs::echo_supervisord_conf(),
            include_str!("../../man/echo_supervisord_conf.1.txt"),
        ),
        program(programs::pidproxy(), include_str!("../../man/pidproxy.1.txt")),
        made("supervisord.conf", "5", include_str!("../../man/supervisord.conf.5.txt"), |name| {
            assert_eq!(name, "sections");
            options::sections()
        }),
    ]
}

fn program(command: Command, text: &str) -> Made {
    let name = command.get_name().to_owned();
    let man = Man::new(command);
    made(&name, "1", text, |wanted| match wanted {
        "options" => {
            let mut roff = Vec::new();
            man.render_options_section(&mut roff).expect("a vector takes everything");
            String::from_utf8(roff).expect("what was text before")
        }
        "actions" => actions(),
        other => panic!("{name}: what is @{other}@?"),
    })
}

/// A page with its title. Without a date, so that it changes with its contents only.
fn made(name: &str, section: &str, text: &str, insert: impl Fn(&str) -> String) -> Made {
    let head = format!(
        ".\\\" Made by `make generated` from packaging/man/{name}.{section}.txt; edit that.\n\
         .TH {} {section} \"\" \"Supervisor {}\" \"Supervisor\"\n.nh\n.ad l\n",
        name.to_uppercase(),
        env!("CARGO_PKG_VERSION"),
    );
    Made { path: format!("docs/man/{name}.{section}"), text: head + &page(text, insert) }
}

/// The actions of supervisorctl, as its own help tells them.
fn actions() -> String {
    let mut roff = String::new();
    for (usage, meaning) in topics().flat_map(|(_, lines)| *lines) {
        let meaning = format!("{}.", prose(meaning).trim_end_matches('.'));
        if usage.is_empty() {
            roff += &text_line(&meaning);
        } else {
            roff += &item(&bold(usage), &meaning);
        }
    }
    let help = "List the actions, or tell what one does.";
    roff + &item(&bold("help [action]"), help)
}
