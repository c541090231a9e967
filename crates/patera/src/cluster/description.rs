//! A socket as it is told to other servers, socket.io's among them, and as it is read from what they tell.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, UNIX_EPOCH};

use patera_cluster::Description;
use patera_protocol::socketio::{Map, Value};

use crate::handshake::Handshake;
use crate::socket::Socket;
use crate::tasks::catch;

/// The application's data is put into JSON here; if that panics, there is none.
pub(super) fn of(socket: &Socket) -> Description {
    let data = socket.0.any_data().and_then(|data| catch(|| data.to_json()).flatten());
    let data = data.and_then(|json| serde_json::from_str(&json).ok());
    let own = std::iter::once(socket.id().into());
    Description {
        id: socket.id().into(),
        handshake: handshake(socket.handshake(), socket.auth()),
        rooms: own.chain(socket.rooms()).collect(),
        data: data.unwrap_or_else(|| Map::new().into()),
    }
}

fn handshake(handshake: &Handshake, auth: Value) -> Value {
    let mut headers = Map::new();
    for (name, value) in &handshake.headers() {
        let Ok(value) = value.to_str() else { continue };
        let joined = match headers.get(name.as_str()).and_then(Value::as_str) {
            Some(first) => format!("{first}, {value}"),
            None => value.to_owned(),
        };
        headers.insert(name.as_str(), joined);
    }
    let query: Map = handshake.query().into_iter().map(|(name, value)| (name, Value::from(value))).collect();
    let time = handshake.time();
    let issued = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let mut object = Map::new();
    object.insert("headers", headers);
    object.insert("time", httpdate::fmt_http_date(time));
    object.insert("address", handshake.address().map(|address| address.ip().to_string()));
    object.insert("xdomain", handshake.xdomain());
    object.insert("secure", handshake.secure());
    object.insert("issued", u64::try_from(issued).unwrap_or(u64::MAX));
    object.insert("url", handshake.url());
    object.insert("query", query);
    object.insert("auth", auth);
    object.into()
}

/// The handshake of a description; what is not there is empty.
pub(crate) fn read_handshake(value: &Value) -> Handshake {
    let text = |name: &str| value[name].as_str();
    let headers = value["headers"].as_object().into_iter().flat_map(Map::iter);
    let headers = headers.filter_map(|(name, value)| Some((name, value.as_str()?)));
    // The port is not told.
    let address = text("address").and_then(|address| address.parse::<IpAddr>().ok());
    let address = address.map(|address| SocketAddr::new(address, 0));
    let issued = UNIX_EPOCH.checked_add(Duration::from_millis(value["issued"].as_u64().unwrap_or(0)));
    let secure = value["secure"].as_bool() == Some(true);
    Handshake::from_afar(text("url").unwrap_or("/"), headers, address, secure, issued.unwrap_or(UNIX_EPOCH))
}
