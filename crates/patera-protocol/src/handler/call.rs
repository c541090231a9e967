//! An async function as a handler: each parameter says what it wants of the event.

use std::{error, fmt, future::Future};

use serde::de::DeserializeOwned;

use crate::socketio::{Args, ArgumentError, Value};

/// Whose handlers they are: the server's or the client's. Never made, only named.
pub trait Side: 'static {
    /// What this side knows of a call besides its arguments: its socket, and whom to answer.
    type Call<'a>;
}

/// An event on its way into a handler: what [`FromEvent`] takes from.
pub struct EventContext<'a, 'p, S: Side> {
    call: S::Call<'a>,
    args: &'a Args<'p>,
    next: usize,
}

impl<'a, 'p, S: Side> EventContext<'a, 'p, S> {
    /// A call with these arguments, none of them taken yet.
    pub fn new(call: S::Call<'a>, args: &'a Args<'p>) -> Self {
        EventContext { call, args, next: 0 }
    }

    /// What the side knows of it.
    pub fn call(&self) -> &S::Call<'a> {
        &self.call
    }

    /// Takes the next argument, for a [`FromEvent`] of your own.
    ///
    /// # Errors
    /// It is missing or of another type.
    pub fn argument<T: DeserializeOwned>(&mut self) -> Result<T, CallError> {
        let index = self.next;
        self.next = self.next.saturating_add(1);
        self.args.decode(index).map_err(CallError::Argument)
    }

    /// Takes all arguments that are left.
    ///
    /// # Errors
    /// One holds what no [`Value`] can.
    pub fn rest(&mut self) -> Result<Vec<Value>, CallError> {
        let indices = self.next..self.args.len();
        self.next = self.next.max(self.args.len());
        indices.map(|index| self.args.value(index).map_err(CallError::Argument)).collect()
    }
}

/// Why a handler could not be called.
#[derive(Debug)]
#[non_exhaustive]
pub enum CallError {
    /// An argument is missing or of another type.
    Argument(ArgumentError),
    /// The server's `State<T>` was asked for and never given; this is the name of `T`.
    NoState(&'static str),
    /// Something of this name was asked for by a handler of another kind, such as a `DisconnectReason` by one that is not for
    /// disconnects.
    NotOfThisEvent(&'static str),
}

impl CallError {
    /// What the peer is told: its own mistake in full, ours as `internal error`.
    pub fn message(&self) -> String {
        match self {
            CallError::Argument(error) => error.to_string(),
            CallError::NoState(_) | CallError::NotOfThisEvent(_) => "internal error".to_owned(),
        }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallError::Argument(error) => error.fmt(f),
            CallError::NoState(name) => write!(f, "no state of type {name} was given"),
            CallError::NotOfThisEvent(name) => write!(f, "this kind of handler gets no {name}"),
        }
    }
}

impl error::Error for CallError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            CallError::Argument(error) => Some(error),
            CallError::NoState(_) | CallError::NotOfThisEvent(_) => None,
        }
    }
}

/// What a handler's parameter may be, on this side.
///
/// Types of your own are arguments if they implement `Deserialize`. One that does not may implement this, to be made of
/// several arguments or of none.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a parameter of a handler",
    note = "a parameter is one of the types that are known by themselves (such as `Socket`, `Ack<T>`, `Rest`), or any type that implements `serde::Deserialize` and takes the next argument"
)]
pub trait FromEvent<S: Side>: Sized {
    /// Takes it from the event.
    ///
    /// # Errors
    /// The argument is missing or of another type.
    fn from_event(event: &mut EventContext<'_, '_, S>) -> Result<Self, CallError>;
}

impl<S: Side, T: DeserializeOwned> FromEvent<S> for T {
    fn from_event(event: &mut EventContext<'_, '_, S>) -> Result<Self, CallError> {
        event.argument()
    }
}

/// All arguments that no parameter before it has taken; the last parameter. Of an acknowledgement it is the whole, however long.
#[derive(Clone, Debug, PartialEq)]
pub struct Rest(pub Vec<Value>);

impl<S: Side> FromEvent<S> for Rest {
    fn from_event(event: &mut EventContext<'_, '_, S>) -> Result<Self, CallError> {
        event.rest().map(Rest)
    }
}

/// An async function or closure of up to 12 parameters, each [`FromEvent`].
///
/// It is cloned for each call, captures too: capture an `Arc`, not what it holds.
///
/// Bytes are `bytes::Bytes` (or `serde_bytes`) anywhere inside an argument's type, except inside `#[serde(untagged)]` and
/// `#[serde(flatten)]`, where serde does not tell what it is looking for: take a [`Value`] there.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a handler",
    note = "a handler is an async function or closure of at most 12 parameters that is `Clone + Send + Sync + 'static` and whose future is `Send`",
    note = "its parameters are owned, and are known by their type (`Socket`, `Ack<T>`, `Rest`) or implement `serde::Deserialize`"
)]
pub trait Handler<S: Side, Parameters>: Clone + Send + Sync + 'static {
    /// What it returns.
    type Output;
    /// Its future.
    type Future: Future<Output = Self::Output> + Send + 'static;

    /// Takes the parameters from the event and starts the function.
    ///
    /// # Errors
    /// A parameter could not be had; the function was not called.
    fn start(self, event: &mut EventContext<'_, '_, S>) -> Result<Self::Future, CallError>;
}

macro_rules! handler {
    ($($parameter:ident)*) => {
        impl<S, F, Fut, $($parameter),*> Handler<S, ($($parameter,)*)> for F
        where
            S: Side,
            F: FnOnce($($parameter),*) -> Fut + Clone + Send + Sync + 'static,
            Fut: Future + Send + 'static,
            $($parameter: FromEvent<S>,)*
        {
            type Output = Fut::Output;
            type Future = Fut;

            #[allow(non_snake_case, unused_variables, reason = "one macro for all numbers of parameters")]
            fn start(self, event: &mut EventContext<'_, '_, S>) -> Result<Fut, CallError> {
                $(let $parameter = $parameter::from_event(event)?;)*
                Ok(self($($parameter),*))
            }
        }
    };
}

handler!();
handler!(A1);
handler!(A1 A2);
handler!(A1 A2 A3);
handler!(A1 A2 A3 A4);
handler!(A1 A2 A3 A4 A5);
handler!(A1 A2 A3 A4 A5 A6);
handler!(A1 A2 A3 A4 A5 A6 A7);
handler!(A1 A2 A3 A4 A5 A6 A7 A8);
handler!(A1 A2 A3 A4 A5 A6 A7 A8 A9);
handler!(A1 A2 A3 A4 A5 A6 A7 A8 A9 A10);
handler!(A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 A11);
handler!(A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 A11 A12);
