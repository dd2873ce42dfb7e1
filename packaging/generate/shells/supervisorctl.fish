# Fish completion of supervisorctl.

# The action and its arguments so far, without the flags before it.
function __supervisorctl_typed
    set -l words (commandline -opc)
    set -e words[1]
    while set -q words[1]
        switch $words[1]
            case @values@
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
            case @where@
                set -a where $words[1] (string replace -r '^~/' "$HOME/" -- $words[2])
                set -e words[1]
                set -e words[1]
            case @other@
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
@options@
@actions@
complete -c supervisorctl -n '__supervisorctl_action add' -a '(__supervisorctl_groups avail)'
complete -c supervisorctl -n '__supervisorctl_action remove' -a '(__supervisorctl_groups in)'
complete -c supervisorctl -n '__supervisorctl_action update' -a '(__supervisorctl_groups .) all'
complete -c supervisorctl -n '__supervisorctl_action clear fg pid restart start status stop' -a '(__supervisorctl_names)'
complete -c supervisorctl -n '__supervisorctl_action clear pid restart start stop' -a all
complete -c supervisorctl -n '__supervisorctl_count signal 0' -a '@signals@'
complete -c supervisorctl -n '__supervisorctl_action signal; and not __supervisorctl_count signal 0' -a '(__supervisorctl_names) all'
complete -c supervisorctl -n __supervisorctl_tail_name -a '(__supervisorctl_names)'
complete -c supervisorctl -n '__supervisorctl_action tail; and not __supervisorctl_tail_name' -a 'stdout stderr'
complete -c supervisorctl -n '__supervisorctl_action tail maintail' -s f -d 'Follow until Ctrl-C'
complete -c supervisorctl -n '__supervisorctl_action open' -a '@urls@'
complete -c supervisorctl -n '__supervisorctl_action web' -l read-only -d 'For somebody who may only look'
