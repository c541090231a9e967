//! permessage-deflate in the handshake: offers, answers, what they come to. RFC 7692 §7.1. Compressing itself is `deflate.rs`
//! and `inflate.rs`.

use std::fmt::Write as _;
use std::mem;

use http::{HeaderMap, HeaderValue};

use super::client::InvalidResponse;
use super::offers::{self, Extension};
use crate::config::DeflateConfig;
use crate::frame::Role;

const NAME: &str = "permessage-deflate";

/// The widest window there is: what applies where nothing else was agreed.
const WINDOW_BITS_MAX: u8 = 15;
/// zlib cannot compress with a window of 8 bits, the smallest of RFC 7692.
const WINDOW_BITS_MIN: u8 = 9;

/// permessage-deflate as both sides of a connection agreed to it: always without context takeover, in both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deflate {
    /// As the server's answer names them; none is 15.
    server_max_window_bits: Option<u8>,
    client_max_window_bits: Option<u8>,
}

impl Deflate {
    /// The largest window that this side may compress with, as a power of two: 9 to 15 for one's own side, 8 to 15 for the peer's.
    pub fn window_bits(&self, role: Role) -> u8 {
        let bits = match role {
            Role::Server => self.server_max_window_bits,
            Role::Client => self.client_max_window_bits,
        };
        bits.unwrap_or(WINDOW_BITS_MAX)
    }

    /// The server's answer, as it stands in `Sec-WebSocket-Extensions`.
    pub(super) fn answer(&self) -> HeaderValue {
        let mut text = format!("{NAME}; server_no_context_takeover; client_no_context_takeover");
        let bits = [
            ("server_max_window_bits", self.server_max_window_bits),
            ("client_max_window_bits", self.client_max_window_bits),
        ];
        for (name, bits) in bits {
            if let Some(bits) = bits {
                let _ = write!(text, "; {name}={bits}");
            }
        }
        HeaderValue::try_from(text).expect("names and numbers are visible ASCII")
    }
}

impl DeflateConfig {
    /// A client's offer: the value of the header `Sec-WebSocket-Extensions` to add to a
    /// [`client_request`](crate::client_request). [`verify_response_with_deflate`](crate::verify_response_with_deflate)
    /// then tells what the server made of it.
    ///
    /// ```
    /// let offer = patera_websocket::DeflateConfig::default().offer();
    /// assert_eq!(
    ///     offer,
    ///     "permessage-deflate; server_no_context_takeover; client_no_context_takeover; client_max_window_bits"
    /// );
    /// ```
    pub fn offer(&self) -> HeaderValue {
        let mut text =
            format!("{NAME}; server_no_context_takeover; client_no_context_takeover; client_max_window_bits");
        let (server, client) = (within(self.server_max_window_bits), within(self.client_max_window_bits));
        if client < WINDOW_BITS_MAX {
            let _ = write!(text, "={client}");
        }
        if server < WINDOW_BITS_MAX {
            let _ = write!(text, "; server_max_window_bits={server}");
        }
        HeaderValue::try_from(text).expect("names and numbers are visible ASCII")
    }

    /// The first of a client's offers that a server can take. Malformed ones are no offers: they are ignored, as §9.1 of
    /// RFC 6455 allows for any extension.
    pub(super) fn agree(&self, headers: &HeaderMap) -> Option<Deflate> {
        let offers = offers::parse(headers)?;
        offers.iter().filter(|offer| offer.name == NAME).find_map(|offer| self.agree_to(&Parameters::read(offer)?))
    }

    fn agree_to(&self, offer: &Parameters) -> Option<Deflate> {
        let ours = within(self.server_max_window_bits);
        let server_max_window_bits = match offer.server_max_window_bits {
            // An offer that names it is taken by naming it, also where it changes nothing. §7.1.2.1
            Some(theirs) if theirs >= WINDOW_BITS_MIN => Some(theirs.min(ours)),
            Some(_) => return None,
            None => (ours < WINDOW_BITS_MAX).then_some(ours),
        };
        // It may be answered only where it was offered. §7.1.2.2
        let asked = within(self.client_max_window_bits);
        let client_max_window_bits = match offer.client_max_window_bits {
            Some(theirs) if asked < theirs.unwrap_or(WINDOW_BITS_MAX) => Some(asked),
            Some(_) | None => None,
        };
        Some(Deflate { server_max_window_bits, client_max_window_bits })
    }

    /// What a server's answer to [`offer`](Self::offer) comes to; `None` if it has chosen no extension.
    pub(super) fn verify(&self, headers: &HeaderMap) -> Result<Option<Deflate>, InvalidResponse> {
        let answers = offers::parse(headers).ok_or(InvalidResponse::Extension)?;
        let answer = match &answers[..] {
            [] => return Ok(None),
            [answer] if answer.name == NAME => answer,
            _ => return Err(InvalidResponse::Extension),
        };
        Parameters::read(answer)
            .and_then(|answer| self.verify_answer(&answer))
            .map(Some)
            .ok_or(InvalidResponse::Deflate)
    }

    fn verify_answer(&self, answer: &Parameters) -> Option<Deflate> {
        // We forget each message, so the server must not refer to an earlier one. §7.1.1.1
        if !answer.server_no_context_takeover {
            return None;
        }
        let asked = within(self.server_max_window_bits);
        if asked < WINDOW_BITS_MAX && answer.server_max_window_bits.is_none_or(|bits| bits > asked) {
            return None;
        }
        // In an answer it has a value (§7.1.2.2), and one that zlib can keep to.
        let ours = within(self.client_max_window_bits);
        let client_max_window_bits = match answer.client_max_window_bits {
            Some(Some(bits)) if bits >= WINDOW_BITS_MIN => bits.min(ours),
            Some(_) => return None,
            None => ours,
        };
        let server_max_window_bits = answer.server_max_window_bits;
        Some(Deflate { server_max_window_bits, client_max_window_bits: Some(client_max_window_bits) })
    }
}

fn within(bits: u8) -> u8 {
    bits.clamp(WINDOW_BITS_MIN, WINDOW_BITS_MAX)
}

/// The parameters of one offer or answer, each there at most once and with a value it can have.
#[derive(Default)]
struct Parameters {
    server_no_context_takeover: bool,
    /// 8 to 15.
    server_max_window_bits: Option<u8>,
    /// 8 to 15, or without a value, which only an offer can have.
    client_max_window_bits: Option<Option<u8>>,
}

impl Parameters {
    fn read(extension: &Extension<'_>) -> Option<Parameters> {
        let mut read = Parameters::default();
        // A client of ours keeps no context, asked or not; so does a server of ours, and a client's hint is no news to it.
        let mut client_no_context_takeover = false;
        for (name, value) in &extension.parameters {
            let value = value.as_deref();
            let is_new = match (*name, value) {
                ("server_no_context_takeover", None) => !mem::replace(&mut read.server_no_context_takeover, true),
                ("client_no_context_takeover", None) => !mem::replace(&mut client_no_context_takeover, true),
                ("server_max_window_bits", Some(value)) => {
                    read.server_max_window_bits.replace(window_bits(value)?).is_none()
                }
                ("client_max_window_bits", None) => read.client_max_window_bits.replace(None).is_none(),
                ("client_max_window_bits", Some(value)) => {
                    read.client_max_window_bits.replace(Some(window_bits(value)?)).is_none()
                }
                _ => false,
            };
            if !is_new {
                return None;
            }
        }
        Some(read)
    }
}

/// 8 to 15, without a leading zero. §7.1.2
fn window_bits(value: &str) -> Option<u8> {
    (8..=WINDOW_BITS_MAX).find(|bits| bits.to_string() == value)
}

#[cfg(test)]
mod tests {
    use http::header::SEC_WEBSOCKET_EXTENSIONS;

    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(SEC_WEBSOCKET_EXTENSIONS, value.parse().unwrap());
        }
        headers
    }

    fn config(server: u8, client: u8) -> DeflateConfig {
        DeflateConfig { server_max_window_bits: server, client_max_window_bits: client, ..DeflateConfig::default() }
    }

    const BOTH: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

    /// What a server answers, behind `BOTH`, and the windows of server and client.
    fn check_offers(config: DeflateConfig, offers: &[&str], expected: Option<(&str, u8, u8)>) {
        let agreed = config.agree(&headers(offers));
        let got = agreed.map(|agreed| {
            let answer = agreed.answer().to_str().unwrap().strip_prefix(BOTH).unwrap().to_owned();
            (answer, agreed.window_bits(Role::Server), agreed.window_bits(Role::Client))
        });
        assert_eq!(got, expected.map(|(answer, server, client)| (answer.to_owned(), server, client)), "{offers:?}");
    }

    fn check_offer(offer: &str, expected: Option<(&str, u8, u8)>) {
        check_offers(DeflateConfig::default(), &[offer], expected);
    }

    #[test]
    fn offers_are_answered() {
        let plain = Some(("", 15, 15));
        check_offer("permessage-deflate", plain);
        check_offer("permessage-deflate; client_max_window_bits", plain);
        check_offer("permessage-deflate; server_no_context_takeover", plain);
        check_offer("permessage-deflate; client_no_context_takeover", plain);
        check_offer("permessage-deflate;client_no_context_takeover;server_no_context_takeover", plain);
        for bits in 9..=15 {
            let answer = format!("; server_max_window_bits={bits}");
            check_offer(&format!("permessage-deflate{answer}"), Some((&answer, bits, 15)));
            check_offer(&format!("permessage-deflate; server_max_window_bits=\"{bits}\""), Some((&answer, bits, 15)));
            check_offer(&format!("permessage-deflate; client_max_window_bits={bits}"), plain);
        }
        check_offer("permessage-deflate; client_max_window_bits=8", plain);
        let all = "permessage-deflate; client_max_window_bits=12; server_max_window_bits=10; \
                   client_no_context_takeover; server_no_context_takeover";
        check_offer(all, Some(("; server_max_window_bits=10", 10, 15)));
    }

    #[test]
    fn offers_that_cannot_be_taken_are_declined() {
        let parameters = [
            "server_max_window_bits=8",
            "server_max_window_bits=7",
            "server_max_window_bits=16",
            "server_max_window_bits=09",
            "server_max_window_bits=+9",
            "server_max_window_bits=9.0",
            "server_max_window_bits=-9",
            "server_max_window_bits=265",
            "server_max_window_bits",
            "client_max_window_bits=7",
            "client_max_window_bits=16",
            "client_max_window_bits=x",
            "client_max_window_bits=010",
            "server_no_context_takeover=1",
            "client_no_context_takeover=true",
            "server_no_context_takeover; server_no_context_takeover",
            "client_no_context_takeover; client_no_context_takeover",
            "server_max_window_bits=10; server_max_window_bits=10",
            "client_max_window_bits; client_max_window_bits",
            "client_max_window_bits; client_max_window_bits=10",
            "unknown",
            "unknown=1",
            "Server_No_Context_Takeover",
        ];
        for parameters in parameters {
            let offer = format!("permessage-deflate; {parameters}");
            check_offer(&offer, None);
            // One that can be taken may stand behind it, or before.
            check_offer(&format!("{offer}, permessage-deflate"), Some(("", 15, 15)));
            check_offers(DeflateConfig::default(), &["permessage-deflate", &offer], Some(("", 15, 15)));
        }
        for other in ["", "x-webkit-deflate-frame", "permessage-bzip2", "Permessage-Deflate", "permessage-deflate-x"] {
            check_offer(other, None);
        }
    }

    #[test]
    fn first_offer_that_can_be_taken_is() {
        let ten = "permessage-deflate; server_max_window_bits=10";
        let answer = Some(("; server_max_window_bits=10", 10, 15));
        check_offer(&format!("{ten}, permessage-deflate"), answer);
        check_offer(&format!("permessage-bzip2; x, {ten}, permessage-deflate"), answer);
        check_offer(&format!("permessage-deflate; server_max_window_bits=8, {ten}"), answer);
        check_offers(DeflateConfig::default(), &["foo", ten, "permessage-deflate"], answer);
    }

    #[test]
    fn malformed_header_offers_nothing() {
        for malformed in ["permessage-deflate;", "permessage-deflate; =", "permessage-deflate; x=\"", "a b"] {
            check_offer(malformed, None);
            check_offers(DeflateConfig::default(), &["permessage-deflate", malformed], None);
        }
    }

    #[test]
    fn server_keeps_to_its_own_windows() {
        let check = |(server, client), offer: &str, expected| check_offers(config(server, client), &[offer], expected);
        check((12, 15), "permessage-deflate", Some(("; server_max_window_bits=12", 12, 15)));
        check((12, 15), "permessage-deflate; server_max_window_bits=14", Some(("; server_max_window_bits=12", 12, 15)));
        check((12, 15), "permessage-deflate; server_max_window_bits=10", Some(("; server_max_window_bits=10", 10, 15)));
        check((15, 12), "permessage-deflate", Some(("", 15, 15)));
        let asked = Some(("; client_max_window_bits=12", 15, 12));
        check((15, 12), "permessage-deflate; client_max_window_bits", asked);
        check((15, 12), "permessage-deflate; client_max_window_bits=13", asked);
        check((15, 12), "permessage-deflate; client_max_window_bits=11", Some(("", 15, 15)));
        check((0, 99), "permessage-deflate", Some(("; server_max_window_bits=9", 9, 15)));
        check((99, 0), "permessage-deflate; client_max_window_bits", Some(("; client_max_window_bits=9", 15, 9)));
    }

    #[test]
    fn offer_names_what_is_wanted() {
        let check = |(server, client), expected: &str| {
            assert_eq!(config(server, client).offer(), format!("{BOTH}; client_max_window_bits{expected}"));
        };
        check((15, 15), "");
        check((15, 11), "=11");
        check((10, 15), "; server_max_window_bits=10");
        check((0, 99), "; server_max_window_bits=9");
    }

    /// The windows of server and client that an answer comes to.
    fn check_answer(config: DeflateConfig, answers: &[&str], expected: Result<Option<(u8, u8)>, InvalidResponse>) {
        let got = config
            .verify(&headers(answers))
            .map(|agreed| agreed.map(|agreed| (agreed.window_bits(Role::Server), agreed.window_bits(Role::Client))));
        assert_eq!(got, expected, "{answers:?}");
    }

    #[test]
    fn answers_are_verified() {
        let check = |answer: &str, expected| check_answer(DeflateConfig::default(), &[answer], expected);
        let bare = "permessage-deflate; server_no_context_takeover";
        check_answer(DeflateConfig::default(), &[], Ok(None));
        check("", Ok(None));
        check(bare, Ok(Some((15, 15))));
        check(BOTH, Ok(Some((15, 15))));
        for bits in 9..=15 {
            check(&format!("{bare}; server_max_window_bits={bits}"), Ok(Some((bits, 15))));
            check(&format!("{bare}; client_max_window_bits={bits}"), Ok(Some((15, bits))));
        }
        check(&format!("{bare}; server_max_window_bits=8"), Ok(Some((8, 15))));

        check("permessage-deflate", Err(InvalidResponse::Deflate));
        check("permessage-deflate; client_no_context_takeover", Err(InvalidResponse::Deflate));
        for parameter in [
            "client_max_window_bits",
            "client_max_window_bits=8",
            "client_max_window_bits=16",
            "server_max_window_bits",
            "server_max_window_bits=7",
            "server_no_context_takeover",
            "client_no_context_takeover=0",
            "unknown",
        ] {
            check(&format!("{bare}; {parameter}"), Err(InvalidResponse::Deflate));
        }
        check("permessage-bzip2", Err(InvalidResponse::Extension));
        check(&format!("{bare}, {bare}"), Err(InvalidResponse::Extension));
        check(&format!("{bare}, foo"), Err(InvalidResponse::Extension));
        check(&format!("{bare};"), Err(InvalidResponse::Extension));
        check_answer(DeflateConfig::default(), &[bare, bare], Err(InvalidResponse::Extension));
    }

    #[test]
    fn answer_keeps_to_the_windows_asked_for() {
        let bare = "permessage-deflate; server_no_context_takeover";
        let check = |(server, client), parameter: &str, expected| {
            check_answer(config(server, client), &[&format!("{bare}{parameter}")], expected);
        };
        check((12, 15), "; server_max_window_bits=12", Ok(Some((12, 15))));
        check((12, 15), "; server_max_window_bits=9", Ok(Some((9, 15))));
        check((12, 15), "; server_max_window_bits=13", Err(InvalidResponse::Deflate));
        check((12, 15), "", Err(InvalidResponse::Deflate));
        check((15, 12), "", Ok(Some((15, 12))));
        check((15, 12), "; client_max_window_bits=14", Ok(Some((15, 12))));
        check((15, 12), "; client_max_window_bits=10", Ok(Some((15, 10))));
    }

    #[test]
    fn both_sides_agree() {
        for (server, client) in [((15, 15), (15, 15)), ((12, 11), (15, 15)), ((15, 15), (12, 11)), ((9, 14), (13, 10))]
        {
            let (server, client) = (config(server.0, server.1), config(client.0, client.1));
            let offer = client.offer();
            let agreed = server.agree(&headers(&[offer.to_str().unwrap()])).unwrap();
            let answer = agreed.answer();
            let verified = client.verify(&headers(&[answer.to_str().unwrap()])).unwrap().unwrap();
            assert_eq!(verified.window_bits(Role::Server), agreed.window_bits(Role::Server));
            assert!(verified.window_bits(Role::Client) <= agreed.window_bits(Role::Client));
        }
    }
}
