//! Log lines through the `tracing` crate, target `patera::client`; nothing without the feature.

/// `trace!(debug, "connected", namespace = %name)`
#[cfg(feature = "tracing")]
macro_rules! trace {
    ($level:ident, $message:literal $(, $name:ident = $sign:tt $value:expr)* $(,)?) => {
        tracing::$level!(target: "patera::client", $($name = $sign $value,)* $message)
    };
}
#[cfg(not(feature = "tracing"))]
macro_rules! trace {
    ($level:ident, $message:literal $(, $name:ident = $sign:tt $value:expr)* $(,)?) => {{ $(let _ = &$value;)* }};
}
pub(crate) use trace;
