/*
 * The Documents panel: shows the changes that the stream brings, asks by itself while the stream is away or silent,
 * says how old the view is, and keeps the focus where the person left it. It also says when the page shows older facts.
 */
const panel = document.getElementById("documents");
const list = document.getElementById("documents-list");
const notice = document.getElementById("documents-notice");
const running = () => panel.dataset.outcome === "processing";

// The view -----------------------------------------------------------------------------------------------------------

// A gap of this many milliseconds is no news; after so many the page asks by itself; without any stream, sooner.
const [GAP, QUIET, UNSHARED] = [3_000, 5_000, 1_000];
const SIGNED_OUT = "You are no longer signed in. Sign in again in another tab; then this page goes on.";
const patience = navigator.locks && window.BroadcastChannel ? QUIET : UNSHARED;

// When the page was last known to show the present state.
let current = Date.now();
let streams = false;
// Since when the stream is away, and the server's reason.
let away = Date.now();
let reason = "";
// Why this page does not go on.
let failure = "";
// Whether the page asks by itself instead, and whether an answer is on its way.
let asks = false;
let asking = false;

function comesAlive(at) {
  if (!streams) {
    failure = "";
    refuse(null);
  }
  streams = true;
  reason = "";
  if (at >= current) asks = false;
  current = Math.max(current, at);
  say();
}

function goesAway(words = "") {
  if (streams) away = Date.now();
  streams = false;
  reason = words;
}

document.addEventListener("stream:open", ({ detail }) => comesAlive(detail.at));
document.addEventListener("stream:message", ({ detail }) => {
  // A proxy may have held the message back for so long that the page has asked for a later state by itself.
  if (!detail.anew && detail.revision < Number(panel.dataset.revision)) return;
  comesAlive(Date.now());
  show(detail.html, detail.anew ? list : panel);
});
document.addEventListener("stream:lost", ({ detail }) => {
  goesAway(detail.words);
  if (detail.silent) ask();
});
document.addEventListener("stream:refused", () => ask(asks));

let shown = Promise.resolve();

function show(html, sourceElement) {
  const swap = () => htmx.swap({ text: html, sourceElement, target: panel, swap: "none swapEmpty:false" });
  return shown = shown.then(swap, swap);
}

async function ask(instead = true) {
  if (asking) return;
  asking = true;
  try {
    const signal = AbortSignal.timeout(10_000);
    const response = await fetch(location.pathname, { headers: { "HX-Request": "true" }, signal });
    const gone = response.redirected || [401, 403, 404].includes(response.status);
    if (response.redirected) signedOut();
    // The assessment is gone, or not for this person any more: the page itself says that best.
    else if (gone) location.reload();
    else if (response.ok) {
      await show(await response.text(), panel);
      asks = instead;
    }
  } catch {
    // The server cannot be reached; the notice says how old the view is.
  }
  asking = false;
}

// A page that is loaded again says best that the person is signed out, but would lose the choice of files.
function signedOut() {
  if (document.getElementById("id_photos")?.files.length) failure = SIGNED_OUT;
  else location.reload();
}

function say() {
  const age = Date.now() - current;
  const old = `what you see is ${Math.round(age / 1000)} s old`;
  let words = failure || reason;
  if (asks && patience === QUIET) words ||= `This page asks by itself; ${old}`;
  else if (late() ? age > GAP : running() && age > QUIET + GAP) {
    words ||= `Reconnecting; ${age < QUIET ? "what you see may be a few seconds old" : old}`;
  }
  if (notice.textContent !== words) notice.textContent = words;
}

function late() {
  return !streams && Date.now() - away > GAP;
}

setInterval(() => {
  if (document.hidden && !running()) return;
  // While nothing is made, an open stream would have brought each change.
  if ((asks || late() || (streams && running())) && Date.now() - current >= patience) ask();
  say();
}, 1_000);

// In the background the stream may have been let go. It comes back by itself.
window.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  streams = true;
  goesAway();
}, true);
// A page from the browser's back/forward cache has no stream any more.
window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

// The facts ----------------------------------------------------------------------------------------------------------

const older = document.getElementById("older");

// The person may be writing on this page, so it is not reloaded by itself.
document.addEventListener("htmx:after:swap", () => {
  older.hidden = Number(panel.dataset.facts) <= Number(older.dataset.facts);
});

// The buttons --------------------------------------------------------------------------------------------------------

function answerFailed(request, words) {
  // GET requests, which no button sends, are repeated by themselves.
  if (request?.request.method !== "POST") return;
  // The person was signed out meanwhile, or the assessment is gone: the page itself says that best.
  if ([403, 404].includes(request.response?.status)) location.reload();
  else refuse(request.sourceElement.closest("[data-document], #documents-summary"), words);
}

// Says why a button did nothing, in the part of the panel that has the button.
const refusal = Object.assign(document.createElement("p"), { className: "problem", role: "alert" });
let refused = null;

function refuse(part, words = "") {
  refused = part?.id;
  refusal.textContent = words;
  placeRefusal();
}

// A swap removes what the server does not know.
function placeRefusal() {
  if (!refused) refusal.remove();
  else if (!refusal.isConnected) document.getElementById(refused).append(refusal);
}

document.addEventListener("htmx:after:swap", placeRefusal);
window.addEventListener("online", () => refuse(null));
document.addEventListener("htmx:before:request", ({ detail }) => {
  if (detail.ctx.request.method === "POST") refuse(null);
});
document.addEventListener("htmx:response:error", ({ detail }) => {
  const { status } = detail.ctx.response;
  // With these statuses, the text of the server says why: not allowed in this state, too many requests, too busy, full.
  const said = [409, 429, 503, 507].includes(status) ? detail.ctx.text : "";
  answerFailed(detail.ctx, said || `The server could not do that (error ${status}). Try again.`);
});
document.addEventListener("htmx:error", ({ detail }) => {
  answerFailed(detail.ctx, "The server cannot be reached. Check the connection, then try again.");
});

document.addEventListener("htmx:before:response", (event) => {
  const { response } = event.detail.ctx;
  if (!response.raw.redirected) return;
  event.preventDefault();
  signedOut();
  say();
});

// The response to a button may come later than the next events, and an event later than the answer to a question:
// fragments older than the shown ones are dropped.
document.addEventListener("htmx:before:swap", (event) => {
  const { ctx, tasks } = event.detail;
  if (ctx.sourceElement === list) return;
  const older = ({ fragment, target }) =>
    Number(fragment.firstElementChild?.dataset.revision) < Number(target.dataset.revision);
  const fresh = tasks.filter((task) => !older(task));
  if (fresh.length < tasks.length) ctx.title = "";
  if (tasks.some(({ target }) => target === panel)) current = Date.now();
  tasks.splice(0, tasks.length, ...fresh);
});

// The focus ----------------------------------------------------------------------------------------------------------

let held = null;

document.addEventListener("htmx:before:swap", () => {
  const element = document.activeElement;
  const home = element?.closest("[data-document], #documents-summary");
  held = home ? { element, home: home.id } : null;
});
document.addEventListener("htmx:after:swap", () => {
  if (held && !held.element.isConnected) document.getElementById(held.home)?.focus({ preventScroll: true });
  held = null;
});
