//! Every identifier of a long list of real ones, installed the way its platform does it, is named as the right
//! app, and no lookalike is named at all.
//!
//! Each has a tree of its own, made by the platform's own tools where they can be had here, and one scan by the
//! real program.

mod list;
mod trees;

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::thread;

use list::{Identity, identities, lookalikes};
use offchannel_shared::namespace::Namespace;
use offchannel_tests::{Output, programs};
use trees::{Tools, install};

/// The apps that a scan of a tree with just this one thing names, leftovers left out; nothing where the tree
/// cannot be made on this machine.
fn named(identity: &Identity, tools: &Tools) -> Option<BTreeSet<String>> {
    let tree = tempfile::tempdir().expect("a temporary folder");
    let platform = install(tree.path(), identity, tools)?;
    let mut scan = programs::agent();
    scan.args(["scan", "--format", "json", "--platform", platform.as_str(), "--root"]).arg(tree.path());
    let answer = Output::of(&mut scan).json();
    let sightings = answer["sightings"].as_array().expect("sightings").iter();
    let present = sightings.filter(|sighting| sighting["grade"] != "residual");
    Some(present.map(|sighting| sighting["app"].as_str().expect("an app").to_owned()).collect())
}

/// What was found of each, for those that could be installed here; on as many threads as there are cores.
fn scans(all: &[Identity]) -> Vec<(&Identity, BTreeSet<String>)> {
    let tools = Tools::find();
    let (next, found) = (Mutex::new(all.iter()), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let Some(identity) = next.lock().expect("the list").next() else { return };
                    if let Some(apps) = named(identity, &tools) {
                        found.lock().expect("the results").push((identity, apps));
                    }
                }
            });
        }
    });
    found.into_inner().expect("the results")
}

#[test]
fn every_identifier_on_the_list_is_named_as_its_app_and_as_nothing_else() {
    let all = identities();
    assert!(all.len() > 900, "only {} identifiers were read", all.len());
    let doubtful = all.iter().filter(|identity| !identity.doubt.is_empty()).count();
    assert!(doubtful * 50 < all.len(), "{doubtful} of {} are left out", all.len());
    let scans = scans(&all);
    let mut wrong: Vec<String> = scans
        .iter()
        .filter(|(identity, apps)| match identity.doubt.is_empty() {
            true => !apps.iter().eq([&identity.app]),
            false => !apps.is_empty(),
        })
        .map(|(identity, apps)| format!("{identity}: named {apps:?}"))
        .collect();
    wrong.sort();
    say_what_was_left_out(&all, scans.len());
    assert_eq!(wrong, Vec::<String>::new(), "{} of {} are wrong", wrong.len(), scans.len());
}

#[test]
fn no_lookalike_is_named() {
    let all = lookalikes();
    assert!(all.len() > 200, "only {} lookalikes were read", all.len());
    let scans = scans(&all);
    let accused: Vec<String> = scans
        .iter()
        .filter(|(_, apps)| !apps.is_empty())
        .map(|(identity, apps)| format!("{identity}: named {apps:?}"))
        .collect();
    say_what_was_left_out(&all, scans.len());
    assert_eq!(accused, Vec::<String>::new());
}

/// Says which kinds of things could not be made here; everything else was.
#[expect(clippy::print_stdout, reason = "what is left out is said")]
fn say_what_was_left_out(all: &[Identity], scanned: usize) {
    let tools = Tools::find();
    let count = |namespaces: &[Namespace]| all.iter().filter(|i| namespaces.contains(&i.namespace)).count();
    let mut left_out = 0;
    if !tools.rpm {
        left_out += count(&[Namespace::Rpm]);
        println!("SKIPPED: rpm packages; rpm and rpmbuild are not installed (apt-get install rpm)");
    }
    if !tools.hivex {
        left_out += count(&[Namespace::Msix, Namespace::WindowsUninstall, Namespace::Winget]);
        println!("SKIPPED: registries; hivexregedit is not installed (apt-get install libwin-hivex-perl)");
    }
    println!("{scanned} of {} were installed and scanned", all.len());
    assert_eq!(scanned + left_out, all.len(), "something was left out without a word");
}
