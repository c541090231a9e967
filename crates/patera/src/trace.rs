//! Log lines through the `tracing` crate, or nothing without the feature.
//!
//! Targets: `patera::engine` (requests and sessions), `patera::socket` (namespaces, events), `patera::outbox` (drops).

/// `trace!(debug, "patera::engine", "session opened", sid = %sid)`
#[cfg(feature = "tracing")]
macro_rules! trace {
    ($level:ident, $target:literal, $message:literal $(, $name:ident = $sign:tt $value:expr)* $(,)?) => {
        tracing::$level!(target: $target, $($name = $sign $value,)* $message)
    };
}
#[cfg(not(feature = "tracing"))]
macro_rules! trace {
    ($level:ident, $target:literal, $message:literal $(, $name:ident = $sign:tt $value:expr)* $(,)?) => {{ $(let _ = &$value;)* }};
}
pub(crate) use trace;
