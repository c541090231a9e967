//! Names of nodes and of requests. Ours are 16 hex digits, as socket.io's; those of others are whatever they say.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// As 16 hex digits.
            pub fn from_bits(bits: u64) -> Self {
                $name(format!("{bits:016x}").into())
            }

            /// As it stands on the wire.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                $name(text.into())
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

id! {
    /// The name of a node, drawn at random by each: `3d911c243b3008ec`. Cheap to clone.
    ///
    /// A server of ours has one for all its namespaces; socket.io's have one for each.
    Uid
}

id! {
    /// The name of a request, unique among all nodes. Cheap to clone.
    RequestId
}

impl Uid {
    /// What stands in messages of an emitter: a process that only sends, and is no node.
    pub(crate) const EMITTER: &str = "emitter";
}

/// Names of requests, from a seed: each node's must be another.
#[derive(Clone, Debug)]
pub(crate) struct RequestIds(u64);

impl RequestIds {
    pub(crate) fn new(seed: u64) -> Self {
        RequestIds(seed)
    }

    /// SplitMix64: every state gives another number.
    pub(crate) fn next(&mut self) -> RequestId {
        RequestId::from_bits(split_mix(&mut self.0))
    }
}

/// The next number of a sequence that looks random.
pub(crate) fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_are_sixteen_digits_and_differ() {
        let mut ids = RequestIds::new(0);
        let drawn: BTreeSet<RequestId> = (0..1000).map(|_| ids.next()).collect();
        assert_eq!(drawn.len(), 1000);
        assert!(drawn.iter().all(|id| id.as_str().len() == 16));
        assert_eq!(Uid::from_bits(0xff).as_str(), "00000000000000ff");
    }
}
