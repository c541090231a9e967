//! What the server is told at each connection: a value, or a closure that is asked each time.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use crate::engine::Boxed;

type AuthResult = Result<Value, String>;

/// A socket's `auth`.
#[derive(Clone, Default)]
pub(crate) enum Auth {
    #[default]
    None,
    Value(Value),
    Closure(Arc<dyn Fn() -> Boxed<AuthResult> + Send + Sync>),
}

impl Auth {
    pub(crate) fn closure<F, Fut, T, E>(auth: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
        T: Serialize,
        E: fmt::Display,
    {
        Auth::Closure(Arc::new(move || {
            let asked = auth();
            Box::pin(async move {
                let auth = asked.await.map_err(|error| error.to_string())?;
                serde_json::to_value(auth).map_err(|error| error.to_string())
            })
        }))
    }
}

/// The payload of a CONNECT: what `auth` says, and before it what recovers an earlier connection; a key of the user's own wins,
/// as in the reference. `None` if there is nothing to say.
pub(crate) fn payload(auth: Value, recovery: Option<(&str, Option<&str>)>) -> Option<Value> {
    let Some((pid, offset)) = recovery else {
        return if auth.is_null() { None } else { Some(auth) };
    };
    let mut payload = serde_json::Map::new();
    payload.insert("pid".to_owned(), pid.into());
    if let Some(offset) = offset {
        payload.insert("offset".to_owned(), offset.into());
    }
    if let Value::Object(own) = auth {
        payload.extend(own);
    }
    Some(Value::Object(payload))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn recovery_is_asked_for_beside_the_auth() {
        assert_eq!(payload(Value::Null, None), None);
        assert_eq!(payload(json!({"a": 1}), None), Some(json!({"a": 1})));
        assert_eq!(payload(Value::Null, Some(("p", None))), Some(json!({"pid": "p"})));
        let recovery = Some(("p", Some("o")));
        assert_eq!(payload(json!({"a": 1}), recovery), Some(json!({"pid": "p", "offset": "o", "a": 1})));
        assert_eq!(payload(json!({"pid": "mine"}), recovery), Some(json!({"pid": "mine", "offset": "o"})));
    }
}
