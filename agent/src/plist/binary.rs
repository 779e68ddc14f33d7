//! Property lists in binary; see [`super`].
//!
//! Looks only at the dictionaries that lead to a text, as many as the keys to it: however objects share or
//! contain each other, the work is bounded by the number of keys asked for times [`KEYS_MAX`].

use super::{PlistError, Texts, Value};

/// What a binary list begins with; two digits of a version follow.
pub(super) const MAGIC: &[u8] = b"bplist0";

/// The trailer: six bytes of no interest, the widths of an offset and of a reference, the number of objects,
/// the one on top, and where the table of offsets begins.
const TRAILER: usize = 32;

/// Most keys of a dictionary; an `Info.plist` has a hundred, and each is compared with every one asked for.
const KEYS_MAX: usize = 4096;

/// Most bytes of all texts that are told at once: each key and value can be one and the same long text.
const TEXT_MAX: usize = 1024 * 1024;

/// A count with this nibble is in an object of its own behind the marker.
const LONG: usize = 15;

/// A list, by its trailer.
#[derive(Debug)]
struct List<'a> {
    bytes: &'a [u8],
    offsets: &'a [u8],
    offset_width: usize,
    reference_width: usize,
}

/// See [`super::texts`].
pub(super) fn texts<const N: usize>(bytes: &[u8], places: &[&[&str]; N]) -> Result<Texts<N>, PlistError> {
    let (list, top) = List::open(bytes).ok_or(PlistError::Damaged)?;
    let mut found = [const { None }; N];
    for (slot, place) in found.iter_mut().zip(places) {
        *slot = list.text_at(top, place).ok_or(PlistError::Damaged)?;
    }
    Ok(found)
}

/// See [`super::entries`].
pub(super) fn entries(bytes: &[u8]) -> Result<Vec<(String, Value)>, PlistError> {
    let (list, top) = List::open(bytes).ok_or(PlistError::Damaged)?;
    let top = list.object(top).ok_or(PlistError::Damaged)?;
    let pairs = list.pairs(top).ok_or(PlistError::Damaged)?.ok_or(PlistError::NoDictionary)?;
    let mut found = Vec::new();
    let mut left = TEXT_MAX;
    for (key, value) in pairs {
        let pair = list.entry(key, value).ok_or(PlistError::Damaged)?;
        let size = pair.0.len() + if let Value::Text(text) = &pair.1 { text.len() } else { 0 };
        left = left.checked_sub(size).ok_or(PlistError::TooLarge)?;
        found.push(pair);
    }
    Ok(found)
}

impl<'a> List<'a> {
    /// The list and the number of its topmost object.
    fn open(bytes: &'a [u8]) -> Option<(Self, usize)> {
        let body = bytes.get(..bytes.len().checked_sub(TRAILER)?)?;
        let trailer = bytes.get(body.len()..)?;
        let width = |at: usize| trailer.get(at).map(|width| usize::from(*width));
        let (offset_width, reference_width) = (width(6)?, width(7)?);
        let field = |at: usize| number(trailer.get(at..at.checked_add(8)?)?);
        let (count, top, table) = (field(8)?, field(16)?, field(24)?);
        let offsets = body.get(table..)?.get(..count.checked_mul(offset_width)?)?;
        let fits = (1..=8).contains(&offset_width) && (1..=8).contains(&reference_width);
        fits.then_some((Self { bytes: body, offsets, offset_width, reference_width }, top))
    }

    /// The text at a place; `Some(None)` if it is not there.
    fn text_at(&self, top: usize, place: &[&str]) -> Option<Option<String>> {
        let mut object = self.object(top)?;
        for key in place {
            match self.value(object, key)? {
                Some(value) => object = value,
                None => return Some(None),
            }
        }
        self.text(object)
    }

    /// The bytes from an object's marker on.
    fn object(&self, number_of: usize) -> Option<&'a [u8]> {
        let start = number_of.checked_mul(self.offset_width)?;
        let offset = number(self.offsets.get(start..start.checked_add(self.offset_width)?)?)?;
        self.bytes.get(offset..).filter(|object| !object.is_empty())
    }

    /// The value of a key of a dictionary; `Some(None)` if it has no such key or is none.
    fn value(&self, dictionary: &'a [u8], key: &str) -> Option<Option<&'a [u8]>> {
        let Some(pairs) = self.pairs(dictionary)? else { return Some(None) };
        for (name, value) in pairs {
            if self.is_text(self.object(number(name)?)?, key)? {
                return self.object(number(value)?).map(Some);
            }
        }
        Some(None)
    }

    /// The references to the keys and values of a dictionary; `Some(None)` if it is none.
    fn pairs(
        &self,
        dictionary: &'a [u8],
    ) -> Option<Option<impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a>>> {
        let (kind, count, content) = head(dictionary)?;
        if kind != 0xd {
            return Some(None);
        }
        let size = count.checked_mul(self.reference_width).filter(|_| count <= KEYS_MAX)?;
        let keys = content.get(..size)?;
        let values = content.get(size..size.checked_mul(2)?)?;
        Some(Some(keys.chunks_exact(self.reference_width).zip(values.chunks_exact(self.reference_width))))
    }

    fn entry(&self, key: &[u8], value: &[u8]) -> Option<(String, Value)> {
        let key = self.object(number(key)?)?;
        let value = self.object(number(value)?)?;
        // A key is a text; a number is none, though it can be told as one.
        let key = matches!(head(key)?.0, 0x5..=0x7).then_some(key)?;
        let other = match head(value)? {
            (0x0, 0x8, _) => return Some((self.text(key)??, Value::Flag(false))),
            (0x0, 0x9, _) => return Some((self.text(key)??, Value::Flag(true))),
            (0x5..=0x7, ..) => return Some((self.text(key)??, Value::Text(self.text(value)??))),
            (0x1, ..) => "a whole number",
            (0x2, ..) => "a number with a fraction",
            (0x3, ..) => "a date",
            (0x4, ..) => "data",
            (0xa..=0xc, ..) => "a list",
            (0xd, ..) => "a dictionary",
            _ => "an unknown element",
        };
        Some((self.text(key)??, Value::Other(other)))
    }

    /// Whether an object is this text; nothing is copied to find out.
    fn is_text(&self, object: &[u8], wanted: &str) -> Option<bool> {
        let (kind, count, content) = head(object)?;
        Some(match kind {
            0x5 | 0x7 => content.get(..count)? == wanted.as_bytes(),
            0x6 => units(content, count)?.eq(wanted.encode_utf16()),
            _ => false,
        })
    }

    /// `Some(None)` if an object is neither a text nor a whole number.
    fn text(&self, object: &[u8]) -> Option<Option<String>> {
        let (kind, count, content) = head(object)?;
        Some(match kind {
            0x1 => number(content.get(..width(count)?)?).map(|number| number.to_string()),
            0x5 | 0x7 => Some(String::from_utf8_lossy(content.get(..count)?).into_owned()),
            0x6 => {
                let text = char::decode_utf16(units(content, count)?);
                Some(text.map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect())
            }
            _ => None,
        })
    }
}

/// The kind of an object, its count (for a whole number the nibble itself), and what follows.
fn head(object: &[u8]) -> Option<(u8, usize, &[u8])> {
    let (marker, rest) = object.split_first()?;
    let (kind, count) = (marker >> 4, usize::from(marker & 15));
    if count != LONG || kind == 0x1 {
        return Some((kind, count, rest));
    }
    let (marker, rest) = rest.split_first()?;
    let size = width(usize::from(marker & 15)).filter(|_| marker >> 4 == 0x1)?;
    Some((kind, number(rest.get(..size)?)?, rest.get(size..)?))
}

/// How many bytes a whole number has: 1, 2, 4 or 8, or 16 where none that matters is so large.
fn width(power: usize) -> Option<usize> {
    (power <= 4).then(|| 1 << power)
}

/// A number, the first byte being the highest; `None` if it is larger than anything here can be.
fn number(bytes: &[u8]) -> Option<usize> {
    bytes.iter().try_fold(0_usize, |sum, byte| sum.checked_mul(256)?.checked_add(usize::from(*byte)))
}

fn units(content: &[u8], count: usize) -> Option<impl Iterator<Item = u16>> {
    let bytes = content.get(..count.checked_mul(2)?)?;
    Some(bytes.as_chunks().0.iter().map(|pair| u16::from_be_bytes(*pair)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::plist;

    /// A list of these objects, the first on top; offsets of four bytes, references of one.
    fn list(objects: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = b"bplist00".to_vec();
        let mut offsets = Vec::new();
        for object in objects {
            offsets.extend(u32::try_from(bytes.len()).unwrap().to_be_bytes());
            bytes.extend(object);
        }
        let table = bytes.len() as u64;
        bytes.extend(offsets);
        bytes.extend([0, 0, 0, 0, 0, 0, 4, 1]);
        for field in [objects.len() as u64, 0, table] {
            bytes.extend(field.to_be_bytes());
        }
        bytes
    }

    fn ascii(text: &str) -> Vec<u8> {
        let mut object = vec![0x5f, 0x10, u8::try_from(text.len()).unwrap()];
        object.extend(text.bytes());
        object
    }

    fn wide(text: &str) -> Vec<u8> {
        let units: Vec<u16> = text.encode_utf16().collect();
        let mut object = vec![0x6f, 0x11];
        object.extend(u16::try_from(units.len()).unwrap().to_be_bytes());
        object.extend(units.into_iter().flat_map(u16::to_be_bytes));
        object
    }

    #[test]
    fn texts_and_whole_numbers_are_found_in_either_encoding() {
        let objects = [
            vec![0xd3, 1, 3, 5, 2, 4, 0],
            ascii("A"),
            wide("\u{1f4ac}"),
            wide("\u{e4}"),
            vec![0x11, 1, 2],
            ascii("S"),
        ];
        let places: [&[&str]; 6] = [&["A"], &["\u{e4}"], &["S", "S", "A"], &["S"], &["B"], &["A", "A"]];
        let texts = plist::texts(&list(&objects), &places).unwrap();
        let found = texts.each_ref().map(Option::as_deref);
        assert_eq!(found, [Some("\u{1f4ac}"), Some("258"), Some("\u{1f4ac}"), None, None, None]);
    }

    #[test]
    fn a_list_that_contains_itself_or_claims_billions_is_bounded() {
        let own = list(&[vec![0xd1, 1, 0], ascii("A")]);
        assert_eq!(plist::texts(&own, &[&["A"; 64]]), Ok([None]));
        let billions = [0xff, 0xff, 0xff, 0xff];
        for marker in [0xdf, 0x5f, 0x6f] {
            let claims = [&[marker, 0x12][..], &billions].concat();
            for objects in [vec![claims.clone(), ascii("A")], vec![vec![0xd1, 1, 2], ascii("A"), claims]] {
                let found = plist::texts(&list(&objects), &[&["A"]]);
                assert!(matches!(found, Err(PlistError::Damaged) | Ok([None])), "{marker:x}: {found:?}");
            }
        }
        let good = list(&[vec![0xd1, 1, 1], ascii("A")]);
        assert_eq!(plist::texts(&good, &[&["A"]]), Ok([Some("A".to_owned())]));
        // Every byte of the trailer, and every way to break off.
        for at in good.len() - TRAILER..good.len() {
            let mut bad = good.clone();
            bad[at] = 0xff;
            let _ = plist::texts(&bad, &[&["A"]]);
        }
        for end in 7..good.len() {
            assert_eq!(plist::texts(&good[..end], &[&["A"]]), Err(PlistError::Damaged), "{end}");
        }
    }

    #[test]
    fn one_long_text_in_all_places_is_bounded() {
        let keys = 200;
        let long = "x".repeat(60_000);
        let mut dictionary = vec![0xdf, 0x10, keys];
        dictionary.extend(std::iter::repeat_n(1, usize::from(keys)));
        dictionary.extend(std::iter::repeat_n(2, usize::from(keys)));
        let bytes = list(&[dictionary, ascii("A"), wide(&long)]);
        assert_eq!(plist::entries(&bytes), Err(PlistError::TooLarge));
        let bytes = list(&[vec![0xd2, 1, 1, 2, 3], ascii("A"), wide("b"), vec![0x09]]);
        let expected = [("A", Value::Text("b".to_owned())), ("A", Value::Flag(true))];
        assert_eq!(plist::entries(&bytes), Ok(expected.map(|(key, value)| (key.to_owned(), value)).to_vec()));
        assert_eq!(plist::entries(&list(&[vec![0x09]])), Err(PlistError::NoDictionary));
        assert_eq!(plist::entries(&list(&[vec![0xd1, 1, 1], vec![0x10, 1]])), Err(PlistError::Damaged));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>, trailer: [u8; 32]) {
            let all = [MAGIC, b"0", &bytes, &trailer].concat();
            let _ = (plist::texts(&all, &[&["A"], &["A", "B"]]), plist::entries(&all));
        }

        #[test]
        fn any_objects_are_read_without_panic(objects in prop::collection::vec(prop::collection::vec(0_u8..8, 0..6), 1..8)) {
            let objects: Vec<_> = objects.into_iter().map(|rest| [vec![0xd2], rest].concat()).collect();
            let _ = (plist::texts(&list(&objects), &[&["A"], &["A", "B"]]), plist::entries(&list(&objects)));
        }

        #[test]
        fn a_text_is_read_back(key in "[A-Za-z\u{e4}]{1,20}", text: String) {
            let bytes = list(&[vec![0xd1, 1, 2], wide(&key), wide(&text)]);
            prop_assert_eq!(plist::texts(&bytes, &[&[&key]]), Ok([Some(text)]));
        }
    }
}
