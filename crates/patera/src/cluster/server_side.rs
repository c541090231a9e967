//! Events between servers: emitted here, and told to handlers there.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt as _;
use patera_cluster::{Asker, Encoded};
use patera_protocol::handler::{
    Answer, CallError, EventContext, FromAnswer, FromEvent, Handler, IntoReply, Refusal, Side,
};
use patera_protocol::socketio::{EncodeError, encode};
use serde::Serialize;

use crate::answers::{Answers, Gathering};
use crate::error::{EmitError, Error};
use crate::handler::{EventName, State};
use crate::io::{Io, IoInner};
use crate::listeners::ListenerId;
use crate::namespace::{Namespace, NamespaceInner};
use crate::tasks::catch;
use crate::trace::trace;

/// The side of handlers of server-side events: the parameter of [`FromEvent`] for types of your own.
#[derive(Debug)]
pub enum ServerSide {}

impl Side for ServerSide {
    type Call<'a> = ServerSideCall<'a>;
}

/// What is known of a server-side event besides its arguments.
#[derive(Clone, Copy)]
pub struct ServerSideCall<'a> {
    io: &'a Io,
    namespace: &'a Namespace,
    name: &'a str,
}

impl<'a> ServerSideCall<'a> {
    /// This server.
    pub fn io(&self) -> &'a Io {
        self.io
    }

    /// The namespace in which it was emitted.
    pub fn namespace(&self) -> &'a Namespace {
        self.namespace
    }

    /// The event's name.
    pub fn name(&self) -> &'a str {
        self.name
    }
}

impl fmt::Debug for ServerSideCall<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerSideCall").field("namespace", self.namespace).field("name", &self.name).finish()
    }
}

type Context<'a, 'p> = EventContext<'a, 'p, ServerSide>;

impl FromEvent<ServerSide> for Io {
    fn from_event(event: &mut Context<'_, '_>) -> Result<Self, CallError> {
        Ok(event.call().io.clone())
    }
}

impl FromEvent<ServerSide> for Namespace {
    fn from_event(event: &mut Context<'_, '_>) -> Result<Self, CallError> {
        Ok(event.call().namespace.clone())
    }
}

impl FromEvent<ServerSide> for EventName {
    fn from_event(event: &mut Context<'_, '_>) -> Result<Self, CallError> {
        Ok(EventName(event.call().name.to_owned()))
    }
}

impl<T: Clone + Send + Sync + 'static> FromEvent<ServerSide> for State<T> {
    fn from_event(event: &mut Context<'_, '_>) -> Result<Self, CallError> {
        event.call().io.state().map(State).ok_or(CallError::NoState(std::any::type_name::<T>()))
    }
}

/// A handler that has been started, until it ends.
pub(crate) type Started = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A handler without its types.
trait ServerSideHandler: Send + Sync {
    fn start(&self, event: &mut Context<'_, '_>, to: AnswerTo) -> Result<Started, CallError>;
}

struct Erased<H, P> {
    handler: H,
    parameters: PhantomData<fn(P)>,
}

impl<P, H> ServerSideHandler for Erased<H, P>
where
    H: Handler<ServerSide, P>,
    H::Output: IntoReply,
{
    fn start(&self, event: &mut Context<'_, '_>, to: AnswerTo) -> Result<Started, CallError> {
        let future = self.handler.clone().start(event)?;
        Ok(Box::pin(async move { future.await.reply(&to) }))
    }
}

/// The handlers of a namespace's server-side events.
#[derive(Clone, Default)]
pub(crate) struct ServerSideListeners(HashMap<Box<str>, Vec<Listener>>);

#[derive(Clone)]
struct Listener {
    id: ListenerId,
    handler: Arc<dyn ServerSideHandler>,
}

impl ServerSideListeners {
    fn of(&self, event: &str) -> &[Listener] {
        self.0.get(event).map_or(&[], Vec::as_slice)
    }

    fn off(&mut self, id: ListenerId) -> bool {
        let before: usize = self.0.values().map(Vec::len).sum();
        self.0.values_mut().for_each(|listeners| listeners.retain(|listener| listener.id != id));
        self.0.retain(|_, listeners| !listeners.is_empty());
        self.0.values().map(Vec::len).sum::<usize>() < before
    }
}

/// Where an answer goes: to the server that asked, if it asked, and only the first.
#[derive(Clone)]
struct AnswerTo {
    namespace: Arc<NamespaceInner>,
    event: Arc<str>,
    asker: Option<Asker>,
    is_answered: Arc<AtomicBool>,
}

impl Answer for AnswerTo {
    fn send(&self, answer: &impl Serialize) {
        let (Some(asker), Some(membership)) = (&self.asker, self.namespace.membership()) else { return };
        match Encoded::of(answer) {
            Ok(_) if self.is_answered.swap(true, Ordering::AcqRel) => {}
            Ok(answer) => {
                membership.answer_server_side(asker, Encoded::of_answer(&answer.to_args().as_args()));
            }
            Err(error) => self.namespace.dropped(&self.event, &EmitError::Encode(error)),
        }
    }

    fn report(&self, error: Error) {
        trace!(warn, "patera::cluster", "handler of a server-side event failed", namespace = %self.namespace.name, event = ?self.event, error = %error);
    }
}

/// Another server emits: handlers are started in order, and polled by the cluster's task.
pub(super) fn start(io: &Arc<IoInner>, namespace: &Arc<NamespaceInner>, event: &Encoded, asker: Option<Asker>) {
    let Some(((name, args), membership)) = event.to_event().zip(namespace.membership()) else { return };
    let hooks = namespace.hooks();
    let listeners = hooks.server_side.of(&name);
    if listeners.is_empty() {
        return;
    }
    let args = args.as_args();
    let in_namespace = Namespace { inner: namespace.clone(), io: io.clone() };
    let (io, name): (_, Arc<str>) = (Io::from_inner(io.clone()), name.into());
    let is_answered = Arc::<AtomicBool>::default();
    for Listener { handler, .. } in listeners {
        let (namespace, event) = (namespace.clone(), name.clone());
        let to = AnswerTo { namespace, event, asker: asker.clone(), is_answered: is_answered.clone() };
        let call = ServerSideCall { io: &io, namespace: &in_namespace, name: &name };
        match catch(|| handler.start(&mut EventContext::new(call, &args), to.clone())) {
            Some(Ok(started)) => membership.cluster().take_on(Box::pin(guarded(started, to))),
            Some(Err(error)) => {
                to.send(&Refusal { error: &error.message() });
                trace!(warn, "patera::cluster", "arguments of a server-side event do not fit", event = ?name, error = %error);
            }
            None => trace!(error, "patera::cluster", "handler of a server-side event panicked", event = ?name),
        }
    }
}

async fn guarded(started: Started, to: AnswerTo) {
    if AssertUnwindSafe(started).catch_unwind().await.is_err() {
        trace!(error, "patera::cluster", "handler of a server-side event panicked", event = ?to.event);
    }
}

/// Other servers of the cluster.
impl Namespace {
    /// How many servers have this namespace, this one included; 1 without a [bus](crate::Config::bus).
    pub fn server_count(&self) -> usize {
        self.inner.membership().map_or(1, |membership| membership.server_count())
    }

    /// Emits an event to the other servers of the cluster, for their handlers of [`on_server_side`](Self::on_server_side); not to
    /// this one, and to no client.
    ///
    /// `args` as for [`emit`](Self::emit). It never fails: what cannot be encoded is dropped, traced and counted.
    pub fn server_side_emit(&self, event: &str, args: impl Serialize) {
        match encoded(event, &args) {
            Ok(event) => self.broadcast().tell_others(|membership, _| membership.server_side_emit(event.clone())),
            Err(error) => self.inner.dropped(event, &EmitError::Encode(error)),
        }
    }

    /// As [`server_side_emit`](Self::server_side_emit), and waits for one answer of each server that has the namespace now, at most
    /// [`ClusterConfig::requests_timeout`](crate::ClusterConfig::requests_timeout): all of them when awaited, each when it comes as a stream.
    ///
    /// ```no_run
    /// # use patera::{Io, Reply};
    /// # async fn example(io: Io) -> patera::Result {
    /// io.on_server_side("connected", async |io: Io| Reply(io.sockets().len()));
    /// let elsewhere: Vec<usize> = io.server_side_emit_with_ack("connected", ()).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// Of an answer the first argument arrives. A server without a handler that answers is one that is waited for in vain; without
    /// other servers there are no answers at once.
    pub fn server_side_emit_with_ack<T: FromAnswer>(&self, event: &str, args: impl Serialize) -> Answers<T> {
        let gathering = Arc::new(Gathering::default());
        let timeout = self.io.core.config.cluster.requests_timeout;
        match encoded(event, &args) {
            Ok(event) => {
                for namespace in self.broadcast().shared_namespaces() {
                    gathering.ask_others(&namespace, || {
                        let membership = namespace.membership().expect("shared namespaces are those with one");
                        membership.server_side_emit_with_ack(event.clone(), &gathering)
                    });
                }
            }
            Err(error) => gathering.fail(EmitError::Encode(error)),
        }
        Answers::new(gathering, timeout)
    }

    /// Adds a handler for events that other servers emit with [`server_side_emit`](Self::server_side_emit). Its parameters are `Io`,
    /// `Namespace`, `State`, `EventName`, `Rest`, or take the event's arguments; its return value is the answer, as for
    /// [`on`](Self::on). Where several answer, the first counts.
    ///
    /// Handlers start in the order in which events come, and are polled by one task for all: what computes for long is to be spawned.
    /// At most 1,024 wait at once. What fails is traced; those that wait when the server is closed are dropped.
    pub fn on_server_side<P: 'static, H>(&self, event: &str, handler: H) -> ListenerId
    where
        H: Handler<ServerSide, P>,
        H::Output: IntoReply,
    {
        let id = ListenerId::next();
        let listener = Listener { id, handler: Arc::new(Erased { handler, parameters: PhantomData }) };
        self.inner.change(|hooks| hooks.server_side.0.entry(event.into()).or_default().push(listener.clone()));
        id
    }

    pub(crate) fn off_server_side(&self, id: ListenerId) -> bool {
        let mut any = false;
        self.inner.change(|hooks| any = hooks.server_side.off(id));
        any
    }
}

fn encoded(event: &str, args: &impl Serialize) -> Result<Encoded, EncodeError> {
    let mut packet = Vec::new();
    let attachments = encode::event(&mut packet, "/", None, event, args)?;
    Ok(Encoded::of_packet(&String::from_utf8_lossy(&packet), &attachments))
}
