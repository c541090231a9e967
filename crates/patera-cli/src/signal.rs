//! How a user asks the program to end.

use std::future::Future;

/// Ctrl-C or SIGTERM, from this call on.
#[cfg(unix)]
pub(crate) fn signal() -> impl Future<Output = ()> + Send + 'static {
    use tokio::signal::unix::{SignalKind, signal};
    let both = signal(SignalKind::interrupt()).and_then(|interrupt| Ok((interrupt, signal(SignalKind::terminate())?)));
    async move {
        match both {
            Ok((mut interrupt, mut terminate)) => {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
            }
            Err(_) => wait_for_ctrl_c().await,
        }
    }
}

#[cfg(not(unix))]
pub(crate) fn signal() -> impl Future<Output = ()> + Send + 'static {
    wait_for_ctrl_c()
}

/// Where even that cannot be waited for, the server runs until it is killed.
async fn wait_for_ctrl_c() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
