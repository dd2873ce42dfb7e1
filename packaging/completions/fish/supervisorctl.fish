# Fish completion of supervisorctl.
# Made by `make generated` from packaging/generate/shells; edit that.

# The action and its arguments so far, without the flags before it.
function __supervisorctl_typed
    set -l words (commandline -opc)
    set -e words[1]
    while set -q words[1]
        switch $words[1]
            case -c --configuration -s --serverurl -u --username -p --password -r --history_file --tls-ca
                set -e words[1]
                set -e words[1]
            case '-*'
                set -e words[1]
            case '*'
                break
        end
    end
    string join -- \n $words
end

# Whether no action was typed yet.
function __supervisorctl_no_action
    not string length -q -- (__supervisorctl_typed)
end

# Whether the action is one of these.
function __supervisorctl_action
    set -l typed (__supervisorctl_typed)
    set -q typed[1]; and contains -- $typed[1] $argv
end

# Whether the action is the first argument, with as many words behind it as the second.
function __supervisorctl_count
    set -l typed (__supervisorctl_typed)
    test (count $typed) -eq (math $argv[2] + 1); and test $typed[1] = $argv[1]
end

# Whether a process may stand here after tail.
function __supervisorctl_tail_name
    __supervisorctl_count tail 0; and return
    __supervisorctl_count tail 1; and string match -q -- '-*' (__supervisorctl_typed)[2]
end

# What the daemon that is meant prints for an action. Quick and quiet: nobody is asked for a
# password while typing.
function __supervisorctl_ask
    set -l words (commandline -opc)
    set -e words[1]
    set -l where
    while set -q words[1]
        switch $words[1]
            case -c --configuration -s --serverurl -u --username -p --password
                set -a where $words[1] (string replace -r '^~/' "$HOME/" -- $words[2])
                set -e words[1]
                set -e words[1]
            case -r --history_file --tls-ca
                set -e words[1]
                set -e words[1]
            case '--*=*'
                set -a where $words[1]
                set -e words[1]
            case '-*'
                set -e words[1]
            case '*'
                break
        end
    end
    timeout 2 supervisorctl --no-ask-password $where $argv[1] </dev/null 2>/dev/null
end

# Names of processes with their states, and GROUP:* before the first of a group of several.
function __supervisorctl_names
    __supervisorctl_ask status | awk '
        $2 ~ /^(STOPPED|STARTING|RUNNING|BACKOFF|STOPPING|EXITED|FATAL|UNKNOWN)$/ {
            group = $1
            if (sub(/:.*/, "", group) && !seen[group]++) print group ":*\tthe group"
            print $1 "\t" $2
        }'
end

# Names of groups that the daemon has or could have.
function __supervisorctl_groups
    __supervisorctl_ask avail | awk -v "wanted=$argv[1]" '
        $NF ~ /^-?[0-9]+:-?[0-9]+$/ && $2 ~ wanted {
            sub(/:.*/, "", $1)
            if (!seen[$1]++) print $1
        }'
end

complete -c supervisorctl -f
complete -c supervisorctl -n __supervisorctl_no_action -s c -l configuration -r -F -d 'The configuration file; without it the usual places are searched'
complete -c supervisorctl -n __supervisorctl_no_action -s h -l help -d 'Print this help and exit'
complete -c supervisorctl -n __supervisorctl_no_action -s i -l interactive -d 'Start the shell; with an action - ask before shutdown and reload'
complete -c supervisorctl -n __supervisorctl_no_action -s s -l serverurl -x -a 'dbus:system dbus:session dbus:unix:path= unix:/// http://' -d 'Where supervisord is - dbus:system, dbus:session, dbus:unix:path=PATH, unix://PATH, http://HOST:PORT or https://HOST:PORT; without it, it is found by its configuration'
complete -c supervisorctl -n __supervisorctl_no_action -s u -l username -x -d 'The user name for the server'
complete -c supervisorctl -n __supervisorctl_no_action -s p -l password -x -d 'The password for the server'
complete -c supervisorctl -n __supervisorctl_no_action -s r -l history_file -r -F -d 'Keep the history of the shell in this file'
complete -c supervisorctl -n __supervisorctl_no_action -l tls-ca -r -F -d 'Trust these certificates of https:// servers, or of their issuers, and no others'
complete -c supervisorctl -n __supervisorctl_no_action -l no-ask-password -d 'Never ask for a password - what needs one on the system bus is refused'
complete -c supervisorctl -n __supervisorctl_no_action -a add -d 'Make groups of the configuration active'
complete -c supervisorctl -n '__supervisorctl_action help' -a add -d 'Make groups of the configuration active'
complete -c supervisorctl -n __supervisorctl_no_action -a avail -d 'List all configured processes'
complete -c supervisorctl -n '__supervisorctl_action help' -a avail -d 'List all configured processes'
complete -c supervisorctl -n __supervisorctl_no_action -a clear -d 'Empty the logs of processes'
complete -c supervisorctl -n '__supervisorctl_action help' -a clear -d 'Empty the logs of processes'
complete -c supervisorctl -n __supervisorctl_no_action -a exit -d 'Leave the shell'
complete -c supervisorctl -n '__supervisorctl_action help' -a exit -d 'Leave the shell'
complete -c supervisorctl -n __supervisorctl_no_action -a fg -d 'See the output of a process and type its input; Ctrl-C leaves it'
complete -c supervisorctl -n '__supervisorctl_action help' -a fg -d 'See the output of a process and type its input; Ctrl-C leaves it'
complete -c supervisorctl -n __supervisorctl_no_action -a help -d 'Tell what an action does'
complete -c supervisorctl -n '__supervisorctl_action help' -a help -d 'Tell what an action does'
complete -c supervisorctl -n __supervisorctl_no_action -a maintail -d 'The last 1600 bytes of supervisord\'s own log'
complete -c supervisorctl -n '__supervisorctl_action help' -a maintail -d 'The last 1600 bytes of supervisord\'s own log'
complete -c supervisorctl -n __supervisorctl_no_action -a open -d 'Talk to another supervisord: dbus:system, dbus:unix:path=PATH, unix://PATH, http://HOST:PORT, https://HOST:PORT'
complete -c supervisorctl -n '__supervisorctl_action help' -a open -d 'Talk to another supervisord: dbus:system, dbus:unix:path=PATH, unix://PATH, http://HOST:PORT, https://HOST:PORT'
complete -c supervisorctl -n __supervisorctl_no_action -a pid -d 'The pid of supervisord'
complete -c supervisorctl -n '__supervisorctl_action help' -a pid -d 'The pid of supervisord'
complete -c supervisorctl -n __supervisorctl_no_action -a quit -d 'Leave the shell'
complete -c supervisorctl -n '__supervisorctl_action help' -a quit -d 'Leave the shell'
complete -c supervisorctl -n __supervisorctl_no_action -a reload -d 'Restart supervisord itself'
complete -c supervisorctl -n '__supervisorctl_action help' -a reload -d 'Restart supervisord itself'
complete -c supervisorctl -n __supervisorctl_no_action -a remove -d 'Make stopped groups inactive'
complete -c supervisorctl -n '__supervisorctl_action help' -a remove -d 'Make stopped groups inactive'
complete -c supervisorctl -n __supervisorctl_no_action -a reread -d 'Read the configuration again and tell what changed; change nothing'
complete -c supervisorctl -n '__supervisorctl_action help' -a reread -d 'Read the configuration again and tell what changed; change nothing'
complete -c supervisorctl -n __supervisorctl_no_action -a restart -d 'Stop processes and start them again'
complete -c supervisorctl -n '__supervisorctl_action help' -a restart -d 'Stop processes and start them again'
complete -c supervisorctl -n __supervisorctl_no_action -a shutdown -d 'Stop all processes and supervisord itself'
complete -c supervisorctl -n '__supervisorctl_action help' -a shutdown -d 'Stop all processes and supervisord itself'
complete -c supervisorctl -n __supervisorctl_no_action -a signal -d 'Send a signal to processes'
complete -c supervisorctl -n '__supervisorctl_action help' -a signal -d 'Send a signal to processes'
complete -c supervisorctl -n __supervisorctl_no_action -a start -d 'Start processes'
complete -c supervisorctl -n '__supervisorctl_action help' -a start -d 'Start processes'
complete -c supervisorctl -n __supervisorctl_no_action -a status -d 'The status of all processes'
complete -c supervisorctl -n '__supervisorctl_action help' -a status -d 'The status of all processes'
complete -c supervisorctl -n __supervisorctl_no_action -a stop -d 'Stop processes'
complete -c supervisorctl -n '__supervisorctl_action help' -a stop -d 'Stop processes'
complete -c supervisorctl -n __supervisorctl_no_action -a tail -d 'The last 1600 bytes of a log, stdout by default'
complete -c supervisorctl -n '__supervisorctl_action help' -a tail -d 'The last 1600 bytes of a log, stdout by default'
complete -c supervisorctl -n __supervisorctl_no_action -a update -d 'Read the configuration again and apply it: restart what changed'
complete -c supervisorctl -n '__supervisorctl_action help' -a update -d 'Read the configuration again and apply it: restart what changed'
complete -c supervisorctl -n __supervisorctl_no_action -a upgrade -d 'Go on as the supervisord that is installed now; programs run on'
complete -c supervisorctl -n '__supervisorctl_action help' -a upgrade -d 'Go on as the supervisord that is installed now; programs run on'
complete -c supervisorctl -n __supervisorctl_no_action -a version -d 'The version of supervisord'
complete -c supervisorctl -n '__supervisorctl_action help' -a version -d 'The version of supervisord'
complete -c supervisorctl -n __supervisorctl_no_action -a web -d 'Print a link that opens the web page, once and within a minute'
complete -c supervisorctl -n '__supervisorctl_action help' -a web -d 'Print a link that opens the web page, once and within a minute'
complete -c supervisorctl -n '__supervisorctl_action add' -a '(__supervisorctl_groups avail)'
complete -c supervisorctl -n '__supervisorctl_action remove' -a '(__supervisorctl_groups in)'
complete -c supervisorctl -n '__supervisorctl_action update' -a '(__supervisorctl_groups .) all'
complete -c supervisorctl -n '__supervisorctl_action clear fg pid restart start status stop' -a '(__supervisorctl_names)'
complete -c supervisorctl -n '__supervisorctl_action clear pid restart start stop' -a all
complete -c supervisorctl -n '__supervisorctl_count signal 0' -a 'HUP INT QUIT KILL USR1 USR2 TERM CONT STOP WINCH'
complete -c supervisorctl -n '__supervisorctl_action signal; and not __supervisorctl_count signal 0' -a '(__supervisorctl_names) all'
complete -c supervisorctl -n __supervisorctl_tail_name -a '(__supervisorctl_names)'
complete -c supervisorctl -n '__supervisorctl_action tail; and not __supervisorctl_tail_name' -a 'stdout stderr'
complete -c supervisorctl -n '__supervisorctl_action tail maintail' -s f -d 'Follow until Ctrl-C'
complete -c supervisorctl -n '__supervisorctl_action open' -a 'dbus:system dbus:session dbus:unix:path= unix:/// http://'
complete -c supervisorctl -n '__supervisorctl_action web' -l read-only -d 'For somebody who may only look'
