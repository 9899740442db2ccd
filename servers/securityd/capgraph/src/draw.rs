//! The graph as a picture: layered SVG, and one HTML page that needs no network; decides nothing.

mod layout;

use std::fmt::Write as _;

use crate::graph::Graph;
use crate::lines::Line;
use layout::{HEIGHT, Node, WIDTH, nodes};

/// What a click, a search and a filter do on the page.
const SCRIPT: &str = include_str!("draw/page.js");
/// How the page looks.
const STYLE: &str = include_str!("draw/page.css");

/// One picture: components in layers by importance, clients left of their servers, devices on the right.
#[must_use]
pub fn svg(graph: &Graph) -> String {
    let (nodes, width, height) = nodes(graph);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n<defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" \
         markerWidth=\"7\" markerHeight=\"7\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" fill=\"#556\"/></marker></defs>\n"
    );
    for edge in
        graph.edges().iter().filter(|edge| matches!(edge.how, "calls" | "shares memory with" | "drives" | "reads"))
    {
        let find = |name: &str| nodes.iter().find(|node| node.name == name);
        let (Some(from), Some(to)) = (find(&edge.from), find(&edge.to)) else { continue };
        // Memory is one edge in the picture: from the client, whose use it is.
        let is_clients = graph.sessions.iter().any(|session| {
            let is_client = graph.instance(session.client).is_some_and(|client| client.name == edge.from);
            is_client && edge.over.starts_with(&format!("{} (", graph.server_name(session)))
        });
        if edge.how == "shares memory with" && !is_clients {
            continue;
        }
        let (kind, look) = match edge.how {
            "calls" => ("call", "stroke=\"#2456a6\""),
            "drives" | "reads" => ("device", "stroke=\"#a33a2a\" stroke-width=\"2\""),
            _ => ("region", "stroke=\"#7a8a3a\" stroke-dasharray=\"5 4\""),
        };
        let _ = writeln!(
            out,
            "<path class=\"edge\" data-kind=\"{kind}\" data-from=\"{}\" data-to=\"{}\" d=\"{}\" fill=\"none\" {look} \
             marker-end=\"url(#tip)\"><title>{} {} {} over {}: {}</title></path>",
            escape(&edge.from),
            escape(&edge.to),
            curve(from, to, kind),
            escape(&edge.from),
            edge.how,
            escape(&edge.to),
            escape(&edge.over),
            escape(&edge.reason)
        );
    }
    nodes.iter().for_each(|node| draw_node(&mut out, node));
    out + "</svg>\n"
}

fn draw_node(out: &mut String, node: &Node) {
    let (class, fill, round) = if node.is_device { ("device", "#f6ddd8", 0) } else { ("component", "#e8eef8", 6) };
    let name = escape(&node.name);
    let _ = writeln!(
        out,
        "<g class=\"node {class}\" data-name=\"{name}\" tabindex=\"0\"><rect x=\"{}\" y=\"{}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
         rx=\"{round}\" fill=\"{fill}\" stroke=\"#556\"/><text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{name}</text>\
         <text x=\"{}\" y=\"{}\" text-anchor=\"middle\" font-size=\"10\" fill=\"#556\">{}</text></g>",
        node.x,
        node.y,
        node.x + WIDTH / 2,
        node.y + 18,
        node.x + WIDTH / 2,
        node.y + 32,
        escape(&node.note)
    );
}

/// A curve from one side to the other; within a layer, or back, it swings out to the right.
fn curve(from: &Node, to: &Node, kind: &str) -> String {
    // Calls a little above the middle, memory a little below.
    let middle = if kind == "region" { HEIGHT / 2 + 6 } else { HEIGHT / 2 - 6 };
    let (from_y, to_y) = (from.y + middle, to.y + middle);
    if from.x < to.x {
        let (start, end) = (from.x + WIDTH, to.x);
        let half = (end - start) / 2;
        format!("M{start} {from_y}C{} {from_y} {} {to_y} {end} {to_y}", start + half, end - half)
    } else {
        let (start, end) = (from.x + WIDTH, to.x + WIDTH);
        let out = start.max(end) + 40;
        format!("M{start} {from_y}C{out} {from_y} {out} {to_y} {end} {to_y}")
    }
}

/// One self-contained page: search, filter by kind, and a card for the component that is clicked. `#name` opens its card.
#[must_use]
pub fn html(graph: &Graph) -> String {
    let mut data = String::from("{\"grants\":[");
    for (index, grant) in graph.grants().iter().enumerate() {
        let separator = if index == 0 { "" } else { "," };
        let text = Line::parse(&grant.to_string()).map_or_else(|_| grant.to_string(), |line| line.text());
        let fields = [grant.holder.as_str(), grant.what.verb(), &grant.target, &grant.kind, &text].map(json);
        let _ = write!(data, "{separator}[{}]", fields.join(","));
    }
    data += "],\"cards\":{";
    for (index, instance) in graph.instances.iter().enumerate() {
        let separator = if index == 0 { "" } else { "," };
        let _ =
            write!(data, "{separator}{}:{}", json(&instance.name), json(&crate::query::show(graph, &instance.name)));
    }
    data += "}}";
    let (product, board) = (escape(&graph.product), escape(&graph.board));
    let policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'";
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
         <title>Authority of {product}</title>\n<style>\n{STYLE}</style></head>\n<body>\n<header><h1>Authority of {product} on {board}</h1>\n\
         <input id=\"search\" type=\"search\" placeholder=\"Search names, interfaces, reasons\" aria-label=\"Search\">\n<span id=\"kinds\"></span></header>\n\
         <main><div id=\"picture\">{}</div><aside id=\"card\" aria-live=\"polite\">Click a component for its card.</aside></main>\n\
         <p id=\"count\"></p><table id=\"grants\"><thead><tr><th>holder</th><th>kind</th><th>target</th><th>interface</th><th>facts and reason</th></tr></thead><tbody></tbody></table>\n\
         <script id=\"data\" type=\"application/json\">{data}</script>\n<script>\n{SCRIPT}</script>\n</body></html>\n",
        svg(graph)
    )
}

/// For text and attributes.
fn escape(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, letter| {
        match letter {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\'' => out += "&#39;",
            // A control character is in no document of XML, not even escaped.
            letter if letter.is_control() => out.push('\u{fffd}'),
            letter => out.push(letter),
        }
        out
    })
}

/// A JSON string that may stand inside of a `<script>`.
fn json(text: &str) -> String {
    let mut out = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' => out += "\\\"",
            '\\' => out += "\\\\",
            '\n' => out += "\\n",
            letter if letter.is_control() || matches!(letter, '<' | '>' | '&' | '\u{2028}' | '\u{2029}') => {
                let _ = write!(out, "\\u{:04x}", u32::from(letter));
            }
            letter => out.push(letter),
        }
    }
    out + "\""
}

#[cfg(test)]
mod tests {
    use super::{html, json, svg};
    use crate::graph::tests::sample;

    #[test]
    fn picture_has_each_component_and_route_once() {
        let text = svg(&sample());
        assert_eq!(text.matches("class=\"node component\"").count(), 2);
        assert_eq!(text.matches("class=\"edge\"").count(), 1);
    }

    #[test]
    fn hostile_name_stays_text() {
        let mut graph = sample();
        graph.instances[1].name = "</script><img src=x onerror=alert(1)>\"'&\u{1}".into();
        let page = html(&graph);
        assert!(!page.contains("<img"), "the name became an element");
        assert_eq!(page.matches("</script>").count(), 2);
        assert_eq!(json("<\u{2028}\"\\\n"), "\"\\u003c\\u2028\\\"\\\\\\n\"");
    }

    #[test]
    fn page_names_nothing_outside_of_itself() {
        let page = html(&sample()).replace("http://www.w3.org/2000/svg", "");
        for word in ["http:", "https:", "src=", "@import", "url(//", "fetch(", "XMLHttpRequest"] {
            assert!(!page.contains(word), "{word}");
        }
    }
}
