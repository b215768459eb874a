//! Calls that seem to be more, or fewer, because other visits of their caller are waited for.
//!
//! ```text
//! before    b |-|  or with its call of d |--d--|      now    b |-|  or |------d------|     Of b only the visits that call d are
//!           c |-------------|                                c |-------------|             waited for: it calls d in each of them,
//!                                                                                          as often as ever in all its visits.
//! ```
//!
//! With `kappa` calls a visit of the caller on the blamed path, and `kappa'` in all its visits, waited for or not, `sigma = kappa / kappa'` says how much the
//! visits waited for are chosen by the call. Its part of the change of `kappa` is `kappa'_bar D sigma`: no caller calls otherwise for it. Where the call
//! became longer it goes to what made it so, in proportion; else where it goes that the caller is waited for more or less often.

use super::attribute::{Attribution, CALLS};
use super::critical::{add, has_changed, prune, shares_of};
use super::factors::Factors;
use super::hidden::HiddenSums;
use super::paths::{NO_PATH, Scope};
use super::sums::Sums;
use super::unanswered::{Input, Shares};

/// Smaller shares of an effect are left where they are: how many visits are waited for is not known so well.
const MIN_SHARE: f64 = 0.05;
/// Visits of each path: on the blamed path, and where nobody waits.
pub(super) fn everywhere(sums: &Sums, hidden: &HiddenSums) -> Vec<f64> {
    sums.n_visits.iter().zip(hidden).map(|(own, hidden)| own + hidden[0]).collect()
}

/// Of each path the share of the effect of its calls that only shows which visits of the caller are waited for.
pub(super) fn chosen(input: Input<'_>, factors: &[Vec<Factors>; 2]) -> Vec<f64> {
    let share = |(index, path): (usize, &super::paths::Path)| {
        if path.parent == NO_PATH {
            return 0.0;
        }
        let kappa = factors[usize::from(path.scope == Scope::Background)][index].kappa;
        let all = input.everywhere.map(|visits| visits[index] / visits[path.parent as usize]);
        let chosen = [0, 1].map(|window: usize| kappa[window] / all[window]);
        let share = f64::midpoint(all[0], all[1]) * (chosen[1] - chosen[0]) / (kappa[1] - kappa[0]);
        // Not a number where a window has no call, or where nothing changed.
        if share.is_finite() && share > MIN_SHARE { share.min(1.0) } else { 0.0 }
    };
    input.paths.list.iter().enumerate().map(share).collect()
}

/// Of each path with such a share of a large effect whose calls became longer, or shorter, the rows that made them so and their parts of the share.
pub(super) fn causes(input: Input<'_>, attribution: &Attribution, chosen: &[f64], small: f64) -> Vec<Shares> {
    let n_paths = input.paths.len();
    let mut causes = vec![Shares::new(); n_paths];
    // What made a visit longer, by row.
    let mut parts = vec![Shares::new(); n_paths];
    for path in (0..n_paths).rev() {
        let (effects, targets) = (input.effects_of(path), attribution.targets[path]);
        let mut own = std::mem::take(&mut parts[path]);
        for which in 0..CALLS {
            add(&mut own, targets[which], effects[which]);
        }
        let moved = chosen[path] * effects[CALLS];
        if moved.abs() > small && has_changed(input, path, moved) {
            causes[path] = shares_of(&own, moved.signum());
            causes[path].iter_mut().for_each(|(_, share)| *share *= chosen[path]);
        }
        let parent = input.paths.list[path].parent;
        if parent != NO_PATH {
            let above = &mut parts[parent as usize];
            for (row, value) in own {
                add(above, row, value);
            }
            add(above, targets[CALLS], (1.0 - chosen[path]) * effects[CALLS]);
            prune(above);
        }
    }
    causes
}
