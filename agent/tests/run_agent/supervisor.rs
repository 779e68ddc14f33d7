//! What systemd hears of the agent.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use crate::support::{Collector, Device, Running};

/// What stands for systemd's socket.
struct Supervisor(UnixDatagram);

impl Supervisor {
    fn of(device: &Device) -> Self {
        let socket = UnixDatagram::bind(device.path("notify")).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        Self(socket)
    }

    /// Starts the agent and hears that it is up and lives.
    #[track_caller]
    fn start(&self, device: &Device) -> Running {
        let agent = device.run_under(&device.path("notify"), Duration::from_millis(100));
        assert_eq!(self.hear(), "READY=1");
        for _ in 0..3 {
            assert_eq!(self.hear(), "WATCHDOG=1");
        }
        agent
    }

    /// The next message.
    #[track_caller]
    fn hear(&self) -> String {
        let mut bytes = [0; 256];
        let length = self.0.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap().trim().to_owned()
    }
}

#[test]
fn systemd_hears_that_the_agent_is_up_that_it_lives_and_that_it_ends() {
    let collector = Collector::start();
    let device = Device::new(&collector);
    let supervisor = Supervisor::of(&device);
    assert_eq!(supervisor.start(&device).stop(), Some(0));
    let last = std::iter::repeat_with(|| supervisor.hear()).find(|message| message != "WATCHDOG=1");
    assert_eq!(last.as_deref(), Some("STOPPING=1"));
}

#[test]
fn an_agent_whose_collector_is_away_is_up_and_lives() {
    let collector = Collector::start();
    let device = Device::new(&collector);
    // Nobody listens there.
    device.configure("https://127.0.0.1:9");
    assert_eq!(Supervisor::of(&device).start(&device).stop(), Some(0));
}
