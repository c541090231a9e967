//! One pass over JSON that checks it and remembers where its elements stand, as RFC 8259 says, and nothing more: values are
//! decoded by serde_json, and only those that somebody asks for. Depth is counted and never becomes recursion.
//!
//! It accepts what serde_json skips over: in a string `\\u` must be followed by four hexadecimal digits, but halves of
//! surrogate pairs are found by who decodes the string.

use super::text::first_special;

/// How deep JSON can be at most: serde_json decodes 127 levels, and the outermost array is split here and not decoded.
pub(crate) const DEPTH_MAX: usize = 128;

/// Why JSON is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Invalid,
    TooDeep,
}

/// Valid JSON: one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Raw<'a> {
    pub(super) json: &'a str,
    /// A string without escapes: what stands between its quotes is what it says.
    is_plain_string: bool,
}

impl<'a> Raw<'a> {
    pub(super) const NULL: Self = Raw { json: "null", is_plain_string: false };

    /// Of JSON that has been checked by somebody else.
    pub(super) fn checked(json: &'a str) -> Self {
        Raw { json, is_plain_string: false }
    }

    /// What it says, if that is a string which need not be decoded.
    pub(super) fn plain_string(self) -> Option<&'a str> {
        if self.is_plain_string { self.json.get(1..self.json.len().saturating_sub(1)) } else { None }
    }
}

/// What is left to read of one JSON text, and the containers that are open here.
pub(super) struct Scanner<'a> {
    json: &'a str,
    at: usize,
    depth: usize,
    depth_max: usize,
    /// A bit for each open container, the innermost lowest: 1 for an object.
    objects: u128,
    /// Whether an escape has been seen in this element.
    escaped: bool,
}

impl<'a> Scanner<'a> {
    /// `depth_max` is how many containers may be open at once, at most 128.
    pub(super) fn new(json: &'a str, depth_max: usize) -> Self {
        Scanner { json, at: 0, depth: 0, depth_max: depth_max.min(DEPTH_MAX), objects: 0, escaped: false }
    }

    /// Reads the `[` that the text must begin with.
    pub(super) fn begin_array(&mut self) -> Result<(), Fault> {
        if self.peek() != Some(b'[') {
            return Err(Fault::Invalid);
        }
        self.open(false)
    }

    /// The next element of the array that was begun, or `None` behind its end, which is the end of the text.
    pub(super) fn next_element(&mut self, is_first: bool) -> Result<Option<Raw<'a>>, Fault> {
        self.skip_space();
        match self.peek() {
            Some(b']') => {
                self.skip(1);
                self.skip_space();
                return if self.at == self.json.len() { Ok(None) } else { Err(Fault::Invalid) };
            }
            Some(b',') if !is_first => {
                self.skip(1);
                self.skip_space();
            }
            Some(_) if is_first => {}
            Some(_) | None => return Err(Fault::Invalid),
        }
        let start = self.at;
        self.escaped = false;
        self.skip_value()?;
        let json = self.json.get(start..self.at).ok_or(Fault::Invalid)?;
        Ok(Some(Raw { json, is_plain_string: json.starts_with('"') && !self.escaped }))
    }

    /// Reads the one value that the text must be, without space in front of it.
    pub(super) fn whole(mut self) -> Result<(), Fault> {
        self.skip_value()?;
        self.skip_space();
        if self.at == self.json.len() { Ok(()) } else { Err(Fault::Invalid) }
    }

    fn skip_value(&mut self) -> Result<(), Fault> {
        let outside = self.depth;
        loop {
            match self.peek() {
                Some(b'"') => self.skip_string()?,
                Some(b'-' | b'0'..=b'9') => self.skip_number()?,
                Some(b'[') => {
                    self.open(false)?;
                    if self.peek() != Some(b']') {
                        continue;
                    }
                }
                Some(b'{') => {
                    self.open(true)?;
                    if self.peek() != Some(b'}') {
                        self.skip_key()?;
                        continue;
                    }
                }
                Some(b't') => self.skip_literal("true")?,
                Some(b'f') => self.skip_literal("false")?,
                Some(b'n') => self.skip_literal("null")?,
                Some(_) | None => return Err(Fault::Invalid),
            }
            if self.close_containers(outside)? {
                return Ok(());
            }
        }
    }

    /// Behind a value: closes what ends here. True if the value at `outside` is complete; else the next value follows.
    fn close_containers(&mut self, outside: usize) -> Result<bool, Fault> {
        while self.depth > outside {
            self.skip_space();
            let in_object = self.objects & 1 == 1;
            let byte = self.peek().ok_or(Fault::Invalid)?;
            self.skip(1);
            match byte {
                b',' => {
                    self.skip_space();
                    if in_object {
                        self.skip_key()?;
                    }
                    return Ok(false);
                }
                b']' if !in_object => self.close(),
                b'}' if in_object => self.close(),
                _ => return Err(Fault::Invalid),
            }
        }
        Ok(true)
    }

    /// Reads `[` or `{` and the space behind.
    fn open(&mut self, is_object: bool) -> Result<(), Fault> {
        if self.depth == self.depth_max {
            return Err(Fault::TooDeep);
        }
        self.depth = self.depth.saturating_add(1);
        self.objects = self.objects << 1 | u128::from(is_object);
        self.skip(1);
        self.skip_space();
        Ok(())
    }

    fn close(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        self.objects >>= 1;
    }

    /// Reads `"key" :` and the space behind.
    fn skip_key(&mut self) -> Result<(), Fault> {
        if self.peek() != Some(b'"') {
            return Err(Fault::Invalid);
        }
        self.skip_string()?;
        self.skip_space();
        if self.peek() != Some(b':') {
            return Err(Fault::Invalid);
        }
        self.skip(1);
        self.skip_space();
        Ok(())
    }

    fn skip_string(&mut self) -> Result<(), Fault> {
        self.skip(1);
        loop {
            let rest = self.rest();
            let special = first_special(rest).ok_or(Fault::Invalid)?;
            self.skip(special);
            self.skip(1);
            match rest.get(special) {
                Some(b'"') => return Ok(()),
                Some(b'\\') => {
                    self.escaped = true;
                    self.skip_escape()?;
                }
                _ => return Err(Fault::Invalid),
            }
        }
    }

    fn skip_escape(&mut self) -> Result<(), Fault> {
        let len = match self.rest() {
            [b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => 1,
            [b'u', a, b, c, d, ..] if [a, b, c, d].into_iter().all(u8::is_ascii_hexdigit) => 5,
            _ => return Err(Fault::Invalid),
        };
        self.skip(len);
        Ok(())
    }

    fn skip_number(&mut self) -> Result<(), Fault> {
        self.skip(usize::from(self.peek() == Some(b'-')));
        let first = self.peek();
        let digits = self.skip_digits();
        if digits == 0 || (digits > 1 && first == Some(b'0')) {
            return Err(Fault::Invalid);
        }
        if self.peek() == Some(b'.') {
            self.skip(1);
            if self.skip_digits() == 0 {
                return Err(Fault::Invalid);
            }
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.skip(1);
            self.skip(usize::from(matches!(self.peek(), Some(b'+' | b'-'))));
            if self.skip_digits() == 0 {
                return Err(Fault::Invalid);
            }
        }
        Ok(())
    }

    fn skip_digits(&mut self) -> usize {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.skip(1);
        }
        self.at.wrapping_sub(start)
    }

    fn skip_literal(&mut self, literal: &str) -> Result<(), Fault> {
        if !self.rest().starts_with(literal.as_bytes()) {
            return Err(Fault::Invalid);
        }
        self.skip(literal.len());
        Ok(())
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\t' | b'\r') = self.peek() {
            self.skip(1);
        }
    }

    /// Goes on; no text is so long that a place in it could overflow.
    fn skip(&mut self, bytes: usize) {
        self.at = self.at.wrapping_add(bytes);
    }

    fn rest(&self) -> &'a [u8] {
        self.json.as_bytes().get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.json.as_bytes().get(self.at).copied()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::*;

    #[test]
    fn elements_stand_where_they_stand() {
        check(r#"[]"#, Ok(&[]));
        check(r#"[ ]"#, Ok(&[]));
        check(r#"["a"]"#, Ok(&["\"a\""]));
        check("[ 1 ,\t[ 2 , {\"b\" : [] } ]\n, {}\r] ", Ok(&["1", "[ 2 , {\"b\" : [] } ]", "{}"]));
        check(r#"["]","\"]",null,true,false,-0.5e+7]"#, Ok(&["\"]\"", r#""\"]""#, "null", "true", "false", "-0.5e+7"]));
    }

    #[test]
    fn what_is_no_array_is_refused() {
        for json in ["", " []", "{}", "1", "[", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "[]]", "[]x", "[[]", "[{]}", "[}"]
        {
            check(json, Err(Fault::Invalid));
        }
    }

    #[test]
    fn plain_strings_say_what_stands_between_their_quotes() {
        let mut scanner = Scanner::new(r#"["a", "", "\n", ["x"], {"k":"\u0000"}, "é", 1]"#, DEPTH_MAX);
        scanner.begin_array().unwrap();
        let plain = (0..7).map(|at| scanner.next_element(at == 0).unwrap().unwrap().plain_string());
        assert_eq!(plain.collect::<Vec<_>>(), [Some("a"), Some(""), None, None, None, Some("é"), None]);
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let scan = |depth: usize, max: usize| elements(&nested(depth), max).err();
        assert_eq!(scan(3, 4), None);
        assert_eq!(scan(4, 4), None);
        assert_eq!(scan(5, 4), Some(Fault::TooDeep));
        assert_eq!(scan(128, 1000), None);
        assert_eq!(scan(129, 1000), Some(Fault::TooDeep));
    }

    /// Pieces that go wrong in many ways when they are put together.
    fn json() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(vec![
            "[", "]", "{", "}", ",", ":", "\"", "\\", "\\u", "00e9", "\\ud83d", "\\n", "\"a\"", "\"k\":", "1", "-",
            "0", "01", ".5", "1.5", "e", "E+", "9", "true", "false", "null", "nul", " ", "\n", "\u{1f}", "\u{7f}", "é",
            "😀", "[]", "{}", "\"\"",
        ]);
        prop::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn verdicts_are_those_of_serde_json(inside in json()) {
            let array = format!("[{inside}]");
            let ours = elements(&array, DEPTH_MAX).ok();
            let theirs = serde_json::from_str::<Vec<&RawValue>>(&array).ok();
            let theirs = theirs.map(|values| values.into_iter().map(RawValue::get).collect::<Vec<_>>());
            prop_assert_eq!(ours, theirs, "{}", array);
            let whole = Scanner::new(&inside, DEPTH_MAX).whole().is_ok();
            prop_assert_eq!(whole, inside.trim_ascii_start() == inside && serde_json::from_str::<&RawValue>(&inside).is_ok(), "{}", inside);
        }
    }

    fn elements(json: &str, depth_max: usize) -> Result<Vec<&str>, Fault> {
        let mut scanner = Scanner::new(json, depth_max);
        scanner.begin_array()?;
        let mut elements = Vec::new();
        while let Some(element) = scanner.next_element(elements.is_empty())? {
            elements.push(element.json);
        }
        Ok(elements)
    }

    fn check(json: &str, expected: Result<&[&str], Fault>) {
        assert_eq!(elements(json, DEPTH_MAX), expected.map(<[&str]>::to_vec), "{json}");
    }
}
