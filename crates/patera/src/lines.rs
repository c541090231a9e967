//! Events that are handled one after the other: of sockets with event middlewares, and of namespaces that are sequential.
//!
//! ```text
//! event ─▶ handlers of any event ─▶ event middlewares, each awaited ─▶ its handlers          the next event
//!                                          │ Err: refused                (sequential: awaited) ─▶ …
//! ```
//! What waits is the session's, and called by its task only. Acknowledgements, heartbeats and disconnections pass it by.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use foldhash::fast::RandomState;
use patera_protocol::handler::{CallError, Refusal};
use patera_protocol::socketio::{Args, OwnedArgs};

use crate::dispatch::{Named, start, take_last_call};
use crate::error::{DisconnectReason, Error};
use crate::handler::{Call, EventContext, Failure, Middleware, MiddlewareFuture};
use crate::listeners::Listener;
use crate::socket::Socket;
use crate::tasks::{Outcome, Task, TaskFuture, Tasks, catch};

/// A line for each socket that has one now.
#[derive(Default)]
pub(crate) struct Lines {
    /// By the socket's number.
    by_socket: HashMap<u64, Line, RandomState>,
    /// Events that wait, in all of them.
    waiting: usize,
    /// Of their arguments.
    bytes: usize,
}

#[derive(Default)]
struct Line {
    /// The event that is handled, while one of its steps is waited for.
    work: Option<Work>,
    waiting: VecDeque<Event>,
}

struct Event {
    name: Arc<str>,
    args: OwnedArgs,
    ack: Option<u64>,
    bytes: usize,
}

struct Work {
    event: Event,
    steps: VecDeque<Step>,
    /// Whether the handlers of its name are among the steps; they are looked up when the middlewares are through.
    has_handlers: bool,
}

enum Step {
    Any(Listener),
    Ask(Arc<dyn Middleware>),
    Handle(Listener),
}

/// What came of a step.
enum Progress {
    Done,
    Refused,
    /// [`Outcome::Stepped`] comes.
    Waits,
}

impl Lines {
    pub(crate) fn is_empty(&self) -> bool {
        self.by_socket.is_empty()
    }

    /// How many events wait, and the bytes of their arguments.
    pub(crate) fn waiting(&self) -> (usize, usize) {
        (self.waiting, self.bytes)
    }

    /// The socket has ended: what waits is not handled.
    pub(crate) fn remove(&mut self, number: u64) {
        if let Some(line) = self.by_socket.remove(&number) {
            self.waiting -= line.waiting.len();
            self.bytes -= line.waiting.iter().map(|event| event.bytes).sum::<usize>();
        }
    }

    /// True if it is the first of its line.
    fn push(&mut self, number: u64, event: Event) -> bool {
        self.waiting += 1;
        self.bytes += event.bytes;
        let is_first = !self.by_socket.contains_key(&number);
        self.by_socket.entry(number).or_default().waiting.push_back(event);
        is_first
    }

    /// The event at work, or else the next one; the line ends with its last.
    fn take(&mut self, socket: &Socket) -> Option<Work> {
        let number = socket.0.number;
        let line = self.by_socket.get_mut(&number)?;
        if let Some(work) = line.work.take() {
            return Some(work);
        }
        let Some(event) = line.waiting.pop_front() else {
            self.by_socket.remove(&number);
            return None;
        };
        self.waiting -= 1;
        self.bytes -= event.bytes;
        Some(Work::new(event, socket))
    }

    fn put_back(&mut self, number: u64, work: Work) {
        self.by_socket.entry(number).or_default().work = Some(work);
    }
}

impl Work {
    fn new(event: Event, socket: &Socket) -> Self {
        let hooks = socket.0.namespace.hooks();
        let (any, middlewares) = socket.0.listeners(|listeners| (listeners.any.clone(), listeners.middlewares.clone()));
        let any = hooks.listeners.any.iter().chain(&any).cloned().map(Step::Any);
        let middlewares = hooks.listeners.middlewares.iter().chain(&middlewares).cloned().map(Step::Ask);
        Work { event, steps: any.chain(middlewares).collect(), has_handlers: false }
    }

    fn next_step(&mut self, socket: &Socket) -> Option<Step> {
        if self.steps.is_empty() && !self.has_handlers {
            self.has_handlers = true;
            let hooks = socket.0.namespace.hooks();
            let own = socket.0.event_handlers(&self.event.name);
            let handlers = hooks.listeners.of(&self.event.name).into_iter().flatten().chain(&own);
            self.steps = handlers.cloned().map(Step::Handle).collect();
        }
        self.steps.pop_front()
    }
}

/// An event has come: it is handled now if none is before it.
pub(crate) fn event(
    socket: &Socket,
    name: &str,
    args: &Args<'_>,
    ack: Option<u64>,
    tasks: &mut Tasks,
    waker: &Waker,
) -> Result<(), DisconnectReason> {
    let bytes =
        args.iter().map(str::len).sum::<usize>() + args.attachments().iter().map(|data| data.len()).sum::<usize>();
    let event = Event { name: name.into(), args: args.to_owned_args(), ack, bytes };
    if tasks.lines().push(socket.0.number, event) { advance(socket, tasks, waker) } else { Ok(()) }
}

/// The step that was waited for has ended.
pub(crate) fn resume(
    socket: &Socket,
    decision: Result<(), Error>,
    tasks: &mut Tasks,
    waker: &Waker,
) -> Result<(), DisconnectReason> {
    if let Err(error) = decision
        && let Some(work) = tasks.lines().take(socket)
    {
        refuse(socket, &work.event, &Failure::Refused(error));
        tasks.lines().put_back(socket.0.number, Work { steps: VecDeque::new(), has_handlers: true, ..work });
    }
    advance(socket, tasks, waker)
}

/// Goes on until something is waited for, or the line has ended.
fn advance(socket: &Socket, tasks: &mut Tasks, waker: &Waker) -> Result<(), DisconnectReason> {
    while let Some(mut work) = tasks.lines().take(socket) {
        while socket.is_connected()
            && let Some(step) = work.next_step(socket)
        {
            match run(socket, &work.event, step, tasks, waker)? {
                Progress::Done => {}
                Progress::Refused => break,
                Progress::Waits => {
                    tasks.lines().put_back(socket.0.number, work);
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

fn run(
    socket: &Socket,
    event: &Event,
    step: Step,
    tasks: &mut Tasks,
    waker: &Waker,
) -> Result<Progress, DisconnectReason> {
    let (listener, is_any) = match step {
        Step::Ask(middleware) => return ask(socket, event, &*middleware, tasks, waker),
        Step::Any(listener) => (listener, true),
        Step::Handle(listener) => (listener, false),
    };
    let off = |id| socket.off(id) || socket.namespace().off(id);
    if listener.is_once() && !take_last_call(&listener, off) {
        return Ok(Progress::Done);
    }
    let is_sequential = socket.0.namespace.hooks().is_sequential;
    let in_line = is_sequential.then_some(socket.0.number);
    let handler = Named { handler: &*listener.handler, event: event.name.clone(), in_line };
    let args = event.args.as_args();
    let call = Call::new(socket, &event.name, event.ack);
    let call = if is_any { call.without_refusal() } else { call };
    let before = tasks.len();
    start(&handler, EventContext::new(call, &args), tasks, waker)?;
    let waits = is_sequential && tasks.len() > before;
    Ok(if waits { Progress::Waits } else { Progress::Done })
}

fn ask(
    socket: &Socket,
    event: &Event,
    middleware: &dyn Middleware,
    tasks: &mut Tasks,
    waker: &Waker,
) -> Result<Progress, DisconnectReason> {
    let args = event.args.as_args();
    let mut context = EventContext::new(Call::new(socket, &event.name, event.ack), &args);
    let mut decision = None;
    let polled = catch(|| {
        let decision = decision.insert(middleware.start(&mut context)?);
        Ok::<_, CallError>(decision.as_mut().poll(&mut Context::from_waker(waker)))
    });
    match (polled, decision) {
        (Some(Ok(Poll::Ready(Ok(())))), _) => Ok(Progress::Done),
        (Some(Ok(Poll::Ready(Err(error)))), _) => {
            refuse(socket, event, &Failure::Refused(error));
            Ok(Progress::Refused)
        }
        (Some(Ok(Poll::Pending)), Some(decision)) => {
            tasks.keep(Box::pin(Asking { number: socket.0.number, decision }), socket, &event.name);
            Ok(Progress::Waits)
        }
        (Some(Err(error)), _) => {
            refuse(socket, event, &Failure::Call(error));
            Ok(Progress::Refused)
        }
        (Some(Ok(Poll::Pending)) | None, _) => {
            socket.report(&event.name, &Failure::Panic);
            Err(DisconnectReason::HandlerPanicked)
        }
    }
}

/// No handler sees the event; the client and the application are told.
fn refuse(socket: &Socket, event: &Event, failure: &Failure) {
    let message = match failure {
        Failure::Refused(error) | Failure::Handler(error) => error.message(),
        Failure::Call(error) => error.message().into(),
        Failure::Panic => "internal error".into(),
    };
    if let Some(id) = event.ack {
        socket.acknowledge(id, &Refusal { error: &message });
    }
    socket.report(&event.name, failure);
}

/// A middleware that the line waits for.
struct Asking {
    number: u64,
    decision: MiddlewareFuture,
}

impl TaskFuture for Asking {
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>, _: &Socket, _: &str) -> Poll<Outcome> {
        let decision = ready!(self.decision.as_mut().poll(cx));
        Poll::Ready(Outcome::Stepped { number: self.number, decision })
    }
}

/// A handler that the line waits for.
pub(crate) struct InLine {
    pub(crate) number: u64,
    pub(crate) task: Task,
}

impl TaskFuture for InLine {
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>, socket: &Socket, event: &str) -> Poll<Outcome> {
        let outcome = ready!(self.task.as_mut().poll(cx, socket, event));
        Poll::Ready(match outcome {
            Outcome::Done => Outcome::Stepped { number: self.number, decision: Ok(()) },
            other => other,
        })
    }
}
