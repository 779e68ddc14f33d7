//! The agent is killed again and again: it goes on where it was, and every state that it told stays told.

use std::time::Duration;

use offchannel_tests::clock::{instant, kills};
use offchannel_tests::device::random;
use offchannel_tests::{Agent, Root, Site, wait_for, wait_until};

/// How often the agent is killed, unless `OFFCHANNEL_TEST_KILLS` says so: what every run has time for.
const KILLS: usize = 14;

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
    for kill in 1..=kills {
        root.toggle("telegram-desktop", "4.6.5");
        let [when, twice] = random::<2>();
        // From before the change is noticed until after it was acknowledged.
        wait_until(instant() + Duration::from_millis(u64::from(when) * 3));
        agent.kill();
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
        let acknowledged = agent.state()["acknowledged"].as_u64().expect("the state file is whole");
        let stored = site.only_device()["device"]["revision"].as_u64().expect("a revision");
        assert!(stored >= acknowledged, "kill {kill}: the agent was told {acknowledged}, {stored} is stored");
        agent.start();
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
    println!("{} changes over {kills} kills", history.len());
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
