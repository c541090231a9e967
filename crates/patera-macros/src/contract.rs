//! The trait of a contract, read: its name and its events, or what is wrong with it, where it is.

use quote::ToTokens;
use syn::punctuated::Punctuated;
use syn::{Attribute, Error, Expr, ExprLit, Ident, ItemTrait, Lit, Meta, Result, TraitItem, Visibility};

use crate::event::Event;

/// What the attribute stands on.
pub(crate) struct Contract {
    pub(crate) visibility: Visibility,
    pub(crate) name: Ident,
    pub(crate) docs: Vec<Attribute>,
    pub(crate) events: Vec<Event>,
}

impl Contract {
    /// Reads a trait.
    ///
    /// # Errors
    /// All that is wrong with it, one error for each.
    pub(crate) fn read(item: ItemTrait) -> Result<Self> {
        let mut faults = Faults::default();
        let generics = &item.generics;
        faults.refuse_some(&item.unsafety, "a contract is a safe trait");
        faults.refuse_all(&generics.params, "a contract has no parameters: its types are known to both sides");
        faults.refuse_some(&generics.where_clause, "a contract has no bounds");
        faults.refuse_all(&item.supertraits, "a contract has no supertraits");
        for attribute in item.attrs.iter().filter(|attribute| !attribute.path().is_ident("doc")) {
            faults.add(Error::new_spanned(attribute, "a contract has no other attributes than its documentation"));
        }
        let mut events: Vec<Event> = Vec::new();
        for item in item.items {
            match faults.take(read_item(item)) {
                Some(event) if events.iter().any(|before| before.name == event.name) => {
                    let text = format!("there is an event `{}` already", event.name);
                    faults.add(Error::new(event.name_span, text));
                }
                Some(event) => events.push(event),
                None => {}
            }
        }
        faults.into_result()?;
        Ok(Contract { visibility: item.vis, name: item.ident, docs: item.attrs, events })
    }
}

fn read_item(item: TraitItem) -> Result<Event> {
    match item {
        TraitItem::Fn(function) => Event::read(function),
        item => Err(Error::new_spanned(item, "a contract has functions only: each is an event")),
    }
}

/// The text of doc comments, a line each.
pub(crate) fn doc_lines(attributes: &[Attribute]) -> Vec<String> {
    let mut lines = Vec::new();
    for attribute in attributes {
        let Meta::NameValue(meta) = &attribute.meta else { continue };
        if let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = &meta.value {
            let text = text.value();
            lines.extend(text.split('\n').map(|line| line.trim_end().strip_prefix(' ').unwrap_or(line).to_owned()));
        }
    }
    lines
}

/// What is wrong, together, so that the compiler tells all of it at once.
#[derive(Default)]
pub(crate) struct Faults(Option<Error>);

impl Faults {
    pub(crate) fn add(&mut self, error: Error) {
        match &mut self.0 {
            Some(faults) => faults.combine(error),
            None => self.0 = Some(error),
        }
    }

    pub(crate) fn take<T>(&mut self, result: Result<T>) -> Option<T> {
        result.map_err(|error| self.add(error)).ok()
    }

    pub(crate) fn refuse_some<T: ToTokens>(&mut self, tokens: &Option<T>, why: &str) {
        if let Some(tokens) = tokens {
            self.add(Error::new_spanned(tokens, why));
        }
    }

    pub(crate) fn refuse_all<T: ToTokens, P: ToTokens>(&mut self, tokens: &Punctuated<T, P>, why: &str) {
        if !tokens.is_empty() {
            self.add(Error::new_spanned(tokens, why));
        }
    }

    pub(crate) fn into_result(self) -> Result<()> {
        self.0.map_or(Ok(()), Err)
    }
}
