//! Objects on servers, which are a few lines here on loopback; `tests/object_store` asks a real one.

mod parquet;

use crate::program::{Run, run_in, run_with};
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use suspect::store;

/// A request: its method, its path with the query, and its headers by lower-case names.
struct Request {
    method: String,
    target: String,
    headers: BTreeMap<String, String>,
}

/// An answer: its status, further headers, its body.
type Answer = (u16, Vec<String>, Vec<u8>);

/// A server on loopback that answers as told and remembers what it was asked.
struct Server {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn new(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port on loopback");
        let address = listener.local_addr().expect("an address").to_string();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (answer, log) = (Arc::new(answer), Arc::clone(&asked));
        // Ends with the test process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answer, log) = (Arc::clone(&answer), Arc::clone(&log));
                std::thread::spawn(move || serve(&stream, &*answer, &log));
            }
        });
        Self { address, asked }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The environment of somebody who keeps objects here.
    fn s3(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ENDPOINT_URL", self.url("")),
            ("AWS_ACCESS_KEY_ID", "AKIATEST".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "not a secret".to_owned()),
        ]
    }

    fn n_asked(&self, part: &str) -> usize {
        self.asked.lock().expect("no panic").iter().filter(|asked| asked.contains(part)).count()
    }
}

fn serve(stream: &TcpStream, answer: &dyn Fn(&Request) -> Answer, asked: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream);
    while let Some(request) = receive(&mut reader) {
        asked.lock().expect("no panic").push(format!("{} {}", request.method, request.target));
        let (status, headers, body) = answer(&request);
        let told = headers.iter().any(|header| header.starts_with("Content-Length") || header.starts_with("Transfer"));
        let length = if told { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        let headers = headers.iter().map(|header| format!("{header}\r\n")).collect::<Vec<_>>().concat();
        let head = format!("HTTP/1.1 {status} So\r\n{length}{headers}\r\n");
        let body = if request.method == "HEAD" { &[][..] } else { &body };
        let mut stream = stream;
        // A reader may have gone.
        if stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).is_err() || told {
            break;
        }
    }
    let _ = stream.shutdown(Shutdown::Both);
}

fn receive(reader: &mut impl BufRead) -> Option<Request> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line.trim_end().is_empty() {
            break;
        }
        lines.push(line.trim_end().to_owned());
    }
    let mut words = lines.first()?.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let headers = lines[1..].iter().filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
    Some(Request { method, target, headers })
}

fn ok(body: impl Into<Vec<u8>>) -> Answer {
    (200, vec!["Last-Modified: Wed, 01 May 2024 14:00:00 GMT".to_owned(), "ETag: \"1\"".to_owned()], body.into())
}

fn status(status: u16, code: &str) -> Answer {
    let body = format!("<Error><Code>{code}</Code><Message>because of {code}</Message></Error>");
    (status, Vec::new(), body.into_bytes())
}

/// A trace of one span every two seconds.
fn spans(first: u64) -> String {
    let span = |index: u64| {
        let start = 1_714_572_000_000_000_000 + index * 2_000_000_000;
        format!(
            r#"{{"traceId":"{index:032x}","spanId":"{index:016x}","name":"GET /cart","startTimeUnixNano":"{start}","endTimeUnixNano":"{}"}}"#,
            start + 20_000_000 + index
        )
    };
    let spans: Vec<String> = (first..first + 10).map(span).collect();
    let resource = r#"{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]}"#;
    format!(r#"{{"resourceSpans":[{{"resource":{resource},"scopeSpans":[{{"spans":[{}]}}]}}]}}"#, spans.join(","))
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

/// A bucket `b` of these objects, as S3 and Google's XML interface show it, two objects a page.
fn bucket(objects: Vec<(&'static str, Vec<u8>)>) -> Server {
    Server::new(move |request| {
        let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
        let Some(key) = path.strip_prefix("/b").filter(|key| key.is_empty() || key.starts_with('/')) else {
            return status(404, "NoSuchBucket");
        };
        let key = decoded(key.trim_start_matches('/'));
        if key.is_empty() {
            return listing(&objects, query);
        }
        let Some((_, body)) = objects.iter().find(|(name, _)| *name == key) else { return status(404, "NoSuchKey") };
        match request.headers.get("range").and_then(|range| range.strip_prefix("bytes=0-")?.parse::<usize>().ok()) {
            Some(last) => {
                let (status, mut headers, part) = ok(&body[..=last.min(body.len() - 1)]);
                headers.push(format!("Content-Range: bytes 0-{}/{}", part.len() - 1, body.len()));
                (status + 6, headers, part)
            }
            None => ok(body.clone()),
        }
    })
}

fn listing(objects: &[(&'static str, Vec<u8>)], query: &str) -> Answer {
    let parameter = |name: &str| {
        let value = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        decoded(value.unwrap_or_default())
    };
    let (prefix, token) = (parameter("prefix"), parameter("continuation-token"));
    let from = if token.is_empty() { parameter("start-after") } else { token };
    let n_keys = parameter("max-keys").parse().unwrap_or(2).min(2);
    let mut names: Vec<_> = objects.iter().filter(|(name, _)| name.starts_with(&prefix) && **name > *from).collect();
    names.sort();
    let more = names.len() > n_keys;
    let escaped = |name: &str| name.replace('&', "&amp;");
    let contents = names
        .iter()
        .take(n_keys)
        .map(|(name, body)| {
            format!(
                "<Contents><Key>{}</Key><LastModified>2024-05-01T14:00:00.000Z</LastModified><Size>{}</Size><ETag>1</ETag></Contents>",
                escaped(name),
                body.len()
            )
        })
        .collect::<Vec<_>>().concat();
    let next = if more {
        format!("<NextContinuationToken>{}</NextContinuationToken>", escaped(names[n_keys - 1].0))
    } else {
        String::new()
    };
    ok(format!("<ListBucketResult><IsTruncated>{more}</IsTruncated>{contents}{next}</ListBucketResult>"))
}

fn decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(&part[..2], 16).expect("two digits"));
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).expect("UTF-8")
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// Runs the program with this environment and none that asks anybody else for credentials.
fn run(arguments: &[&str], environment: &[(&str, String)]) -> Run {
    let home = folder();
    let home_path = home.path().to_str().expect("UTF-8").to_owned();
    let mut all = vec![("HOME", home_path.as_str()), ("AWS_EC2_METADATA_DISABLED", "true")];
    all.extend(environment.iter().map(|(name, value)| (*name, value.as_str())));
    run_with(home.path(), arguments, &all)
}

/// The names of sources that `inspect` read, and the number of spans.
fn inspected(run: &Run) -> (Vec<String>, u64) {
    let document = run.json();
    let sources = document["sources"].as_array().expect("sources");
    let names = sources.iter().map(|source| source["path"].as_str().expect("a path").to_owned()).collect();
    (names, document["n_spans"].as_u64().expect("a number"))
}

#[test]
fn an_object_of_a_web_server_is_read_like_a_file_and_its_secrets_are_not_shown() {
    let server = Server::new(|request| match request.target.as_str() {
        "/spans%20of%20today?sig=SECRET&x=1" if request.headers["authorization"] == "Basic bmFtZTpzOmNyZXQ=" => {
            ok(gzip(&spans(1)))
        }
        _ => status(404, "no"),
    });
    let url = format!("http://name:s%3Acret@{}/spans of today?sig=SECRET&x=1#part", server.address);
    let run = run(&["inspect", &url, "--format", "json"], &[]);
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    assert_eq!(inspected(&run), (vec![server.url("/spans of today?...")], 10));
    assert!(!run.stdout.contains("SECRET") && !run.stdout.contains("cret@"), "{}", run.stdout);
}

#[test]
fn an_answer_of_unknown_length_is_read() {
    let server = Server::new(|_| {
        let (text, mut body) = (spans(1), Vec::new());
        for part in text.as_bytes().chunks(300) {
            body.extend(format!("{:x}\r\n", part.len()).into_bytes());
            body.extend([part, b"\r\n"].concat());
        }
        body.extend(b"0\r\n\r\n");
        (200, vec!["Transfer-Encoding: chunked".to_owned()], body)
    });
    let run = run(&["inspect", &server.url("/"), "--format", "json"], &[]);
    assert_eq!(inspected(&run).1, 10, "{}", run.stderr);
}

#[test]
fn a_web_server_that_fails_or_breaks_off_is_asked_again() {
    let n_asked = AtomicUsize::new(0);
    let server = Server::new(move |_| match n_asked.fetch_add(1, Ordering::Relaxed) {
        0 => status(503, "busy"),
        1 => (200, vec!["Content-Length: 100000".to_owned()], spans(1).into_bytes()),
        _ => ok(spans(1)),
    });
    let run = run(&["inspect", &server.url("/s.json"), "--format", "json"], &[]);
    assert_eq!((run.status, inspected(&run).1), (Some(0), 10), "{}", run.stderr);
    assert_eq!(server.n_asked("GET"), 3);
}

#[test]
fn a_redirection_is_followed() {
    let server = Server::new(|request| match request.target.as_str() {
        "/old" => (302, vec!["Location: /new?key=1".to_owned()], Vec::new()),
        "/new?key=1" => ok(spans(1)),
        _ => status(404, "no"),
    });
    assert_eq!(inspected(&run(&["inspect", &server.url("/old"), "--format", "json"], &[])).1, 10);
}

#[test]
fn a_web_server_that_refuses_is_an_error_that_says_what_would_be_right() {
    let server = Server::new(|request| match request.target.as_str() {
        "/secret?sig=SECRET" => status(403, "no"),
        "/broken" => status(500, "no"),
        _ => status(404, "no"),
    });
    let said = |path: &str| {
        let run = run(&["inspect", &server.url(path)], &[]);
        assert_eq!((run.status, run.stdout.as_str()), (Some(2), ""), "{}", run.stderr);
        run.stderr.replace(&server.address, "HOST")
    };
    insta::assert_snapshot!(said("/nothing"), @"error: cannot read `http://HOST/nothing`: the server has no such file");
    insta::assert_snapshot!(said("/secret?sig=SECRET"), @r"
    error: cannot read `http://HOST/secret?...`: access denied by HOST (status 403)

    hint: a signed address may have expired; a name and password go before the host: `https://NAME:PASSWORD@HOST/`
    ");
    insta::assert_snapshot!(said("/broken"), @"error: cannot read `http://HOST/broken`: HOST fails with status 500 (5 tries)");
}

#[test]
fn a_server_that_is_not_there_is_an_error_after_a_few_tries() {
    let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
    let url = format!("http://127.0.0.1:{port}");
    let keys = [("AWS_ACCESS_KEY_ID", "k".to_owned()), ("AWS_SECRET_ACCESS_KEY", "s".to_owned())];
    let s3 = [&keys[..], &[("AWS_ENDPOINT_URL", url.clone())]].concat();
    for (address, environment) in [(format!("{url}/x"), &[][..]), ("s3://b/x".to_owned(), &s3)] {
        let run = run(&["inspect", &address], environment);
        assert_eq!(run.status, Some(2), "{}", run.stderr);
        let reached = format!("127.0.0.1:{port}: Connection refused (os error 111) (5 tries)\n\nhint: check the");
        assert!(run.stderr.contains("cannot reach ") && run.stderr.contains(&reached), "{}", run.stderr);
    }
}

#[test]
fn a_web_object_that_is_missing_beside_a_file_is_a_warning_and_status_1() {
    let server = Server::new(|_| status(404, "no"));
    let folder = folder();
    fs::write(folder.path().join("s.json"), spans(1)).expect("a file is written");
    let run = run_in(folder.path(), &["inspect", "s.json", &server.url("/x?sig=SECRET")]);
    assert_eq!(run.status, Some(1));
    let warning =
        format!("warning: `{}` could not be read: cannot read: the server has no such file\n", server.url("/x?..."));
    assert_eq!(run.stderr, warning);
}

#[test]
fn a_prefix_is_read_like_a_folder_over_many_pages() {
    let server = bucket(vec![
        ("t/a-b/1.json", spans(1).into_bytes()),
        ("t/a/", Vec::new()),
        ("t/a/2 &%#?.json.gz", gzip(&spans(11))),
        ("t/a/readme.txt", b"no spans".to_vec()),
        ("t/.hidden/x.json", spans(21).into_bytes()),
        ("t/z.json", spans(31).into_bytes()),
        ("tea/other.json", spans(41).into_bytes()),
    ]);
    for address in ["s3://b/t", "s3://b/t/"] {
        let run = run(&["inspect", address, "--format", "json"], &server.s3());
        assert_eq!(run.status, Some(0), "{}", run.stderr);
        let names = ["t/a/2 &%#?.json.gz", "t/a/readme.txt", "t/a-b/1.json", "t/z.json"];
        // The order of folders on disk, where `a` comes before `a-b`.
        assert_eq!(inspected(&run), (names.map(|name| format!("s3://b/{name}")).to_vec(), 30));
    }
}

#[test]
fn a_key_that_cannot_be_asked_for_costs_itself_alone_and_a_marker_of_an_empty_folder_nothing() {
    let server = bucket(vec![
        ("q//x.csv", spans(1).into_bytes()),
        ("q/1.json", spans(11).into_bytes()),
        ("q/2.json", spans(21).into_bytes()),
        ("q/3//y/z.json", spans(31).into_bytes()),
        ("q/4.json", spans(41).into_bytes()),
        ("q/empty.json", Vec::new()),
        ("q/empty/", Vec::new()),
        ("q/z.json", spans(51).into_bytes()),
    ]);
    let run = run(&["inspect", "s3://b/q/", "--format", "json"], &server.s3());
    assert_eq!(run.status, Some(1), "{}", run.stderr);
    let (names, n_spans) = inspected(&run);
    let expected = ["1.json", "2.json", "4.json", "empty.json", "z.json", "/x.csv", "3//y/z.json"];
    assert_eq!((names, n_spans), (expected.map(|name| format!("s3://b/q/{name}")).to_vec(), 40));
    for key in ["q//x.csv", "q/3//y/z.json"] {
        let warning = format!(
            "warning: `s3://b/{key}` could not be read: cannot read: `{key}` has a part that is empty, `.` or `..`\n"
        );
        assert!(run.stderr.contains(&warning), "{}", run.stderr);
    }
    assert_eq!(run.stderr.matches("warning: ").count(), 2, "{}", run.stderr);
}

#[test]
fn an_answer_that_always_breaks_off_and_a_redirection_to_itself_are_told_as_they_are() {
    let server = Server::new(|request| match request.target.as_str() {
        "/circle" => (302, vec!["Location: /circle".to_owned()], Vec::new()),
        _ => (200, vec!["Content-Length: 100000".to_owned()], spans(1).into_bytes()),
    });
    let said = |path: &str| {
        let run = run(&["inspect", &server.url(path)], &[]);
        assert_eq!((run.status, run.stdout.as_str()), (Some(2), ""), "{}", run.stderr);
        run.stderr.replace(&server.address, "HOST").lines().next().expect("a line").to_owned()
    };
    let broken = said("/short");
    assert!(broken.contains("the connection to HOST broke off") && broken.ends_with("(5 tries)"), "{broken}");
    assert_eq!(server.n_asked("GET /short"), 5);
    insta::assert_snapshot!(said("/circle"), @"error: cannot read `http://HOST/circle`: HOST redirects in a circle, or too often");
    assert!(server.n_asked("GET /circle") <= 11);
}

#[test]
fn a_profile_of_aws_that_is_nowhere_is_named() {
    let run = run(&["inspect", "s3://b/x"], &[("AWS_PROFILE", "nope".to_owned())]);
    assert_eq!(run.status, Some(2));
    let expected =
        "no credentials: neither `~/.aws/credentials` nor `~/.aws/config` has the profile `nope` of `AWS_PROFILE`";
    assert!(run.stderr.contains(expected), "{}", run.stderr);
}

#[test]
fn a_pattern_matches_objects_and_folders() {
    let server = bucket(vec![
        ("t/a/1.json", spans(1).into_bytes()),
        ("t/b/2.json", spans(11).into_bytes()),
        ("t/b/c/3.json", spans(21).into_bytes()),
        ("t/b/c/4.csv", spans(31).into_bytes()),
        ("u[1].json", spans(41).into_bytes()),
    ]);
    let names = |pattern: &str| {
        let run = run(&["inspect", &format!("s3://b/{pattern}"), "--format", "json"], &server.s3());
        assert_eq!(run.status, Some(0), "{pattern}: {}", run.stderr);
        inspected(&run).0.iter().map(|name| name["s3://b/".len()..].to_owned()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names("t/*/*.json"), "t/a/1.json t/b/2.json");
    assert_eq!(names("t/**/*.json"), "t/a/1.json t/b/2.json t/b/c/3.json");
    assert_eq!(names("t/b*"), "t/b/2.json t/b/c/3.json t/b/c/4.csv");
    // An object whose name looks like a pattern.
    assert_eq!(names("u[1].json"), "u[1].json");
}

#[test]
fn addresses_of_no_server_and_patterns_on_a_web_server_are_told_with_what_would_be_right() {
    let run = run(&["analyze", "ftp://me:secret@host/a.json"], &[]);
    assert_eq!(run.status, Some(2));
    assert!(run.stderr.contains("cannot read `ftp://host/a.json`: `ftp://` stands for no server"), "{}", run.stderr);
    assert!(run.stderr.contains("addresses begin with `s3://`") && !run.stderr.contains("secret"), "{}", run.stderr);
    let run = self::run(&["analyze", "http://127.0.0.1:1/day/*.csv"], &[]);
    assert_eq!(run.status, Some(2));
    assert!(run.stderr.contains("patterns do not work there"), "{}", run.stderr);
}

#[test]
fn many_objects_are_read_in_order_at_any_number_of_threads() {
    let names: Vec<&'static str> = (0..40).map(|index| &*format!("t/{index:02}.json").leak()).collect();
    let server =
        bucket(names.iter().zip(0..).map(|(&name, index)| (name, spans(1 + 10 * index).into_bytes())).collect());
    let with = |threads| run(&["inspect", "s3://b/t/", "--format", "json", "--threads", threads], &server.s3());
    let (one, three) = (with("1"), with("3"));
    assert_eq!(inspected(&one).1, 400, "{}", one.stderr);
    assert_eq!(one.stdout, three.stdout);
}

#[test]
fn buckets_credentials_and_rights_that_are_missing_are_told_apart() {
    let empty = bucket(vec![("x/y", vec![1])]);
    let said = |server: &Server, address: &str, environment: &[(&str, String)]| {
        let run = run(&["inspect", address], environment);
        assert_eq!((run.status, run.stdout.as_str()), (Some(2), ""), "{}", run.stderr);
        run.stderr.replace(&server.address, "HOST").lines().next().expect("a line").to_owned()
    };
    let of_bucket = |address: &str| said(&empty, address, &empty.s3());
    insta::assert_snapshot!(of_bucket("s3://nowhere/x/"), @"error: cannot read `s3://nowhere/x/`: there is no bucket `nowhere` at http://HOST");
    insta::assert_snapshot!(of_bucket("s3://b/nothing"), @"error: cannot read `s3://b/nothing`: there is no such object in bucket `b`, and none below it");
    insta::assert_snapshot!(of_bucket("s3://b/x/*.json"), @"error: cannot read `s3://b/x/*.json`: there is no such object in bucket `b`, and none below it");
    insta::assert_snapshot!(of_bucket("s3://b/x//y"), @"error: cannot read `s3://b/x//y`: `x//y` has a part that is empty, `.` or `..`");
    insta::assert_snapshot!(of_bucket("s3:///x"), @"error: cannot read `s3:///x`: `` is no name of a bucket; expected `s3://BUCKET/PREFIX/`");
    insta::assert_snapshot!(said(&empty, "s3://b/x", &[]), @"error: cannot read `s3://b/x`: no credentials: neither the environment nor `~/.aws` has keys");
    insta::assert_snapshot!(said(&empty, "az://c/x", &[]), @"error: cannot read `az://c/x`: the connection cannot be set up: Account must be specified");

    let refuse = |code: &'static str| Server::new(move |_| status(403, code));
    let of_code = |code| {
        let server = refuse(code);
        said(&server, "s3://b/x", &server.s3())
    };
    insta::assert_snapshot!(of_code("InvalidAccessKeyId"), @"error: cannot read `s3://b/x`: http://HOST does not know the access key (InvalidAccessKeyId: because of InvalidAccessKeyId)");
    insta::assert_snapshot!(of_code("SignatureDoesNotMatch"), @"error: cannot read `s3://b/x`: the secret key does not belong to the access key (SignatureDoesNotMatch: because of SignatureDoesNotMatch)");
    insta::assert_snapshot!(of_code("ExpiredToken"), @"error: cannot read `s3://b/x`: the session token is no longer valid (ExpiredToken: because of ExpiredToken)");
    insta::assert_snapshot!(of_code("AccessDenied"), @"error: cannot read `s3://b/x`: access denied by http://HOST (AccessDenied: because of AccessDenied)");
    let moved = Server::new(|_| status(301, "PermanentRedirect"));
    insta::assert_snapshot!(said(&moved, "s3://b/x", &moved.s3()), @"error: cannot read `s3://b/x`: bucket `b` is in another region");
}

#[test]
fn a_saved_analysis_is_shown_from_its_address_and_cases_at_an_address_are_refused_with_words() {
    let folder = folder();
    fs::write(folder.path().join("s.json"), spans(1)).expect("a file is written");
    let arguments = ["analyze", "s.json", "--baseline", "..+10s", "--regression", "+10s..", "--json", "a.json"];
    let text = run_in(folder.path(), &arguments).complete();
    let saved = fs::read(folder.path().join("a.json")).expect("an analysis");
    let server = bucket(vec![("a.json", saved), ("s.json", spans(1).into_bytes())]);
    assert_eq!(run(&["report", "s3://b/a.json"], &server.s3()).complete(), text);
    let spans = run(&["report", "s3://b/s.json"], &server.s3());
    insta::assert_snapshot!(spans.stderr.lines().next().expect("a line"), @"error: cannot use `s3://b/s.json`: it holds spans (OTLP JSON), no analysis");
    let cases = run(&["eval", "s3://b/cases/"], &server.s3());
    assert_eq!(cases.status, Some(2));
    insta::assert_snapshot!(cases.stderr, @"
    error: `s3://b/cases/` is an address: cases are read from a folder

    hint: copy the cases here first, such as with `aws s3 cp --recursive`
    ");
}

#[test]
fn a_profile_in_a_bucket_is_a_baseline() {
    let folder = folder();
    fs::write(folder.path().join("s.json"), spans(1)).expect("a file is written");
    run_in(folder.path(), &["profile", "s.json", "-o", "b.suspect"]).complete();
    let profile = fs::read(folder.path().join("b.suspect")).expect("a profile");
    let server = bucket(vec![("b.suspect", profile), ("new/s.json", spans(101).into_bytes())]);
    let arguments = ["analyze", "s3://b/new/", "--format", "json", "--baseline-data", "s3://b/b.suspect"];
    let there = run(&arguments, &server.s3());
    fs::write(folder.path().join("new.json"), spans(101)).expect("a file is written");
    let here = ["analyze", "new.json", "--format", "json", "--baseline-data", "b.suspect"];
    assert_eq!(there.stdout.replace("s3://b/new/s.json", "new.json"), run_in(folder.path(), &here).complete());

    let as_spans = run(&["inspect", "s3://b/b.suspect"], &server.s3());
    assert!(as_spans.stderr.contains("a profile, which holds no spans"), "{}", as_spans.stderr);
}

#[test]
fn google_and_azure_are_read_by_their_own_protocols() {
    let google = bucket(vec![("t/1.json", spans(1).into_bytes()), ("t/2.json", spans(11).into_bytes())]);
    let environment = [("GOOGLE_BASE_URL", google.url("")), ("GOOGLE_SKIP_SIGNATURE", "true".to_owned())];
    let run_google = run(&["inspect", "gs://b/t/", "--format", "json"], &environment);
    assert_eq!(inspected(&run_google).1, 20, "{}", run_google.stderr);

    let azure = Server::new(|request| {
        if request.target.contains("comp=list") {
            let properties = "<Properties><Last-Modified>Wed, 01 May 2024 14:00:00 GMT</Last-Modified><Content-Length>9</Content-Length>\
                <Content-Type>x</Content-Type><Etag>1</Etag></Properties>";
            let blob = |name: &str| format!("<Blob><Name>t/{name}</Name>{properties}</Blob>");
            let blobs = [blob("1.json"), blob("2.json")].concat();
            return ok(format!("<EnumerationResults><Blobs>{blobs}</Blobs><NextMarker /></EnumerationResults>"));
        }
        match request.target.as_str() {
            "/c/t/1.json" => ok(spans(1)),
            "/c/t/2.json" => ok(spans(11)),
            _ => (404, Vec::new(), Vec::new()),
        }
    });
    let environment = [
        ("AZURE_STORAGE_ACCOUNT_NAME", "account".to_owned()),
        ("AZURE_ENDPOINT", azure.url("")),
        ("AZURE_SKIP_SIGNATURE", "true".to_owned()),
    ];
    let run_azure = run(&["inspect", "az://c/t", "--format", "json"], &environment);
    assert_eq!(inspected(&run_azure).1, 20, "{}", run_azure.stderr);
}

#[test]
fn a_large_object_waits_in_a_file_that_leaves_no_trace() {
    // Larger than what is kept in memory; blanks are no content.
    let large = [spans(1).into_bytes(), vec![b'\n'; 17 << 20]].concat();
    let server = bucket(vec![("large.json", large)]);
    let temporary = folder();
    let mut environment = server.s3();
    environment.push(("TMPDIR", temporary.path().to_str().expect("UTF-8").to_owned()));
    let read = run(&["inspect", "s3://b/large.json", "--format", "json"], &environment);
    assert_eq!(inspected(&read).1, 10, "{}", read.stderr);
    assert_eq!(fs::read_dir(&temporary).expect("the folder").count(), 0);

    environment.pop();
    environment.push(("TMPDIR", "/nowhere/at/all".to_owned()));
    let nowhere = run(&["inspect", "s3://b/large.json"], &environment);
    assert_eq!(nowhere.status, Some(2));
    assert!(nowhere.stderr.contains("cannot keep it in `/nowhere/at/all`"), "{}", nowhere.stderr);
    assert!(nowhere.stderr.contains("hint: `TMPDIR` names a folder with more room"), "{}", nowhere.stderr);
}

#[test]
fn addresses_are_told_from_paths_and_shown_without_secrets() {
    let shown = |text: &str| store::shown(Path::new(text));
    assert!(
        ["s3://b/k", "S3A://b", "gs://b", "az://c/k", "abfss://c@a.dfs.core.windows.net/k", "HTTPS://h/x"]
            .iter()
            .all(|text| store::is_remote(Path::new(text)))
    );
    assert!(
        ["s3:/b/k", "s3", "./s3://b", "ftp://h/x", "C:\\x", "-"].iter().all(|text| !store::is_remote(Path::new(text)))
    );
    assert_eq!(shown("https://name:word@h:1/x?sig=1#f"), "https://h:1/x?...");
    assert_eq!(shown("s3://b/what?.json"), "s3://b/what?.json");
    assert_eq!(shown("az://c@a.blob.core.windows.net/k"), "az://c@a.blob.core.windows.net/k");
    assert_eq!(shown("plain/p@th?x"), "plain/p@th?x");
    assert_eq!(
        store::read(&PathBuf::from("/nowhere")).expect_err("nothing there").to_string(),
        "cannot read `/nowhere`: No such file or directory (os error 2)"
    );
}

#[test]
fn results_are_not_written_to_addresses() {
    let refused = run(&["graph", "x.json", "-o", "s3://b/graph.dot"], &[]);
    assert_eq!(refused.status, Some(2));
    assert!(
        refused.stderr.contains("`--output s3://b/graph.dot` is an address: results are written to files"),
        "{}",
        refused.stderr
    );
}
