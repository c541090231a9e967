//! The namespaces of a server: those made by `of`, and children that come with their first client and go with their last.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use arc_swap::ArcSwap;
use patera_protocol::socketio::Value;
use tokio::sync::OnceCell;

use crate::cluster::Parting;
use crate::config::Config;
use crate::core::Core;
use crate::io::IoInner;
use crate::namespace::{Namespace, NamespaceInner};
use crate::sync::{AtomicUsize, RwLock};
use crate::tasks::catch;
use crate::trace::trace;

/// Safe from any thread. No user code runs under its lock.
pub(crate) struct Namespaces {
    index: RwLock<Index>,
    /// In the order in which they are asked.
    parents: ArcSwap<Vec<Parent>>,
    hooks: ArcSwap<Vec<NewNamespaceHook>>,
}

struct Index {
    by_name: HashMap<Arc<str>, Arc<NamespaceInner>>,
    /// How many children clients have made.
    children: usize,
}

type NewNamespaceHook = Arc<dyn Fn(&Namespace) + Send + Sync>;

#[derive(Clone)]
struct Parent {
    namespace: Arc<NamespaceInner>,
    pattern: Pattern,
}

/// Which names a parent takes.
#[derive(Clone)]
pub(crate) enum Pattern {
    Matching(Arc<dyn Fn(&str) -> bool + Send + Sync>),
    Deciding(Arc<dyn Fn(String, Value) -> Decision + Send + Sync>),
}

pub(crate) type Decision = Pin<Box<dyn Future<Output = bool> + Send>>;

/// What a namespace is beside its name.
pub(crate) enum Kind {
    /// It stays.
    Plain,
    /// No client is in it; its children have its handlers.
    Parent(RwLock<Vec<Arc<NamespaceInner>>>),
    Child(Box<Child>),
}

pub(crate) struct Child {
    parent: Weak<NamespaceInner>,
    /// Sockets in it, and clients about to be. Raised under the index's lock, so that one that has been empty can be taken out.
    seats: AtomicUsize,
    /// Made by a client, and gone when it is empty, if `cleanup_empty_child_namespaces` is on.
    by_client: bool,
    /// Whether the hooks of new namespaces have run: nobody is let in before.
    introduced: OnceCell<()>,
}

/// Why a client does not get into a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoNamespace {
    Unknown,
    TooMany,
}

impl NoNamespace {
    /// What the client reads.
    pub(crate) fn message(self) -> &'static str {
        match self {
            NoNamespace::Unknown => "Invalid namespace",
            NoNamespace::TooMany => "Too many namespaces",
        }
    }
}

/// A place in a namespace, for a socket about to be: a child does not go as long as it is held. Given back when it is dropped,
/// or by the socket it became.
pub(crate) struct Seat {
    io: Arc<IoInner>,
    namespace: Option<Arc<NamespaceInner>>,
}

impl Seat {
    /// The namespace; from now on [`Namespaces::leave`] gives the place back.
    pub(crate) fn take(mut self) -> Arc<NamespaceInner> {
        self.namespace.take().expect("it is taken once, by value")
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(namespace) = &self.namespace {
            self.io.namespaces.leave(namespace, &self.io.core.config);
        }
    }
}

impl Namespaces {
    pub(crate) fn new(root: Arc<NamespaceInner>) -> Self {
        Namespaces {
            index: RwLock::new(Index { by_name: HashMap::from([(root.name.clone(), root)]), children: 0 }),
            parents: ArcSwap::default(),
            hooks: ArcSwap::default(),
        }
    }

    pub(crate) fn find(&self, name: &str) -> Option<Arc<NamespaceInner>> {
        self.index.read().by_name.get(name).cloned()
    }

    pub(crate) fn all(&self) -> Vec<Arc<NamespaceInner>> {
        self.index.read().by_name.values().cloned().collect()
    }

    pub(crate) fn has_parents(&self) -> bool {
        !self.parents.load().is_empty()
    }

    /// A namespace that a client can join at once.
    pub(crate) fn enter(&self, name: &str) -> Option<Arc<NamespaceInner>> {
        let index = self.index.read();
        let namespace = index.by_name.get(name)?;
        if let Kind::Child(child) = &namespace.kind {
            if !child.introduced.initialized() {
                return None;
            }
            child.seats.fetch_add(1, Ordering::Relaxed);
        }
        Some(namespace.clone())
    }

    /// One seat fewer: a child that is empty now goes, and with it the name.
    pub(crate) fn leave(&self, namespace: &Arc<NamespaceInner>, config: &Config) {
        let Kind::Child(child) = &namespace.kind else { return };
        let before = child.seats.fetch_sub(1, Ordering::AcqRel);
        if before > 1 || !child.by_client || !config.cleanup_empty_child_namespaces {
            return;
        }
        let mut index = self.index.write();
        let is_there = index.by_name.get(&namespace.name).is_some_and(|known| Arc::ptr_eq(known, namespace));
        if !is_there || child.seats.load(Ordering::Acquire) > 0 {
            return;
        }
        index.by_name.remove(&namespace.name);
        index.children -= 1;
        // Under the lock, so that a new one of this name enters the cluster behind it.
        let parting = namespace.leave_cluster();
        drop(index);
        parting.into_iter().for_each(Parting::tell);
        if let Some(Kind::Parent(children)) = child.parent.upgrade().as_deref().map(|parent| &parent.kind) {
            children.write().retain(|known| !Arc::ptr_eq(known, namespace));
        }
        trace!(debug, "patera::socket", "namespace is empty and gone", namespace = %namespace.name);
    }

    pub(crate) fn add_parent(&self, core: &Arc<Core>, pattern: Pattern) -> Arc<NamespaceInner> {
        let number = self.parents.load().len();
        let kind = Kind::Parent(RwLock::default());
        let namespace = Arc::new(NamespaceInner::new(&format!("/_{number}"), core.clone(), kind));
        self.parents.rcu(|parents| {
            let mut parents = Vec::clone(parents);
            parents.push(Parent { namespace: namespace.clone(), pattern: pattern.clone() });
            parents
        });
        namespace
    }

    pub(crate) fn add_hook(&self, hook: NewNamespaceHook) {
        self.hooks.rcu(|hooks| {
            let mut hooks = Vec::clone(hooks);
            hooks.push(hook.clone());
            hooks
        });
    }

    fn tell(&self, io: &Arc<IoInner>, namespace: &Arc<NamespaceInner>) {
        let namespace = Namespace { inner: namespace.clone(), io: io.clone() };
        for hook in self.hooks.load().iter() {
            if catch(|| hook(&namespace)).is_none() {
                trace!(error, "patera::socket", "a hook of new namespaces panicked", namespace = %namespace.name());
            }
        }
    }
}

/// The namespace of this name for the application: made if it is new, as the child of a parent that matches it.
pub(crate) fn of(io: &Arc<IoInner>, name: &str) -> Arc<NamespaceInner> {
    if let Some(namespace) = io.namespaces.find(name) {
        return namespace;
    }
    let parents = io.namespaces.parents.load();
    let parent = parents.iter().find(|parent| match &parent.pattern {
        Pattern::Matching(matches) => matches(name),
        Pattern::Deciding(_) => false,
    });
    let mut made = None;
    let namespace = {
        let mut index = io.namespaces.index.write();
        let entry = index.by_name.entry(name.into());
        let make = || made.insert(make(io, name, parent, false)).clone();
        entry.or_insert_with(make).clone()
    };
    if let Some(made) = made {
        match &made.kind {
            // The future does not wait: if a client is introducing it in this moment, that is as good.
            Kind::Child(child) => drop(futures_util::FutureExt::now_or_never(introduce(io, &made, child))),
            Kind::Plain | Kind::Parent(_) => io.namespaces.tell(io, &made),
        }
    }
    namespace
}

/// Finds the namespace a client asks for, by asking parents for it if need be.
pub(crate) async fn choose(io: Arc<IoInner>, name: Box<str>, auth: Value) -> Result<Seat, NoNamespace> {
    let seat = match take_seat(&io, &name, None)? {
        Some(seat) => seat,
        None => {
            let parents = io.namespaces.parents.load_full();
            let mut chosen = None;
            for parent in parents.iter() {
                let takes = match &parent.pattern {
                    Pattern::Matching(matches) => matches(&name),
                    Pattern::Deciding(decide) => decide(name.to_string(), auth.clone()).await,
                };
                if takes {
                    chosen = Some(parent);
                    break;
                }
            }
            let parent = chosen.ok_or(NoNamespace::Unknown)?;
            take_seat(&io, &name, Some(parent))?.ok_or(NoNamespace::Unknown)?
        }
    };
    if let Some(namespace) = &seat.namespace
        && let Kind::Child(child) = &namespace.kind
    {
        introduce(&io, namespace, child).await;
    }
    Ok(seat)
}

/// A seat in the namespace if it is there, or can be made for `parent`.
fn take_seat(io: &Arc<IoInner>, name: &str, parent: Option<&Parent>) -> Result<Option<Seat>, NoNamespace> {
    let mut index = io.namespaces.index.write();
    let namespace = match (index.by_name.get(name), parent) {
        (Some(namespace), _) => namespace.clone(),
        (None, None) => return Ok(None),
        (None, Some(_)) if index.children >= io.core.config.child_namespaces_max => return Err(NoNamespace::TooMany),
        (None, Some(parent)) => {
            let namespace = make(io, name, Some(parent), true);
            index.by_name.insert(namespace.name.clone(), namespace.clone());
            index.children += 1;
            namespace
        }
    };
    if let Kind::Child(child) = &namespace.kind {
        child.seats.fetch_add(1, Ordering::Relaxed);
    }
    Ok(Some(Seat { io: io.clone(), namespace: Some(namespace) }))
}

fn make(io: &Arc<IoInner>, name: &str, parent: Option<&Parent>, by_client: bool) -> Arc<NamespaceInner> {
    let Some(Parent { namespace: parent, .. }) = parent else {
        return Arc::new(NamespaceInner::new(name, io.core.clone(), Kind::Plain));
    };
    let child =
        Child { parent: Arc::downgrade(parent), seats: AtomicUsize::new(0), by_client, introduced: OnceCell::new() };
    let namespace = Arc::new(NamespaceInner::child(name, parent, Kind::Child(Box::new(child))));
    if let Kind::Parent(children) = &parent.kind {
        children.write().push(namespace.clone());
    }
    namespace
}

/// Runs the hooks of new namespaces, once; who comes meanwhile waits.
async fn introduce(io: &Arc<IoInner>, namespace: &Arc<NamespaceInner>, child: &Child) {
    child.introduced.get_or_init(async || io.namespaces.tell(io, namespace)).await;
}
