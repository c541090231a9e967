//! An argument's type as who sends it gives it: borrowed, where that costs less or writes shorter.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{GenericArgument, Path, PathArguments, Type};

/// Types that are handed over as they are.
const BY_VALUE: [&str; 16] = [
    "bool", "char", "f32", "f64", "i8", "i16", "i32", "i64", "i128", "isize", "u8", "u16", "u32", "u64", "u128",
    "usize",
];

/// `String` → `&str`, `Vec<T>` → `&[T]`, `Option<String>` → `Option<&str>`, `u32` → `u32`, `T` → `&T`.
pub(crate) fn borrowed(kind: &Type) -> TokenStream {
    let kind = plain(kind);
    match kind {
        Type::Tuple(tuple) => {
            let parts = tuple.elems.iter().map(borrowed);
            quote_spanned!(kind.span()=> (#(#parts,)*))
        }
        Type::Path(path) if path.qself.is_none() => borrowed_path(kind, &path.path),
        kind => quote_spanned!(kind.span()=> &#kind),
    }
}

fn borrowed_path(kind: &Type, path: &Path) -> TokenStream {
    match (last(path).as_str(), generics(path).as_slice()) {
        (name, []) if BY_VALUE.contains(&name) => quote!(#kind),
        ("String", []) => quote_spanned!(kind.span()=> &::core::primitive::str),
        ("Vec", [element]) => quote_spanned!(kind.span()=> &[#element]),
        ("Option", [inner]) => {
            let inner = borrowed(inner);
            quote_spanned!(kind.span()=> ::core::option::Option<#inner>)
        }
        _ => quote_spanned!(kind.span()=> &#kind),
    }
}

/// The type without parentheses, and without those that a macro puts there unseen.
pub(crate) fn plain(kind: &Type) -> &Type {
    match kind {
        Type::Group(group) => plain(&group.elem),
        Type::Paren(paren) => plain(&paren.elem),
        kind => kind,
    }
}

/// The name at the end of a path.
pub(crate) fn last(path: &Path) -> String {
    path.segments.last().map(|segment| segment.ident.to_string()).unwrap_or_default()
}

/// The types between the angle brackets at the end of a path.
pub(crate) fn generics(path: &Path) -> Vec<&Type> {
    let Some(PathArguments::AngleBracketed(arguments)) = path.segments.last().map(|segment| &segment.arguments) else {
        return Vec::new();
    };
    let types = arguments.args.iter().filter_map(|argument| match argument {
        GenericArgument::Type(kind) => Some(kind),
        _ => None,
    });
    types.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: &str, expected: &str) {
        let kind = syn::parse_str(kind).expect("the test gives a type");
        // How tokens are spaced depends on where they come from.
        let unspaced = |text: &str| text.replace(' ', "");
        assert_eq!(unspaced(&borrowed(&kind).to_string()), unspaced(expected));
    }

    #[test]
    fn text_and_lists_are_slices() {
        check("String", "&::core::primitive::str");
        check("std::string::String", "&::core::primitive::str");
        check("Vec<u8>", "&[u8]");
        check("Vec<Vec<String>>", "&[Vec<String>]");
    }

    #[test]
    fn numbers_are_themselves() {
        check("u32", "u32");
        check("bool", "bool");
        check("(f64)", "f64");
    }

    #[test]
    fn options_and_tuples_hold_what_is_borrowed() {
        check("Option<String>", "::core::option::Option<&::core::primitive::str>");
        check("Option<u8>", "::core::option::Option<u8>");
        check("(String, u32)", "(&::core::primitive::str, u32,)");
    }

    #[test]
    fn anything_else_is_behind_a_reference() {
        check("Bytes", "&Bytes");
        check("crate::User", "&crate::User");
        check("HashMap<String, u32>", "&HashMap<String, u32>");
        check("<T as Of>::String", "&<T as Of>::String");
        check("[u8; 4]", "&[u8; 4]");
    }
}
