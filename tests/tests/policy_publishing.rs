//! Policies: published beside a collector that serves, taken by agents, refused where they are wrong.

use offchannel_shared::wire::{ENROL_PATH, codes};
use offchannel_tests::device::{enrolment, json};
use offchannel_tests::{Agent, Output, Root, Signer, Site, wait_for};

fn policy(apps: &str) -> String {
    format!(
        "schema = 1\nname = \"Publishing\"\nstale_after = \"1h\"\ncheck_in_every = \"5s\"\n\n\
         [[rule]]\nid = \"no-{apps}\"\nverdict = \"prohibited\"\napps = [\"{apps}\"]\n"
    )
}

#[test]
fn an_agent_takes_a_new_policy_at_its_next_check_in() {
    let site = Site::with_policy(&policy("telegram"));
    let mut root = Root::new();
    root.install("hexchat", "2.16.1-1");
    let _agent = Agent::running(&site, &root);
    let device = site.wait_for_report();
    assert_eq!(device["policy_version"], 1, "{device:#}");
    let sightings = &site.only_device()["sightings"];
    assert_eq!(sightings.as_array().map(Vec::len), Some(0), "nobody asked about HexChat yet: {sightings:#}");

    assert_eq!(site.publish(&policy("hexchat")), 2);
    let opened = site.receiver.wait_for("alert.opened", "hexchat");
    assert_eq!(opened.data["rule"]["id"], "no-hexchat", "{:#}", opened.data);
    assert_eq!(opened.data["rule"]["policy_version"], 2, "{:#}", opened.data);
    assert_eq!(opened.data["evidence"][0]["version"], "2.16.1-1", "{:#}", opened.data);
    let device = site.only_device();
    assert_eq!(device["device"]["policy_version"], 2, "{device:#}");
    assert_eq!(device["findings"][0]["rule"], "no-hexchat", "{device:#}");

    assert_eq!(site.publish(&policy("telegram")), 3);
    let resolved = site.receiver.wait_for("alert.resolved", "hexchat");
    assert_eq!(resolved.alert(), opened.alert());
    wait_for("the agent to report by version 3", || {
        let device = site.only_device();
        let gone = device["sightings"].as_array().is_some_and(Vec::is_empty);
        if gone && device["device"]["policy_version"] == 3 { Ok(()) } else { Err(format!("{device:#}")) }
    });
}

#[test]
fn a_rule_that_changes_no_inventory_is_judged_without_waiting_for_a_report() {
    // The agent takes hours to its next check-in: nothing of it can bring the new rule about.
    let quiet = "schema = 1\nname = \"Publishing\"\nstale_after = \"7d\"\ncheck_in_every = \"24h\"\n";
    let site = Site::with_policy(quiet);
    let root = Root::new();
    let _agent = Agent::running(&site, &root);
    site.wait_for_report();
    for version in 2..6 {
        let rule = format!("channel-{version}");
        site.publish(&format!(
            "{quiet}\n[[rule]]\nid = \"{rule}\"\nverdict = \"required\"\napps = [\"microsoft-teams\"]\n"
        ));
        let what = format!("an alert of version {version}");
        site.receiver.wait(&what, |heard| {
            heard.iter().find(|one| one.kind == "alert.opened" && one.data["rule"]["id"] == *rule).cloned()
        });
    }
}

/// Publishes a policy that must be refused, and sees that nothing came of it.
#[track_caller]
fn refused(site: &Site, text: &str, options: &[&str]) -> String {
    let file = site.policy_file(text);
    let before = site.rows();
    let published: Output =
        site.run(&[&["policy", "publish", "--author", "tests", "--file", &file], options].concat());
    assert_eq!(published.stdout, "", "{published:#?}");
    let message = published.failure().replace(&file, "FILE");
    assert_eq!(site.rows(), before, "a refused policy changed the database");
    message
}

#[test]
fn a_wrong_policy_is_refused_with_every_position() {
    let site = Site::serving();
    let wrong = "schema = 1\nname = \"Wrong\"\n\n[[rule]]\nid = \"x\"\nverdict = \"prohibited\"\napps = [\"watsapp\"]\n\n\
                 [[rule]]\nid = \"x\"\nverdict = \"prohibited\"\napps = [\"signal\"]\ngrace = \"soon\"\n";
    let expected = "offchannel-server: FILE: the policy has 3 errors\n  \
         7:9: error: rule[1].apps: no app \"watsapp\" in the catalogue; did you mean \"whatsapp\"?\n  \
         10:6: error: rule[2].id: another rule has the id \"x\" already\n  \
         13:9: error: rule[2].grace: \"soon\" is not a span of time: expected a whole number and a unit of s, m, h, d or w, such as 72h\n";
    assert_eq!(refused(&site, wrong, &[]), expected);

    let file = site.policy_file(wrong);
    let checked = site.run(&["policy", "check", "--file", &file]);
    assert_eq!(checked.code, 1, "{checked:#?}");
    assert!(checked.stdout.starts_with(&format!("{file}:7:9: error: rule[1].apps:")), "{checked:#?}");
    let checked = site.run(&["policy", "check", "--file", &file, "--format", "json"]);
    assert_eq!(checked.code, 1, "{checked:#?}");
    let checked: serde_json::Value = serde_json::from_str(&checked.stdout).expect("JSON");
    assert_eq!(checked["good"], false, "{checked:#}");
    assert_eq!(checked["problems"].as_array().map(Vec::len), Some(3), "{checked:#}");
    let problem = &checked["problems"][1];
    assert_eq!(
        (&problem["line"], &problem["column"], &problem["key"]),
        (&10.into(), &6.into(), &"rule[2].id".into())
    );
}

#[test]
fn text_that_is_no_policy_is_refused() {
    let site = Site::serving();
    for (text, expected) in [
        ("", "schema"),
        ("schema = 2\nname = \"x\"\n", "1:10: error: schema: expected 1"),
        ("schema = 1\nname = \"x\n", "2:"),
        (
            "schema = 1\nname = \"x\"\nstale_aftr = \"7d\"\n",
            "3:1: error: stale_aftr: unknown key; did you mean \"stale_after\"?",
        ),
        (
            "schema = 1\nname = \"x\"\ncheck_in_every = \"1s\"\n",
            "3:18: error: check_in_every: must be from 5s to 1d",
        ),
    ] {
        let message = refused(&site, text, &[]);
        assert!(message.contains(expected), "{text:?}: {message}");
    }
    let missing = site.run(&["policy", "publish", "--author", "tests", "--file", "/nonexistent/policy.toml"]);
    assert!(missing.failure().contains("cannot read /nonexistent/policy.toml"), "{missing:#?}");

    let file = site.policy_file("");
    let utf_16: Vec<u8> = "schema = 1".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (bytes, found) in [(&utf_16[..], "UTF-16"), (b"# Pr\xfcfung\n", "another encoding")] {
        std::fs::write(&file, bytes).expect("a policy file");
        let refused = site.run(&["policy", "check", "--file", &file]);
        let expected = format!("cannot read {file}: expected UTF-8, found {found}: save it as UTF-8");
        assert!(refused.failure().contains(&expected), "{refused:#?}");
    }
}

#[test]
fn only_one_that_is_to_serve_is_said_not_to_start() {
    let site = Site::bare();
    let list = site.run(&["policy", "list"]);
    assert!(list.failure().contains("cannot open the database"), "{list:#?}");
    assert!(!list.stderr.contains("cannot start"), "{list:#?}");
    std::fs::write(site.config(), "listen = \"nowhere\"\n").expect("a configuration");
    assert!(site.run(&["serve"]).failure().contains("the collector cannot start"));
}

#[test]
fn what_was_published_is_shown_byte_for_byte() {
    let site = Site::serving();
    let odd = format!("# Grüße, and a tab:\t\r\n{}\n\n# no line break at the end", policy("signal"));
    assert_eq!(site.publish(&odd), 2);
    assert_eq!(site.run(&["policy", "show"]).stdout, odd);
    assert_eq!(site.run(&["policy", "show", "--version", "1"]).stdout, offchannel_tests::site::POLICY);
    assert_eq!(site.json(&["policy", "show"])["source"], odd);
    let versions = site.json(&["policy", "list"]);
    let versions: Vec<u64> = versions["policies"]
        .as_array()
        .expect("policies")
        .iter()
        .filter_map(|p| p["version"].as_u64())
        .collect();
    assert_eq!(versions, [2, 1]);
    assert!(
        site.run(&["policy", "show", "--version", "7"]).failure().contains("there is no policy version 7")
    );
}

#[test]
fn of_two_who_publish_at_once_the_second_is_told() {
    let site = Site::serving();
    let message = refused(&site, &policy("signal"), &["--if-version", "7"]);
    assert!(message.contains("expected version 7, found 1"), "{message}");
    let file = site.policy_file(&policy("signal"));
    let publish = ["policy", "publish", "--author", "tests", "--file", &file, "--if-version", "1"];
    assert_eq!(site.json(&publish)["policy"]["version"], 2);
    let message = refused(&site, &policy("signal"), &["--if-version", "1"]);
    assert!(message.contains("expected version 1, found 2"), "{message}");
}

#[test]
fn without_a_policy_nobody_can_enrol_and_with_one_they_can() {
    let mut site = Site::bare();
    site.start_without_policy();
    let client = site.client();
    let ready = client.request("GET", "/readyz", &[], b"").expect("an answer");
    assert_eq!(ready.status, 503, "{}", ready.text());
    let signer = Signer::unknown();
    let enrol = json(&enrolment(&signer, &site.token()));
    let answer = signer.post(&client, ENROL_PATH, &enrol);
    let (status, code, message) = answer.refusal();
    assert_eq!((status, code.as_str()), (503, codes::UNAVAILABLE), "{message}");
    assert!(message.contains("no policy is in force"), "{message}");
    assert!(answer.header("retry-after").is_some(), "{:?}", answer.headers);
    assert_eq!(site.rows()["devices"], Vec::<String>::new());

    site.publish(&policy("telegram"));
    wait_for("the collector to be ready", || {
        let ready = client.request("GET", "/readyz", &[], b"")?;
        if ready.status == 200 { Ok(()) } else { Err(ready.text()) }
    });
    assert_eq!(signer.post(&client, ENROL_PATH, &enrol).status, 200);
}
