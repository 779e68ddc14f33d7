//! Texts as Wine writes them, and others.

use proptest::prelude::*;

use super::*;

const HEAD: &str = "WINE REGISTRY Version 2\n;; All keys relative to REGISTRY\\\\User\n\n#arch=win64\n\n";

fn read(text: &str, wanted: &[&str]) -> Tree {
    Tree::read(format!("{HEAD}{text}").as_bytes(), wanted).unwrap()
}

fn names(key: &Key<'_>) -> Vec<String> {
    let mut names = Vec::new();
    key.each_subkey(9, &mut |name, _| names.push(name.to_owned()));
    names
}

#[test]
fn wanted_keys_are_found_in_any_case_and_others_are_not_kept() {
    let text = "[Software\\\\A] 1\n\"x\"=\"0\"\n\n[Software\\\\Wanted\\\\B\\\\C] 12 34\n#time=1\n\"Name\"=\"1\"\n\
        [Software\\\\Wanted\\\\B-x] 1\n\"n\"=dword:0000001f\n[Software\\\\WantedNot] 1\n\"x\"=\"2\"\n";
    let tree = read(text, &["software\\wanted"]);
    assert!(!tree.is_malformed());
    assert_eq!(tree.keys.len(), 2);
    let wanted = tree.root().subkey("SOFTWARE\\Wanted").unwrap();
    assert_eq!(names(&wanted), ["B-x", "B"]);
    let text = wanted.subkey("b\\c").unwrap().value("NAME").cloned();
    assert_eq!(text, Some(Value::Text("1".to_owned())));
    assert_eq!(wanted.subkey("b-X").unwrap().value("N"), Some(&Value::Number(31)));
    assert!(tree.root().subkey("Software\\A").is_none() && wanted.subkey("c").is_none());
}

#[test]
fn escapes_are_those_of_wine() {
    let text = "[K\\\\Gr\\xfc\\x00dfe\\x4e2d[1\\]] 1\n\"a\\\"b\"=\"C:\\\\x\\t\\x263a\\xd83d\\xde00\\0rest\"\n@=str(2):\"%X%\"\n\
        \"m\"=str(7):\"one\\0two\\0\"\n\"h\"=hex(2):41,00,\\\n  42,00,00,00\n\"q\"=hex(b):01,00,00,00,00,00,00,00\n\"o\"=hex:01\n";
    let tree = read(text, &["K"]);
    assert!(!tree.is_malformed());
    assert_eq!(names(&tree.root().subkey("k").unwrap()), ["Gr\u{fc}\u{df}e\u{4e2d}[1]"]);
    let key = tree.root().subkey("k\\gr\u{fc}\u{df}e\u{4e2d}[1]").unwrap();
    let expected = [("a\"b", "C:\\x\t\u{263a}\u{1f600}"), ("", "%X%"), ("m", "one"), ("h", "AB")];
    for (name, text) in expected {
        assert_eq!(key.value(name), Some(&Value::Text(text.to_owned())), "{name}");
    }
    assert_eq!((key.value("q"), key.value("o")), (Some(&Value::Number(1)), Some(&Value::Other)));
}

#[test]
fn what_is_no_registry_or_too_much_is_an_error_and_bad_lines_are_said() {
    let error = |text: &str| Tree::read(text.as_bytes(), &["K"]).unwrap_err().kind();
    assert_eq!(error("REGEDIT4\n"), io::ErrorKind::InvalidData);
    assert_eq!(error(""), io::ErrorKind::InvalidData);
    let line = format!("\"x\"=\"{}\"\n", "y".repeat(LINE_MAX / 2));
    let much = format!("{HEAD}[K] 1\n{}", line.repeat(2 * KEPT_MAX / LINE_MAX + 1));
    assert_eq!(error(&much), io::ErrorKind::FileTooLarge);
    // Of no interest elsewhere, however long.
    assert!(Tree::read(much.as_bytes(), &["L"]).unwrap().keys.is_empty());
    for bad in ["\"x\"=", "\"x", "@", "\"x\"=dword:g", "\"x\"=hex(1:00", "\"x\"=hex(1):zz", "\"x\"=\"\\"] {
        assert!(read(&format!("[K] 1\n{bad}\n"), &["K"]).is_malformed(), "{bad}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(text in prop::collection::vec(prop_oneof![
        Just("[K\\\\a] 1\n".as_bytes().to_vec()), Just(b"\"x\"=".to_vec()), Just(b"\\".to_vec()),
        Just(b"hex(2):".to_vec()), any::<Vec<u8>>()], 0..20)) {
        let text = [HEAD.as_bytes(), &text.concat()].concat();
        if let Ok(tree) = Tree::read(text.as_slice(), &["K", ""]) {
            tree.root().each_subkey(9, &mut |_, key| {
                let _ = (key.value("x"), names(key));
            });
        }
    }
}
