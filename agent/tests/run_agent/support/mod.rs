//! A collector on a real TLS socket and a device in a folder, for tests that run the real agent.

mod collector;
#[cfg(target_os = "linux")]
mod desktop;
mod device;
#[cfg(target_os = "linux")]
mod trace;

pub use collector::{Collector, Fault, TOKEN, Told, bundle, signing_key};
#[cfg(target_os = "linux")]
pub use desktop::Desktop;
pub use device::Device;
#[cfg(target_os = "linux")]
pub use device::Running;
#[cfg(target_os = "linux")]
pub use trace::{Call, can_trace, is_of_the_agent, trace_of};
