//! What `quickstart` prints when the first report was judged.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::cli::view::DeviceReportJson;
use crate::cli::{output, text};
use crate::domain::published::InForce;
use crate::service::DeviceView;

/// One JSON object.
pub(super) fn json(out: &mut dyn Write, view: &DeviceView, in_force: &InForce) -> io::Result<()> {
    output::json(out, &DeviceReportJson::new(view, in_force))
}

/// Where everything is.
pub(super) struct Place<'a> {
    /// The address that agents are served on.
    pub(super) address: SocketAddr,
    /// The data folder.
    pub(super) data: &'a Path,
    /// The agent, which stands beside the collector.
    pub(super) agent: &'a Path,
}

/// For people: what was found, which rule it breaks and why, the open alerts, what to do next.
pub(super) fn table(
    out: &mut dyn Write,
    view: &DeviceView,
    in_force: &InForce,
    place: &Place<'_>,
    once: bool,
) -> io::Result<()> {
    let version = env!("CARGO_PKG_VERSION");
    writeln!(out, "Offchannel {version}: the collector serves https://{}", place.address)?;
    writeln!(out, "Everything is kept in {}\n", place.data.display())?;
    text::device(out, view, in_force)?;
    let here = std::env::current_dir().ok();
    let typed = |path: &Path| quoted(&below(path, here.as_deref()));
    let agent = typed(place.agent);
    let config = typed(&place.data.join("agent/agent.toml"));
    let server = typed(&place.agent.with_file_name("offchannel-server"));
    let folder = typed(&place.data.join("server"));
    let admin = format!("OFFCHANNEL_SERVER_DATA_DIR={folder} {server}");
    let id = &view.device.id;
    writeln!(out, "\nNext")?;
    for (what, command) in [
        ("What the agent collects", format!("{agent} explain --config {config}")),
        ("All that it recognises", format!("{agent} scan --all")),
        ("The alerts", format!("{admin} alert list")),
        ("This device", format!("{admin} device show {id}")),
        ("The policy, as a file", format!("{admin} policy show > policy.toml")),
        ("Your own policy", format!("{admin} policy publish --author \"$USER\" --file policy.toml")),
    ] {
        writeln!(out, "  {what:<24}  {command}")?;
    }
    if once {
        writeln!(out, "  {:<24}  the same command without --once", "Watch it live")?;
    } else {
        writeln!(
            out,
            "  {:<24}  install a messaging app, apt-get install telegram-desktop for example, and watch",
            "Try it"
        )?;
        writeln!(out, "\nWatching. Changes show here; Ctrl-C ends both programs.")?;
    }
    Ok(())
}

/// A path as it is typed in the folder `here`: relative if it is below, and never looked for in `PATH`.
fn below(path: &Path, here: Option<&Path>) -> PathBuf {
    match here.and_then(|here| path.strip_prefix(here).ok()) {
        Some(path) => Path::new(".").join(path),
        None => path.to_owned(),
    }
}

/// A path as it can be typed in a shell.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_printed_as_it_can_be_typed() {
        let typed = |path: &str, here: &str| quoted(&below(Path::new(path), Some(Path::new(here))));
        assert_eq!(
            typed("/src/target/release/offchannel-agent", "/src"),
            "./target/release/offchannel-agent"
        );
        assert_eq!(typed("/usr/bin/offchannel-agent", "/src"), "/usr/bin/offchannel-agent");
        assert_eq!(typed("/src/offchannel-agent", "/src"), "./offchannel-agent");
        assert_eq!(typed("/it's here/data", "/"), r"'./it'\''s here/data'");
    }
}
