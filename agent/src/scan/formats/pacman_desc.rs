//! `desc` of an installed Arch package: a key in percent signs on a line, its values on the lines below it,
//! an empty line (pacman, `lib/libalpm/be_local.c`: `local_db_read` and `_alpm_local_db_write`).

/// What is known of a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Package<'a> {
    /// `%NAME%`.
    pub name: &'a str,
    /// `%VERSION%`, with the release.
    pub version: Option<&'a str>,
    /// `%PACKAGER%`, unless nobody said.
    pub packager: Option<&'a str>,
}

impl<'a> Package<'a> {
    /// `None` if the text names no package. Keys that were cut off are missing, and so are some in an order that pacman does not write.
    pub fn parse(desc: &'a [u8]) -> Option<Self> {
        let (mut name, mut version, mut packager) = (None, None, None);
        // The last line may be cut in the middle: it is whole only with its end.
        let whole = desc.get(..memchr::memrchr(b'\n', desc)?)?;
        let mut lines = whole.split(|byte| *byte == b'\n');
        while let Some(key) = lines.next() {
            let field = match key {
                b"%NAME%" => &mut name,
                b"%VERSION%" => &mut version,
                b"%PACKAGER%" => &mut packager,
                _ => continue,
            };
            let value = lines.next().and_then(|line| std::str::from_utf8(line).ok());
            *field = value.map(str::trim).filter(|value| !value.is_empty());
            // The last of them; lists of dependencies follow.
            if packager.is_some() {
                break;
            }
        }
        let packager = packager.filter(|packager| *packager != "Unknown Packager");
        Some(Self { name: name?, version, packager })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_description_is_read_and_values_are_no_keys() {
        let desc = b"%NAME%\ngajim\n\n%VERSION%\n1.8.4-1\n\n%DESC%\n%NAME% of a client\n\n%PACKAGER%\nUnknown Packager\n\n\
            %GROUPS%\na\nb\n\n";
        let package = Package { name: "gajim", version: Some("1.8.4-1"), packager: None };
        assert_eq!(Package::parse(desc), Some(package));
    }

    #[test]
    fn what_names_no_package_is_none_and_what_is_cut_is_not_taken() {
        for desc in ["", "\n", "%NAME%", "%NAME%\n", "%NAME%\n\n%VERSION%\n1\n", "%NAME%\nteleg"] {
            assert_eq!(Package::parse(desc.as_bytes()), None, "{desc:?}");
        }
        let cut = Package { name: "a", version: None, packager: None };
        assert_eq!(Package::parse(b"%NAME%\na\n\n%VERSION%\n1.2"), Some(cut));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
            let _ = Package::parse(&bytes);
        }

        #[test]
        fn a_package_is_read_back(name in "[a-z0-9@_+][a-z0-9@._+-]{0,20}", version in "[0-9]:[0-9.]{1,9}-[0-9]", packager in "[A-Z][a-z ]{0,9}[a-z]") {
            let desc = format!("%NAME%\n{name}\n\n%VERSION%\n{version}\n\n%PACKAGER%\n{packager}\n\n");
            let package = Package { name: &name, version: Some(&version), packager: Some(&packager) };
            prop_assert_eq!(Package::parse(desc.as_bytes()), Some(package));
        }
    }
}
