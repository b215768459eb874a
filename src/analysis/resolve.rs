//! What a user means by the name of a suspect: a service, an operation, an edge, or a place in the ranking.

use super::evidence::Evidence;
use crate::compare::attribute::Subject;
use crate::error::Error;
use crate::rank::Ranking;

/// Names offered where none fits.
const MAX_HINTS: usize = 5;

/// What an account is about, as codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// Index of a service.
    Service(u32),
    /// Index of a service and code of the operation's name.
    Operation(u32, u32),
    /// Indices of caller and callee.
    Edge(u32, u32),
}

impl Target {
    /// Subjects that belong to it.
    pub(super) fn subjects(&self, evidence: Evidence<'_>) -> Vec<u32> {
        let attribution = &evidence.comparison.attribution;
        let subjects = attribution.subjects.iter().zip(&attribution.blamed);
        let own = (0_u32..).zip(subjects).filter(|(_, (subject, blamed))| match (self, subject) {
            (Self::Service(service), _) => *blamed == service,
            (Self::Operation(service, name), Subject::Operation(of, operation)) => (service, name) == (of, operation),
            (Self::Edge(caller, callee), Subject::Edge(from, to)) => (caller, callee) == (from, to),
            _ => false,
        });
        own.map(|(index, _)| index).collect()
    }
}

/// Everything that can be asked for, by name.
struct Names {
    services: Vec<(String, Target)>,
    operations: Vec<(String, String, Target)>,
    edges: Vec<(String, String, Target)>,
}

impl Names {
    fn new(evidence: Evidence<'_>) -> Self {
        let forest = evidence.forest;
        let service = |index: u32| forest.services[index as usize].name.clone();
        let services =
            (0_u32..).zip(forest.services.iter()).map(|(index, one)| (one.name.clone(), Target::Service(index)));
        let (mut operations, mut edges) = (Vec::new(), Vec::new());
        for &subject in &evidence.comparison.attribution.subjects {
            match subject {
                Subject::Operation(of, name) => {
                    operations.push((service(of), forest.name(name).to_owned(), Target::Operation(of, name)));
                }
                Subject::Edge(caller, callee) => {
                    edges.push((service(caller), service(callee), Target::Edge(caller, callee)));
                }
            }
        }
        Self { services: services.collect(), operations, edges }
    }

    /// What fits exactly under `same`, a service before an operation before an edge.
    fn find(&self, text: &str, same: impl Fn(&str, &str) -> bool) -> Option<Target> {
        let service = self.services.iter().find(|(name, _)| same(name, text)).map(|(_, target)| target);
        let pair = |pairs: &[(String, String, Target)], separator: &str| {
            let cuts: Vec<(&str, &str)> = text
                .match_indices(separator)
                .map(|(at, _)| (text[..at].trim(), text[at + separator.len()..].trim()))
                .collect();
            let fits = |(first, second, _): &&(String, String, Target)| {
                cuts.iter().any(|(left, right)| same(first, left) && same(second.trim(), right))
            };
            pairs.iter().find(fits).map(|(_, _, target)| target.clone())
        };
        service.cloned().or_else(|| pair(&self.operations, ":")).or_else(|| pair(&self.edges, "->"))
    }

    /// The one operation of this name, whatever its service.
    fn only_operation(&self, text: &str) -> Option<Target> {
        let mut own = self.operations.iter().filter(|(_, operation, _)| operation == text).map(|(_, _, target)| target);
        let first = own.next()?;
        own.all(|target| target == first).then(|| first.clone())
    }

    /// All that can be asked for, as the user may write it.
    fn spelled(&self) -> Vec<String> {
        let services = self.services.iter().map(|(name, _)| name.clone());
        let operations = self.operations.iter().map(|(service, operation, _)| format!("{service}: {operation}"));
        let edges = self.edges.iter().map(|(caller, callee, _)| format!("{caller} -> {callee}"));
        let mut all: Vec<String> = services.chain(operations).chain(edges).collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

/// The target that `text` names.
///
/// # Errors
/// [`Error::NotFound`] with the names most like it.
pub(super) fn resolve(evidence: Evidence<'_>, ranking: &Ranking, text: &str) -> Result<Target, Error> {
    let text = text.trim();
    let names = Names::new(evidence);
    let ignoring_case = |left: &str, right: &str| left.to_lowercase() == right.to_lowercase();
    let found = names
        .find(text, |left, right| left == right)
        .or_else(|| names.only_operation(text))
        .or_else(|| names.find(text, ignoring_case));
    if let Some(target) = found {
        return Ok(or_edge(evidence, target));
    }
    if let Ok(rank) = text.parse::<usize>() {
        return match rank.checked_sub(1).and_then(|place| ranking.services.get(place)) {
            Some(ranked) => Ok(Target::Service(ranked.service)),
            None => Err(Error::NotFound {
                message: format!("there is no suspect {rank}"),
                hint: match ranking.services.len() {
                    0 => "no service got worse; ask for one by its name".to_owned(),
                    n_services => format!("places go from 1 to {n_services}; or ask by name"),
                },
            }),
        };
    }
    let near: Vec<String> = nearest(text, names.spelled()).into_iter().map(|name| format!("`{name}`")).collect();
    Err(Error::NotFound {
        message: format!("there is no service, operation or edge `{text}` in the windows"),
        hint: format!("the names most like it are {}", near.join(", ")),
    })
}

/// A client span's time is the way to whom it calls: where its operation did nothing else, what is meant is the edge.
fn or_edge(evidence: Evidence<'_>, target: Target) -> Target {
    let Target::Operation(service, name) = target else { return target };
    let (comparison, forest) = (evidence.comparison, evidence.forest);
    let did_something = target.subjects(evidence).into_iter().any(|subject| {
        let rows = comparison.attribution.rows.iter().zip(&comparison.rows);
        rows.filter(|(key, _)| key.subject == subject).any(|(_, row)| row.value != 0.0)
            || comparison.subjects[subject as usize].value != 0.0
            || comparison.failures[subject as usize].value != 0.0
    });
    let peers = forest.operations.iter().filter(|operation| (operation.service, operation.name) == (service, name));
    let mut edges = peers.filter_map(|operation| operation.peer).map(|peer| Target::Edge(service, peer));
    let edge = edges.find(|edge| !edge.subjects(evidence).is_empty());
    edge.filter(|_| !did_something).unwrap_or(target)
}

/// The names most like `text`: those that contain it or are contained in it, then by the fewest edits.
pub(crate) fn nearest(text: &str, names: Vec<String>) -> Vec<String> {
    let wanted = text.to_lowercase();
    let mut scored: Vec<(bool, usize, String)> = names
        .into_iter()
        .map(|name| {
            let lower = name.to_lowercase();
            let contains = !wanted.is_empty() && (lower.contains(&wanted) || wanted.contains(&lower));
            (!contains, n_edits(&wanted, &lower), name)
        })
        .collect();
    scored.sort_unstable();
    scored.truncate(MAX_HINTS);
    scored.into_iter().map(|(_, _, name)| name).collect()
}

/// Levenshtein distance of the first 64 characters.
fn n_edits(left: &str, right: &str) -> usize {
    const MAX_CHARS: usize = 64;
    let right: Vec<char> = right.chars().take(MAX_CHARS).collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (above, one) in left.chars().take(MAX_CHARS).enumerate() {
        let mut diagonal = row[0];
        row[0] = above + 1;
        for (place, &other) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(one != other);
            diagonal = row[place + 1];
            row[place + 1] = replaced.min(row[place] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}
