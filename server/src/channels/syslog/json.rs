//! The body in JSON: the object of the webhook, without what does not fit.

use crate::channels::webhook;
use crate::domain::delivery::Notification;
use crate::domain::name::hidden;

/// Most alternatives that are named.
const NAMED: usize = 3;

/// The object in one line of at most `room` octets: texts are cut to so many characters, then places and troubles are
/// left out one by one. What is too long even then is returned as it is.
pub(super) fn body(n: &Notification, cut: usize, room: usize) -> Result<String, serde_json::Error> {
    let mut n = n.clone();
    shorten(&mut n, cut);
    loop {
        let body = printable(&webhook::whole(&n)?);
        if body.len() <= room || (n.evidence.pop().is_none() && n.troubles.pop().is_none()) {
            return Ok(body);
        }
    }
}

/// Cuts all texts that devices and people choose to so many characters. Ids stay whole.
fn shorten(n: &mut Notification, cut: usize) {
    let Notification { actor, note, alert, device, unit, app, rule, evidence, troubles, .. } = n;
    let mut texts = vec![actor];
    texts.extend(note);
    texts.extend(&mut alert.assignee);
    texts.extend(device.iter_mut().flat_map(|device| [&mut device.hostname, &mut device.platform]));
    if let Some(unit) = unit {
        texts.push(&mut unit.name);
        texts.extend(unit.owner.iter_mut().chain(&mut unit.owner_email));
    }
    texts.extend(app.as_mut().map(|app| &mut app.name));
    if let Some(rule) = rule {
        rule.alternatives.truncate(NAMED);
        texts.push(&mut rule.reason);
        texts.extend(&mut rule.alternatives);
    }
    for place in evidence {
        texts.extend([&mut place.source, &mut place.identifier, &mut place.scope, &mut place.grade]);
        texts.extend(&mut place.version);
    }
    for trouble in troubles {
        texts.extend([&mut trouble.source, &mut trouble.health, &mut trouble.why]);
    }
    for text in texts {
        if let Some((end, _)) = text.char_indices().nth(cut) {
            text.truncate(end);
            text.push('…');
        }
    }
}

/// JSON in which every character that is not shown is written by its number.
fn printable(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        // Such characters are in texts only: between them there is no white space.
        if hidden(c) || (c.is_whitespace() && c != ' ') {
            for unit in c.encode_utf16(&mut [0; 2]) {
                out += &format!("\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    out
}
