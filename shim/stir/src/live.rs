//! Places that threads came by, each in the list once, in the order in which they were found. Threads add,
//! the watchdog reads.

use core::sync::atomic::{AtomicU32, Ordering};

use hangscope_protocol::random::Random;

/// Numbers below `u32::MAX`. A place that was drawn and is not written yet is 0.
pub(crate) struct Live<const N: usize> {
    len: AtomicU32,
    places: [AtomicU32; N],
}

impl<const N: usize> Live<N> {
    pub(crate) const fn none() -> Live<N> {
        Live { len: AtomicU32::new(0), places: [const { AtomicU32::new(0) }; N] }
    }

    /// Adds a number; beyond `N` of them it is lost.
    pub(crate) fn add(&self, number: u32) {
        let at = self.len.fetch_add(1, Ordering::Relaxed) as usize;
        if let Some(place) = self.places.get(at) {
            place.store(number + 1, Ordering::Release);
        }
    }

    /// The number that was found as the `index`th, from 0.
    pub(crate) fn get(&self, index: u32) -> Option<u32> {
        self.places.get(index as usize)?.load(Ordering::Acquire).checked_sub(1)
    }

    /// One of them.
    pub(crate) fn draw(&self, random: &mut Random) -> Option<u32> {
        let len = (self.len.load(Ordering::Relaxed) as usize).min(N);
        self.get(random.below(len as u64) as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_is_drawn_and_what_is_too_much_is_lost() {
        static LIVE: Live<3> = Live::none();
        let mut random = Random::new(1);
        assert_eq!(LIVE.draw(&mut random), None);
        for number in [7, 0, 9, 11] {
            LIVE.add(number);
        }
        let mut drawn = [0; 12];
        for _ in 0..300 {
            drawn[LIVE.draw(&mut random).expect("one of three") as usize] += 1;
        }
        assert!([7, 0, 9].iter().all(|number| drawn[*number] > 60), "{drawn:?}");
        assert_eq!((LIVE.get(2), LIVE.get(3), drawn[11]), (Some(9), None, 0));
    }
}
