//! The real agent, killed at any moment, with its files torn, taken or refused.

use std::collections::BTreeMap;

use crate::support::{Collector, Device, Fault};
use offchannel_shared::inventory::Health;
use offchannel_shared::wire::REPORT_PATH;

#[test]
fn killed_again_and_again_it_never_contradicts_itself_and_tells_everything_in_the_end() {
    let collector = Collector::start();
    let device = Device::new(&collector);
    let packages = ["telegram-desktop", "signal-desktop"];
    for round in 0..24usize {
        let agent = device.run();
        // Every round ends after another number of requests: in the middle of enrolment, before the
        // first report, between a report and its answer, after it.
        let before = collector.wait_for("the start", |told| Some(told.paths.len()));
        if round % 3 == 1 {
            collector.fault(REPORT_PATH, Fault::LoseAnswer);
        }
        device.install(packages.get(..round % 3).unwrap_or_default());
        if round % 4 != 0 {
            collector.wait_for("a request", |told| (told.paths.len() > before).then_some(()));
        }
        agent.kill();
    }
    device.install(&["telegram-desktop"]);
    let _agent = device.run();
    let last = collector.wait_for_apps(&["telegram"]);
    // The collector itself refuses a revision that comes twice with different content. Within an
    // epoch revisions only grow, and nothing made a new epoch here.
    collector.wait_for("the reports", |told| {
        let mut highest = BTreeMap::new();
        for report in &told.reports {
            let high = highest.insert(report.epoch.clone(), report.revision).unwrap_or(0);
            assert!(report.revision >= high, "{} after {high}", report.revision);
        }
        assert_eq!(highest.len(), 1, "a kill must not cost the epoch");
        assert_eq!(told.devices.len(), 1, "a kill must not make a second device");
        Some(())
    });
    assert!(matches!(
        last.inventory.sources.iter().find(|s| s.source == "state").unwrap().health,
        Health::Ok
    ));
}

#[test]
fn a_torn_state_file_is_kept_aside_and_told() {
    let collector = Collector::start();
    let device = Device::new(&collector);
    let agent = device.run();
    let first = collector.wait_for_apps(&[]);
    agent.kill();
    for name in ["state.json", "policy.json"] {
        let path = device.path(&format!("state/{name}"));
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    }
    let _agent = device.run();
    let report = collector.wait_for("a new epoch", |told| {
        told.reports.last().filter(|report| report.epoch != first.epoch).cloned()
    });
    let health = &report.inventory.sources.iter().find(|s| s.source == "state").unwrap().health;
    let Health::Partial(why) = health else { panic!("{health:?}") };
    for kept in ["state.json.damaged-1", "policy.json.damaged-1"] {
        assert!(why.contains(kept), "{why}");
        assert!(device.path(&format!("state/{kept}")).exists());
    }
}

#[test]
fn a_state_that_was_altered_or_taken_away_is_told() {
    let collector = Collector::start();
    let device = Device::new(&collector);
    let agent = device.run();
    let mut epoch = collector.wait_for_apps(&[]).epoch;
    agent.kill();
    let state = device.path("state/state.json");
    let alter = || {
        let whole = std::fs::read_to_string(&state).unwrap();
        let altered = whole.replace("\"transitions_lost\":0", "\"transitions_lost\":1");
        assert_ne!(altered, whole);
        std::fs::write(&state, altered).unwrap();
    };
    let take_away = || std::fs::remove_file(&state).unwrap();
    let ways: [(&dyn Fn(), &str); 2] = [(&alter, "altered by something else"), (&take_away, "missing")];
    for (way, word) in ways {
        way();
        let agent = device.run();
        let report = collector.wait_for("a new epoch", |told| {
            told.reports.last().filter(|report| report.epoch != epoch).cloned()
        });
        let health = &report.inventory.sources.iter().find(|s| s.source == "state").unwrap().health;
        let Health::Partial(why) = health else { panic!("{health:?}") };
        assert!(why.contains(word), "{why}");
        agent.kill();
        epoch = report.epoch;
    }
}

#[test]
fn what_an_agent_left_that_sealed_nothing_is_not_altered() {
    let collector = Collector::start();
    let device = Device::new(&collector);
    let agent = device.run();
    let epoch = collector.wait_for_apps(&[]).epoch;
    agent.kill();
    for name in ["identity.json", "state.json"] {
        let path = device.path(&format!("state/{name}"));
        let mut file: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert!(file.as_object_mut().unwrap().remove("seal").is_some(), "{name}");
        std::fs::write(&path, file.to_string()).unwrap();
    }
    // Killed before anything was worth saving, and started again.
    for _ in 0..2 {
        let so_far = collector.wait_for("what was asked", |told| Some(told.paths.len()));
        let agent = device.run();
        collector.wait_for("a request", |told| (told.paths.len() > so_far).then_some(()));
        agent.kill();
    }
    device.install(&["telegram-desktop"]);
    let _agent = device.run();
    let report = collector.wait_for_apps(&["telegram"]);
    assert_eq!(report.epoch, epoch);
    assert_eq!(report.inventory.sources.iter().find(|s| s.source == "state").unwrap().health, Health::Ok);
}

#[test]
fn a_damaged_identity_asks_for_a_new_enrolment() {
    let collector = Collector::start();
    let device = Device::new(&collector);
    let agent = device.run();
    collector.wait_for_apps(&[]);
    agent.kill();
    std::fs::write(device.path("state/identity.json"), "{").unwrap();
    let said = device.fails("run", &[]);
    assert!(said.contains("identity was damaged and is kept as identity.json.damaged-1"), "{said}");
    assert!(said.contains("enrol this device again"), "{said}");
    device.token(crate::support::TOKEN);
    let _agent = device.run();
    collector.wait_for("a second device", |told| {
        (told.devices.len() == 2 && told.reports.len() > 1).then_some(())
    });
}

#[test]
fn only_one_agent_works_in_a_state_folder() {
    let collector = Collector::start();
    let device = Device::new(&collector);
    let agent = device.run();
    collector.wait_for_apps(&[]);
    let said = device.fails("run", &[]);
    assert!(said.contains(&format!("another offchannel-agent (process {})", agent.pid())), "{said}");
    let said = device.fails("enrol", &["--replace"]);
    assert!(said.contains("stop it first"), "{said}");
}

#[test]
fn a_state_folder_that_cannot_be_made_is_named() {
    let collector = Collector::start();
    let device = Device::new(&collector);
    std::fs::write(device.path("file"), "").unwrap();
    let folder = device.path("file/state");
    let named = std::path::absolute(&folder).unwrap().display().to_string();
    let said = device.fails("run", &["--state-dir", folder.to_str().unwrap()]);
    assert!(said.contains("cannot use the state folder") && said.contains(&named), "{said}");
}

#[test]
fn nothing_is_written_while_nothing_changes() {
    let collector = Collector::start();
    let device = Device::new(&collector);
    let _agent = device.run();
    collector.wait_for_apps(&[]);
    let check_ins =
        |told: &crate::support::Told| told.paths.iter().filter(|p| p.ends_with("check-in")).count();
    collector.wait_for("the first check-in", |told| (check_ins(told) >= 1).then_some(()));
    let stamp = || {
        let mut all: Vec<_> = std::fs::read_dir(device.path("state"))
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| (entry.file_name(), entry.metadata().unwrap().modified().unwrap()))
            .collect();
        all.sort();
        all
    };
    let before = stamp();
    collector.wait_for("another check-in", |told| (check_ins(told) >= 2).then_some(()));
    assert_eq!(stamp(), before);
}
