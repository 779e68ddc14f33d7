//! The real agent as a process, against a collector on a real TLS socket.

mod commands;
mod crashes;
mod reports;
mod support;
