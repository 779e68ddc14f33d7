//! Files of units and devices that are taken in, whole or not at all.

use std::collections::BTreeMap;

use offchannel_server::domain::device_import::{self, DevicePlan};
use offchannel_server::domain::placement::{Assigned, Assignment, PersonRef, Placeable, Placing};
use offchannel_server::domain::sheet::{Row, Sheet};
use offchannel_server::domain::tree::{Organisation, Tree};
use offchannel_server::domain::unit::{Held, UNITS_MAX, Unit};
use offchannel_server::domain::unit_import::{self, ChangeKind, UnitPlan};
use offchannel_shared::device::Ownership;
use offchannel_shared::ids::DeviceId;

use super::units::{id, labels, path, tree, unit};

/// A file with these columns, whose rows begin in line 2.
fn sheet<const N: usize>(columns: [&'static str; N], rows: &[[&str; N]]) -> Sheet {
    let row = |(line, cells): (u64, &[&str; N])| Row {
        line,
        cells: columns.into_iter().zip(cells.iter().map(|cell| (*cell).to_owned())).collect(),
    };
    Sheet { columns: columns.to_vec(), rows: (2..).zip(rows).map(row).collect(), bad: Vec::new() }
}

fn organisation() -> Organisation {
    let held = BTreeMap::from([(id("leeds"), Held { devices: 2, tokens: 0, units: 0 })]);
    Organisation { tree: tree(), held }
}

fn told(plan: &UnitPlan) -> Vec<String> {
    plan.bad.0.iter().map(ToString::to_string).collect()
}

#[test]
fn a_file_of_units_says_what_changes_and_says_nothing_the_second_time() {
    let organisation = organisation();
    let file = sheet(
        ["id", "name", "parent", "owner", "owner_email"],
        &[
            ["top", "Head office", "", "Sam", "sam@example.org"],
            // Below one that comes later.
            ["york", "", "east", "", ""],
            ["east", "East", "top", "", ""],
            ["leeds", "leeds", "south", "", ""],
            ["south", "south", "top", "", ""],
        ],
    );
    let plan = unit_import::plan(&organisation, &file, false);
    assert_eq!(told(&plan), [""; 0]);
    let changes = unit_import::changes(&organisation.tree, &plan.after.tree);
    let kinds: Vec<_> = changes.iter().map(|change| (change.unit.as_str(), change.kind)).collect();
    assert_eq!(
        kinds,
        [
            ("east", ChangeKind::Added),
            ("leeds", ChangeKind::Moved),
            ("top", ChangeKind::Changed),
            ("york", ChangeKind::Added)
        ]
    );
    assert_eq!(path(&plan.after.tree, "york"), "york east top");
    let again =
        unit_import::plan(&Organisation { tree: plan.after.tree.clone(), ..organisation }, &file, false);
    assert_eq!(unit_import::changes(&plan.after.tree, &again.after.tree), []);
}

#[test]
fn columns_that_a_file_does_not_have_stay_as_they_are() {
    let plan = unit_import::plan(&organisation(), &sheet(["id", "name"], &[["north", "North"]]), false);
    let north = plan.after.tree.get(&id("north")).unwrap();
    assert_eq!((north.name.as_str(), north.parent.clone()), ("North", Some(id("top"))));
    assert_eq!(north.owner.as_ref().unwrap().name, "Kim");
}

#[test]
fn units_that_a_file_does_not_have_go_only_if_that_is_wanted_and_they_are_empty() {
    let file = sheet(["id", "parent"], &[["top", ""]]);
    let kept = unit_import::plan(&organisation(), &file, false);
    assert_eq!(kept.after.tree.len(), 4);
    let pruned = unit_import::plan(&organisation(), &file, true);
    assert_eq!(told(&pruned), ["unit leeds is not in the file and cannot go: it has 2 devices"]);
    let file = sheet(["id", "parent"], &[["top", ""], ["leeds", "top"]]);
    let pruned = unit_import::plan(&organisation(), &file, true);
    assert_eq!((told(&pruned), pruned.after.tree.len()), (vec![], 2));
    // What is left hangs on what goes.
    let pruned = unit_import::plan(&organisation(), &sheet(["id"], &[["leeds"]]), true);
    assert_eq!(told(&pruned), ["2: parent: there is no unit north"]);
}

#[test]
fn every_bad_row_of_units_is_named() {
    let file = sheet(
        ["id", "name", "parent", "owner", "owner_email", "label"],
        &[
            ["North!", "", "", "", "", ""],
            ["york", &"x".repeat(201), "", "", "york@example.org", "kiosk=="],
            ["east", "", "East Side", "", "", ""],
            ["leeds", "", "north", "", "", ""],
            ["leeds", "", "south", "", "", ""],
        ],
    );
    let plan = unit_import::plan(&organisation(), &file, false);
    let slug = "expected 1 to 64 of a-z, 0-9 and inner hyphens";
    assert_eq!(told(&plan), [
        format!("2: id: \"North!\" is not a valid unit id: {slug}"),
        "3: label: \"kiosk==\" is not a valid label: expected key or key=value, each 1 to 64 of a-z, 0-9 and inner \
         hyphens"
            .to_owned(),
        format!(
            "3: name: expected a text of 1 to 200 characters in one line, found \"{}\" and more",
            "x".repeat(60)
        ),
        "3: owner_email: an address without an owner: expected a name in owner, too".to_owned(),
        format!("4: parent: \"East Side\" is not a valid unit id: {slug}"),
        "6: id: leeds stands in line 5 already".to_owned(),
    ]);
    let circle = sheet(["id", "parent"], &[["top", "leeds"], ["york", "nroth"]]);
    assert_eq!(
        told(&unit_import::plan(&organisation(), &circle, false)),
        [
            "unit leeds: leeds cannot be part of north, which is leeds itself or a part of it",
            "unit north: north cannot be part of top, which is north itself or a part of it",
            "2: parent: top cannot be part of leeds, which is top itself or a part of it",
            "3: parent: there is no unit nroth; did you mean north?",
        ]
    );
}

#[test]
fn a_bad_row_hides_no_other_and_accuses_none() {
    let columns = ["id", "name", "parent"];
    let long = "x".repeat(201);
    let file = sheet(
        columns,
        &[
            ["york", "", "selby"],
            ["selby", "", "york"],
            ["hull", "", "nroth"],
            ["ripon", &long, "top"],
            // Its parent is there, however bad its row.
            ["otley", "", "ripon"],
            // What moves `north` to the top is bad, and `top` may be below it then.
            ["north", &long, ""],
            ["top", "", "leeds"],
        ],
    );
    let told = told(&unit_import::plan(&organisation(), &file, false));
    let circle = "which is";
    assert_eq!(told.len(), 5, "{told:#?}");
    assert!(told[0].starts_with("2: parent: york cannot be part of selby") && told[0].contains(circle));
    assert!(told[1].starts_with("3: parent: selby cannot be part of york"), "{told:#?}");
    assert_eq!(told[2], "4: parent: there is no unit nroth; did you mean north?");
    assert!(told[3].starts_with("5: name: ") && told[4].starts_with("7: name: "), "{told:#?}");

    // With a row that does not say what it is about, circles within the file are all that is certain.
    let file = sheet(
        columns,
        &[
            ["york", "", "selby"],
            ["selby", "", "york"],
            ["hull", "", "ripon"],
            ["Ripon", "", ""],
            ["top", "", "leeds"],
        ],
    );
    let told = self::told(&unit_import::plan(&organisation(), &file, false));
    assert_eq!(told.len(), 3, "{told:#?}");
    assert!(told[0].starts_with("2: parent: york") && told[1].starts_with("3: parent: selby"), "{told:#?}");
    assert!(told[2].starts_with("5: id: \"Ripon\" is not"), "{told:#?}");

    // A unit whose row is bad is in the file.
    let pruned = sheet(columns, &[["top", "", ""], ["leeds", &long, "top"]]);
    let told = self::told(&unit_import::plan(&organisation(), &pruned, true));
    assert_eq!(told.len(), 1, "{told:#?}");
}

/// Each of these took minutes when every unit was looked for among all others.
#[test]
fn an_organisation_of_the_largest_size_is_dealt_with() {
    let name = |at: usize| format!("u{at}");
    let all = || (0..UNITS_MAX).map(|at| unit(&name(at), (at > 0).then(|| name(at / 10)).as_deref()));
    let organisation = Organisation { tree: all().collect(), held: BTreeMap::new() };
    let parts: u64 = organisation.tree.units().map(|unit| organisation.held(&unit.id).units).sum();
    assert_eq!(parts, UNITS_MAX as u64 - 1);
    assert_eq!(organisation.tree.within(&id("u0")).len(), UNITS_MAX);

    let one = sheet(["id", "parent"], &[["u0", ""]]);
    let pruned = unit_import::plan(&organisation, &one, true);
    assert_eq!((told(&pruned), pruned.after.tree.len()), (vec![], 1));

    let lost =
        all().map(|unit| Unit { parent: Some(id(&format!("{}x", unit.id))), ..unit }).collect::<Tree>();
    assert_eq!(lost.faults().len(), UNITS_MAX);
    let rows: Vec<[String; 2]> = (0..UNITS_MAX).map(|at| [format!("host{at}"), format!("x{at}")]).collect();
    let rows: Vec<[&str; 2]> = rows.iter().map(|row| row.each_ref().map(String::as_str)).collect();
    let devices = (0..UNITS_MAX).map(|at| Placeable {
        id: DeviceId::from_random([[0; 8], (at as u64).to_be_bytes()].concat().try_into().unwrap()),
        ..device(0, &format!("host{at}"))
    });
    let placing = Placing { tree: organisation.tree, devices: devices.collect() };
    let plan = device_import::plan(&placing, &sheet(["hostname", "unit"], &rows), false);
    assert_eq!(plan.bad.0.len(), UNITS_MAX);
    assert_eq!(plan.bad.0[0].to_string(), "2: unit: there is no unit x0; did you mean u0?");
}

fn device(number: u8, hostname: &str) -> Placeable {
    Placeable {
        id: DeviceId::from_random([number; 16]),
        hostname: hostname.to_owned(),
        retired: false,
        token_unit: Some(id("leeds")),
        token_ownership: Ownership::Corporate,
        assignment: Assignment::default(),
    }
}

fn placing() -> Placing {
    let retired = Placeable { retired: true, ..device(4, "old") };
    Placing {
        tree: tree(),
        devices: vec![device(1, "Kiosk-1"), device(2, "twin"), device(3, "TWIN"), retired],
    }
}

fn refusals(plan: &DevicePlan) -> Vec<String> {
    plan.bad.0.iter().map(ToString::to_string).collect()
}

#[test]
fn a_file_of_devices_says_what_changes_and_says_nothing_the_second_time() {
    let mut placing = placing();
    let second = placing.devices[1].id.to_string();
    let file = sheet(
        ["id", "hostname", "unit", "labels", "person", "ownership"],
        &[
            ["", "KIOSK-1", "south", "site=leeds kiosk", "p-17", "personal"],
            [&second, "Twin", "", "", "", ""],
        ],
    );
    let plan = device_import::plan(&placing, &file, false);
    assert_eq!((refusals(&plan), plan.same), (vec![], 1));
    let expected = Assignment {
        unit: Some(id("south")),
        ownership: Some(Ownership::Personal),
        labels: labels(&["kiosk", "site=leeds"]),
        person: Some(PersonRef::new("p-17").unwrap()),
    };
    let first = placing.devices[0].id.clone();
    assert_eq!(plan.assigned, [Assigned { device: first, assignment: expected.clone() }]);
    let told: Vec<_> = plan.changes[0]
        .differences
        .iter()
        .map(|d| {
            format!(
                "{}: {} -> {}",
                d.field,
                d.before.as_deref().unwrap_or("-"),
                d.after.as_deref().unwrap_or("-")
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            "unit: leeds (by token) -> south",
            "ownership: corporate (by token) -> personal",
            "labels: - -> kiosk site=leeds",
            "person: - -> p-17"
        ]
    );
    placing.devices[0].assignment = expected;
    let again = device_import::plan(&placing, &file, false);
    assert_eq!((again.same, again.assigned.len()), (2, 0));
    let cleared =
        sheet(["hostname", "unit", "labels", "person", "ownership"], &[["kiosk-1", "-", "-", "-", "-"]]);
    let plan = device_import::plan(&placing, &cleared, false);
    assert_eq!(plan.assigned[0].assignment, Assignment::default());
}

#[test]
fn every_bad_row_of_devices_is_named() {
    let placing = placing();
    let [first, old] = [0, 3].map(|at| placing.devices[at].id.to_string());
    let many = (0..33).map(|number| format!("l{number}")).collect::<Vec<_>>().join(" ");
    let file = sheet(
        ["id", "hostname", "unit", "labels", "person", "ownership"],
        &[
            ["", "", "south", "", "", ""],
            ["dev_1", "", "", "", "", ""],
            ["", "twin", "", "", "", ""],
            ["", "kiosk-9", "", "", "", ""],
            [&first, "kiosk-2", "", "", "", ""],
            [&old, "", "", "", "", ""],
            [&first, "", "nroth", "Kiosk", &"p".repeat(129), "mine"],
            ["", "kiosk-1", "", &many, "", ""],
        ],
    );
    let plan = device_import::plan(&placing, &file, false);
    let [two, three] = [1, 2].map(|at| placing.devices[at].id.to_string());
    assert_eq!(refusals(&plan), [
        "2: id: expected the id of a device, or its name in hostname".to_owned(),
        "3: id: \"dev_1\" is not a valid device id: expected dev_ and 26 characters of base32".to_owned(),
        format!("4: hostname: 2 devices are called \"twin\" ({two}, {three}): name the one that is meant in id"),
        "5: hostname: no device called \"kiosk-9\" is enrolled".to_owned(),
        format!("6: hostname: {first} is called \"Kiosk-1\", not \"kiosk-2\""),
        format!("7: id: the device {old} is retired"),
        "8: labels: \"Kiosk\" is not a valid label: expected key or key=value, each 1 to 64 of a-z, 0-9 and inner \
         hyphens"
            .to_owned(),
        "8: ownership: unknown ownership \"mine\": expected one of corporate, personal".to_owned(),
        format!(
            "8: person: \"{}\" and more is no reference to a person: expected 1 to 128 bytes in one line, and not \"-\"",
            "p".repeat(60)
        ),
        "8: unit: there is no unit nroth; did you mean north?".to_owned(),
        format!("9: line 8 is about {first} as well"),
        "9: labels: expected at most 32 labels, found 33".to_owned(),
    ]);
    let unknown =
        sheet(["hostname", "unit"], &[["kiosk-9", "south"], ["old", "south"], ["kiosk-1", "south"]]);
    let plan = device_import::plan(&placing, &unknown, true);
    assert_eq!((refusals(&plan), plan.unknown, plan.assigned.len()), (vec![], vec![2, 3], 1));
}
