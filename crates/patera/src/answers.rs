//! The answers of many: what comes of a broadcast that asks for acknowledgements.

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, IntoFuture, poll_fn};
use std::marker::PhantomData;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_core::Stream;
use patera_cluster::{Asker, Encoded, RequestId};
use patera_protocol::handler::FromAnswer;
use patera_protocol::socketio::OwnedArgs;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::error::{AckError, EmitError};
use crate::namespace::NamespaceInner;
use crate::outbox::Command;
use crate::remote::ClusterError;
use crate::socket::SocketInner;
use crate::sync::Mutex;

/// The answers to a broadcast, as they come: [`Broadcast::emit_with_ack`](crate::Broadcast::emit_with_ack).
///
/// One for each socket that was asked: its answer, or why there is none, after the timeout at the latest. As a future it is
/// all of them, and as a stream (of `futures-core`) or by [`next`](Self::next) each when it is there. In a cluster the sockets of
/// other servers are asked too: of their answers the first argument arrives, and for those that do not come there is one
/// [`AckError::Cluster`].
///
/// ```no_run
/// # use std::time::Duration;
/// # use patera::{Io, Result};
/// # async fn ask(io: Io) -> Result {
/// let votes: Vec<bool> = io.to("jury").timeout(Duration::from_secs(5)).emit_with_ack("guilty?", ()).await?;
///
/// let mut answers = io.to("jury").emit_with_ack::<bool>("guilty?", ());
/// while let Some(answer) = answers.next().await {
///     println!("{answer:?}");
/// }
/// # Ok(()) }
/// ```
///
/// Dropped, it forgets the answers that have not come; nothing is kept for them anywhere.
#[must_use = "the event is sent, but the answers are only seen by who awaits them"]
pub struct Answers<T> {
    gathering: Arc<Gathering>,
    asked: usize,
    /// Never, if it is further away than time can be counted.
    deadline: Option<Instant>,
    /// Until the deadline; made when it is first waited for.
    sleep: Option<Pin<Box<Sleep>>>,
    wanted: PhantomData<fn() -> T>,
}

impl<T: FromAnswer> Answers<T> {
    pub(crate) fn new(gathering: Arc<Gathering>, timeout: Duration) -> Self {
        let asked = gathering.0.lock().asked.len();
        let deadline = Instant::now().checked_add(timeout);
        Answers { gathering, asked, deadline, sleep: None, wanted: PhantomData }
    }

    /// How many sockets of this server were asked; of other servers' sockets it is not known.
    pub fn asked(&self) -> usize {
        self.asked
    }

    /// The next answer, or why one of the sockets gave none; `None` when there is one for each.
    ///
    /// # Errors
    /// See [`AckError`].
    ///
    /// # Cancel safety
    /// No answer is lost.
    pub async fn next(&mut self) -> Option<Result<T, AckError>> {
        poll_fn(|cx| self.poll_answer(cx)).await
    }

    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, AckError>>> {
        if let Poll::Ready(answer) = self.gathering.poll_next(cx) {
            return Poll::Ready(
                answer.map(|answer| answer.and_then(|answer| T::from_answer(&answer).map_err(AckError::Answer))),
            );
        }
        let Some(deadline) = self.deadline else { return Poll::Pending };
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if sleep.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.gathering.close(true);
        self.deadline = None;
        self.poll_answer(cx)
    }
}

impl<T: FromAnswer> Stream for Answers<T> {
    type Item = Result<T, AckError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_answer(cx)
    }
}

impl<T: FromAnswer + Send + 'static> IntoFuture for Answers<T> {
    type Output = Result<Vec<T>, PartialAnswers<T>>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(mut self) -> Self::IntoFuture {
        Box::pin(async move {
            let (mut answers, mut failures) = (Vec::new(), Vec::new());
            while let Some(answer) = self.next().await {
                match answer {
                    Ok(answer) => answers.push(answer),
                    Err(error) => failures.push(error),
                }
            }
            if failures.is_empty() { Ok(answers) } else { Err(PartialAnswers { answers, failures }) }
        })
    }
}

impl<T> Drop for Answers<T> {
    fn drop(&mut self) {
        self.gathering.close(false);
    }
}

impl<T> fmt::Debug for Answers<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answers").field("asked", &self.asked).finish_non_exhaustive()
    }
}

/// Not all who were asked have answered: the answers that came, in their order, and why the others did not.
#[derive(Debug)]
pub struct PartialAnswers<T> {
    /// Those that came.
    pub answers: Vec<T>,
    /// One for each that did not; at least one.
    pub failures: Vec<AckError>,
}

impl<T> fmt::Display for PartialAnswers<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (missing, asked) = (self.failures.len(), self.failures.len() + self.answers.len());
        write!(f, "{missing} of {asked} answers are missing")?;
        self.failures.first().map_or(Ok(()), |error| write!(f, ": {error}"))
    }
}

impl<T: fmt::Debug> std::error::Error for PartialAnswers<T> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.failures.first().map(|error| error as _)
    }
}

/// Where the answers come together. Its lock is taken under those of the rooms; nothing of the user's runs under it.
#[derive(Default)]
pub(crate) struct Gathering(Mutex<State>);

#[derive(Default)]
struct State {
    /// Who was asked, and under which id, until the answer is there.
    asked: Vec<Option<(Arc<SocketInner>, u64)>>,
    outstanding: usize,
    /// With the place of who gave it.
    answers: VecDeque<(usize, Result<OwnedArgs, AckError>)>,
    waker: Option<Waker>,
    /// What other servers were asked; each is one of those outstanding.
    others: Vec<(Arc<NamespaceInner>, RequestId)>,
    /// The server that wants the answers, if it is another one.
    asker: Option<(Arc<NamespaceInner>, Asker)>,
    is_closed: bool,
}

/// Asked by this server of others, or by another server of this one.
impl Gathering {
    /// Asks other servers. Their answers may come before it returns.
    pub(crate) fn ask_others(
        &self,
        namespace: &Arc<NamespaceInner>,
        ask: impl FnOnce() -> Result<RequestId, ClusterError>,
    ) {
        self.0.lock().outstanding += 1;
        match ask() {
            Ok(request) => self.0.lock().others.push((namespace.clone(), request)),
            Err(error) => self.others_done(Some(error)),
        }
    }

    /// One of their sockets, or one of them, has answered.
    pub(crate) fn add(&self, answer: OwnedArgs) {
        self.push(Ok(answer), false);
    }

    /// They have said all, or nobody waits for them any more.
    pub(crate) fn others_done(&self, failure: Option<ClusterError>) {
        match failure {
            Some(failure) => self.push(Err(AckError::Cluster(failure)), true),
            None => self.settle(|state| state.outstanding -= 1),
        }
    }

    fn push(&self, answer: Result<OwnedArgs, AckError>, is_last: bool) {
        self.settle(|state| {
            state.answers.push_back((usize::MAX, answer));
            state.outstanding -= usize::from(is_last);
        });
    }

    fn settle(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.0.lock();
        if state.is_closed {
            return;
        }
        change(&mut state);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Everyone of this server has been asked, for another one: it is told how many, and then what each answers.
    pub(crate) fn pass_on(&self, namespace: &Arc<NamespaceInner>, asker: Asker) {
        let Some(membership) = namespace.membership() else { return };
        let state = self.0.lock();
        let failed = state.answers.iter().filter(|(_, answer)| answer.is_err()).count();
        let count = state.asked.len().saturating_sub(failed);
        drop(state);
        membership.answer_client_count(&asker, count as u64);
        let mut state = self.0.lock();
        let early = mem::take(&mut state.answers);
        state.asker = Some((namespace.clone(), asker.clone()));
        drop(state);
        for (_, answer) in early {
            if let Ok(answer) = answer {
                membership.answer_ack(&asker, Encoded::of_answer(&answer.as_args()));
            }
        }
    }
}

impl Gathering {
    /// One more is asked.
    pub(crate) fn ask(self: &Arc<Self>, socket: &Arc<SocketInner>, id: u64) -> Waiter {
        let mut state = self.0.lock();
        state.asked.push(Some((socket.clone(), id)));
        state.outstanding += 1;
        Waiter { gathering: self.clone(), place: state.asked.len() - 1, is_done: false }
    }

    /// The event did not go to the last one that was asked, whose waiter is gone: one that had left was not asked at all.
    pub(crate) fn not_sent(&self, error: EmitError) {
        let mut state = self.0.lock();
        let Some(place) = state.asked.len().checked_sub(1) else { return };
        state.answers.retain(|(of, _)| *of != place);
        match error {
            EmitError::Disconnected => drop(state.asked.pop()),
            error => state.answers.push_back((place, Err(AckError::Emit(error)))),
        }
    }

    /// The event could not be sent to anybody.
    pub(crate) fn fail(&self, error: EmitError) {
        let mut state = self.0.lock();
        state.asked.push(None);
        let place = state.asked.len() - 1;
        state.answers.push_back((place, Err(AckError::Emit(error))));
    }

    fn poll_next(&self, cx: &Context<'_>) -> Poll<Option<Result<OwnedArgs, AckError>>> {
        let mut state = self.0.lock();
        match state.answers.pop_front() {
            Some((_, answer)) => Poll::Ready(Some(answer)),
            None if state.outstanding == 0 => Poll::Ready(None),
            None => {
                state.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    fn answer(&self, place: usize, answer: Result<OwnedArgs, AckError>) {
        let mut state = self.0.lock();
        let socket = state.asked[place].take();
        if state.is_closed {
            return;
        }
        state.outstanding -= 1;
        if let Some((namespace, asker)) = state.asker.clone() {
            drop(state);
            if let (Ok(answer), Some(membership)) = (answer, namespace.membership()) {
                membership.answer_ack(&asker, Encoded::of_answer(&answer.as_args()));
            }
            return;
        }
        state.answers.push_back((place, answer));
        let waker = state.waker.take();
        drop(state);
        drop(socket);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Nobody waits any more: the sessions of those who have not answered forget that they were asked.
    pub(crate) fn close(&self, is_timeout: bool) {
        let mut state = self.0.lock();
        if mem::replace(&mut state.is_closed, true) {
            return;
        }
        let silent: Vec<_> = state.asked.iter_mut().filter_map(Option::take).collect();
        let others = mem::take(&mut state.others);
        state.outstanding = 0;
        if is_timeout {
            let timeouts = silent.iter().map(|_| (usize::MAX, Err(AckError::Timeout)));
            state.answers.extend(timeouts);
        }
        drop(state);
        for (socket, id) in silent {
            socket.session.outbox.command(Command::Forget { slot: socket.slot, id });
        }
        for (namespace, request) in others {
            let missing = namespace.membership().and_then(|membership| membership.cancel(&request));
            if let Some(missing) = missing.filter(|_| is_timeout) {
                let failure = Err(AckError::Cluster(ClusterError::Timeout { missing }));
                self.0.lock().answers.push_back((usize::MAX, failure));
            }
        }
    }
}

/// The place of one who was asked. Dropped without an answer, it says that the socket is gone.
pub(crate) struct Waiter {
    gathering: Arc<Gathering>,
    place: usize,
    is_done: bool,
}

impl Waiter {
    pub(crate) fn answer(mut self, answer: Result<OwnedArgs, AckError>) {
        self.is_done = true;
        self.gathering.answer(self.place, answer);
    }

    /// Whether nobody waits any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.gathering.0.lock().is_closed
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        if !self.is_done {
            self.gathering.answer(self.place, Err(AckError::Disconnected));
        }
    }
}
