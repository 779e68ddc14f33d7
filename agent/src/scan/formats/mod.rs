//! Formats that others define: pure parsers, from bytes to facts.
//!
//! None of them opens a file, knows a place or an app. All of them take any bytes without a panic, without
//! endless work and with memory that is bounded by the input: what they read is written by users, and by
//! whoever wants to mislead the agent. Each has property tests here and a fuzz target in `agent/fuzz`.

pub mod android_packages;
pub mod apk_installed;
pub mod appstream;
pub mod asar;
pub mod electron;
pub mod nix;
pub mod pacman_desc;
pub mod stanzas;
