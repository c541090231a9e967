//! What is asked of the sockets of other servers.

use std::sync::Arc;

use patera_cluster::{RequestId, Target};

use super::Membership;
use crate::broadcast::Broadcast;
use crate::namespace::NamespaceInner;
use crate::remote::{ClusterError, RemoteSocket};

impl Broadcast {
    /// Tells other servers the same as this one; nothing without a cluster, or with `local`.
    pub(crate) fn tell_others(&self, tell: impl Fn(&Membership, Target)) {
        for namespace in self.shared_namespaces() {
            if let Some(membership) = namespace.membership() {
                tell(membership, self.to_target());
            }
        }
    }

    /// Adds what other servers have. Dropped before it is through, it forgets what it has asked.
    pub(crate) async fn fetch_from_others(&self, sockets: &mut Vec<RemoteSocket>) -> Result<(), ClusterError> {
        let mut asked = Vec::new();
        for namespace in self.shared_namespaces() {
            let Some(membership) = namespace.membership() else { continue };
            let (request, told) = membership.fetch_sockets(self.to_target(), self.own_timeout())?;
            asked.push((Question { namespace, request }, told));
        }
        for (Question { namespace, .. }, told) in &mut asked {
            let descriptions = told.await.unwrap_or(Err(ClusterError::Closed))?;
            let found = descriptions.into_iter().map(|each| RemoteSocket::from_afar(namespace, each));
            sockets.extend(found);
        }
        Ok(())
    }
}

/// Nobody waits any more when it is dropped.
struct Question {
    namespace: Arc<NamespaceInner>,
    request: RequestId,
}

impl Drop for Question {
    fn drop(&mut self) {
        if let Some(membership) = self.namespace.membership() {
            membership.cancel(&self.request);
        }
    }
}
