//! What the commands that arrange the organisation say, and what they refuse.

use std::fs;

use offchannel_tests::{Device, Output, Site};

const AUTHOR: [&str; 2] = ["--author", "Sam Doe"];

fn migrated() -> Site {
    let site = Site::bare();
    assert_eq!(site.run(&["migrate"]).code, 0);
    site
}

#[track_caller]
fn done(site: &Site, arguments: &[&str]) -> String {
    let output = site.run(&[arguments, &AUTHOR].concat());
    assert_eq!(output.code, 0, "{output:#?}");
    output.stdout
}

fn file(site: &Site, name: &str, text: &str) -> String {
    let path = site.folder().join(name);
    fs::write(&path, text).expect("a file");
    path.to_str().expect("a path in UTF-8").to_owned()
}

const UNITS: &str = "\
id,name,parent,owner,owner_email
head-office,Head office,,Kim Lee,kim@example.org
finance,Finance,head-office,,
payroll,\"Payroll, UK\",finance,Alex Poe,
legal,Legal,head-office,,
";

#[track_caller]
fn import(site: &Site, what: &str, file: &str, options: &[&str]) -> Output {
    let output = site.run(&[&[what, "import", "--file", file], &AUTHOR[..], options].concat());
    Output { stdout: output.stdout.replace(file, "FILE"), ..output }
}

#[test]
fn units_are_added_changed_moved_shown_and_removed() {
    let site = migrated();
    assert_eq!(
        site.run(&["unit", "list"]).stdout,
        "No units. Add one with `offchannel-server unit add`, or many with `unit import`.\n"
    );
    assert_eq!(
        done(
            &site,
            &["unit", "add", "head-office", "--owner", "Kim Lee", "--owner-email", "kim@example.org"]
        ),
        "added    head-office: name head-office, owner Kim Lee, owner_email kim@example.org\n"
    );
    done(&site, &["unit", "add", "finance", "--parent", "head-office"]);
    done(&site, &["unit", "add", "payroll", "--parent", "finance", "--label", "site=leeds"]);
    assert_eq!(
        done(&site, &["unit", "change", "payroll", "--name", "Payroll", "--no-label"]),
        "changed  payroll: name payroll -> Payroll, label site=leeds -> -\n"
    );
    assert_eq!(
        done(&site, &["unit", "move", "payroll", "--to", "head-office"]),
        "moved    payroll: parent finance -> head-office\n"
    );
    assert_eq!(done(&site, &["unit", "move", "payroll", "--to", "head-office"]), "Nothing is different.\n");
    assert_eq!(
        site.run(&["unit", "list"]).stdout,
        "UNIT         NAME         OWNER    LABEL  DEVICES\n\
         head-office  head-office  Kim Lee  -      0\n  \
         finance    finance      -        -      0\n  \
         payroll    Payroll      -        -      0\n"
    );
    assert_eq!(
        site.run(&["unit", "show", "payroll"]).stdout,
        "Unit     payroll (Payroll)\nPart of  head-office\nParts    -\nOwner    Kim Lee <kim@example.org>, of head-office\n\
         Devices  0 of its own, 0 with those of the units below it\nTokens   0\n"
    );
    let shown = site.json(&["unit", "show", "payroll"]);
    assert_eq!(shown["unit"]["path"], serde_json::json!(["payroll", "head-office"]), "{shown:#}");
    assert_eq!(shown["unit"]["owner"]["unit"], "head-office", "{shown:#}");

    for (arguments, expected) in [
        (&["unit", "show", "payrol"][..], "there is no unit payrol; did you mean payroll?"),
        (&["unit", "add", "payroll", "--author", "x"], "there is a unit payroll already"),
        (&["unit", "move", "head-office", "--to", "payroll", "--author", "x"], "cannot be part of payroll"),
        (&["unit", "remove", "head-office", "--author", "x"], "without saying where to: it has 2 units"),
        (&["token", "create", "--unit", "legal"], "there is no unit legal"),
        (&["device", "list", "--unit", "legal"], "there is no unit legal"),
    ] {
        let refused = site.run(arguments);
        assert!(refused.failure().contains(expected), "{refused:#?}");
    }
    assert_eq!(site.run(&["unit", "add", "Legal!", "--author", "x"]).code, 2);
    let nobody = site.run(&["unit", "add", "sales", "--author", " "]);
    assert!(nobody.code == 2 && nobody.stderr.contains("a name has between 1 and"), "{nobody:#?}");
    assert_eq!(site.run(&["unit", "change", "payroll", "--author", "x"]).code, 2, "nothing is to be changed");
    assert_eq!(
        done(&site, &["unit", "remove", "head-office", "--to-none"]),
        "moved    finance: parent head-office -> -\n\
         gone     head-office: name head-office -> -, owner Kim Lee -> -, owner_email kim@example.org -> -\n\
         moved    payroll: parent head-office -> -\n"
    );
    let log = site.run(&["unit", "remove", "payroll", "--author", "Sam Doe"]).stderr;
    assert!(log.contains("the units were changed") && log.contains("Sam Doe"), "{log}");
}

#[test]
fn a_file_of_units_is_taken_in_whole_or_not_at_all() {
    let site = migrated();
    let good = file(&site, "units.csv", UNITS);
    let tried = import(&site, "unit", &good, &["--dry-run"]);
    let added = "added    finance: name Finance, parent head-office\n\
                 added    head-office: name Head office, owner Kim Lee, owner_email kim@example.org\n\
                 added    legal: name Legal, parent head-office\n\
                 added    payroll: name Payroll, UK, parent finance, owner Alex Poe\n";
    assert_eq!(tried.stdout, format!("{added}Dry run: 4 units would change. Nothing was changed.\n"));
    let rows = site.rows();
    assert_eq!(rows["units"].len(), 0, "a dry run changed something");
    assert_eq!(import(&site, "unit", &good, &[]).stdout, format!("{added}4 units changed.\n"));
    assert_eq!(import(&site, "unit", &good, &[]).stdout, "Everything is as the file says already.\n");

    let before = site.rows();
    let bad = file(
        &site,
        "bad.csv",
        "id,name,parent,owner,owner_email\nhead-office,Head office,payroll,Kim Lee,kim\nsales,Sales\nmarketing,Marketing,head-office,,\n",
    );
    for options in [&["--dry-run"][..], &[]] {
        let refused = import(&site, "unit", &bad, options);
        assert_eq!(refused.code, 1, "{refused:#?}");
        assert_eq!(
            refused.stdout,
            "added    marketing: name Marketing, parent head-office\n\
             FILE:2: owner_email: expected an address such as sam@example.org, found \"kim\"\n\
             FILE:3: expected 5 fields as in the first line, found 2\n\
             Nothing was changed: the file has 2 errors.\n"
        );
        assert_eq!(site.rows(), before);
    }
    let refused = import(&site, "unit", &bad, &["--format", "json"]);
    let told: serde_json::Value = serde_json::from_str(&refused.stdout).expect("JSON");
    assert_eq!((&told["applied"], refused.code), (&false.into(), 1), "{told:#}");
    assert_eq!(told["problems"][0]["line"], 2, "{told:#}");
    assert_eq!(told["problems"][0]["column"], "owner_email", "{told:#}");

    let less = file(&site, "less.csv", "id\nhead-office\nfinance\n");
    assert_eq!(import(&site, "unit", &less, &[]).stdout, "Everything is as the file says already.\n");
    let pruned = import(&site, "unit", &less, &["--prune"]);
    assert!(pruned.stdout.ends_with("2 units changed.\n"), "{pruned:#?}");
    assert_eq!(site.json(&["unit", "list"])["units"].as_array().map(Vec::len), Some(2));
}

#[test]
fn a_file_places_devices_and_the_commands_show_where() {
    let site = Site::serving();
    let units = file(&site, "units.csv", UNITS);
    assert_eq!(import(&site, "unit", &units, &[]).code, 0);
    done(&site, &["unit", "change", "legal", "--label", "lawyer"]);
    let (_, token) = site.token_with(&["--unit", "payroll", "--uses", "2"]);
    for _ in 0..2 {
        Device::enrol(&site.client(), &token);
    }
    let devices = site.devices();
    let id = |at: usize| devices[at]["id"].as_str().expect("an id").to_owned();
    let host = devices[0]["hostname"].as_str().expect("a name").to_owned();
    assert_eq!((&devices[0]["unit"], &devices[0]["unit_by"]), (&"payroll".into(), &"token".into()));

    // Both devices have one name.
    let twins = file(&site, "twins.csv", &format!("hostname,unit\n{host},legal\nnowhere,legal\n"));
    let refused = import(&site, "device", &twins, &["--skip-unknown"]);
    assert_eq!(refused.code, 1, "{refused:#?}");
    assert!(
        refused.stdout.contains(&format!("FILE:2: hostname: 2 devices are called {host:?}")),
        "{refused:#?}"
    );

    let (first, second) = (id(0), id(1));
    let good = file(
        &site,
        "devices.csv",
        &format!(
            "id,unit,labels,person,ownership\n{first},legal,site=leeds kiosk,staff-4711,personal\n{second},,lawyer,,\n"
        ),
    );
    let changes = format!(
        "changed  {first} ({host}): unit payroll (by token) -> legal, ownership corporate (by token) -> personal, \
         labels kiosk site=leeds, person staff-4711\nchanged  {second} ({host}): labels lawyer\n"
    );
    let tried = import(&site, "device", &good, &["--dry-run"]);
    assert_eq!(tried.stdout, format!("{changes}Dry run: 2 devices would change. Nothing was changed.\n"));
    let done_ = import(&site, "device", &good, &[]);
    assert_eq!(done_.stdout, format!("{changes}2 devices changed.\n"), "{done_:#?}");
    assert!(done_.stderr.contains("devices were placed by a file"), "{done_:#?}");
    assert_eq!(import(&site, "device", &good, &[]).stdout, "Everything is as the file says already.\n");

    let shown = site.run(&["device", "show", &first]).stdout;
    let expected = "Unit     legal (Legal), part of head-office\nOwner    Kim Lee <kim@example.org>, of head-office\n\
                    Labels   kiosk site=leeds\nPerson   staff-4711\nOwned    by the person who uses it\n";
    assert!(shown.contains(expected), "{shown}");
    let listed = |unit: &str| {
        let listed = site.json(&["device", "list", "--unit", unit]);
        let list = listed["devices"].as_array().expect("a list").iter();
        list.map(|device| device["id"].as_str().expect("an id").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(listed("legal"), [first.as_str()]);
    assert_eq!(listed("finance"), [second.as_str()]);
    assert_eq!(listed("head-office"), [first.as_str(), second.as_str()]);

    // The token says less than anybody, and more than a label.
    assert_eq!(
        done(&site, &["unit", "remove", "payroll", "--to-none"]),
        "gone     payroll: name Payroll, UK -> -, parent finance -> -, owner Alex Poe -> -\n"
    );
    assert_eq!(listed("legal"), [first.as_str(), second.as_str()], "its label leads it there");
    assert!(site.run(&["device", "show", &second]).stdout.contains(", by its labels\n"));
    assert_eq!(
        done(&site, &["device", "assign", &first, "--no-unit", "--no-person", "--no-ownership"]),
        format!(
            "changed  {first} ({host}): unit legal -> -, ownership personal -> corporate (by token), person staff-4711 -> -\n"
        )
    );
    let relabelled = site.run(&["device", "label", "--author", "Sam Doe", &first, "-kiosk", "+lawyer"]);
    assert_eq!(
        relabelled.stdout,
        format!(
            "changed  {first} ({host}): unit legal (by label), labels kiosk site=leeds -> lawyer site=leeds\n"
        )
    );
    for (arguments, code, expected) in [
        (&["device", "label", "--author", "x", &first, "-kiosk"][..], 1, "does not carry the label kiosk"),
        (&["device", "label", "--author", "x", &first, "kiosk"], 2, "expected +LABEL or -LABEL"),
        (&["device", "label", &first, "+kiosk", "--author", "x"], 2, "options before the device's id"),
        (&["device", "label", "--author", "x", &first, "+Kiosk"], 2, "is not a valid label"),
        (&["device", "assign", &first, "--unit", "nowhere", "--author", "x"], 1, "there is no unit nowhere"),
        (&["device", "assign", &first, "--author", "x"], 2, "required"),
        (
            &["device", "assign", "dev_00000000000000000000000000", "--no-unit", "--author", "x"],
            1,
            "no device",
        ),
    ] {
        let refused = site.run(arguments);
        assert_eq!(refused.code, code, "{refused:#?}");
        assert!(refused.stderr.contains(expected), "{refused:#?}");
    }
    assert_eq!(site.run(&["device", "retire", &first]).code, 0);
    let retired = site.run(&["device", "assign", &first, "--unit", "legal", "--author", "x"]);
    assert!(retired.failure().contains("is retired"), "{retired:#?}");
}
