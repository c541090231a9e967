//! The serde forms of messages. Field names and numbers are those of socket.io's cluster adapters; the order of keys says
//! nothing. Drivers choose the encoding: JSON, or MessagePack, which has bytes.

use std::sync::Arc;
use std::time::Duration;

use patera_protocol::socketio::{Map, Value};
use serde::de::{Deserialize, Deserializer, Error};
use serde::{Serialize, Serializer};

use crate::encoded::Encoded;
use crate::ids::{RequestId, Uid};
use crate::message::{Body, Description, Message};
use crate::target::{Flags, Target};

impl Serialize for Message {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Envelope<'a> {
            r#type: u8,
            #[serde(skip_serializing_if = "Option::is_none")]
            data: Option<Data<'a>>,
            uid: &'a Uid,
            nsp: &'a str,
        }
        let (number, data) = parts(&self.body);
        Envelope { r#type: number, data, uid: &self.uid, nsp: &self.namespace }.serialize(serializer)
    }
}

/// All that the data of a message may have; what it does not have is left out.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Data<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    packet: Option<Packet>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a RequestId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    opts: Option<&'a Target>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rooms: Option<&'a [Arc<str>]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    close: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sockets: Option<&'a [Description]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_count: Option<u64>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Packet {
    /// `{"type":2,"data":["news",1]}`
    Event { r#type: u8, data: Value },
    /// `["news",1]`
    ServerSide(Value),
    /// What stands first in the array.
    Answer(Option<Value>),
}

/// EVENT, as socket.io numbers its packets; bytes or not.
const EVENT: u8 = 2;

fn parts(body: &Body) -> (u8, Option<Data<'_>>) {
    let event = |event: &Encoded| Packet::Event { r#type: EVENT, data: Value::Array(event.to_values()) };
    let answer = |answer: &Encoded| Packet::Answer(answer.to_values().into_iter().next());
    let data = Data::default();
    match body {
        Body::InitialHeartbeat => (1, None),
        Body::Heartbeat => (2, None),
        Body::Broadcast { event: of, target, request } => {
            (3, Some(Data { packet: Some(event(of)), request_id: request.as_ref(), opts: Some(target), ..data }))
        }
        Body::SocketsJoin { target, rooms } => (4, Some(Data { opts: Some(target), rooms: Some(rooms), ..data })),
        Body::SocketsLeave { target, rooms } => (5, Some(Data { opts: Some(target), rooms: Some(rooms), ..data })),
        Body::DisconnectSockets { target, close } => {
            (6, Some(Data { opts: Some(target), close: Some(*close), ..data }))
        }
        Body::FetchSockets { target, request } => {
            (7, Some(Data { opts: Some(target), request_id: Some(request), ..data }))
        }
        Body::FetchSocketsResponse { request, sockets } => {
            (8, Some(Data { request_id: Some(request), sockets: Some(sockets), ..data }))
        }
        Body::ServerSideEmit { event, request } => {
            let packet = Packet::ServerSide(Value::Array(event.to_values()));
            (9, Some(Data { packet: Some(packet), request_id: request.as_ref(), ..data }))
        }
        Body::ServerSideEmitResponse { request, answer: of } => {
            (10, Some(Data { request_id: Some(request), packet: Some(answer(of)), ..data }))
        }
        Body::BroadcastClientCount { request, count } => {
            (11, Some(Data { request_id: Some(request), client_count: Some(*count), ..data }))
        }
        Body::BroadcastAck { request, answer: of } => {
            (12, Some(Data { request_id: Some(request), packet: Some(answer(of)), ..data }))
        }
        Body::AdapterClose => (13, None),
    }
}

impl Serialize for Target {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Opts<'a> {
            rooms: &'a [Arc<str>],
            except: &'a [Arc<str>],
            flags: FlagsOut,
        }
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct FlagsOut {
            #[serde(skip_serializing_if = "Option::is_none")]
            volatile: Option<bool>,
            #[serde(skip_serializing_if = "Option::is_none")]
            compress: Option<bool>,
            #[serde(skip_serializing_if = "Option::is_none")]
            timeout: Option<u64>,
            #[serde(skip_serializing_if = "Option::is_none")]
            expect_single_response: Option<bool>,
        }
        let flags = FlagsOut {
            volatile: self.flags.volatile.then_some(true),
            compress: self.flags.compress,
            timeout: self.flags.timeout.map(|timeout| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX)),
            expect_single_response: self.flags.expect_single_response.then_some(true),
        };
        Opts { rooms: &self.rooms, except: &self.except, flags }.serialize(serializer)
    }
}

impl Serialize for Description {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Out<'a> {
            id: &'a str,
            handshake: &'a Value,
            rooms: &'a [Arc<str>],
            data: &'a Value,
        }
        Out { id: &self.id, handshake: &self.handshake, rooms: &self.rooms, data: &self.data }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Message {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        read(&value).map_err(D::Error::custom)
    }
}

/// What is wrong with a message.
type Fault = &'static str;

fn read(value: &Value) -> Result<Message, Fault> {
    let data = &value["data"];
    let uid = value["uid"].as_str().ok_or("no uid")?.into();
    let namespace = value["nsp"].as_str().or_else(|| data["packet"]["nsp"].as_str()).ok_or("no nsp")?.into();
    Ok(Message { uid, namespace, body: body(value["type"].as_u64().ok_or("no type")?, data)? })
}

fn body(number: u64, data: &Value) -> Result<Body, Fault> {
    let request = || data["requestId"].as_str().map(RequestId::from);
    let the_request = || request().ok_or("no requestId");
    let packet = &data["packet"];
    // A client that acknowledged nothing is passed on as nothing, be it `undefined` or `null`.
    let answer = || encoded(if packet.is_null() { &[] } else { std::slice::from_ref(packet) });
    Ok(match number {
        1 => Body::InitialHeartbeat,
        2 => Body::Heartbeat,
        3 => {
            let event = event(packet["data"].as_array())?;
            Body::Broadcast { event, target: target(&data["opts"])?, request: request() }
        }
        4 => Body::SocketsJoin { target: target(&data["opts"])?, rooms: rooms(&data["rooms"])? },
        5 => Body::SocketsLeave { target: target(&data["opts"])?, rooms: rooms(&data["rooms"])? },
        6 => {
            Body::DisconnectSockets { target: target(&data["opts"])?, close: data["close"].as_bool().unwrap_or(false) }
        }
        7 => Body::FetchSockets { target: target(&data["opts"])?, request: the_request()? },
        8 => {
            let sockets = data["sockets"].as_array().ok_or("no sockets")?;
            let sockets = sockets.iter().map(description).collect::<Result<_, _>>()?;
            Body::FetchSocketsResponse { request: the_request()?, sockets }
        }
        9 => Body::ServerSideEmit { event: event(packet.as_array())?, request: request() },
        10 => Body::ServerSideEmitResponse { request: the_request()?, answer: answer()? },
        11 => {
            let count = data["clientCount"].as_u64().ok_or("no clientCount")?;
            Body::BroadcastClientCount { request: the_request()?, count }
        }
        12 => Body::BroadcastAck { request: the_request()?, answer: answer()? },
        13 => Body::AdapterClose,
        _ => return Err("unknown type"),
    })
}

fn event(elements: Option<&[Value]>) -> Result<Encoded, Fault> {
    match elements {
        Some(elements @ [Value::String(_), ..]) => encoded(elements),
        _ => Err("no event"),
    }
}

fn encoded(elements: &[Value]) -> Result<Encoded, Fault> {
    Encoded::of_values(elements).map_err(|_| "a number is out of range")
}

fn target(opts: &Value) -> Result<Target, Fault> {
    Ok(Target { rooms: rooms(&opts["rooms"])?, except: rooms(&opts["except"])?, flags: flags(&opts["flags"]) })
}

fn rooms(names: &Value) -> Result<Vec<Arc<str>>, Fault> {
    let room = |name: &Value| name.as_str().map(Arc::from).ok_or("a room is no text");
    match names {
        Value::Null => Ok(Vec::new()),
        Value::Array(names) => names.iter().map(room).collect(),
        _ => Err("no rooms"),
    }
}

fn flags(flags: &Value) -> Flags {
    let is_set = |name: &str| flags[name].as_bool() == Some(true);
    Flags {
        volatile: is_set("volatile"),
        compress: flags["compress"].as_bool(),
        timeout: flags["timeout"].as_u64().map(Duration::from_millis),
        expect_single_response: is_set("expectSingleResponse"),
    }
}

fn description(value: &Value) -> Result<Description, Fault> {
    Ok(Description {
        id: value["id"].as_str().ok_or("no id")?.into(),
        handshake: value["handshake"].clone(),
        rooms: rooms(&value["rooms"])?,
        data: match &value["data"] {
            Value::Null => Value::Object(Map::new()),
            data => data.clone(),
        },
    })
}
