//! Leaves out of the released program the tables for unwinding, and what finds them.
//!
//! A release ends at a panic without unwinding (`panic = "abort"`), and is stripped: a backtrace could only show numbers.
//! The tables are 440 kB and their index is 60 kB, together an eighth of what the program may have. `-C
//! force-unwind-tables=no` would not do: it cannot be said for the release alone, and the standard library comes with its own.

#[expect(clippy::disallowed_methods, reason = "Cargo speaks to build scripts by the environment")]
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=no-unwinding.ld");
    let is = |name: &str, value: &str| std::env::var(name).is_ok_and(|is| is == value);
    if is("PROFILE", "release") && is("CARGO_CFG_TARGET_OS", "linux") {
        let folder = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
        println!("cargo::rustc-link-arg-bins=-Wl,--no-eh-frame-hdr,-T,{folder}/no-unwinding.ld");
    }
}
