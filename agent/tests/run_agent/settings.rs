//! Settings in `/etc/offchannel`, read by the real program. It gets an `/etc` of its own in a mount namespace, where a
//! kernel allows that.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::support::Collector;

/// A folder that becomes `/etc`.
struct Etc(tempfile::TempDir);

/// Makes a new `/etc` out of the folder that comes first and runs the rest in it; keeps all modes.
const SCRIPT: &str = "set -e; mount -t tmpfs -o mode=755 tmpfs /etc; cp -a \"$1\"/. /etc; \
    chown -R 0:0 /etc; chmod 755 /etc; shift; exec \"$@\"";

impl Etc {
    fn new(collector: &Collector) -> Self {
        let etc = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir_all(etc.0.path().join("offchannel/conf.d")).unwrap();
        etc.write("ca.pem", collector.certificate());
        for folder in ["offchannel", "offchannel/conf.d"] {
            etc.mode(folder, 0o755);
        }
        etc
    }

    fn write(&self, name: &str, text: &str) {
        let name = format!("offchannel/{name}");
        std::fs::write(self.0.path().join(&name), text).unwrap();
        self.mode(&name, 0o644);
    }

    fn mode(&self, name: &str, mode: u32) {
        use std::os::unix::fs::PermissionsExt;
        let path = self.0.path().join(name);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    fn script(&self, script: &str) -> Command {
        let mut unshare = Command::new("unshare");
        unshare.args(["--mount", "--map-root-user", "sh", "-c", script, "sh"]);
        unshare.arg(self.0.path()).stdin(Stdio::null());
        unshare
    }

    fn call(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
        let mut command = self.script(SCRIPT);
        command.arg(Path::new(env!("CARGO_BIN_EXE_offchannel-agent"))).args(arguments);
        command.envs(variables.iter().copied()).output().unwrap()
    }

    /// Whether this kernel lets us do it.
    #[expect(clippy::print_stdout, reason = "a test that does nothing says so")]
    fn is_possible(&self) -> bool {
        let done = self.script(&format!("{SCRIPT}; true")).arg("true").output();
        let is_possible = done.as_ref().is_ok_and(|done| done.status.success());
        if !is_possible {
            println!("SKIPPED: no mount namespace of our own: {done:?}");
        }
        is_possible
    }
}

#[test]
fn the_files_of_etc_are_joined_and_the_managed_one_wins_over_everything() {
    let etc = Etc::new(&Collector::start());
    if !etc.is_possible() {
        return;
    }
    etc.write("agent.toml", "server.url = \"https://old.example.org\"\nserver.ca_file = \"ca.pem\"\n");
    etc.write("conf.d/10-site.toml", "server.url = \"https://site.example.org\"\nlog.level = \"warn\"\n");
    etc.write("conf.d/20-site.toml", "log.level = \"error\"\n");
    etc.write("managed.toml", "[log]\nlevel = \"debug\"\n[scan]\nsafety_interval = \"1h\"\n");
    let variables = [("OFFCHANNEL_AGENT_SCAN_SAFETY_INTERVAL", "2h")];
    let output = etc.call(&["check-config", "--log-level", "trace"], &variables);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    let squeezed: Vec<String> =
        said.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for lines in [
        &[
            "log.level debug /etc/offchannel/managed.toml:2",
            "overrides trace command line",
            "overrides error /etc/offchannel/conf.d/20-site.toml:1",
            "overrides warn /etc/offchannel/conf.d/10-site.toml:2",
        ][..],
        &[
            "scan.safety_interval 1h /etc/offchannel/managed.toml:4",
            "overrides 2h OFFCHANNEL_AGENT_SCAN_SAFETY_INTERVAL",
        ],
        &[
            "server.url https://site.example.org /etc/offchannel/conf.d/10-site.toml:1",
            "overrides https://old.example.org /etc/offchannel/agent.toml:1",
        ],
    ] {
        assert!(squeezed.windows(lines.len()).any(|window| window == lines), "{lines:?} not in {said}");
    }
}

#[test]
fn a_managed_file_that_others_may_change_stops_the_agent() {
    let etc = Etc::new(&Collector::start());
    if !etc.is_possible() {
        return;
    }
    etc.write("managed.toml", "[server]\nurl = \"https://collector.example.org\"\n");
    etc.mode("offchannel/managed.toml", 0o666);
    let output = etc.call(&["run"], &[]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    let expected = "error: /etc/offchannel/managed.toml: it is refused, for it wins over all other settings: \
        everybody may change /etc/offchannel/managed.toml: chmod go-w '/etc/offchannel/managed.toml'";
    assert!(said.contains(expected), "{said}");
}
