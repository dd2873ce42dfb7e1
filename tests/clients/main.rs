//! Tools that people use with Supervisor, unchanged, against Python Supervisor 4.3.0 and ours: each
//! sees the same of both.
//!
//! `make clients` installs them; `SUPERVISOR_CLIENTS` names another place.

#[path = "../support/mod.rs"]
mod support;

// What the comparison of the two programs themselves uses; a part of it is enough here.
#[allow(dead_code)]
#[path = "../oracle/normal.rs"]
mod normal;
#[allow(dead_code)]
#[path = "../oracle/world.rs"]
mod world;

mod ansible;
mod both;
mod events;
mod listeners;
mod supervisorctl;
mod testinfra;
mod xmlrpc;
