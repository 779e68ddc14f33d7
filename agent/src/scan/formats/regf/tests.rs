//! Hives that hivex wrote (`tests/fixtures/hives`), and hives and logs that are made here, byte by byte.

use std::io::Cursor;

use proptest::prelude::*;

use super::super::registry_value::Value;
use super::*;

const UNINSTALL: &str = r"Software\Microsoft\Windows\CurrentVersion\Uninstall";

fn fixture(user: &str) -> Vec<u8> {
    let homes = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/homes/windows-uninstall/Users");
    std::fs::read(format!("{homes}/{user}/NTUSER.DAT")).unwrap()
}

fn open(bytes: &[u8], logs: &[&[u8]]) -> io::Result<Hive<Cursor<Vec<u8>>>> {
    Hive::open(Cursor::new(bytes.to_vec()), || logs.iter().map(|log| log.to_vec()).collect())
}

fn names<R: Read + Seek>(key: &Key<'_, R>) -> Vec<String> {
    let mut names = Vec::new();
    key.each_subkey(99, &mut |subkey| {
        names.push(subkey.map_or_else(|e| e.to_string(), |(name, _)| name.to_owned()))
    });
    names
}

fn text(text: &str) -> Option<Value> {
    Some(Value::Text(text.to_owned()))
}

/// The names under a user's `Uninstall`, and what state the hive is in.
fn entries(bytes: &[u8], logs: &[&[u8]]) -> (State, Vec<String>) {
    let hive = open(bytes, logs).unwrap();
    let key = hive.root().unwrap().subkey(UNINSTALL).unwrap().unwrap();
    (hive.state(), names(&key))
}

#[test]
fn keys_and_values_are_found_in_any_case() {
    let bytes = fixture("alice");
    let hive = open(&bytes, &[]).unwrap();
    let root = hive.root().unwrap();
    let uninstall = root.subkey(&UNINSTALL.to_uppercase()).unwrap().unwrap();
    assert_eq!(names(&uninstall).len(), 4);
    assert!(names(&uninstall).contains(&"Gr\u{f6}\u{df}e \u{4e2d}\u{6587}".to_owned()));
    let signal = uninstall.subkey("7D96CAEE-06E6-597C-9F2F-C7BB2E0948B4").unwrap().unwrap();
    assert_eq!(signal.value("displayNAME").unwrap(), text("Signal 7.36.0"));
    assert_eq!(signal.value("NoModify").unwrap(), Some(Value::Number(1)));
    assert_eq!(signal.value("Display").unwrap(), None);
    assert!(root.subkey("Software\\Microsoft\\Nothing\\x").unwrap().is_none());
    assert!(root.subkey("").unwrap().is_none());
    assert_eq!(root.name().unwrap(), "ROOT");
}

fn put(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

fn sign(head: &mut [u8]) {
    let sum = head[..508].as_chunks().0.iter().fold(0, |sum, word| sum ^ u32::from_le_bytes(*word));
    put(head, 508, sum);
}

/// The hive in the middle of a write: begun with this number, and not ended.
fn dirty(mut bytes: Vec<u8>, begun: u32, ended: u32) -> Vec<u8> {
    put(&mut bytes, 4, begun);
    put(&mut bytes, 8, ended);
    sign(&mut bytes[..HEAD]);
    bytes
}

/// The first block of a log of this type.
fn log_head(hive: &[u8], kind: u32, sequence: u32) -> Vec<u8> {
    let mut head = dirty(hive[..HEAD].to_vec(), sequence, sequence);
    put(&mut head, 28, kind);
    sign(&mut head);
    head
}

/// An entry that holds all data of a hive, as the specification describes it.
fn entry(hive: &[u8], sequence: u32) -> Vec<u8> {
    let data = &hive[BASE as usize..];
    let size = u32::try_from(data.len()).unwrap();
    let mut entry = [0; 48].to_vec();
    entry.extend_from_slice(data);
    entry.resize(entry.len().next_multiple_of(512), 0xaa);
    entry[..4].copy_from_slice(b"HvLE");
    let length = u32::try_from(entry.len()).unwrap();
    for (at, value) in [(4, length), (12, sequence), (16, size), (20, 1), (40, 0), (44, size)] {
        put(&mut entry, at, value);
    }
    let hash = marvin::hash(&entry[40..]);
    entry[24..32].copy_from_slice(&hash.to_le_bytes());
    let hash = marvin::hash(&entry[..32]);
    entry[32..40].copy_from_slice(&hash.to_le_bytes());
    entry
}

#[test]
fn the_hash_is_that_of_windows() {
    // The head of an entry that Windows 10 wrote, in a hive among the tests of github.com/msuhanov/yarp.
    let words = [0x454c_7648_u32, 24064, 0, 2, 20480, 1, 0x1807_e431, 0x6786_6c66];
    let head: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    assert_eq!(marvin::hash(&head), 0xcd44_f3cf_a765_7f02);
}

#[test]
fn changes_that_are_only_in_the_logs_are_seen() {
    let (old, new) = (fixture("bob"), fixture("alice"));
    let before = entries(&old, &[]).1;
    let after = entries(&new, &[]).1;
    assert_ne!(before, after);
    let log = |first, entries: &[Vec<u8>]| [log_head(&old, 6, first), entries.concat()].concat();
    let hive = dirty(old.clone(), 3, 2);
    let recovered = (State::Recovered, after);
    let one = log(2, &[entry(&old, 2)]);
    let two = log(3, &[entry(&old, 3), entry(&new, 4)]);
    // Whichever file was written first.
    assert_eq!(entries(&hive, &[&one, &two]), recovered);
    assert_eq!(entries(&hive, &[&two, &one]), recovered);
    assert_eq!(entries(&hive, &[&[], &two]), recovered);
    // What is behind a damaged entry or one out of order is not taken.
    let mut damaged = two.clone();
    *damaged.last_mut().unwrap() ^= 1;
    let first = (State::Recovered, before.clone());
    assert_eq!(entries(&hive, &[&one, &damaged]), first);
    assert_eq!(entries(&hive, &[&one, &log(3, &[entry(&old, 3), entry(&new, 5)])]), first);
    assert_eq!(entries(&hive, &[&one, &log(4, &[entry(&new, 4)])]), first);
    // No log, one that is older than the hive, one that does not begin as it says.
    let none = (State::Dirty, before.clone());
    assert_eq!(entries(&hive, &[]), none);
    for useless in [log(1, &[entry(&new, 1)]), log(2, &[entry(&new, 3)]), b"regf".to_vec(), vec![0; 600]] {
        assert_eq!(entries(&hive, &[&useless]), none);
    }
    // A hive that is complete needs none.
    assert_eq!(entries(&old, &[&log(1, &[entry(&new, 1)])]), (State::Clean, before));
}

#[test]
fn logs_of_older_versions_are_read_as_well() {
    let (old, new) = (fixture("bob"), fixture("alice"));
    let data = &new[BASE as usize..];
    let log = |head: Vec<u8>| {
        let bitmap = vec![0xff; data.len() / 512 / 8];
        let mut log = [head, b"DIRT".to_vec(), bitmap].concat();
        log.resize(log.len().next_multiple_of(512), 0);
        [log, data.to_vec()].concat()
    };
    let hive = dirty(old.clone(), 3, 2);
    let after = (State::Recovered, entries(&new, &[]).1);
    assert_eq!(entries(&hive, &[&log(log_head(&old, 1, 7))]), after);
    // One of another time is of another state.
    let mut other = log_head(&old, 1, 7);
    put(&mut other, 12, 99);
    sign(&mut other);
    assert_eq!(entries(&hive, &[&log(other)]).0, State::Dirty);
    assert_eq!(entries(&hive, &[&log(log_head(&old, 1, 7))[..2048]]).0, State::Dirty);
}

#[test]
fn a_damaged_base_block_is_taken_from_the_log() {
    let (old, new) = (fixture("bob"), fixture("alice"));
    let log = [log_head(&old, 6, 5), entry(&new, 5)].concat();
    let mut hive = old.clone();
    hive[..64].fill(0xee);
    assert_eq!(entries(&hive, &[&log]), (State::Recovered, entries(&new, &[]).1));
    assert_eq!(open(&hive, &[]).unwrap_err().kind(), io::ErrorKind::InvalidData);
    // One that is merely wrong somewhere is better than nothing.
    let mut hive = old.clone();
    hive[500] = 1;
    assert_eq!(entries(&hive, &[]), (State::Dirty, entries(&old, &[]).1));
}

/// A hive of these cells, each at its offset; the first is the root.
fn hive_of(cells: &[(u32, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = fixture("bob");
    let size =
        cells.iter().map(|(at, cell)| *at as usize + 4 + cell.len()).max().unwrap().next_multiple_of(4096);
    bytes.truncate(BASE as usize);
    bytes.resize(BASE as usize + size, 0);
    put(&mut bytes, 36, cells[0].0);
    put(&mut bytes, 40, u32::try_from(size).unwrap());
    for (at, cell) in cells {
        let place = BASE as usize + *at as usize;
        put(&mut bytes, place, 0_u32.wrapping_sub(u32::try_from(cell.len() + 4).unwrap()));
        bytes[place + 4..place + 4 + cell.len()].copy_from_slice(cell);
    }
    sign(&mut bytes[..HEAD]);
    bytes
}

fn key_cell(
    name: &[u8],
    flags: u16,
    (subkeys, list): (u32, u32),
    (values, values_list): (u32, u32),
) -> Vec<u8> {
    let mut cell = [0; 76].to_vec();
    cell[..2].copy_from_slice(b"nk");
    cell[2..4].copy_from_slice(&flags.to_le_bytes());
    for (at, value) in [(20, subkeys), (28, list), (36, values), (40, values_list)] {
        put(&mut cell, at, value);
    }
    cell[72..74].copy_from_slice(&u16::try_from(name.len()).unwrap().to_le_bytes());
    cell.extend_from_slice(name);
    cell
}

fn list_cell(kind: &[u8; 2], count: u16, elements: &[u32]) -> Vec<u8> {
    let elements = elements.iter().flat_map(|element| element.to_le_bytes());
    kind.iter().copied().chain(count.to_le_bytes()).chain(elements).collect()
}

const NONE: (u32, u32) = (0, u32::MAX);

#[test]
fn all_kinds_of_lists_are_read() {
    let child = |name: &[u8]| key_cell(name, 0x20, NONE, NONE);
    let cells = [
        (0x20, key_cell(b"root", 0x20, (4, 0x100), NONE)),
        (0x100, list_cell(b"ri", 3, &[0x200, 0x240, 0x280])),
        (0x200, list_cell(b"li", 1, &[0x300])),
        (
            0x240,
            list_cell(
                b"lf",
                2,
                &[0x400, u32::from_le_bytes(*b"bbbb"), 0x500, u32::from_le_bytes(*b"c\0\0\0")],
            ),
        ),
        // The hash of "D".
        (0x280, list_cell(b"lh", 1, &[0x600, 68])),
        (0x300, child(b"a")),
        (0x400, child(b"BbbbB")),
        (0x500, child(b"c")),
        // UTF-16, and half a character more.
        (0x600, key_cell(b"d\0\0", 0, NONE, NONE)),
    ];
    let bytes = hive_of(&cells);
    let hive = open(&bytes, &[]).unwrap();
    let root = hive.root().unwrap();
    assert_eq!(names(&root), ["a", "BbbbB", "c", "d"]);
    for name in ["A", "bbbbb", "C", "D"] {
        assert!(root.subkey(name).unwrap().is_some(), "{name}");
    }
    assert!(root.subkey("bbbb").unwrap().is_none() && root.subkey("b").unwrap().is_none());
}

#[test]
fn long_values_are_put_together_from_their_pieces() {
    let long: String = "Gr\u{fc}\u{df}e ".repeat(2000);
    let data: Vec<u8> = long.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let (first, second) = data.split_at(16_344);
    let mut value = list_cell(b"vk", 1, &[u32::try_from(data.len()).unwrap(), 0x300, 1, 1]);
    value.extend_from_slice(b"v");
    let cells = [
        (0x20, key_cell(b"root", 0x20, NONE, (1, 0x100))),
        (0x100, 0x200_u32.to_le_bytes().to_vec()),
        (0x200, value),
        (0x300, list_cell(b"db", 2, &[0x400])),
        (0x400, [0x1000_u32.to_le_bytes(), 0x6000_u32.to_le_bytes()].concat()),
        (0x1000, first.to_vec()),
        (0x6000, second.to_vec()),
    ];
    let bytes = hive_of(&cells);
    let hive = open(&bytes, &[]).unwrap();
    assert_eq!(hive.root().unwrap().value("V").unwrap(), text(&long));
}

#[test]
fn circles_and_claims_cost_little() {
    // A key that is its own child, a list of lists that is its own, and ten million children claimed.
    let bytes = hive_of(&[
        (0x20, key_cell(b"root", 0x20, (10_000_000, 0x100), (10_000_000, 0x100))),
        (0x100, list_cell(b"ri", 2, &[0x200, 0x100])),
        (0x200, list_cell(b"li", 1, &[0x20])),
    ]);
    let hive = open(&bytes, &[]).unwrap();
    let root = hive.root().unwrap();
    assert!(root.subkey("root\\".repeat(50).trim_end_matches('\\')).unwrap().is_some());
    assert_eq!(names(&root), ["root", "invalid data"]);
    assert_eq!(root.subkey("x").unwrap_err().kind(), io::ErrorKind::InvalidData);
    assert_eq!(root.value("x").unwrap_err().kind(), io::ErrorKind::InvalidData);
    // Lists that name one long list again and again.
    let many = usize::from(u16::MAX);
    let bytes = hive_of(&[
        (0x20, key_cell(b"root", 0x20, (9, 0x10_0000), NONE)),
        (0x10_0000, list_cell(b"ri", u16::MAX, &vec![0x1000; many])),
        (0x1000, list_cell(b"li", u16::MAX, &vec![0x20; many])),
    ]);
    let hive = open(&bytes, &[]).unwrap();
    let root = hive.root().unwrap();
    assert_eq!(root.subkey("x").unwrap_err().kind(), io::ErrorKind::InvalidData);
    let (mut count, mut error) = (0, None);
    root.each_subkey(usize::MAX, &mut |subkey| match subkey {
        Ok(_) => count += 1,
        Err(broken) => error = Some(broken.kind()),
    });
    assert!(count < WORK_MAX / CELL, "{count}");
    assert_eq!(error, Some(io::ErrorKind::FileTooLarge));
}

/// Asks for everything that a scan asks for.
fn ask(bytes: &[u8], logs: &[&[u8]]) {
    let Ok(hive) = open(bytes, logs) else { return };
    let Ok(root) = hive.root() else { return };
    let Ok(Some(key)) = root.subkey(UNINSTALL) else { return };
    key.each_subkey(99, &mut |subkey| {
        if let Ok((_, key)) = subkey {
            let _ = (key.value("DisplayName"), key.value("NoModify"));
        }
    });
}

#[test]
fn a_hive_that_is_cut_anywhere_is_read_without_panic() {
    let bytes = fixture("alice");
    for end in (0..bytes.len()).step_by(61) {
        ask(&bytes[..end], &[]);
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(bytes: Vec<u8>, log: Vec<u8>) {
        ask(&bytes, &[&log]);
    }

    #[test]
    fn a_hive_with_wrong_bits_is_read_without_panic(flips in prop::collection::vec((0_usize..8192, any::<u8>()), 1..40)) {
        let mut bytes = fixture("alice");
        for (at, bits) in flips {
            bytes[BASE as usize + at] ^= bits;
        }
        ask(&bytes, &[]);
    }

    #[test]
    fn a_log_with_wrong_bits_is_read_without_panic(kind in prop::sample::select(vec![1_u32, 6]), flips in prop::collection::vec((0_usize..9000, any::<u8>()), 1..9)) {
        let bytes = fixture("alice");
        let mut log = [log_head(&bytes, kind, 2), entry(&bytes, 2)].concat();
        for (at, bits) in flips {
            log[at] ^= bits;
        }
        ask(&dirty(bytes, 3, 2), &[&log]);
    }
}
