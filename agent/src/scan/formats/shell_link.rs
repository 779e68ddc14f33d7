//! Shell links of Windows, `.lnk` ([MS-SHLLINK], revision 10): what they start and with which arguments.

use std::borrow::Cow;

/// `HeaderSize`, section 2.1.
const HEADER: usize = 0x4C;

/// `LinkCLSID`, section 2.1, as it lies in the file.
const CLSID: [u8; 16] = [0x01, 0x14, 0x02, 0, 0, 0, 0, 0, 0xC0, 0, 0, 0, 0, 0, 0, 0x46];

// `LinkFlags`, section 2.1.1.
const HAS_ID_LIST: u32 = 1;
const HAS_LINK_INFO: u32 = 1 << 1;
const HAS_NAME: u32 = 1 << 2;
const HAS_RELATIVE_PATH: u32 = 1 << 3;
const HAS_WORKING_DIR: u32 = 1 << 4;
const HAS_ARGUMENTS: u32 = 1 << 5;
const IS_UNICODE: u32 = 1 << 7;

/// `VolumeIDAndLocalBasePath` of `LinkInfoFlags`, section 2.3.
const HAS_LOCAL_PATH: u32 = 1;

/// `LinkInfoHeaderSize` from which on there are paths in Unicode as well, section 2.3.
const UNICODE_HEADER: u32 = 0x24;

/// What a shell link says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ShellLink {
    /// The file that it opens, where the link names one on a drive.
    pub target: Option<String>,
    /// What the program is told.
    pub arguments: Option<String>,
}

impl ShellLink {
    /// Reads a link; `None` if the bytes are none, or end too early.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut rest = Bytes(bytes);
        let header = rest.take(HEADER)?;
        if header.get(..4)? != (HEADER as u32).to_le_bytes() || header.get(4..20)? != CLSID {
            return None;
        }
        let flags = u32_at(header, 20)?;
        if flags & HAS_ID_LIST != 0 {
            let size = rest.u16()?;
            rest.take(size.into())?;
        }
        let mut link = Self::default();
        if flags & HAS_LINK_INFO != 0 {
            let size = usize::try_from(u32_at(rest.0, 0)?).ok()?;
            // The size counts itself.
            link.target = local_path(rest.take(size.max(4))?);
        }
        for flag in [HAS_NAME, HAS_RELATIVE_PATH, HAS_WORKING_DIR, HAS_ARGUMENTS] {
            if flags & flag == 0 {
                continue;
            }
            let text = rest.text(flags & IS_UNICODE != 0)?;
            if flag == HAS_ARGUMENTS {
                link.arguments = Some(text);
            }
        }
        Some(link)
    }
}

/// `LocalBasePath` and `CommonPathSuffix` of a `LinkInfo`, in Unicode where that is there.
fn local_path(info: &[u8]) -> Option<String> {
    if u32_at(info, 8)? & HAS_LOCAL_PATH == 0 {
        return None;
    }
    let part = |offset: usize, unicode: bool| -> Option<String> {
        let start = usize::try_from(u32_at(info, offset)?).ok()?;
        let text = info.get(start..).filter(|_| start != 0)?;
        Some(if unicode { until_zero_utf16(text) } else { latin1(text.split(|b| *b == 0).next()?) })
    };
    let unicode = || u32_at(info, 4).filter(|size| *size >= UNICODE_HEADER).and_then(|_| part(28, true));
    let base = unicode().or_else(|| part(16, false))?;
    let suffix = u32_at(info, 4).filter(|size| *size >= UNICODE_HEADER).and_then(|_| part(32, true));
    let suffix = suffix.or_else(|| part(24, false)).unwrap_or_default();
    Some(match (suffix.is_empty(), base.ends_with('\\')) {
        (true, _) => base,
        (false, true) => base + &suffix,
        (false, false) => base + "\\" + &suffix,
    })
    .filter(|path| !path.is_empty())
}

/// Bytes that are taken from the front.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_le_bytes(self.take(2)?.try_into().ok()?))
    }

    /// `StringData`, section 2.4: a count of characters, and no zero at the end.
    fn text(&mut self, unicode: bool) -> Option<String> {
        let count = usize::from(self.u16()?);
        Some(if unicode { utf16(self.take(count * 2)?) } else { latin1(self.take(count)?) })
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn units(bytes: &[u8]) -> impl Iterator<Item = u16> {
    bytes.chunks_exact(2).map(|pair| u16::from_le_bytes(pair.try_into().unwrap_or_default()))
}

fn utf16(bytes: &[u8]) -> String {
    char::decode_utf16(units(bytes)).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

fn until_zero_utf16(bytes: &[u8]) -> String {
    let text = units(bytes).take_while(|unit| *unit != 0);
    char::decode_utf16(text).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

/// Text in the system's code page, which the link does not name: what is not ASCII is taken for Latin-1.
fn latin1(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes).map(Cow::Borrowed) {
        Ok(text) if bytes.is_ascii() => text.into_owned(),
        _ => bytes.iter().map(|byte| char::from(*byte)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Written by pylnk3 0.4.3, from Python: with a `LinkInfo` and arguments, and
    /// `pylnk3 create 'C:\Windows\notepad.exe'`.
    const CHROME: &[u8] = include_bytes!(
        "../../../../tests/fixtures/homes/windows-web-app/Users/alice/AppData/Roaming/Microsoft/Windows/Start Menu/Programs/Chrome Apps/WhatsApp Web.lnk"
    );
    const PLAIN: &[u8] = include_bytes!(
        "../../../../tests/fixtures/homes/windows-web-app/Users/alice/AppData/Roaming/Microsoft/Windows/Start Menu/Programs/Notepad.lnk"
    );

    #[test]
    fn target_and_arguments_are_read() {
        let link = ShellLink::parse(CHROME).unwrap();
        let target = "C:\\Program Files\\Google\\Chrome\\Application\\chrome_proxy.exe";
        assert_eq!(link.target.as_deref(), Some(target));
        let arguments = "--profile-directory=Default --app-id=hnpfjngllnobngcgfapefoaidbinmjnm";
        assert_eq!(link.arguments.as_deref(), Some(arguments));
        // It names its target in a list of shell items only.
        let link = ShellLink::parse(PLAIN).unwrap();
        assert_eq!((link.target, link.arguments), (None, None));
    }

    #[test]
    fn what_is_no_link_or_ends_early_is_nothing() {
        assert_eq!(ShellLink::parse(b""), None);
        assert_eq!(ShellLink::parse(b"[Desktop Entry]\nType=Application\n"), None);
        for end in 0..HEADER {
            assert_eq!(ShellLink::parse(&CHROME[..end]), None);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
            let _ = ShellLink::parse(&bytes);
        }

        #[test]
        fn a_link_that_was_cut_or_altered_is_read_without_panic(at in 0..CHROME.len(), byte: u8, cut in 0..CHROME.len()) {
            let mut bytes = CHROME.to_vec();
            bytes[at] = byte;
            let _ = ShellLink::parse(&bytes);
            let _ = ShellLink::parse(&bytes[..cut]);
        }

        #[test]
        fn arguments_are_read_back(arguments in "[a-zA-Z0-9=: /.-]{0,80}") {
            let mut bytes = CHROME[..HEADER].to_vec();
            bytes[20..24].copy_from_slice(&(HAS_ARGUMENTS | IS_UNICODE).to_le_bytes());
            let units: Vec<u16> = arguments.encode_utf16().collect();
            bytes.extend((units.len() as u16).to_le_bytes());
            bytes.extend(units.iter().flat_map(|unit| unit.to_le_bytes()));
            let expected = ShellLink { target: None, arguments: Some(arguments) };
            prop_assert_eq!(ShellLink::parse(&bytes), Some(expected));
        }
    }
}
