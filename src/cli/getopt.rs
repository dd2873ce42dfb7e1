//! Reads a command line by the rules of upstream (C-023 to C-025), over clap's definitions.
//!
//! clap's own parser answers mistakes in other words and forgets how a repeated flag was
//! spelled, which upstream's message names; the definitions still are clap's, so that help,
//! completions and the man page come from the same table.

use clap::{Arg, ArgAction, Command};

/// One option as it stands on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Occurrence {
    /// The id of its clap definition.
    pub id: String,
    /// How it was written, in full: `-c` or `--configuration`.
    pub spelled: String,
    /// Its value, when it takes one.
    pub value: Option<String>,
}

/// Options in the order given, and the words after them.
pub type Parsed = (Vec<Occurrence>, Vec<String>);

/// Reads `words` up to the first one that is not an option, or `--`.
///
/// # Errors
/// Upstream's text (C-024, C-025).
pub fn parse(definition: &Command, words: &[String]) -> Result<Parsed, String> {
    let mut found = Vec::new();
    let mut words = words.iter();
    let mut rest = words.clone();
    while let Some(word) = words.next() {
        if word == "--" {
            rest = words;
            break;
        }
        if let Some(long) = word.strip_prefix("--") {
            found.push(read_long(definition, long, &mut words)?);
        } else if let Some(letters) = word.strip_prefix('-').filter(|letters| !letters.is_empty()) {
            read_letters(definition, letters, &mut words, &mut found)?;
        } else {
            break;
        }
        rest = words.clone();
    }
    Ok((found, rest.cloned().collect()))
}

fn takes_value(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Set | ArgAction::Append)
}

fn read_long<'a>(
    definition: &Command,
    text: &str,
    words: &mut impl Iterator<Item = &'a String>,
) -> Result<Occurrence, String> {
    let (name, attached) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (text, None),
    };
    let candidates: Vec<(&str, &Arg)> = definition
        .get_arguments()
        .filter_map(|arg| arg.get_long().map(|long| (long, arg)))
        .filter(|(long, _)| long.starts_with(name))
        .collect();
    let exact = candidates.iter().find(|(long, _)| *long == name);
    let (long, arg) = match (exact, candidates.as_slice()) {
        (Some(&exact), _) => exact,
        (None, []) => return Err(format!("option --{name} not recognized")),
        (None, &[only]) => only,
        (None, _) => return Err(format!("option --{name} not a unique prefix")),
    };
    let value = match (takes_value(arg), attached) {
        (false, Some(_)) => return Err(format!("option --{long} must not have an argument")),
        (false, None) => None,
        (true, Some(value)) => Some(value),
        (true, None) => {
            let next = words.next().cloned();
            Some(next.ok_or_else(|| format!("option --{long} requires argument"))?)
        }
    };
    Ok(Occurrence { id: arg.get_id().to_string(), spelled: format!("--{long}"), value })
}

fn read_letters<'a>(
    definition: &Command,
    letters: &str,
    words: &mut impl Iterator<Item = &'a String>,
    found: &mut Vec<Occurrence>,
) -> Result<(), String> {
    let mut rest = letters.chars();
    while let Some(letter) = rest.next() {
        let arg = definition
            .get_arguments()
            .find(|arg| is_letter_of(arg, letter))
            .ok_or_else(|| format!("option -{letter} not recognized"))?;
        let mut value = None;
        if takes_value(arg) {
            let attached = std::mem::replace(&mut rest, "".chars()).as_str();
            value = if attached.is_empty() {
                let next = words.next().cloned();
                Some(next.ok_or_else(|| format!("option -{letter} requires argument"))?)
            } else {
                Some(attached.to_owned())
            };
        }
        found.push(Occurrence {
            id: arg.get_id().to_string(),
            spelled: format!("-{letter}"),
            value,
        });
    }
    Ok(())
}

fn is_letter_of(arg: &Arg, letter: char) -> bool {
    arg.get_short() == Some(letter)
        || arg.get_all_short_aliases().is_some_and(|aliases| aliases.contains(&letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Read = (Vec<(String, Option<String>)>, Vec<String>);

    fn read(words: &[&str]) -> Result<Read, String> {
        let definition = Command::new("x").disable_help_flag(true).args([
            Arg::new("help").short('h').short_alias('?').long("help").action(ArgAction::SetTrue),
            Arg::new("file").short('c').long("configuration"),
            Arg::new("loud").short('l').long("loud").action(ArgAction::SetTrue),
            Arg::new("host").long("host"),
        ]);
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        let (found, rest) = parse(&definition, &words)?;
        Ok((found.into_iter().map(|one| (one.spelled, one.value)).collect(), rest))
    }

    #[test]
    fn options_end_at_the_first_word_that_is_none() {
        // C-222
        let (found, rest) = read(&["-lc", "a", "tail", "-f", "x"]).unwrap();
        assert_eq!(found, [("-l".into(), None), ("-c".into(), Some("a".into()))]);
        assert_eq!(rest, ["tail", "-f", "x"]);
        assert_eq!(read(&["-l", "--", "-c"]).unwrap().1, ["-c"]);
        assert_eq!(read(&["-", "-l"]).unwrap().1, ["-", "-l"]);
    }

    #[test]
    fn values_are_attached_or_follow() {
        // C-025
        for words in
            [&["-ca"][..], &["-c", "a"], &["--conf", "a"], &["--configuration=a"], &["--c=a"]]
        {
            assert_eq!(read(words).unwrap().0[0].1.as_deref(), Some("a"), "{words:?}");
        }
        assert_eq!(read(&["-c=a"]).unwrap().0[0].1.as_deref(), Some("=a"));
        assert_eq!(read(&["-?"]).unwrap().0[0].0, "-?");
    }

    #[test]
    fn mistakes_are_told_in_upstreams_words() {
        // C-024, C-025
        for (words, text) in [
            (&["--bogus"][..], "option --bogus not recognized"),
            (&["-x"], "option -x not recognized"),
            (&["-lx"], "option -x not recognized"),
            (&["-c"], "option -c requires argument"),
            (&["--conf"], "option --configuration requires argument"),
            (&["--h"], "option --h not a unique prefix"),
            (&["--=x"], "option -- not a unique prefix"),
            (&["--loud=1"], "option --loud must not have an argument"),
        ] {
            assert_eq!(read(words), Err(text.to_owned()));
        }
    }
}
