"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const kinds = [...new Set(data.grants.map((grant) => grant[1]))].sort();
const chosen = new Set(kinds);
let card = "";

for (const kind of kinds) {
  const label = document.createElement("label");
  const box = document.createElement("input");
  box.type = "checkbox";
  box.checked = true;
  box.dataset.kind = kind;
  box.addEventListener("change", () => {
    if (box.checked) chosen.add(kind); else chosen.delete(kind);
    update();
  });
  label.append(box, " " + kind + " ");
  byId("kinds").append(label);
}

const body = document.querySelector("#grants tbody");
const rows = data.grants.map((grant) => {
  const row = document.createElement("tr");
  const facts = grant[4].slice(grant[4].search(/(?<=\s)[a-z_]+=|$/));
  for (const text of [grant[0], grant[1], grant[2], grant[3], facts]) {
    const cell = document.createElement("td");
    cell.textContent = text;
    row.append(cell);
  }
  body.append(row);
  return { row, kind: grant[1], holder: grant[0], text: grant[4].toLowerCase() };
});

function update() {
  const words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const seen = new Set();
  let count = 0;
  for (const { row, kind, holder, text } of rows) {
    const fits = chosen.has(kind) && words.every((word) => text.includes(word)) && (!card || holder === card);
    row.hidden = !fits;
    if (fits) { count += 1; seen.add(holder); }
  }
  byId("count").textContent = count + " of " + rows.length + " grants" + (card ? " of " + card : "");
  for (const node of document.querySelectorAll(".node")) {
    const name = node.dataset.name;
    node.classList.toggle("chosen", name === card);
    node.classList.toggle("faded", words.length > 0 && !seen.has(name) && !words.every((word) => name.toLowerCase().includes(word)));
  }
  for (const edge of document.querySelectorAll(".edge")) {
    const { kind, from, to } = edge.dataset;
    edge.classList.toggle("faded", !chosen.has(kind) || (card !== "" && from !== card && to !== card));
  }
}

function open(name) {
  card = Object.hasOwn(data.cards, name) && name !== card ? name : "";
  byId("card").textContent = card ? data.cards[card] : "Click a component for its card.";
  update();
}

for (const node of document.querySelectorAll(".node")) {
  node.addEventListener("click", () => open(node.dataset.name));
  node.addEventListener("keydown", (event) => { if (event.key === "Enter") open(node.dataset.name); });
}
byId("search").addEventListener("input", update);
addEventListener("hashchange", () => open(decodeURIComponent(location.hash.slice(1))));
if (location.hash) open(decodeURIComponent(location.hash.slice(1))); else update();
