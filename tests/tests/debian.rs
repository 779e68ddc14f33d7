//! The bar of the project on real input: a Debian root with messengers installed, from its own archive.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use offchannel_tests::clock::debian_root;
use offchannel_tests::{Agent, Output, Root, Site, programs};

/// The packages that are installed there on purpose, with the app that each is.
const MESSENGERS: [(&str, &str); 13] = [
    ("dino-im", "dino"),
    ("gajim", "gajim"),
    ("hexchat", "hexchat"),
    ("konversation", "konversation"),
    ("mumble", "mumble"),
    ("nheko", "nheko"),
    ("pidgin", "pidgin"),
    ("polari", "polari"),
    ("profanity", "profanity"),
    ("psi", "psi"),
    ("quassel-client", "quassel"),
    ("telegram-desktop", "telegram"),
    ("weechat", "weechat"),
];

/// The versions of what is installed, read from the package database without the agent's code.
fn installed(root: &Path) -> BTreeMap<String, String> {
    let status = fs::read_to_string(root.join("var/lib/dpkg/status")).expect("the package database");
    let field = |paragraph: &str, name: &str| {
        paragraph.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned())
    };
    let read = |paragraph: &str| {
        let installed = field(paragraph, "Status:")?.ends_with(" installed");
        Some((field(paragraph, "Package:")?, field(paragraph, "Version:")?)).filter(|_| installed)
    };
    status.split("\n\n").filter_map(read).collect()
}

/// The root, or nothing, said aloud.
#[expect(clippy::print_stdout, reason = "a test that is left out says so")]
fn root() -> Option<std::path::PathBuf> {
    let root = debian_root();
    if root.is_none() {
        println!("SKIPPED: OFFCHANNEL_TEST_DEBIAN_ROOT names no Debian root; tests/run makes one");
    }
    root
}

#[test]
fn every_messenger_of_a_debian_root_is_found_with_its_version_and_nothing_else_is() {
    let Some(root) = root() else { return };
    let installed = installed(&root);
    assert!(installed.len() > 200, "there are {} packages only", installed.len());
    let scan = Output::of(programs::agent().args(["scan", "--format", "json", "--root"]).arg(&root)).json();
    let sightings = scan["sightings"].as_array().expect("sightings");
    let text =
        |sighting: &serde_json::Value, key: &str| sighting[key].as_str().unwrap_or_default().to_owned();
    let mut by_dpkg: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for sighting in sightings.iter().filter(|sighting| sighting["source"] == "dpkg") {
        let found = (text(sighting, "identifier"), text(sighting, "version"));
        by_dpkg.entry(text(sighting, "app")).or_default().push(found);
        assert_eq!(
            (&sighting["grade"], &sighting["scope"]),
            (&"installed".into(), &"system".into()),
            "{sighting:#}"
        );
    }
    for (package, app) in MESSENGERS {
        let version = installed
            .get(package)
            .unwrap_or_else(|| panic!("{package} is not installed in {}", root.display()));
        let found = by_dpkg.get(app).map(Vec::as_slice).unwrap_or_default();
        assert!(
            found.iter().any(|(identifier, found)| identifier == package && found == version),
            "{package} {version} should be {app}; found {found:?}"
        );
    }
    let mut apps: Vec<String> = sightings.iter().map(|sighting| text(sighting, "app")).collect();
    apps.sort();
    apps.dedup();
    let mut expected = MESSENGERS.map(|(_, app)| app);
    expected.sort_unstable();
    assert_eq!(apps, expected, "other apps than these are in {sightings:#?}");
    assert_eq!(scan["unreviewed"], serde_json::json!([]), "nothing calls itself a messenger beside these");
    let dpkg = scan["sources"].as_array().expect("sources").iter().find(|source| source["source"] == "dpkg");
    assert_eq!(dpkg.map(|dpkg| &dpkg["health"]), Some(&"ok".into()), "{dpkg:#?}");
}

#[test]
fn an_agent_reports_all_of_them_from_a_real_package_database() {
    let Some(debian) = root() else { return };
    let apps: Vec<String> = MESSENGERS.iter().map(|(_, app)| format!("\"{app}\"")).collect();
    let site = Site::with_policy(&format!(
        "schema = 1\nname = \"Debian\"\ncheck_in_every = \"5s\"\n\n\
         [[rule]]\nid = \"none-of-these\"\nverdict = \"prohibited\"\napps = [{}]\n",
        apps.join(", ")
    ));
    let tree = Root::new();
    let status = |root: &Path| root.join("var/lib/dpkg/status");
    fs::copy(status(&debian), status(tree.path())).expect("a copy of the package database");
    let installed = installed(&debian);
    let _agent = Agent::running(&site, &tree);
    for (package, app) in MESSENGERS {
        let opened = site.receiver.wait_for("alert.opened", app);
        let evidence = opened.data["evidence"].as_array().expect("evidence");
        let version = installed.get(package).expect("an installed package");
        assert!(
            evidence
                .iter()
                .any(|place| place["identifier"] == package && place["version"] == version.as_str()),
            "{package} {version} in {evidence:#?}"
        );
    }
    assert_eq!(site.alerts().len(), MESSENGERS.len());
}
