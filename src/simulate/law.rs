//! Laws of time: what a scenario may say of how long something takes.

use super::random::{Keyed, mix, uniform};
use rand_distr::{Distribution, Exp, Gamma, LogNormal, Pareto};
use serde::{Deserialize, Serialize};

/// No time is longer than this, an hour: a Pareto law of a small exponent would else stop the clock.
const LONGEST_MS: f64 = 3_600_000.0;

/// A law of times in milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "law", rename_all = "snake_case", deny_unknown_fields)]
pub enum Law {
    /// Always the same.
    Constant {
        /// The time.
        ms: f64,
    },
    /// Without memory.
    Exponential {
        /// Mean.
        mean_ms: f64,
    },
    /// The usual shape of latency.
    LogNormal {
        /// Median.
        median_ms: f64,
        /// Standard deviation of the logarithm.
        sigma: f64,
    },
    /// A sum of steps.
    Gamma {
        /// Shape: the number of steps.
        shape: f64,
        /// Mean.
        mean_ms: f64,
    },
    /// A heavy tail.
    Pareto {
        /// The least.
        least_ms: f64,
        /// Exponent of the tail; the mean is finite above 1.
        exponent: f64,
    },
    /// One of several, by weight.
    Mixture {
        /// The laws.
        parts: Vec<Part>,
    },
}

/// A law in a mixture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// How often, relative to the others.
    pub weight: f64,
    /// What then.
    #[serde(rename = "of")]
    pub law: Law,
}

/// What is wrong with a law.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The key, after those that lead to it and the places in lists, with dots between.
    pub key: String,
    /// What is wrong with it.
    pub message: String,
}

impl Law {
    /// The usual shape of latency.
    #[must_use]
    pub fn log_normal(median_ms: f64, sigma: f64) -> Self {
        Self::LogNormal { median_ms, sigma }
    }

    /// Mean of the law in milliseconds; infinite for a Pareto law of an exponent of 1 or less.
    #[must_use]
    pub fn mean_ms(&self) -> f64 {
        match self {
            Self::Constant { ms } => *ms,
            Self::Exponential { mean_ms } | Self::Gamma { mean_ms, .. } => *mean_ms,
            Self::LogNormal { median_ms, sigma } => median_ms * (sigma * sigma / 2.0).exp(),
            Self::Pareto { exponent, .. } if *exponent <= 1.0 => f64::INFINITY,
            Self::Pareto { least_ms, exponent } => least_ms * exponent / (exponent - 1.0),
            Self::Mixture { parts } => {
                let total: f64 = parts.iter().map(|part| part.weight).sum();
                parts.iter().map(|part| part.weight / total * part.law.mean_ms()).sum()
            }
        }
    }

    /// The law, ready to draw from; what is wrong with its numbers otherwise.
    pub fn sampler(&self) -> Result<Sampler, Wrong> {
        let wrong = |key: &str, message: String| Wrong { key: key.to_owned(), message };
        let time = |name: &str, value: f64| match value {
            value if value.is_finite() && (0.0..=LONGEST_MS).contains(&value) => Ok(value),
            _ => Err(wrong(name, format!("`{name}` is {value}, expected milliseconds from 0 to an hour"))),
        };
        let positive = |name: &str, value: f64| match value {
            value if value.is_finite() && value > 0.0 => Ok(value),
            _ => Err(wrong(name, format!("`{name}` is {value}, expected a number above 0"))),
        };
        let refused = |error: &dyn std::fmt::Display| wrong("law", error.to_string());
        Ok(match self {
            Self::Constant { ms } => Sampler::Constant(time("ms", *ms)?),
            Self::Exponential { mean_ms } => {
                let mean_ms = positive("mean_ms", time("mean_ms", *mean_ms)?)?;
                Sampler::Exponential(Exp::new(1.0 / mean_ms).map_err(|error| refused(&error))?)
            }
            Self::LogNormal { median_ms, sigma } => {
                let median_ms = positive("median_ms", time("median_ms", *median_ms)?)?;
                if !(0.0..=10.0).contains(sigma) {
                    return Err(wrong("sigma", format!("`sigma` is {sigma}, expected a number from 0 to 10")));
                }
                Sampler::LogNormal(LogNormal::new(median_ms.ln(), *sigma).map_err(|error| refused(&error))?)
            }
            Self::Gamma { shape, mean_ms } => {
                let (shape, mean_ms) = (positive("shape", *shape)?, positive("mean_ms", time("mean_ms", *mean_ms)?)?);
                Sampler::Gamma(Gamma::new(shape, mean_ms / shape).map_err(|error| refused(&error))?)
            }
            Self::Pareto { least_ms, exponent } => {
                let least_ms = positive("least_ms", time("least_ms", *least_ms)?)?;
                Sampler::Pareto(
                    Pareto::new(least_ms, positive("exponent", *exponent)?).map_err(|error| refused(&error))?,
                )
            }
            Self::Mixture { parts } if parts.is_empty() => return Err(wrong("parts", "`parts` is empty".to_owned())),
            Self::Mixture { parts } => {
                let (mut total, mut samplers) = (0.0, Vec::new());
                for (place, part) in parts.iter().enumerate() {
                    let inside = |key: &str, wrong: Wrong| Wrong { key: format!("parts.{place}.{key}"), ..wrong };
                    total += positive("weight", part.weight).map_err(|wrong| inside("weight", wrong))?;
                    let law = part.law.sampler().map_err(|wrong| inside(&format!("of.{}", wrong.key), wrong))?;
                    samplers.push((total, law));
                }
                Sampler::Mixture(samplers)
            }
        })
    }
}

/// A law to draw from.
#[derive(Clone, Debug)]
pub enum Sampler {
    /// See [`Law::Constant`].
    Constant(f64),
    /// See [`Law::Exponential`].
    Exponential(Exp<f64>),
    /// See [`Law::LogNormal`].
    LogNormal(LogNormal<f64>),
    /// See [`Law::Gamma`].
    Gamma(Gamma<f64>),
    /// See [`Law::Pareto`].
    Pareto(Pareto<f64>),
    /// Sums of the weights so far, and the laws.
    Mixture(Vec<(f64, Sampler)>),
}

impl Sampler {
    /// The time of this key, milliseconds.
    #[must_use]
    pub fn draw_ms(&self, key: u64) -> f64 {
        let mut random = Keyed(key);
        let ms = match self {
            Self::Constant(ms) => *ms,
            Self::Exponential(law) => law.sample(&mut random),
            Self::LogNormal(law) => law.sample(&mut random),
            Self::Gamma(law) => law.sample(&mut random),
            Self::Pareto(law) => law.sample(&mut random),
            Self::Mixture(parts) => {
                let total = parts.last().map_or(0.0, |(sum, _)| *sum);
                let at = uniform(mix(key, 1)) * total;
                parts.iter().find(|(sum, _)| at < *sum).map_or(0.0, |(_, law)| law.draw_ms(mix(key, 2)))
            }
        };
        ms.min(LONGEST_MS)
    }

    /// The time of this key, whole nanoseconds.
    #[must_use]
    pub fn draw_ns(&self, key: u64) -> i64 {
        ns(self.draw_ms(key))
    }
}

/// Milliseconds as nanoseconds.
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "at most some hours, and a cast of a float saturates")]
pub fn ns(ms: f64) -> i64 {
    (ms * 1e6).round() as i64
}
