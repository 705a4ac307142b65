/*
 * The script of an assessment's page. The script says when the live stream is lost and connects it again, keeps the
 * stream open in the background while documents are being made, keeps the focus where the person left it, and shows
 * the progress of an upload.
 */
const LOST = 3_000;
// The server sends a sign of life every 20 s.
const SILENT = 45_000;
const RELOADED = "reloaded";
const EXPLAINED = [409, 429, 503, 507];

const panel = document.getElementById("documents");
const list = document.getElementById("documents-list");
const notice = document.getElementById("documents-notice");
const running = () => panel.dataset.outcome === "processing";

// The stream ---------------------------------------------------------------------------------------------------------

let connection = null;
let heard = Date.now();
let patience = null;

function lost(words = "Reconnecting; what you see may be a few seconds old") {
  patience ??= setTimeout(() => { notice.textContent = words; }, LOST);
}

function found() {
  clearTimeout(patience);
  patience = null;
  heard = Date.now();
  notice.textContent = "";
}

function connectAgain(words) {
  lost(words);
  setTimeout(() => htmx.process(list, true), 2_000);
}

// A second reload would not mend an error that the first reload did not mend.
function reloadOnce(otherwise) {
  const last = Number(sessionStorage.getItem(RELOADED));
  sessionStorage.setItem(RELOADED, Date.now());
  if (Date.now() - last > 60_000) location.reload();
  else notice.textContent = otherwise;
}

function refused(status) {
  const gone = [400, 401, 403, 404].includes(status);
  if (gone) reloadOnce("This page is no longer renewed. Reload it to see the present state.");
  return gone;
}

list.addEventListener("htmx:before:sse:connection", ({ detail }) => {
  connection = detail.connection;
  if (connection.attempt > 0) lost();
});
list.addEventListener("htmx:after:sse:connection", found);
list.addEventListener("htmx:before:sse:message", () => { heard = Date.now(); });
list.addEventListener("htmx:sse:error", ({ detail }) => refused(detail.status));
list.addEventListener("htmx:sse:close", ({ detail }) => {
  connection = null;
  if (detail.reason === "ended") connectAgain();
});
for (const name of ["stream-error", "stream-reset"]) {
  list.addEventListener(name, () => refused(400));
}

// htmx makes the first request for the stream, and does not repeat that request.
document.addEventListener("htmx:response:error", ({ target, detail }) => {
  const { status } = detail.ctx.response;
  // With these statuses, the text of the server says why.
  const words = EXPLAINED.includes(status) ? detail.ctx.text : undefined;
  if (target !== list) answerFailed(detail.ctx, words ?? `The server could not do that (error ${status}). Try again.`);
  else if (!refused(status)) connectAgain(words);
});
document.addEventListener("htmx:error", ({ target, detail }) => {
  if (target === list) connectAgain();
  else answerFailed(detail.ctx, "The server cannot be reached. Check the connection, then try again.");
});

setInterval(() => {
  if (Date.now() - heard < SILENT || connection === null || connection.delayCanceller || document.hidden) return;
  heard = Date.now();
  lost();
  if (connection.reader) connection.reader.cancel();
  else connection.abortController?.abort();
}, 5_000);

// The extension closes the stream when the page is hidden. While documents are being made the stream has to stay open,
// for the title in the tab; when the documents have ended, the stream may close.
window.addEventListener("visibilitychange", (event) => {
  if (document.hidden && running()) event.stopImmediatePropagation();
}, true);
function letGo() {
  if (document.hidden && !running() && connection?.reader) document.dispatchEvent(new Event("visibilitychange"));
}
document.addEventListener("htmx:after:swap", letGo);
setInterval(letGo, 2_000);
// A page from the browser's back/forward cache has no stream any more.
window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

// The buttons --------------------------------------------------------------------------------------------------------

function answerFailed(request, words) {
  // GET requests, which no button sends, are repeated by themselves.
  if (request?.request.method !== "POST") return;
  // The person was signed out meanwhile, or the assessment is gone: the page itself says that best.
  if ([403, 404].includes(request.response?.status)) location.reload();
  else notice.textContent = words;
}

document.addEventListener("htmx:before:response", (event) => {
  const { response, sourceElement } = event.detail.ctx;
  if (sourceElement === list || !response.raw.redirected) return;
  event.preventDefault();
  location.reload();
});

// The response to a button may come later than the next events: fragments older than the shown ones are dropped.
document.addEventListener("htmx:before:swap", (event) => {
  const { ctx, tasks } = event.detail;
  if (ctx.sourceElement === list) return;
  const older = ({ fragment, target }) =>
    Number(fragment.firstElementChild?.dataset.revision) < Number(target.dataset.revision);
  const fresh = tasks.filter((task) => !older(task));
  if (fresh.length < tasks.length) ctx.title = "";
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

// The upload: each file is a request of its own ----------------------------------------------------------------------

const upload = document.getElementById("upload");

// A person who may add no photos has no such form.
upload?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const files = [...upload.elements.photos.files];
  const size = files.reduce((sum, file) => sum + file.size, 0);
  let sent = 0;
  const whole = { section: "", added: 0, already_there: 0, refused: [] };

  tell([]);
  uploading(0);
  const refusal = await refusedBeforehand();
  if (refusal) {
    uploading(null);
    tell([["error", refusal]]);
    return;
  }
  // Files are sent one after another, so the photos keep the order in which they were chosen.
  for (const file of files) {
    const fate = await send(file, (loaded) => uploading((100 * (sent + Math.min(loaded, file.size))) / (size || 1)));
    sent += file.size;
    if (!whole.added && fate.added) showGallery();
    whole.section ||= fate.section;
    whole.added += fate.added;
    whole.already_there += fate.already_there;
    whole.refused.push(...fate.refused);
  }
  showGallery();
  uploading(null);
  tell([
    ["success", whole.added && `${counted(whole.added)} added to ${whole.section}.`],
    ["info", whole.already_there && `${counted(whole.already_there)} already there.`],
    ...[...new Set(whole.refused)].map((words) => ["error", words]),
  ]);
  if (!whole.refused.length) upload.elements.photos.value = "";
});

// Asks, before any byte of a file is sent, whether the server would take files; resolves to the reason why not. The
// choice of files stays, so the person can send them after signing in again in another tab.
async function refusedBeforehand() {
  try {
    const { type, ok, status } = await fetch(upload.action, { headers: { "HX-Request": "true" }, redirect: "manual" });
    if (type === "opaqueredirect") {
      return "You are no longer signed in, so nothing was sent. Sign in in another tab, then add the photos again here.";
    }
    return ok ? "" : `The server does not take photos now (error ${status}). Try again.`;
  } catch {
    return "The server cannot be reached, so nothing was sent. Check the connection, then add the photos again.";
  }
}

// Another tab that signs in gets a new token for this browser, and the token in the page is then too old.
function presentToken() {
  const cookie = document.cookie.split("; ").find((part) => part.startsWith("csrftoken="));
  return cookie?.slice("csrftoken=".length);
}

// Sends one file; resolves to its outcome, in the form that the server sends.
function send(file, progress) {
  const form = new FormData(upload);
  form.set("photos", file);
  form.set("csrfmiddlewaretoken", presentToken() ?? form.get("csrfmiddlewaretoken"));
  return new Promise((resolve) => {
    const failed = (words) => resolve({ section: "", added: 0, already_there: 0, refused: [words] });
    const request = new XMLHttpRequest();
    request.upload.addEventListener("progress", ({ loaded }) => progress(loaded));
    request.addEventListener("load", () => {
      // A request that ends elsewhere was redirected to the login. After the login, this address shows the photos.
      if (request.responseURL !== upload.action) location.assign(upload.action);
      else if (request.status === 200) resolve(JSON.parse(request.responseText));
      else failed(`${file.name} was not added. ${reason(request)}`);
    });
    request.addEventListener("error", () => {
      // The request or its answer was lost: the server may have the photo.
      failed("The connection was lost, so some photos may be missing. Check the connection, then upload all of them again: a photo that is there already is not added twice.");
    });
    request.open("POST", upload.action);
    request.setRequestHeader("X-Requested-With", "XMLHttpRequest");
    request.send(form);
  });
}

// Returns the reason, from the page that a person without scripts would read.
function reason({ status, responseText }) {
  const page = new DOMParser().parseFromString(responseText, "text/html");
  const words = page.querySelector("main p")?.textContent.trim();
  return words || `The server did not take it (error ${status}). Try again.`;
}

// While a photo is new, the gallery renews itself.
function showGallery() {
  htmx.ajax("GET", upload.action, { target: "#gallery", swap: "outerMorph" });
}

function counted(photos) {
  return photos === 1 ? "1 photo" : `${photos} photos`;
}

function uploading(percent) {
  upload.querySelector(".uploading").hidden = percent === null;
  upload.querySelector("button").disabled = percent !== null;
  upload.querySelector("progress").value = percent ?? 0;
}

function tell(lines) {
  const items = lines.filter(([, words]) => words).map(([level, words]) => {
    const item = document.createElement("li");
    item.dataset.level = level;
    item.textContent = words;
    return item;
  });
  document.getElementById("upload-fate").replaceChildren(...items);
}

// htmx does not show an extension that loads late the elements that were there before.
htmx.process(list);
