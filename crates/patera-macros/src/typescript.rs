//! A contract in TypeScript: the interface that socket.io's own types take.

use syn::ext::IdentExt as _;
use syn::{Error, Expr, ExprLit, Ident, Lit, Path, Result, Type, TypeArray};

use crate::borrowing::{generics, last, plain};
use crate::contract::{Contract, doc_lines};
use crate::event::Event;

/// `export interface …`, with a line feed at its end.
pub(crate) fn interface(contract: &Contract) -> String {
    let mut text = comment(&doc_lines(&contract.docs), "");
    text += &format!("export interface {} {{\n", contract.name.unraw());
    for event in &contract.events {
        text += &comment(&doc_lines(&event.docs), "  ");
        text += &format!("  {}: {};\n", key(&event.name), signature(event));
    }
    text + "}\n"
}

/// Whether a type can be an argument at all.
///
/// # Errors
/// It is not owned, or nothing that serde could read.
pub(crate) fn check(kind: &Type) -> Result<()> {
    of_type(kind).map(drop)
}

fn signature(event: &Event) -> String {
    let mut parameters: Vec<_> = event
        .arguments
        .iter()
        .map(|argument| format!("{}: {}", parameter(&argument.name), checked(&argument.kind)))
        .collect();
    if let Some(answer) = &event.answer {
        let is_taken = event.arguments.iter().any(|argument| argument.name == "ack");
        let name = if is_taken { "acknowledge" } else { "ack" };
        parameters.push(format!("{name}: ({}) => void", answers(answer)));
    }
    format!("({}) => void", parameters.join(", "))
}

/// The parameters of the callback: a tuple is several, and to serde an array is a tuple.
fn answers(kind: &Type) -> String {
    match plain(kind) {
        Type::Tuple(tuple) => {
            let parts = tuple.elems.iter().enumerate();
            let parts: Vec<_> = parts.map(|(index, kind)| format!("answer{index}: {}", checked(kind))).collect();
            parts.join(", ")
        }
        Type::Array(_) => format!("...answers: {}", checked(kind)),
        kind => format!("answer: {}", checked(kind)),
    }
}

/// A type that was checked when it was read.
fn checked(kind: &Type) -> String {
    of_type(kind).expect("types are checked when they are read")
}

fn of_type(kind: &Type) -> Result<String> {
    match plain(kind) {
        Type::Path(path) if path.qself.is_none() => of_path(&path.path),
        Type::Tuple(tuple) if tuple.elems.is_empty() => Ok("null".to_owned()),
        Type::Tuple(tuple) => {
            let parts = tuple.elems.iter().map(of_type).collect::<Result<Vec<_>>>()?;
            Ok(format!("[{}]", parts.join(", ")))
        }
        Type::Array(array) => of_array(array),
        kind => {
            let text = "an argument is of an owned type that serde can write and read, such as `String`, not `&str`";
            Err(Error::new_spanned(kind, text))
        }
    }
}

fn of_path(path: &Path) -> Result<String> {
    let (name, generics) = (last(path), generics(path));
    Ok(match (name.as_str(), generics.as_slice()) {
        ("bool", []) => "boolean".to_owned(),
        ("String" | "char" | "ByteString", []) => "string".to_owned(),
        ("f32" | "f64", []) => "number".to_owned(),
        ("i8" | "i16" | "i32" | "i64" | "i128" | "isize", []) => "number".to_owned(),
        ("u8" | "u16" | "u32" | "u64" | "u128" | "usize", []) => "number".to_owned(),
        // In browsers what comes is an `ArrayBuffer`, in Node a `Buffer`, which is a `Uint8Array`; both may be sent.
        ("Bytes" | "ByteBuf", []) => "ArrayBuffer | Uint8Array".to_owned(),
        ("Value", []) => "unknown".to_owned(),
        ("Option", [inner]) => format!("{} | null", of_type(inner)?),
        ("Box" | "Arc" | "Rc", [inner]) => of_type(inner)?,
        ("Vec" | "VecDeque" | "HashSet" | "BTreeSet", [element]) => list(&of_type(element)?),
        ("HashMap" | "BTreeMap", [_, value]) => format!("Record<string, {}>", of_type(value)?),
        (_, []) => name,
        (_, generics) => {
            let generics = generics.iter().map(|kind| of_type(kind)).collect::<Result<Vec<_>>>()?;
            format!("{name}<{}>", generics.join(", "))
        }
    })
}

fn of_array(array: &TypeArray) -> Result<String> {
    let element = of_type(&array.elem)?;
    let length = match &array.len {
        Expr::Lit(ExprLit { lit: Lit::Int(length), .. }) => length.base10_parse().ok().filter(|length| *length <= 16),
        _ => None,
    };
    Ok(length.map_or_else(|| list(&element), |length| format!("[{}]", vec![element.clone(); length].join(", "))))
}

fn list(element: &str) -> String {
    if element.contains(" | ") { format!("({element})[]") } else { format!("{element}[]") }
}

/// A property's name, quoted if it must be.
fn key(name: &str) -> String {
    let is_identifier = name.chars().all(|each| each.is_ascii_alphanumeric() || each == '_')
        && name.starts_with(|first: char| !first.is_ascii_digit());
    if is_identifier { name.to_owned() } else { quoted(name) }
}

/// A string literal of JavaScript.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for each in text.chars() {
        match each {
            '"' | '\\' => out.extend(['\\', each]),
            each if each.is_control() || matches!(each, '\u{2028}' | '\u{2029}') => {
                out += &format!("\\u{:04x}", u32::from(each));
            }
            each => out.push(each),
        }
    }
    out + "\""
}

/// A parameter's name, changed if TypeScript could not take it.
fn parameter(name: &Ident) -> String {
    const TAKEN: [&str; 30] = [
        "arguments",
        "case",
        "catch",
        "class",
        "debugger",
        "default",
        "delete",
        "do",
        "eval",
        "export",
        "extends",
        "finally",
        "function",
        "import",
        "instanceof",
        "interface",
        "new",
        "null",
        "package",
        "private",
        "protected",
        "public",
        "switch",
        "this",
        "throw",
        "try",
        "typeof",
        "var",
        "void",
        "with",
    ];
    let name = name.unraw().to_string();
    // What is reserved in Rust too can stand here as `r#…`.
    let is_taken = TAKEN.contains(&name.as_str()) || syn::parse_str::<Ident>(&name).is_err();
    if is_taken { name + "_" } else { name }
}

/// A doc comment.
fn comment(lines: &[String], indent: &str) -> String {
    let lines: Vec<_> = lines.iter().map(|line| line.replace("*/", "*\\/")).collect();
    match lines.as_slice() {
        [] => String::new(),
        [line] => format!("{indent}/** {line} */\n"),
        lines => {
            let body: String =
                lines.iter().map(|line| format!("{}\n", format!("{indent} * {line}").trim_end())).collect();
            format!("{indent}/**\n{body}{indent} */\n")
        }
    }
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;

    fn check_type(kind: &str, expected: &str) {
        let kind: Type = syn::parse_str(kind).expect("the test gives a type");
        assert_eq!(of_type(&kind).expect("the type is known"), expected);
    }

    fn check_interface(contract: proc_macro2::TokenStream, expected: &str) {
        let item = syn::parse2(contract).expect("the test gives a trait");
        let contract = Contract::read(item).expect("the trait is a contract");
        assert_eq!(interface(&contract), expected);
    }

    #[test]
    fn types_are_those_of_json() {
        check_type("String", "string");
        check_type("u64", "number");
        check_type("bool", "boolean");
        check_type("serde_json::Value", "unknown");
        check_type("Bytes", "ArrayBuffer | Uint8Array");
        check_type("()", "null");
        check_type("(String, (u8, bool))", "[string, [number, boolean]]");
        check_type("[f64; 2]", "[number, number]");
        check_type("[f64; SIZE]", "number[]");
        check_type("crate::User", "User");
        check_type("Page<User>", "Page<User>");
    }

    #[test]
    fn types_hold_types() {
        check_type("Option<Vec<String>>", "string[] | null");
        check_type("Vec<Option<Box<u8>>>", "(number | null)[]");
        check_type("HashMap<String, Vec<Bytes>>", "Record<string, (ArrayBuffer | Uint8Array)[]>");
    }

    #[test]
    fn acknowledgements_are_callbacks() {
        check_interface(
            quote! {
                trait Questions {
                    fn none();
                    fn empty() -> ();
                    fn one(ack: bool) -> Option<String>;
                    fn several() -> (u8, String);
                    fn array() -> [u8; 2];
                }
            },
            "export interface Questions {\n  \
               none: () => void;\n  \
               empty: (ack: () => void) => void;\n  \
               one: (ack: boolean, acknowledge: (answer: string | null) => void) => void;\n  \
               several: (ack: (answer0: number, answer1: string) => void) => void;\n  \
               array: (ack: (...answers: [number, number]) => void) => void;\n\
             }\n",
        );
    }

    #[test]
    fn names_are_made_such_that_typescript_takes_them() {
        check_interface(
            quote! {
                trait Odd {
                    #[event("a \"b\"\n\\")]
                    fn quoted(function: u8, r#type: u8, from: u8);
                    #[event("2nd")]
                    fn second();
                    fn r#match();
                }
            },
            "export interface Odd {\n  \
               \"a \\\"b\\\"\\u000a\\\\\": (function_: number, type_: number, from: number) => void;\n  \
               \"2nd\": () => void;\n  \
               match: () => void;\n\
             }\n",
        );
    }

    #[test]
    fn documentation_comes_along() {
        check_interface(
            quote! {
                /// What is told.
                trait Told {
                    /// A first line.
                    ///
                    /// And `*/` in another.
                    fn news();
                }
            },
            "/** What is told. */\nexport interface Told {\n  /**\n   * A first line.\n   *\n   * And `*\\/` in another.\n   */\n  \
               news: () => void;\n}\n",
        );
    }
}
