/*
/*
 * The forms and photos of an assessment's page: keeps the forms' tokens fresh. The upload sends the files one by one,
 * shows the progress, and says what became of each file. A picture that does not load says so.
 */

import { csrfToken } from "./generate-all-documents.js";

// Another tab that signs in gets a new token for this browser, and the tokens in the page are then too old.
document.addEventListener("click", () => {
  for (const input of document.getElementsByName("csrfmiddlewaretoken")) input.value = csrfToken() || input.value;
}, true);

// The upload: each file is a request of its own ----------------------------------------------------------------------

const upload = document.getElementById("upload");

// The request that sends the present file, and whether the person has stopped the upload.
let sending = null;
let stopped = false;

// Whether new contents of the gallery are on their way, and whether they may be too old already.
let showing = false;
let again = false;
const gallery = () => document.getElementById("gallery");
const documents = document.getElementById("documents");

document.getElementById("stop-upload")?.addEventListener("click", () => {
  stopped = true;
  sending?.abort();
});

// A person who may add no photos has no such form.
upload?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const files = [...upload.elements.photos.files];
  const size = files.reduce((sum, file) => sum + file.size, 0);
  let bytes = 0, sent = 0;
  const whole = { section: "", added: 0, already_there: 0, there: "", refused: [] };

  tell([]);
  stopped = false;
  uploading(0);
  const refusal = await refusedBeforehand();
  if (refusal) {
    uploading(null);
    tell([["error", refusal]]);
    return;
  }
  // Files are sent one after another, so the photos keep the order in which they were chosen.
  for (const file of files) {
    if (stopped) break;
    const number = `${sent + 1} of ${files.length}`;
    const progress = (loaded) => uploading((100 * (bytes + Math.min(loaded, file.size))) / (size || 1), number);
    progress(0);
    const fate = await send(file, progress);
    if (!fate) break;
    sent += 1;
    bytes += file.size;
    if (!whole.added && fate.added) showGallery();
    whole.section ||= fate.section;
    whole.there ||= fate.there;
    whole.added += fate.added;
    whole.already_there += fate.already_there;
    whole.refused.push(...fate.refused);
  }
  uploading(null);
  showGallery();
  tell([
    ["success", whole.added && `${counted(whole.added)} added to ${whole.section}.`],
    ["info", whole.already_there && `${counted(whole.already_there)} ${whole.there}.`],
    ["info", sent < files.length && `Stopped: ${sent} of ${counted(files.length)} sent. Upload again to send the others.`],
    ...[...new Set(whole.refused)].map((words) => ["error", words]),
  ]);
  // A choice that is sent again needs its caption again. The next photos need another caption.
  if (sent === files.length && !whole.refused.length) {
    upload.elements.photos.value = "";
    upload.elements.caption.value = "";
  }
});

const SIGNED_OUT = "Sign in in another tab, then add the photos again here.";

// Asks, before any byte of a file is sent, whether the server would take files; resolves to the reason why not. The
// choice of files stays, so the person can send them after signing in again in another tab.
async function refusedBeforehand() {
  try {
    const response = await fetch(upload.action, { headers: { "X-Requested-With": "XMLHttpRequest" }, redirect: "manual" });
    if (response.type === "opaqueredirect") return `You are no longer signed in, so nothing was sent. ${SIGNED_OUT}`;
    if (response.ok) return (await response.json()).refused.join(" ");
    return reason({ status: response.status, responseText: await response.text() });
  } catch {
    return "The server cannot be reached, so nothing was sent. Check the connection, then add the photos again.";
  }
}

// Sends one file; resolves to its outcome, in the form that the server sends, or to nothing when it was stopped.
function send(file, progress) {
  const form = new FormData(upload);
  form.set("photos", file);
  form.set("csrfmiddlewaretoken", csrfToken() || form.get("csrfmiddlewaretoken"));
  return new Promise((resolve) => {
    const failed = (words) => resolve({ section: "", added: 0, already_there: 0, there: "", refused: [words] });
    const request = sending = new XMLHttpRequest();
    request.upload.addEventListener("progress", ({ loaded }) => progress(loaded));
    request.addEventListener("load", () => {
      // A request that ends elsewhere was redirected to the login.
      if (request.responseURL !== upload.action) failed(`You are no longer signed in, so some photos are missing. ${SIGNED_OUT}`);
      else if (request.status === 200) resolve(JSON.parse(request.responseText));
      else failed(`${file.name} was not added. ${reason(request)}`);
    });
    request.addEventListener("error", () => {
      // The request or its answer was lost: the server may have the photo.
      failed("The connection was lost, so some photos may be missing. Check the connection, then upload all of them again: a photo that is there already is not added twice.");
    });
    request.addEventListener("abort", () => resolve(null));
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
async function showGallery() {
  again = showing;
  if (showing) return;
  showing = true;
  await htmx.ajax("GET", gallery().dataset.address, { target: "#gallery", swap: "outerMorph" });
  showing = false;
  if (again) showGallery();
}

// Other people add and remove photos, too.
document.addEventListener("htmx:after:swap", () => {
  const busy = upload?.querySelector("button").disabled;
  if (!busy && Number(documents.dataset.photos) > Number(gallery().dataset.photos)) showGallery();
});

function counted(photos) {
  return photos === 1 ? "1 photo" : `${photos} photos`;
}

function uploading(percent, number = "") {
  upload.querySelector(".uploading").hidden = percent === null;
  document.getElementById("uploading-count").textContent = number;
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

// Pictures that do not load ------------------------------------------------------------------------------------------

function sayMissing(picture) {
  const words = document.createElement("div");
  words.className = "no-picture";
  words.dataset.problem = "";
  words.textContent = "This picture cannot be loaded. Load the page again; if it stays away, upload the photo to this section again, or ask the office to remove it.";
  picture.closest("a").replaceWith(words);
}

// An error does not bubble. Some pictures may have failed before this script ran.
document.getElementById("photos").addEventListener("error", ({ target }) => sayMissing(target), true);
for (const picture of document.querySelectorAll("#gallery img")) {
  if (picture.complete && picture.naturalWidth === 0) sayMissing(picture);
}

// The pictures -------------------------------------------------------------------------------------------------------

// A print shows no picture that has not come yet, and pictures far below come only when somebody scrolls to them.
// Most people print from a desk; a phone may pay for what it loads.
function loadAll() {
  for (const picture of gallery().querySelectorAll("img")) picture.loading = "eager";
}

window.addEventListener("beforeprint", loadAll);
if (matchMedia("(pointer: fine)").matches) window.addEventListener("load", () => setTimeout(loadAll, 2_000));
