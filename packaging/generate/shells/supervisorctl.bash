# Bash completion of supervisorctl.

# What the daemon that is meant prints for an action. Quick and quiet: nobody is asked for a
# password while typing.
_supervisorctl_ask() {
    timeout 2 supervisorctl --no-ask-password "${where[@]}" "$1" </dev/null 2>/dev/null
}

# Names of processes, with GROUP:* before the first of a group of several.
_supervisorctl_names() {
    _supervisorctl_ask status | awk '
        $2 ~ /^(STOPPED|STARTING|RUNNING|BACKOFF|STOPPING|EXITED|FATAL|UNKNOWN)$/ {
            group = $1
            if (sub(/:.*/, "", group) && !seen[group]++) print group ":*"
            print $1
        }'
}

# Names of groups that the daemon has; for `add`, those that it could have.
_supervisorctl_groups() {
    _supervisorctl_ask avail | awk -v "wanted=$1" '
        $NF ~ /^-?[0-9]+:-?[0-9]+$/ && $2 ~ wanted {
            sub(/:.*/, "", $1)
            if (!seen[$1]++) print $1
        }'
}

_supervisorctl() {
    # Words as blanks part them: bash would part names at their colons.
    local line=${COMP_LINE:0:COMP_POINT} cur at=1 candidate
    local -a words where=() candidates=()
    read -ra words <<<"$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    local last=$((${#words[@]} - 1))
    cur=${words[last]}
    COMPREPLY=()

    while ((at < last)); do
        case ${words[at]} in
            @where@)
                where+=("${words[at]}" "${words[at + 1]/#\~\//$HOME/}")
                ((at += 2))
                ;;
            @other@) ((at += 2)) ;;
            --*=*)
                where+=("${words[at]}")
                ((at += 1))
                ;;
            -*) ((at += 1)) ;;
            *) break ;;
        esac
    done

    if ((at > last)); then
        case ${words[last - 1]} in
            @files@)
                compopt -o filenames
                mapfile -t COMPREPLY < <(compgen -f -- "$cur")
                return
                ;;
            -s | --serverurl) candidates=(@urls@) ;;
        esac
    elif ((at == last)); then
        if [[ $cur == -* ]]; then
            candidates=(@flags@)
        else
            candidates=(@actions@)
        fi
    else
        local action=${words[at]} count=$((last - at))
        case $action in
            help) candidates=(@actions@) ;;
            add) mapfile -t candidates < <(_supervisorctl_groups avail) ;;
            remove) mapfile -t candidates < <(_supervisorctl_groups in) ;;
            update) mapfile -t candidates < <(_supervisorctl_groups . && echo all) ;;
            fg | status) mapfile -t candidates < <(_supervisorctl_names) ;;
            clear | pid | restart | start | stop)
                mapfile -t candidates < <(_supervisorctl_names && echo all)
                ;;
            signal)
                if ((count == 1)); then
                    candidates=(@signals@)
                else
                    mapfile -t candidates < <(_supervisorctl_names && echo all)
                fi
                ;;
            tail)
                if [[ $cur == -* ]]; then
                    candidates=(-f)
                elif ((count == 1)) || [[ $count == 2 && ${words[at + 1]} == -* ]]; then
                    mapfile -t candidates < <(_supervisorctl_names)
                else
                    candidates=(stdout stderr)
                fi
                ;;
            maintail) candidates=(-f) ;;
            open) candidates=(@urls@) ;;
            web) candidates=(--read-only) ;;
        esac
    fi

    # Bash replaces what follows the last colon of the word only.
    local colons=""
    [[ $cur == *:* && $COMP_WORDBREAKS == *:* ]] && colons=${cur%"${cur##*:}"}
    for candidate in "${candidates[@]}"; do
        if [[ -n $candidate && $candidate == "$cur"* ]]; then
            candidate=${candidate#"$colons"}
            # Names come from a daemon: none of them may mean something to the shell.
            [[ $candidate == *[!A-Za-z0-9_.:*@%+=,/-]* ]] && printf -v candidate %q "$candidate"
            COMPREPLY+=("$candidate")
        fi
    done
    [[ ${COMPREPLY[0]-} == *[:=/] && ${#COMPREPLY[@]} == 1 ]] && compopt -o nospace
    return 0
}

complete -F _supervisorctl supervisorctl
