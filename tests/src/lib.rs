//! The harness of the end-to-end tests: the two real programs over real sockets, each test in folders and on
//! ports of its own.
//!
//! Nothing here knows the insides of either program. What a test sees is what an operator sees (commands, exit
//! codes, logs), what a receiver of webhooks hears, and what travels between agent and collector. Everything ends
//! when it is dropped, also when the test fails; a failed test prints the logs of its programs.

pub mod agent;
pub mod booted;
pub mod chroot;
pub mod client;
pub mod clock;
pub mod collector;
pub mod device;
pub mod installed;
pub mod port;
pub mod process;
pub mod programs;
pub mod receiver;
pub mod relay;
pub mod root;
pub mod rows;
pub mod site;
pub mod times;
pub mod unit;
pub mod wait;

pub use agent::Agent;
pub use booted::Booted;
pub use chroot::Chroot;
pub use client::{Answer, Client};
pub use collector::Collector;
pub use device::{Device, Signer};
pub use process::{Output, Process};
pub use receiver::{Heard, Mode, Receiver};
pub use relay::Relay;
pub use root::Root;
pub use site::Site;
pub use unit::Unit;
pub use wait::{wait_for, wait_until};
