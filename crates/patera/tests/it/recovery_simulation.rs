//! Connection state recovery under fire: clients whose links break at any byte, one way or both, noticed or not; that restart,
//! leave and are sent away; while events go out to everyone, to rooms and to one, and rooms change.
//!
//! A model keeps what each socket must get. Whatever happens, a client gets just that, once and in order, or is told that it
//! was not recovered. Time is virtual and everything is drawn from a seed, so that a failure can be played again:
//!
//! ```sh
//! PATERA_RECOVERY_SEED=17 PATERA_RECOVERY_RUNS=1 cargo test -p patera --test it recovery_simulation
//! PATERA_RECOVERY_RUNS=100000 cargo test --release -p patera --test it recovery_simulation
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::Request;
use http_body_util::{BodyExt as _, Full};
use parking_lot::Mutex;
use patera::{Config, ConnectionStateRecovery, Error, Io, Socket};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;
use tower_service::Service as _;

use crate::breaking::{Break, BreakingLink};

/// Runs where nobody asks for more: some seconds in a debug build.
const RUNS: u64 = 400;
const ROOMS: [&str; 3] = ["red", "green", "blue"];
const PING: Duration = Duration::from_millis(700);

#[test]
fn no_event_is_lost_doubled_or_reordered() {
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().expect(name));
    let first = number("PATERA_RECOVERY_SEED").unwrap_or(1);
    let runs = number("PATERA_RECOVERY_RUNS").unwrap_or(RUNS);
    let mut sum = Tally::default();
    for seed in first..first + runs {
        let guard = TellSeed(seed);
        sum.add(&run(seed));
        std::mem::forget(guard);
    }
    println!("{runs} runs: {sum:?}");
    // A simulation in which nothing happens would show nothing.
    if runs >= RUNS {
        assert!(sum.recovered > 2 * runs && sum.fresh > runs / 10 && sum.replayed > 5 * runs, "{sum:?}");
    }
}

#[test]
fn a_link_may_break_at_any_byte() {
    // A little more than what goes each way in `run_broken`.
    let (down, up) = (1200, 120);
    let breaks = (0..down).map(|down| (down, u64::MAX)).chain((0..up).map(|up| (u64::MAX, up)));
    let noticed = [Some(Duration::ZERO), Some(PING / 2), None];
    for ((down, up), server_notices) in breaks.zip(noticed.into_iter().cycle()) {
        let client_notices = Some(PING / 3);
        let plan = Break { down, up, one_way: Duration::ZERO, client_notices, server_notices };
        let tally = run_broken(plan);
        assert_eq!((tally.events, tally.fresh), (12, 0), "{plan:?}");
    }
}

/// One client, whose first link breaks so, and twelve events.
fn run_broken(plan: Break) -> Tally {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut dice = Dice(1);
        let simulation = Arc::new(Simulation::generous(Config::default(), ConnectionStateRecovery::default()));
        simulation.register_handlers();
        let client = Client { breaks: Breaks::Once(Some(plan)), ..Client::new(Dice(1)) };
        let client = tokio::spawn(client.live(simulation.clone()));
        for _ in 0..4 {
            for _ in 0..3 {
                simulation.emit(&mut dice, &Target::All);
            }
            sleep(PING).await;
        }
        *simulation.is_healed.lock() = true;
        timeout(Duration::from_secs(3600), client).await.expect("it connects at last").unwrap();
        std::mem::take(&mut simulation.model.lock().tally)
    })
}

/// Says which run it was, if that panics.
struct TellSeed(u64);

impl Drop for TellSeed {
    fn drop(&mut self) {
        eprintln!("failed with PATERA_RECOVERY_SEED={}", self.0);
    }
}

/// What happened in a run.
#[derive(Debug, Default)]
struct Tally {
    events: u64,
    recovered: u64,
    /// With a private id, and yet not recovered.
    fresh: u64,
    /// Events that were emitted while their client was away.
    replayed: u64,
}

impl Tally {
    fn add(&mut self, other: &Tally) {
        self.events += other.events;
        self.recovered += other.recovered;
        self.fresh += other.fresh;
        self.replayed += other.replayed;
    }
}

/// SplitMix64.
#[derive(Clone)]
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// True once in so many times.
    fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    fn millis(&mut self, bound: u64) -> Duration {
        Duration::from_millis(self.below(bound))
    }

    fn room(&mut self) -> &'static str {
        ROOMS[self.below(ROOMS.len() as u64) as usize]
    }
}

/// What the server has promised to one socket, whatever its connections.
#[derive(Default)]
struct Promised {
    rooms: BTreeSet<&'static str>,
    /// The events it must get, and whether it was away when they were emitted.
    events: Vec<(u64, bool)>,
    /// The socket of its newest connection, and an older one.
    sockets: Vec<Socket>,
    /// Sent away, or left: it will not be recovered.
    has_ended: bool,
}

/// A connection that a middleware is deciding on.
struct Deciding {
    id: String,
    recovers: bool,
    rooms: BTreeSet<&'static str>,
    held: Vec<u64>,
}

#[derive(Default)]
struct Model {
    sockets: BTreeMap<String, Promised>,
    /// Their ids in the order they came: the ids themselves are not drawn from the seed.
    ids: Vec<String>,
    deciding: BTreeMap<u64, Deciding>,
    last: u64,
    tally: Tally,
}

/// Whom an event goes to.
enum Target {
    All,
    Rooms(Vec<&'static str>),
    Except(&'static str),
    Id(String),
}

impl Target {
    fn has(&self, id: &str, rooms: &BTreeSet<&'static str>) -> bool {
        match self {
            Target::All => true,
            Target::Rooms(of) => of.iter().any(|room| rooms.contains(room)),
            Target::Except(room) => !rooms.contains(room),
            Target::Id(of) => of == id,
        }
    }
}

impl Model {
    fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    fn promise(&mut self, event: u64, target: &Target) {
        self.tally.events += 1;
        let mut promised_to = BTreeSet::new();
        for (id, socket) in &mut self.sockets {
            if !socket.has_ended && target.has(id, &socket.rooms) {
                let is_away = !socket.sockets.last().expect("one at least").is_connected();
                socket.events.push((event, is_away));
                promised_to.insert(id.clone());
            }
        }
        // One that is not let in is in the rooms it has joined, and in nothing else.
        if let Target::Rooms(_) = target {
            for deciding in self.deciding.values_mut() {
                let twice = deciding.recovers && promised_to.contains(&deciding.id);
                if !twice && target.has(&deciding.id, &deciding.rooms) {
                    deciding.held.push(event);
                }
            }
        }
    }
}

struct Simulation {
    io: Io,
    model: Arc<Mutex<Model>>,
    /// Whether every client that comes back must be recovered.
    is_generous: bool,
    max_away: Duration,
    /// From here on nothing breaks any more.
    is_healed: Mutex<bool>,
}

/// What a middleware keeps with its socket: the key in `Model::deciding`.
#[derive(Clone)]
struct Key(u64);

fn run(seed: u64) -> Tally {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut dice = Dice(seed);
        let simulation = Arc::new(Simulation::new(&mut dice));
        simulation.register(&mut dice);
        let clients: Vec<_> = (0..1 + dice.below(4))
            .map(|_| tokio::spawn(Client::new(Dice(dice.next())).live(simulation.clone())))
            .collect();
        for _ in 0..40 + dice.below(120) {
            simulation.act(&mut dice);
            if dice.one_in(3) {
                sleep(dice.millis(400)).await;
            }
        }
        *simulation.is_healed.lock() = true;
        for client in clients {
            timeout(Duration::from_secs(3600), client).await.expect("it connects at last").unwrap();
        }
        std::mem::take(&mut simulation.model.lock().tally)
    })
}

impl Simulation {
    fn new(dice: &mut Dice) -> Self {
        let mut recovery = ConnectionStateRecovery::default();
        let mut config = Config::default();
        let is_generous = !dice.one_in(3);
        recovery.skip_middlewares = dice.one_in(4);
        recovery.max_disconnection_duration = Duration::from_secs(3600);
        if !is_generous {
            recovery.max_disconnection_duration = Duration::from_millis(300 + dice.below(3000));
            recovery.packets_max = 1 + dice.below(20) as usize;
            recovery.bytes_max = 200 + dice.below(10_000) as usize;
            recovery.sessions_max = 1 + dice.below(4) as usize;
            recovery.away_bytes_max = 500 + dice.below(20_000) as usize;
        }
        if dice.one_in(4) {
            config.outbox_bytes_max = 500 + dice.below(3000) as usize;
        }
        Simulation { is_generous, ..Self::generous(config, recovery) }
    }

    fn generous(mut config: Config, recovery: ConnectionStateRecovery) -> Self {
        config.ping_interval = PING;
        config.ping_timeout = PING;
        config.outbox_stall_timeout = 3 * PING;
        let max_away = recovery.max_disconnection_duration;
        config.connection_state_recovery = Some(recovery);
        let io = Io::with_config(config);
        Simulation { io, model: Arc::default(), is_generous: true, max_away, is_healed: Mutex::new(false) }
    }

    fn register(&self, dice: &mut Dice) {
        if !dice.one_in(3) {
            let of_middleware = self.model.clone();
            let all_dice = Arc::new(Mutex::new(Dice(dice.next())));
            self.io.middleware(move |socket: Socket| {
                let dice = Dice(all_dice.lock().next());
                decide(socket, of_middleware.clone(), dice)
            });
        }
        self.register_handlers();
    }

    fn register_handlers(&self) {
        let of_connection = self.model.clone();
        self.io.on_connection(move |socket: Socket| {
            connected(&mut of_connection.lock(), &socket);
            async {}
        });
        let of_disconnect = self.model.clone();
        self.io.on_disconnect(move |socket: Socket, reason: patera::DisconnectReason| {
            if reason == patera::DisconnectReason::ClientNamespaceDisconnect
                && let Some(promised) = of_disconnect.lock().sockets.get_mut(socket.id())
            {
                promised.has_ended = true;
            }
            async {}
        });
    }

    /// The application does something.
    fn act(&self, dice: &mut Dice) {
        let ids = self.model.lock().ids.clone();
        let somebody = (!ids.is_empty()).then(|| ids[dice.below(ids.len() as u64) as usize].clone());
        match (dice.below(20), somebody) {
            (0..6, _) => self.emit(dice, &Target::All),
            (6..9, _) => {
                let rooms = (0..1 + dice.below(2)).map(|_| dice.room()).collect();
                self.emit(dice, &Target::Rooms(rooms));
            }
            (9, _) => {
                let room = dice.room();
                self.emit(dice, &Target::Except(room));
            }
            (10..12, Some(id)) => self.emit(dice, &Target::Id(id)),
            (12..14, Some(id)) => self.emit_directly(dice, &id),
            (14..16, Some(id)) => self.change_room(dice, &id),
            (16, Some(id)) if dice.one_in(4) => self.send_away(&id),
            (_, _) => self.emit_volatile(dice),
        }
    }

    fn emit(&self, dice: &mut Dice, target: &Target) {
        let event = self.model.lock().number();
        // In this order: what the emission wakes runs later.
        self.model.lock().promise(event, target);
        let to = match target {
            Target::All => self.io.broadcast(),
            Target::Rooms(rooms) => self.io.to(&rooms[..]),
            Target::Except(room) => self.io.except(*room),
            Target::Id(id) => self.io.to(&**id),
        };
        if dice.one_in(10) {
            to.emit("bytes", (event, Bytes::from(filler(dice).into_bytes())));
        } else {
            to.emit("event", (event, filler(dice)));
        }
    }

    /// Through the socket of any of its connections.
    fn emit_directly(&self, dice: &mut Dice, id: &str) {
        let event = self.model.lock().number();
        let mut model = self.model.lock();
        let sockets = &model.sockets[id].sockets;
        let socket = sockets[dice.below(sockets.len() as u64) as usize].clone();
        if !model.sockets[id].has_ended {
            model.promise(event, &Target::Id(id.to_owned()));
        }
        drop(model);
        socket.emit("event", (event, filler(dice)));
    }

    fn emit_volatile(&self, dice: &mut Dice) {
        // Both look like offsets to a client, and are none.
        let text = if dice.one_in(2) { "AAAAAAAA.1" } else { "text" };
        if dice.one_in(2) {
            self.io.volatile().emit("volatile", text);
        } else {
            self.io.volatile().emit("volatile", ());
        }
    }

    fn change_room(&self, dice: &mut Dice, id: &str) {
        let room = dice.room();
        let mut model = self.model.lock();
        let promised = model.sockets.get_mut(id).expect("asked for one that is there");
        if promised.has_ended {
            return;
        }
        let socket = promised.sockets.last().expect("one at least").clone();
        // One that the server has given up is in no room.
        if dice.one_in(2) {
            if socket.try_join(room).is_ok() {
                promised.rooms.insert(room);
            }
        } else {
            promised.rooms.remove(room);
            socket.leave(room);
        }
    }

    fn send_away(&self, id: &str) {
        let mut model = self.model.lock();
        let promised = model.sockets.get_mut(id).expect("asked for one that is there");
        promised.has_ended = true;
        let socket = promised.sockets.last().expect("one at least").clone();
        drop(model);
        socket.disconnect();
    }
}

/// Text of any length, most often short.
fn filler(dice: &mut Dice) -> String {
    let longest = if dice.one_in(8) { 2000 } else { 100 };
    "x".repeat(dice.below(longest) as usize)
}

async fn decide(socket: Socket, model: Arc<Mutex<Model>>, mut dice: Dice) -> Result<(), Error> {
    let key = model.lock().number();
    socket.extension_set(Key(key));
    let mut deciding =
        Deciding { id: socket.id().to_owned(), recovers: socket.recovered(), rooms: BTreeSet::new(), held: Vec::new() };
    if dice.one_in(3) {
        let room = dice.room();
        socket.join(room);
        deciding.rooms.insert(room);
    }
    model.lock().deciding.insert(key, deciding);
    for _ in 0..dice.below(3) {
        let event = model.lock().number();
        if let Some(deciding) = model.lock().deciding.get_mut(&key) {
            deciding.held.push(event);
        }
        socket.emit("event", (event, "from a middleware"));
        if dice.one_in(2) {
            sleep(dice.millis(200)).await;
        }
    }
    if dice.one_in(10) {
        model.lock().deciding.remove(&key);
        return Err("refused".into());
    }
    Ok(())
}

/// A socket is let in.
fn connected(model: &mut Model, socket: &Socket) {
    let key = socket.extension::<Key>();
    let decided = key.and_then(|Key(key)| model.deciding.remove(&key));
    if !socket.recovered() {
        let fresh = model.sockets.insert(socket.id().to_owned(), Promised::default());
        assert!(fresh.is_none(), "a fresh socket has an id of its own");
        model.ids.push(socket.id().to_owned());
    }
    let promised = model.sockets.get_mut(socket.id()).expect("recovered is only what was there");
    assert!(!promised.has_ended, "what has ended is not recovered");
    promised.sockets.push(socket.clone());
    if promised.sockets.len() > 2 {
        promised.sockets.remove(0);
    }
    if let Some(Deciding { rooms, held, .. }) = decided {
        promised.rooms.extend(rooms);
        promised.events.extend(held.into_iter().map(|event| (event, false)));
    }
    let rooms: BTreeSet<String> = socket.rooms().iter().map(|room| room.to_string()).collect();
    let expected: BTreeSet<String> = promised.rooms.iter().map(|room| (*room).to_owned()).collect();
    assert_eq!(rooms, expected, "the rooms of {}", socket.id());
}

/// A stock client, as far as recovery goes.
struct Client {
    dice: Dice,
    sid: String,
    pid: Value,
    offset: Value,
    /// How many of the events promised to the socket it has got.
    got: usize,
    /// The event whose attachment is on its way.
    attached: Option<Value>,
    breaks: Breaks,
}

enum Breaks {
    /// The first link breaks so, and nothing else happens.
    Once(Option<Break>),
    /// Any link may break; it polls, restarts, gives up and leaves.
    Any,
}

/// Why a connection is over.
enum Over {
    Lost,
    /// All that was promised has arrived, and nothing breaks any more.
    Content,
}

impl Client {
    fn new(dice: Dice) -> Self {
        Client {
            dice,
            sid: String::new(),
            pid: Value::Null,
            offset: Value::Null,
            got: 0,
            attached: None,
            breaks: Breaks::Any,
        }
    }

    async fn live(mut self, simulation: Arc<Simulation>) {
        loop {
            let is_wild = matches!(self.breaks, Breaks::Any);
            let polls = is_wild && self.dice.one_in(5);
            let over = if polls { self.poll(&simulation).await } else { self.connect(&simulation).await };
            if let Over::Content = over {
                return;
            }
            self.attached = None;
            if is_wild && self.dice.one_in(12) {
                // The page is loaded anew.
                (self.pid, self.offset) = (Value::Null, Value::Null);
            }
            let longest = if self.dice.one_in(6) { 6000 } else { 300 };
            sleep(self.dice.millis(longest)).await;
        }
    }

    fn hello(&self) -> String {
        let mut auth = json!({});
        for (key, value) in [("pid", &self.pid), ("offset", &self.offset)] {
            if !value.is_null() {
                auth[key] = value.clone();
            }
        }
        format!("40{auth}")
    }

    /// How a link breaks, and when its ends notice.
    fn draw_break(&mut self, simulation: &Simulation) -> Option<Break> {
        if let Breaks::Once(plan) = &mut self.breaks {
            return plan.take();
        }
        if *simulation.is_healed.lock() {
            return None;
        }
        let dice = &mut self.dice;
        // The open packet is some hundred bytes, most events are as many.
        let down = if dice.one_in(3) { dice.below(250) } else { dice.below(4000) };
        let up = dice.one_in(4).then(|| dice.below(200));
        let mut when = || (!dice.one_in(3)).then(|| dice.millis(1500));
        let (client_notices, server_notices) = (when(), when());
        let one_way = if dice.one_in(2) { dice.millis(1000) } else { Duration::ZERO };
        Some(Break { down, up: up.unwrap_or(u64::MAX), one_way, client_notices, server_notices })
    }

    async fn connect(&mut self, simulation: &Simulation) -> Over {
        let is_wild = matches!(self.breaks, Breaks::Any);
        let buffer = if is_wild && self.dice.one_in(4) { 64 + self.dice.below(500) } else { 1 << 16 };
        let (near, far) = tokio::io::duplex(buffer as usize);
        let link = BreakingLink::new(far, self.draw_break(simulation));
        let request = Request::get("/socket.io/?EIO=4&transport=websocket").body(()).unwrap();
        simulation.io.accept(link, request).await.unwrap();
        let mut stream = WebSocketStream::from_raw_socket(near, Role::Client, None).await;
        let patience = if is_wild && self.dice.one_in(5) { self.dice.millis(1000) } else { Duration::from_secs(3600) };
        let bored_at = Instant::now() + patience;
        let over = loop {
            if self.is_content(simulation) {
                break Over::Content;
            }
            let silence = Instant::now() + 2 * PING + PING / 2;
            let silence = if *simulation.is_healed.lock() { silence } else { silence.min(bored_at) };
            let answer = match tokio::time::timeout_at(silence, stream.next()).await {
                Ok(Some(Ok(Message::Text(text)))) => self.handle_text(&text, simulation),
                Ok(Some(Ok(Message::Binary(data)))) => {
                    self.handle_bytes(data.len(), simulation);
                    Answer::Nothing
                }
                Ok(_) => break Over::Lost,
                Err(_) => break Over::Lost,
            };
            if matches!(&answer, Answer::Send(text) if text == "3") && self.dice.one_in(2) {
                // The pong takes its time; what is sent meanwhile may be lost.
                sleep(self.dice.millis(600)).await;
            }
            match answer {
                Answer::Nothing => {}
                // What cannot be sent in time is as good as lost.
                Answer::Send(text) => match timeout(2 * PING, stream.send(Message::text(text))).await {
                    Ok(Ok(())) => {}
                    _ => break Over::Lost,
                },
                Answer::Leave => break Over::Lost,
            }
            if is_wild && self.dice.one_in(60) && !*simulation.is_healed.lock() {
                // It leaves the namespace, or closes the session; either may still get through.
                let goodbye = if self.dice.one_in(3) { "41" } else { "1" };
                let _ = timeout(PING, stream.send(Message::text(goodbye))).await;
                break Over::Lost;
            }
        };
        if self.dice.one_in(2) && !matches!(over, Over::Content) {
            // It vanishes: nobody tells the server.
            tokio::spawn(async move {
                sleep(Duration::from_secs(7200)).await;
                drop(stream);
            });
        }
        over
    }

    /// By long-polling: an answer may get lost, and then the client gives the session up.
    async fn poll(&mut self, simulation: &Simulation) -> Over {
        let target = "/socket.io/?EIO=4&transport=polling";
        let Some(open) = request(simulation, target, None).await else { return Over::Lost };
        let target = format!("{target}&sid={}", open.split('"').nth(3).expect("an open packet"));
        let mut posts = vec![self.hello()];
        loop {
            if self.is_content(simulation) {
                return Over::Content;
            }
            for post in std::mem::take(&mut posts) {
                if request(simulation, &target, Some(post)).await.is_none() {
                    return Over::Lost;
                }
            }
            if !*simulation.is_healed.lock() && self.dice.one_in(8) {
                // The answer is on its way when the link breaks.
                let answer = self.dice.millis(1000);
                let _ = timeout(answer, request(simulation, &target, None)).await;
                return Over::Lost;
            }
            let Ok(Some(payload)) = timeout(3 * PING, request(simulation, &target, None)).await else {
                return Over::Lost;
            };
            for packet in payload.split('\u{1e}') {
                let answer = match packet.strip_prefix('b') {
                    Some(data) => {
                        self.handle_bytes(data.len() / 4 * 3, simulation);
                        Answer::Nothing
                    }
                    None => self.handle_text(packet, simulation),
                };
                match answer {
                    Answer::Nothing => {}
                    Answer::Send(text) => posts.push(text),
                    Answer::Leave => return Over::Lost,
                }
            }
        }
    }

    fn handle_text(&mut self, text: &str, simulation: &Simulation) -> Answer {
        match text.as_bytes() {
            [b'0', ..] => Answer::Send(self.hello()),
            b"2" => Answer::Send("3".to_owned()),
            b"1" | b"6" => {
                if text == "1" {
                    Answer::Leave
                } else {
                    Answer::Nothing
                }
            }
            [b'4', b'0', ..] => {
                self.handle_connected(&serde_json::from_str(&text[2..]).unwrap(), simulation);
                Answer::Nothing
            }
            // Refused, or sent away: it tries again.
            [b'4', b'1' | b'4', ..] => Answer::Leave,
            [b'4', b'2', ..] => {
                self.handle_event(&serde_json::from_str(&text[2..]).unwrap(), simulation);
                Answer::Nothing
            }
            [b'4', b'5', b'1', b'-', ..] => {
                self.attached = Some(serde_json::from_str(&text[4..]).unwrap());
                Answer::Nothing
            }
            _ => panic!("nothing like {text}"),
        }
    }

    fn handle_bytes(&mut self, _: usize, simulation: &Simulation) {
        let event = self.attached.take().expect("bytes belong to an event");
        self.handle_event(&event, simulation);
    }

    fn handle_connected(&mut self, ids: &Value, simulation: &Simulation) {
        let mut model = simulation.model.lock();
        let sid = ids["sid"].as_str().unwrap();
        if ids["pid"] == self.pid {
            model.tally.recovered += 1;
            assert_eq!(sid, self.sid);
            return;
        }
        if !self.pid.is_null() {
            model.tally.fresh += 1;
            let may_be_fresh = !simulation.is_generous || model.sockets[&self.sid].has_ended;
            assert!(may_be_fresh, "{} should be recovered within {:?}", self.sid, simulation.max_away);
        }
        self.sid = sid.to_owned();
        self.pid = ids["pid"].clone();
        self.got = 0;
    }

    fn handle_event(&mut self, event: &Value, simulation: &Simulation) {
        let args = event.as_array().expect("an event is an array");
        if let Some(Value::String(last)) = args.last() {
            self.offset = json!(last);
        }
        if args[0] == "volatile" {
            assert!(!args.last().unwrap().is_string(), "{event}");
            return;
        }
        let mut model = simulation.model.lock();
        let promised = &model.sockets[&self.sid].events;
        let (expected, was_away) = *promised.get(self.got).unwrap_or_else(|| panic!("{event} was not promised"));
        assert_eq!(args[1], expected, "the next event of {} after {} others", self.sid, self.got);
        self.got += 1;
        model.tally.replayed += u64::from(was_away);
    }

    /// Whether it has all, and the links hold.
    fn is_content(&self, simulation: &Simulation) -> bool {
        let model = simulation.model.lock();
        let Some(promised) = model.sockets.get(&self.sid) else { return false };
        let is_connected = promised.sockets.last().is_some_and(Socket::is_connected);
        *simulation.is_healed.lock() && is_connected && !promised.has_ended && self.got == promised.events.len()
    }
}

/// What a client does about a packet.
enum Answer {
    Nothing,
    Send(String),
    Leave,
}

/// One request; `None` if it is refused.
async fn request(simulation: &Simulation, target: &str, post: Option<String>) -> Option<String> {
    let method = if post.is_some() { "POST" } else { "GET" };
    let body = Full::new(Bytes::from(post.unwrap_or_default()));
    let request = Request::builder().method(method).uri(target).body(body).unwrap();
    let response = simulation.io.service().call(request).await.unwrap();
    if !response.status().is_success() {
        return None;
    }
    let body = response.into_body().collect().await.unwrap().to_bytes();
    Some(String::from_utf8(body.to_vec()).unwrap())
}
