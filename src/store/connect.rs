//! Connections: who is asked, with which credentials, how often and how patiently.
//!
//! All that is needed is in the environment, by the names that the services' own tools use; for S3 also in `~/.aws`.
//! Requests run on one thread of their own, which is started by the first of them.

use super::address::{Address, Service};
use super::aws_profile;
use super::failure::Failure;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::list::PaginatedListStore;
use object_store::{BackoffConfig, ClientConfigKey, ObjectStore, RetryConfig};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::runtime::Handle;

/// A server that takes no connection in this time is tried again.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// A server that sends nothing for so long has lost us. Longer than a request with all its tries takes.
pub(super) const STALL_TIMEOUT: Duration = Duration::from_secs(20);
/// Tries after the first: with their pauses and [`CONNECT_TIMEOUT`] an address without a server is given up after 15 s.
pub(super) const MAX_RETRIES: usize = 4;
/// No try begins later than this.
const RETRY_TIMEOUT: Duration = Duration::from_secs(15);
/// Pauses between tries: 0.2 s and twice as long each time, with chance, at most 2 s.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A bucket, of which lists can be had in pages of any size.
pub(super) trait Store: ObjectStore + PaginatedListStore {}

impl<T: ObjectStore + PaginatedListStore> Store for T {}

/// The thread that all requests run on; `None` if none could be started.
pub(super) fn runtime() -> Option<&'static Handle> {
    static RUNTIME: OnceLock<Option<Handle>> = OnceLock::new();
    let start = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
        let handle = runtime.handle().clone();
        let drive = move || runtime.block_on(std::future::pending::<()>());
        std::thread::Builder::new().name("store".to_owned()).spawn(drive).ok()?;
        Some(handle)
    };
    RUNTIME.get_or_init(start).as_ref()
}

/// Runs requests and waits for their end.
pub(super) fn wait<T: Send + 'static>(
    requests: impl Future<Output = Result<T, Failure>> + Send + 'static,
) -> Result<T, Failure> {
    let runtime = runtime().ok_or_else(|| Failure::of("no thread could be started for requests"))?;
    let (sender, receiver) = std::sync::mpsc::channel();
    runtime.spawn(async move {
        // Nobody waits any more if the process is about to end.
        let _ = sender.send(requests.await);
    });
    receiver.recv().unwrap_or_else(|_| Err(Failure::of("the request broke off")))
}

/// The pause before try `n_tries`, counted from 1; no two processes pause alike.
pub(super) fn pause(n_tries: usize) -> Duration {
    let longest = FIRST_PAUSE.saturating_mul(1 << n_tries.min(8)).min(LONGEST_PAUSE);
    // The clock's last digits are chance enough.
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    longest.mul_f64(0.5 + f64::from(now.subsec_micros() % 1000) / 2000.0)
}

fn retries() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig { init_backoff: FIRST_PAUSE, max_backoff: LONGEST_PAUSE, base: 2.0 },
        max_retries: MAX_RETRIES,
        retry_timeout: RETRY_TIMEOUT,
    }
}

/// Options of the HTTP client in every service's own keys.
fn client() -> [(ClientConfigKey, String); 3] {
    [
        (ClientConfigKey::ConnectTimeout, format!("{}s", CONNECT_TIMEOUT.as_secs())),
        // Of the whole request, however large: stalls are found while the body is read.
        (ClientConfigKey::Timeout, "1day".to_owned()),
        // Whoever names an endpoint without TLS means it.
        (ClientConfigKey::AllowHttp, "true".to_owned()),
    ]
}

/// Connects to the bucket of an address and makes sure that there are credentials.
pub(super) async fn connect(address: &Address) -> Result<Arc<dyn Store>, Failure> {
    match address.service {
        Service::S3 => s3(address).await,
        Service::Google => google(address).await,
        Service::Azure => azure(address).await,
        Service::Http => Err(Failure::of("a web server has no folders")),
    }
}

fn is_set(variable: &str) -> bool {
    std::env::var_os(variable).is_some_and(|value| !value.is_empty())
}

fn is_yes(value: Option<String>) -> bool {
    value.is_some_and(|value| matches!(value.to_ascii_lowercase().as_str(), "true" | "1" | "yes" | "y" | "on"))
}

async fn s3(address: &Address) -> Result<Arc<dyn Store>, Failure> {
    let mut builder = AmazonS3Builder::from_env().with_bucket_name(&address.bucket).with_retry(retries());
    for (key, value) in client() {
        builder = builder.with_config(AmazonS3ConfigKey::Client(key), value);
    }
    let profile = aws_profile::read();
    let or_profile = |builder: AmazonS3Builder, key: AmazonS3ConfigKey, value: &Option<String>| match value {
        Some(value) if builder.get_config_value(&key).is_none() => builder.with_config(key, value),
        _ => builder,
    };
    builder = or_profile(builder, AmazonS3ConfigKey::Region, &profile.region);
    builder = or_profile(builder, AmazonS3ConfigKey::Endpoint, &profile.endpoint);
    let given = [
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    ];
    let is_anonymous = is_yes(builder.get_config_value(&AmazonS3ConfigKey::SkipSignature));
    if !is_anonymous && !given.into_iter().any(is_set) {
        if let (Some(key_id), Some(secret)) = (&profile.key_id, &profile.secret) {
            builder = builder.with_access_key_id(key_id).with_secret_access_key(secret);
            if let Some(token) = &profile.token {
                builder = builder.with_token(token);
            }
        } else if let Some(name) = profile.named_in_vain() {
            let why =
                format!("neither `~/.aws/credentials` nor `~/.aws/config` has the profile `{name}` of `AWS_PROFILE`");
            return Err(Failure::no_credentials(address, &why));
        } else if is_yes(std::env::var("AWS_EC2_METADATA_DISABLED").ok()) {
            return Err(Failure::no_credentials(address, "neither the environment nor `~/.aws` has keys"));
        }
    }
    let store = builder.build().map_err(|error| Failure::configuration(address, &error))?;
    if !is_anonymous {
        let found = store.credentials().get_credential().await;
        found.map_err(|error| Failure::credentials(address, &error))?;
    }
    Ok(Arc::new(store))
}

async fn google(address: &Address) -> Result<Arc<dyn Store>, Failure> {
    let mut builder = GoogleCloudStorageBuilder::from_env().with_bucket_name(&address.bucket).with_retry(retries());
    for (key, value) in client() {
        builder = builder.with_config(GoogleConfigKey::Client(key), value);
    }
    let is_anonymous = is_yes(builder.get_config_value(&GoogleConfigKey::SkipSignature));
    let store = builder.build().map_err(|error| Failure::configuration(address, &error))?;
    if !is_anonymous {
        let found = store.credentials().get_credential().await;
        found.map_err(|error| Failure::credentials(address, &error))?;
    }
    Ok(Arc::new(store))
}

async fn azure(address: &Address) -> Result<Arc<dyn Store>, Failure> {
    let mut builder = MicrosoftAzureBuilder::from_env().with_retry(retries());
    builder = if address.root.contains('@') {
        builder.with_url(&address.root)
    } else {
        builder.with_container_name(&address.bucket)
    };
    for (key, value) in client() {
        builder = builder.with_config(AzureConfigKey::Client(key), value);
    }
    let is_anonymous = is_yes(builder.get_config_value(&AzureConfigKey::SkipSignature));
    let store = builder.build().map_err(|error| Failure::configuration(address, &error))?;
    if !is_anonymous {
        let found = store.credentials().get_credential().await;
        found.map_err(|error| Failure::credentials(address, &error))?;
    }
    Ok(Arc::new(store))
}
