//! A session with a real message bus, and a real notification service that the bus starts when it is asked for one.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use tempfile::TempDir;

/// Longest wait for what must come.
const PATIENCE: Duration = Duration::from_secs(30);

/// A session. Its programs end with it.
pub struct Desktop {
    place: TempDir,
    address: String,
    programs: Vec<Child>,
    shown: Option<Receiver<String>>,
}

impl Desktop {
    /// With dunst on a display that nobody sees. `None`, said in plain sight, where it is not installed.
    pub fn with_dunst() -> Option<Self> {
        let place = place(&["dbus-daemon", "dunst", "Xvfb"])?;
        let pipe = place.path().join("shown");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let (shown, display) = (pipe.clone(), &mut Command::new("Xvfb"));
        display
            .args(["-displayfd", "1", "-screen", "0", "640x480x24", "-nolisten", "tcp"])
            .stderr(Stdio::null());
        let (display, number) = first_line(display);
        std::fs::create_dir(place.path().join("services")).unwrap();
        let service = format!(
            "[D-BUS Service]\nName=org.freedesktop.Notifications\nExec=/bin/sh -c \"exec dunst -print >{}\"\n",
            pipe.display()
        );
        std::fs::write(place.path().join("services/x.service"), service).unwrap();
        let mut bus = bus(place.path());
        bus.env("DISPLAY", format!(":{number}"));
        let (bus, address) = first_line(&mut bus);
        Some(Self { place, address, programs: vec![bus, display], shown: Some(read(shown)) })
    }

    /// With a bus on which nobody shows notices.
    pub fn without_service() -> Option<Self> {
        let place = place(&["dbus-daemon"])?;
        let (bus, address) = first_line(&mut bus(place.path()));
        Some(Self { place, address, programs: vec![bus], shown: None })
    }

    /// The environment of a program in this session.
    pub fn enter<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env_clear().env("DBUS_SESSION_BUS_ADDRESS", &self.address);
        command.env("XDG_STATE_HOME", self.path("state")).stdin(Stdio::null())
    }

    pub fn path(&self, relative: &str) -> PathBuf {
        self.place.path().join(relative)
    }

    /// The next notice that was shown, as dunst prints it.
    #[track_caller]
    pub fn shown(&self) -> String {
        self.shown.as_ref().unwrap().recv_timeout(PATIENCE).expect("no notice was shown")
    }

    /// Whether more was shown than was asked about.
    pub fn has_more(&self) -> bool {
        self.shown.as_ref().unwrap().try_recv().is_ok()
    }
}

impl Drop for Desktop {
    fn drop(&mut self) {
        for program in &mut self.programs {
            // Fails where it has ended, which is what is wanted. dunst ends with its display.
            let _ = program.kill();
            let _ = program.wait();
        }
    }
}

/// A folder for a session, if these programs are there.
#[expect(clippy::print_stdout, reason = "what is skipped is said")]
fn place(needed: &[&str]) -> Option<TempDir> {
    let has = |program: &str| {
        ["/usr/bin", "/usr/local/bin"].iter().any(|dir| Path::new(dir).join(program).exists())
    };
    let missing: Vec<&str> = needed.iter().copied().filter(|program| !has(program)).collect();
    if !missing.is_empty() {
        println!("SKIPPED: no {} here; tests/run installs them", missing.join(", "));
        return None;
    }
    Some(tempfile::tempdir().unwrap())
}

/// A bus of this account alone, which starts only the services of its own folder.
fn bus(place: &Path) -> Command {
    let dir = place.display();
    let config = format!(
        "<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN\"\n\
         \"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\n\
         <busconfig><type>session</type><listen>unix:path={dir}/bus</listen><auth>EXTERNAL</auth>\n\
         <servicedir>{dir}/services</servicedir>\n\
         <policy context=\"default\"><allow send_destination=\"*\" eavesdrop=\"true\"/>\n\
         <allow eavesdrop=\"true\"/><allow own=\"*\"/></policy></busconfig>\n"
    );
    std::fs::write(place.join("bus.conf"), config).unwrap();
    let mut command = Command::new("dbus-daemon");
    command.arg("--config-file").arg(place.join("bus.conf")).args([
        "--nofork",
        "--nopidfile",
        "--print-address=1",
    ]);
    command
        .env("HOME", place)
        .env("XDG_CONFIG_HOME", place)
        .env("XDG_CACHE_HOME", place)
        .stdin(Stdio::null());
    command
}

/// Starts a program that says in its first line that it is ready.
fn first_line(command: &mut Command) -> (Child, String) {
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert!(!line.is_empty(), "{command:?} does not start");
    (child, line.trim_end().to_owned())
}

/// Reads what dunst prints, notice by notice.
fn read(pipe: PathBuf) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        // Opens when dunst does; a test in which it never starts leaves this thread to the end of the process.
        let lines = BufReader::new(std::fs::File::open(pipe).unwrap()).lines();
        let mut notice = String::new();
        for line in lines.map_while(Result::ok) {
            notice.push_str(&line);
            notice.push('\n');
            if line == "}" && sender.send(std::mem::take(&mut notice)).is_err() {
                return;
            }
        }
    });
    receiver
}
