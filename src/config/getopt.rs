//! Arguments as Python's `getopt` reads them (C-024, C-025).

/// A flag that a program knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flag {
    /// Its letter.
    pub short: Option<char>,
    /// Its long name; empty is none.
    pub long: &'static str,
    /// Whether an argument follows.
    pub takes_value: bool,
}

impl Flag {
    /// A flag that stands alone.
    #[must_use]
    pub const fn switch(short: Option<char>, long: &'static str) -> Self {
        Self { short, long, takes_value: false }
    }

    /// A flag with an argument.
    #[must_use]
    pub const fn value(short: Option<char>, long: &'static str) -> Self {
        Self { short, long, takes_value: true }
    }
}

/// A flag that was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// Which one.
    pub flag: Flag,
    /// The flag with its dashes, in full: `-c` or `--configuration`.
    pub typed: String,
    /// Its argument, or nothing.
    pub value: String,
}

/// Splits arguments into flags and the rest, which starts at the first argument that is no flag,
/// or after `--`. Long names may be cut where they stay unique.
///
/// # Errors
/// Upstream's message (C-024, C-025).
pub fn parse(args: &[String], flags: &[Flag]) -> Result<(Vec<Given>, Vec<String>), String> {
    let mut given = Vec::new();
    let mut rest = args.iter();
    while let Some(arg) = rest.as_slice().first() {
        if arg == "--" {
            rest.next();
            break;
        }
        if let Some(long) = arg.strip_prefix("--") {
            rest.next();
            given.push(long_flag(long, flags, &mut rest)?);
        } else if arg.len() > 1
            && let Some(letters) = arg.strip_prefix('-')
        {
            rest.next();
            short_flags(letters, flags, &mut rest, &mut given)?;
        } else {
            break;
        }
    }
    Ok((given, rest.cloned().collect()))
}

fn long_flag<'a>(
    text: &str,
    flags: &[Flag],
    rest: &mut impl Iterator<Item = &'a String>,
) -> Result<Given, String> {
    let (name, inline) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (text, None),
    };
    let candidates: Vec<&Flag> =
        flags.iter().filter(|flag| !flag.long.is_empty() && flag.long.starts_with(name)).collect();
    let exact = candidates.iter().find(|flag| flag.long == name);
    let flag = match (exact, candidates.as_slice()) {
        (Some(flag), _) | (None, [flag]) => **flag,
        (None, []) => return Err(format!("option --{name} not recognized")),
        (None, _) => return Err(format!("option --{name} not a unique prefix")),
    };
    let value = match (flag.takes_value, inline) {
        (true, Some(value)) => value,
        (true, None) => match rest.next() {
            Some(value) => value.clone(),
            None => return Err(format!("option --{} requires argument", flag.long)),
        },
        (false, None) => String::new(),
        (false, Some(_)) => {
            return Err(format!("option --{} must not have an argument", flag.long));
        }
    };
    Ok(Given { flag, typed: format!("--{}", flag.long), value })
}

fn short_flags<'a>(
    letters: &str,
    flags: &[Flag],
    rest: &mut impl Iterator<Item = &'a String>,
    given: &mut Vec<Given>,
) -> Result<(), String> {
    let mut letters = letters.chars();
    while let Some(letter) = letters.next() {
        let flag = flags.iter().find(|flag| flag.short == Some(letter));
        let flag = *flag.ok_or_else(|| format!("option -{letter} not recognized"))?;
        let mut value = String::new();
        if flag.takes_value {
            value = letters.by_ref().collect();
            if value.is_empty() {
                let next = rest.next().cloned();
                value = next.ok_or_else(|| format!("option -{letter} requires argument"))?;
            }
        }
        given.push(Given { flag, typed: format!("-{letter}"), value });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAGS: &[Flag] = &[
        Flag::switch(Some('n'), "nodaemon"),
        Flag::switch(Some('k'), "nocleanup"),
        Flag::value(Some('c'), "configuration"),
        Flag::value(Some('l'), "logfile"),
        Flag::value(None, "logfile_maxbytes"),
    ];

    fn read(args: &[&str]) -> Result<(Vec<String>, Vec<String>), String> {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let (given, rest) = parse(&args, FLAGS)?;
        Ok((given.iter().map(|given| format!("{}={}", given.typed, given.value)).collect(), rest))
    }

    #[test]
    fn flags_come_before_the_rest() {
        // C-024, C-025
        let (flags, rest) =
            read(&["-nkcx", "-l", "y", "--conf=z", "--logfile", "w", "a", "-n"]).unwrap();
        assert_eq!(flags, ["-n=", "-k=", "-c=x", "-l=y", "--configuration=z", "--logfile=w"]);
        assert_eq!(rest, ["a", "-n"]);
        assert_eq!(read(&["--", "-n"]).unwrap(), (vec![], vec!["-n".to_owned()]));
        assert_eq!(read(&["-"]).unwrap(), (vec![], vec!["-".to_owned()]));
    }

    #[test]
    fn mistakes_have_pythons_words() {
        // C-024, C-025
        for (args, message) in [
            (&["--bogus"][..], "option --bogus not recognized"),
            (&["-x"], "option -x not recognized"),
            (&["-c"], "option -c requires argument"),
            (&["--logfile"], "option --logfile requires argument"),
            (&["--no"], "option --no not a unique prefix"),
            (&["--nodaemon=1"], "option --nodaemon must not have an argument"),
        ] {
            assert_eq!(read(args).unwrap_err(), message);
        }
    }
}
