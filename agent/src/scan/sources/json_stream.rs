//! One list out of a large JSON file, an element at a time.
//!
//! Users write these files: a small one can hold a million elements, and what is kept of each would
//! take many times the file's size. Here only one is in memory at a time.

use std::fmt;
use std::io::{BufReader, Read};
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Tells `found` of each element of the list, or each value of the object, that the file's outermost
/// object has under `key`. Everything else is skipped. Answers whether there is such a key.
///
/// # Errors
/// If the file cannot be read or is no such JSON; `found` may have been told of some by then.
pub(super) fn each<T: DeserializeOwned>(
    file: impl Read,
    key: &'static str,
    found: &mut dyn FnMut(T),
) -> Result<bool, serde_json::Error> {
    let mut json = serde_json::Deserializer::from_reader(BufReader::new(file));
    let there = File { key, found, element: PhantomData }.deserialize(&mut json)?;
    json.end()?;
    Ok(there)
}

struct File<'f, T> {
    key: &'static str,
    found: &'f mut dyn FnMut(T),
    element: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for File<'_, T> {
    type Value = bool;
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<bool, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for File<'_, T> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object with {}", self.key)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let mut there = false;
        while let Some(is_it) = map.next_key_seed(Is(self.key))? {
            if is_it {
                there = true;
                map.next_value_seed(Elements { found: &mut *self.found, element: PhantomData })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(there)
    }
}

/// Whether a key is this one; it is not kept.
struct Is(&'static str);

impl<'de> DeserializeSeed<'de> for Is {
    type Value = bool;
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<bool, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for Is {
    type Value = bool;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }
    fn visit_str<E>(self, key: &str) -> Result<bool, E> {
        Ok(key == self.0)
    }
}

struct Elements<'f, T> {
    found: &'f mut dyn FnMut(T),
    element: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for Elements<'_, T> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Elements<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list or an object")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(element) = list.next_element()? {
            (self.found)(element);
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some((IgnoredAny, element)) = map.next_entry()? {
            (self.found)(element);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn numbers(json: &str) -> Option<(bool, Vec<u32>)> {
        let mut all = Vec::new();
        let there = each(json.as_bytes(), "n", &mut |n: u32| all.push(n)).ok()?;
        Some((there, all))
    }

    #[test]
    fn lists_and_objects_are_read_and_all_else_is_skipped() {
        assert_eq!(numbers(r#"{"m":{"n":[9]},"n":[1,2],"o":null}"#), Some((true, vec![1, 2])));
        assert_eq!(numbers(r#"{"n":{"a":1,"b":2}}"#), Some((true, vec![1, 2])));
        assert_eq!(numbers("{}"), Some((false, vec![])));
        for broken in ["", "[]", "{\"n\":[1,2", "{\"n\":[1]} x", "{\"n\":[\"1\"]}", "{\"n\":3}"] {
            assert_eq!(numbers(broken), None, "{broken}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
            let _ = each(bytes.as_slice(), "n", &mut |_: u32| {});
        }
    }
}
