//! The real agent against a collector on a real socket: what is reported, and when.

use crate::support::{Collector, Device, Fault, bundle, signing_key};
use offchannel_shared::inventory::{Change, Health};
use offchannel_shared::wire::{CHECK_IN_PATH, ENROL_PATH, GoodbyeReason, REPORT_PATH, ReportRequest, codes};

fn health(report: &ReportRequest, source: &str) -> Health {
    report.inventory.sources.iter().find(|s| s.source == source).unwrap().health.clone()
}

#[test]
fn it_enrols_reports_notices_changes_and_says_goodbye() {
    let collector = Collector::start();
    let device = Device::new(&collector);
    device.install(&["telegram-desktop"]);
    let agent = device.run();
    let first = collector.wait_for_apps(&["telegram"]);
    assert_eq!(first.facts.hostname, "test-device");
    assert!(first.transitions.is_empty(), "nothing came before the first report: {:?}", first.transitions);
    assert!(!device.path("token").exists(), "the used token stays on disk");

    device.install(&[]);
    let gone = collector.wait_for_apps(&[]);
    assert_eq!((gone.epoch, gone.revision), (first.epoch, first.revision + 1));
    let changes: Vec<_> = gone.transitions.iter().map(|t| (t.change, t.sighting.app.as_str())).collect();
    assert_eq!(changes, [(Change::Disappeared, "telegram")]);

    assert_eq!(agent.stop(), Some(0));
    collector.wait_for("a goodbye", |told| (told.goodbyes == [GoodbyeReason::Stop]).then_some(()));
}

#[test]
fn what_came_and_went_while_the_collector_was_away_is_not_lost() {
    let collector = Collector::start();
    let device = Device::new(&collector);
    let agent = device.run();
    collector.wait_for_apps(&[]);
    assert_eq!(agent.stop(), Some(0));

    // A port on which nobody listens.
    device.configure("https://127.0.0.1:9");
    let agent = device.run();
    for (packages, revision) in [(["telegram-desktop"].as_slice(), 2), (&[], 3)] {
        device.install(packages);
        wait_for(|| device.state()["revision"] == revision);
    }
    agent.kill();
    device.configure(&collector.url());
    let _agent = device.run();
    let report =
        collector.wait_for("revision 3", |told| told.reports.iter().find(|r| r.revision == 3).cloned());
    let changes: Vec<_> = report.transitions.iter().map(|t| (t.change, t.sighting.app.as_str())).collect();
    assert_eq!(changes, [(Change::Appeared, "telegram"), (Change::Disappeared, "telegram")]);
}

#[test]
fn a_report_whose_answer_is_lost_comes_again_unchanged() {
    let collector = Collector::start();
    let device = Device::new(&collector);
    for _ in 0..2 {
        collector.fault(REPORT_PATH, Fault::LoseAnswer);
    }
    let _agent = device.run();
    let reports =
        collector.wait_for("three reports", |told| (told.reports.len() == 3).then(|| told.reports.clone()));
    for report in &reports {
        assert_eq!(
            (&report.epoch, report.revision, &report.digest),
            (&reports[0].epoch, 1, &reports[0].digest)
        );
    }
}

#[test]
fn an_enrolment_whose_answer_is_lost_is_repeated_with_the_same_key() {
    let collector = Collector::start();
    let device = Device::new(&collector);
    collector.fault(ENROL_PATH, Fault::LoseAnswer);
    let _agent = device.run();
    collector.wait_for_apps(&[]);
    collector.wait_for("one device", |told| (told.devices.len() == 1).then_some(()));
    assert!(!device.path("state/pending-identity.json").exists());
}

#[test]
fn faults_of_the_collector_pass() {
    let collector = Collector::start();
    let device = Device::new(&collector);
    let faults = [
        Fault::Busy(1),
        Fault::Redirect,
        Fault::Endless,
        Fault::Refuse(401, codes::REPLAYED),
        Fault::Refuse(500, codes::INTERNAL),
    ];
    for fault in faults {
        collector.fault(REPORT_PATH, fault);
    }
    let _agent = device.run();
    collector.wait_for_apps(&[]);
    let wait = collector.wait_for("times", |told| {
        let mut reports = told.paths.iter().zip(&told.times).filter(|(path, _)| *path == REPORT_PATH);
        let (first, second) = (reports.next()?.1, reports.next()?.1);
        Some(*second - *first)
    });
    assert!(wait.as_secs_f64() >= 1.0, "asked for 1 s of patience, got {wait:?}");
}

#[test]
fn check_ins_follow_the_collectors_interval() {
    let collector = Collector::start();
    let device = Device::new(&collector);
    let _agent = device.run();
    collector
        .wait_for("a check-in", |told| told.paths.iter().any(|path| path == CHECK_IN_PATH).then_some(()));
}

#[test]
fn a_clock_that_is_off_is_worked_around_and_told() {
    let collector = Collector::start();
    let device = Device::new(&collector);
    collector.clock_ahead(3600);
    let _agent = device.run();
    collector.wait_for("a report that tells of the clock", |told| {
        told.reports.iter().any(|report| matches!(health(report, "clock"), Health::Partial(_))).then_some(())
    });
}

#[test]
fn a_new_policy_comes_into_force_and_a_foreign_one_does_not() {
    let collector = Collector::start();
    let device = Device::new(&collector);
    device.install(&["telegram-desktop"]);
    let agent = device.run();
    collector.wait_for_apps(&["telegram"]);

    let allows = "[[rule]]\nid = \"free\"\nverdict = \"allowed\"\nkinds = [\"consumer\"]\n";
    collector.publish(bundle(2, allows, &signing_key()));
    let report = collector.wait_for_apps(&[]);
    assert_eq!(report.policy_version, 2);

    let foreign = offchannel_shared::signing::SigningKey::from_seed(&[6; 32]).unwrap();
    collector.publish(bundle(3, "", &foreign));
    let told =
        |health: Health| matches!(health, Health::Failed(why) if why.contains("not signed by a trusted key"));
    collector.wait_for("the refusal", |t| t.reports.last().filter(|r| told(health(r, "policy"))).map(|_| ()));
    assert_eq!(agent.stop(), Some(0));
    assert_eq!(device.json("status")["policy"]["version"], 2);
}

/// Waits for something that no event tells of.
fn wait_for(mut condition: impl FnMut() -> bool) {
    let clock = offchannel_agent::clock::Clock::system();
    while !condition() {
        assert!(clock.elapsed().as_secs() < 30, "waited 30 s");
        std::thread::park_timeout(std::time::Duration::from_millis(2));
    }
}
