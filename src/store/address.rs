use super::failure::Failure;
use std::path::Path;
use url::Url;

/// A kind of server and how it is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    /// Amazon S3 and whatever speaks its protocol.
    S3,
    /// Google Cloud Storage.
    Google,
    /// Azure Blob Storage.
    Azure,
    /// Any web server; an address is one object.
    Http,
}

/// Schemes that stand for a server. The long ones of Azure are Hadoop's.
const SCHEMES: [(&str, Service); 8] = [
    ("s3", Service::S3),
    ("s3a", Service::S3),
    ("gs", Service::Google),
    ("az", Service::Azure),
    ("abfs", Service::Azure),
    ("abfss", Service::Azure),
    ("http", Service::Http),
    ("https", Service::Http),
];

/// An address that the user gave, taken apart.
#[derive(Clone, Debug)]
pub(super) struct Address {
    pub(super) service: Service,
    /// `scheme://authority`, without secrets.
    pub(super) root: String,
    /// The bucket or container; the host of a web server.
    pub(super) bucket: String,
    /// What follows the authority, as it is written: a key, a prefix, or a pattern. Empty for a web server.
    pub(super) key: String,
    /// The whole address of a web server's object, secrets included.
    pub(super) url: Option<Url>,
}

/// The service that a text's scheme stands for, and what follows `://`.
fn split(text: &str) -> Option<(Service, &str)> {
    let (scheme, rest) = text.split_once("://")?;
    let found = SCHEMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(scheme))?;
    Some((found.1, rest))
}

/// Whether a path is the address of an object or folder on a server.
#[must_use]
pub fn is_remote(path: &Path) -> bool {
    path.to_str().is_some_and(|text| split(text).is_some())
}

/// Why a path that looks like an address is none: its scheme stands for no server.
#[must_use]
pub fn unknown(path: &Path) -> Option<Failure> {
    let (scheme, _) = path.to_str()?.split_once("://")?;
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    let known = SCHEMES.map(|(name, _)| format!("`{name}://`"));
    let reason = format!("`{scheme}://` stands for no server that is read");
    (is_scheme && !is_remote(path)).then(|| Failure::with(reason, format!("addresses begin with {}", known.join(", "))))
}

/// The address as messages may show it: without the user's name and password and without the query, which may be a
/// signature.
#[must_use]
pub fn shown(path: &Path) -> String {
    let text = path.display().to_string();
    let Some((service, rest)) = split(&text) else {
        return match text.split_once("://").filter(|_| unknown(path).is_some()) {
            Some((scheme, rest)) => format!("{scheme}://{}", rest.rsplit_once('@').map_or(rest, |(_, rest)| rest)),
            None => text,
        };
    };
    let scheme = &text[..text.len() - rest.len()];
    let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(authority_end);
    // The part before the `@` is a container in Azure's long addresses.
    let authority = match (service, authority.rsplit_once('@')) {
        (Service::Http | Service::S3 | Service::Google, Some((_, host))) => host,
        _ => authority,
    };
    let rest = match (service, rest.find(['?', '#'])) {
        (Service::Http, Some(query)) => format!("{}?...", &rest[..query]),
        _ => rest.to_owned(),
    };
    format!("{scheme}{authority}{rest}")
}

impl Address {
    /// Takes an address apart; the error says what is wrong with it.
    pub(super) fn parse(path: &Path) -> Result<Self, String> {
        let text = path.to_str().ok_or("an address is UTF-8 text")?;
        let (service, rest) = split(text).ok_or("no address of a server")?;
        if service == Service::Http {
            let url = Url::parse(text).map_err(|error| error.to_string())?;
            let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
            let bucket = format!("{}{port}", url.host_str().unwrap_or_default());
            let root = shown(path);
            return Ok(Self { service, root, bucket, key: String::new(), url: Some(url) });
        }
        let (authority, key) = rest.split_once('/').unwrap_or((rest, ""));
        // `az://container@account.blob.core.windows.net`
        let bucket = authority.split('@').next().unwrap_or(authority);
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@' | ':');
        if bucket.is_empty() || !authority.chars().all(is_name) {
            let noun = service.noun();
            return Err(format!("`{authority}` is no name of a {noun}; expected `{}`", service.example()));
        }
        let root = format!("{}{authority}", &text[..text.len() - rest.len()]);
        Ok(Self { service, root, bucket: bucket.to_owned(), key: key.to_owned(), url: None })
    }

    /// The address of an object of the same bucket.
    pub(super) fn name_of(&self, key: &str) -> String {
        format!("{}/{key}", self.root)
    }
}

impl Service {
    /// What the service calls a bucket.
    pub(super) fn noun(self) -> &'static str {
        match self {
            Self::S3 | Self::Google => "bucket",
            Self::Azure => "container",
            Self::Http => "host",
        }
    }

    fn example(self) -> &'static str {
        match self {
            Self::S3 => "s3://BUCKET/PREFIX/",
            Self::Google => "gs://BUCKET/PREFIX/",
            Self::Azure => "az://CONTAINER/PREFIX/",
            Self::Http => "https://HOST/FILE",
        }
    }
}
