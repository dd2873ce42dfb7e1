# Fish completion of pidproxy: a pid file, then a command with its own completion.

complete -c pidproxy -n 'test (count (commandline -opc)) -eq 1' -F
complete -c pidproxy -n 'test (count (commandline -opc)) -gt 1' -x -a '(__fish_complete_subcommand --fcs-skip=2)'
