//! What went wrong with a server, in words for the person who has to mend it: what happened, and what would be right.
//!
//! Nothing of a request is repeated but the server's name: an address may hold a signature, and so may a library's
//! message about it. Of an answer only the code and sentence that the protocol has for errors are shown.

use super::address::{Address, Service};
use crate::error::Error;
use object_store::client::{HttpError, HttpErrorKind};
use std::error::Error as StdError;
use std::path::Path;

/// Why an object or folder cannot be had.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What happened.
    pub reason: String,
    /// What would be right; empty if there is nothing to add.
    pub hint: String,
    pub(super) kind: Kind,
    /// How often it was tried, if more than one answer stands behind it.
    pub(super) n_tries: Option<usize>,
}

/// What follows from a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// There is a bucket, but nothing by this name in it.
    Missing,
    /// It may go well another time.
    Passing,
    /// The server is there and says nothing: it has been waited for long enough.
    Stalled,
    /// It will not go well.
    Final,
}

/// A server's sentence is no longer than this, in characters.
const MAX_SENTENCE: usize = 200;

impl Failure {
    pub(super) fn of(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), hint: String::new(), kind: Kind::Final, n_tries: None }
    }

    pub(super) fn with(reason: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { hint: hint.into(), ..Self::of(reason) }
    }

    /// The failure as the error of a run that cannot do without `path`.
    #[must_use]
    pub fn into_error(self, path: &Path) -> Error {
        Error::Remote { address: super::shown(path), reason: self.told(), hint: self.hint }
    }

    /// The failure in one line, for the report of one input of several.
    #[must_use]
    pub fn line(&self) -> String {
        let reason = self.told();
        if self.hint.is_empty() { reason } else { format!("{reason}; {}", self.hint) }
    }

    fn told(&self) -> String {
        match self.n_tries {
            Some(1) => format!("{} (1 try)", self.reason),
            Some(n_tries) => format!("{} ({n_tries} tries)", self.reason),
            None => self.reason.clone(),
        }
    }

    /// The failure after so many tries.
    pub(super) fn after(self, n_tries: usize) -> Self {
        Self { n_tries: Some(n_tries), ..self }
    }

    pub(super) fn missing(address: &Address) -> Self {
        let reason = match address.service {
            Service::Http => "the server has no such file".to_owned(),
            _ => {
                format!("there is no such object in {} `{}`, and none below it", address.service.noun(), address.bucket)
            }
        };
        Self { kind: Kind::Missing, ..Self::of(reason) }
    }

    pub(super) fn no_credentials(address: &Address, why: &str) -> Self {
        Self::with(format!("no credentials: {why}"), credentials_hint(address.service))
    }

    /// The environment does not say enough, or says it wrongly.
    pub(super) fn configuration(address: &Address, error: &object_store::Error) -> Self {
        let innermost = innermost(error);
        let hint = match address.service {
            Service::Azure if innermost.contains("Account") => {
                "set `AZURE_STORAGE_ACCOUNT_NAME`, or write `az://CONTAINER@ACCOUNT.blob.core.windows.net/PREFIX/`"
            }
            service => credentials_hint(service),
        };
        Self::with(format!("the connection cannot be set up: {innermost}"), hint)
    }

    /// Credentials had to be asked for, and were not given.
    pub(super) fn credentials(address: &Address, error: &object_store::Error) -> Self {
        let asked = server(&error.to_string()).map_or_else(String::new, |server| format!(" at {server}"));
        let why = match (http_error(error), status(&error.to_string())) {
            (Some(_), _) => format!("none are set, and nobody gives them out{asked} ({})", innermost(error)),
            (None, Some(status)) => format!("none are set, and they were refused{asked} with status {status}"),
            (None, None) => format!("none could be had ({})", innermost(error)),
        };
        Self::no_credentials(address, &why)
    }

    /// A request failed.
    pub(super) fn of_request(address: &Address, error: &object_store::Error) -> Self {
        let text = error.to_string();
        let server = server(&text).unwrap_or_else(|| address.bucket.clone());
        if let Some(http) = http_error(error) {
            return Self::of_http(address, http, &server, retries(&text));
        }
        let (code, sentence) = (tag(&text, "Code"), tag(&text, "Message"));
        let said = match (&code, &sentence) {
            (Some(code), Some(sentence)) => format!(" ({code}: {sentence})"),
            (Some(only), None) | (None, Some(only)) => format!(" ({only})"),
            (None, None) => String::new(),
        };
        match (code.as_deref(), status(&text)) {
            (Some("NoSuchBucket" | "ContainerNotFound"), _) => Self::no_bucket(address, &server),
            (Some("InvalidAccessKeyId"), _) => {
                Self::with(format!("{server} does not know the access key{said}"), credentials_hint(address.service))
            }
            (Some("SignatureDoesNotMatch"), _) => Self::with(
                format!("the secret key does not belong to the access key{said}"),
                credentials_hint(address.service),
            ),
            (Some("ExpiredToken" | "InvalidToken" | "TokenRefreshRequired"), _) => {
                Self::with(format!("the session token is no longer valid{said}"), credentials_hint(address.service))
            }
            (Some("RequestTimeTooSkewed"), _) => Self::with(
                format!("{server} has another time than this machine{said}"),
                "set the clock of this machine",
            ),
            (Some("AuthorizationHeaderMalformed" | "PermanentRedirect" | "IllegalLocationConstraintException"), _)
            | (_, Some(301 | 307)) => Self::region(address, &said),
            _ if text.contains("redirect without LOCATION") => Self::region(address, &said),
            (_, Some(401 | 403)) => Self::with(format!("access denied by {server}{said}"), access_hint(address)),
            (_, Some(404)) | (Some("NoSuchKey" | "BlobNotFound"), _) => Self::missing(address),
            (_, Some(status @ 500..)) => {
                Self { kind: Kind::Passing, ..Self::of(failing(&server, status)) }.after(retries(&text) + 1)
            }
            (_, Some(status)) => Self::of(format!("{server} answered with status {status}{said}")),
            (_, None) => Self::of(format!("{server}: {}", innermost(error))),
        }
    }

    /// The server could not be spoken to.
    pub(super) fn of_http(address: &Address, error: &HttpError, server: &str, n_retries: usize) -> Self {
        let innermost = innermost(error);
        let lower = innermost.to_ascii_lowercase();
        if ["certificate", "tls", "ssl", "handshake", "corrupt message", "invalidcontenttype"]
            .iter()
            .any(|word| lower.contains(word))
        {
            let hint = "`SSL_CERT_FILE` names certificates to trust; a server without TLS wants `http://`";
            return Self::with(format!("no secure connection to {server}: {innermost}"), hint);
        }
        if lower.contains("too many redirects") {
            return Self::of(format!("{server} redirects in a circle, or too often"));
        }
        let reason = match error.kind() {
            HttpErrorKind::Connect => format!("cannot reach {server}: {innermost}"),
            HttpErrorKind::Timeout => format!("{server} did not answer in time"),
            _ => format!("the connection to {server} broke off: {innermost}"),
        };
        Self { kind: Kind::Passing, ..Self::with(reason, reach_hint(address.service)) }.after(n_retries + 1)
    }

    /// A web server's answer that is not the file.
    pub(super) fn of_status(address: &Address, status: u16, n_retries: usize) -> Self {
        let server = &address.bucket;
        match status {
            404 | 410 => Self::missing(address),
            401 | 403 => Self::with(
                format!("access denied by {server} (status {status})"),
                "a signed address may have expired; a name and password go before the host: `https://NAME:PASSWORD@HOST/`",
            ),
            408 | 429 | 500.. => Self { kind: Kind::Passing, ..Self::of(failing(server, status)) }.after(n_retries + 1),
            _ => Self::of(format!("{server} answered with status {status}")),
        }
    }

    /// The server said nothing for too long.
    pub(super) fn stalled(address: &Address) -> Self {
        let seconds = super::connect::STALL_TIMEOUT.as_secs();
        let reason = format!("{} sent nothing for {seconds} s", address.bucket);
        Self { kind: Kind::Stalled, ..Self::with(reason, reach_hint(address.service)) }
    }

    /// Whether asking for something else there would only be waited for again.
    pub(super) fn is_out_of_reach(&self) -> bool {
        matches!(self.kind, Kind::Passing | Kind::Stalled)
    }

    fn no_bucket(address: &Address, server: &str) -> Self {
        let noun = address.service.noun();
        let hint = match address.service {
            Service::S3 => "check its name; a server other than Amazon's is named by `AWS_ENDPOINT_URL`",
            Service::Azure => "check its name and `AZURE_STORAGE_ACCOUNT_NAME`",
            Service::Google | Service::Http => "check its name",
        };
        Self::with(format!("there is no {noun} `{}` at {server}", address.bucket), hint)
    }

    fn region(address: &Address, said: &str) -> Self {
        let reason = format!("{} `{}` is in another region{said}", address.service.noun(), address.bucket);
        Self::with(reason, "set `AWS_REGION` to the region of the bucket")
    }
}

fn failing(server: &str, status: u16) -> String {
    format!("{server} fails with status {status}")
}

fn credentials_hint(service: Service) -> &'static str {
    match service {
        Service::S3 => {
            "set `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY` (`aws configure export-credentials --format env` prints them), \
             or `AWS_SKIP_SIGNATURE=true` for a public bucket"
        }
        Service::Google => {
            "set `GOOGLE_APPLICATION_CREDENTIALS` to a key file, run `gcloud auth application-default login`, or set \
             `GOOGLE_SKIP_SIGNATURE=true` for a public bucket"
        }
        Service::Azure => {
            "set `AZURE_STORAGE_ACCOUNT_KEY`, `AZURE_STORAGE_SAS_KEY` or `AZURE_STORAGE_TOKEN`, or \
             `AZURE_SKIP_SIGNATURE=true` for a public container"
        }
        Service::Http => "a name and password go before the host: `https://NAME:PASSWORD@HOST/`",
    }
}

fn access_hint(address: &Address) -> String {
    match address.service {
        Service::S3 => format!(
            "the key needs `s3:ListBucket` and `s3:GetObject` on bucket `{}`; without any, set `AWS_ACCESS_KEY_ID` and \
             `AWS_SECRET_ACCESS_KEY`",
            address.bucket
        ),
        Service::Google => "the account needs the role Storage Object Viewer on the bucket".to_owned(),
        service => credentials_hint(service).to_owned(),
    }
}

fn reach_hint(service: Service) -> &'static str {
    match service {
        Service::S3 => "check the network, `AWS_ENDPOINT_URL` and `AWS_REGION`",
        Service::Google => "check the network and `GOOGLE_BASE_URL`",
        Service::Azure => "check the network, `AZURE_STORAGE_ACCOUNT_NAME` and `AZURE_ENDPOINT`",
        Service::Http => "check the address and the network",
    }
}

/// The chain of causes, the error itself first.
fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn StdError + 'static)| (*error).source())
}

fn http_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a HttpError> {
    chain(error).find_map(|error| error.downcast_ref::<HttpError>())
}

/// The first cause, which names no address.
fn innermost(error: &(dyn StdError + 'static)) -> String {
    let text = chain(error).last().map_or_else(String::new, ToString::to_string);
    cut(text.trim_start_matches("failed to lookup address information: "))
}

fn cut(text: &str) -> String {
    text.trim().chars().take(MAX_SENTENCE).collect()
}

/// Scheme and host of the first address in a library's message.
fn server(text: &str) -> Option<String> {
    let at = text.find("://")?;
    let start = text[..at].rfind(|c: char| !c.is_ascii_alphanumeric()).map_or(0, |before| before + 1);
    let rest = &text[at + 3..];
    let host = rest.split(['/', '?', ' ']).next()?.rsplit('@').next()?;
    Some(format!("{}://{host}", &text[start..at]))
}

/// The number of retries that a library's message tells.
fn retries(text: &str) -> usize {
    let count = || text.split_once("after ")?.1.split_once(" retries")?.0.parse().ok();
    count().unwrap_or(0)
}

/// The HTTP status that a library's message tells.
fn status(text: &str) -> Option<u16> {
    text.split_once("non-2xx status code: ")?.1.get(..3)?.parse().ok()
}

/// What stands in the first element by this name of an answer in XML.
fn tag(text: &str, name: &str) -> Option<String> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    let (content, _) = rest.split_once(&format!("</{name}>"))?;
    Some(cut(content)).filter(|content| !content.is_empty())
}
