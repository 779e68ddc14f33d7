//! What Nix writes: names of store paths, and the manifests of `nix-env`.

/// Where all packages are.
pub const STORE: &str = "/nix/store/";

/// Length of the hash in a store path, in letters of Nix's base 32 (`src/libstore/path.hh`, `HashLen`).
const HASH_LEN: usize = 32;

/// The store object that a path is or lies in, `/nix/store/<hash>-<name>`, and its name.
pub fn object(path: &str) -> Option<(&str, &str)> {
    let inner = path.strip_prefix(STORE)?;
    let object = inner.split('/').next()?;
    let (hash, name) = object.split_at_checked(HASH_LEN)?;
    let is_hash = hash.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase());
    let name = name.strip_prefix('-').filter(|name| is_hash && !name.is_empty())?;
    Some((path.get(..STORE.len() + object.len())?, name))
}

/// A package's name and version, by Nix's own rule: the version begins after the first hyphen that no
/// letter follows (`builtins.parseDrvName`; `src/libexpr/names.cc`).
pub fn name_and_version(text: &str) -> (&str, Option<&str>) {
    let next_is_no_letter =
        |at: &usize| text.as_bytes().get(at + 1).is_some_and(|next| !next.is_ascii_alphabetic());
    let hyphen = text.match_indices('-').map(|(at, _)| at).find(next_is_no_letter);
    match hyphen.and_then(|at| Some((text.get(..at)?, text.get(at + 1..)?))) {
        Some((name, version)) => (name, Some(version)),
        None => (text, None),
    }
}

/// Tells `each` of the names in a `manifest.nix`, a list of sets in the language of Nix as its own printer
/// writes it (`src/nix-env/user-env.cc`). Answers whether it is one.
pub fn for_each_name(manifest: &[u8], mut each: impl FnMut(&str)) -> bool {
    let mut rest = manifest.trim_ascii();
    if !rest.starts_with(b"[") {
        return false;
    }
    let mut depth = 0_usize;
    // The attribute that is being given a value.
    let mut key: &[u8] = b"";
    let mut is_given = false;
    while let Some((&first, after)) = rest.split_first() {
        let here = std::mem::replace(&mut rest, after);
        match first {
            b'"' => {
                let Some((text, after)) = string(after) else { return false };
                rest = after;
                if depth == 2 && is_given && key == b"name" {
                    // Names of packages have nothing to escape.
                    std::str::from_utf8(text).ok().filter(|text| !text.contains('\\')).map(&mut each);
                }
                is_given = false;
            }
            b'[' | b'{' => {
                depth += 1;
                is_given = false;
            }
            b']' | b'}' => match depth.checked_sub(1) {
                Some(less) => depth = less,
                None => return false,
            },
            b'=' => is_given = true,
            first if is_of_name(first) => {
                let end = here.iter().position(|byte| !is_of_name(*byte)).unwrap_or(here.len());
                (key, rest) = here.split_at_checked(end).unwrap_or_default();
                is_given = false;
            }
            _ => {}
        }
    }
    depth == 0
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'\'')
}

/// What stands before the end of a string, escapes as they are, and what follows it.
fn string(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut at = 0;
    loop {
        at += memchr::memchr2(b'"', b'\\', text.get(at..)?)?;
        if text.get(at) == Some(&b'"') {
            return Some((text.get(..at)?, text.get(at + 1..)?));
        }
        at += 2;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(manifest: &str) -> Option<Vec<String>> {
        let mut names = Vec::new();
        for_each_name(manifest.as_bytes(), |name| names.push(name.to_owned())).then_some(names)
    }

    #[test]
    fn a_path_is_of_the_object_that_it_lies_in() {
        let telegram = "/nix/store/i7m5wv6vafpkxlxgbg49iby1gfl0c1px-telegram-desktop-4.6.5";
        let expected = Some((telegram, "telegram-desktop-4.6.5"));
        assert_eq!(object(telegram), expected);
        assert_eq!(object(&format!("{telegram}/bin/telegram-desktop")), expected);
        for other in
            ["/nix/store/", "/nix/store/.links/x", "/nix/store/short-a", "/usr/bin/x", "/nix/store/\u{e9}"]
        {
            assert_eq!(object(other), None, "{other}");
        }
    }

    #[test]
    fn names_and_versions_are_parted_as_nix_does_it() {
        // As `nix-instantiate --eval -E 'builtins.parseDrvName "..."'` answers.
        for (text, name, version) in [
            ("telegram-desktop-4.6.5", "telegram-desktop", Some("4.6.5")),
            ("irssi", "irssi", None),
            ("a-1-b", "a", Some("1-b")),
            ("foo-2a", "foo", Some("2a")),
            ("7zip", "7zip", None),
            ("-1", "", Some("1")),
            ("a--1", "a", Some("-1")),
            ("x-", "x-", None),
        ] {
            assert_eq!(name_and_version(text), (name, version), "{text}");
        }
    }

    #[test]
    fn only_the_names_of_the_packages_themselves_are_read() {
        let manifest = r#"[ { meta = { broken = false; description = "a \"quoted\" \${x}\n[ { name = \"pidgin\"; } ]";
            license = { name = "gpl"; }; maintainers = [ { name = "Someone"; } ]; }; name = "irssi-1.4.5";
            out = { name = "x"; outPath = "/nix/store/a"; }; outputs = [ "out" ]; type = "derivation"; }
            { meta = { }; name = "telegram-desktop-4.6.5"; system-name = "x"; } ]"#;
        assert_eq!(names(manifest).unwrap(), ["irssi-1.4.5", "telegram-desktop-4.6.5"]);
        assert_eq!(names("[ ]"), Some(Vec::new()));
        for broken in ["", "x", "[", "[ { name = \"a", "[ ] ]", "{ }"] {
            assert_eq!(names(broken), None, "{broken:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>, text: String) {
            let _ = for_each_name(&bytes, |_| {});
            let _ = names(&format!("[{{name=\"{text}"));
            let _ = (name_and_version(&text), object(&text), object(&format!("{STORE}{text}")));
        }

        #[test]
        fn what_nix_would_print_is_read_back(all in prop::collection::vec("[a-z]{1,9}(-[a-z]{1,9})?-[0-9.]{1,9}", 0..20)) {
            let sets: String = all.iter().map(|name| format!("{{ meta = {{ }}; name = \"{name}\"; }} ")).collect();
            prop_assert_eq!(names(&format!("[ {sets}]")).unwrap(), all);
        }
    }
}
