//! The tree of units against a naive one.

use std::collections::{BTreeMap, BTreeSet};

use offchannel_server::domain::placement::{PlacedBy, unit_of};
use offchannel_server::domain::tree::{Organisation, Tree};
use offchannel_server::domain::unit::{DEPTH_MAX, Held, Owner, Unit, UnitError};
use offchannel_shared::ids::UnitId;
use offchannel_shared::label::Label;
use proptest::prelude::*;

pub(super) fn id(name: &str) -> UnitId {
    UnitId::new(name).unwrap()
}

pub(super) fn unit(name: &str, parent: Option<&str>) -> Unit {
    Unit { id: id(name), name: name.to_owned(), parent: parent.map(id), owner: None, label: None }
}

pub(super) fn label(text: &str) -> Label {
    Label::new(text).unwrap()
}

pub(super) fn labels(texts: &[&str]) -> BTreeSet<Label> {
    texts.iter().map(|text| label(text)).collect()
}

/// `top` with `north` and `south`, `leeds` in `north`.
pub(super) fn tree() -> Tree {
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

pub(super) fn path(tree: &Tree, of: &str) -> String {
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
