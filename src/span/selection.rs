//! Which attributes are worth keeping.

/// Values of one key beyond which it names things one by one: an id, a URL with ids in it, a message.
///
/// A value that carries a change has many calls, so of a key with more values most carry nothing; and a key costs its texts.
pub const MAX_DISTINCT: u32 = 10_000;

/// Which attributes `ingest` keeps. The others are not decoded.
#[derive(Clone, Debug)]
pub enum AttributeSelection {
    /// Every attribute.
    All,
    /// Only these keys, in both scopes; sorted.
    Keys(Vec<String>),
    /// These keys, sorted, and every other that may tell calls apart: one that does not name each of them, nor what came of them, and
    /// has at most [`MAX_DISTINCT`] values. Of a key with more, what is kept depends on the order in which spans were read.
    Telling(Vec<String>),
}

impl AttributeSelection {
    /// The same and these keys.
    #[must_use]
    pub fn and(mut self, more: Vec<String>) -> Self {
        if let Self::Keys(keys) | Self::Telling(keys) = &mut self {
            keys.extend(more);
            keys.sort_unstable();
            keys.dedup();
        }
        self
    }

    /// Whether attributes with this key are kept, as far as the key tells.
    #[must_use]
    pub fn wants(&self, key: &str) -> bool {
        match self {
            Self::All => true,
            Self::Keys(_) => self.names(key),
            Self::Telling(_) => tells_calls_apart(key) || self.names(key),
        }
    }

    /// Whether the key is one of those named.
    pub(crate) fn names(&self, key: &str) -> bool {
        match self {
            Self::All => false,
            Self::Keys(keys) | Self::Telling(keys) => keys.binary_search_by(|known| known.as_str().cmp(key)).is_ok(),
        }
    }
}

/// Whether a key may say where a call ran, for whom or what with, by OpenTelemetry's names and those before them.
///
/// What says how a call ended is no reason for it; code locations name the operation once more; numbers of
/// processes, threads and ports, times and trace context differ everywhere.
#[must_use]
pub fn tells_calls_apart(key: &str) -> bool {
    const PREFIXES: [&str; 12] = [
        "code.",
        "error.",
        "exception.",
        "http.response.",
        "internal.",
        "otel.",
        "otlp.",
        "process.",
        "sampler.",
        "sampling.",
        "span.",
        "thread.",
    ];
    const SUFFIXES: [&str; 9] = [
        ".port",
        "status_code",
        "status.code",
        "status_text",
        "stacktrace",
        "timestamp",
        "trace_id",
        "span_id",
        "traceparent",
    ];
    let is_named = matches!(
        key,
        "service.name"
            | "error"
            | "sample_rate"
            | "SampleRate"
            | "w3c.tracestate"
            | "tracestate"
            | "status"
            | "http.response_content_length"
            | "http.response_content_length_uncompressed"
            | "http.resend_count"
            | "http.request.resend_count"
            | "duration"
            | "duration_ms"
    );
    !is_named
        && !PREFIXES.iter().any(|prefix| key.starts_with(prefix))
        && !SUFFIXES.iter().any(|suffix| key.ends_with(suffix))
}

#[cfg(test)]
mod tests {
    use super::{AttributeSelection, tells_calls_apart};

    #[test]
    fn where_for_whom_and_with_what_tell_calls_apart_and_outcomes_and_numbers_do_not() {
        for key in ["host.name", "service.version", "tenant.id", "cloud.region", "http.route", "feature_flag.variant"] {
            assert!(tells_calls_apart(key), "{key}");
        }
        for key in ["http.status_code", "exception.type", "thread.id", "net.peer.port", "error", "w3c.tracestate"] {
            assert!(!tells_calls_apart(key), "{key}");
        }
    }

    #[test]
    fn keys_that_are_named_are_kept_whatever_they_say() {
        let selection = AttributeSelection::Telling(vec!["http.status_code".to_owned()]);
        assert!(selection.wants("http.status_code") && selection.wants("tenant") && !selection.wants("thread.id"));
    }
}
