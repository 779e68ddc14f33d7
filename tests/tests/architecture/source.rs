//! Just enough of a reader of Rust to know which paths a file uses.

/// The code of a file without comments and tests, and its literal texts, each with its line.
pub struct Source {
    pub tokens: Vec<(usize, String)>,
    pub texts: Vec<(usize, String)>,
}

impl Source {
    /// Reads a file.
    pub fn read(text: &str) -> Self {
        let chars: Vec<char> = text.chars().collect();
        let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
        let (mut tokens, mut i, mut line) = (Vec::new(), 0, 1);
        while i < chars.len() {
            let (c, start, first) = (at(i), i, line);
            if c == '/' && at(i + 1) == '/' {
                while i < chars.len() && at(i) != '\n' {
                    i += 1;
                }
            } else if c == '/' && at(i + 1) == '*' {
                let mut depth = 0;
                while i < chars.len() {
                    match (at(i), at(i + 1)) {
                        ('/', '*') => (depth, i) = (depth + 1, i + 2),
                        ('*', '/') => (depth, i) = (depth - 1, i + 2),
                        _ => i += 1,
                    }
                    if depth == 0 {
                        break;
                    }
                }
            } else if c == '"' {
                i += 1;
                while i < chars.len() && at(i) != '"' {
                    i += if at(i) == '\\' { 2 } else { 1 };
                }
                i += 1;
                tokens.push((first, chars[start..i.min(chars.len())].iter().collect()));
            } else if c == '\'' && (at(i + 1) == '\\' || at(i + 2) == '\'') {
                i += if at(i + 1) == '\\' { 3 } else { 2 };
                while i < chars.len() && at(i) != '\'' {
                    i += 1;
                }
                i += 1;
            } else if c.is_alphanumeric() || c == '_' {
                while at(i).is_alphanumeric() || at(i) == '_' {
                    i += 1;
                }
                let word: String = chars[start..i].iter().collect();
                let hashes = (i..).take_while(|i| at(*i) == '#').count();
                if word.ends_with('r') && word.len() <= 2 && at(i + hashes) == '"' {
                    let end: Vec<char> = format!("\"{}", "#".repeat(hashes)).chars().collect();
                    i += hashes + 1;
                    while i < chars.len() && !chars[i..].starts_with(&end) {
                        i += 1;
                    }
                    i = (i + end.len()).min(chars.len());
                    tokens.push((first, format!("\"{}", chars[start..i].iter().collect::<String>())));
                } else {
                    tokens.push((first, word));
                }
            } else if c == ':' && at(i + 1) == ':' {
                i += 2;
                tokens.push((first, "::".to_owned()));
            } else {
                i += 1;
                if !c.is_whitespace() {
                    tokens.push((first, c.to_string()));
                }
            }
            line += chars[start..i.min(chars.len())].iter().filter(|c| **c == '\n').count();
        }
        let (texts, tokens) =
            without_tests(tokens).into_iter().partition(|(_, token)| token.starts_with('"'));
        Self { tokens, texts }
    }
}

/// Leaves out every item that is compiled for tests only.
fn without_tests(tokens: Vec<(usize, String)>) -> Vec<(usize, String)> {
    let is = |i: usize, text: &str| tokens.get(i).is_some_and(|(_, token)| token == text);
    let test_only =
        |i: usize| ["#", "[", "cfg", "(", "test", ")", "]"].iter().enumerate().all(|(n, t)| is(i + n, t));
    let (mut kept, mut i) = (Vec::new(), 0);
    while i < tokens.len() {
        if test_only(i) {
            i += 7;
            let mut depth = 0;
            while i < tokens.len() {
                depth += usize::from(is(i, "{"));
                let ends = (depth == 0 && is(i, ";")) || (depth == 1 && is(i, "}"));
                depth -= usize::from(is(i, "}") && depth > 0);
                i += 1;
                // The braces of a `use` tree end before its semicolon.
                if ends && !is(i, ";") {
                    break;
                }
            }
        } else {
            kept.push(tokens[i].clone());
            i += 1;
        }
    }
    kept
}

/// A path in the code.
#[derive(Debug)]
pub struct Use {
    /// Where it stands.
    pub line: usize,
    pub segments: Vec<String>,
    /// Whether it stands in a `use`.
    pub imported: bool,
}

impl Use {
    /// Whether it says by itself where it starts.
    pub fn is_rooted(&self) -> bool {
        let roots = [
            "base64",
            "crate",
            "http",
            "hyper",
            "jiff",
            "offchannel_shared",
            "ring",
            "rusqlite",
            "self",
            "std",
            "super",
            "tokio",
        ];
        self.segments.first().is_some_and(|first| roots.contains(&first.as_str()))
    }

    /// The whole path: from `crate` or from the name of another package.
    pub fn resolve(&self, file: &str) -> String {
        let inside = file.split_once("src/").map_or("", |(_, inside)| inside);
        let module = inside
            .trim_end_matches(".rs")
            .split('/')
            .filter(|part| !["lib", "main", "mod", ""].contains(part));
        let mut module: Vec<&str> = ["crate"].into_iter().chain(module).collect();
        let mut rest = self.segments.iter().map(String::as_str).peekable();
        match rest.peek().copied() {
            Some("crate") => return self.segments.join("::"),
            Some("self") => _ = rest.next(),
            Some("super") => {
                while rest.next_if_eq(&"super").is_some() {
                    module.pop();
                }
            }
            // Another package, or something that a `use` elsewhere in the file has told already.
            Some(first) if self.imported || first.starts_with(char::is_lowercase) => {
                return self.segments.join("::");
            }
            _ => {}
        }
        module.extend(rest);
        module.join("::")
    }
}

/// Every path in the code; `use` trees are spelled out.
pub fn uses(tokens: &[(usize, String)]) -> impl Iterator<Item = Use> {
    let mut found = Vec::new();
    let mut i = 0;
    while i < tokens.len() {
        // `use<'a>` in a type is something else.
        if tokens[i].1 == "use" && !is(tokens, i + 1, "<") {
            i = use_tree(tokens, i + 1, &[], &mut found);
        } else if is_word(tokens, i) && is(tokens, i + 1, "::") && is_word(tokens, i + 2) {
            let line = tokens[i].0;
            let mut segments = vec![tokens[i].1.clone()];
            while is(tokens, i + 1, "::") && is_word(tokens, i + 2) {
                segments.push(tokens[i + 2].1.clone());
                i += 2;
            }
            found.push(Use { line, segments, imported: false });
            i += 1;
        } else {
            i += 1;
        }
    }
    found.into_iter()
}

/// Reads one tree of a `use` from `i` on; returns where it ends.
fn use_tree(tokens: &[(usize, String)], mut i: usize, prefix: &[String], found: &mut Vec<Use>) -> usize {
    let mut segments = prefix.to_vec();
    while i < tokens.len() {
        let (line, token) = &tokens[i];
        match token.as_str() {
            "::" => i += 1,
            "{" => {
                i += 1;
                while i < tokens.len() && !is(tokens, i, "}") && !is(tokens, i, ";") {
                    i = use_tree(tokens, i, &segments, found);
                    i += usize::from(is(tokens, i, ","));
                }
                return i + 1;
            }
            "as" => i += 2,
            "," | ";" | "}" => {
                // `{self}` is what stands before the brace.
                if segments.len() > 1 && segments.last().is_some_and(|last| last == "self" || last == "*") {
                    segments.pop();
                }
                found.push(Use { line: *line, segments, imported: true });
                return i;
            }
            word => {
                segments.push(word.to_owned());
                i += 1;
            }
        }
    }
    i
}

fn is(tokens: &[(usize, String)], i: usize, text: &str) -> bool {
    tokens.get(i).is_some_and(|(_, token)| token == text)
}

fn is_word(tokens: &[(usize, String)], i: usize) -> bool {
    tokens.get(i).is_some_and(|(_, token)| token.starts_with(|c: char| c.is_alphabetic() || c == '_'))
}
