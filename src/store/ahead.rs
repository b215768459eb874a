use super::connect::runtime;
use super::failure::Failure;
use super::fetch::{Body, download};
use super::list::Object;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Objects that are fetched or wait to be taken, besides those that somebody waits for.
const MAX_AHEAD: usize = 8;
/// How often somebody who waits is told what has arrived.
const TELL_EVERY: Duration = Duration::from_millis(100);

/// Fetches objects before they are asked for, a few at a time, in their order.
#[derive(Debug)]
pub struct Ahead {
    objects: Vec<Object>,
    /// Index of each object by its whole address.
    places: BTreeMap<PathBuf, usize>,
    slots: Mutex<Vec<Slot>>,
    changed: Condvar,
    /// Bytes that have come in.
    n_arrived: AtomicU64,
    /// How many of them somebody has been told of.
    n_told: AtomicU64,
}

#[derive(Debug)]
enum Slot {
    Waiting,
    Running,
    Ready(Result<Body, Failure>),
    Taken,
}

impl Ahead {
    /// Nothing is fetched until the first object is asked for.
    #[must_use]
    pub fn new(objects: Vec<Object>) -> Arc<Self> {
        let places = objects.iter().map(Object::identity).zip(0..).collect();
        let slots = Mutex::new(objects.iter().map(|_| Slot::Waiting).collect());
        let (n_arrived, n_told) = (AtomicU64::new(0), AtomicU64::new(0));
        Arc::new(Self { objects, places, slots, changed: Condvar::new(), n_arrived, n_told })
    }

    /// Waits for an object and takes it; `progress` is told of bytes as they arrive, whichever object's they are.
    ///
    /// # Errors
    /// A [`Failure`] that says why it could not be fetched, or that it has been taken already.
    pub fn take(self: &Arc<Self>, object: &Object, progress: &dyn Fn(u64)) -> Result<Body, Failure> {
        let index = self.places.get(&object.identity()).copied().unwrap_or(usize::MAX);
        let mut slots = self.lock();
        self.start(&mut slots, index);
        self.refill(&mut slots);
        loop {
            match slots.get_mut(index) {
                Some(slot @ Slot::Ready(_)) => {
                    let taken = std::mem::replace(slot, Slot::Taken);
                    self.refill(&mut slots);
                    drop(slots);
                    self.tell(progress);
                    return match taken {
                        Slot::Ready(result) => result,
                        _ => Err(Failure::of("it has been read already")),
                    };
                }
                Some(Slot::Running) => {}
                _ => return Err(Failure::of("it has been read already")),
            }
            (slots, _) = self.changed.wait_timeout(slots, TELL_EVERY).unwrap_or_else(PoisonError::into_inner);
            self.tell(progress);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, progress: &dyn Fn(u64)) {
        let n_arrived = self.n_arrived.load(Ordering::Relaxed);
        let n_told = self.n_told.fetch_max(n_arrived, Ordering::Relaxed);
        if n_arrived > n_told {
            progress(n_arrived - n_told);
        }
    }

    /// Starts the next objects while there is room for them.
    fn refill(self: &Arc<Self>, slots: &mut [Slot]) {
        let n_ahead = slots.iter().filter(|slot| matches!(slot, Slot::Running | Slot::Ready(_))).count();
        let waiting: Vec<usize> =
            (0..slots.len()).filter(|&index| matches!(slots[index], Slot::Waiting)).take(MAX_AHEAD).collect();
        for index in waiting.into_iter().take(MAX_AHEAD.saturating_sub(n_ahead)) {
            self.start(slots, index);
        }
    }

    fn start(self: &Arc<Self>, slots: &mut [Slot], index: usize) {
        let Some(slot @ Slot::Waiting) = slots.get_mut(index) else { return };
        let Some(runtime) = runtime() else {
            *slot = Slot::Ready(Err(Failure::of("no thread could be started for requests")));
            return;
        };
        *slot = Slot::Running;
        let ahead = Arc::clone(self);
        runtime.spawn(async move {
            let result = download(&ahead.objects[index], &ahead.n_arrived).await;
            ahead.lock()[index] = Slot::Ready(result);
            ahead.changed.notify_all();
        });
    }
}
