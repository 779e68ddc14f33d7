//! Names as people type them: what is not seen in them, and when two of them are one person's.

/// Characters without a shape of their own: controls, marks of direction, joiners, tags, interlinear marks.
pub fn hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// Whether two names are those of one person: neither case nor spaces nor what is not seen make another one.
pub fn same_person(one: &str, other: &str) -> bool {
    let person = |name: &str| {
        let seen: String = name.chars().filter(|c| c.is_whitespace() || !hidden(*c)).collect();
        seen.split_whitespace().map(str::to_lowercase).collect::<Vec<String>>().join(" ")
    };
    person(one) == person(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_becomes_somebody_else_by_how_a_name_is_typed() {
        for name in
            ["ada lovelace", " ADA  Lovelace\t", "A\u{200b}da Lovelace\u{202c}", "\u{feff}Ada Lovelace"]
        {
            assert!(same_person(name, "Ada Lovelace"), "{name:?}");
        }
        for name in ["Adalovelace", "Ada", "Ada Lovelace 2", ""] {
            assert!(!same_person(name, "Ada Lovelace"), "{name:?}");
        }
    }
}
