use super::address::{Address, Service};
use super::connect::{STALL_TIMEOUT, connect, wait};
use super::failure::{Failure, Kind};
use futures_util::StreamExt;
use globset::GlobMatcher;
use object_store::path::Path as Key;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An object on a server.
#[derive(Clone, Debug)]
pub struct Object {
    /// Its address, without secrets.
    pub name: String,
    /// Its size; 0 if the server does not say before it is fetched.
    pub n_bytes: u64,
    /// Whether it was met in a folder, not named.
    pub is_walked: bool,
    pub(super) address: Address,
    pub(super) key: Key,
    /// The connection to its bucket; `None` for a web server.
    pub(super) store: Option<Arc<dyn ObjectStore>>,
}

impl Object {
    /// What no other object has: its whole address.
    #[must_use]
    pub fn identity(&self) -> PathBuf {
        self.address.url.as_ref().map_or_else(|| self.name.clone(), ToString::to_string).into()
    }
}

/// The objects that an address stands for: one by this name, else all below it as of a folder, or those that match a
/// pattern.
///
/// Sorted as files in folders are; names that begin with a dot are passed over.
///
/// # Errors
/// A [`Failure`] that says why there is none.
pub fn list(path: &Path) -> Result<Vec<Object>, Failure> {
    let address = Address::parse(path).map_err(Failure::of)?;
    wait(find(address))
}

/// The object by exactly this name.
pub(super) async fn named(address: Address) -> Result<Object, Failure> {
    if address.service == Service::Http {
        let (name, key) = (address.root.clone(), Key::default());
        return Ok(Object { name, n_bytes: 0, is_walked: false, address, key, store: None });
    }
    let store = connect(&address).await?;
    named_in(address, store).await
}

async fn named_in(address: Address, store: Arc<dyn ObjectStore>) -> Result<Object, Failure> {
    let key = key(&address.key)?;
    match patient(&address, store.head(&key)).await? {
        Ok(meta) => {
            let name = address.name_of(key.as_ref());
            Ok(Object { name, n_bytes: meta.size, is_walked: false, address, key, store: Some(store) })
        }
        Err(error) => Err(Failure::of_request(&address, &error)),
    }
}

fn key(text: &str) -> Result<Key, Failure> {
    Key::parse(text).map_err(|_| Failure::of(format!("`{text}` has a part that is empty, `.` or `..`")))
}

/// Gives up on a server that says nothing.
async fn patient<T>(address: &Address, request: impl Future<Output = T>) -> Result<T, Failure> {
    tokio::time::timeout(STALL_TIMEOUT, request).await.map_err(|_| Failure::stalled(address))
}

async fn find(address: Address) -> Result<Vec<Object>, Failure> {
    if let Some(url) = &address.url {
        if url.path().contains('*') {
            let hint = "give the address of each file; a `*` that is part of a name is written `%2A`";
            return Err(Failure::with("a web server lists no files, so that patterns do not work there", hint));
        }
        return Ok(vec![named(address).await?]);
    }
    let store = connect(&address).await?;
    let mut refusal = None;
    if !address.key.is_empty() && !address.key.ends_with('/') {
        match named_in(address.clone(), Arc::clone(&store)).await {
            Ok(object) => return Ok(vec![object]),
            Err(failure) if failure.is_out_of_reach() => return Err(failure),
            // A folder has no object by its name.
            Err(failure) if failure.kind == Kind::Missing => {}
            // The answer about a single object has no words; that to the list will have some.
            Err(failure) => refusal = Some(failure),
        }
    }
    let pattern = Pattern::of(&address.key)?;
    let mut objects: Vec<Object> = Vec::new();
    for meta in below(&address, &store, &pattern.base).await? {
        let Some(is_walked) = pattern.takes(meta.location.as_ref()) else { continue };
        let name = address.name_of(meta.location.as_ref());
        let (address, store) = (address.clone(), Some(Arc::clone(&store)));
        objects.push(Object { name, n_bytes: meta.size, is_walked, address, key: meta.location, store });
    }
    if objects.is_empty() {
        return Err(refusal.unwrap_or_else(|| Failure::missing(&address)));
    }
    Ok(objects)
}

/// Everything below a key, in the order of files in folders, without the empty objects that stand for folders.
async fn below(address: &Address, store: &Arc<dyn ObjectStore>, base: &str) -> Result<Vec<ObjectMeta>, Failure> {
    let base = key(base)?;
    let mut stream = store.list(Some(&base));
    let mut metas = Vec::new();
    while let Some(meta) = patient(address, stream.next()).await? {
        metas.push(meta.map_err(|error| Failure::of_request(address, &error))?);
    }
    let parts = |meta: &ObjectMeta| meta.location.as_ref().split('/').map(str::to_owned).collect::<Vec<_>>();
    metas.sort_by_cached_key(parts);
    let is_marker = |index: usize| {
        let (meta, next): (&ObjectMeta, Option<&ObjectMeta>) = (&metas[index], metas.get(index + 1));
        let holds_next = next.is_some_and(|next| next.location.prefix_matches(&meta.location));
        meta.size == 0 && (meta.location == base || holds_next)
    };
    let markers: Vec<bool> = (0..metas.len()).map(is_marker).collect();
    let mut markers = markers.into_iter();
    metas.retain(|_| !markers.next().unwrap_or(false));
    Ok(metas)
}

/// Which keys an address stands for.
struct Pattern {
    /// Where the list begins.
    base: String,
    /// What a key or a folder of it has to match; `None` takes all.
    matcher: Option<GlobMatcher>,
}

impl Pattern {
    fn of(key: &str) -> Result<Self, Failure> {
        let key = key.trim_end_matches('/');
        if !key.contains(['*', '?', '[', '{']) {
            return Ok(Self { base: key.to_owned(), matcher: None });
        }
        let glob = globset::GlobBuilder::new(key).literal_separator(true).build();
        let glob = glob.map_err(|error| Failure::of(format!("`{key}` is no pattern: {}", error.kind())))?;
        let fixed = key.split('/').take_while(|part| !part.contains(['*', '?', '[', '{']));
        let base = fixed.collect::<Vec<_>>().join("/");
        Ok(Self { base, matcher: Some(glob.compile_matcher()) })
    }

    /// Whether a key belongs to it, and then whether by a folder that does.
    fn takes(&self, key: &str) -> Option<bool> {
        let below = key.strip_prefix(&self.base).unwrap_or(key);
        if below.split('/').any(|part| part.starts_with('.')) {
            return None;
        }
        let Some(matcher) = &self.matcher else { return Some(true) };
        if matcher.is_match(key) {
            return Some(false);
        }
        let mut folders = key.match_indices('/').map(|(end, _)| &key[..end]);
        folders.any(|folder| matcher.is_match(folder)).then_some(true)
    }
}
