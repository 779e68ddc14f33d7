//! A block of Alpine's `installed`: a letter, a colon and a value on each line, first those of the package,
//! then its files (apk-tools, `src/database.c`: `apk_db_fdb_write` and `apk_db_index_read`, the same in
//! version 2 and 3; `src/package.c`: the letters).

/// What is known of a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Package<'a> {
    /// `P`.
    pub name: &'a str,
    /// `V`, with the release.
    pub version: Option<&'a str>,
    /// `m`.
    pub maintainer: Option<&'a str>,
}

impl<'a> Package<'a> {
    /// `None` if the block names no package.
    pub fn parse(block: &'a [u8]) -> Option<Self> {
        let (mut name, mut version, mut maintainer) = (None, None, None);
        for line in block.split(|byte| *byte == b'\n') {
            let Some((letter, value)) = line.split_at_checked(2) else { continue };
            let field = match letter {
                b"P:" => &mut name,
                b"V:" => &mut version,
                b"m:" => &mut maintainer,
                // Files follow: the package was described above.
                b"F:" => break,
                _ => continue,
            };
            *field = std::str::from_utf8(value).ok().map(str::trim).filter(|value| !value.is_empty());
        }
        Some(Self { name: name?, version, maintainer })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_package_is_read_and_its_files_are_not() {
        let block = b"C:Q1abc=\nP:profanity\nV:0.14.0-r2\nA:x86_64\nT:A console XMPP client\nm:A Name <a@example.org>\n\
            F:usr/bin\nR:profanity\na:0:0:755\nZ:Q1x=\nP:other";
        let package = Package {
            name: "profanity",
            version: Some("0.14.0-r2"),
            maintainer: Some("A Name <a@example.org>"),
        };
        assert_eq!(Package::parse(block), Some(package));
        for none in ["", "P", "P:", "P: ", "V:1\nF:usr\nP:late", "\u{e9}:x"] {
            assert_eq!(Package::parse(none.as_bytes()), None, "{none:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
            let _ = Package::parse(&bytes);
        }

        #[test]
        fn a_package_is_read_back(name in "[a-z0-9][a-z0-9_.+-]{0,20}", version in "[0-9][0-9.]{0,9}-r[0-9]") {
            let block = format!("C:Q1=\nP:{name}\nV:{version}\nF:etc\n");
            let package = Package { name: &name, version: Some(&version), maintainer: None };
            prop_assert_eq!(Package::parse(block.as_bytes()), Some(package));
        }
    }
}
