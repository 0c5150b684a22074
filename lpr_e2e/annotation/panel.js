// What stands beside the photograph: its plates with their texts, what there is to say about it, and how far the work is.

import { at, spoken } from "./boxes.js";
import { address } from "./server.js";

export const field = (number) => at("text" + number);
export function trouble(words) { at("trouble").textContent = words; }
export function say(words) { at("said").textContent = words; }

export function verdict(words) {
  at("verdict").textContent = words;
  at("verdict").hidden = !words;
}

// How far the work is, as every answer of the program says.
let newest = 0;
document.addEventListener("progress", ({ detail: progress }) => {
  if (progress.serial < newest) return; // Answers overtake each other.
  newest = progress.serial;
  at("bar").max = Math.max(progress.total, 1);
  at("bar").value = progress.answered;
  const speed = progress.per_minute === null ? "" : ", " + progress.per_minute.toFixed(progress.per_minute < 10 ? 1 : 0).replace(".0", "") + " a minute";
  const unread = progress.unread ? ", " + progress.unread + " still to be read" : "";
  const broken = progress.unreadable ? ", " + progress.unreadable + " unreadable" : "";
  const wanted = progress.wanted ? ", " + progress.wanted + " more until it trains" : "";
  at("counts").textContent = progress.answered + " of " + progress.total + wanted + speed + unread + broken;
  if (progress.wanted === 0) trouble("Enough for this round: the program trains now, and opens a new page then.");
  if (progress.failure) trouble(progress.failure);
});

// The remarks on a photograph; `take` takes what the model reads, where that contradicts a label.
export function showRemarks(photo, take) {
  at("remarks").replaceChildren(...photo.remarks.map((words) => make("p", { class: "remark", dir: "auto" }, words)));
  if (!photo.suggestion) return;
  const button = make("button", { type: "button" }, "Take what the model reads ");
  button.append(make("kbd", {}, "R"));
  button.addEventListener("click", take);
  at("remarks").lastChild.append(make("br"), button);
}

// The plates of a photograph; `actions` are what a person does with one: `typed`, `choose`, `unread`, `remove`.
export function showPlates(photo, chosen, actions) {
  at("plates").replaceChildren(...photo.plates.map((plate, number) => card(plate, number, number === chosen, actions)));
}

function card(plate, number, isChosen, actions) {
  const item = make("li", { class: "plate" + (isChosen ? " chosen" : "") });
  const id = "text" + number;
  const label = make("label", { for: id }, "Plate " + (number + 1));
  if (plate.certainty !== undefined) label.append(", read with " + Math.round(100 * plate.certainty) + " %");
  const input = make("input", { id, dir: "auto", autocomplete: "off", autocapitalize: "characters", spellcheck: "false", maxlength: 200, enterkeyhint: "next" });
  input.value = plate.text;
  input.placeholder = plate.unread ? "cannot be read" : "";
  input.addEventListener("input", () => actions.typed(number, input.value));
  input.addEventListener("focus", () => actions.choose(number));
  const row = make("div", { class: "row" });
  const unread = make("button", { type: "button", "aria-pressed": String(plate.unread) }, "Cannot be read");
  unread.append(make("kbd", {}, "U"));
  unread.addEventListener("click", () => actions.unread(number));
  const remove = make("button", { type: "button", "aria-label": "Delete plate " + (number + 1) }, "Delete");
  remove.addEventListener("click", () => actions.remove(number));
  row.append(unread, remove);
  item.append(make("img", { alt: "Plate " + (number + 1) + " from near" }), label, input, row);
  return item;
}

// The plates, cut out of the photograph, where their boxes are now.
let pause = 0;
export function fetchPlates(photo, milliseconds) {
  clearTimeout(pause);
  pause = setTimeout(() => {
    photo.plates.forEach((plate, number) => {
      const picture = at("plates").children[number]?.querySelector("img"), from = address(photo.number, "plate", plate.box);
      if (picture && picture.getAttribute("src") !== from) picture.src = from;
    });
  }, milliseconds);
}

function make(tag, attributes = {}, text = "") {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.textContent = text;
  return element;
}
