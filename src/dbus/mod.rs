//! `org.supervisord.Supervisor1` on zbus.
