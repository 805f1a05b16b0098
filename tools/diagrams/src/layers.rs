//! A layout in layers, from top to bottom, after Sugiyama: made for charts of a dozen boxes.
//!
//! Boxes are in the even layers. Every edge goes through a point of its own in each layer between
//! its ends, and one of these holds its label, so labels have room like boxes.

/// Width and height.
pub(crate) type Size = (f64, f64);

#[derive(Debug)]
pub(crate) struct Edge {
    pub from: usize,
    pub to: usize,
    /// Nothing if both are 0.
    pub label: Size,
}

/// An edge's way from the box above it to the box below it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Route {
    /// Whether its arrow goes up.
    pub is_reversed: bool,
    /// How far from its box's middle it leaves the upper box, and meets the lower one.
    pub ports: (f64, f64),
    /// Straight downward pieces: x, top and bottom.
    pub pieces: Vec<(f64, f64, f64)>,
    /// The middle of its label.
    pub label: (f64, f64),
}

#[derive(Debug)]
pub(crate) struct Layout {
    /// The middles of the boxes.
    pub boxes: Vec<(f64, f64)>,
    pub routes: Vec<Route>,
    pub size: Size,
}

/// Between two boxes, labels or lines of a layer.
const BESIDE: f64 = 18.0;
/// Between two layers, at least and at most.
const BETWEEN: (f64, f64) = (15.0, 34.0);
/// Between two ends of edges at one box.
const PORTS: f64 = 30.0;
/// A line that is bent by less than this is drawn straight.
const NEAR: f64 = 16.0;

/// A box, or a point that an edge goes through.
#[derive(Debug)]
struct Item {
    size: Size,
    layer: usize,
    /// Connected to these in the layers above and below, each with a weight.
    above: Vec<(usize, f64)>,
    below: Vec<(usize, f64)>,
    x: f64,
    is_box: bool,
}

pub(crate) fn lay_out(boxes: &[Size], edges: &[Edge]) -> Layout {
    let reversed = reversed(boxes.len(), edges);
    let ends = |number: usize| {
        let Edge { from, to, .. } = edges[number];
        match reversed[number] {
            true => (to, from),
            false => (from, to),
        }
    };
    let downward: Vec<_> = (0..edges.len()).map(ends).collect();
    let ranks = ranks(boxes.len(), &downward);
    let mut items: Vec<Item> = boxes
        .iter()
        .zip(&ranks)
        .map(|(size, rank)| Item {
            size: *size,
            layer: 2 * rank,
            above: Vec::new(),
            below: Vec::new(),
            x: 0.0,
            is_box: true,
        })
        .collect();
    // The items that each edge goes through, and which of them holds its label.
    let mut through: Vec<(Vec<usize>, usize)> = Vec::new();
    for (number, (upper, lower)) in downward.iter().enumerate() {
        let (first, last) = (2 * ranks[*upper] + 1, 2 * ranks[*lower]);
        let count = last - first;
        // The label of an edge is where it begins.
        let labelled = if reversed[number] { count - 1 } else { 0 };
        let mut chain = Vec::new();
        let mut before = *upper;
        for place in 0..count {
            let size = if place == labelled {
                edges[number].label
            } else {
                (0.0, 0.0)
            };
            items.push(Item {
                size,
                layer: first + place,
                above: Vec::new(),
                below: Vec::new(),
                x: 0.0,
                is_box: false,
            });
            chain.push(items.len() - 1);
        }
        for next in chain.iter().chain([lower]) {
            // What belongs to one edge is to be one straight line.
            let weight = if items[before].is_box || items[*next].is_box {
                1.0
            } else {
                6.0
            };
            items[before].below.push((*next, weight));
            items[*next].above.push((before, weight));
            before = *next;
        }
        through.push((chain, labelled));
    }
    let layers = order(&items);
    straighten(&mut items, &layers);

    let left = items
        .iter()
        .map(|item| item.x - item.size.0 / 2.0)
        .fold(f64::MAX, f64::min);
    for item in &mut items {
        item.x -= left;
    }
    let width = items
        .iter()
        .map(|item| item.x + item.size.0 / 2.0)
        .fold(0.0, f64::max);
    let ports = ports(&items);
    smooth(&mut items, &through, &downward, &ports);
    let heights = heights(&items, &layers);
    let middle = |item: usize| {
        let (top, bottom) = heights[items[item].layer];
        (items[item].x, (top + bottom) / 2.0)
    };
    let routes = through
        .iter()
        .enumerate()
        .map(|(number, (chain, labelled))| {
            let (upper, lower) = downward[number];
            let (first, last) = (chain[0], chain[chain.len() - 1]);
            Route {
                is_reversed: reversed[number],
                ports: (port(&ports[upper].1, first), port(&ports[lower].0, last)),
                pieces: chain
                    .iter()
                    .map(|item| {
                        let (top, bottom) = heights[items[*item].layer];
                        (items[*item].x, top, bottom)
                    })
                    .collect(),
                label: middle(chain[*labelled]),
            }
        })
        .collect();
    Layout {
        boxes: (0..boxes.len()).map(middle).collect(),
        routes,
        size: (width, heights.last().map_or(0.0, |(_, bottom)| *bottom)),
    }
}

/// Which edges close a circle, when boxes are visited in the order in which they were named.
fn reversed(count: usize, edges: &[Edge]) -> Vec<bool> {
    fn visit(at: usize, edges: &[Edge], state: &mut [u8], reversed: &mut [bool]) {
        state[at] = 1;
        for (number, edge) in edges.iter().enumerate() {
            if edge.from == at {
                match state[edge.to] {
                    0 => visit(edge.to, edges, state, reversed),
                    1 => reversed[number] = true,
                    _ => {}
                }
            }
        }
        state[at] = 2;
    }
    let (mut state, mut reversed) = (vec![0; count], vec![false; edges.len()]);
    for at in 0..count {
        if state[at] == 0 {
            visit(at, edges, &mut state, &mut reversed);
        }
    }
    reversed
}

/// Each box as high as the edges above it allow.
fn ranks(count: usize, downward: &[(usize, usize)]) -> Vec<usize> {
    let mut ranks = vec![0; count];
    // Without circles no way is longer than there are boxes.
    for _ in 0..count {
        for (upper, lower) in downward {
            ranks[*lower] = ranks[*lower].max(ranks[*upper] + 1);
        }
    }
    // One that nothing leads to comes down to what it leads to.
    for at in 0..count {
        if !downward.iter().any(|(_, lower)| *lower == at) {
            let below = downward.iter().filter(|(upper, _)| *upper == at);
            if let Some(nearest) = below.map(|(_, lower)| ranks[*lower]).min() {
                ranks[at] = nearest - 1;
            }
        }
    }
    ranks
}

/// The order within each layer: that with the fewest crossings which sweeps up and down come upon.
fn order(items: &[Item]) -> Vec<Vec<usize>> {
    let count = items.iter().map(|item| item.layer + 1).max().unwrap_or(0);
    let mut layers = vec![Vec::new(); count];
    for (number, item) in items.iter().enumerate() {
        layers[item.layer].push(number);
    }
    let mut best = layers.clone();
    let mut fewest = crossings(items, &layers);
    for sweep in 0..16 {
        let down = sweep % 2 == 0;
        for step in 1..count {
            let (at, beside) = match down {
                true => (step, step - 1),
                false => (count - 1 - step, count - step),
            };
            let place = |item: usize| layers[beside].iter().position(|other| *other == item);
            let wish = |number: usize, item: usize| {
                let neighbours = if down {
                    &items[item].above
                } else {
                    &items[item].below
                };
                let places: Vec<_> = neighbours
                    .iter()
                    .filter_map(|(other, _)| place(*other))
                    .collect();
                match places.len() {
                    0 => number as f64,
                    count => places.iter().sum::<usize>() as f64 / count as f64,
                }
            };
            let mut wished: Vec<_> = layers[at]
                .iter()
                .enumerate()
                .map(|(number, item)| (wish(number, *item), *item))
                .collect();
            wished.sort_by(|one, other| one.0.total_cmp(&other.0));
            layers[at] = wished.into_iter().map(|(_, item)| item).collect();
        }
        let now = crossings(items, &layers);
        if now < fewest {
            fewest = now;
            best = layers.clone();
        }
    }
    best
}

fn crossings(items: &[Item], layers: &[Vec<usize>]) -> usize {
    let mut crossings = 0;
    for pair in layers.windows(2) {
        let place = |item: usize| pair[1].iter().position(|other| *other == item);
        let lines: Vec<_> = pair[0]
            .iter()
            .enumerate()
            .flat_map(|(number, item)| {
                let ends = items[*item]
                    .below
                    .iter()
                    .filter_map(|(other, _)| place(*other));
                ends.map(move |end| (number, end)).collect::<Vec<_>>()
            })
            .collect();
        for (number, one) in lines.iter().enumerate() {
            crossings += lines[number + 1..]
                .iter()
                .filter(|other| {
                    (one.0 < other.0 && one.1 > other.1) || (one.0 > other.0 && one.1 < other.1)
                })
                .count();
        }
    }
    crossings
}

/// Gives every item its x: as near to what it is connected with as its layer allows.
fn straighten(items: &mut [Item], layers: &[Vec<usize>]) {
    for layer in layers {
        let mut x = 0.0;
        for item in layer {
            items[*item].x = x + items[*item].size.0 / 2.0;
            x += items[*item].size.0 + BESIDE;
        }
        // Layers begin with their middles below one another.
        for item in layer {
            items[*item].x -= (x - BESIDE) / 2.0;
        }
    }
    for sweep in 0..200 {
        for number in 0..layers.len() {
            let layer = match sweep % 2 {
                0 => &layers[number],
                _ => &layers[layers.len() - 1 - number],
            };
            let wishes: Vec<(f64, f64)> = layer
                .iter()
                .map(|item| {
                    let Item {
                        above, below, x, ..
                    } = &items[*item];
                    let (mut sum, mut weights) = (0.0, 0.0);
                    for (other, weight) in above.iter().chain(below) {
                        sum += weight * items[*other].x;
                        weights += weight;
                    }
                    match weights > 0.0 {
                        true => (sum / weights, weights),
                        false => (*x, 0.01),
                    }
                })
                .collect();
            settle(items, layer, &wishes);
        }
    }
}

/// The places of one layer, in its order and apart from one another, that are together nearest to
/// what is wished: neighbours that would overlap become a block, with the mean of their wishes.
fn settle(items: &mut [Item], layer: &[usize], wishes: &[(f64, f64)]) {
    // Of each item the distance from the first, if all stood close together.
    let mut offsets = vec![0.0];
    for pair in layer.windows(2) {
        let apart = (items[pair[0]].size.0 + items[pair[1]].size.0) / 2.0 + BESIDE;
        offsets.push(offsets[offsets.len() - 1] + apart);
    }
    // Where the block's first place would be, its weight, and how many belong to it.
    let mut blocks: Vec<(f64, f64, usize)> = Vec::new();
    for ((wish, weight), offset) in wishes.iter().zip(&offsets) {
        let mut block = (wish - offset, *weight, 1);
        while let Some(before) = blocks.pop_if(|before| before.0 > block.0) {
            let weight = before.1 + block.1;
            block = (
                (before.0 * before.1 + block.0 * block.1) / weight,
                weight,
                before.2 + block.2,
            );
        }
        blocks.push(block);
    }
    let places = blocks
        .iter()
        .flat_map(|(place, _, count)| std::iter::repeat_n(*place, *count));
    for ((item, offset), place) in layer.iter().zip(&offsets).zip(places) {
        items[*item].x = place + offset;
    }
}

/// Takes the small bends out of edges: where a point is nearly below the end of its edge, or the
/// point before it, it is moved there, if nothing stands in the way.
fn smooth(
    items: &mut [Item],
    through: &[(Vec<usize>, usize)],
    downward: &[(usize, usize)],
    ports: &[(Ports, Ports)],
) {
    for ((chain, _), (upper, lower)) in through.iter().zip(downward) {
        let (first, last) = (chain[0], chain[chain.len() - 1]);
        let top = items[*upper].x + port(&ports[*upper].1, first);
        let bottom = items[*lower].x + port(&ports[*lower].0, last);
        let mut x = top;
        for at in chain {
            for wish in [x, bottom] {
                let is_near = (items[*at].x - wish).abs() < NEAR;
                if is_near && is_free(items, *at, wish) {
                    items[*at].x = wish;
                    break;
                }
            }
            x = items[*at].x;
        }
    }
}

/// Whether an item has room at another x of its layer.
fn is_free(items: &[Item], item: usize, x: f64) -> bool {
    let Item { size, layer, .. } = items[item];
    items.iter().enumerate().all(|(other, beside)| {
        let apart = (size.0 + beside.size.0) / 2.0 + BESIDE / 2.0;
        other == item || beside.layer != layer || (beside.x - x).abs() >= apart
    })
}

/// How far from a box's middle the edge to each item is.
type Ports = Vec<(usize, f64)>;

/// The ends of edges at each item, at its top and at its bottom, in the order of where they lead.
fn ports(items: &[Item]) -> Vec<(Ports, Ports)> {
    let spread = |item: &Item, others: &[(usize, f64)]| {
        let mut others: Vec<_> = others.iter().map(|(other, _)| *other).collect();
        others.sort_by(|one, other| items[*one].x.total_cmp(&items[*other].x));
        let apart = PORTS.min(item.size.0 * 0.6 / others.len() as f64);
        let first = -apart * (others.len() as f64 - 1.0) / 2.0;
        let place = |number: usize| first + apart * number as f64;
        let mut ports: Ports = others
            .iter()
            .enumerate()
            .map(|(number, other)| (*other, place(number)))
            .collect();
        // A line that would miss its port by little meets the box where it comes down.
        let half = (item.size.0 / 2.0 - 20.0).max(0.0);
        for number in 0..ports.len() {
            let wish = items[ports[number].0].x - item.x;
            let before = number
                .checked_sub(1)
                .map_or(f64::MIN, |before| ports[before].1 + NEAR);
            let after = ports
                .get(number + 1)
                .map_or(f64::MAX, |after| after.1 - NEAR);
            let near = (wish - ports[number].1).abs() <= NEAR;
            if near && wish.abs() <= half && wish >= before && wish <= after {
                ports[number].1 = wish;
            }
        }
        ports
    };
    items
        .iter()
        .map(|item| (spread(item, &item.above), spread(item, &item.below)))
        .collect()
}

fn port(ports: &Ports, item: usize) -> f64 {
    let found = ports.iter().find(|(other, _)| *other == item);
    found.expect("an edge begins and ends at its boxes").1
}

/// The top and bottom of each layer. The further lines go sideways, the more room they have.
fn heights(items: &[Item], layers: &[Vec<usize>]) -> Vec<(f64, f64)> {
    let mut heights: Vec<(f64, f64)> = Vec::new();
    for (number, layer) in layers.iter().enumerate() {
        let tallest = layer
            .iter()
            .map(|item| items[*item].size.1)
            .fold(0.0, f64::max);
        let sideways = layer
            .iter()
            .flat_map(|item| {
                items[*item]
                    .above
                    .iter()
                    .map(|(other, _)| (items[*other].x - items[*item].x).abs())
            })
            .fold(0.0, f64::max);
        let top = match number.checked_sub(1) {
            None => 0.0,
            Some(before) => heights[before].1 + (sideways * 0.4).clamp(BETWEEN.0, BETWEEN.1),
        };
        heights.push((top, top + tallest));
    }
    heights
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(from: usize, to: usize) -> Edge {
        Edge {
            from,
            to,
            label: (0.0, 0.0),
        }
    }

    #[test]
    fn boxes_lie_below_one_another_and_apart() {
        let boxes = [(100.0, 40.0); 4];
        let layout = lay_out(
            &boxes,
            &[edge(0, 1), edge(0, 2), edge(1, 3), edge(2, 3), edge(3, 0)],
        );
        let (a, b, c, d) = (
            layout.boxes[0],
            layout.boxes[1],
            layout.boxes[2],
            layout.boxes[3],
        );
        assert!(
            a.1 + 40.0 < b.1 && b.1 == c.1 && c.1 + 40.0 < d.1,
            "{:?}",
            layout.boxes
        );
        assert!(b.0 + 100.0 + BESIDE <= c.0 + 0.001, "{:?}", layout.boxes);
        assert!((a.0 - d.0).abs() < 20.0, "{:?}", layout.boxes);
        assert!(layout.routes[4].is_reversed);
        assert!(layout
            .boxes
            .iter()
            .all(|(x, _)| *x >= 50.0 - 0.001 && *x <= layout.size.0 - 50.0 + 0.001));
    }

    #[test]
    fn a_chain_is_straight() {
        let layout = lay_out(
            &[(80.0, 30.0), (120.0, 30.0), (60.0, 30.0)],
            &[edge(0, 1), edge(1, 2)],
        );
        for (x, _) in &layout.boxes {
            assert!((x - 60.0).abs() < 0.01, "{:?}", layout.boxes);
        }
        assert_eq!(layout.size.0, 120.0);
    }
}
