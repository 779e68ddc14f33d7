//! What is known of operating systems and nothing of the product.

pub mod bus_message;
pub mod confine;
pub mod files;
pub mod filesystem;
pub mod machine;
pub mod processes;
pub mod registry;
pub mod service;
#[cfg(target_os = "linux")]
pub mod session_bus;
pub mod signals;
pub mod storage;
pub mod supervisor;
#[cfg(any(test, windows, target_os = "macos"))]
pub mod system_log;
