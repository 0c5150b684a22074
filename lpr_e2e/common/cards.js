// What the pages share that show cards, a hundred thousand if need be: elements, and a list that grows when it is asked to.
const PAGE = 60, SVG = "http://www.w3.org/2000/svg";
const at = (id) => document.getElementById(id);
const data = (id) => JSON.parse(at(id).textContent);
const percent = (share) => (100 * share).toFixed(share < 0.9995 && share > 0.0005 ? 1 : 0) + " %";

function make(parent, tag, attributes, text) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  return parent.appendChild(element);
}
function draw(parent, tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return parent.appendChild(element);
}

// The number of each kind of what a function says of the entries, the most frequent first.
function counted(entries, kinds) {
  const counts = new Map();
  for (const entry of entries) for (const kind of kinds(entry)) counts.set(kind, (counts.get(kind) || 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1]);
}

// A picture in a card, and an svg over it in its own pixels; one line of words where there is none.
function pictureWithBoxes(card, jpeg, width, height, words) {
  if (!jpeg) {
    make(card, "div", { class: "none" }, "no picture");
    return null;
  }
  const frame = make(card, "div", { class: "picture" });
  make(frame, "img", { src: "data:image/jpeg;base64," + jpeg, alt: words });
  return draw(frame, "svg", { viewBox: "0 0 " + width + " " + height, preserveAspectRatio: "none" });
}
function frameBox(svg, [top, left, bottom, right], name) {
  draw(svg, "rect", { x: left, y: top, width: right - left, height: bottom - top, class: name });
}

// Shows what the tools choose: `choose` gives the entries, `card` makes one of them a card.
let chosen = [], shown = 0;
function more() {
  const next = Math.min(chosen.length, shown + PAGE);
  while (shown < next) card(chosen[shown++]);
  at("show-more").hidden = shown >= chosen.length;
  at("count").textContent = shown < chosen.length ? shown + " of " + chosen.length + " shown" : chosen.length + " shown";
}
function show() {
  chosen = choose();
  at("list").replaceChildren();
  shown = 0;
  more();
}
function begin() {
  overview();
  show();
  at("tools").addEventListener("input", show);
  at("tools").addEventListener("submit", (event) => event.preventDefault());
  at("show-more").addEventListener("click", more);
}
