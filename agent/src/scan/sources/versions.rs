//! Comparing versions.

/// The numbers in a version, which compare as versions do: 1.10 is more than 1.9.
pub(super) fn numbers(version: &str) -> Vec<u64> {
    let parts = version.split(|c: char| !c.is_ascii_digit()).filter(|part| !part.is_empty());
    parts.map(|part| part.parse().unwrap_or(u64::MAX)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn versions_compare_as_numbers(a in prop::collection::vec(0_u64..1000, 1..5), b in prop::collection::vec(0_u64..1000, 1..5)) {
            let text = |v: &[u64]| v.iter().map(u64::to_string).collect::<Vec<_>>().join(".");
            prop_assert_eq!(numbers(&text(&a)).cmp(&numbers(&text(&b))), a.cmp(&b));
        }

        #[test]
        fn any_version_is_compared_without_panic(version: String) {
            let _ = numbers(&version);
        }
    }
}
