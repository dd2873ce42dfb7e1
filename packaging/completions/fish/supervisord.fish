complete -c supervisord -s c -l configuration -d 'The configuration file; without it the usual places are searched' -r -F
complete -c supervisord -s u -l user -d 'Become this user (name or id)' -r -f -a "(__fish_complete_users)"
complete -c supervisord -s m -l umask -d 'File mode mask of the daemon (octal, default 022)' -r
complete -c supervisord -s d -l directory -d 'Working directory of the daemon' -r -f -a "(__fish_complete_directories)"
complete -c supervisord -s l -l logfile -d 'The log of the daemon: a file, syslog or journal' -r -F
complete -c supervisord -s y -l logfile_maxbytes -d 'Rotate the log at this size (KB, MB, GB; 0 is never)' -r
complete -c supervisord -s z -l logfile_backups -d 'Rotated logs to keep' -r
complete -c supervisord -s j -l pidfile -d 'Where the daemon writes its pid' -r -F
complete -c supervisord -s i -l identifier -d 'What names this daemon in events and AUTO logs' -r
complete -c supervisord -s q -l childlogdir -d 'Where AUTO logs of programs go' -r -f -a "(__fish_complete_directories)"
complete -c supervisord -s a -l minfds -d 'Open files that must be available' -r
complete -c supervisord -l minprocs -d 'Processes that must be available' -r
complete -c supervisord -l profile_options -d 'Accepted for compatibility; has no effect' -r
complete -c supervisord -s e -l loglevel -d 'critical, error, warn, info, debug, trace or blather' -r -f -a "critical\t''
error\t''
warn\t''
info\t''
debug\t''
trace\t''
blather\t''"
complete -c supervisord -s t -l test-config -d 'Check the configuration, say what is wrong with it, and exit'
complete -c supervisord -s n -l nodaemon -d 'Stay in the foreground'
complete -c supervisord -s s -l silent -d 'In the foreground: no copy of the log on stdout'
complete -c supervisord -s h -l help -d 'Print this help and exit'
complete -c supervisord -s v -l version -d 'Print the version and exit'
complete -c supervisord -s k -l nocleanup -d 'Keep the AUTO logs of an earlier run'
complete -c supervisord -l strip_ansi -d 'Remove ANSI escapes from the logs of programs'
