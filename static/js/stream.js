/*
 * One stream for all tabs of a browser, which allows only six connections to a server over HTTP/1.1.
 *
 * The tab that holds the lock reads the stream for all tabs, and hands its messages on. The browser gives the lock of
 * a tab that is closed or killed to the next tab in line. The document gets these events:
 *
 *   stream:message   detail.html is a change of this page's documents, up to detail.revision; detail.anew: the server
 *                    began to count revisions again, as after a restored back-up
 *   stream:open      the stream is open; all changes up to detail.at, a time in milliseconds, have come
 *   stream:lost      the stream is away; detail.words may be the server's reason; detail.silent: it was held back
 *   stream:refused   the server lets nobody in to what the tabs watch: each tab has to see whether that is its page
 */
const LOCK = "stream";
// Milliseconds in which a tab that reads answers another tab, and between two such questions.
const [ANSWER, QUESTION] = [3_000, 20_000];
// Milliseconds in which all tabs say what they watch.
const GATHERING = 100;
// The server sends a sign of life every 20 s.
const SILENT = 30_000;
// The text of these answers says why there is no stream.
const [TOO_MANY, BUSY] = [429, 503];

const panel = document.getElementById("documents");
const address = new URL(document.getElementById("documents-list").dataset.events, location);
const [number] = address.searchParams.get("lastEventId").split(":");

const shared = Boolean(navigator.locks && window.BroadcastChannel);
const tabs = shared ? new BroadcastChannel("stream") : null;

function happens(name, detail = {}) {
  document.dispatchEvent(new CustomEvent(`stream:${name}`, { detail }));
}

function tell(message) {
  tabs.postMessage(message);
  hear(message);
}

// Each tab -----------------------------------------------------------------------------------------------------------

let heard = 0;

// In the background, a page whose documents have ended needs no stream.
const needed = () => !document.hidden || panel.dataset.outcome === "processing";
const watching = () => ({ number, revision: Number(panel.dataset.revision) });

function hear({ change, open, lost, refused, gather, enter, leave }) {
  if (!enter && !leave) heard = Date.now();
  if (gather && needed()) tabs.postMessage({ enter: watching() });
  if (change?.number === number) happens("message", change);
  if (open?.numbers.includes(number)) happens("open", open);
  if (lost && (lost.number ?? number) === number) happens("lost", lost);
  if (refused) happens("refused");
  if (reads && enter) enters(enter);
  if (reads && leave) gatherTabs();
}

let wasNeeded = false;

function need() {
  if (needed() && !wasNeeded) enter();
  if (!needed() && wasNeeded) reads ? gatherTabs() : tabs.postMessage({ leave: number });
  wasNeeded = needed();
}

// A browser may have put the tab that reads to sleep. Then this tab reads.
function enter() {
  if (reads) return enters(watching());
  const asked = Date.now();
  tabs.postMessage({ enter: watching() });
  setTimeout(() => { if (heard < asked && !reads && needed()) stand({ steal: true }); }, ANSWER);
}

// The tab that reads -------------------------------------------------------------------------------------------------

let reads = false;
// The assessments that tabs watch, each with the revision up to which its tabs have had all changes.
const watched = new Map();
let connecting = null;
let connection = null;
// When the open stream was last heard; 0 while no stream is open.
let alive = 0;
let failures = 0;

function stand(options = {}) {
  navigator.locks.request(LOCK, options, () => {
    reads = true;
    gatherTabs();
    return new Promise(() => {});
  }).catch(() => {
    // Another tab took the lock, as this one did not answer.
    reads = false;
    clearTimeout(connecting);
    connection?.abort();
    connection = null;
    stand();
  });
}

function gatherTabs() {
  watched.clear();
  if (needed()) watched.set(number, watching().revision);
  tabs.postMessage({ gather: true });
  connectSoon();
}

function enters({ number, revision }) {
  tabs.postMessage({ here: true });
  if (!(watched.get(number) <= revision)) {
    watched.set(number, revision);
    connectSoon();
  } else if (alive) {
    tell({ open: { numbers: [number], at: alive } });
  }
}

function connectSoon() {
  clearTimeout(connecting);
  connecting = setTimeout(connect, GATHERING);
}

async function connect() {
  connecting = null;
  connection?.abort();
  alive = 0;
  const mine = connection = watched.size ? new AbortController() : null;
  if (!mine) return;
  let words, silence, silent = false;
  const stillThere = () => {
    clearTimeout(silence);
    silence = setTimeout(() => { silent = true; mine.abort(); }, SILENT);
  };
  try {
    stillThere();
    const response = await fetch(addressOf([...watched]), {
      headers: { Accept: "text/event-stream" }, cache: "no-store", signal: mine.signal,
    });
    if (response.status === TOO_MANY && watched.size > 1) return leaveOneOut(await response.text());
    if ([400, 401, 403, 404].includes(response.status)) tell({ refused: true });
    else if ([TOO_MANY, BUSY].includes(response.status)) words = await response.text();
    else if (response.ok) for await (const { event, id, data } of messages(response.body)) {
      stillThere();
      if (connection !== mine) break;
      if (["stream-error", "stream-reset"].includes(event)) tell({ refused: true });
      else if (event && event !== "saved") lives();
      else handOn(id, data);
    }
  } catch {
    // The connection was lost.
  } finally {
    clearTimeout(silence);
  }
  if (connection !== mine) return;
  connection = null;
  alive = 0;
  tell({ lost: { words, silent } });
  setTimeout(() => { if (reads && !connecting && !connection) gatherTabs(); }, delay());
}

// A person may watch so many assessments at once. The tab that is left out asks by itself.
function leaveOneOut(words) {
  const number = [...watched.keys()].at(-1);
  watched.delete(number);
  tell({ lost: { number, words } });
  connectSoon();
}

function lives() {
  alive = Date.now();
  failures = 0;
  tell({ open: { numbers: [...watched.keys()], at: alive } });
}

function handOn(id, html) {
  const number = id.split(":")[0], revision = Number(id.split(":")[1]);
  const anew = revision <= watched.get(number);
  alive = Date.now();
  // While tabs come in, one of them may have missed earlier changes.
  if (!connecting) watched.set(number, revision);
  tell({ change: { number, revision, anew, html } });
}

// From half a second to five seconds; not all browsers come back at the same moment.
function delay() {
  const milliseconds = Math.min(500 * 2 ** failures, 5_000);
  failures += 1;
  return milliseconds * (0.7 + 0.6 * Math.random());
}

function addressOf([[first, revision], ...others]) {
  const whole = new URL(address.pathname.replace(number, first), address);
  whole.searchParams.set("lastEventId", `${first}:${revision}`);
  for (const other of others) whole.searchParams.append("also", other.join(":"));
  return whole;
}

async function* messages(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const parts = (text + value).split("\n\n");
    text = parts.pop();
    for (const part of parts) {
      const message = { event: "", id: "", data: [] };
      for (const line of part.split("\n")) {
        const [name, ...words] = line.split(":");
        if (name === "data") message.data.push(words.join(":").replace(/^ /, ""));
        else if (name in message) message[name] = words.join(":").trim();
      }
      if (message.data.length) yield { ...message, data: message.data.join("\n") };
    }
  }
}

// --------------------------------------------------------------------------------------------------------------------

if (shared) {
  tabs.addEventListener("message", ({ data }) => hear(data));
  document.addEventListener("visibilitychange", () => {
    wasNeeded &&= document.hidden;
    need();
  });
  document.addEventListener("htmx:after:swap", need);
  setInterval(() => { if (needed()) enter(); }, QUESTION);
  stand();
  need();
}
