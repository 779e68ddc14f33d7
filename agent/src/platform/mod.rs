//! What is known of operating systems and nothing of the product.

pub mod files;
pub mod filesystem;
pub mod machine;
pub mod processes;
pub mod registry;
pub mod service;
pub mod signals;
pub mod storage;
pub mod supervisor;
