//! Moments, windows and durations as the user writes and reads them.
