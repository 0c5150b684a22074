// The photograph with its boxes: real buttons over a picture, drawn, moved and sized by mouse, finger and keys.
// Boxes are [ymin, xmin, ymax, xmax] in pixels of the photograph, whatever its size on the screen.

export const at = (id) => document.getElementById(id);
// How near to an edge it is taken hold of, and from which size on a drag is a box, in pixels of the screen.
const REACH = { mouse: 9, pen: 12, touch: 22 }, SMALLEST_DRAG = 6;
// A step of an arrow key, as a share of the photograph's longer side, and by how much Ctrl makes it larger.
const STEP = 1 / 600, LARGER = 8;
// A new box, as a share of what is seen, and its width by its height; and how much of the view a plate fills from near.
const NEW_SHARE = 0.22, NEW_ASPECT = 3, NEAR_SHARE = 0.35;
// No box is thinner, in pixels of the photograph.
const THINNEST = 2;

export class Stage {
  // `changed(kind, number)` is called before a box changes, `drawn(box)` for a new one, `chosen(number)` for one that
  // was clicked, and `settled()` once the boxes stay where they are.
  constructor({ changed, drawn, chosen, settled }) {
    Object.assign(this, { changed, drawn, chosen, settled });
    this.photo = null;
    this.near = false;
    this.stage = at("stage");
    this.sheet = at("sheet");
    this.stage.addEventListener("pointerdown", (event) => this.#down(event));
    new ResizeObserver(() => this.lay()).observe(this.stage);
  }

  show(photo, address, nearAddress) {
    this.photo = photo;
    this.near = false;
    this.addresses = [address, nearAddress];
    at("photograph").src = address;
    at("photograph").alt = "Photograph " + photo.name;
    this.lay();
  }

  // Where the photograph lies on the stage: the whole of it, or the chosen plate from near.
  lay(number = this.number) {
    this.number = number;
    if (!this.photo || !this.photo.width) return;
    const room = this.stage.getBoundingClientRect();
    const whole = Math.min(room.width / this.photo.width, room.height / this.photo.height);
    const plate = this.photo.plates[number];
    const [ymin, xmin, ymax, xmax] = plate ? plate.box : [0, 0, this.photo.height / 3, this.photo.width / 3];
    const near = Math.min((NEAR_SHARE * room.width) / (xmax - xmin), (NEAR_SHARE * room.height) / (ymax - ymin));
    this.scale = this.near ? Math.max(near, 1.5 * whole) : whole;
    if (this.near && !at("photograph").src.endsWith(this.addresses[1])) at("photograph").src = this.addresses[1];
    const middle = this.near && plate ? [(ymin + ymax) / 2, (xmin + xmax) / 2] : [this.photo.height / 2, this.photo.width / 2];
    const style = this.sheet.style;
    style.width = this.scale * this.photo.width + "px";
    style.height = this.scale * this.photo.height + "px";
    style.left = room.width / 2 - this.scale * middle[1] + "px";
    style.top = room.height / 2 - this.scale * middle[0] + "px";
    this.draw();
  }

  toggleNear() {
    this.near = !this.near;
    this.lay();
  }

  // Bring the buttons of the boxes in line with the plates.
  draw(number = this.number) {
    this.number = number;
    const boxes = at("boxes"), plates = this.photo.plates;
    while (boxes.children.length > plates.length) boxes.lastChild.remove();
    while (boxes.children.length < plates.length) boxes.append(makeBox());
    plates.forEach((plate, place) => {
      const button = boxes.children[place], [ymin, xmin, ymax, xmax] = plate.box;
      const certain = plate.status === "ok", read = plate.status !== undefined;
      button.className = "box" + (read ? (certain ? " certain" : " doubtful") : "") + (place === number ? " chosen" : "");
      button.dataset.number = place;
      button.setAttribute("aria-label", "Box " + (place + 1) + ": " + spoken(plate));
      if (place === number) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
      button.querySelector(".tag").textContent = place + 1 + (plate.text ? "  " + plate.text : "");
      for (const [side, value, whole] of [["top", ymin, this.photo.height], ["left", xmin, this.photo.width], ["height", ymax - ymin, this.photo.height], ["width", xmax - xmin, this.photo.width]])
        button.style[side] = (100 * value) / whole + "%";
    });
  }

  focus(number) {
    at("boxes").children[number]?.focus({ preventScroll: true });
  }

  // Move a box by a key, or its right and lower side.
  nudge(number, key, resize, larger) {
    const step = Math.max(1, Math.round(STEP * Math.max(this.photo.width, this.photo.height))) * (larger ? LARGER : 1);
    const dy = { ArrowUp: -step, ArrowDown: step }[key] || 0, dx = { ArrowLeft: -step, ArrowRight: step }[key] || 0;
    this.changed(resize ? "resize" : "move", number);
    const plate = this.photo.plates[number];
    plate.box = resize ? this.#sized(plate.box, { bottom: dy, right: dx }) : this.#moved(plate.box, dy, dx);
    this.draw();
    this.settled();
  }

  // A box in the middle of what is seen.
  newBox() {
    const room = this.stage.getBoundingClientRect(), sheet = this.sheet.getBoundingClientRect();
    const y = (room.top + room.height / 2 - sheet.top) / this.scale, x = (room.left + room.width / 2 - sheet.left) / this.scale;
    const width = (NEW_SHARE * Math.min(room.width, sheet.width)) / this.scale, height = width / NEW_ASPECT;
    return this.#moved([y - height / 2, x - width / 2, y + height / 2, x + width / 2], 0, 0);
  }

  #moved([ymin, xmin, ymax, xmax], dy, dx) {
    const height = Math.min(ymax - ymin, this.photo.height), width = Math.min(xmax - xmin, this.photo.width);
    const top = Math.min(Math.max(0, ymin + dy), this.photo.height - height), left = Math.min(Math.max(0, xmin + dx), this.photo.width - width);
    return [top, left, top + height, left + width];
  }

  #sized([ymin, xmin, ymax, xmax], { top = 0, left = 0, bottom = 0, right = 0 }) {
    const within = (value, low, high) => Math.min(Math.max(value, low), high);
    return [
      within(ymin + top, 0, ymax - THINNEST), within(xmin + left, 0, xmax - THINNEST),
      within(ymax + bottom, ymin + THINNEST, this.photo.height), within(xmax + right, xmin + THINNEST, this.photo.width),
    ];
  }

  #point(event) {
    const sheet = this.sheet.getBoundingClientRect();
    return [(event.clientY - sheet.top) / this.scale, (event.clientX - sheet.left) / this.scale];
  }

  #down(event) {
    if (event.button || !event.isPrimary || !this.photo || event.target.closest("#zooms")) return;
    const button = event.target.closest(".box"), start = this.#point(event);
    event.preventDefault();
    if (button) this.#drag(event, Number(button.dataset.number), start);
    else this.#drawNew(event, start);
  }

  #drag(event, number, start) {
    this.chosen(number);
    const before = this.photo.plates[number].box, sides = this.#held(before, start, REACH[event.pointerType] || REACH.mouse);
    let told = false;
    this.#follow(event, (moved) => {
      const [dy, dx] = this.#point(moved).map((value, axis) => value - start[axis]);
      if (!told && Math.hypot(dy, dx) * this.scale < 2) return;
      if (!told) this.changed("drag", number);
      told = true;
      const shares = { top: dy, bottom: dy, left: dx, right: dx };
      this.photo.plates[number].box = sides.length
        ? this.#sized(before, Object.fromEntries(sides.map((side) => [side, shares[side]])))
        : this.#moved(before, dy, dx);
      this.draw();
    }, () => { if (told) this.settled(); });
  }

  // The sides of a box that are taken hold of; none where it is taken in its middle. Of a small box a third is middle.
  #held([ymin, xmin, ymax, xmax], [y, x], reach) {
    const near = (value, edge, size) => Math.abs(value - edge) <= (((value - edge) * size > 0) ? Math.min(reach / this.scale, Math.abs(size) / 3) : reach / this.scale);
    const sides = [];
    if (near(y, ymin, ymax - ymin)) sides.push("top");
    else if (near(y, ymax, ymin - ymax)) sides.push("bottom");
    if (near(x, xmin, xmax - xmin)) sides.push("left");
    else if (near(x, xmax, xmin - xmax)) sides.push("right");
    return sides;
  }

  #drawNew(event, start) {
    const shape = document.createElement("div");
    shape.className = "drawn";
    let box = null;
    this.#follow(event, (moved) => {
      const end = this.#point(moved);
      const clip = (value, side) => Math.min(Math.max(0, value), side);
      const ys = [start[0], end[0]].map((value) => clip(value, this.photo.height)).sort((a, b) => a - b);
      const xs = [start[1], end[1]].map((value) => clip(value, this.photo.width)).sort((a, b) => a - b);
      box = [ys[0], xs[0], ys[1], xs[1]];
      at("boxes").parentElement.append(shape);
      Object.assign(shape.style, { top: ys[0] * this.scale + "px", left: xs[0] * this.scale + "px", height: (ys[1] - ys[0]) * this.scale + "px", width: (xs[1] - xs[0]) * this.scale + "px" });
    }, () => {
      shape.remove();
      if (box && Math.min(box[2] - box[0], box[3] - box[1]) * this.scale >= SMALLEST_DRAG) this.drawn(box);
    }, () => shape.remove());
  }

  // Call `move` until the pointer is let go, then `end`; `cancel` if the browser takes it, to zoom with two fingers.
  #follow(event, move, end, cancel = end) {
    const stage = this.stage, photo = this.photo, id = event.pointerId;
    stage.setPointerCapture(id);
    const moving = (moved) => { if (moved.pointerId === id && this.photo === photo) move(moved); };
    const over = (ended) => {
      if (ended.pointerId !== id) return;
      stage.removeEventListener("pointermove", moving);
      for (const name of ["pointerup", "pointercancel"]) stage.removeEventListener(name, over);
      if (this.photo === photo && ended.type === "pointerup") end();
      else cancel();
    };
    stage.addEventListener("pointermove", moving);
    for (const name of ["pointerup", "pointercancel"]) stage.addEventListener(name, over);
  }
}

// What a plate says, for who hears the page.
export function spoken(plate) {
  return plate.text || (plate.unread ? "cannot be read" : "no text yet");
}

function makeBox() {
  const button = document.createElement("button");
  button.type = "button";
  for (const name of ["tag", "corner nw", "corner ne", "corner sw", "corner se"]) {
    const part = document.createElement("span");
    part.className = name;
    if (name === "tag") part.dir = "auto";
    button.append(part);
  }
  return button;
}
