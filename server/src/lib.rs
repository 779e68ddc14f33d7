//! The collector: judges reports against the organisation's policy, raises alerts, keeps evidence.

pub mod app;
pub mod channels;
pub mod cli;
pub mod clock;
pub mod config;
pub mod domain;
pub mod files;
pub mod http;
pub mod jobs;
pub mod keys;
pub mod metrics;
pub mod quickstart;
pub mod random;
pub mod service;
pub mod store;
pub mod telemetry;
pub mod tls;
