//! The life of a policy with the real programs: drafts, what would change, approval, schedules, a repository.

use std::fs;
use std::process::Command;

use offchannel_tests::{Agent, Output, Root, Site, wait_for};

const ROUTE: &str = "/api/v1/policy";

fn policy(apps: &str) -> String {
    format!(
        "schema = 1\nname = \"Life\"\nstale_after = \"1h\"\ncheck_in_every = \"5s\"\n\n\
         [[rule]]\nid = \"no-chat\"\nverdict = \"prohibited\"\napps = [{apps}]\n"
    )
}

/// What a command prints that must succeed, without what differs from run to run.
#[track_caller]
fn said(site: &Site, arguments: &[&str]) -> String {
    let output = site.run(arguments);
    assert_eq!(output.code, 0, "{arguments:?}: {output:#?}");
    output.stdout
}

/// The instant so many seconds from now, as the system's `date` tells it.
fn in_seconds(seconds: u32) -> String {
    let output = Output::of(Command::new("date").args([
        "-u",
        "-d",
        &format!("{seconds} seconds"),
        "+%Y-%m-%dT%H:%M:%SZ",
    ]));
    assert_eq!(output.code, 0, "{output:#?}");
    output.stdout.trim().to_owned()
}

#[test]
fn what_would_change_is_told_before_and_happens_after() {
    let site = Site::with_policy(&policy("\"telegram\", \"hexchat\""));
    let mut root = Root::new();
    root.install("hexchat", "2.16.1-1");
    let _agent = Agent::running(&site, &root);
    site.receiver.wait_for("alert.opened", "hexchat");

    let file = site.policy_file(&policy("\"telegram\", \"signal\""));
    // What else is written meanwhile is when a device was heard of, and how a delivery went.
    let kept = || {
        let rows = site.rows();
        ["policies", "policy_drafts", "findings", "alerts", "alert_events"].map(|table| rows[table].clone())
    };
    let before = kept();
    let told = site.json(&["policy", "what-if", "--file", &file]);
    assert_eq!(kept(), before, "asking changed the database");
    assert_eq!((&told["totals"]["devices"], &told["totals"]["cleared"]), (&1.into(), &1.into()), "{told:#}");
    let change = &told["devices"][0]["changes"][0];
    assert_eq!((&change["app"], &change["before"]), (&"hexchat".into(), &"breach".into()), "{told:#}");
    assert!(change["after"].is_null(), "{told:#}");
    assert_eq!(told["unseen"]["apps"], serde_json::json!(["signal"]), "{told:#}");
    let text = said(&site, &["policy", "what-if", "--file", &file]);
    let id = told["devices"][0]["device"].as_str().expect("an id");
    for part in [
        "Of 1 device, compared with version 1 at ",
        "        1  cleared\n",
        "Not known beforehand: 1 do not report Signal now",
        id,
    ] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    let diff = said(&site, &["policy", "diff", "1", &file]);
    assert_eq!(diff, "~ rule no-chat: apps: + signal, - hexchat\n");
    site.publish(&policy("\"telegram\", \"signal\""));
    site.receiver.wait_for("alert.resolved", "hexchat");
    assert_eq!(said(&site, &["policy", "diff", "2", &file]), "The two mean the same.\n");
}

#[test]
fn a_scheduled_policy_takes_force_at_its_time_here_and_on_the_device() {
    let site = Site::with_policy(&policy("\"telegram\""));
    let mut root = Root::new();
    root.install("hexchat", "2.16.1-1");
    let _agent = Agent::running(&site, &root);
    site.wait_for_report();

    let file = site.policy_file(&policy("\"hexchat\""));
    let publish = ["policy", "publish", "--author", "ada", "--file", &file, "--effective-from"];
    let past = site.run(&[&publish[..], &["2020-01-01T00:00:00Z"]].concat());
    assert!(past.failure().contains("is not in the future"), "{past:#?}");
    let far = said(&site, &[&publish[..], &["2099-01-01T00:00:00Z"]].concat());
    assert_eq!(far, "Version 2 takes force at 2099-01-01 00:00:00Z, unless a newer one does before.\n");
    let soon = in_seconds(6);
    let published = site.json(&[&publish[..], &[&soon, "--if-version", "2"]].concat());
    assert_eq!(published["policy"]["version"], 3, "{published:#}");
    assert_eq!(published["overtaken"], serde_json::json!([2]), "{published:#}");

    let opened = site.receiver.wait_for("alert.opened", "hexchat");
    assert_eq!(opened.data["rule"]["policy_version"], 3, "{:#}", opened.data);
    wait_for("the agent to have version 3", || {
        let device = site.only_device();
        if device["device"]["policy_version"] == 3 { Ok(()) } else { Err(format!("{device:#}")) }
    });
    let versions = site.json(&["policy", "list"]);
    assert_eq!(versions["in_force"], 3, "{versions:#}");
    let since = versions["policies"][0]["in_force_since"].as_str().expect("an instant");
    assert!(since >= soon.trim_end_matches('Z'), "in force since {since}, before {soon}");
    let list = said(&site, &["policy", "list"]);
    let states: Vec<bool> = list
        .lines()
        .skip(1)
        .zip(["in force", "overtaken", "replaced"])
        .map(|(line, state)| line.contains(state))
        .collect();
    assert_eq!(states, [true; 3], "{list}");

    let file = site.policy_file(&policy("\"signal\""));
    let later = site.run(&[
        "policy",
        "publish",
        "--author",
        "ada",
        "--file",
        &file,
        "--effective-from",
        "2099-01-01T00:00:00Z",
    ]);
    assert_eq!(later.code, 0, "{later:#?}");
    assert_eq!(
        said(&site, &["policy", "cancel", "4", "--author", "ada"]),
        "Version 4 is cancelled; it will not take force.\n"
    );
    for (version, why) in [
        ("4", "is cancelled"),
        ("3", "is in force"),
        ("2", "is overtaken"),
        ("9", "there is no policy version 9"),
    ] {
        let message = site.run(&["policy", "cancel", version, "--author", "ada"]);
        assert!(message.failure().contains(why), "{message:#?}");
    }
    // The one in force is what is shown; a cancelled one does not count.
    assert_eq!(said(&site, &["policy", "show"]), policy("\"hexchat\""));
    let again =
        site.json(&["policy", "republish", "1", "--author", "ada", "--comment", "Back", "--if-version", "3"]);
    assert_eq!(
        (&again["policy"]["version"], &again["policy"]["comment"]),
        (&5.into(), &"Back".into()),
        "{again:#}"
    );
    assert_eq!(said(&site, &["policy", "show"]), policy("\"telegram\""));
}

#[test]
fn drafts_are_kept_replaced_and_published() {
    let site = Site::serving();
    let file = site.policy_file(&policy("\"signal\", \"telegram\""));
    let save = ["policy", "draft", "save", "--file", &file, "--name", "winter", "--author", "ada"];
    let first = site.json(&save)["draft"]["id"].as_str().expect("an id").to_owned();
    let second = site.json(&save)["draft"]["id"].as_str().expect("an id").to_owned();
    let drafts = site.json(&["policy", "draft", "list"]);
    assert_eq!(drafts["drafts"].as_array().map(Vec::len), Some(1), "{drafts:#}");
    let gone = site.run(&["policy", "draft", "show", &first]);
    assert!(gone.failure().contains("there is no draft"), "{gone:#?}");
    assert_eq!(said(&site, &["policy", "draft", "show", &second]), policy("\"signal\", \"telegram\""));
    let wrong = site.policy_file("schema = 2\n");
    let refused = site.run(&["policy", "draft", "save", "--file", &wrong]);
    assert!(refused.failure().contains("1:10: error: schema: expected 1"), "{refused:#?}");
    assert_eq!(site.json(&["policy", "what-if", "--draft", &second])["totals"]["devices"], 0);
    let published = site.json(&["policy", "publish", "--draft", &second, "--author", "ada"]);
    assert_eq!(published["policy"]["version"], 2, "{published:#}");
    assert_eq!(said(&site, &["policy", "draft", "list"]), "No drafts.\n");
    let twice = site.run(&["policy", "publish", "--draft", &second, "--author", "ada"]);
    assert!(twice.failure().contains("there is no draft"), "{twice:#?}");
}

#[test]
fn units_and_labels_that_there_are_not_are_told_before_and_at_publication() {
    let site = Site::bare();
    said(&site, &["migrate"]);
    said(&site, &["unit", "add", "finance", "--author", "ada"]);
    said(&site, &["token", "create", "--device-label", "kiosk"]);
    let scoped = |scope: &str| format!("{}where = {{ {scope} }}\n", policy("\"signal\""));
    let file = site.policy_file(&scoped("unit = [\"finanse\"], label = [\"kiosk\", \"lobby\"]"));
    let wrong = "rule[1].where.unit: there is no unit \"finanse\"; did you mean \"finance\"?";
    for command in [
        &["policy", "what-if", "--file", &file][..],
        &["policy", "draft", "save", "--file", &file],
        &["policy", "publish", "--file", &file, "--author", "ada"],
    ] {
        let told = said(&site, command);
        assert!(told.contains(wrong), "{told}");
        assert!(told.contains("has the label \"lobby\"") && !told.contains("\"kiosk\""), "{told}");
        let warnings = site.json(command)["warnings"].as_array().map(Vec::len);
        assert_eq!(warnings, Some(2), "{command:?}");
    }
    let right = site.policy_file(&scoped("unit = [\"finance\"], label = [\"kiosk\"]"));
    let told = site.json(&["policy", "what-if", "--file", &right]);
    assert_eq!(told["warnings"].as_array().map(Vec::len), Some(0), "{told:#}");
}

#[test]
fn whoever_publishes_has_a_name() {
    let site = Site::serving();
    let file = site.policy_file(&policy("\"signal\""));
    for (name, code) in
        [("", 1), ("  ", 1), ("ada\nroot", 1), ("a\u{202e}da", 1), ("collector", 1), (" ada ", 0)]
    {
        let output = site.run(&["policy", "publish", "--file", &file, "--author", name]);
        assert_eq!(output.code, code, "{name:?}: {output:#?}");
        assert!(
            code == 0 || output.stderr.contains("a name has between 1 and 200 characters"),
            "{output:#?}"
        );
    }
    assert_eq!(site.json(&["policy", "list"])["policies"][0]["author"], "ada");
    let publish = ["policy", "publish", "--file", &file, "--author", "ada", "--effective-from"];
    let soon = site.run(&[&publish[..], &["tomorrow"]].concat());
    assert!(soon.code == 2 && soon.stderr.contains("such as 2026-12-01T09:00:00Z"), "{soon:#?}");
    // What is wanted is not there: nothing has failed.
    let missing = site.run(&["policy", "republish", "99", "--author", "ada"]);
    assert_eq!(missing.failure(), "offchannel-server: there is no policy version 99\n");
}

#[test]
fn where_two_have_to_agree_nobody_publishes_alone() {
    let site = Site::serving();
    let config = fs::read_to_string(site.config()).expect("the configuration");
    fs::write(site.config(), format!("{config}\n[policy]\nfour_eyes = true\n")).expect("the configuration");
    let file = site.policy_file(&policy("\"signal\""));
    let publish = ["policy", "publish", "--file", &file, "--author", "Ada"];
    let proposed = site.json(&publish);
    assert!(proposed["policy"].is_null(), "{proposed:#}");
    let id = proposed["proposal"]["id"].as_str().expect("an id");
    let other = site.json(&publish)["proposal"]["id"].as_str().expect("an id").to_owned();
    assert_eq!(site.json(&["policy", "list"])["in_force"], 1);
    for name in ["ada ", "Ad\u{200b}a"] {
        let alone = site.run(&["policy", "approve", id, "--author", name]);
        assert!(alone.failure().contains("somebody else has to approve it"), "{alone:#?}");
    }
    let approved = said(&site, &["policy", "approve", id, "--author", "Grace"]);
    assert_eq!(approved, "Version 2 is in force; agents take it at their next check-in.\n");
    let version = &site.json(&["policy", "list"])["policies"][0];
    assert_eq!(
        (&version["author"], &version["approved_by"]),
        (&"Ada".into(), &"Grace".into()),
        "{version:#}"
    );
    // What the other one was approved against is not what is in force any more.
    let late = site.run(&["policy", "approve", &other, "--author", "Grace"]);
    assert!(late.failure().contains("expected version 1, found 2"), "{late:#?}");
    assert!(said(&site, &["policy", "draft", "delete", &other]).contains("is deleted"));
}

#[test]
fn a_repository_publishes_with_a_token_until_it_is_revoked() {
    let site = Site::serving();
    let file = site.folder().join("ci.token");
    let made = site.json(&[
        "token",
        "api",
        "create",
        "--label",
        "CI",
        "--may",
        "policy:publish",
        "--out",
        file.to_str().expect("a path"),
    ]);
    let (id, token) =
        (made["token"]["id"].as_str().expect("an id"), fs::read_to_string(&file).expect("a token"));
    assert!(!format!("{:?}", site.rows()).contains(token.trim()), "the token is stored");
    let bearer = ("authorization", format!("Bearer {}", token.trim()));
    let client = site.client();
    let get = client.request("GET", ROUTE, std::slice::from_ref(&bearer), b"").expect("an answer");
    assert_eq!((get.status, get.text().as_str()), (200, offchannel_tests::site::POLICY));
    let put = |version: &str| {
        let headers = [bearer.clone(), ("if-match", version.to_owned())];
        client.request("PUT", ROUTE, &headers, policy("\"signal\"").as_bytes()).expect("an answer")
    };
    assert_eq!(put("\"1\"").json()["version"], 2);
    assert_eq!(
        (put("\"1\"").status, put("\"1\"").header("etag").map(str::to_owned)),
        (412, Some("\"2\"".to_owned()))
    );
    assert!(said(&site, &["policy", "list"]).contains("api: CI"));
    let revoked = said(&site, &["token", "api", "revoke", id]);
    assert!(revoked.starts_with(&format!("API token {id} was revoked at ")), "{revoked}");
    let (status, code, message) = put("\"2\"").refusal();
    assert_eq!((status, code.as_str()), (401, "api_token_refused"), "{message}");
    assert!(said(&site, &["token", "api", "list"]).contains("revoked"));
}
