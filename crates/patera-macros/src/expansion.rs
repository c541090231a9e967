//! What is written in the trait's place: the trait of who handles, the trait of who emits, the interface in TypeScript.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens as _, format_ident, quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::parse::{ParseStream, Parser as _};
use syn::spanned::Spanned as _;
use syn::{Error, Ident, ItemTrait, Path, Result, Token};

use crate::borrowing::borrowed;
use crate::contract::Contract;
use crate::event::Event;
use crate::typescript;

/// Whom the attribute came from.
pub(crate) struct Home {
    /// Where the module `contract` is.
    pub(crate) path: TokenStream,
    /// Whose handlers they are unless said otherwise, by its name there.
    pub(crate) side: Option<&'static str>,
}

/// Writes what stands in the trait's place.
///
/// # Errors
/// What is no contract, or another attribute than `crate = …`.
pub(crate) fn expand(attribute: TokenStream, item: TokenStream, mut home: Home) -> Result<TokenStream> {
    if let Some(path) = read_crate.parse2(attribute)? {
        home.path = path.into_token_stream();
    }
    let item: ItemTrait = syn::parse2(item).map_err(|error| {
        Error::new(error.span(), format!("`#[events]` stands on a trait whose functions are events: {error}"))
    })?;
    let contract = Contract::read(item)?;
    let (handling, emitting) = (handling(&contract, &home), emitting(&contract, &home));
    let (visibility, typescript) = (&contract.visibility, typescript::interface(&contract));
    let constant = format_ident!("{}_TYPESCRIPT", screaming(&contract.name.unraw().to_string()));
    let about = format!("[`{0}`] in TypeScript: `export interface {0} {{ … }}`.", contract.name);
    Ok(quote! {
        #handling
        #emitting
        #[doc = #about]
        #[allow(dead_code, reason = "not every user of a contract needs all of it")]
        #visibility const #constant: &::core::primitive::str = #typescript;
    })
}

/// `crate = path`, or nothing.
fn read_crate(input: ParseStream<'_>) -> Result<Option<Path>> {
    if input.is_empty() {
        return Ok(None);
    }
    let expected = "expected nothing, or where to find patera: `crate = path`";
    input.parse::<Token![crate]>().map_err(|error| Error::new(error.span(), expected))?;
    input.parse::<Token![=]>()?;
    let path = Path::parse_mod_style(input)?;
    if input.is_empty() { Ok(Some(path)) } else { Err(input.error(expected)) }
}

/// The trait of who handles the events.
fn handling(contract: &Contract, home: &Home) -> TokenStream {
    let Contract { visibility, name, docs, events } = contract;
    let path = &home.path;
    let side = home.side.map(|side| {
        let side = Ident::new(side, Span::call_site());
        quote!(= #path::#side)
    });
    let about = "For who handles these events: each has its method, and `serve` registers them all.";
    let separator = separator(docs);
    let methods = events.iter().map(|event| handler(event, home));
    let registered = events.iter().map(|event| registered(event, name, home));
    quote! {
        #(#docs)*
        #separator
        #[doc = #about]
        #[allow(dead_code, clippy::too_many_arguments, reason = "not every user of a contract needs all of it; events have as many arguments as they have")]
        #visibility trait #name<ContractSide: #path::contract::Party #side>: ::core::marker::Sized + ::core::marker::Send + ::core::marker::Sync + 'static {
            #(#methods)*

            /// Registers a handler for each of the events: at a namespace, for all its sockets, or at one socket.
            #[allow(unused_variables, reason = "a contract may have no events")]
            fn serve<ContractPlace: #path::contract::Listen<ContractSide>>(self, on: &ContractPlace) {
                let this = ::std::sync::Arc::new(self);
                #(#registered)*
            }
        }
    }
}

/// The method of who handles an event.
fn handler(event: &Event, home: &Home) -> TokenStream {
    let Event { function, docs, .. } = event;
    let path = &home.path;
    let (names, kinds) = (names(event), kinds(event));
    let socket = socket();
    let about = match event.answer {
        Some(_) => format!("Handles the event `{}`; what is returned is the acknowledgement.", event.name),
        None => format!("Handles the event `{}`.", event.name),
    };
    let output = match &event.answer {
        Some(answer) => quote_spanned!(answer.span()=> #path::contract::Result<#answer>),
        None => quote!(()),
    };
    let separator = separator(docs);
    quote_spanned! {function.span()=>
        #(#docs)*
        #separator
        #[doc = #about]
        fn #function(
            &self,
            #socket: <ContractSide as #path::contract::Party>::Socket,
            #(#names: #kinds),*
        ) -> impl ::core::future::Future<Output = #output> + ::core::marker::Send;
    }
}

/// The statement that registers the handler of an event.
fn registered(event: &Event, contract: &Ident, home: &Home) -> TokenStream {
    let Event { name, function, answer, .. } = event;
    let path = &home.path;
    let (names, kinds) = (names(event), kinds(event));
    let this = Ident::new("this", Span::mixed_site());
    let socket = socket();
    let reply = answer.as_ref().map(|_| quote!(.map(#path::contract::Reply)));
    // Where the type stands, so that this is where the compiler points if it cannot be read or written.
    let checks = event.arguments.iter().map(|argument| &argument.kind).chain(answer);
    let checks = checks.map(|kind| quote_spanned!(kind.span()=> #path::contract::check_argument::<#kind>();));
    quote! {
        #(#checks)*
        #path::contract::Listen::on(on, #name, {
            let #this = ::std::sync::Arc::clone(&this);
            move |#socket: <ContractSide as #path::contract::Party>::Socket, #(#names: #kinds),*| async move {
                <Self as #contract<ContractSide>>::#function(&#this, #socket, #(#names),*).await #reply
            }
        });
    }
}

/// The trait of who emits the events.
fn emitting(contract: &Contract, home: &Home) -> TokenStream {
    let Contract { visibility, name, events, .. } = contract;
    let path = &home.path;
    let emitting = format_ident!("Emit{}", name.unraw(), span = name.span());
    let about = format!(
        "Emits the events of [`{name}`]: each is a method of everything that can emit, while this trait is in scope."
    );
    let methods = events.iter().map(|event| emitter(event, home));
    quote! {
        #[doc = #about]
        #[allow(dead_code, clippy::too_many_arguments, reason = "not every user of a contract needs all of it; events have as many arguments as they have")]
        #visibility trait #emitting: #path::contract::Emit {
            #(#methods)*
        }

        impl<ContractSender: #path::contract::Emit> #emitting for ContractSender {}
    }
}

/// The method of who emits an event.
fn emitter(event: &Event, home: &Home) -> TokenStream {
    let Event { name, function, docs, arguments, answer, .. } = event;
    let path = &home.path;
    let names = names(event);
    let kinds = arguments.iter().map(|argument| borrowed(&argument.kind));
    let separator = separator(docs);
    let about = match answer {
        Some(_) => format!("Emits the event `{name}` and waits for the acknowledgement, as `emit_with_ack`."),
        None => format!("Emits the event `{name}`, as `emit`."),
    };
    let (output, emit) = match answer {
        Some(answer) => {
            (quote_spanned!(answer.span()=> -> <Self as #path::contract::Emit>::Answer<#answer>), quote!(emit_with_ack))
        }
        None => (TokenStream::new(), quote!(emit)),
    };
    quote_spanned! {function.span()=>
        #(#docs)*
        #separator
        #[doc = #about]
        fn #function(&self, #(#names: #kinds),*) #output {
            #path::contract::Emit::#emit(self, #name, (#(#names,)*))
        }
    }
}

/// Between the user's documentation and ours.
fn separator(docs: &[syn::Attribute]) -> Option<TokenStream> {
    (!docs.is_empty()).then(|| quote!(#[doc = ""]))
}

/// The handler's first parameter, which no argument of this name gets in the way of.
fn socket() -> Ident {
    Ident::new("socket", Span::mixed_site())
}

fn names(event: &Event) -> Vec<&Ident> {
    event.arguments.iter().map(|argument| &argument.name).collect()
}

fn kinds(event: &Event) -> Vec<&syn::Type> {
    event.arguments.iter().map(|argument| &argument.kind).collect()
}

/// `ClientToServer` → `CLIENT_TO_SERVER`.
fn screaming(name: &str) -> String {
    let mut out = String::new();
    let mut before = '_';
    for each in name.chars() {
        if each.is_uppercase() && (before.is_lowercase() || before.is_ascii_digit()) {
            out.push('_');
        }
        out.extend(each.to_uppercase());
        before = each;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expands a contract that is wrong: each error's text, with what of the source it points at.
    fn check_refused(attribute: &str, source: &str, expected: &[(&str, &str)]) {
        let home = Home { path: quote!(::patera), side: Some("Server") };
        let attribute: TokenStream = attribute.parse().expect("the test gives tokens");
        let item: TokenStream = source.parse().expect("the test gives tokens");
        let errors = expand(attribute, item, home).expect_err("it must be refused");
        let told: Vec<_> = errors.into_iter().map(|error| (error.to_string(), error.span().source_text())).collect();
        assert_eq!(told.len(), expected.len(), "{told:?}");
        for ((text, at), (expected_text, expected_at)) in told.iter().zip(expected) {
            assert!(text.contains(expected_text), "{text:?} does not say {expected_text:?}");
            assert_eq!(at.as_deref(), Some(*expected_at), "{text}");
        }
    }

    #[test]
    fn only_a_plain_trait_is_a_contract() {
        check_refused("", "struct Events;", &[("stands on a trait", "struct")]);
        check_refused("", "unsafe trait A { }", &[("safe trait", "unsafe")]);
        check_refused("", "trait A<T> { }", &[("no parameters", "T")]);
        check_refused("", "trait A: Send { }", &[("no supertraits", "Send")]);
        check_refused("", "#[derive(Debug)] trait A { }", &[("no other attributes", "#[derive(Debug)]")]);
        check_refused("", "trait A { const B: u8; }", &[("functions only", "const B: u8;")]);
    }

    #[test]
    fn attribute_takes_a_crate_and_nothing_else() {
        check_refused("patera", "trait A { }", &[("`crate = path`", "patera")]);
        check_refused("crate = a::b, c", "trait A { }", &[("`crate = path`", ",")]);
        let home = || Home { path: quote!(::patera), side: None };
        let expanded = expand(
            quote!(crate = my::patera),
            quote!(
                trait A {
                    fn b();
                }
            ),
            home(),
        )
        .expect("it is a contract");
        assert!(expanded.to_string().contains("my :: patera :: contract"), "{expanded}");
        assert!(!expanded.to_string().contains(":: patera :: contract :: Emit for"), "{expanded}");
    }

    #[test]
    fn only_a_plain_function_is_an_event() {
        check_refused("", "trait A { async fn b(); }", &[("without `async`", "async")]);
        check_refused("", "trait A { fn b(&self); }", &[("no receiver", "&self")]);
        check_refused("", "trait A { fn b() { } }", &[("no body", "{ }")]);
        check_refused("", "trait A { fn b<T>(c: T); }", &[("no parameters of types", "T")]);
        check_refused("", "trait A { #[inline] fn b(); }", &[("no other attributes", "#[inline]")]);
        check_refused("", "trait A { fn b((c, d): (u8, u8)); }", &[("plain name", "(c, d)")]);
        check_refused("", "trait A { unsafe fn b(); }", &[("is safe", "unsafe")]);
    }

    #[test]
    fn types_are_owned() {
        check_refused("", "trait A { fn b(c: &str); }", &[("owned type", "&str")]);
        check_refused("", "trait A { fn b(c: Vec<&str>); }", &[("owned type", "&str")]);
        check_refused("", "trait A { fn b() -> impl Send; }", &[("owned type", "impl Send")]);
    }

    #[test]
    fn names_are_told_apart() {
        check_refused("", "trait A { fn b(); #[event(\"b\")] fn c(); }", &[("event `b` already", "\"b\"")]);
        check_refused("", "trait A { #[event(b)] fn c(); }", &[("is text", "#[event(b)]")]);
        check_refused("", "trait A { #[event(\"b\")] #[event(\"c\")] fn d(); }", &[("one name", "#[event(\"c\")]")]);
        check_refused("", "trait A { #[event(\"disconnect\")] fn c(); }", &[("is reserved", "\"disconnect\"")]);
        check_refused("", "trait A { fn join(room: String); }", &[("is a method of sockets", "join")]);
        check_refused("", "trait A { fn disconnect(); }", &[("is reserved", "disconnect")]);
        check_refused("", "trait A { fn serve(); }", &[("is a method of sockets", "serve")]);
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let source = "trait A: Send { async fn b(c: &str); fn d(&self); }";
        check_refused(
            "",
            source,
            &[("supertraits", "Send"), ("async", "async"), ("owned", "&str"), ("receiver", "&self")],
        );
    }

    #[test]
    fn arguments_are_eleven_at_most() {
        let trait_of = |count: usize| {
            let arguments: Vec<_> = (0..count).map(|index| format!("a{index}: u{}", [8, 16][index / 11])).collect();
            format!("trait A {{ fn b({}); }}", arguments.join(", "))
        };
        let home = Home { path: quote!(::patera), side: None };
        let item = trait_of(11).parse().expect("the test gives tokens");
        expand(TokenStream::new(), item, home).expect("eleven are not too many");
        check_refused("", &trait_of(12), &[("at most 11", "u16")]);
    }

    #[test]
    fn constants_are_named_after_the_trait() {
        assert_eq!(screaming("ClientToServer"), "CLIENT_TO_SERVER");
        assert_eq!(screaming("V2Events"), "V2_EVENTS");
        assert_eq!(screaming("HTTPEvents"), "HTTPEVENTS");
    }
}
