// Requests to the program on this machine.

// New with every start of the program, so that no picture of an earlier one is shown.
let session = "";

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
  session = begun.session;
  return begun;
}

// Where a photograph is as a picture, or a plate of it.
export function address(number, what, box = []) {
  return "/photographs/" + number + "/" + what + "?of=" + session + box.map((side) => "&box=" + side.toFixed(1)).join("");
}
