//! A collector on a real TLS socket and a device in a folder, for tests that run the real agent.

mod collector;
#[cfg(target_os = "linux")]
mod desktop;
mod device;

pub use collector::{Collector, Fault, TOKEN, Told, bundle, signing_key};
#[cfg(target_os = "linux")]
pub use desktop::Desktop;
pub use device::Device;
#[cfg(target_os = "linux")]
pub use device::Running;
