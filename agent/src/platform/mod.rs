//! What is known of operating systems and nothing of the product.

pub mod bus_message;
pub mod confine;
pub mod files;
pub mod filesystem;
pub mod machine;
#[cfg(target_os = "linux")]
pub mod message_bus;
pub mod processes;
pub mod registry;
pub mod service;
pub mod shutdown;
pub mod signals;
pub mod storage;
pub mod supervisor;
#[cfg(any(test, windows, target_os = "macos"))]
pub mod system_log;
