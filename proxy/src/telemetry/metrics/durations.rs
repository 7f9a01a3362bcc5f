//! Histograms of how long requests took: one for each shape that an edge has seen, in the order in which they came. The
//! usual request finds its own at the first look, with one load and no lock.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use super::edge::BOUNDS;
use super::room::{HISTOGRAM, Room};
use super::shape::Shape;

/// Shapes that an edge has room for at first, and those that it gets room for at once when it needs more.
const FEW: usize = 4;
const MORE: usize = 28;

/// A histogram.
#[derive(Debug, Default)]
pub(super) struct Durations {
    /// Not cumulative.
    buckets: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
}

/// A histogram as read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Read {
    /// Not cumulative.
    pub(super) buckets: [u64; BOUNDS.len() + 1],
    pub(super) micros: u64,
}

impl Durations {
    pub(super) fn observe(&self, micros: u64) {
        let bucket = BOUNDS.partition_point(|bound| *bound < micros);
        self.buckets[bucket].fetch_add(1, Relaxed);
        self.micros.fetch_add(micros, Relaxed);
    }

    pub(super) fn read(&self) -> Read {
        Read {
            buckets: self.buckets.each_ref().map(|cell| cell.load(Relaxed)),
            micros: self.micros.load(Relaxed),
        }
    }
}

impl Read {
    pub(super) fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (sum, count) in self.buckets.iter_mut().zip(other.buckets) {
            *sum += count;
        }
        self.micros = self.micros.wrapping_add(other.micros);
    }
}

/// The histograms of one edge, at most 32. They come with the first requests: an edge that carries none costs nothing.
#[derive(Debug, Default)]
pub(super) struct ByShape {
    few: OnceLock<Box<[Cell; FEW]>>,
    more: OnceLock<Box<[Cell; MORE]>>,
}

#[derive(Debug, Default)]
struct Cell {
    /// 0 of one that is free. Set once.
    shape: AtomicU32,
    durations: Durations,
}

/// What a look through cells has found.
enum Found<'a> {
    Here(&'a Cell),
    /// It would have to be a new one, and there is no room.
    NoRoom,
    /// All are others'.
    Full,
}

impl ByShape {
    /// The histogram of a shape; `None` if there is no room for one.
    pub(super) fn find(&self, shape: Shape, room: &Room) -> Option<&Durations> {
        let few = self.few.get_or_init(|| Box::new(std::array::from_fn(|_| Cell::default())));
        let found = match find(&few[..], shape, room) {
            Found::Full => {
                let more = || Box::new(std::array::from_fn(|_| Cell::default()));
                find(&self.more.get_or_init(more)[..], shape, room)
            }
            found => found,
        };
        match found {
            Found::Here(cell) => Some(&cell.durations),
            Found::NoRoom | Found::Full => None,
        }
    }

    /// Every shape that was seen.
    pub(super) fn read(&self) -> impl Iterator<Item = (Shape, Read)> {
        self.cells().filter_map(|cell| {
            let shape = Shape::from_stored(cell.shape.load(Relaxed))?;
            Some((shape, cell.durations.read()))
        })
    }

    /// What all of them took of the room.
    pub(super) fn price(&self) -> usize {
        let seen = self.cells().filter_map(|cell| Shape::from_stored(cell.shape.load(Relaxed)));
        seen.map(price).sum()
    }

    fn cells(&self) -> impl Iterator<Item = &Cell> {
        let few = self.few.get().into_iter().flat_map(|cells| cells.iter());
        few.chain(self.more.get().into_iter().flat_map(|cells| cells.iter()))
    }
}

/// A call of gRPC is a request of HTTP too.
fn price(shape: Shape) -> usize {
    HISTOGRAM * if shape.is_grpc() { 2 } else { 1 }
}

fn find<'a>(cells: &'a [Cell], shape: Shape, room: &Room) -> Found<'a> {
    let wanted = shape.to_stored();
    for cell in cells {
        let held = cell.shape.load(Relaxed);
        if held == wanted {
            return Found::Here(cell);
        }
        if held == 0 {
            if !room.take(price(shape)) {
                return Found::NoRoom;
            }
            match cell.shape.compare_exchange(0, wanted, Relaxed, Relaxed) {
                Ok(_) => return Found::Here(cell),
                // Race: another worker was quicker, perhaps with the same shape.
                Err(held) => {
                    room.give(price(shape));
                    if held == wanted {
                        return Found::Here(cell);
                    }
                }
            }
        }
    }
    Found::Full
}

#[cfg(test)]
mod tests {
    use http::{Method, Version};

    use super::super::Observation;
    use super::*;
    use crate::telemetry::conventions::Verb;

    fn shape(status: u16) -> Shape {
        Shape::of(&Observation {
            method: Verb::of(&Method::GET),
            version: Version::HTTP_11,
            grpc: false,
            status,
            grpc_status: None,
            duration: std::time::Duration::ZERO,
            retries: 0,
            mtls: true,
            error: None,
            fallback: false,
        })
    }

    #[test]
    fn each_shape_has_a_histogram_of_its_own_until_there_is_no_room() {
        let (cells, room) = (ByShape::default(), Room::new(3 * HISTOGRAM));
        for _ in 0..2 {
            for status in 200..203 {
                cells.find(shape(status), &room).unwrap().observe(7_000);
            }
        }
        assert!(cells.find(shape(203), &room).is_none());
        let read: Vec<_> = cells.read().map(|(shape, read)| (shape, read.count())).collect();
        assert_eq!(read, [(shape(200), 2), (shape(201), 2), (shape(202), 2)]);
        assert_eq!((cells.price(), room.series().0), (3 * HISTOGRAM, 3 * HISTOGRAM));
    }

    #[test]
    fn an_edge_has_so_many_and_no_more() {
        let (cells, room) = (ByShape::default(), Room::new(usize::MAX / 2));
        let found = (100..600).filter(|status| cells.find(shape(*status), &room).is_some());
        assert_eq!(found.count(), FEW + MORE);
        assert!(cells.find(shape(100), &room).is_some(), "those that are there stay");
    }

    #[test]
    fn workers_that_meet_take_one_cell_for_one_shape() {
        const WORKERS: usize = 4;
        let (cells, room) = (ByShape::default(), Room::new(100 * HISTOGRAM));
        std::thread::scope(|scope| {
            for _ in 0..WORKERS {
                scope.spawn(|| {
                    for status in (200..220).cycle().take(4_000) {
                        cells.find(shape(status), &room).unwrap().observe(1);
                    }
                });
            }
        });
        let counts: Vec<_> = cells.read().map(|(_, read)| read.count()).collect();
        assert_eq!(counts, [WORKERS as u64 * 200; 20]);
        assert_eq!(room.series().0, 20 * HISTOGRAM);
    }
}
