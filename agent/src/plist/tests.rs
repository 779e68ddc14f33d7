//! XML, and what both forms have in common.

use proptest::prelude::*;

use super::*;

const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \
    \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n<plist version=\"1.0\">\n";

fn one(text: &str) -> Result<Option<String>, PlistError> {
    texts(text.as_bytes(), &[&["A"]]).map(|[a]| a)
}

fn is(text: &str) -> Result<Option<String>, PlistError> {
    Ok(Some(text.to_owned()))
}

#[test]
fn texts_are_found_where_they_stand() {
    let list = format!(
        "{HEAD}<dict><key>Other</key><dict><key>A</key><string>inner</string></dict>\n\
        <key>List</key><array><dict><key>A</key><string>listed</string></dict><string>x</string></array>\n\
        <key>Empty</key><string/><key>On</key><true/><key>A</key><string>1 &lt; 2 &#38; &#x33;<![CDATA[<&>]]></string>\n\
        <key>Build</key><integer> 42 </integer></dict></plist>"
    );
    let places: [&[&str]; 6] = [&["A"], &["Other", "A"], &["List", "A"], &["Build"], &["Other"], &["On"]];
    let texts = texts(list.as_bytes(), &places).unwrap();
    let found = texts.each_ref().map(Option::as_deref);
    assert_eq!(found, [Some("1 < 2 & 3<&>"), Some("inner"), None, Some("42"), None, None]);
}

#[test]
fn the_outermost_dictionary_is_told_with_the_types_of_its_values() {
    let list = format!(
        "{HEAD}<dict><key>T</key><string>a &amp; b</string><key>E</key><string/><key>On</key><true/>\
        <key>Off</key><false></false><key>N</key><integer>1</integer><key>R</key><real>1.5</real>\
        <key>L</key><array><dict><key>x</key><string>y</string></dict><true/></array>\
        <key>D</key><dict><key>T</key><string>inner</string></dict><key>X</key><other/></dict></plist>"
    );
    let expected = [
        ("T", Value::Text("a & b".to_owned())),
        ("E", Value::Text(String::new())),
        ("On", Value::Flag(true)),
        ("Off", Value::Flag(false)),
        ("N", Value::Other("a whole number")),
        ("R", Value::Other("a number with a fraction")),
        ("L", Value::Other("a list")),
        ("D", Value::Other("a dictionary")),
        ("X", Value::Other("an unknown element")),
    ];
    assert_eq!(entries(list.as_bytes()), Ok(expected.map(|(key, value)| (key.to_owned(), value)).to_vec()));
    for (text, expected) in [
        ("<plist><dict/></plist>", Ok(vec![])),
        ("<plist><array><dict/></array></plist>", Err(PlistError::NoDictionary)),
        ("<plist/>", Err(PlistError::NoDictionary)),
        ("<dict><key>A</key>", Err(PlistError::Damaged)),
        ("{ A = x; }", Err(PlistError::Unknown)),
    ] {
        assert_eq!(entries(text.as_bytes()), expected, "{text}");
    }
}

#[test]
fn other_encodings_and_a_missing_root_are_read() {
    let list = "<?xml version='1.0'?><dict><key>A</key><string>\u{201c}\u{1f4ac}</string></dict>";
    let bytes = |unit: fn(u16) -> [u8; 2]| list.encode_utf16().flat_map(unit).collect::<Vec<u8>>();
    for encoded in [
        list.as_bytes().to_vec(),
        [&b"\xef\xbb\xbf"[..], list.as_bytes()].concat(),
        [&b"\xff\xfe"[..], &bytes(u16::to_le_bytes)].concat(),
        [&b"\xfe\xff"[..], &bytes(u16::to_be_bytes)].concat(),
    ] {
        assert_eq!(texts(&encoded, &[&["A"]]), Ok([Some("\u{201c}\u{1f4ac}".to_owned())]));
    }
    let latin = b"<dict><key>C</key><string>\xa9 2004</string><key>A</key><string>x</string></dict>";
    assert_eq!(texts(latin, &[&["A"]]), Ok([Some("x".to_owned())]));
}

#[test]
fn entities_of_its_own_are_refused_and_unknown_ones_stay() {
    let laughs = "<?xml version='1.0'?><!DOCTYPE plist [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;'>]>\
        <plist><dict><key>A</key><string>&b;</string></dict></plist>";
    assert_eq!(one(laughs), Err(PlistError::Entities));
    let outside =
        "<!DOCTYPE plist SYSTEM 'file:///etc/passwd'><dict><key>A</key><string>&x; &#0; & &;</string></dict>";
    assert_eq!(one(outside), is("&x; \0 & &;"));
}

#[test]
fn deep_ones_and_damaged_ones_are_refused() {
    let deep = |depth: usize| format!("{}{}", "<array>".repeat(depth), "</array>".repeat(depth));
    assert_eq!(one(&deep(DEPTH_MAX)), Ok(None));
    assert_eq!(one(&deep(1_000_000)), Err(PlistError::Damaged));
    for damaged in [
        "<dict><key>A</key>",
        "<dict><key>A</string></dict>",
        "</dict>",
        "<dict",
        "<!-- ",
        "<dict><string><array>",
        "< >",
    ] {
        assert_eq!(one(damaged), Err(PlistError::Damaged), "{damaged}");
    }
    for unknown in ["", "{ A = x; }", "bplist", "A"] {
        assert_eq!(one(unknown), Err(PlistError::Unknown), "{unknown}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(bytes: Vec<u8>, text: String) {
        let _ = texts(&bytes, &[&["A"], &["A", "B"]]);
        for text in [format!("<dict><key>A</key>{text}</dict>"), format!("<{text}>")] {
            let _ = (one(&text), entries(text.as_bytes()));
        }
        let _ = entries(&bytes);
    }

    #[test]
    fn a_text_is_read_back(key in "[A-Za-z][A-Za-z .-]{0,20}", text: String) {
        let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let list = format!("{HEAD}<dict>\n\t<key>{key}</key>\n\t<string>{escaped}</string>\n</dict>\n</plist>\n");
        prop_assert_eq!(texts(list.as_bytes(), &[&[&key]]), Ok([Some(text)]));
    }
}
