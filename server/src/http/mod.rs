//! HTTP: routes, authentication of agents, limits. Status codes live here and nowhere else.
//!
//! Every refusal, also the framework's own, is the JSON of [`offchannel_shared::wire::ErrorBody`]. Only what
//! is no HTTP at all (or too slow to become it) is answered by the connection's end.

mod agent;
mod api;
mod auth;
mod bearer;
mod body;
mod envelope;
mod probe;
mod refusal;
mod replay;
mod router;
mod server;
mod stall;

pub use router::{probes, router};
pub use server::{serve, serve_plain};
