#compdef supervisorctl
# Zsh completion of supervisorctl.

# What the daemon that is meant prints for an action. Quick and quiet: nobody is asked for a
# password while typing.
_supervisorctl_ask() {
    local -a where
    local flag value
    for flag in @where@; do
        if (( ${+opt_args[$flag]} )); then
            # Quoted as typed, and its colons by _arguments.
            value=${(Q)opt_args[$flag]}
            where+=($flag ${value/#\~\//$HOME/})
        fi
    done
    timeout 2 supervisorctl --no-ask-password $where $1 </dev/null 2>/dev/null
}

# Names of processes, with GROUP:* before the first of a group of several, and other words.
_supervisorctl_names() {
    local -a names
    names=(${(f)"$(_supervisorctl_ask status | awk '
        $2 ~ /^(STOPPED|STARTING|RUNNING|BACKOFF|STOPPING|EXITED|FATAL|UNKNOWN)$/ {
            group = $1
            if (sub(/:.*/, "", group) && !seen[group]++) print group ":*"
            print $1
        }')"} $@)
    _wanted processes expl process compadd -a names
}

# Names of groups that the daemon has or could have, and other words.
_supervisorctl_groups() {
    local wanted=$1
    shift
    local -a groups
    groups=(${(f)"$(_supervisorctl_ask avail | awk -v "wanted=$wanted" '
        $NF ~ /^-?[0-9]+:-?[0-9]+$/ && $2 ~ wanted {
            sub(/:.*/, "", $1)
            if (!seen[$1]++) print $1
        }')"} $@)
    _wanted groups expl group compadd -a groups
}

_supervisorctl() {
    local curcontext="$curcontext" state line expl
    typeset -A opt_args
    local -a actions urls signals
    actions=(
@described@
    )
    urls=(@urls@)
    signals=(@signals@)

    _arguments -C -S \
@arguments@
        '1:action:->action' \
        '*::argument:->argument' && return

    case $state in
        url) _wanted urls expl URL compadd -S '' -a urls ;;
        action) _describe action actions ;;
        argument)
            case $words[1] in
                help) _describe action actions ;;
                add) _supervisorctl_groups avail ;;
                remove) _supervisorctl_groups in ;;
                update) _supervisorctl_groups . all ;;
                fg | status) _supervisorctl_names ;;
                clear | pid | restart | start | stop) _supervisorctl_names all ;;
                signal)
                    if (( CURRENT == 2 )); then
                        _wanted signals expl signal compadd -a signals
                    else
                        _supervisorctl_names all
                    fi
                    ;;
                tail)
                    if [[ $PREFIX == -* ]]; then
                        compadd -- -f
                    elif (( CURRENT == 2 )) || [[ $CURRENT == 3 && $words[2] == -* ]]; then
                        _supervisorctl_names
                    else
                        _wanted channels expl channel compadd stdout stderr
                    fi
                    ;;
                maintail) compadd -- -f ;;
                open) _wanted urls expl URL compadd -S '' -a urls ;;
                web) compadd -- --read-only ;;
            esac
            ;;
    esac
}

_supervisorctl "$@"
