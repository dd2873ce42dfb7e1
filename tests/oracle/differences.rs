//! Where ours differs from Python Supervisor 4.3.0 on purpose, and why.
//!
//! A difference that is not here fails its scenario; one that is here and is gone fails too.

/// One difference.
#[derive(Debug)]
pub struct Difference {
    /// `module::function` of the scenario.
    pub scenario: &'static str,
    /// The label of the observation.
    pub label: &'static str,
    /// The row of the compatibility list it is about.
    pub row: &'static str,
    /// Why ours is better that way.
    pub reason: &'static str,
}

/// A difference that shows in many places: text that only one side has.
#[derive(Debug)]
pub struct Rule {
    /// Whether it is upstream that has it, or ours.
    pub upstream: bool,
    /// What that text looks like; it is taken out where the sides differ otherwise.
    pub pattern: &'static str,
    /// The row of the compatibility list it is about.
    pub row: &'static str,
    /// Why ours is better that way.
    pub reason: &'static str,
    /// A scenario where it has to show.
    pub scenario: &'static str,
    /// The observation there.
    pub label: &'static str,
}

/// Differences that show in many places.
pub const RULES: &[Rule] = &[
    Rule {
        upstream: false,
        pattern: r"(?m) \((?:section '[^'\n]*', )?(?:option '[^'\n]*', )?file: '[^'\n]*'(?:, line \d+)?\)$",
        row: "C-018",
        reason: "an error says in which section, option, file and line it is",
        scenario: "config_errors::daemon_values",
        label: "minfds=many / stderr",
    },
    Rule {
        upstream: false,
        pattern: r"(?m) at line \d+(?:, option '[^'\n]*')?$",
        row: "C-019",
        reason: "the place of an error has its line and option too, after upstream's text",
        scenario: "config_errors::program_values",
        label: "startsecs=soon / stderr",
    },
    Rule {
        upstream: true,
        pattern: r"(?m)^TIME (?:INFO RPC interface '[^\n]*' initialized|CRIT Server '[^\n]*' running without any HTTP authentication checking)\n",
        row: "C-137",
        reason: "HTTP servers are read and checked but not served yet, so nothing is said of them",
        scenario: "startup::life_in_the_foreground",
        label: "log whole",
    },
    Rule {
        upstream: false,
        pattern: r"(?m)^TIME [A-Z]{4} [^\n]*\bsystem bus[^\n]*\n",
        row: "C-118",
        reason: "the daemon says whether it is on the system bus, which upstream knows nothing of",
        scenario: "startup::life_in_the_foreground",
        label: "log whole",
    },
];

/// All others, by scenario.
pub const DIFFERENCES: &[Difference] = &[
    Difference {
        scenario: "config_errors::double_expansions",
        label: "environment, doubled once",
        row: "C-442",
        reason: "a value is expanded once, so one doubled percent sign is one percent sign",
    },
    Difference {
        scenario: "config_errors::double_expansions",
        label: "logfile, doubled once",
        row: "C-442",
        reason: "a value is expanded once, so one doubled percent sign is one percent sign",
    },
    Difference {
        scenario: "config_errors::groups",
        label: "unknown member / stderr",
        row: "C-443",
        reason: "upstream names the section it read before; ours names the group",
    },
    Difference {
        scenario: "config_errors::groups",
        label: "trailing comma / stderr",
        row: "C-443",
        reason: "upstream names the section it read before; ours names the group",
    },
    Difference {
        scenario: "config_errors::listeners_and_fcgi",
        label: "bad socket / stderr",
        row: "C-106",
        reason: "upstream prints a Python tuple instead of the message in it",
    },
    Difference {
        scenario: "config_errors::listeners_and_fcgi",
        label: "relative socket / stderr",
        row: "C-106",
        reason: "upstream prints a Python tuple instead of the message in it",
    },
    Difference {
        scenario: "config_errors::listeners_and_fcgi",
        label: "handler of another kind / stderr",
        row: "C-102",
        reason: "Python code cannot be loaded, and the message says what to do instead",
    },
    Difference {
        scenario: "config_errors::servers",
        label: "bad owner / stderr",
        row: "C-443",
        reason: "the option is called chown, which upstream's message gets wrong",
    },
    Difference {
        scenario: "flags::information",
        label: "supervisord -v / stdout",
        row: "C-115",
        reason: "it is another version, and says which",
    },
    Difference {
        scenario: "flags::information",
        label: "supervisord --version / stdout",
        row: "C-115",
        reason: "it is another version, and says which",
    },
];
