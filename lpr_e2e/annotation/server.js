// Requests to the program on this machine.

// New with every start of the program, so that no picture of an earlier one is shown.
let session = "";
// What tells this page from others that are open.
let page = "";

// Ask for something; what is answered, with `ok` and `status` of the answer.
export async function ask(method, path, body) {
  const response = await fetch(path, {
    method, headers: body === undefined ? {} : { "Content-Type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const answer = await response.json().catch(() => ({}));
  if (answer.progress) document.dispatchEvent(new CustomEvent("progress", { detail: answer.progress }));
  return { ok: response.ok, status: response.status, ...answer };
}

export async function begin() {
  const begun = await ask("GET", "/begin");
  ({ session, page } = begun);
  return begun;
}

// The photographs to show next, at most so many, none of those in `without`.
export const askNext = (count, without) => ask("POST", "/next", { page, count, without });

// What this page was given and has not answered, others may be given.
export function leave() {
  navigator.sendBeacon("/leave", new Blob([JSON.stringify({ page })], { type: "application/json" }));
}

// Where a photograph is as a picture, or a plate of it.
export function address(number, what, box = []) {
  return "/photographs/" + number + "/" + what + "?of=" + session + box.map((side) => "&box=" + side.toFixed(1)).join("");
}
