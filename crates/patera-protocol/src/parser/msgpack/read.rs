//! MessagePack as JSON and attachments. Bytes of anybody: nothing here recurses, and no length is believed before what it promises is there.
//! What comes out is at most six times as long as what came in (a control character is `\u0000`), and a placeholder for each attachment.

use bytes::Bytes;
use smallvec::SmallVec;

use super::date;
use crate::socketio::{ConnectionConfig, Error, JSON_DEPTH_MAX, Limit, first_special};

/// Reads one value after another.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    pub(super) attachments: Vec<Bytes>,
    attachments_max: usize,
    depth_max: usize,
}

/// An array or a map that is not at its end.
struct Open {
    left: usize,
    is_map: bool,
    is_first: bool,
}

/// What a marker announces.
enum Head {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(usize),
    Binary(usize),
    /// Its length; whether that is written in front of it.
    Extension(usize, Written),
    Array(usize),
    Map(usize),
}

#[derive(PartialEq, Eq)]
enum Written {
    InTheMarker,
    BehindIt,
}

impl<'a> Reader<'a> {
    pub(super) fn new(data: &'a [u8], limits: &ConnectionConfig) -> Self {
        Reader {
            rest: data,
            attachments: Vec::new(),
            attachments_max: limits.attachments_max,
            depth_max: limits.json_depth_max.min(JSON_DEPTH_MAX),
        }
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// The number of entries of the map that begins here.
    pub(super) fn map_len(&mut self) -> Result<usize, Error> {
        match self.head()? {
            Head::Map(len) => Ok(len),
            _ => Err(Error::InvalidPayload),
        }
    }

    pub(super) fn text(&mut self) -> Result<&'a str, Error> {
        match self.head()? {
            Head::Text(len) => self.text_of(len),
            _ => Err(Error::InvalidPayload),
        }
    }

    /// An integer that is not negative; `None` if it is another number.
    pub(super) fn integer(&mut self) -> Result<Option<u64>, Error> {
        match self.head()? {
            Head::Unsigned(number) => Ok(Some(number)),
            Head::Signed(number) => Ok(u64::try_from(number).ok()),
            _ => Err(Error::InvalidPayload),
        }
    }

    /// As [`integer`](Self::integer), or null or undefined: `None`.
    pub(super) fn integer_or_nothing(&mut self) -> Result<Option<u64>, Error> {
        let mut json = String::new();
        self.json(&mut json)?;
        if json == "null" { Ok(None) } else { json.parse().map(Some).map_err(|_| Error::IllegalAckId) }
    }

    /// Passes over a value.
    pub(super) fn skip(&mut self) -> Result<(), Error> {
        let attachments = self.attachments.len();
        self.json(&mut String::new())?;
        self.attachments.truncate(attachments);
        Ok(())
    }

    /// Appends one value as JSON.
    pub(super) fn json(&mut self, out: &mut String) -> Result<(), Error> {
        let mut open: SmallVec<[Open; 8]> = SmallVec::new();
        loop {
            if let Some(container) = self.value(out)? {
                if open.len() == self.depth_max {
                    return Err(Error::Limit { what: Limit::JsonDepth, max: self.depth_max });
                }
                // Each takes a byte at least, and each entry of a map two.
                if container.left > self.rest.len() >> usize::from(container.is_map) {
                    return Err(Error::InvalidPayload);
                }
                out.push(if container.is_map { '{' } else { '[' });
                open.push(container);
            }
            while let Some(Open { left: 0, is_map, .. }) = open.last() {
                out.push(if *is_map { '}' } else { ']' });
                open.pop();
            }
            let Some(container) = open.last_mut() else { return Ok(()) };
            container.left = container.left.saturating_sub(1);
            if !std::mem::replace(&mut container.is_first, false) {
                out.push(',');
            }
            if container.is_map {
                self.key(out)?;
            }
        }
    }

    /// Appends a value that holds no others; one that does is announced.
    fn value(&mut self, out: &mut String) -> Result<Option<Open>, Error> {
        match self.head()? {
            Head::Null => out.push_str("null"),
            Head::Bool(value) => out.push_str(if value { "true" } else { "false" }),
            Head::Unsigned(number) => push(out, number),
            Head::Signed(number) => push(out, number),
            Head::Float(number) => push_float(out, number),
            Head::Text(len) => push_text(out, self.text_of(len)?),
            Head::Binary(len) => self.binary(out, len)?,
            Head::Extension(len, written) => self.extension(out, len, &written)?,
            Head::Array(left) => return Ok(Some(Open { left, is_map: false, is_first: true })),
            Head::Map(left) => return Ok(Some(Open { left, is_map: true, is_first: true })),
        }
        Ok(None)
    }

    /// Appends a key and the colon behind it.
    fn key(&mut self, out: &mut String) -> Result<(), Error> {
        match self.head()? {
            Head::Text(len) => push_text(out, self.text_of(len)?),
            Head::Unsigned(number) => push(out, format_args!("\"{number}\"")),
            Head::Signed(number) => push(out, format_args!("\"{number}\"")),
            _ => return Err(Error::InvalidPayload),
        }
        out.push(':');
        Ok(())
    }

    fn binary(&mut self, out: &mut String, len: usize) -> Result<(), Error> {
        let data = self.take(len)?;
        if self.attachments.len() == self.attachments_max {
            return Err(Error::Limit { what: Limit::Attachments, max: self.attachments_max });
        }
        push(out, format_args!("{{\"_placeholder\":true,\"num\":{}}}", self.attachments.len()));
        self.attachments.push(Bytes::copy_from_slice(data));
        Ok(())
    }

    /// Type 0 is notepack.io's own: `undefined`, a date, or bytes.
    fn extension(&mut self, out: &mut String, len: usize, written: &Written) -> Result<(), Error> {
        let kind = self.number(1)? as i8;
        match (kind, written, len) {
            (0, Written::BehindIt, len) => self.binary(out, len)?,
            (0, Written::InTheMarker, 1) => {
                self.take(1)?;
                out.push_str("null");
            }
            (0, Written::InTheMarker, 8) => match date::iso_8601(self.number(8)? as i64) {
                Some(date) => push(out, format_args!("\"{date}\"")),
                None => out.push_str("null"),
            },
            (kind, _, len) => {
                push(out, format_args!("[{kind},"));
                self.binary(out, len)?;
                out.push(']');
            }
        }
        Ok(())
    }

    fn head(&mut self) -> Result<Head, Error> {
        let marker = self.number(1)? as u8;
        Ok(match marker {
            0..=0x7f => Head::Unsigned(marker.into()),
            0x80..=0x8f => Head::Map(usize::from(marker & 0x0f)),
            0x90..=0x9f => Head::Array(usize::from(marker & 0x0f)),
            0xa0..=0xbf => Head::Text(usize::from(marker & 0x1f)),
            0xc0 => Head::Null,
            0xc2 => Head::Bool(false),
            0xc3 => Head::Bool(true),
            0xc4..=0xc6 => Head::Binary(self.len(power(marker, 0xc4))?),
            0xc7..=0xc9 => Head::Extension(self.len(power(marker, 0xc7))?, Written::BehindIt),
            0xca => Head::Float(f32::from_bits(self.number(4)? as u32).into()),
            0xcb => Head::Float(f64::from_bits(self.number(8)?)),
            0xcc..=0xcf => Head::Unsigned(self.number(power(marker, 0xcc))?),
            0xd0..=0xd3 => Head::Signed(self.signed(power(marker, 0xd0))?),
            0xd4..=0xd8 => Head::Extension(power(marker, 0xd4), Written::InTheMarker),
            0xd9..=0xdb => Head::Text(self.len(power(marker, 0xd9))?),
            0xdc | 0xdd => Head::Array(self.len(power(marker, 0xdc - 1))?),
            0xde | 0xdf => Head::Map(self.len(power(marker, 0xde - 1))?),
            0xe0..=0xff => Head::Signed((marker as i8).into()),
            // The one that is never used.
            0xc1 => return Err(Error::InvalidPayload),
        })
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], Error> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Error::InvalidPayload)?;
        self.rest = rest;
        Ok(taken)
    }

    fn text_of(&mut self, len: usize) -> Result<&'a str, Error> {
        simdutf8::basic::from_utf8(self.take(len)?).map_err(|_| Error::InvalidPayload)
    }

    /// A number of so many bytes, the highest first.
    fn number(&mut self, bytes: usize) -> Result<u64, Error> {
        Ok(self.take(bytes)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// The same, whose highest bit is the sign.
    fn signed(&mut self, bytes: usize) -> Result<i64, Error> {
        let unused = u64::BITS.saturating_sub(8_u32.saturating_mul(bytes as u32));
        Ok(self.number(bytes)?.unbounded_shl(unused) as i64 >> unused)
    }

    fn len(&mut self, bytes: usize) -> Result<usize, Error> {
        usize::try_from(self.number(bytes)?).map_err(|_| Error::InvalidPayload)
    }
}

/// Each marker behind the first of its family stands for twice as many bytes: 1, 2, 4, 8, 16.
fn power(marker: u8, first: u8) -> usize {
    1_usize.unbounded_shl(marker.saturating_sub(first).into())
}

fn push(out: &mut String, value: impl std::fmt::Display) {
    // A string takes every write.
    let _ = std::fmt::Write::write_fmt(out, format_args!("{value}"));
}

/// What JSON has no word for is null, as in JavaScript.
fn push_float(out: &mut String, number: f64) {
    out.push_str(&serde_json::to_string(&number).expect("a number is JSON"));
}

fn push_text(out: &mut String, text: &str) {
    if first_special(text.as_bytes()).is_some() {
        out.push_str(&serde_json::to_string(text).expect("a text is JSON"));
    } else {
        out.push('"');
        out.push_str(text);
        out.push('"');
    }
}
