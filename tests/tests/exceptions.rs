//! Exceptions from the request to their end, beside a collector that serves.

use offchannel_tests::device::dpkg;
use offchannel_tests::site::POLICY;
use offchannel_tests::{Agent, Device, Root, Site, wait_for};

#[test]
fn a_finding_is_accepted_for_a_time_by_two_people_and_counts_again_when_that_is_over() {
    let site = Site::serving();
    let client = site.client();
    let device = Device::enrol(&client, &site.token());
    device.send(&client, &device.report(1, vec![dpkg("telegram", "telegram-desktop", "4.6.5")]));
    let id = site.only_device()["device"]["id"].as_str().expect("an id").to_owned();
    assert_eq!(site.only_device()["device"]["status"], "breach");

    let asked = ["exception", "request", "--device", &id, "--app", "telegram", "--for", "6s", "--by", "ada"];
    let asked = site.json(&[&asked[..], &["--reason", "the press desk"]].concat());
    let exception = asked["exception"]["id"].as_str().expect("an id").to_owned();
    let own = site.run(&["exception", "approve", &exception, "--by", "Ada"]);
    assert!(own.failure().contains("somebody else approves it"), "{own:#?}");
    assert_eq!(site.only_device()["device"]["status"], "breach", "nobody has approved it");

    let approved =
        site.json(&["exception", "approve", &exception, "--by", "grace", "--note", "until Friday"]);
    assert_eq!(approved["exception"]["standing"], "active", "{approved:#}");
    let resolved = site.receiver.wait_for("alert.resolved", "telegram");
    assert_eq!(resolved.data["alert"]["cause"], "exception", "{:#}", resolved.data);
    assert_eq!(site.only_device()["device"]["status"], "exempt");
    let shown = site.run(&["device", "show", &id]).stdout;
    assert!(shown.contains(&format!("accepted by exception {exception}")), "{shown}");
    // In every count: no list looks as if nothing were there.
    let listed = &site.devices()[0];
    assert_eq!((&listed["findings"], &listed["accepted"]), (&1.into(), &1.into()), "{listed:#}");
    let list = site.run(&["device", "list"]).stdout;
    assert!(list.contains("1 (1 accepted)") && list.ends_with("1 device: 1 exempt.\n"), "{list}");

    site.receiver.wait_for("alert.reopened", "telegram");
    assert_eq!(site.only_device()["device"]["status"], "breach");
    let shown = site.json(&["exception", "show", &exception]);
    assert_eq!(shown["exception"]["standing"], "ended", "{shown:#}");
    assert_eq!(shown["history"][1]["text"], "until Friday", "{shown:#}");
}

#[test]
fn an_exception_is_refused_that_is_longer_than_the_policy_allows_or_names_what_there_is_not() {
    let site = Site::with_policy(&POLICY.replace("[[rule]]", "[exceptions]\nlongest = \"7d\"\n\n[[rule]]"));
    site.json(&["unit", "add", "sales", "--author", "sam"]);
    let by = ["--reason", "x", "--by", "ada"];
    let ask = |what: &[&str]| site.run(&[&["exception", "request"], what, &by].concat());
    let long = ask(&["--unit", "sales", "--app", "telegram", "--for", "8d"]);
    assert!(long.failure().contains("at most 1w"), "{long:#?}");
    let rule = ask(&["--unit", "sales", "--rule", "no-such-rule", "--for", "1d"]);
    assert!(rule.failure().contains("no rule no-such-rule"), "{rule:#?}");
    let device = ask(&["--device", "dev_00000000000000000000000000", "--app", "telegram", "--for", "1d"]);
    assert!(device.failure().contains("there is no device"), "{device:#?}");
    let doubtful = ask(&["--person", "4711", "--app", "telegran", "--for", "1d"]).stdout;
    for warning in [
        "Warning: the catalogue has no app \"telegran\"; did you mean \"telegram\"?\n",
        "Warning: no device is said to be used by 4711 now\n",
    ] {
        assert!(doubtful.contains(warning), "{doubtful}");
    }
    site.json(&["unit", "add", "press", "--label", "desk=press", "--author", "sam"]);
    let doubtful = ask(&["--label", "desk=pres", "--app", "telegram", "--for", "1d"]).stdout;
    assert!(
        doubtful.contains("no device has the label \"desk=pres\" now; did you mean \"desk=press\"?"),
        "{doubtful}"
    );
    for doubtful in site.json(&["exception", "list"])["exceptions"].as_array().expect("a list") {
        let id = doubtful["id"].as_str().expect("an id");
        site.json(&["exception", "refuse", id, "--by", "grace", "--note", "a typing error"]);
    }
    let unit = ask(&["--unit", "nowhere", "--app", "telegram", "--for", "1d"]);
    assert!(unit.failure().contains("there is no unit nowhere"), "{unit:#?}");
    let two = ask(&["--unit", "sales", "--person", "4711", "--app", "telegram", "--for", "1d"]);
    assert_eq!(two.code, 2, "{two:#?}");
    let everything = ask(&["--unit", "sales", "--for", "1d"]);
    assert_eq!(everything.code, 2, "{everything:#?}");

    let good = site.json(
        &[&["exception", "request", "--unit", "sales", "--app", "telegram", "--for", "1d"], &by[..]].concat(),
    );
    let id = good["exception"]["id"].as_str().expect("an id");
    let unsaid = site.run(&["exception", "refuse", id, "--by", "grace"]);
    assert!(unsaid.failure().contains("a reason has between"), "{unsaid:#?}");
    site.json(&["exception", "refuse", id, "--by", "grace", "--note", "use the approved one"]);
    assert!(site.run(&["exception", "list"]).stdout.contains("No exceptions."));
    let all = site.json(&["exception", "list", "--all"]);
    assert_eq!(all["exceptions"][0]["standing"], "refused", "{all:#}");
}

#[test]
fn an_exception_that_is_revoked_ends_at_once() {
    let site = Site::serving();
    let client = site.client();
    let device = Device::enrol(&client, &site.token());
    let id = site.devices()[0]["id"].as_str().expect("an id").to_owned();
    let asked = site.json(&[
        "exception",
        "request",
        "--device",
        &id,
        "--rule",
        "no-consumer-messaging",
        "--for",
        "30d",
        "--by",
        "ada",
        "--reason",
        "a pilot",
    ]);
    let exception = asked["exception"]["id"].as_str().expect("an id");
    site.json(&["exception", "approve", exception, "--by", "grace"]);
    device.send(&client, &device.report(1, vec![dpkg("telegram", "telegram-desktop", "4.6.5")]));
    wait_for("the finding to be accepted", || match &site.only_device()["device"]["status"] {
        status if status == "exempt" => Ok(()),
        status => Err(format!("it is {status}")),
    });
    assert!(site.alerts().is_empty(), "{:#?}", site.alerts());
    site.json(&["exception", "revoke", exception, "--by", "grace", "--note", "the pilot is over"]);
    site.receiver.wait_for("alert.opened", "telegram");
    assert_eq!(site.only_device()["device"]["status"], "breach");
}

/// `offchannel-agent status`, for its user.
fn status(agent: &Agent) -> serde_json::Value {
    agent.command(&["status", "--format", "json"]).json()
}

#[test]
fn a_user_asks_by_the_code_of_a_finding_and_sees_on_the_device_that_it_is_accepted_and_when_it_is_not() {
    let site = Site::serving();
    let mut root = Root::new();
    root.install("telegram-desktop", "4.6.5");
    let mut agent = Agent::of(&site, &root);
    agent.start();
    site.receiver.wait_for("alert.opened", "telegram");
    let code = wait_for("a finding with its code", || {
        let status = status(&agent);
        let code = status["findings"][0]["code"].as_str().map(str::to_owned);
        code.ok_or_else(|| format!("{status:#}"))
    });

    let ask = |code: &str| {
        let ask =
            ["exception", "request", "--code", code, "--for", "10d", "--reason", "sources", "--by", "ada"];
        site.run(&ask)
    };
    let mut typo = code.clone().into_bytes();
    typo[0] = if typo[0] == b'7' { b'8' } else { b'7' };
    let refused = ask(&String::from_utf8(typo).expect("a text"));
    assert_eq!(refused.code, 2, "{refused:#?}");
    assert!(refused.stderr.contains("typing error"), "{refused:#?}");
    let asked = ask(&code.to_lowercase());
    assert!(asked.stdout.contains("app   telegram\n  rule  no-consumer-messaging"), "{asked:#?}");
    let exception =
        site.json(&["exception", "list"])["exceptions"][0]["id"].as_str().expect("an id").to_owned();
    site.json(&["exception", "approve", &exception, "--by", "grace"]);

    wait_for("the agent to know what is accepted", || {
        let found = &status(&agent)["findings"][0];
        if found["accepted"]["exception"] == exception.as_str() { Ok(()) } else { Err(format!("{found:#}")) }
    });
    let shown = agent.command(&["status", "--lang", "en"]).stdout;
    assert!(shown.contains("accepted    by your organisation, until"), "{shown}");
    // What is known survives a restart.
    agent.stop();
    assert_eq!(status(&agent)["findings"][0]["accepted"]["exception"], exception.as_str());
    agent.start();
    site.json(&["exception", "revoke", &exception, "--by", "grace", "--note", "over"]);
    wait_for("the agent to know that nothing is accepted", || {
        let found = &status(&agent)["findings"][0];
        if found["accepted"].is_null() { Ok(()) } else { Err(format!("{found:#}")) }
    });
    root.remove("telegram-desktop");
    site.receiver.wait("the app to be gone", |heard| {
        heard
            .iter()
            .rev()
            .find(|heard| {
                heard.says("alert.resolved", "telegram") && heard.data["alert"]["cause"] == "removed"
            })
            .cloned()
    });
    let over = ask(&code);
    assert!(over.failure().contains("no finding has the code"), "{over:#?}");
}

#[test]
fn an_exception_is_looked_at_again_before_it_ends_and_by_then_no_longer() {
    let site =
        Site::with_policy(&POLICY.replace("[[rule]]", "[exceptions]\nreview_before = \"10d\"\n\n[[rule]]"));
    site.json(&[
        "unit",
        "add",
        "sales",
        "--owner",
        "Ada Doe",
        "--owner-email",
        "ada@example.org",
        "--author",
        "sam",
    ]);
    let ask = |days: &str| {
        let ask =
            ["exception", "request", "--unit", "sales", "--app", "telegram", "--for", days, "--by", "kim"];
        let asked = site.json(&[&ask[..], &["--reason", "the press desk"]].concat());
        let id = asked["exception"]["id"].as_str().expect("an id").to_owned();
        site.json(&["exception", "approve", &id, "--by", "grace"]);
        id
    };
    ask("30d");
    // Half of it is over in six seconds.
    let short = ask("12s");
    let due = site.receiver.wait_for_kind("alert.opened", "exception-ending");
    assert_eq!(due.data["unit"]["owner"], "Ada Doe", "{:#}", due.data);
    let note = due.data["note"].as_str().expect("a note");
    assert!(note.starts_with(&format!("{short} accepts telegram for unit sales until ")), "{note}");
    assert!(note.ends_with("; asked for by kim, approved by grace: the press desk"), "{note}");
    let listed = site.json(&["alert", "list", "--kind", "exception-ending"]);
    assert_eq!(listed["alerts"][0]["exception"], short.as_str(), "{listed:#}");
    site.json(&["alert", "note", due.alert(), "--note", "asked Kim", "--by", "ada"]);
    let over = site.receiver.wait_for_kind("alert.resolved", "exception-ending");
    assert_eq!(over.alert(), due.alert());
}
