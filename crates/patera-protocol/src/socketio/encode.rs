//! Packets to send. Everything appends the packet's text, without the `4` of Engine.IO, and returns the attachments,
//! each of which follows as a binary message. SIO 5 "Packet encoding"; what revision 4 writes otherwise is named so.

use std::{borrow::Cow, error, fmt};

use bytes::Bytes;
use serde::Serialize;

use super::{
    RESERVED_EVENTS,
    ser::{self, Shape},
    value::Value,
};

/// Appends an event: `2["chat","hello"]`, `51-/admin,7["file",{"_placeholder":true,"num":0}]`.
///
/// A tuple is several arguments, `()` none, anything else one (a tuple struct too; an array `[T; N]` is a tuple to
/// serde). Bytes, wherever they are in `args`, become attachments.
///
/// # Errors
/// The name is reserved, or `args` cannot be JSON. Then `out` is as it was.
#[inline]
pub fn event<T: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    namespace: &str,
    ack: Option<u64>,
    name: &str,
    args: &T,
) -> Result<Vec<Bytes>, EncodeError> {
    if RESERVED_EVENTS.contains(&name) {
        return Err(EncodeError::ReservedEventName);
    }
    packet(out, b'2', namespace, ack, |out, attachments| {
        out.push(b'[');
        ser::append_string(out, name)?;
        append_arguments(out, args, |out, args| ser::to_json(out, attachments, args))
    })
}

/// Appends an event that is encoded already but for its header, as an [array](event_array) of the name and the arguments; its
/// placeholders stand for `attachments` attachments, which follow as binary messages.
pub fn event_of_array(out: &mut Vec<u8>, namespace: &str, ack: Option<u64>, array: &str, attachments: usize) {
    if attachments == 0 {
        append_header(out, b'2', namespace, ack);
    } else {
        out.push(b'5');
        append_decimal(out, attachments as u64);
        out.push(b'-');
        append_target(out, namespace, ack);
    }
    out.extend_from_slice(array.as_bytes());
}

/// The array of an [encoded](event) event: `51-/admin,7["file",{"_placeholder":true,"num":0}]` → `["file",…]`.
pub fn event_array(packet: &str) -> &str {
    packet.get(json_at(packet)..).unwrap_or_default().trim_start_matches(|id: char| id.is_ascii_digit())
}

/// Appends an acknowledgement: `313["done"]`, `61-/admin,13[{"_placeholder":true,"num":0}]`. `args` is taken apart as in
/// [`event`].
///
/// # Errors
/// `args` cannot be JSON. Then `out` is as it was.
pub fn ack<T: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    namespace: &str,
    id: u64,
    args: &T,
) -> Result<Vec<Bytes>, EncodeError> {
    packet(out, b'3', namespace, Some(id), |out, attachments| {
        append_array(out, args, |out, args| ser::to_json(out, attachments, args))
    })
}

/// Appends a CONNECT: `0{"sid":"…"}`, or `0/admin,` if the payload is `null` to JSON (`()`, `None`), as it always is in
/// revision 4.
///
/// # Errors
/// The payload cannot be JSON. Then `out` is as it was.
pub fn connect<T: Serialize + ?Sized>(out: &mut Vec<u8>, namespace: &str, payload: &T) -> Result<(), EncodeError> {
    let attachments = packet(out, b'0', namespace, None, |out, _| {
        let start = out.len();
        serde_json::to_writer(&mut *out, payload)?;
        if let Some(b"null") = out.get(start..) {
            out.truncate(start);
        }
        Ok(())
    })?;
    debug_assert!(attachments.is_empty());
    Ok(())
}

/// Appends a CONNECT_ERROR: `4/admin,{"message":"not authorized","data":{"code":42}}`.
pub fn connect_error(out: &mut Vec<u8>, namespace: &str, message: &str, data: Option<&Value>) {
    #[derive(Serialize)]
    struct Payload<'a> {
        message: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        data: Option<&'a Value>,
    }
    append_header(out, b'4', namespace, None);
    ser::to_json_base64(out, &Payload { message, data }).expect("text and values are always JSON");
}

/// Appends an ERROR, as revision 4 calls a CONNECT_ERROR: `4"not authorized"`, or the data alone if there is some:
/// `4/admin,{"code":42}`. Data that is nothing to JavaScript (`null`, `false`, 0, `""`) is none. Clients hand it to the
/// application as it is.
pub fn error_v4(out: &mut Vec<u8>, namespace: &str, message: &str, data: Option<&Value>) {
    append_header(out, b'4', namespace, None);
    let is_nothing = |data: &Value| match data {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Bool(true) | Value::Binary(_) | Value::Array(_) | Value::Object(_) => false,
    };
    match data.filter(|data| !is_nothing(data)) {
        Some(data) => ser::to_json_base64(out, data),
        None => ser::to_json_base64(out, message),
    }
    .expect("text and values are always JSON");
}

/// Appends a DISCONNECT: `1`, `1/admin,`.
pub fn disconnect(out: &mut Vec<u8>, namespace: &str) {
    append_header(out, b'1', namespace, None);
}

/// Appends the arguments alone, as an array: `["a",1]`.
///
/// # Errors
/// `args` cannot be JSON. Then `out` is as it was.
pub fn args_json<T: Serialize + ?Sized>(out: &mut Vec<u8>, args: &T) -> Result<Vec<Bytes>, EncodeError> {
    let mut attachments = Vec::new();
    or_restore(out, |out| append_array(out, args, |out, args| ser::to_json(out, &mut attachments, args)))?;
    Ok(attachments)
}

/// Appends the arguments alone, as an array, for peers without attachments: bytes are `{"base64":"AQID"}`.
///
/// # Errors
/// `args` cannot be JSON. Then `out` is as it was.
pub fn args_json_base64<T: Serialize + ?Sized>(out: &mut Vec<u8>, args: &T) -> Result<(), EncodeError> {
    or_restore(out, |out| append_array(out, args, |out, args| ser::to_json_base64(out, args)))
}

/// Appends any value as JSON, with placeholders for its bytes.
///
/// # Errors
/// It cannot be JSON. Then `out` is as it was.
pub(crate) fn value_json<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) -> Result<Vec<Bytes>, EncodeError> {
    let mut attachments = Vec::new();
    or_restore(out, |out| ser::to_json(out, &mut attachments, value))?;
    Ok(attachments)
}

/// The same packet with nothing but ASCII in its JSON: `2["é"]` → `2["\u00e9"]`. Borrowed if it is so already, or is only
/// because of its namespace, which cannot be escaped.
///
/// Socket.IO 1 clients encode the text of long-polling as UTF-8 once too often, and so do not get along with other
/// characters there. In a payload of Engine.IO 3 every packet is to be written like this; newer clients read it the same.
/// The `4` of Engine.IO may stand in front.
pub fn ascii(packet: &str) -> Cow<'_, str> {
    let (header, json) = packet.split_at(json_at(packet));
    if json.is_ascii() {
        return Cow::Borrowed(packet);
    }
    let mut out = String::with_capacity(packet.len().saturating_mul(2));
    out.push_str(header);
    for char in json.chars() {
        if char.is_ascii() {
            out.push(char);
            continue;
        }
        for unit in char.encode_utf16(&mut [0; 2]) {
            // A string takes every write.
            let _ = fmt::Write::write_fmt(&mut out, format_args!("\\u{unit:04x}"));
        }
    }
    Cow::Owned(out)
}

/// Where a packet's id and JSON begin: behind the type, the number of attachments and the namespace.
pub(super) fn json_at(packet: &str) -> usize {
    let head = packet.bytes().position(|byte| !byte.is_ascii_digit() && byte != b'-').unwrap_or(packet.len());
    match packet.get(head..) {
        Some(rest) if rest.starts_with('/') => {
            let behind = rest.split_once(',').map_or("", |(_, behind)| behind);
            packet.len().saturating_sub(behind.len())
        }
        _ => head,
    }
}

/// Appends header and body; if the body has attachments, the header becomes that of a binary packet.
#[inline]
fn packet(
    out: &mut Vec<u8>,
    kind: u8,
    namespace: &str,
    ack: Option<u64>,
    body: impl FnOnce(&mut Vec<u8>, &mut Vec<Bytes>) -> serde_json::Result<()>,
) -> Result<Vec<Bytes>, EncodeError> {
    let start = out.len();
    let mut attachments = Vec::new();
    or_restore(out, |out| {
        append_header(out, kind, namespace, ack);
        body(out, &mut attachments)
    })?;
    if !attachments.is_empty() {
        // `2[…` → `51-[…`: an event 2 becomes 5, an acknowledgement 3 becomes 6.
        let end = out.len();
        append_decimal(out, attachments.len() as u64);
        out.push(b'-');
        let count = out.len().saturating_sub(end);
        if let Some([first, rest @ ..]) = out.get_mut(start..) {
            *first = kind.saturating_add(3);
            rest.rotate_right(count);
        }
    }
    Ok(attachments)
}

#[inline]
fn append_header(out: &mut Vec<u8>, kind: u8, namespace: &str, ack: Option<u64>) {
    out.push(kind);
    append_target(out, namespace, ack);
}

fn append_target(out: &mut Vec<u8>, namespace: &str, ack: Option<u64>) {
    if namespace != "/" {
        out.extend_from_slice(namespace.as_bytes());
        out.push(b',');
    }
    if let Some(id) = ack {
        append_decimal(out, id);
    }
}

/// Appends the arguments to an array that has begun and has an element, and ends it.
fn append_arguments<T: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    args: &T,
    to_json: impl FnOnce(&mut Vec<u8>, &T) -> serde_json::Result<()>,
) -> serde_json::Result<()> {
    match ser::shape(args) {
        Shape::None => out.push(b']'),
        Shape::One => {
            out.push(b',');
            to_json(out, args)?;
            out.push(b']');
        }
        Shape::Several => {
            // The tuple is an array in JSON: its elements go on in ours, and its end is our end.
            let at = out.len();
            to_json(out, args)?;
            match out.get_mut(at..) {
                Some([_, b']']) => drop(out.remove(at)),
                Some([bracket, ..]) => *bracket = b',',
                Some([]) | None => {}
            }
        }
    }
    Ok(())
}

fn append_array<T: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    args: &T,
    to_json: impl FnOnce(&mut Vec<u8>, &T) -> serde_json::Result<()>,
) -> serde_json::Result<()> {
    match ser::shape(args) {
        Shape::None => out.extend_from_slice(b"[]"),
        Shape::One => {
            out.push(b'[');
            to_json(out, args)?;
            out.push(b']');
        }
        Shape::Several => to_json(out, args)?,
    }
    Ok(())
}

fn append_decimal(out: &mut Vec<u8>, number: u64) {
    serde_json::to_writer(out, &number).expect("a vector takes every write, and a number is always JSON");
}

#[inline]
fn or_restore(
    out: &mut Vec<u8>,
    append: impl FnOnce(&mut Vec<u8>) -> serde_json::Result<()>,
) -> Result<(), EncodeError> {
    let start = out.len();
    append(out).map_err(|error| {
        out.truncate(start);
        EncodeError::Json(error)
    })
}

/// Why a packet could not be made. The caller's mistake; nothing was appended.
#[derive(Debug)]
#[non_exhaustive]
pub enum EncodeError {
    /// The name is one of [`RESERVED_EVENTS`].
    ReservedEventName,
    /// The arguments cannot be JSON, such as a map whose keys are no text.
    Json(serde_json::Error),
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            EncodeError::ReservedEventName => "event name is reserved",
            EncodeError::Json(_) => "arguments cannot be json",
        })
    }
}

impl error::Error for EncodeError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            EncodeError::ReservedEventName => None,
            EncodeError::Json(error) => Some(error),
        }
    }
}

#[cfg(test)]
#[path = "../tests/encode.rs"]
mod tests;
