use super::address::{Address, Service};
use super::connect::{STALL_TIMEOUT, Store, connect, wait};
use super::failure::{Failure, Kind};
use futures_util::StreamExt;
use globset::GlobMatcher;
use object_store::list::PaginatedListOptions;
use object_store::path::{Error as KeyError, Path as Key};
use object_store::{Error, ObjectMeta, ObjectStore, ObjectStoreExt};
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
    /// Why it cannot be asked for.
    pub problem: Option<String>,
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
        return Ok(Object { name, n_bytes: 0, is_walked: false, problem: None, address, key, store: None });
    }
    let store = connect(&address).await?;
    named_in(address, store).await
}

async fn named_in(address: Address, store: Arc<dyn Store>) -> Result<Object, Failure> {
    let key = key(&address.key)?;
    match patient(&address, store.head(&key)).await? {
        Ok(meta) => {
            let name = address.name_of(key.as_ref());
            let n_bytes = meta.size;
            Ok(Object { name, n_bytes, is_walked: false, problem: None, address, key, store: Some(store) })
        }
        Err(error) => Err(Failure::of_request(&address, &error)),
    }
}

fn key(text: &str) -> Result<Key, Failure> {
    Key::parse(text).map_err(|_| Failure::of(unusable(text)))
}

fn unusable(key: &str) -> String {
    format!("`{key}` has a part that is empty, `.` or `..`")
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
    let Below { metas, unusable: keys } = below(&address, &store, &pattern.base).await?;
    for meta in metas {
        let Some(is_walked) = pattern.takes(meta.location.as_ref()) else { continue };
        let name = address.name_of(meta.location.as_ref());
        let (address, store, key) = (address.clone(), Some(Arc::clone(&store) as Arc<dyn ObjectStore>), meta.location);
        objects.push(Object { name, n_bytes: meta.size, is_walked, problem: None, address, key, store });
    }
    for key in keys {
        let Some(is_walked) = pattern.takes(&key) else { continue };
        let (name, problem) = (address.name_of(&key), Some(unusable(&key)));
        let (address, key) = (address.clone(), Key::default());
        objects.push(Object { name, n_bytes: 0, is_walked, problem, address, key, store: None });
    }
    if objects.is_empty() {
        return Err(refusal.unwrap_or_else(|| Failure::missing(&address)));
    }
    Ok(objects)
}

/// What is below a key.
#[derive(Default)]
struct Below {
    metas: Vec<ObjectMeta>,
    /// Keys that cannot be asked for.
    unusable: Vec<String>,
}

/// Everything below a key, in the order of files in folders, without the empty objects that stand for folders.
async fn below(address: &Address, store: &Arc<dyn Store>, base: &str) -> Result<Below, Failure> {
    let base = key(base)?;
    let mut below = Below::default();
    let mut stream = store.list(Some(&base));
    while let Some(meta) = patient(address, stream.next()).await? {
        match meta {
            Ok(meta) => below.metas.push(meta),
            // It stands for its whole page.
            Err(Error::InvalidPath { .. }) => {
                below = each_below(address, store, base.as_ref()).await?;
                break;
            }
            Err(error) => return Err(Failure::of_request(address, &error)),
        }
    }
    let metas = &mut below.metas;
    let parts = |meta: &ObjectMeta| meta.location.as_ref().split('/').map(str::to_owned).collect::<Vec<_>>();
    metas.sort_by_cached_key(parts);
    let mut markers = Vec::with_capacity(metas.len());
    for (index, meta) in metas.iter().enumerate() {
        let holds_next = metas.get(index + 1).is_some_and(|next| next.location.prefix_matches(&meta.location));
        markers.push(meta.size == 0 && (meta.location == base || holds_next || is_gone(address, store, meta).await?));
    }
    let mut markers = markers.into_iter();
    metas.retain(|_| !markers.next().unwrap_or(false));
    Ok(below)
}

/// Whether there is no object by the name in the list, where names end without the `/` of a folder's.
async fn is_gone(address: &Address, store: &Arc<dyn Store>, meta: &ObjectMeta) -> Result<bool, Failure> {
    Ok(matches!(patient(address, store.head(&meta.location)).await?, Err(Error::NotFound { .. })))
}

/// Most keys of a page.
const PAGE_KEYS: usize = 1000;

/// Everything below a key, where some key is none that can be asked for: it is found in ever smaller pages, and passed over.
async fn each_below(address: &Address, store: &Arc<dyn Store>, base: &str) -> Result<Below, Failure> {
    let mut below = Below::default();
    let prefix = (!base.is_empty()).then(|| format!("{base}/"));
    let (mut offset, mut token, mut n_keys) = (None, None, PAGE_KEYS);
    loop {
        let options = PaginatedListOptions {
            offset: offset.clone(),
            page_token: token.clone(),
            max_keys: Some(n_keys),
            ..PaginatedListOptions::default()
        };
        match patient(address, store.list_paginated(prefix.as_deref(), options)).await? {
            Ok(page) => {
                below.metas.extend(page.result.objects);
                if page.page_token.is_none() {
                    return Ok(below);
                }
                (token, n_keys) = (page.page_token, (2 * n_keys).min(PAGE_KEYS));
            }
            Err(Error::InvalidPath { .. }) if n_keys > 1 => n_keys /= 2,
            Err(error) => {
                let next = match &error {
                    Error::InvalidPath {
                        source: KeyError::EmptySegment { path } | KeyError::BadSegment { path, .. },
                    } if !below.unusable.contains(path) => path.clone(),
                    _ => return Err(Failure::of_request(address, &error)),
                };
                below.unusable.push(next.clone());
                (offset, token) = (Some(next), None);
            }
        }
    }
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
