//! An object of a web server: one address, one answer, of whatever length.
//!
//! The client is that of `object_store`, used without its store, which refuses answers that do not tell their length.

use super::address::Address;
use super::connect::{CONNECT_TIMEOUT, MAX_RETRIES, STALL_TIMEOUT, pause};
use super::failure::{Failure, Kind};
use base64::Engine;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use object_store::client::{HttpClient, HttpConnector, HttpError, HttpRequest, HttpRequestBody, ReqwestConnector};
use object_store::{ClientOptions, HeaderValue};
use std::sync::OnceLock;
use url::Url;

/// The parts of an answer's body, as they come in.
pub(super) type Body = BoxStream<'static, Result<Bytes, HttpError>>;

/// One client for all, so that connections are used again.
fn client() -> Option<&'static HttpClient> {
    static CLIENT: OnceLock<Option<HttpClient>> = OnceLock::new();
    let connect = || {
        let options = ClientOptions::new().with_timeout_disabled().with_connect_timeout(CONNECT_TIMEOUT);
        ReqwestConnector::default().connect(&options.with_allow_http(true)).ok()
    };
    CLIENT.get_or_init(connect).as_ref()
}

/// Asks for an object, again if that may help; only for its first bytes if there is a `limit`, which a server may ignore.
pub(super) async fn get(address: &Address, limit: Option<u64>) -> Result<Body, Failure> {
    let mut n_retries = 0;
    loop {
        match attempt(address, limit, n_retries).await {
            Err(failure) if failure.kind == Kind::Passing && n_retries < MAX_RETRIES => {
                n_retries += 1;
                tokio::time::sleep(pause(n_retries)).await;
            }
            result => return result,
        }
    }
}

async fn attempt(address: &Address, limit: Option<u64>, n_retries: usize) -> Result<Body, Failure> {
    let client = client().ok_or_else(|| Failure::of("no client could be made for web servers"))?;
    let request = request(address, limit).ok_or_else(|| Failure::of("this is no address of a web server"))?;
    let answer = tokio::time::timeout(STALL_TIMEOUT, client.execute(request)).await;
    let answer = answer.map_err(|_| Failure::stalled(address))?;
    let answer = answer.map_err(|error| Failure::of_http(address, &error, &address.bucket, n_retries))?;
    match answer.status().as_u16() {
        200..300 => Ok(answer.into_body().bytes_stream()),
        status => Err(Failure::of_status(address, status, n_retries)),
    }
}

fn request(address: &Address, limit: Option<u64>) -> Option<HttpRequest> {
    let mut url = address.url.clone()?;
    url.set_fragment(None);
    let authorization = authorization(&url);
    url.set_username("").ok()?;
    url.set_password(None).ok()?;
    let mut request = HttpRequest::new(HttpRequestBody::empty());
    *request.uri_mut() = url.as_str().parse().ok()?;
    if let Some(authorization) = authorization {
        let mut value = HeaderValue::try_from(authorization).ok()?;
        value.set_sensitive(true);
        request.headers_mut().insert("authorization", value);
    }
    if let Some(limit) = limit {
        let range = format!("bytes=0-{}", limit.saturating_sub(1));
        request.headers_mut().insert("range", HeaderValue::try_from(range).ok()?);
    }
    Some(request)
}

/// Name and password of an address, as a server wants them.
fn authorization(url: &Url) -> Option<String> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let mut plain = decoded(url.username());
    plain.push(b':');
    plain.extend(decoded(url.password().unwrap_or_default()));
    Some(format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(plain)))
}

/// Text without its `%XX`.
fn decoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|digits| byte == b'%' && digits.iter().all(u8::is_ascii_hexdigit));
        let code = digits.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        bytes.push(code.unwrap_or(byte));
        rest = if code.is_some() { &after[2..] } else { after };
    }
    bytes
}
