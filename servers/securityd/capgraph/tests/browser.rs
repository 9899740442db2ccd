//! The HTML page in a real browser: it draws, a click opens the card, search and filter hide what does not fit.
//!
//! The browser is `$BROWSER`, or the first Chromium on the path. Without one the test says so and checks nothing.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use hybrid_capgraph::{Date, Graph, html, idl_interfaces, resolve_with};

fn browser() -> Option<PathBuf> {
    let named = std::env::var_os("BROWSER").map(PathBuf::from);
    let folders: Vec<PathBuf> = std::env::split_paths(&std::env::var_os("PATH")?).collect();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    named.or_else(|| {
        names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name))).find(|path| path.is_file())
    })
}

fn gateway() -> Graph {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    let interfaces = idl_interfaces(&root).unwrap();
    resolve_with(&root, "gateway", "qemu-virt", &interfaces, Date::parse("2026-11-24").unwrap()).unwrap()
}

/// What a person would do, and what the page then shows; one fact a line.
const PROBE: &str = r##"<script>
const told = [];
const shown = () => [...document.querySelectorAll("#grants tbody tr")].filter((row) => row.offsetParent !== null).length;
told.push("nodes " + document.querySelectorAll(".node.component").length, "rows " + shown());
const box = document.querySelector('.node[data-name="nic"]').getBoundingClientRect();
told.push("drawn " + (box.width > 50 && box.height > 20));
document.querySelector('.node[data-name="nic"]').dispatchEvent(new MouseEvent("click", { bubbles: true }));
told.push("card " + document.getElementById("card").textContent.split(" ")[0], "nics " + shown());
document.querySelector('.node[data-name="nic"]').dispatchEvent(new MouseEvent("click", { bubbles: true }));
const search = document.getElementById("search");
search.value = "netd.tcp"; search.dispatchEvent(new Event("input"));
told.push("found " + shown());
search.value = ""; search.dispatchEvent(new Event("input"));
for (const kind of document.querySelectorAll("#kinds input")) if (kind.dataset.kind !== "device") kind.click();
told.push("devices " + shown());
const probe = document.createElement("pre"); probe.id = "probe"; probe.textContent = "\n" + told.join("\n") + "\n";
document.body.append(probe);
</script></body>"##;

#[test]
fn page_works_in_a_real_browser() {
    let Some(browser) = browser() else {
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED page_works_in_a_real_browser: no Chromium on the path, $BROWSER is not set"
        );
        return;
    };
    let graph = gateway();
    let folder = std::env::temp_dir().join(format!("hybrid-capgraph-page-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let page = folder.join("page.html");
    std::fs::write(&page, html(&graph).replace("</body>", PROBE)).unwrap();
    let output = Command::new(&browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"])
        .args(["--disable-component-update", "--disable-sync", "--window-size=1600,1200", "--dump-dom"])
        .arg(format!("--user-data-dir={}", folder.join("profile").display()))
        .arg(format!("file://{}", page.display()))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    std::fs::remove_dir_all(&folder).unwrap();
    let told = text.split("<pre id=\"probe\">").nth(1).unwrap_or_else(|| panic!("no answer of the page:\n{errors}"));
    let grants = graph.grants();
    let count = |is: &dyn Fn(&str) -> bool| grants.iter().filter(|grant| is(&grant.to_string())).count();
    let expected = [
        format!("nodes {}", graph.instances.len()),
        format!("rows {}", grants.len()),
        "drawn true".into(),
        "card nic".into(),
        format!("nics {}", count(&|line| line.starts_with("nic "))),
        format!("found {}", count(&|line| line.contains("netd.tcp"))),
        format!("devices {}", grants.iter().filter(|grant| grant.what.verb() == "device").count()),
    ];
    let told: Vec<&str> = told.trim().lines().take(expected.len()).collect();
    assert_eq!(told, expected);
}
