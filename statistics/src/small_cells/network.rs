//! Which counts follow from others, by flows: a table with its totals is a circulation.

/// A count as a flow from one place to another; what flows into a place flows out of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arc {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) count: u64,
    pub(super) kind: Kind,
}

/// What is suppressed rather than the other, if one has to be.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Cell,
    Total,
}

/// Returns which counts to suppress, so that those below `below` are and none of the suppressed follows.
pub(super) fn suppressed(arcs: &[Arc], places: usize, below: u64) -> Vec<bool> {
    let mut network = Network { arcs, places, hidden: arcs.iter().map(|arc| arc.count < below).collect() };
    loop {
        let hidden = network.hidden.clone();
        for i in (0..arcs.len()).filter(|&i| hidden[i]) {
            if network.is_told(i, below) {
                network.hide_around(i, below);
            }
        }
        // Where all are hidden that there are, nothing is left to be done.
        if network.hidden == hidden {
            return hidden;
        }
    }
}

struct Network<'a> {
    arcs: &'a [Arc],
    places: usize,
    hidden: Vec<bool>,
}

/// How much is to flow from one place to another without one of the arcs.
#[derive(Clone, Copy)]
struct Demand {
    without: usize,
    from: usize,
    to: usize,
    wanted: u64,
}

impl Network<'_> {
    /// Whether the suppressed count `i` follows from those shown, or, where it is below `below`, that it is.
    fn is_told(&self, i: usize, below: u64) -> bool {
        let Arc { from, to, count, .. } = self.arcs[i];
        let of_hidden = |i: usize| self.hidden[i].then_some(0);
        let is_met = |demand: Demand| self.flow(demand, of_hidden).0 >= demand.wanted;
        let raised = self.raised(i, below);
        let lowered = Demand { without: i, from, to, wanted: 1 };
        let can_fall = count >= below && count > 0 && is_met(lowered);
        !is_met(raised) && !can_fall
    }

    /// Hides what another table with a larger count `i` changes; of such tables that with the smallest counts changed.
    fn hide_around(&mut self, i: usize, below: u64) {
        let cost = |i: usize| match (self.hidden[i], self.arcs[i].kind) {
            (true, Kind::Cell | Kind::Total) => Some(0),
            (false, Kind::Cell) => Some(u128::from(self.arcs[i].count) + 1),
            (false, Kind::Total) => Some(u128::from(self.arcs[i].count) + TOTAL_COST),
        };
        let (_, used) = self.flow(self.raised(i, below), cost);
        for arc in used {
            self.hidden[arc] = true;
        }
    }

    /// In another table with a larger count `i` the difference flows back around: up to the bound, or one.
    fn raised(&self, i: usize, below: u64) -> Demand {
        let Arc { from, to, count, .. } = self.arcs[i];
        Demand { without: i, from: to, to: from, wanted: below.saturating_sub(count).max(1) }
    }

    /// Returns how much, up to what is wanted, can flow by raising and lowering counts that have a cost, along the
    /// cheapest ways, and which these are.
    fn flow(&self, demand: Demand, cost: impl Fn(usize) -> Option<u128>) -> (u64, Vec<usize>) {
        let mut counts: Vec<_> = self.arcs.iter().map(|arc| arc.count).collect();
        let (mut flowed, mut used) = (0, Vec::new());
        while flowed < demand.wanted {
            let way = self.cheapest(demand, &counts, &cost);
            if way.is_empty() {
                break;
            }
            let lowered = way.iter().filter(|(_, is_along)| !is_along).map(|&(i, _)| counts[i]);
            let rest = demand.wanted - flowed;
            let amount = lowered.min().unwrap_or(rest).min(rest);
            for (i, is_along) in way {
                counts[i] = if is_along { counts[i].saturating_add(amount) } else { counts[i] - amount };
                used.push(i);
            }
            flowed += amount;
        }
        (flowed, used)
    }

    /// Returns the arcs of the cheapest way (Bellman 1958), each with whether it is gone along; empty if there is none.
    fn cheapest(
        &self,
        demand: Demand,
        counts: &[u64],
        cost: &impl Fn(usize) -> Option<u128>,
    ) -> Vec<(usize, bool)> {
        // For each place its cost and the arc that it is reached by.
        let mut reached: Vec<Option<(u128, usize, bool)>> = vec![None; self.places];
        let mut is_changed = true;
        while is_changed {
            is_changed = false;
            for (i, arc) in self.arcs.iter().enumerate().filter(|&(i, _)| i != demand.without) {
                let Some(cost) = cost(i) else { continue };
                for (start, end, is_along) in [(arc.from, arc.to, true), (arc.to, arc.from, false)] {
                    let before = if start == demand.from { Some(0) } else { reached[start].map(|r| r.0) };
                    let Some(before) = before.filter(|_| is_along || counts[i] > 0) else { continue };
                    let is_better = reached[end].is_none_or(|r| before + cost < r.0);
                    if end != demand.from && is_better {
                        reached[end] = Some((before + cost, i, is_along));
                        is_changed = true;
                    }
                }
            }
        }
        let mut way = Vec::new();
        let mut place = demand.to;
        while let Some((_, i, is_along)) = reached[place] {
            way.push((i, is_along));
            place = if is_along { self.arcs[i].from } else { self.arcs[i].to };
        }
        way
    }
}

/// More than all cells together can cost.
const TOTAL_COST: u128 = 1 << 100;

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use crate::small_cells::{Cell, SmallCells, SuppressedTable};

    const BELOW: u64 = 3;
    /// Larger than any count drawn and what raises one to the bound.
    const COUNT_MAX: u64 = 12;

    /// Calls with every table of two rows and three columns, counts up to `COUNT_MAX`, that has the same numbers shown.
    fn each_alike(shown: &SuppressedTable, mut call: impl FnMut(&[[u64; 3]; 2])) {
        let range = |cell: Cell| match cell {
            Cell::Count(count) => count..=count,
            Cell::Suppressed(_) => 0..=COUNT_MAX,
        };
        let is_shown =
            |cell: Cell, count: u64| cell == Cell::Count(count) || matches!(cell, Cell::Suppressed(_));
        let of_row = |row: usize| {
            let (cells, total) = (&shown.cells[row], shown.row_totals[row]);
            let mut rows = Vec::new();
            for a in range(cells[0]) {
                for b in range(cells[1]) {
                    rows.extend(
                        range(cells[2]).map(|c| [a, b, c]).filter(|r| is_shown(total, r.iter().sum())),
                    );
                }
            }
            rows
        };
        let (first, second) = (of_row(0), of_row(1));
        for a in &first {
            for b in &second {
                let columns = (0..3).all(|c| is_shown(shown.column_totals[c], a[c] + b[c]));
                let total: u64 = a.iter().chain(b).sum();
                if columns && is_shown(shown.total, total) {
                    call(&[*a, *b]);
                }
            }
        }
    }

    #[test]
    fn no_suppressed_count_follows_from_what_is_shown() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for _ in 0..150 {
            let counts: Vec<Vec<u64>> =
                (0..2).map(|_| (0..3).map(|_| rng.random_range(0..7)).collect()).collect();
            let shown = SmallCells::new(BELOW).table(&counts).unwrap();
            let mut ranges = [[(u64::MAX, 0); 3]; 2];
            each_alike(&shown, |table| {
                for (range, &count) in ranges.iter_mut().flatten().zip(table.iter().flatten()) {
                    *range = (range.0.min(count), range.1.max(count));
                }
            });
            for ((cell, &count), (low, high)) in
                shown.cells.iter().flatten().zip(counts.iter().flatten()).zip(ranges.into_iter().flatten())
            {
                assert!(low <= count && count <= high, "{counts:?} is one of those that are alike");
                match cell {
                    Cell::Count(shown) => assert!(*shown == count && count >= BELOW, "{counts:?}"),
                    Cell::Suppressed(_) => {
                        assert!(low < high && high >= BELOW, "{counts:?}: {count} is told by {shown:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_table_without_small_counts_is_shown_whole() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        for _ in 0..50 {
            let counts: Vec<Vec<u64>> =
                (0..4).map(|_| (0..3).map(|_| rng.random_range(BELOW..50)).collect()).collect();
            let shown = SmallCells::new(BELOW).table(&counts).unwrap();
            let is_count = |cell: &Cell| matches!(cell, Cell::Count(_));
            assert!(shown.cells.iter().flatten().all(is_count), "{shown:?}");
        }
    }
}
