//! What the security team does to alerts with the collector's commands, beside a collector that serves.

use std::sync::Barrier;

use offchannel_shared::inventory::Sighting;
use offchannel_tests::device::dpkg;
use offchannel_tests::site::POLICY;
use offchannel_tests::{Device, Output, Site, wait_for};
use serde_json::Value;

fn both() -> Vec<Sighting> {
    vec![dpkg("hexchat", "hexchat", "2.16.1-1"), dpkg("telegram", "telegram-desktop", "4.6.5")]
}

fn id(alert: &Value) -> &str {
    alert["id"].as_str().expect("an id")
}

#[test]
fn alerts_are_taken_up_given_away_put_off_and_opened_again() {
    let site = Site::serving();
    let client = site.client();
    let device = Device::enrol(&client, &site.token());
    device.send(&client, &device.report(1, both()));
    let telegram = site.alert_about("telegram");
    let by = ["--by", "ada"];
    let done = site.json(&[&["alert", "acknowledge", id(&telegram)][..], &by].concat());
    assert_eq!(done["alerts"][0]["outcome"], "done", "{done:#}");
    let again = site.json(&[&["alert", "ack", id(&telegram)][..], &by].concat());
    assert_eq!(again["alerts"][0]["outcome"], "unchanged", "{again:#}");
    let given = ["alert", "assign", id(&telegram), "--to", "grace", "--note", "she knows the team"];
    site.json(&[&given[..], &by].concat());
    let hers = site.json(&["alert", "list", "--assignee", "grace"]);
    assert_eq!(hers["alerts"].as_array().map(Vec::len), Some(1), "{hers:#}");
    assert_eq!(hers["alerts"][0]["state"], "acknowledged", "{hers:#}");

    site.json(&[&["alert", "snooze", id(&telegram), "--for", "1s"][..], &by].concat());
    wait_for("the alert to open again by itself", || match &site.alert_about("telegram")["state"] {
        state if state == "open" => Ok(()),
        state => Err(format!("it is {state}")),
    });
    let told = ["opened", "acknowledged", "assigned", "snoozed", "woke"];
    assert_eq!(site.history(id(&telegram)), told);
    let shown = site.run(&["alert", "show", id(&telegram)]).stdout;
    assert!(shown.contains("grace: she knows the team") && shown.contains("With    grace"), "{shown}");

    let wrong = ["alert", "resolve", id(&telegram), "--cause", "false-positive"];
    let refused = site.run(&[&wrong[..], &by].concat());
    assert_eq!(refused.code, 1, "{refused:#?}");
    assert!(refused.stdout.contains("a note has between 1 and"), "{refused:#?}");
    site.json(&[&wrong[..], &["--note", "another package of that name"], &by].concat());
    // It is still there, and stays closed.
    device.send(&client, &device.report(2, vec![dpkg("telegram", "telegram-desktop", "4.6.6")]));
    assert_eq!(site.alert_about("telegram")["state"], "resolved");
    assert_eq!(site.alert_about("telegram")["cause"], "false-positive");
}

#[test]
fn many_alerts_are_dealt_with_at_once_and_each_says_how_it_went() {
    let site = Site::serving();
    let client = site.client();
    for _ in 0..3 {
        let device = Device::enrol(&client, &site.token());
        device.send(&client, &device.report(1, both()));
    }
    let matching = ["alert", "acknowledge", "--matching", "--app", "telegram", "--by", "ada"];
    let meant = site.json(&[&matching[..], &["--dry-run"]].concat());
    assert_eq!(meant["alerts"].as_array().map(Vec::len), Some(3), "{meant:#}");
    assert!(site.alerts().iter().all(|alert| alert["state"] == "open"), "a dry run did something");
    let done = site.json(&matching);
    let outcomes: Vec<&Value> =
        done["alerts"].as_array().expect("alerts").iter().map(|alert| &alert["outcome"]).collect();
    assert_eq!(outcomes, ["done", "done", "done"]);
    let states = |app: &str| {
        let alerts = site.alerts();
        let of = alerts.iter().filter(|alert| alert["app"] == app);
        of.map(|alert| alert["state"].as_str().expect("a state").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(states("telegram"), ["acknowledged"; 3]);
    assert_eq!(states("hexchat"), ["open"; 3]);

    let everything = site.run(&["alert", "acknowledge", "--matching", "--by", "ada"]);
    assert!(everything.code == 2 && everything.stderr.contains("--severity <SEVERITY>"), "{everything:#?}");
    let both = site.run(&[
        "alert",
        "acknowledge",
        "alr_00000000000000000000000001",
        "--app",
        "telegram",
        "--by",
        "ada",
    ]);
    assert!(both.code == 2 && both.stderr.contains("cannot be used with"), "{both:#?}");

    // What is listed is what an act is about.
    site.run(&["unit", "add", "sales", "--author", "ada"]);
    site.run(&["unit", "add", "leeds", "--parent", "sales", "--author", "ada"]);
    let device = site.devices()[0]["id"].as_str().expect("an id").to_owned();
    site.run(&["device", "assign", &device, "--unit", "leeds", "--author", "ada"]);
    let count = |options: &[&str]| {
        let list = site.json(&[&["alert", "list"], options].concat());
        let meant = [&["alert", "note", "--matching", "--dry-run", "--by", "ada"], options].concat();
        let meant = site.json(&meant)["alerts"].as_array().map(Vec::len);
        assert_eq!(list["alerts"].as_array().map(Vec::len), meant, "{options:?}");
        meant.expect("alerts")
    };
    assert_eq!(count(&["--unit", "sales"]), 2);
    assert_eq!(count(&["--unit", "sales", "--state", "acknowledged"]), 1);
    assert_eq!(count(&["--state", "open", "--state", "acknowledged"]), 6);
    assert_eq!((count(&["--severity", "medium"]), count(&["--severity", "critical"])), (6, 0));
    let nowhere = site.run(&["alert", "list", "--unit", "slaes"]);
    assert!(nowhere.failure().contains("there is no unit slaes; did you mean sales?"), "{nowhere:#?}");
    // One of several is refused: the others are done, and the exit code says that not all is well.
    let some = site.alerts();
    let closed = ["alert", "resolve", "--cause", "removed", id(&some[0]), id(&some[1]), "--by", "ada"];
    let refused = site.run(&closed);
    assert_eq!(refused.code, 1, "{refused:#?}");
    assert!(refused.stdout.contains("still the case"), "{refused:#?}");
}

/// Runs commands at the same time, each in its own process.
fn at_once(site: &Site, commands: &[Vec<&str>]) -> Vec<Output> {
    let start = Barrier::new(commands.len());
    std::thread::scope(|scope| {
        let running: Vec<_> = commands
            .iter()
            .map(|command| {
                scope.spawn(|| {
                    start.wait();
                    site.run(command)
                })
            })
            .collect();
        running.into_iter().map(|one| one.join().expect("a command")).collect()
    })
}

#[test]
fn analysts_who_are_at_it_at_the_same_time_do_nothing_twice_and_undo_nothing() {
    let site = Site::serving();
    let client = site.client();
    for _ in 0..8 {
        let device = Device::enrol(&client, &site.token());
        device.send(&client, &device.report(1, both()));
    }
    let matching = |command: &[&'static str], by: &'static str| -> Vec<&str> {
        [&["alert"], command, &["--matching", "--app", "telegram", "--by", by, "--format", "json"]].concat()
    };
    let people = ["ada", "grace", "edith", "joan"];
    let outputs = at_once(&site, &people.map(|by| matching(&["acknowledge"], by)));
    let mut outcomes: Vec<String> = Vec::new();
    for output in &outputs {
        let told = output.json();
        let of = told["alerts"].as_array().expect("alerts").iter();
        outcomes.extend(of.map(|alert| alert["outcome"].as_str().expect("an outcome").to_owned()));
    }
    let done = outcomes.iter().filter(|outcome| *outcome == "done").count();
    assert_eq!((outcomes.len(), done), (32, 8), "each was taken up once: {outcomes:?}");
    let telegram: Vec<Value> = site.alerts().into_iter().filter(|alert| alert["app"] == "telegram").collect();
    for alert in &telegram {
        assert_eq!(site.history(id(alert)), ["opened", "acknowledged"]);
    }

    // Whatever comes first, what is over is not put off, and what was given to somebody stays theirs.
    let outputs = at_once(
        &site,
        &[
            matching(&["resolve", "--cause", "false-positive", "--note", "another package"], "ada"),
            matching(&["snooze", "--for", "1h"], "grace"),
            matching(&["assign", "--to", "joan"], "edith"),
        ],
    );
    assert_eq!(outputs[0].code, 0, "{:#?}", outputs[0]);
    for alert in &telegram {
        let shown = site.json(&["alert", "show", id(alert)]);
        assert_eq!((&shown["state"], &shown["cause"]), (&"resolved".into(), &"false-positive".into()));
        let history: Vec<&Value> = shown["history"].as_array().expect("a history").iter().collect();
        let last = history.last().expect("an entry");
        assert_eq!((&last["action"], &last["actor"]), (&"resolved".into(), &"ada".into()), "{shown:#}");
        let given = history.iter().any(|event| event["action"] == "assigned");
        assert_eq!(shown["assignee"] == "joan", given, "{shown:#}");
        assert!(shown["snoozed_until"].is_null(), "{shown:#}");
    }
}

#[test]
fn an_alert_that_wants_records_seen_to_stays_until_somebody_states_it() {
    let site = Site::with_policy(&format!("{POLICY}records_step = true\n"));
    let client = site.client();
    let device = Device::enrol(&client, &site.token());
    device.send(&client, &device.report(1, both()));
    device.send(&client, &device.report(2, Vec::new()));
    let alert = site.alert_about("telegram");
    assert_eq!((&alert["state"], &alert["holds"]), (&"open".into(), &false.into()), "{alert:#}");
    let ceased = site.receiver.wait_for("alert.ceased", "telegram");
    assert_eq!(ceased.alert(), id(&alert));
    let shown = site.run(&["alert", "show", id(&alert)]).stdout;
    assert!(shown.contains("alert record --records copied|none"), "{shown}");
    let recorded = site.json(&[
        "alert",
        "record",
        id(&alert),
        "--records",
        "copied",
        "--note",
        "file 17",
        "--by",
        "ada",
    ]);
    assert_eq!(recorded["alerts"][0]["events"][1]["action"], "resolved", "{recorded:#}");
    assert_eq!(site.alert_about("telegram")["state"], "resolved");
    let resolved = site.receiver.wait_for("alert.resolved", "telegram");
    assert_eq!(resolved.data["actor"], "ada", "{:#}", resolved.data);
}
