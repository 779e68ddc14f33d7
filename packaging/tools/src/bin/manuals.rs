//! Writes the manual pages and the completions for bash of both programs, from the definitions of their command lines.
//!
//! What a page says is what `--help` says: it cannot go stale. Files and the programs' pages among each other are added.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Command, CommandFactory as _, Parser};
use clap_mangen::Man;
use offchannel_agent::config::{Config, DEFAULT_PATH, MANAGED_PATH};
use roff::{Roff, bold, roman};

/// Programs of administrators are in this section.
const SECTION: &str = "8";
/// What stands before the codes in the help.
const EXIT_CODES: &str = "Exit codes: ";

/// Writes the manual pages and completions of both programs.
#[derive(Debug, Parser)]
struct Arguments {
    /// The date on the pages, e.g. 2026-05-31.
    #[arg(long)]
    date: String,
    /// Where PROGRAM/man8/*.8 and PROGRAM/completion go.
    folder: PathBuf,
}

#[expect(clippy::print_stderr, reason = "this is where errors are shown")]
fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("manuals: cannot write into {}: {error}", arguments.folder.display());
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> io::Result<()> {
    let agent = [
        (DEFAULT_PATH.to_owned(), "The settings."),
        (
            MANAGED_PATH.to_owned(),
            "What device management sets, in the same form; it wins over all other settings.",
        ),
        (
            Config::usual_state_dir().display().to_string(),
            "The device's identity, what the agent remembers, and the policy.",
        ),
    ];
    let server = [
        (offchannel_server::app::DEFAULT_CONFIG.to_owned(), "The settings."),
        (
            "/usr/share/doc/offchannel-server/default.toml".to_owned(),
            "Every setting with its default and its meaning.",
        ),
    ];
    write(offchannel_agent::cli::command(), &agent, arguments)?;
    write(offchannel_server::cli::Cli::command(), &server, arguments)
}

/// Writes what belongs to one program.
fn write(command: Command, files: &[(String, &str)], arguments: &Arguments) -> io::Result<()> {
    let name = command.get_name().to_owned();
    let folder = arguments.folder.join(&name);
    let pages = folder.join("man8");
    fs::create_dir_all(&pages)?;
    let mut completion = Vec::new();
    clap_complete::generate(clap_complete::Shell::Bash, &mut command.clone(), &name, &mut completion);
    let mut completion = String::from_utf8(completion).map_err(io::Error::other)?;
    // It offers what the help hides, too.
    for option in hidden(&command) {
        completion = completion.replace(&format!(" --{option} "), " ");
    }
    fs::write(folder.join("completion"), completion)?;
    // `help` repeats what each page says.
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let version = command.get_version().unwrap_or_default().to_owned();
    let page = Page { pages: &pages, date: &arguments.date, source: format!("Offchannel {version}") };
    page.write(&command, None, files)
}

/// The options of a command and those below it that are not for people.
fn hidden(command: &Command) -> Vec<String> {
    let own = command.get_arguments().filter(|argument| argument.is_hide_set());
    let own = own.filter_map(|argument| argument.get_long().map(ToOwned::to_owned));
    own.chain(command.get_subcommands().flat_map(hidden)).collect()
}

/// What all pages of a program share.
struct Page<'a> {
    pages: &'a Path,
    date: &'a str,
    source: String,
}

impl Page<'_> {
    /// Writes the page of a command and those of the commands below it.
    fn write(&self, command: &Command, above: Option<&str>, files: &[(String, &str)]) -> io::Result<()> {
        let name = full_name(command);
        let below: Vec<&Command> =
            command.get_subcommands().filter(|command| !command.is_hide_set()).collect();
        let man = |command: Command| {
            Man::new(command).section(SECTION).date(self.date).source(&self.source).manual("Offchannel")
        };
        let mut out = BufWriter::new(File::create(self.pages.join(format!("{name}.{SECTION}")))?);
        // The line that apropos(1) shows is no sentence.
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        let named = man(command.clone().about(about.trim_end_matches('.').to_owned()));
        let man = man(command.clone());
        man.render_title(&mut out)?;
        named.render_name_section(&mut out)?;
        man.render_synopsis_section(&mut out)?;
        man.render_description_section(&mut out)?;
        if command.get_arguments().any(|argument| !argument.is_hide_set()) {
            man.render_options_section(&mut out)?;
        }
        if !below.is_empty() {
            man.render_subcommands_section(&mut out)?;
        }
        let mut roff = Roff::new();
        if let Some(text) = command.get_after_help().map(ToString::to_string) {
            let codes = text.strip_prefix(EXIT_CODES);
            roff.control("SH", [if codes.is_some() { "EXIT STATUS" } else { "NOTES" }]);
            roff.text([roman(codes.unwrap_or(&text))]);
        }
        if !files.is_empty() {
            roff.control("SH", ["FILES"]);
            for (file, about) in files {
                roff.control("TP", []).text([bold(file.as_str())]).text([roman(*about)]);
            }
        }
        if let Some(above) = above {
            roff.control("SH", ["SEE ALSO"]).text([roman(format!("{above}({SECTION})"))]);
        }
        roff.to_writer(&mut out)?;
        out.flush()?;
        below.iter().try_for_each(|command| self.write(command, Some(&name), &[]))
    }
}

/// The program and its commands, joined: offchannel-agent-service-install.
fn full_name(command: &Command) -> String {
    command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned()
}
