//! What `quickstart` prints when the first report was judged.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;

use crate::cli::view::DeviceReportJson;
use crate::cli::{output, text};
use crate::domain::published::InForce;
use crate::service::DeviceView;

/// One JSON object.
pub(super) fn json(out: &mut dyn Write, view: &DeviceView, in_force: &InForce) -> io::Result<()> {
    output::json(out, &DeviceReportJson::new(view, in_force))
}

/// For people: what was found, which rule it breaks and why, the open alerts, what to do next.
pub(super) fn table(
    out: &mut dyn Write,
    view: &DeviceView,
    in_force: &InForce,
    address: SocketAddr,
    data: &Path,
    once: bool,
) -> io::Result<()> {
    writeln!(out, "Offchannel {}: the collector serves https://{address}", env!("CARGO_PKG_VERSION"))?;
    writeln!(out, "Everything is kept in {}\n", data.display())?;
    text::device(out, view, in_force)?;
    writeln!(out, "\nNext")?;
    writeln!(
        out,
        "  See what the agent collects   offchannel-agent explain --config {}",
        quoted(&data.join("agent/agent.toml"))
    )?;
    writeln!(out, "  Look at everything            offchannel-agent scan --all")?;
    if once {
        writeln!(out, "  Watch it live                 the same command without --once")?;
    } else {
        writeln!(
            out,
            "  Try it                        install a messaging app, apt-get install telegram-desktop for example, and watch"
        )?;
        writeln!(out, "\nWatching. Changes show here; Ctrl-C ends both programs.")?;
    }
    Ok(())
}

/// A path as it can be typed in a shell.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}
