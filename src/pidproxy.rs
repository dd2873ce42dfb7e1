//! `pidproxy`: runs a daemon that insists on a pid file, and passes signals on to it.
