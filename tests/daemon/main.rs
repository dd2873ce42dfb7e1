//! The real programs on the real system: what no comparison with another implementation shows.

#[path = "../support/mod.rs"]
mod support;

mod activation;
mod background;
mod cgroups;
mod chaos;
mod configuration;
mod control;
#[cfg(debug_assertions)]
mod failures;
mod faults;
mod fcgi;
mod journal;
mod lifecycle;
mod listeners;
mod logs;
mod orphans;
mod recovery;
mod reload;
mod scale;
mod service;
mod surprises;
mod upgrade;
