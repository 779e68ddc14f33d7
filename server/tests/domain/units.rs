//! The tree of units against a naive one, and files that are taken in.

use std::collections::{BTreeMap, BTreeSet};

use offchannel_server::domain::device_import::{self, DevicePlan};
use offchannel_server::domain::placement::{
    Assigned, Assignment, PersonRef, Placeable, PlacedBy, Placing, unit_of,
};
use offchannel_server::domain::sheet::{Row, Sheet};
use offchannel_server::domain::tree::{Organisation, Tree};
use offchannel_server::domain::unit::{DEPTH_MAX, Held, Owner, Unit, UnitError};
use offchannel_server::domain::unit_import::{self, ChangeKind, UnitPlan};
use offchannel_shared::device::Ownership;
use offchannel_shared::ids::{DeviceId, UnitId};
use offchannel_shared::label::Label;
use proptest::prelude::*;

fn id(name: &str) -> UnitId {
    UnitId::new(name).unwrap()
}

fn unit(name: &str, parent: Option<&str>) -> Unit {
    Unit { id: id(name), name: name.to_owned(), parent: parent.map(id), owner: None, label: None }
}

fn label(text: &str) -> Label {
    Label::new(text).unwrap()
}

fn labels(texts: &[&str]) -> BTreeSet<Label> {
    texts.iter().map(|text| label(text)).collect()
}

/// `top` with `north` and `south`, `leeds` in `north`.
fn tree() -> Tree {
    let owner = |name: &str| Some(Owner { name: name.to_owned(), email: None });
    [
        Unit { owner: owner("Sam"), ..unit("top", None) },
        Unit { owner: owner("Kim"), ..unit("north", Some("top")) },
        unit("south", Some("top")),
        unit("leeds", Some("north")),
    ]
    .into_iter()
    .collect()
}

fn path(tree: &Tree, of: &str) -> String {
    tree.path(&id(of)).iter().map(UnitId::as_str).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_unit_is_below_its_parent_and_answered_for_by_the_nearest_owner() {
    let tree = tree();
    assert_eq!(path(&tree, "leeds"), "leeds north top");
    assert_eq!(path(&tree, "nowhere"), "");
    let answers = |of: &str| tree.owner(&tree.path(&id(of))).map(|unit| unit.id.to_string());
    assert_eq!(answers("leeds").as_deref(), Some("north"));
    assert_eq!(answers("south").as_deref(), Some("top"));
}

#[test]
fn a_change_that_makes_no_sense_is_refused_with_what_would() {
    let mut tree = tree();
    let said = |outcome: Result<(), UnitError>| outcome.unwrap_err().to_string();
    assert_eq!(
        said(tree.add(unit("north", None))),
        "there is a unit north already: use `unit change` or `unit move`"
    );
    assert_eq!(said(tree.put(unit("york", Some("nroth")))), "there is no unit nroth; did you mean north?");
    assert_eq!(
        said(tree.put(unit("top", Some("leeds")))),
        "top cannot be part of leeds, which is top itself or a part of it"
    );
    assert_eq!(
        said(tree.put(unit("top", Some("top")))),
        "top cannot be part of top, which is top itself or a part of it"
    );
    let blank = Unit { name: " ".to_owned(), ..unit("york", None) };
    assert_eq!(
        said(tree.put(blank)),
        "the name: expected a text of 1 to 200 characters in one line, found \" \""
    );
    let owner = Some(Owner { name: "Sam".to_owned(), email: Some("sam".to_owned()) });
    assert_eq!(
        said(tree.put(Unit { owner, ..unit("york", None) })),
        "the owner's address: expected an address such as sam@example.org, found \"sam\""
    );
    for depth in 0..DEPTH_MAX {
        let parent = (depth > 0).then(|| format!("d{}", depth - 1));
        tree.put(unit(&format!("d{depth}"), parent.as_deref())).unwrap();
    }
    let deepest = format!("d{}", DEPTH_MAX - 1);
    assert_eq!(said(tree.put(unit("deep", Some(&deepest)))), "deep would have more than 19 units above it");
    let before = tree.clone();
    assert_eq!(
        said(tree.put(unit("d0", Some("top")))),
        format!("{deepest} would have more than 19 units above it")
    );
    assert_eq!(tree, before, "what is refused changes nothing");
}

#[test]
fn a_unit_with_something_in_it_is_not_removed_without_saying_where_to() {
    let held = BTreeMap::from([(id("leeds"), Held { devices: 2, tokens: 1, units: 0 })]);
    let organisation = Organisation { tree: tree(), held };
    let said = |name: &str| organisation.without(&id(name), None).unwrap_err().to_string();
    assert_eq!(
        said("leeds"),
        "leeds cannot be removed without saying where to: it has 2 devices, 1 enrolment token"
    );
    assert_eq!(said("north"), "north cannot be removed without saying where to: it has 1 unit");
    assert_eq!(path(&organisation.without(&id("south"), None).unwrap().tree, "leeds"), "leeds north top");
    let after = organisation.without(&id("north"), Some(Some(&id("south")))).unwrap();
    assert_eq!(path(&after.tree, "leeds"), "leeds south top");
    assert_eq!(after.heirs, BTreeMap::from([(id("north"), id("south"))]));
    let after = organisation.without(&id("top"), Some(None)).unwrap();
    assert_eq!(path(&after.tree, "leeds"), "leeds north");
}

/// Something that is done to a tree of few units.
#[derive(Debug, Clone)]
enum Step {
    Put(usize, Option<usize>),
    Remove(usize, Option<usize>),
}

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let name = || 0..NAMES.len();
    let step = prop_oneof![
        3 => (name(), prop::option::of(name())).prop_map(|(unit, parent)| Step::Put(unit, parent)),
        1 => (name(), prop::option::of(name())).prop_map(|(unit, heir)| Step::Remove(unit, heir)),
    ];
    prop::collection::vec(step, 0..40)
}

/// The way up in a map of parents; `None` if it has no end.
fn way(parents: &BTreeMap<usize, Option<usize>>, from: usize) -> Option<Vec<usize>> {
    let mut way = vec![from];
    while let Some(Some(parent)) = way.last().map(|last| parents[last]) {
        if way.contains(&parent) {
            return None;
        }
        way.push(parent);
    }
    Some(way)
}

proptest! {
    #[test]
    fn no_sequence_of_changes_makes_a_circle_and_every_way_up_is_right(steps in steps()) {
        let mut tree = Tree::default();
        let mut parents: BTreeMap<usize, Option<usize>> = BTreeMap::new();
        for step in steps {
            let before = tree.clone();
            let mut next = parents.clone();
            let (outcome, possible) = match step {
                Step::Put(unit_, parent) => {
                    next.insert(unit_, parent);
                    let known = parent.is_none_or(|parent| parents.contains_key(&parent) && parent != unit_);
                    let possible = known && way(&next, unit_).is_some();
                    (tree.put(unit(NAMES[unit_], parent.map(|parent| NAMES[parent]))), possible)
                }
                Step::Remove(unit_, heir) => {
                    let known = parents.contains_key(&unit_) && heir.is_none_or(|heir| parents.contains_key(&heir));
                    let inside = known && heir.is_some_and(|heir| way(&parents, heir).unwrap().contains(&unit_));
                    next.remove(&unit_);
                    for parent in next.values_mut().filter(|parent| **parent == Some(unit_)) {
                        *parent = heir;
                    }
                    let heir = heir.map(|heir| id(NAMES[heir]));
                    (tree.remove(&id(NAMES[unit_]), heir.as_ref()), known && !inside)
                }
            };
            prop_assert_eq!(outcome.is_ok(), possible, "{:?}", outcome);
            if possible {
                parents = next;
            } else {
                prop_assert_eq!(&tree, &before);
            }
            prop_assert_eq!(tree.len(), parents.len());
            prop_assert_eq!(tree.faults(), vec![]);
            for unit in parents.keys() {
                let expected: Vec<&str> = way(&parents, *unit).unwrap().iter().map(|at| NAMES[*at]).collect();
                prop_assert_eq!(path(&tree, NAMES[*unit]), expected.join(" "));
                let within: BTreeSet<UnitId> = parents
                    .keys()
                    .filter(|other| way(&parents, **other).unwrap().contains(unit))
                    .map(|other| id(NAMES[*other]))
                    .collect();
                prop_assert_eq!(tree.within(&id(NAMES[*unit])), within);
            }
        }
    }

    /// What a file is checked for finds a circle exactly where there is one.
    #[test]
    fn faults_are_found_in_any_set_of_units(
        parents in prop::collection::btree_map(0..NAMES.len(), prop::option::of(0..NAMES.len()), 0..=NAMES.len()),
    ) {
        let tree: Tree =
            parents.iter().map(|(at, parent)| unit(NAMES[*at], parent.map(|parent| NAMES[parent]))).collect();
        let faults: BTreeMap<UnitId, UnitError> = tree.faults().into_iter().collect();
        let missing = |at: usize| parents[&at].is_some_and(|parent| !parents.contains_key(&parent));
        for at in parents.keys() {
            let mut seen = Vec::new();
            let mut next = Some(*at);
            let mut circle = false;
            while let Some(here) = next.filter(|here| parents.contains_key(here)) {
                if seen.contains(&here) {
                    circle = here == *at;
                    break;
                }
                seen.push(here);
                next = parents[&here];
            }
            match faults.get(&id(NAMES[*at])) {
                Some(UnitError::Missing { .. }) => prop_assert!(missing(*at)),
                Some(UnitError::Cycle { .. }) => prop_assert!(circle),
                None => prop_assert!(!missing(*at) && !circle),
                Some(other) => prop_assert!(false, "{other:?}"),
            }
        }
    }

    #[test]
    fn a_device_is_where_the_strongest_word_puts_it(
        assigned in prop::option::of(0..4_usize), token in prop::option::of(0..4_usize), kiosk: bool,
    ) {
        let names = ["top", "north", "leeds", "nowhere"];
        let mut tree = tree();
        tree.put(Unit { label: Some(label("kiosk")), ..unit("south", Some("top")) }).unwrap();
        let known = |at: Option<usize>| at.map(|at| id(names[at])).filter(|unit| unit.as_str() != "nowhere");
        let labels = if kiosk { labels(&["kiosk"]) } else { labels(&["lab"]) };
        let given = |at: Option<usize>| at.map(|at| id(names[at]));
        let found = unit_of(&tree, given(assigned).as_ref(), given(token).as_ref(), &labels);
        let expected = match (known(assigned), known(token), kiosk) {
            (Some(unit), _, _) => Some((unit, PlacedBy::Assigned)),
            (None, Some(unit), _) => Some((unit, PlacedBy::Token)),
            (None, None, true) => Some((id("south"), PlacedBy::Label)),
            (None, None, false) => None,
        };
        prop_assert_eq!(found, expected);
    }
}

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
