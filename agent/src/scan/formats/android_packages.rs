//! `packages.list` of Android: a package on each line, its name, its number, and more (AOSP,
//! `services/core/java/com/android/server/pm/Settings.java`: `writePackageListLPrInternal`).

/// The names of all packages; `None` in the place of a line that is none.
pub fn names(list: &[u8]) -> impl Iterator<Item = Option<&str>> {
    let lines = list.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    lines.map(|line| {
        let mut words = std::str::from_utf8(line).ok()?.split(' ');
        let name = words.next().filter(|name| is_name(name))?;
        let is_number = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
        // The number, whether it can be debugged, where its data is.
        let rest = (words.next()?, words.next()?, words.next()?);
        (is_number(rest.0) && is_number(rest.1) && rest.2.starts_with('/')).then_some(name)
    })
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn packages_are_read_as_old_and_new_systems_write_them() {
        let list = b"org.thoughtcrime.securesms 10123 0 /data/user/0/org.thoughtcrime.securesms default:targetSdkVersion=33 3002,3003,3001 0 142300 1 @null\n\
            com.android.providers.telephony 1001 0 /data/user_de/0/com.android.providers.telephony platform 3002 0 33\n\
            old.app 10001 1 /data/data/old.app default none\n";
        let found: Option<Vec<_>> = names(list).collect();
        assert_eq!(
            found.unwrap(),
            ["org.thoughtcrime.securesms", "com.android.providers.telephony", "old.app"]
        );
    }

    #[test]
    fn what_is_no_package_is_said() {
        for line in
            ["a", "a.b x 0 /data", "a.b 1 0", "a/b 1 0 /data", "a.b 1 0 data", "\u{e9} 1 0 /d", " a 1 0 /d"]
        {
            assert_eq!(names(line.as_bytes()).collect::<Vec<_>>(), [None], "{line:?}");
        }
        assert_eq!(names(b"\n\n").count(), 0);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
            let _ = names(&bytes).count();
        }

        #[test]
        fn packages_are_read_back(all in prop::collection::vec("[a-z]{1,9}(\\.[a-z0-9_]{1,9}){1,3}", 0..20)) {
            let list: String = all.iter().map(|name| format!("{name} 10001 0 /data/user/0/{name} default none 0 7\n")).collect();
            let found: Option<Vec<_>> = names(list.as_bytes()).collect();
            prop_assert_eq!(found.unwrap(), all);
        }
    }
}
