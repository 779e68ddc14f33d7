//! The header of an RPM package as rpm's databases hold it (`lib/header.c` of rpm, `headerImport`): how many
//! tags, how much data, the tags, the data. All numbers have the highest byte first.
//!
//! A header is a hundred kilobytes of file names and digests, and what is wanted stands at its beginning: no
//! more is read than that.

use std::io::{self, Read};

use memchr::memchr;

use super::pages::{be32, fill, malformed};

/// Most tags of a header; rpm has the same limit (`HEADER_TAGS_MAX`).
const TAGS_MAX: u32 = 0xffff;

/// How much of the data is looked at; rpm writes what is wanted here before all lists of files, after two
/// texts that people write.
const DATA_MAX: usize = 1024 * 1024;

/// Longest text of those that are wanted.
const TEXT_MAX: usize = 1024;

/// How much is read at a time while looking for the end of a text.
const PIECE: usize = 256;

/// The tags that are wanted (`include/rpm/rpmtag.h`).
const NAME: u32 = 1000;
const VERSION: u32 = 1001;
const RELEASE: u32 = 1002;
const EPOCH: u32 = 1003;
const VENDOR: u32 = 1011;
const PACKAGER: u32 = 1015;
const GROUP: u32 = 1016;

/// Types of tags (`rpmTagType_e`): a number of four bytes, a text, texts, a text in several languages.
const INT32: u32 = 4;
const TEXTS: [u32; 3] = [6, 8, 9];

const ENTRY: usize = 16;

/// What is wanted of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header<'a> {
    /// The name of the package.
    pub name: &'a str,
    /// Comes first when versions are compared; not there is the same as 0.
    pub epoch: Option<u32>,
    /// The version of what is packaged.
    pub version: &'a str,
    /// Which packaging of that version it is.
    pub release: &'a str,
    /// Who gives it out, mostly a distribution.
    pub vendor: Option<&'a str>,
    /// Who packaged it.
    pub packager: Option<&'a str>,
    /// The section, in the words of the distribution.
    pub group: Option<&'a str>,
}

/// Reads a header of this length. What of it was needed stays in `bytes`.
///
/// # Errors
/// `InvalidData` if it is none, `FileTooLarge` if what is wanted stands too far from the beginning; else what
/// the system says.
pub fn read<'a>(blob: &mut dyn Read, length: u64, bytes: &'a mut Vec<u8>) -> io::Result<Header<'a>> {
    bytes.clear();
    grow(blob, bytes, 8)?;
    let (tags, data) = (be32(bytes, 0)?, be32(bytes, 4)?);
    if tags == 0 || tags > TAGS_MAX {
        return Err(malformed());
    }
    let start = 8 + ENTRY * tags as usize;
    if start as u64 + u64::from(data) != length {
        return Err(malformed());
    }
    grow(blob, bytes, start)?;
    let end = start + data as usize;
    let wanted = wanted(bytes.get(8..).unwrap_or_default());
    let mut text = |entry: Entry| text(blob, bytes, entry, start, end);
    let [name, version, release] = [text(wanted.name)?, text(wanted.version)?, text(wanted.release)?];
    let [vendor, packager, group] = [text(wanted.vendor)?, text(wanted.packager)?, text(wanted.group)?];
    let epoch = match wanted.epoch {
        Some((INT32, at)) => {
            let at = place(at, start, end)?;
            grow(blob, bytes, end.min(at + 4))?;
            Some(be32(bytes, at)?)
        }
        Some(_) => return Err(malformed()),
        None => None,
    };
    let bytes = bytes.as_slice();
    let text = |(from, to): (usize, usize)| std::str::from_utf8(bytes.get(from..to)?).ok();
    let some = |place: Option<(usize, usize)>| place.and_then(text).filter(|text| !text.is_empty());
    let needed = |place| some(place).ok_or_else(malformed);
    Ok(Header {
        name: needed(name)?,
        epoch,
        version: needed(version)?,
        release: needed(release)?,
        vendor: some(vendor),
        packager: some(packager),
        group: some(group),
    })
}

/// The type of a tag, and where its data begin.
type Entry = Option<(u32, u32)>;

/// The tags that are wanted.
#[derive(Debug, Default)]
struct Wanted {
    name: Entry,
    version: Entry,
    release: Entry,
    epoch: Entry,
    vendor: Entry,
    packager: Entry,
    group: Entry,
}

/// Finds the tags that are wanted. If there are two, the later one counts: rpm adds what it changed.
fn wanted(entries: &[u8]) -> Wanted {
    let mut wanted = Wanted::default();
    for entry in entries.as_chunks::<4>().0.as_chunks::<4>().0 {
        // A hundred tags pass here for the few that are wanted.
        let [tag, kind, offset, _] = entry;
        let tag = u32::from_be_bytes(*tag);
        if !(NAME..=GROUP).contains(&tag) {
            continue;
        }
        let place = match tag {
            NAME => &mut wanted.name,
            VERSION => &mut wanted.version,
            RELEASE => &mut wanted.release,
            EPOCH => &mut wanted.epoch,
            VENDOR => &mut wanted.vendor,
            PACKAGER => &mut wanted.packager,
            GROUP => &mut wanted.group,
            _ => continue,
        };
        *place = Some((u32::from_be_bytes(*kind), u32::from_be_bytes(*offset)));
    }
    wanted
}

/// From where to where the first text of a tag goes in `bytes`, which grow as far as that. `None` if the tag
/// is not there or the text is longer than anybody wants.
fn text(
    blob: &mut dyn Read,
    bytes: &mut Vec<u8>,
    entry: Entry,
    start: usize,
    end: usize,
) -> io::Result<Option<(usize, usize)>> {
    let Some((kind, at)) = entry else { return Ok(None) };
    if !TEXTS.contains(&kind) {
        return Err(malformed());
    }
    let at = place(at, start, end)?;
    grow(blob, bytes, at)?;
    loop {
        let text = bytes.get(at..).unwrap_or_default();
        if let Some(length) = memchr(0, text) {
            return Ok(Some((at, at + length)));
        }
        if text.len() > TEXT_MAX {
            return Ok(None);
        }
        if bytes.len() >= end {
            return Err(malformed());
        }
        grow(blob, bytes, end.min(bytes.len() + PIECE))?;
    }
}

/// Where data at this offset stand in a header whose data go from `start` to `end`.
fn place(offset: u32, start: usize, end: usize) -> io::Result<usize> {
    let at = start + offset as usize;
    if at >= end {
        Err(malformed())
    } else if at - start > DATA_MAX {
        Err(io::ErrorKind::FileTooLarge.into())
    } else {
        Ok(at)
    }
}

/// Reads on until `bytes` are this many.
fn grow(blob: &mut dyn Read, bytes: &mut Vec<u8>, count: usize) -> io::Result<()> {
    let have = bytes.len();
    if count > have {
        bytes.resize(count, 0);
        fill(blob, bytes.get_mut(have..).unwrap_or_default())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A header with these tags: tag, type, offset, count.
    fn header(tags: &[[u32; 4]], data: &[u8]) -> Vec<u8> {
        let numbers = [tags.len(), data.len()].map(|number| u32::try_from(number).unwrap());
        let numbers = numbers.iter().chain(tags.iter().flatten());
        numbers.flat_map(|number| number.to_be_bytes()).chain(data.iter().copied()).collect()
    }

    fn name_of(bytes: &[u8]) -> io::Result<String> {
        let mut kept = Vec::new();
        let header = read(&mut &*bytes, bytes.len() as u64, &mut kept)?;
        Ok(format!("{} {:?}:{}-{}", header.name, header.epoch, header.version, header.release))
    }

    #[test]
    fn a_header_is_what_its_tags_say() {
        let tags = [[1000, 6, 0, 1], [1001, 6, 2, 1], [1002, 6, 4, 1], [1003, 4, 6, 1], [1016, 9, 10, 2]];
        let data = b"n\0v\0r\0\0\0\0\x07g\0G\0";
        assert_eq!(name_of(&header(&tags, data)).unwrap(), "n Some(7):v-r");
        // rpm appends tags that it changed.
        let mut changed = tags.to_vec();
        changed.push([1000, 6, 12, 1]);
        assert_eq!(name_of(&header(&changed, data)).unwrap(), "G Some(7):v-r");
        for (index, value) in [(0, [1000, 4, 0, 1]), (0, [1000, 6, 14, 1]), (2, [1002, 6, u32::MAX, 1])] {
            let mut wrong = tags.to_vec();
            wrong[index] = value;
            assert_eq!(name_of(&header(&wrong, data)).unwrap_err().kind(), io::ErrorKind::InvalidData);
        }
        assert!(name_of(&header(&tags, &data[..8])).is_err(), "a number that ends early");
        assert!(name_of(&header(&tags, data)[..90]).is_err(), "a header that ends early");
        assert!(name_of(&header(&[], data)).is_err(), "no tags");
        assert!(name_of(&header(&tags[1..], data)).is_err(), "no name");
        assert!(name_of(&header(&tags, b"\0\0v\0r\0\0\0\0\x07g\0G\0")).is_err(), "an empty name");
    }

    #[test]
    fn a_header_with_a_million_tags_or_endless_texts_is_not_read() {
        let many = header(&vec![[1000, 6, 0, 1]; 1_000_000], b"n\0");
        assert_eq!(name_of(&many).unwrap_err().kind(), io::ErrorKind::InvalidData);
        let mut data = b"n\0v\0r\0".to_vec();
        data.resize(4 << 20, b'x');
        let tags = [[1000, 6, 0, 1], [1001, 6, 2, 1], [1002, 6, 4, 1], [1011, 6, 6, 1]];
        assert_eq!(name_of(&header(&tags, &data)).unwrap(), "n None:v-r", "a vendor without an end is none");
        let far = [[1000, 6, 0, 1], [1001, 6, 2, 1], [1002, 6, 3 << 20, 1]];
        assert_eq!(name_of(&header(&far, &data)).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>, tags: Vec<[u32; 4]>, offsets: [u16; 7]) {
            let _ = name_of(&bytes);
            let _ = name_of(&header(&tags, &bytes));
            let wanted = [NAME, VERSION, RELEASE, EPOCH, VENDOR, PACKAGER, GROUP];
            let near = |(tag, offset): (u32, u16)| [tag, 6, u32::from(offset) % 64, 1];
            let tags: Vec<_> = wanted.into_iter().zip(offsets).map(near).collect();
            let _ = name_of(&header(&tags, &bytes));
        }

        #[test]
        fn headers_are_read_back(name in "[a-z][a-z0-9+.-]{0,40}", version in "[0-9][0-9.~^]{0,20}", epoch: u32, noise: Vec<[u32; 4]>) {
            let data = [name.as_bytes(), b"\0", version.as_bytes(), b"\0", &epoch.to_be_bytes()].concat();
            let offsets = [0, name.len() + 1, data.len() - 4].map(|at| u32::try_from(at).unwrap());
            let mut tags: Vec<_> = noise.into_iter().filter(|tag| !(1000..1017).contains(&tag[0])).collect();
            tags.extend([[1000, 6, offsets[0], 1], [1001, 6, offsets[1], 1], [1002, 6, offsets[1], 1], [1003, 4, offsets[2], 1]]);
            let read = name_of(&header(&tags, &data)).unwrap();
            prop_assert_eq!(read, format!("{name} Some({epoch}):{version}-{version}"));
        }
    }
}
