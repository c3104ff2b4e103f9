//! Cuts slices that are larger than the plan's into tiles of one size.
//!
//! A slice that fits is one tile. Tiles of one volume are all of one size, as few as possible, and as near
//! to disjoint as that allows: two neighbours share less than a pixel for each tile along their axis.

use fedtwin_plan::cohort_need::ImageNeed;
use fedtwin_plan::record::VolumeRecord;

/// A rectangle of one slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tile {
    /// The slice, counted from 0 in the patient's volume.
    pub slice: usize,
    /// Its first row.
    pub row: usize,
    /// Its first column.
    pub column: usize,
    /// Its rows and columns.
    pub size: [usize; 2],
}

impl Tile {
    /// Returns where a row of the tile begins in the volume's image and mask.
    ///
    /// # Panics
    /// If the volume does not have the tile.
    #[must_use]
    pub fn row_in(&self, volume: &VolumeRecord, row: usize) -> usize {
        let [slices, height, width] = volume.shape;
        let [rows, columns] = self.size;
        assert!(self.slice < slices && row < rows, "a row of the tile");
        assert!(self.row + rows <= height && self.column + columns <= width, "a tile of the volume");
        (self.slice * height + self.row + row) * width + self.column
    }
}

/// All tiles of a volume, numbered slice by slice, row by row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tiling {
    slices: usize,
    rows: Cut,
    columns: Cut,
}

/// How one axis is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cut {
    axis: usize,
    tiles: usize,
    size: usize,
}

impl Tiling {
    /// Cuts slices of a volume of `shape` (`[slices, height, width]`) to at most the plan's height and width.
    #[must_use]
    pub fn new([slices, height, width]: [usize; 3], need: &ImageNeed) -> Self {
        Self {
            slices,
            rows: Cut::new(height, need.height.size()),
            columns: Cut::new(width, need.width.size()),
        }
    }

    /// Returns the number of tiles.
    #[must_use]
    pub fn count(&self) -> usize {
        self.slices * self.rows.tiles * self.columns.tiles
    }

    /// Returns the rows and columns of every tile.
    #[must_use]
    pub fn size(&self) -> [usize; 2] {
        [self.rows.size, self.columns.size]
    }

    /// Returns a tile.
    #[must_use]
    pub fn tile(&self, number: usize) -> Tile {
        let (rest, column) = (number / self.columns.tiles, number % self.columns.tiles);
        let (slice, row) = (rest / self.rows.tiles, rest % self.rows.tiles);
        Tile { slice, row: self.rows.start(row), column: self.columns.start(column), size: self.size() }
    }

    /// Returns all tiles in the order of their numbers.
    pub fn tiles(&self) -> impl Iterator<Item = Tile> + '_ {
        (0..self.count()).map(|number| self.tile(number))
    }
}

impl Cut {
    fn new(axis: usize, size_max: usize) -> Self {
        let tiles = axis.div_ceil(size_max).max(1);
        Self { axis, tiles, size: axis.div_ceil(tiles) }
    }

    /// The first tile begins at the start of the axis and the last ends at its end.
    fn start(&self, number: usize) -> usize {
        match self.tiles {
            1 => 0,
            tiles => number * (self.axis - self.size) / (tiles - 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn need(height: i64, width: i64) -> ImageNeed {
        ImageNeed {
            height: height.try_into().unwrap(),
            width: width.try_into().unwrap(),
            slices_per_patient: 4.try_into().unwrap(),
            coordinates: false,
            tiles: true,
        }
    }

    #[test]
    fn a_slice_that_fits_is_one_tile() {
        let tiling = Tiling::new([3, 5, 8], &need(5, 9));
        let tiles: Vec<_> = tiling.tiles().collect();
        let whole = |slice| Tile { slice, row: 0, column: 0, size: [5, 8] };
        assert_eq!(tiles, [whole(0), whole(1), whole(2)]);
    }

    #[test]
    fn tiles_cover_every_pixel_and_share_less_than_one_for_each_tile() {
        for axis in 1..60 {
            for size_max in 1..20 {
                let tiling = Tiling::new([2, axis, 1], &need(i64::try_from(size_max).unwrap(), 1));
                let mut covered = vec![0; 2 * axis];
                for tile in tiling.tiles() {
                    assert!(tile.size[0] <= size_max && tile.row + tile.size[0] <= axis);
                    let start = tile.slice * axis + tile.row;
                    covered[start..start + tile.size[0]].iter_mut().for_each(|times| *times += 1);
                }
                assert!(covered.iter().all(|&times| times >= 1), "{axis} by {size_max}");
                let twice = covered.iter().sum::<usize>() - 2 * axis;
                assert!(twice < 2 * tiling.rows.tiles, "{axis} by {size_max}: {twice} pixels twice");
                assert_eq!(tiling.count(), 2 * axis.div_ceil(size_max));
            }
        }
    }

    #[test]
    fn tiles_are_numbered_slice_by_slice_and_row_by_row() {
        let tiling = Tiling::new([2, 4, 6], &need(2, 3));
        let places: Vec<_> = tiling.tiles().map(|tile| (tile.slice, tile.row, tile.column)).collect();
        let slice = |slice| [(slice, 0, 0), (slice, 0, 3), (slice, 2, 0), (slice, 2, 3)];
        assert_eq!(places, [slice(0), slice(1)].concat());
        assert_eq!(tiling.size(), [2, 3]);
    }
}
