//! The agent is killed again and again, and replaces its key again and again: it goes on where it was, every state that
//! it told stays told, and the collector knows it.

use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use offchannel_tests::clock::{instant, kills};
use offchannel_tests::device::random;
use offchannel_tests::{Agent, Root, Signer, Site, wait_for, wait_until};
use serde_json::Value;

/// How often the agent is killed, unless `OFFCHANNEL_TEST_KILLS` says so: what every run has time for.
const KILLS: usize = 14;

/// Kills an agent, and counts what that hits.
#[derive(Debug, Default)]
struct Killer {
    kills: usize,
    /// Kills while a new key was on disk of which the agent did not know whether the collector had it.
    amid_keys: usize,
    /// Keys that the collector had at a kill.
    keys: BTreeSet<String>,
}

impl Killer {
    /// Waits up to so long, which is to be any moment, and kills it. Its key is to be replaced at the next start.
    fn strike(&mut self, site: &Site, agent: &mut Agent, wait: Duration) {
        wait_until(instant() + wait);
        agent.kill();
        self.kills += 1;
        let kill = self.kills;
        self.amid_keys += usize::from(!agent.identity()["next"].is_null());
        agent.age_key();
        let acknowledged = agent.state()["acknowledged"].as_u64().expect("the state file is whole");
        let device = &site.only_device()["device"];
        let stored = device["revision"].as_u64().expect("a revision");
        assert!(stored >= acknowledged, "kill {kill}: the agent was told {acknowledged}, {stored} is stored");
        self.keys.insert(device["key"].as_str().expect("a key").to_owned());
    }
}

/// The name of the key that an agent uses, if it is not about to replace it.
fn settled_key(identity: &Value) -> Option<String> {
    let seed = identity["seed"].as_str().and_then(|seed| STANDARD.decode(seed).ok())?;
    let seed: [u8; 32] = seed.as_slice().try_into().ok()?;
    identity["next"].is_null().then(|| Signer::with_seed(&seed).public_key().id())
}

#[test]
fn an_agent_that_is_killed_at_any_moment_loses_and_doubles_nothing() {
    let kills = kills().unwrap_or(KILLS);
    let site = Site::serving();
    let mut root = Root::new();
    let mut agent = Agent::running(&site, &root);
    site.wait_for_report();
    let epoch = agent.state()["epoch"].clone();
    // How many states lasted until they were known, and how many may have been too short.
    let (mut lasting, mut short) = (0, 0);
    let mut killer = Killer::default();
    while killer.kills < kills {
        root.toggle("telegram-desktop", "4.6.5");
        let [when, twice, key] = random::<3>();
        // From before the change is noticed until after it was acknowledged.
        killer.strike(&site, &mut agent, Duration::from_millis(u64::from(when) * 3));
        if twice % 3 == 0 {
            // What comes and goes while nobody looks may stay unknown.
            root.toggle("telegram-desktop", "4.6.5");
            root.toggle("telegram-desktop", "4.6.5");
        }
        if twice % 5 == 0 {
            root.toggle("telegram-desktop", "4.6.5");
            short += 1;
        } else {
            lasting += 1;
        }
        let old = agent.identity()["seed"].clone();
        agent.start();
        match key % 4 {
            0 => {}
            // While it starts, reports and replaces its key.
            1 => {
                killer.strike(&site, &mut agent, Duration::from_millis(key.into()));
                agent.start();
            }
            // While it replaces its key.
            _ => {
                wait_for("a new key", || {
                    let identity = agent.identity();
                    let has_one = !identity["next"].is_null() || identity["seed"] != old;
                    if has_one { Ok(()) } else { Err("there is none".to_owned()) }
                });
                killer.strike(&site, &mut agent, Duration::from_millis(u64::from(key) / 8));
                agent.start();
            }
        }
        let kill = killer.kills;
        let wanted = if root.has("telegram-desktop") { "open" } else { "resolved" };
        wait_for("the collector to know what is there", || {
            let revision = agent.state()["acknowledged"].as_u64();
            let alerts = site.alerts();
            match alerts.as_slice() {
                [] if wanted == "resolved" => Ok(()),
                [alert] if alert["state"] == wanted => Ok(()),
                other => {
                    Err(format!("kill {kill}: it should be {wanted} (revision {revision:?}): {other:#?}"))
                }
            }
        });
    }
    wait_for("both to have one key", || {
        let (own, known) = (settled_key(&agent.identity()), site.only_device()["device"]["key"].clone());
        if own.as_deref() == known.as_str() { Ok(()) } else { Err(format!("{own:?} here, {known} there")) }
    });
    assert_eq!(site.devices().len(), 1, "it is one device");
    assert_eq!(agent.state()["epoch"], epoch, "it is one life of the state file");
    let alert = site.alert_about("telegram");
    let history = site.history(alert["id"].as_str().expect("an id"));
    for (number, action) in history.iter().enumerate() {
        let expected = if number == 0 {
            "opened"
        } else if number % 2 == 1 {
            "resolved"
        } else {
            "reopened"
        };
        assert_eq!(action, expected, "entry {number}: {history:?}");
    }
    let possible = lasting..=lasting + 2 * short;
    assert!(possible.contains(&history.len()), "{lasting} lasting and {short} short states: {history:?}");
    // Delivered once each, since the collector never died.
    site.receiver.wait("every change", |heard| (heard.len() >= history.len()).then_some(()));
    let heard: Vec<String> = site.receiver.heard().into_iter().map(|heard| heard.id).collect();
    let mut once = heard.clone();
    once.sort();
    once.dedup();
    assert_eq!((once.len(), heard.len()), (history.len(), history.len()), "{heard:?}");
    println!(
        "{} changes over {} kills; {} keys, {} kills while one was replaced",
        history.len(),
        killer.kills,
        killer.keys.len(),
        killer.amid_keys
    );
}

#[test]
fn two_agents_do_not_share_a_state_folder() {
    let site = Site::serving();
    let root = Root::new();
    let mut agent = Agent::running(&site, &root);
    site.wait_for_report();
    let first = agent.process().id();
    let second = agent.command(&["run"]);
    let message = second.failure();
    assert!(message.contains(&format!("process {first}")), "{second:#?} does not name process {first}");
}
