//! `Accept-Encoding`: which content coding a client wants of those there are. RFC 9110 §12.5.3.

use http::HeaderMap;
use http::header::ACCEPT_ENCODING;

/// A content coding, the one that answers are best compressed with last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// zlib's format, RFC 1950.
    Deflate,
    /// RFC 1952.
    Gzip,
    /// RFC 7932.
    #[cfg(feature = "brotli")]
    Brotli,
}

impl Encoding {
    /// As it stands in `Content-Encoding`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Encoding::Deflate => "deflate",
            Encoding::Gzip => "gzip",
            #[cfg(feature = "brotli")]
            Encoding::Brotli => "br",
        }
    }
}

/// The coding the client likes best; of those it likes as much, the one that is further in front in `offered`. `None` if it
/// takes none of them, likes the body as it is better, or says nothing.
pub(super) fn choose(request: &HeaderMap, offered: &[Encoding]) -> Option<Encoding> {
    let wishes = Wishes::read(request);
    let mut best = None;
    // A body as it is counts only where it is named: `*` speaks of codings, and without a word it is what is left.
    let mut best_weight = wishes.identity.unwrap_or_default().max(1);
    for &encoding in offered {
        let weight = wishes.weight(encoding);
        if weight > best_weight || (weight == best_weight && best.is_none()) {
            (best, best_weight) = (Some(encoding), weight);
        }
    }
    best
}

/// Weights in thousandths, as the client gave them; the last one of a name counts.
#[derive(Default)]
struct Wishes {
    deflate: Option<u16>,
    gzip: Option<u16>,
    #[cfg(feature = "brotli")]
    brotli: Option<u16>,
    identity: Option<u16>,
    any: Option<u16>,
}

impl Wishes {
    fn read(request: &HeaderMap) -> Self {
        let mut wishes = Wishes::default();
        let lines = request.get_all(ACCEPT_ENCODING).iter().filter_map(|line| line.to_str().ok());
        for item in lines.flat_map(|line| line.split(',')) {
            let (name, parameters) = item.split_once(';').unwrap_or((item, ""));
            let Some(weight) = weight(parameters) else { continue };
            let name = name.trim_ascii().to_ascii_lowercase();
            match name.as_str() {
                "deflate" => wishes.deflate = Some(weight),
                // RFC 9110 §8.4.1.3: the same.
                "gzip" | "x-gzip" => wishes.gzip = Some(weight),
                #[cfg(feature = "brotli")]
                "br" => wishes.brotli = Some(weight),
                "identity" => wishes.identity = Some(weight),
                "*" => wishes.any = Some(weight),
                _ => {}
            }
        }
        wishes
    }

    fn weight(&self, encoding: Encoding) -> u16 {
        let named = match encoding {
            Encoding::Deflate => self.deflate,
            Encoding::Gzip => self.gzip,
            #[cfg(feature = "brotli")]
            Encoding::Brotli => self.brotli,
        };
        named.or(self.any).unwrap_or_default()
    }
}

/// `q=0.8` in thousandths, 1,000 if there is none; `None` if it is none of RFC 9110 §12.4.2.
fn weight(parameters: &str) -> Option<u16> {
    let parameters = parameters.trim_ascii();
    if parameters.is_empty() {
        return Some(1000);
    }
    let (name, value) = parameters.split_once('=')?;
    if !name.eq_ignore_ascii_case("q") {
        return None;
    }
    let (whole, decimals) = value.split_once('.').unwrap_or((value, ""));
    if decimals.len() > 3 || !decimals.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let thousandths = format!("{decimals:0<3}").parse::<u16>().ok()?;
    match (whole, thousandths) {
        ("0", thousandths) => Some(thousandths),
        ("1", 0) => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const OFFERED: [Encoding; 2] = [Encoding::Gzip, Encoding::Deflate];

    #[test]
    fn best_liked_encoding_is_chosen() {
        let (gzip, deflate) = (Some(Encoding::Gzip), Some(Encoding::Deflate));
        for (lines, expected) in [
            (&["gzip"][..], gzip),
            (&["deflate"], deflate),
            (&["gzip, deflate, br, zstd"], gzip),
            (&["deflate, gzip"], gzip),
            (&["deflate", "gzip"], gzip),
            (&["GZIP"], gzip),
            (&["x-gzip"], gzip),
            (&[" gzip ; q=1.0 "], gzip),
            (&["gzip;Q=0.5, deflate;q=0.50"], gzip),
            (&["gzip;q=0.5, deflate;q=0.501"], deflate),
            (&["gzip;q=0, deflate"], deflate),
            (&["gzip;q=0.001"], gzip),
            (&["*"], gzip),
            (&["*;q=0.1, gzip;q=0"], deflate),
            (&["gzip;q=0.4, *;q=0.5"], deflate),
            (&["identity, gzip"], gzip),
            (&["identity;q=0.5, gzip;q=1"], gzip),
            (&["identity;q=0, gzip;q=0.1"], gzip),
            (&["gzip,,deflate,"], gzip),
        ] {
            check(lines, expected);
        }
    }

    #[test]
    fn body_stays_as_it_is_where_that_is_wanted_or_nothing_else() {
        for lines in [
            &[][..],
            &[""],
            &["br"],
            &["identity"],
            &["gzip;q=0"],
            &["gzip;q=0.000, deflate;q=0"],
            &["*;q=0"],
            &["identity, *;q=0"],
            &["identity;q=1, gzip;q=0.9"],
            &["gzipped"],
        ] {
            check(lines, None);
        }
    }

    #[test]
    fn malformed_weights_are_no_wish() {
        for bad in
            ["gzip;q=2", "gzip;q=1.001", "gzip;q=0.0001", "gzip;q=-1", "gzip;q=.5", "gzip;q=0.5x", "gzip;q", "gzip;x=1"]
        {
            check(&[bad], None);
            check(&[bad, "deflate;q=0.1"], Some(Encoding::Deflate));
        }
        let mut request = HeaderMap::new();
        request.insert(ACCEPT_ENCODING, HeaderValue::from_bytes(b"gzip, \xff").unwrap());
        assert_eq!(choose(&request, &OFFERED), None);
    }

    #[cfg(feature = "brotli")]
    #[test]
    fn brotli_comes_first_where_it_is_offered() {
        let all = [Encoding::Brotli, Encoding::Gzip, Encoding::Deflate];
        let mut request = HeaderMap::new();
        request.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip, deflate, br"));
        assert_eq!(choose(&request, &all), Some(Encoding::Brotli));
        assert_eq!(choose(&request, &OFFERED), Some(Encoding::Gzip));
    }

    fn check(lines: &[&'static str], expected: Option<Encoding>) {
        let mut request = HeaderMap::new();
        for line in lines {
            request.append(ACCEPT_ENCODING, HeaderValue::from_static(line));
        }
        assert_eq!(choose(&request, &OFFERED), expected, "{lines:?}");
    }
}
