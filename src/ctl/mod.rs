//! `supervisorctl`, the command line client.
