// What a person does on the page: look, mend, answer. An answer is on disk before the next photograph is shown.

import { Stage, at, spoken } from "./boxes.js";
import { fetchPlates, field, say, showPlates, showRemarks, trouble, verdict } from "./panel.js";
import { address, ask, askNext, begin, leave } from "./server.js";

// Photographs that are fetched before they are shown; pauses of the page, milliseconds.
const AHEAD = 3, ASK_AGAIN = 700, PLATE_PAUSE = 250;
const SOURCES = {
  answer: "Answered: this is in your table.", labels: "From the labels that are there.",
  model: "As the model reads it.", nothing: "Nothing is known of it yet.",
};

let folder = "";
let photo = null, chosen = 0, busy = false;
// Photographs to come; numbers of those that were shown, and which of these is shown now.
const queue = [], trail = [];
let place = -1;
// What can be undone: boxes and texts as they were, and answers. Boxes that were changed and not answered yet.
const done = [], drafts = new Map();

const stage = new Stage({
  changed: (kind, number) => remember(kind + number),
  drawn: (box) => addPlate(box, true),
  chosen: (number) => { choose(number); stage.focus(number); },
  settled: () => { touched(); fetchPlates(photo, PLATE_PAUSE); },
});

// What comes from the server

async function fetchPhoto(number) {
  const found = await ask("GET", "/photographs/" + number);
  if (found.error) return found;
  const draft = drafts.get(number), mine = draft && draft.revision === found.revision;
  return { ...prepared(found), ...(mine ? { plates: copied(draft.plates), decided: true, changed: true } : {}) };
}

// What the server says of a photograph, with what the page notes beside it: the answer that there is, whether it is
// known what is on it, and whether that was changed here.
function prepared(found) {
  const answer = found.source === "answer" ? copied(found.plates) : null;
  return { ...found, answer, decided: found.source !== "nothing", changed: false };
}

// Keep a few photographs at hand, with their pictures.
let filling = null;
function fill() {
  filling ||= (async () => {
    let more = { numbers: [], reading: false };
    if (queue.length < AHEAD) {
      const without = [...queue.map((one) => one.number), ...(photo ? [photo.number] : [])];
      more = await askNext(AHEAD - queue.length, without);
      for (const number of more.numbers || []) {
        const next = await fetchPhoto(number);
        if (next.error) continue;
        new Image().src = address(number, "picture");
        for (const plate of next.plates) new Image().src = address(number, "plate", plate.box);
        queue.push(next);
      }
    }
    return more;
  })().finally(() => { filling = null; });
  return filling;
}

// Do one thing after the other. While something is done, what `waits` is done next, and anything else is dropped: nobody
// has looked yet at what comes then.
let turn = Promise.resolve();
function guarded(work, waits = false) {
  if (busy && !waits) return;
  turn = turn.then(async () => {
    busy = true;
    try {
      await work();
    } catch (error) {
      trouble("The program does not answer: is it still running? Nothing is lost; what you see here is not written yet.");
      console.warn(error);
    } finally {
      busy = false;
    }
  });
}

// What is shown

async function showNext() {
  const more = queue.length ? {} : await fill();
  if (!queue.length) {
    showNothing(more.reading ? "The model is reading …" : "All photographs are answered.");
    if (more.reading || more.numbers?.length) setTimeout(awaken, ASK_AGAIN);
    return;
  }
  show(queue.shift());
  trail.splice(++place, trail.length, photo.number);
  enable();
  fill().catch(() => {}); // It is said when the next one is wanted.
}

// Look again whether there is something to show, unless a person has turned back to something in the meantime.
function awaken() {
  if (photo) return;
  if (busy) setTimeout(awaken, ASK_AGAIN);
  else guarded(showNext);
}

async function showFromTrail(step) {
  const to = place + step;
  if (to < 0) return say("This is the first one.");
  if (to >= trail.length) return showNext();
  place = to;
  if (photo) keepDraft();
  const next = await fetchPhoto(trail[place]);
  if (next.error) return showFromTrail(step);
  show(next);
}

function show(next) {
  photo = next;
  chosen = leastCertain(photo.plates);
  trouble("");
  at("name").textContent = photo.name;
  document.title = photo.name + " – " + folder;
  at("source").textContent = SOURCES[photo.source];
  stage.number = chosen;
  stage.show(photo, address(photo.number, "picture"), address(photo.number, "picture") + "&near=true");
  showRemarks(photo, takeSuggestion);
  render();
  focusStart();
  at("panel").scrollTop = 0;
  say(photo.name + ": " + (photo.plates.map(spoken).join(", ") || "no plate"));
}

// The plate to look at first: the one that is read with the least certainty.
function leastCertain(plates) {
  const doubts = plates.map((plate) => plate.certainty ?? 1);
  return Math.max(0, doubts.indexOf(Math.min(...doubts)));
}

function showNothing(words) {
  photo = null;
  at("name").textContent = folder;
  for (const id of ["plates", "boxes", "remarks"]) at(id).replaceChildren();
  at("photograph").removeAttribute("src");
  at("photograph").alt = "";
  at("source").textContent = "";
  verdict(words);
  say(words);
  enable();
}

function render() {
  showPlates(photo, chosen, {
    typed, choose, remove: removePlate, unread: (number) => { markUnread(number); focusStart(); },
  });
  touched();
  stage.draw(chosen);
  fetchPlates(photo, 0);
}

function touched() {
  verdict(photo.plates.length ? "" : photo.decided ? "No plate" : "Draw a box around each plate, or 0 for no plate.");
  enable();
}

function enable() {
  for (const id of ["accept", "add", "none", "later", "zoom"]) at(id).disabled = !photo;
  at("undo").disabled = !done.length;
  at("back").disabled = place <= 0 && Boolean(photo);
}

// Changes

const copied = (plates) => plates.map((plate) => ({ ...plate, box: [...plate.box] }));

function keepDraft() {
  if (photo.changed) drafts.set(photo.number, { revision: photo.revision, plates: copied(photo.plates) });
}

// Note how the plates are before a change; changes of one kind in a row are undone at once.
function remember(kind) {
  const last = done.at(-1);
  const same = last && last.kind === kind && last.number === photo.number;
  if (!same) done.push({ kind, number: photo.number, plates: copied(photo.plates), decided: photo.decided });
  photo.changed = photo.decided = true;
  trouble("");
  enable();
}

function choose(number) {
  if (!photo || number < 0 || number >= photo.plates.length) return false;
  chosen = number;
  [...at("plates").children].forEach((item, place) => item.classList.toggle("chosen", place === number));
  at("plates").children[number]?.scrollIntoView({ block: "nearest" });
  stage.draw(number);
  return true;
}

function focusStart() {
  if (photo?.plates.length) stage.focus(chosen);
  else at("stage").focus({ preventScroll: true });
}

function typed(number, text) {
  remember("text" + number);
  Object.assign(photo.plates[number], { text, unread: false });
  field(number).placeholder = "";
  at("plates").children[number].querySelector("[aria-pressed]").setAttribute("aria-pressed", "false");
  stage.draw();
}

function markUnread(number) {
  if (!photo.plates[number]) return;
  remember("unread" + number + done.length);
  const plate = photo.plates[number];
  plate.unread = !plate.unread;
  if (plate.unread) plate.text = "";
  render();
  say("Plate " + (number + 1) + ": " + spoken(plate));
}

function addPlate(box, write) {
  remember("add" + photo.plates.length);
  photo.plates.push({ box, text: "", unread: false });
  chosen = photo.plates.length - 1;
  render();
  if (write) field(chosen).focus();
  else stage.focus(chosen);
  say("Box " + (chosen + 1) + " is new: arrows move it, with Shift they change its size, Enter goes to its text.");
}

function removePlate(number) {
  if (!photo.plates[number]) return;
  remember("remove" + done.length);
  photo.plates.splice(number, 1);
  chosen = Math.max(0, Math.min(number, photo.plates.length - 1));
  render();
  focusStart();
  say("Deleted. " + (photo.plates.length ? photo.plates.length + " left." : "No plate."));
}

function setNone() {
  remember("none" + done.length);
  photo.plates = [];
  render();
  focusStart();
  say("No plate. Enter is next.");
}

function takeSuggestion() {
  if (!photo.suggestion) return;
  remember("suggestion" + done.length);
  photo.plates = copied(photo.suggestion);
  chosen = 0;
  render();
  focusStart();
  say(photo.plates.map(spoken).join(", "));
}

// Answers

const given = (plates) => plates.map(({ box, text, unread }) => ({ box, text: unread ? "" : text }));

function accept() {
  if (!photo) return;
  const lacking = photo.plates.findIndex((plate) => !plate.unread && !plate.text.trim());
  if (lacking >= 0) {
    choose(lacking);
    field(lacking).focus();
    return trouble("Plate " + (lacking + 1) + " has no text: type it, or press Enter here if it cannot be read.");
  }
  if (!photo.plates.length && !photo.decided) return trouble("Draw a box (N), or press 0 if there is no plate.");
  guarded(async () => {
    const answered = photo, plates = copied(photo.plates);
    const reply = await ask("PUT", "/photographs/" + photo.number, { revision: photo.revision, plates: given(plates) });
    if (!reply.ok) return refused(reply, plates);
    done.push({ kind: "answer", number: answered.number, plates, before: answered.answer });
    drafts.delete(answered.number);
    // It may have come again, after it was put off and turned back to.
    const again = queue.findIndex((one) => one.number === answered.number);
    if (again >= 0) queue.splice(again, 1);
    const words = plates.map(spoken).join(", ") || "no plate";
    await showFromTrail(1);
    say("Written: " + words + ". " + at("counts").textContent + ". " + at("said").textContent);
  });
}

// An answer that was not taken: another page was faster, or something is wrong with it.
function refused(reply, plates) {
  if (reply.status !== 409) return trouble(reply.message || "The answer was not taken; is the program still running?");
  show(prepared(reply.photograph));
  done.push({ kind: "stale", number: photo.number, plates, decided: true });
  enable();
  trouble(reply.message + ". This is it; Ctrl+Z brings yours back.");
}

function later() {
  guarded(async () => {
    if (!photo) return;
    if (place + 1 >= trail.length && photo.source !== "answer") await ask("POST", "/photographs/" + photo.number + "/later");
    keepDraft();
    await showFromTrail(1);
  });
}

function back() {
  guarded(() => showFromTrail(photo ? -1 : 0), true);
}

function undo() {
  guarded(async () => {
    const last = done.pop();
    if (!last) return say("There is nothing to undo.");
    if (!photo || photo.number !== last.number) {
      if (photo) keepDraft();
      place = trail.lastIndexOf(last.number);
      if (place < 0) place = trail.unshift(last.number) - 1;
      show(await fetchPhoto(last.number));
    }
    if (last.kind === "answer") {
      const plates = last.before && given(last.before);
      const reply = await ask("PUT", "/photographs/" + photo.number, { revision: photo.revision, plates });
      if (!reply.ok) return refused(reply, last.plates);
      show(prepared(reply.photograph));
    }
    photo.plates = copied(last.plates);
    photo.decided = last.kind === "answer" || last.decided;
    photo.changed = true;
    chosen = Math.max(0, Math.min(chosen, photo.plates.length - 1));
    render();
    focusStart();
    say("Undone: " + (photo.plates.map(spoken).join(", ") || "no plate"));
  }, true);
}

// Keys

// A letter or digit as the key is labelled; where it has another script, as it lies on the keyboard.
const pressed = (event) => (/^[\x20-\x7e]$/.test(event.key) ? event.key.toLowerCase() : event.code.replace(/^(Key|Digit|Numpad)/, "").toLowerCase());

const KEYS = {
  n: () => addPlate(stage.newBox(), false),
  t: () => field(chosen)?.focus(),
  f2: () => field(chosen)?.focus(),
  u: () => { markUnread(chosen); focusStart(); },
  r: takeSuggestion,
  z: () => { stage.toggleNear(); focusStart(); },
  0: setNone,
  delete: () => removePlate(chosen),
  backspace: () => removePlate(chosen),
};

document.addEventListener("keydown", (event) => {
  if (at("help").open || event.isComposing || event.keyCode === 229) return;
  const writes = event.target.matches("input"), key = event.key, control = event.ctrlKey || event.metaKey;
  const isButton = event.target.matches("button:not(.box)");
  let used = true;
  if (control && !event.shiftKey && pressed(event) === "z") undo();
  else if (key === "PageUp") back();
  else if (busy) { /* What comes next has not been looked at yet. */ }
  else if (key === "PageDown") later();
  else if (key === "Enter" && !isButton) {
    if (event.repeat) { /* A key that is held down answers nothing. */ }
    else if (writes && photo && !event.target.value.trim() && !photo.plates[chosen].unread) markUnread(chosen), field(chosen).focus();
    else if (!writes && photo?.plates[chosen] && event.target.matches(".box") && !photo.plates[chosen].unread && !photo.plates[chosen].text) field(chosen).focus();
    else accept();
  } else if (key === "Escape" && writes) focusStart();
  else if (writes || !photo) used = false;
  else if (key.startsWith("Arrow") && photo.plates[chosen]) stage.nudge(chosen, key, event.shiftKey, control);
  else if (control || event.altKey) used = false;
  else if (key === "?") at("help").showModal();
  else if (/^[1-9]$/.test(pressed(event))) { if (choose(Number(pressed(event)) - 1)) stage.focus(chosen); }
  else if (KEYS[pressed(event)] || KEYS[key.toLowerCase()]) (KEYS[pressed(event)] || KEYS[key.toLowerCase()])();
  else used = false;
  if (used) event.preventDefault();
});

at("boxes").addEventListener("focusin", (event) => choose(Number(event.target.dataset.number)));
at("accept").addEventListener("click", accept);
at("add").addEventListener("click", () => addPlate(stage.newBox(), false));
at("none").addEventListener("click", setNone);
at("later").addEventListener("click", later);
at("back").addEventListener("click", back);
at("undo").addEventListener("click", undo);
at("zoom").addEventListener("click", () => { stage.toggleNear(); focusStart(); });
at("open-help").addEventListener("click", () => at("help").showModal());
at("close-help").addEventListener("click", () => at("help").close());

// What was changed and not answered is lost with the page.
window.addEventListener("beforeunload", (event) => { if (photo?.changed) event.preventDefault(); });
window.addEventListener("pagehide", leave);

guarded(async () => {
  const begun = await begin();
  folder = begun.folder;
  trail.push(...begun.recent);
  place = trail.length - 1;
  await showNext();
});
