//! One function of a contract: an event.

use proc_macro2::Span;
use syn::ext::IdentExt as _;
use syn::{Attribute, Error, FnArg, Ident, LitStr, Pat, Result, ReturnType, Safety, Signature, TraitItemFn, Type};

use crate::contract::Faults;
use crate::names;
use crate::typescript;

/// A handler has 12 parameters at most, and the socket is one of them.
const ARGUMENTS_MAX: usize = 11;

pub(crate) struct Event {
    /// On the wire.
    pub(crate) name: String,
    pub(crate) name_span: Span,
    pub(crate) function: Ident,
    pub(crate) docs: Vec<Attribute>,
    pub(crate) arguments: Vec<Argument>,
    /// What it is acknowledged with, if it is.
    pub(crate) answer: Option<Type>,
}

pub(crate) struct Argument {
    pub(crate) name: Ident,
    pub(crate) kind: Type,
}

impl Event {
    /// Reads a function.
    ///
    /// # Errors
    /// All that is wrong with it, one error for each.
    pub(crate) fn read(function: TraitItemFn) -> Result<Self> {
        let TraitItemFn { attrs, sig, default, .. } = function;
        let mut faults = Faults::default();
        refuse_modifiers(&sig, &mut faults);
        faults.refuse_some(&default, "an event has no body: what handles it is in an `impl`");
        let named = faults.take(name_of(&attrs, &sig.ident));
        faults.take(refuse_reserved(&sig.ident, named.as_ref()));
        let arguments: Vec<_> = sig.inputs.into_iter().filter_map(|input| faults.take(Argument::read(input))).collect();
        if let Some(argument) = arguments.get(ARGUMENTS_MAX) {
            let text = format!("an event has at most {ARGUMENTS_MAX} arguments: put some into a struct");
            faults.add(Error::new_spanned(&argument.kind, text));
        }
        let answer = match sig.output {
            ReturnType::Default => None,
            ReturnType::Type(_, kind) => {
                faults.take(typescript::check(&kind));
                Some(*kind)
            }
        };
        faults.into_result()?;
        let (name, name_span) = named.expect("what could not be named is a fault");
        let docs = attrs.into_iter().filter(|attribute| attribute.path().is_ident("doc")).collect();
        Ok(Event { name, name_span, function: sig.ident, docs, arguments, answer })
    }
}

impl Argument {
    fn read(input: FnArg) -> Result<Self> {
        let typed = match input {
            FnArg::Typed(typed) => typed,
            receiver => return Err(Error::new_spanned(receiver, "an event has no receiver: only its arguments")),
        };
        typescript::check(&typed.ty)?;
        match *typed.pat {
            Pat::Ident(name) if name.by_ref.is_none() && name.mutability.is_none() && name.subpat.is_none() => {
                Ok(Argument { name: name.ident, kind: *typed.ty })
            }
            pattern => Err(Error::new_spanned(pattern, "an argument of an event has a plain name")),
        }
    }
}

fn refuse_modifiers(sig: &Signature, faults: &mut Faults) {
    faults.refuse_some(&sig.constness, "an event is not `const`");
    faults.refuse_some(&sig.asyncness, "an event is declared without `async`: its handlers are async all the same");
    faults.refuse_some(&sig.abi, "an event is no foreign function");
    if !matches!(sig.safety, Safety::Default) {
        faults.add(Error::new_spanned(&sig.safety, "an event is safe"));
    }
    faults.refuse_all(&sig.generics.params, "an event has no parameters of types: they are known to both sides");
    faults.refuse_some(&sig.generics.where_clause, "an event has no bounds");
    faults.refuse_some(&sig.variadic, "an event has a fixed number of arguments");
}

fn refuse_reserved(function: &Ident, named: Option<&(String, Span)>) -> Result<()> {
    let names::Reserved { functions, events } = names::RESERVED;
    match named {
        Some((name, span)) if events.contains(&name.as_str()) => {
            Err(Error::new(*span, format!("the event `{name}` is reserved: socket.io uses it itself")))
        }
        _ if functions.contains(&function.unraw().to_string().as_str()) => {
            let text = format!(
                "`{function}` is a method of sockets or namespaces already: give the function another name, and the event this one with `#[event(\"{function}\")]`"
            );
            Err(Error::new(function.span(), text))
        }
        _ => Ok(()),
    }
}

/// The event's name and where it stands.
fn name_of(attributes: &[Attribute], function: &Ident) -> Result<(String, Span)> {
    let mut named = None;
    for attribute in attributes {
        if attribute.path().is_ident("doc") {
            continue;
        }
        if !attribute.path().is_ident("event") {
            let text = "an event has no other attributes than its documentation and `#[event(\"name\")]`";
            return Err(Error::new_spanned(attribute, text));
        }
        let name = attribute.parse_args::<LitStr>().map_err(|_| {
            let text = "the event's name is text: `#[event(\"private message\")]`";
            Error::new_spanned(attribute, text)
        })?;
        if named.replace((name.value(), name.span())).is_some() {
            return Err(Error::new_spanned(attribute, "an event has one name"));
        }
    }
    Ok(named.unwrap_or_else(|| (function.unraw().to_string(), function.span())))
}
