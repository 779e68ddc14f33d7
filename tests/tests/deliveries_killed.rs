//! The collector is killed while it delivers, again and again: in the end everything was heard, and what was heard twice is
//! known by its id.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use offchannel_tests::device::dpkg;
use offchannel_tests::{Device, Heard, Process, Site, programs, wait_for};
use serde_json::Value;

/// How often it is killed.
const KILLS: usize = 12;
/// Devices that report something, and its end, in each of its lives.
const DEVICES: usize = 3;
/// What `faketime` puts a clock forward by: more than deliveries are leased for, less than webhooks may be old.
const LATER: &str = "+120s";

fn deliveries(site: &Site) -> Vec<Value> {
    let list = site.json(&["delivery", "list", "--all", "--limit", "0"]);
    list["deliveries"].as_array().expect("deliveries").clone()
}

/// The library of `faketime`, wherever the system has it. The command itself would stand between us and the collector.
fn faketime() -> Option<PathBuf> {
    let below = |folder: &str| fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let folders = below("/usr/lib").chain(["/usr/lib".into(), "/usr/lib64".into()]);
    folders.map(|folder| folder.join("faketime/libfaketime.so.1")).find(|path| path.is_file())
}

/// A collector whose clock is ahead, so that what a dead one was about to send is free.
fn serve_later(site: &Site, faketime: &Path) -> Process {
    let mut command = programs::server();
    command.env("LD_PRELOAD", faketime).env("FAKETIME", LATER).env("DONT_FAKE_MONOTONIC", "1");
    command.arg("--config").arg(site.config()).arg("serve");
    Process::start("offchannel-server serve, later", &mut command, &site.log())
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

#[test]
fn a_collector_that_is_killed_while_it_delivers_leaves_nothing_out_and_repeats_only_under_the_same_id() {
    let Some(faketime) = faketime() else {
        println!("SKIPPED: faketime is missing; tests/run installs it");
        return;
    };
    let mut site = Site::serving();
    for _ in 0..KILLS {
        let before = site.receiver.heard().len();
        let client = site.client();
        for _ in 0..DEVICES {
            let device = Device::enrol(&client, &site.token());
            device.send(&client, &device.report(1, vec![dpkg("telegram", "telegram-desktop", "1")]));
            device.send(&client, &device.report(2, Vec::new()));
        }
        // In the middle of it: it was heard, and whether it was written that it was is open.
        site.receiver.wait("anything new", |heard| (heard.len() > before).then_some(()));
        site.kill();
        site.start();
    }
    site.kill();
    let later = serve_later(&site, &faketime);
    wait_for("everything to be delivered", || {
        let open: Vec<Value> =
            deliveries(&site).into_iter().filter(|one| one["state"] != "delivered").collect();
        if open.is_empty() { Ok(()) } else { Err(format!("{} are open: {open:#?}", open.len())) }
    });
    assert!(later.stop().success());

    let heard = site.receiver.heard();
    let mut known: BTreeMap<&str, &Heard> = BTreeMap::new();
    let mut stories: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for one in &heard {
        match known.insert(&one.id, one) {
            None => stories.entry(one.alert()).or_default().push(&one.kind),
            Some(first) => assert_eq!((&first.kind, &first.data), (&one.kind, &one.data)),
        }
    }
    let all = deliveries(&site);
    let queued: BTreeSet<String> = all.iter().map(|one| text(&one["id"])).collect();
    assert_eq!(known.keys().map(|id| (*id).to_owned()).collect::<BTreeSet<_>>(), queued);
    assert_eq!(stories.len(), KILLS * DEVICES);
    for story in stories.values() {
        assert_eq!(*story, ["alert.opened", "alert.resolved"]);
    }
    println!("{} requests for {} notifications over {KILLS} kills", heard.len(), known.len());
}
