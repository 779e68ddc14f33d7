//! `enrol`: exchanges a token for an identity.

use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use tokio::runtime::Builder;

use super::options::{ConfigArgs, Format, host, json};
use super::{CliError, EXIT_CODES};
use crate::client::{Client, trust};
use crate::clock::Clock;
use crate::enrol;
use crate::run::InForce;
use crate::state::{Folder, Loaded};
use crate::telemetry;

/// Arguments of `enrol`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct EnrolArgs {
    /// File with the enrolment token, or - for standard input [default: enrolment.token_file].
    /// A file is removed once the token was used.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Enrol although this device is enrolled already.
    #[arg(long)]
    replace: bool,
    /// How to answer.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    config: ConfigArgs,
}

#[derive(Debug, serde::Serialize)]
struct Answer<'a> {
    schema: u32,
    device_id: &'a str,
    server: &'a str,
    policy_version: u64,
    policy_name: String,
}

/// Enrols, once.
pub fn run(args: &EnrolArgs, out: &mut dyn io::Write, clock: &Clock) -> Result<u8, CliError> {
    let (config, _) = args.config.load()?;
    telemetry::start(config.log, telemetry::To::StandardError);
    let server = config.server.clone().ok_or(CliError::NoServer)?;
    let client = Client::new(server, trust(config.ca_file.as_deref())?);
    let folder = Folder::at(&config.state_dir);
    folder.create()?;
    let _lock = folder.lock(std::process::id())?;
    if let (Loaded::Found(identity), false) = (folder.identity()?, args.replace) {
        let device = identity.enrolment.device_id.to_string();
        return Err(CliError::Enrolled { device, server: identity.enrolment.server });
    }
    let file = args.token_file.clone().or(config.token_file.clone()).ok_or(CliError::NotEnrolled)?;
    let from_input = file == Path::new("-");
    let token = if from_input {
        enrol::token_from(io::stdin().lock(), "standard input")?
    } else {
        enrol::token_from_file(&file)?
    };
    let runtime = Builder::new_current_thread().enable_all().build().map_err(CliError::Runtime)?;
    let facts = host(&config).facts();
    let enrolled = runtime.block_on(enrol::enrol(&client, &folder, token, facts, clock))?;
    if !from_input {
        enrol::discard(&file);
    }
    let enrolment = &enrolled.identity.enrolment;
    let policy = enrolled
        .memory
        .policy
        .as_ref()
        .and_then(|bundle| InForce::kept(bundle, &enrolment.signing_keys, 0).ok());
    let answer = Answer {
        schema: 1,
        device_id: enrolment.device_id.as_str(),
        server: &enrolment.server,
        policy_version: enrolled.memory.record.policy_version,
        policy_name: policy.map(|policy| policy.bundle.policy.name).unwrap_or_default(),
    };
    match args.format {
        Format::Json => json(out, &answer)?,
        Format::Table => writeln!(
            out,
            "Enrolled with {} as {}.\nPolicy in force: {}, version {}.\nStart the agent with: offchannel-agent run",
            answer.server, answer.device_id, answer.policy_name, answer.policy_version
        )
        .map_err(CliError::Output)?,
    }
    Ok(0)
}
