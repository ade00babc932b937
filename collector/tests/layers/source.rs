//! What one file imports, read from its text. Comments, strings and test code are left out.

/// A path in a file that may name another file of the crate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Import {
    /// From 1.
    pub(crate) line: usize,
    /// Modules inside the file (`mod x { ... }`) in which the path stands.
    pub(crate) inside: Vec<String>,
    /// Segments as written: the first may be `crate`, `self` or `super`. The last may be `*`.
    pub(crate) path: Vec<String>,
    /// The name that a `use` gives to the path; none for a path in other code, for `as _` and for `*`.
    pub(crate) name: Option<String>,
    pub(crate) is_use: bool,
}

#[derive(Clone, Copy, Debug)]
struct Token<'t> {
    text: &'t str,
    line: usize,
}

/// All imports of a file's text.
pub(crate) fn imports(text: &str) -> Vec<Import> {
    let text = blank(text);
    let tokens = without_tests(&tokens(&text));
    let mut reader = Reader { tokens: &tokens, at: 0, depth: 0, inside: vec![], imports: vec![] };
    reader.read();
    reader.imports
}

/// The text with spaces in place of comments and of what stands in quotes. Lines stay where they are.
fn blank(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = vec![];
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let rest = &bytes[at..];
        let len = match byte {
            b'/' if rest.starts_with(b"//") => rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len()),
            b'/' if rest.starts_with(b"/*") => block_comment(rest),
            b'"' => quoted(rest, b'"'),
            b'\'' => char_literal(rest),
            b'_' | b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => {
                let word = rest.iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count();
                let raw = matches!(&rest[..word], b"r" | b"br" | b"cr").then(|| raw_string(&rest[word..]));
                match raw.flatten() {
                    Some(len) => word + len,
                    None => {
                        out.extend_from_slice(&rest[..word]);
                        at += word;
                        continue;
                    }
                }
            }
            _ => 0,
        };
        if len == 0 {
            out.push(if byte.is_ascii() { *byte } else { b' ' });
            at += 1;
        } else {
            out.extend(rest.iter().take(len).map(|b| if *b == b'\n' { b'\n' } else { b' ' }));
            at += len;
        }
    }
    String::from_utf8(out).expect("ASCII only")
}

/// Length of a block comment, with the comments inside it.
fn block_comment(rest: &[u8]) -> usize {
    let (mut at, mut depth) = (0, 0);
    while at < rest.len() {
        match rest.get(at..at + 2) {
            Some(b"/*") => (at, depth) = (at + 2, depth + 1),
            Some(b"*/") => (at, depth) = (at + 2, depth - 1),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// Length of a literal up to its closing quote. A backslash hides the byte behind it.
fn quoted(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while let Some(byte) = rest.get(at) {
        match *byte {
            b'\\' => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// Length of a character literal; 0 if the quote begins a lifetime.
fn char_literal(rest: &[u8]) -> usize {
    let text = String::from_utf8_lossy(&rest[1..rest.len().min(12)]).into_owned();
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some('\\'), _) => quoted(rest, b'\''),
        (Some(c), Some('\'')) => c.len_utf8() + 2,
        _ => 0,
    }
}

/// Length of `#"..."#` behind the `r` of a raw string; none if it is none (`r#type`).
fn raw_string(rest: &[u8]) -> Option<usize> {
    let hashes = rest.iter().take_while(|b| **b == b'#').count();
    if rest.get(hashes) != Some(&b'"') {
        return None;
    }
    let mut end = vec![b'"'];
    end.resize(hashes + 1, b'#');
    let body = &rest[hashes + 1..];
    let len = body.windows(end.len()).position(|window| window == end)?;
    Some(hashes + 1 + len + end.len())
}

fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = vec![];
    for (line, text) in (1..).zip(text.lines()) {
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            let word = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
            let len = if word > 0 { word } else { 1 + usize::from(rest.starts_with("::")) };
            tokens.push(Token { text: &rest[..len], line });
            rest = rest[len..].trim_start();
        }
    }
    tokens
}

/// Without the items that stand behind `#[cfg(test)]`.
fn without_tests<'t>(tokens: &[Token<'t>]) -> Vec<Token<'t>> {
    const CFG_TEST: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut kept = vec![];
    let mut at = 0;
    while at < tokens.len() {
        let is_test = tokens[at..].iter().map(|token| token.text).take(7).eq(CFG_TEST);
        if is_test {
            at += CFG_TEST.len();
            at += item(&tokens[at..]);
        } else {
            kept.push(tokens[at]);
            at += 1;
        }
    }
    kept
}

/// How many tokens an item has: to its `;`, or to the brace that closes its body.
fn item(tokens: &[Token<'_>]) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate() {
        match token.text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" => depth -= 1,
            "}" if depth <= 0 => return at,
            "}" => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            ";" if depth == 0 => return at + 1,
            _ => {}
        }
    }
    tokens.len()
}

struct Reader<'t> {
    tokens: &'t [Token<'t>],
    at: usize,
    depth: usize,
    /// Modules that are open here, with the depth of their braces.
    inside: Vec<(String, usize)>,
    imports: Vec<Import>,
}

impl Reader<'_> {
    fn text(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |token| token.text)
    }

    fn read(&mut self) {
        while self.at < self.tokens.len() {
            let next = self.text(self.at + 1).to_owned();
            match self.text(self.at) {
                "{" => self.depth += 1,
                "}" => {
                    self.depth = self.depth.saturating_sub(1);
                    self.inside.pop_if(|(_, depth)| *depth > self.depth);
                }
                "mod" if self.text(self.at + 2) == "{" => self.inside.push((next, self.depth + 1)),
                // `use<'a>` is a bound.
                "use" if next != "<" => {
                    self.at += 1;
                    self.tree(&[]);
                }
                "crate" | "self" | "super" if next == "::" => self.path(),
                _ => {}
            }
            self.at += 1;
        }
    }

    fn push(&mut self, line: usize, path: Vec<String>, name: Option<String>, is_use: bool) {
        let inside = self.inside.iter().map(|(name, _)| name.clone()).collect();
        self.imports.push(Import { line, inside, path, name, is_use });
    }

    /// A path that is not in a `use`. Afterwards `at` is its last segment.
    fn path(&mut self) {
        let line = self.tokens[self.at].line;
        // `pub(in crate::x)` imports nothing.
        let is_visibility = self.at >= 2 && self.text(self.at - 1) == "in" && self.text(self.at - 2) == "(";
        let mut path = vec![self.text(self.at).to_owned()];
        while self.text(self.at + 1) == "::" && is_word(self.text(self.at + 2)) {
            path.push(self.text(self.at + 2).to_owned());
            self.at += 2;
        }
        if !is_visibility {
            self.push(line, path, None, false);
        }
    }

    /// One tree of a `use`, behind `before`. Afterwards `at` is the `,`, `}` or `;` behind it.
    fn tree(&mut self, before: &[String]) {
        let mut path = before.to_vec();
        let line = self.tokens.get(self.at).map_or(0, |token| token.line);
        loop {
            match self.text(self.at) {
                "{" => {
                    while !matches!(self.text(self.at), "}" | ";" | "") {
                        self.at += 1;
                        if self.text(self.at) != "}" {
                            self.tree(&path);
                        }
                    }
                    self.at += 1;
                    return;
                }
                "::" => self.at += 1,
                "," | "}" | ";" | "" => break,
                "as" => {
                    let name = self.text(self.at + 1).to_owned();
                    self.at += 2;
                    return self.leaf(line, path, Some(name).filter(|name| name != "_"));
                }
                // `{self, ...}` is the module itself.
                "self" if !path.is_empty() => self.at += 1,
                word => {
                    path.push(word.to_owned());
                    self.at += 1;
                }
            }
        }
        let name = path.last().cloned().filter(|name| name != "*");
        self.leaf(line, path, name);
    }

    fn leaf(&mut self, line: usize, path: Vec<String>, name: Option<String>) {
        self.push(line, path, name, true);
    }
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}
