//! Splitting `command=` into words, the POSIX way (C-193, C-194).

/// Splits a command line: quotes and backslashes as in a shell, and nothing else of a shell.
///
/// # Errors
/// `No closing quotation` or `No escaped character`, as upstream says it.
pub fn split(command: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = command.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\r' | '\n' => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next().ok_or("No closing quotation")? {
                        '\'' => break,
                        c => word.push(c),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next().ok_or("No closing quotation")? {
                        '"' => break,
                        '\\' => match chars.next().ok_or("No escaped character")? {
                            c @ ('"' | '\\') => word.push(c),
                            c => word.extend(['\\', c]),
                        },
                        c => word.push(c),
                    }
                }
            }
            '\\' => {
                let c = chars.next().ok_or("No escaped character")?;
                word.get_or_insert_default().push(c);
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_backslashes_group_words() {
        // C-193; what Python 3.11's shlex.split gives
        for (command, words) in [
            ("/bin/cat", vec!["/bin/cat"]),
            ("a  b\n\tc ", vec!["a", "b", "c"]),
            ("sh -c 'echo \"x\"; y'", vec!["sh", "-c", "echo \"x\"; y"]),
            ("a\"b c\"d ''", vec!["ab cd", ""]),
            ("\"a\\\"b\\n\\\\\"", vec!["a\"b\\n\\"]),
            ("a\\ b '\\'", vec!["a b", "\\"]),
            ("A=1 $HOME ~ * # x", vec!["A=1", "$HOME", "~", "*", "#", "x"]),
            ("", vec![]),
        ] {
            assert_eq!(split(command).unwrap(), words, "{command}");
        }
    }

    #[test]
    fn open_quotes_and_lone_backslashes_are_refused() {
        // C-194
        assert_eq!(split("echo 'x").unwrap_err(), "No closing quotation");
        assert_eq!(split("echo \"x").unwrap_err(), "No closing quotation");
        assert_eq!(split("echo \\").unwrap_err(), "No escaped character");
    }

    proptest::proptest! {
        #[test]
        fn any_word_can_be_quoted(words in proptest::collection::vec("[^']{0,8}", 0..4)) {
            let quoted: Vec<_> = words.iter().map(|word| format!("'{word}'")).collect();
            proptest::prop_assert_eq!(split(&quoted.join(" ")), Ok(words));
        }
    }
}
