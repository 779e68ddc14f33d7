//! Leaves out of the released program what finds its tables for unwinding.
//!
//! A release ends at a panic without unwinding (`panic = "abort"`), and is stripped: a backtrace could only show numbers.
//! The index of those tables is 60 kB, 1.5 % of what the program may have.

#[expect(clippy::disallowed_methods, reason = "Cargo speaks to build scripts by the environment")]
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| std::env::var(name).is_ok_and(|is| is == value);
    if is("PROFILE", "release") && is("CARGO_CFG_TARGET_OS", "linux") {
        println!("cargo::rustc-link-arg-bins=-Wl,--no-eh-frame-hdr");
    }
}
