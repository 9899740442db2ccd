//! Where each box of the picture is: layers by importance, ordered within a layer by where its neighbours are.

use std::collections::BTreeMap;

use crate::graph::Graph;

/// Of a box.
pub(super) const WIDTH: usize = 130;
/// Of a box.
pub(super) const HEIGHT: usize = 42;
const COLUMN: usize = 230;
const ROW: usize = 74;
const EDGE: usize = 30;

/// One box.
pub(super) struct Node {
    pub(super) name: String,
    pub(super) note: String,
    pub(super) is_device: bool,
    pub(super) x: usize,
    pub(super) y: usize,
}

/// The boxes, and the picture's width and height.
pub(super) fn nodes(graph: &Graph) -> (Vec<Node>, usize, usize) {
    let (names, edges) = parts(graph);
    let layers = layers(graph, names.len(), &edges);
    let order = order(&layers, &edges);
    let rows = order.iter().map(Vec::len).max().unwrap_or(0);
    let (width, height) = (2 * EDGE + order.len().max(1) * COLUMN, 2 * EDGE + rows.max(1) * ROW);
    let mut nodes = Vec::new();
    for (column, layer) in order.iter().enumerate() {
        let top = EDGE + (rows - layer.len()) * ROW / 2;
        for (row, index) in layer.iter().enumerate() {
            let Some((name, note, is_device)) = names.get(*index).cloned() else { continue };
            nodes.push(Node { name, note, is_device, x: EDGE + column * COLUMN, y: top + row * ROW });
        }
    }
    (nodes, width, height)
}

/// Name, note and whether it is a device.
type Name = (String, String, bool);

/// All boxes (instances in the graph's order, then devices), and the pairs of indices that a line joins.
fn parts(graph: &Graph) -> (Vec<Name>, Vec<(usize, usize)>) {
    let instances = graph.instances.iter();
    let mut names: Vec<Name> =
        instances.map(|own| (own.name.clone(), format!("priority {}", own.priority), false)).collect();
    let at: BTreeMap<u16, usize> = graph.instances.iter().enumerate().map(|(index, own)| (own.id, index)).collect();
    let mut edges = Vec::new();
    for session in &graph.sessions {
        edges.extend(at.get(&session.client).copied().zip(at.get(&session.server).copied()));
    }
    for (index, instance) in graph.instances.iter().enumerate() {
        for device in &instance.devices {
            edges.push((index, names.len()));
            names.push((device.device.clone(), device.compatible.clone(), true));
        }
    }
    (names, edges)
}

/// The layer of each box: one behind its least important client. Only lines that go uphill count, so that this ends.
fn layers(graph: &Graph, count: usize, edges: &[(usize, usize)]) -> Vec<usize> {
    let weight =
        |index: usize| graph.instances.get(index).map_or(u16::from(u8::MAX) + 1, |own| u16::from(own.priority));
    let mut layers = vec![0; count];
    for _ in 0..count {
        for (from, to) in edges.iter().filter(|(from, to)| weight(*from) < weight(*to)) {
            layers[*to] = layers[*to].max(layers[*from] + 1);
        }
    }
    // Devices stand on the right, whoever drives them.
    let last = layers.iter().copied().max().unwrap_or(0);
    (graph.instances.len()..count).for_each(|index| layers[index] = last.max(1));
    layers
}

/// Boxes of each layer, top to bottom: some rounds of going to the mean of one's neighbours.
fn order(layers: &[usize], edges: &[(usize, usize)]) -> Vec<Vec<usize>> {
    let last = layers.iter().copied().max().unwrap_or(0);
    let mut order: Vec<Vec<usize>> =
        (0..=last).map(|layer| (0..layers.len()).filter(|index| layers[*index] == layer).collect()).collect();
    let mut place = vec![0usize; layers.len()];
    for _ in 0..8 {
        for layer in &mut order {
            let mean = |index: &usize| {
                let near = edges.iter().filter_map(|(from, to)| match index {
                    index if index == from => Some(place[*to]),
                    index if index == to => Some(place[*from]),
                    _ => None,
                });
                let (sum, count) = near.fold((0, 0), |(sum, count), at| (sum + at, count + 1));
                sum * 1000 / count.max(1)
            };
            layer.sort_by_cached_key(|index| (mean(index), *index));
            // Places are told from the layer's middle, so that short layers stand beside the middle of long ones.
            let half = 50 - layer.len().min(100) / 2;
            layer.iter().enumerate().for_each(|(row, index)| place[*index] = half + row);
        }
    }
    order
}
