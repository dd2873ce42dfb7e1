//! What goes to the journal, seen by a journald of our own.

use crate::support::daemon::{Daemon, HEAD, SUPERVISORD, command};
use crate::support::journal::{Entry, Journald, VARIABLE};
use crate::support::scratch::Scratch;
use crate::support::watch::expect_in_file;

mod main_log;
mod programs;
