//! Lists of extensions with parameters, as clients offer and servers answer them in `Sec-WebSocket-Extensions`. RFC 6455 §9.1.

use std::borrow::Cow;

use http::{HeaderMap, header::SEC_WEBSOCKET_EXTENSIONS};

use super::tokens;

/// One element of `Sec-WebSocket-Extensions`: `permessage-deflate; client_max_window_bits=10`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Extension<'a> {
    pub(super) name: &'a str,
    pub(super) parameters: Vec<(&'a str, Option<Cow<'a, str>>)>,
}

/// The elements of all headers with this name, in their order; `None` if one of them is malformed.
pub(super) fn parse(headers: &HeaderMap) -> Option<Vec<Extension<'_>>> {
    let mut extensions = Vec::new();
    for value in headers.get_all(SEC_WEBSOCKET_EXTENSIONS) {
        let mut scanner = Scanner { rest: value.to_str().ok()? };
        loop {
            // RFC 9110 §5.6.1.2: empty elements of a list are ignored.
            while scanner.eat(',') {}
            if scanner.rest.is_empty() {
                break;
            }
            extensions.push(scanner.extension()?);
            if !scanner.rest.is_empty() && !scanner.eat(',') {
                return None;
            }
        }
    }
    Some(extensions)
}

/// Reads from the front; what each function reads, it also reads the spaces behind.
struct Scanner<'a> {
    rest: &'a str,
}

impl<'a> Scanner<'a> {
    fn extension(&mut self) -> Option<Extension<'a>> {
        let name = self.token()?;
        let mut parameters = Vec::new();
        while self.eat(';') {
            let name = self.token()?;
            let value = if self.eat('=') { Some(self.value()?) } else { None };
            parameters.push((name, value));
        }
        Some(Extension { name, parameters })
    }

    fn value(&mut self) -> Option<Cow<'a, str>> {
        let Some(quoted) = self.rest.strip_prefix('"') else {
            return self.token().map(Cow::Borrowed);
        };
        // RFC 6455 §9.1: a quoted string, too, is a token once its quotes and backslashes are gone.
        let mut text = String::new();
        let mut characters = quoted.char_indices();
        loop {
            match characters.next()?.1 {
                '"' => break,
                '\\' => text.push(characters.next()?.1),
                character => text.push(character),
            }
        }
        self.rest = characters.as_str();
        self.skip_space();
        tokens::is_token(&text).then_some(Cow::Owned(text))
    }

    fn token(&mut self) -> Option<&'a str> {
        self.skip_space();
        let len = self.rest.bytes().take_while(|&byte| tokens::is_token_byte(byte)).count();
        let (token, rest) = self.rest.split_at(len);
        self.rest = rest;
        self.skip_space();
        (!token.is_empty()).then_some(token)
    }

    fn eat(&mut self, separator: char) -> bool {
        self.skip_space();
        let rest = self.rest.strip_prefix(separator);
        self.rest = rest.unwrap_or(self.rest);
        self.skip_space();
        rest.is_some()
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Extensions written as `name(parameter,parameter=value)`; `None` where the header is malformed.
    fn check(values: &[&str], expected: Option<&[&str]>) {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(SEC_WEBSOCKET_EXTENSIONS, value.parse().unwrap());
        }
        let got = parse(&headers).map(|extensions| extensions.iter().map(write).collect::<Vec<_>>());
        let expected = expected.map(|extensions| extensions.iter().map(|&text| text.to_owned()).collect::<Vec<_>>());
        assert_eq!(got, expected, "{values:?}");
    }

    fn write(extension: &Extension<'_>) -> String {
        let parameters = extension.parameters.iter().map(|(name, value)| match value {
            Some(value) => format!("{name}={value}"),
            None => (*name).to_owned(),
        });
        format!("{}({})", extension.name, parameters.collect::<Vec<_>>().join(","))
    }

    #[test]
    fn lists_are_read_in_order() {
        check(&[], Some(&[]));
        check(&["", " , ,"], Some(&[]));
        check(&["a"], Some(&["a()"]));
        check(&["a, b;x;y=1 ,c"], Some(&["a()", "b(x,y=1)", "c()"]));
        check(&["a;x", "b"], Some(&["a(x)", "b()"]));
        check(&["a\t;\tx = 1\t,, b;x"], Some(&["a(x=1)", "b(x)"]));
        check(&["a;x=\"10\";y=\"1\\0\" , b"], Some(&["a(x=10,y=10)", "b()"]));
        check(&["a;x;x;X"], Some(&["a(x,x,X)"]));
    }

    #[test]
    fn malformed_lists_are_none() {
        let cases = [
            ";",
            "a;",
            "a;;b",
            "a;=1",
            "a;x=",
            "a;x=\"",
            "a;x=\"1",
            "a;x=\"1\\",
            "a;x=\"\"",
            "a;x=\"1 2\"",
            "a b",
            "a;x y",
            "a=1",
            "a;x=1=2",
            "a;x=\"1\"2",
            "\"a\"",
            "a;\"x\"",
            "a/b",
            "a;x=1;",
        ];
        for case in cases {
            check(&[case], None);
            check(&["good", case], None);
        }
        let mut headers = HeaderMap::new();
        headers.insert(SEC_WEBSOCKET_EXTENSIONS, http::HeaderValue::from_bytes(b"a\xe9").unwrap());
        assert_eq!(parse(&headers), None);
    }
}
