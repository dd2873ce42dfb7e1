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
    /// What that text looks like; it is taken out, but for its group, where
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
        pattern: r"(?m)^TIME CRIT( Server 'unix_http_server' running without any HTTP authentication checking)$",
        row: "C-137",
        reason: "a socket that its mode protects is no cause for alarm: INFO instead of CRIT",
        scenario: "startup::life_in_the_foreground",
        label: "log whole",
    },
    Rule {
        upstream: false,
        pattern: r"(?m)^TIME INFO( Server 'unix_http_server' running without any HTTP authentication checking)$",
        row: "C-137",
        reason: "a socket that its mode protects is no cause for alarm: INFO instead of CRIT",
        scenario: "startup::life_in_the_foreground",
        label: "log whole",
    },
    Rule {
        upstream: false,
        pattern: r"(?m)^TIME [A-Z]{4} [^\n]*\b(?:system|session) bus[^\n]*\n",
        row: "C-118",
        reason: "the daemon says whether it is on the system bus, which upstream knows nothing of",
        scenario: "startup::life_in_the_foreground",
        label: "log whole",
    },
    Rule {
        upstream: false,
        pattern: r"(?m)^TIME INFO user \d+ \(pid [^\n]*\) called [^\n]*\n",
        row: "C-154",
        reason: "every call that changes something leaves a line that tells who did it",
        scenario: "startup::life_in_the_background",
        label: "log whole",
    },
    Rule {
        upstream: true,
        pattern: r"\b4\.3\.0\b",
        row: "C-115",
        reason: "it is another version, and says which",
        scenario: "flags::information",
        label: "supervisord -v / stdout",
    },
    Rule {
        upstream: false,
        pattern: r"\b5\.0\.0\b",
        row: "C-115",
        reason: "it is another version, and says which",
        scenario: "flags::information",
        label: "supervisord -v / stdout",
    },
    Rule {
        upstream: false,
        pattern: r"(?s)No supervisord was found for .*? with -s\.\n",
        row: "C-232",
        reason: "standard error says where a daemon was looked for and what to do, after upstream's line",
        scenario: "commands::nobody_there",
        label: "ctl status / stderr",
    },
    Rule {
        upstream: true,
        pattern: r"(?m): file: [^\n]* line: \d+$",
        row: "C-234",
        reason: "there is no Python file to point to; the beginning of the line is what scripts match",
        scenario: "commands::nobody_there",
        label: "ctl avail / stdout",
    },
    Rule {
        upstream: false,
        pattern: r"(?m)^(error: .*?): (?:no supervisord at|supervisord is shutting down|supervisord cannot use|Unauthorized)[^\n]*$",
        row: "C-234",
        reason: "the end of the line says what it means instead",
        scenario: "commands::nobody_there",
        label: "ctl avail / stdout",
    },
    Rule {
        upstream: true,
        pattern: r"(?m)^PREFIX[^\n]*UserWarning: Supervisord is running as root and it is searching[^\n]*\n[^\n]*\n",
        row: "C-004",
        reason: "the warning is ours in other words, without the place in a Python file",
        scenario: "flags::search_path",
        label: "supervisord -n / stderr",
    },
    Rule {
        upstream: false,
        pattern: r"(?m)^Warning: supervisord runs as root and searches[^\n]*\n",
        row: "C-004",
        reason: "the warning is ours in other words, without the place in a Python file",
        scenario: "flags::search_path",
        label: "supervisord -n / stderr",
    },
];

/// All others, by scenario.
pub const DIFFERENCES: &[Difference] = &[
    Difference {
        scenario: "commands::words",
        label: "ctl help / stdout",
        row: "C-272",
        reason: "a second list has the actions that upstream lacks",
    },
    Difference {
        scenario: "commands::words",
        label: "ctl ? / stdout",
        row: "C-272",
        reason: "a second list has the actions that upstream lacks",
    },
    Difference {
        scenario: "http::status_page",
        label: "processname=none&action=restart",
        row: "C-331",
        reason: "what could not be started is not called restarted",
    },
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
        scenario: "clients::over_tcp",
        label: "tail -f nope / stderr",
        row: "C-256",
        reason: "the reason is told too",
    },
    Difference {
        scenario: "commands::follow",
        label: "ctl tail -f nope / stderr",
        row: "C-256",
        reason: "the address is that of the bus, and the reason is told",
    },
    Difference {
        scenario: "commands::clear",
        label: "ctl clear g:* / stdout",
        row: "C-443",
        reason: "upstream prints `g:None` for a whole group",
    },
    Difference {
        scenario: "config_values::command_line_sections",
        label: "supervisorctl -c broken.conf version / stderr",
        row: "C-447",
        reason: "a message instead of a Python traceback, with the same exit code",
    },
    Difference {
        scenario: "events::reload_and_shutdown",
        label: "file l.events #2",
        row: "C-356",
        reason: "listeners get what happens up to their own end; upstream stops them before they could",
    },
    Difference {
        scenario: "events_delivery::a_closed_pipe",
        label: "log of it",
        row: "C-350",
        reason: "a listener that closed its stdin is not tried again with every event",
    },
    Difference {
        scenario: "events_delivery::never_reads",
        label: "what becomes of the daemon",
        row: "C-408",
        reason: "a listener that does not read is waited for; upstream ends by it",
    },
    Difference {
        scenario: "events_delivery::overflow",
        label: "log of overflow",
        row: "C-352",
        reason: "the line says how many events were discarded so far",
    },
    Difference {
        scenario: "events_delivery::overflow",
        label: "log of overflow #2",
        row: "C-352",
        reason: "the line says how many events were discarded so far",
    },
    Difference {
        scenario: "events_delivery::overlapping",
        label: "file l.events",
        row: "C-354",
        reason: "a pool gets an event once, however many of its types match",
    },
    Difference {
        scenario: "events_delivery::rejected_beside_another_pool",
        label: "file other.events",
        row: "C-406",
        reason: "an event that one pool rejects is not sent again to the others",
    },
    Difference {
        scenario: "events_delivery::wrong_lengths",
        label: "of huge",
        row: "C-345",
        reason: "results are read strictly: the word, and a length that can be",
    },
    Difference {
        scenario: "events_delivery::wrong_lengths",
        label: "of negative",
        row: "C-345",
        reason: "results are read strictly: the word, and a length that can be",
    },
    Difference {
        scenario: "events_delivery::wrong_lengths",
        label: "of otherword",
        row: "C-411",
        reason: "results are read strictly: the word, and a length that can be",
    },
    Difference {
        scenario: "events_delivery::wrong_words",
        label: "they come back",
        row: "C-348",
        reason: "a listener that broke the protocol is started again",
    },
    Difference {
        scenario: "events_output::a_limit_of_communication",
        label: "file l.events",
        row: "C-372",
        reason: "the limit holds to the byte, for one large write too",
    },
    Difference {
        scenario: "events_output::communication_with_logs",
        label: "file l.events",
        row: "C-363",
        reason: "what is said to listeners is no ordinary output",
    },
    Difference {
        scenario: "fcgi_application::unix_socket",
        label: "asked with none",
        row: "C-403",
        reason: "the file of a socket is removed when the socket is closed",
    },
    Difference {
        scenario: "fcgi_application::unix_socket",
        label: "the file is left",
        row: "C-403",
        reason: "the file of a socket is removed when the socket is closed",
    },
    Difference {
        scenario: "fcgi_application::unix_socket",
        label: "the file is left at the end",
        row: "C-403",
        reason: "the file of a socket is removed when the socket is closed",
    },
    Difference {
        scenario: "fcgi_application::update",
        label: "ctl reread / stdout",
        row: "C-424",
        reason: "every part of a FastCGI socket counts as a change",
    },
    Difference {
        scenario: "groups::broken_reload",
        label: "ctl reload / exit",
        row: "C-415",
        reason: "a broken configuration is refused and everything keeps running; upstream stops all and ends",
    },
    Difference {
        scenario: "groups::broken_reload",
        label: "ctl reload / stdout",
        row: "C-415",
        reason: "a broken configuration is refused and everything keeps running; upstream stops all and ends",
    },
    Difference {
        scenario: "groups::broken_reload",
        label: "ctl status a / exit",
        row: "C-415",
        reason: "a broken configuration is refused and everything keeps running; upstream stops all and ends",
    },
    Difference {
        scenario: "groups::broken_reload",
        label: "ctl status a / stderr",
        row: "C-415",
        reason: "a broken configuration is refused and everything keeps running; upstream stops all and ends",
    },
    Difference {
        scenario: "groups::broken_reload",
        label: "ctl status a / stdout",
        row: "C-415",
        reason: "a broken configuration is refused and everything keeps running; upstream stops all and ends",
    },
    Difference {
        scenario: "groups::broken_reload",
        label: "what becomes of it",
        row: "C-415",
        reason: "a broken configuration is refused and everything keeps running; upstream stops all and ends",
    },
    Difference {
        scenario: "groups::broken",
        label: "ctl reread / stdout",
        row: "C-416",
        reason: "the path of the configuration file is made absolute at the start, so that it is found later",
    },
    Difference {
        scenario: "groups::broken",
        label: "ctl update / stdout",
        row: "C-416",
        reason: "the path of the configuration file is made absolute at the start, so that it is found later",
    },
    Difference {
        scenario: "logs::rotation",
        label: "file none.out",
        row: "C-373",
        reason: "a file is cut exactly at maxbytes and never grows beyond it",
    },
    Difference {
        scenario: "logs::rotation",
        label: "file two.out",
        row: "C-373",
        reason: "a file is cut exactly at maxbytes and never grows beyond it",
    },
    Difference {
        scenario: "logs::rotation",
        label: "file two.out.1",
        row: "C-373",
        reason: "a file is cut exactly at maxbytes and never grows beyond it",
    },
    Difference {
        scenario: "logs::rotation",
        label: "file two.out.2",
        row: "C-373",
        reason: "a file is cut exactly at maxbytes and never grows beyond it",
    },
    Difference {
        scenario: "logs::devices_with_rotation",
        label: "complaint",
        row: "C-432",
        reason: "what cannot be rotated is not; upstream loses the channel or ends",
    },
    Difference {
        scenario: "spawning::signal_dispositions",
        label: "file a.out",
        row: "C-430",
        reason: "programs start with default signals; upstream lets them inherit what Python ignores",
    },
    Difference {
        scenario: "spawning::commands",
        label: "ctl start dotted / exit",
        row: "C-429",
        reason: "a relative command is looked for where it is run: in `directory`",
    },
    Difference {
        scenario: "spawning::commands",
        label: "ctl start dotted / stdout",
        row: "C-429",
        reason: "a relative command is looked for where it is run: in `directory`",
    },
    Difference {
        scenario: "spawning::commands",
        label: "ctl start shadowed / exit",
        row: "C-429",
        reason: "a file in PATH that cannot be executed does not hide one that can",
    },
    Difference {
        scenario: "spawning::commands",
        label: "ctl start shadowed / stdout",
        row: "C-429",
        reason: "a file in PATH that cannot be executed does not hide one that can",
    },
    Difference {
        scenario: "startup::prevented",
        label: "log in a directory that cannot be written / stderr",
        row: "C-120",
        reason: "a message instead of a Python traceback, with the same exit code",
    },
    Difference {
        scenario: "startup::prevented",
        label: "log is a directory / stderr",
        row: "C-120",
        reason: "a message instead of a Python traceback, with the same exit code",
    },
    Difference {
        scenario: "startup::prevented",
        label: "minfds / stderr",
        row: "C-420",
        reason: "the limit that the message names is the real one, and it says what to do",
    },
    Difference {
        scenario: "startup::second_instance",
        label: "ctl tail a / exit",
        row: "C-418",
        reason: "a refused second daemon does not delete the logs of the first",
    },
    Difference {
        scenario: "startup::second_instance",
        label: "ctl tail a / stdout",
        row: "C-418",
        reason: "a refused second daemon does not delete the logs of the first",
    },
    Difference {
        scenario: "startup::second_instance",
        label: "message of the second",
        row: "C-132",
        reason: "the pid file shows the other daemon, so the message can name it",
    },
    Difference {
        scenario: "states::spawn_errors",
        label: "ctl status / stdout",
        row: "C-205",
        reason: "a failed exec is known to be one: it is told in the status and the log, with the missing interpreter",
    },
    Difference {
        scenario: "states::spawn_errors",
        label: "file interpreter.out",
        row: "C-205",
        reason: "a failed exec is known to be one: it is told in the status and the log, with the missing interpreter",
    },
    Difference {
        scenario: "states::spawn_errors",
        label: "log of spawn errors",
        row: "C-205",
        reason: "a failed exec is known to be one: it is told in the status and the log, with the missing interpreter",
    },
    Difference {
        scenario: "tools::pidproxy_usage",
        label: "[\"DIRECTORY/x.pid\", \"/no/such/command\"] / exit",
        row: "C-448",
        reason: "pidproxy ends with the status of what it ran, and with 127 when that does not exist",
    },
    Difference {
        scenario: "spawning::failures_in_the_child",
        label: "ctl status / stdout",
        row: "C-205",
        reason: "a program that could not be started is a spawn error with a reason, not one that ended with 127",
    },
    Difference {
        scenario: "spawning::failures_in_the_child",
        label: "log of exits",
        row: "C-205",
        reason: "a program that could not be started is a spawn error with a reason, not one that ended with 127",
    },
    Difference {
        scenario: "spawning::failures_in_the_child",
        label: "file format.err",
        row: "C-205",
        reason: "a failed exec says what is wrong with the file",
    },
    Difference {
        scenario: "startup::drops_privileges",
        label: "ctl status a b / stdout",
        row: "C-205",
        reason: "a program that could not be started is a spawn error with a reason, not one that ended with 127",
    },
    Difference {
        scenario: "startup::drops_privileges",
        label: "log of users",
        row: "C-205",
        reason: "a program that could not be started is a spawn error with a reason, not one that ended with 127",
    },
    Difference {
        scenario: "groups::members",
        label: "members that did not change are restarted",
        row: "C-396",
        reason: "update leaves members of a changed group alone that did not change themselves",
    },
    Difference {
        scenario: "rpc::odd_logs",
        label: "log of a",
        row: "C-434",
        reason: "a log may hold any bytes: what XML cannot carry is replaced, and the answer is none that fails",
    },
    Difference {
        scenario: "rpc::odd_logs",
        label: "log of b",
        row: "C-435",
        reason: "a carriage return is written so that it arrives as one",
    },
    Difference {
        scenario: "rpc::logs",
        label: "supervisor.readProcessLog(\"a\", \"x\", 3)",
        row: "C-436",
        reason: "a wrong type is the client's mistake and told as such",
    },
    Difference {
        scenario: "rpc::process_information",
        label: "supervisor.getProcessInfo(5)",
        row: "C-436",
        reason: "a wrong type is the client's mistake and told as such",
    },
    Difference {
        scenario: "rpc::process_information",
        label: "supervisor.getProcessInfo(\"\")",
        row: "C-286",
        reason: "an empty name leaves nothing to say behind the colon",
    },
    Difference {
        scenario: "rpc::multicall",
        label: "system.multicall(\"abc\")",
        row: "C-322",
        reason: "a wrong type is the client's mistake and told as such",
    },
    Difference {
        scenario: "rpc::multicall",
        label: "system.multicall([5])",
        row: "C-322",
        reason: "a wrong type is the client's mistake and told as such",
    },
    Difference {
        scenario: "rpc::multicall",
        label: "system.multicall([{\"methodName\": 5}])",
        row: "C-322",
        reason: "the same fault, without the words of a Python exception",
    },
    Difference {
        scenario: "rpc::configuration",
        label: "supervisor.reloadConfig() #4",
        row: "C-297",
        reason: "the place of an error has the whole path of the file, and the line",
    },
    Difference {
        scenario: "fcgi::life_of_a_socket",
        label: "both stopped",
        row: "C-424",
        reason: "the file of a socket goes with it",
    },
    Difference {
        scenario: "fcgi::stdin",
        label: "file member.out",
        row: "C-405",
        reason: "a FastCGI program in a group has its socket (C-423)",
    },
    Difference {
        scenario: "fcgi::busy",
        label: "a busy port",
        row: "C-400",
        reason: "the program fails to start, and the daemon serves the others",
    },
];
