//! Prints the golden text of a product: `golden <root> <product> <board>`; `cargo xtask caps` is the command for people.

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [root, product, board] = arguments.as_slice() else { panic!("golden <root> <product> <board>") };
    match hybrid_capgraph::resolve(std::path::Path::new(root), product, board) {
        Ok(graph) => print!("{}", hybrid_capgraph::golden(&graph)),
        Err(problems) => {
            problems.iter().for_each(|problem| eprintln!("{problem}"));
            std::process::exit(1);
        }
    }
}
