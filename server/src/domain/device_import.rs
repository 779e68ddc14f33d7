//! Taking in a file that says where devices belong.

use std::collections::{BTreeMap, BTreeSet};

use offchannel_shared::device::Ownership;
use offchannel_shared::ids::{DeviceId, UnitId};
use offchannel_shared::label::{LABELS_MAX, Label};

use super::placement::{Assigned, Assignment, CLEAR, DeviceKey, Difference, PersonRef, Placeable, Placing};
use super::sheet::{BadRow, BadRows, Row, Sheet};
use super::tree::{Guesses, Tree};

/// The columns of the file; one of the first two is needed.
pub const COLUMNS: [&str; 6] = ["id", "hostname", "unit", "labels", "person", "ownership"];

/// A change of one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceChange {
    /// The device.
    pub device: DeviceId,
    /// Its host name.
    pub hostname: String,
    /// What is different.
    pub differences: Vec<Difference>,
}

/// What a file comes to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DevicePlan {
    /// What is to be said of devices of which something else was said; nothing about all others.
    pub assigned: Vec<Assigned>,
    /// The same for people.
    pub changes: Vec<DeviceChange>,
    /// Devices of which the file says what was said before.
    pub same: usize,
    /// The lines of devices that are not enrolled, or not any more, if these are to be left out.
    pub unknown: Vec<u64>,
    /// Every row that cannot be taken in; then none is.
    pub bad: BadRows,
}

/// The devices that a file names, as far as that can be read.
pub fn keys(sheet: &Sheet) -> Vec<DeviceKey> {
    let key = |row: &Row| match row.filled("id") {
        Some(id) => DeviceId::new(id).ok().map(DeviceKey::Id),
        None => row.filled("hostname").map(|name| DeviceKey::Hostname(name.to_owned())),
    };
    let keys: BTreeSet<DeviceKey> = sheet.rows.iter().filter_map(key).collect();
    keys.into_iter().collect()
}

/// What a file says of devices. With `skip_unknown` rows about devices that are not enrolled are left out.
pub fn plan(placing: &Placing, sheet: &Sheet, skip_unknown: bool) -> DevicePlan {
    let known = Known::of(placing);
    let mut bad = sheet.bad.clone();
    let mut plan = DevicePlan::default();
    let mut lines: BTreeMap<&DeviceId, u64> = BTreeMap::new();
    let mut guesses = Guesses::default();
    for row in &sheet.rows {
        let device = match known.find(row) {
            Ok(device) => device,
            Err(Unfound::Unknown(_)) if skip_unknown => {
                plan.unknown.push(row.line);
                continue;
            }
            Err(Unfound::Unknown(problem) | Unfound::Bad(problem)) => {
                bad.push(problem);
                continue;
            }
        };
        if let Some(line) = lines.insert(&device.id, row.line) {
            bad.push(BadRow {
                line: Some(row.line),
                column: None,
                message: format!("line {line} is about {} as well", device.id),
            });
        }
        match read(row, device, &placing.tree, &mut guesses) {
            Err(problems) => bad.extend(problems),
            Ok(assignment) if assignment == device.assignment => plan.same += 1,
            Ok(assignment) => {
                plan.changes.push(DeviceChange {
                    device: device.id.clone(),
                    hostname: device.hostname.clone(),
                    differences: device.differences(&placing.tree, &assignment),
                });
                plan.assigned.push(Assigned { device: device.id.clone(), assignment });
            }
        }
    }
    plan.bad = BadRows::sorted(bad);
    plan
}

/// Devices by what a file may name them by.
struct Known<'a> {
    ids: BTreeMap<&'a DeviceId, &'a Placeable>,
    hosts: BTreeMap<String, Vec<&'a Placeable>>,
}

/// Why a row's device was not found.
enum Unfound {
    /// There is none, or none any more.
    Unknown(BadRow),
    /// The row does not say which it is.
    Bad(BadRow),
}

impl<'a> Known<'a> {
    fn of(placing: &'a Placing) -> Self {
        let mut hosts: BTreeMap<String, Vec<&Placeable>> = BTreeMap::new();
        for device in placing.devices.iter().filter(|device| !device.retired) {
            hosts.entry(device.hostname.to_ascii_lowercase()).or_default().push(device);
        }
        Self { ids: placing.devices.iter().map(|device| (&device.id, device)).collect(), hosts }
    }

    fn find(&self, row: &Row) -> Result<&'a Placeable, Unfound> {
        let hostname = row.filled("hostname");
        if let Some(id) = row.filled("id") {
            let id = DeviceId::new(id).map_err(|error| Unfound::Bad(row.bad("id", error)))?;
            return match self.ids.get(&id) {
                None => Err(Unfound::Unknown(row.bad("id", format!("no device {id} is enrolled")))),
                Some(device) if device.retired => {
                    Err(Unfound::Unknown(row.bad("id", format!("the device {id} is retired"))))
                }
                Some(device) => match hostname {
                    Some(name) if !name.eq_ignore_ascii_case(&device.hostname) => {
                        let message = format!("{id} is called {:?}, not {name:?}", device.hostname);
                        Err(Unfound::Bad(row.bad("hostname", message)))
                    }
                    _ => Ok(device),
                },
            };
        }
        let Some(name) = hostname else {
            let message = "expected the id of a device, or its name in hostname";
            return Err(Unfound::Bad(row.bad("id", message)));
        };
        match self.hosts.get(&name.to_ascii_lowercase()).map(Vec::as_slice) {
            None | Some([]) => {
                Err(Unfound::Unknown(row.bad("hostname", format!("no device called {name:?} is enrolled"))))
            }
            Some([device]) => Ok(device),
            Some(several) => {
                let ids: Vec<&str> = several.iter().take(3).map(|device| device.id.as_str()).collect();
                let more = if several.len() > ids.len() { ", ..." } else { "" };
                let message = format!(
                    "{} devices are called {name:?} ({}{more}): name the one that is meant in id",
                    several.len(),
                    ids.join(", ")
                );
                Err(Unfound::Bad(row.bad("hostname", message)))
            }
        }
    }
}

/// What a row says of a device: an empty field leaves things as they are, [`CLEAR`] takes them away.
fn read(
    row: &Row,
    device: &Placeable,
    tree: &Tree,
    guesses: &mut Guesses,
) -> Result<Assignment, Vec<BadRow>> {
    let mut said = device.assignment.clone();
    let mut bad = Vec::new();
    match row.filled("unit") {
        None => {}
        Some(CLEAR) => said.unit = None,
        Some(text) => match UnitId::new(text) {
            Err(error) => bad.push(row.bad("unit", error)),
            Ok(unit) => {
                bad.extend(guesses.find(tree, &unit).err().map(|missing| row.bad("unit", missing)));
                said.unit = Some(unit);
            }
        },
    }
    match row.filled("ownership") {
        None => {}
        Some(CLEAR) => said.ownership = None,
        Some(text) => match text.parse::<Ownership>() {
            Err(error) => bad.push(row.bad("ownership", error)),
            Ok(ownership) => said.ownership = Some(ownership),
        },
    }
    match row.filled("labels") {
        None => {}
        Some(CLEAR) => said.labels.clear(),
        Some(texts) => {
            said.labels.clear();
            for text in texts.split_whitespace() {
                match Label::new(text) {
                    Err(error) => bad.push(row.bad("labels", error)),
                    Ok(label) => drop(said.labels.insert(label)),
                }
            }
            if said.labels.len() > LABELS_MAX {
                let found = said.labels.len();
                bad.push(row.bad("labels", format!("expected at most {LABELS_MAX} labels, found {found}")));
            }
        }
    }
    match row.filled("person") {
        None => {}
        Some(CLEAR) => said.person = None,
        Some(text) => match PersonRef::new(text) {
            Err(error) => bad.push(row.bad("person", error)),
            Ok(person) => said.person = Some(person),
        },
    }
    if bad.is_empty() { Ok(said) } else { Err(bad) }
}
