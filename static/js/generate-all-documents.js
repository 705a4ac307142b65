/*
 * Asks for all documents of an assessment and follows them over the JSON stream.
 *
 * onProgress(documentType, progress, message, url, error) is called for each document in every message.
 * Resolves to {success, reportUrl, estimateUrl, photosPdfUrl, photosZipUrl, errors}; errors maps a document to its
 * error. Rejects when the documents could not be asked for, or when the connection ends before the batch does: the
 * batch goes on all the same, and a second call joins the batch.
 */
export async function generateAllDocuments(assessmentId, onProgress = () => {}) {
  const response = await fetch("/api/generate-all-documents", {
    method: "POST",
    credentials: "same-origin",
    headers: { "Content-Type": "application/json", "X-CSRFToken": csrfToken() },
    body: JSON.stringify({ assessmentId }),
  });
  if (!response.ok) {
    const answer = await response.json().catch(() => ({}));
    throw new Error(answer.message ?? `The documents could not be asked for (${response.status}).`);
  }
  let last = null;
  for await (const message of messages(response.body)) {
    last = message;
    for (const [type, result] of Object.entries(message.results)) {
      onProgress(type, result.progress, result.message, result.url, result.error);
    }
  }
  if (last === null || last.status === "processing") {
    throw new Error("The connection was lost. The documents are still being made; ask again to follow them.");
  }
  if (last.status === "error") throw new Error(last.message);
  return outcome(last.results);
}

/* Yields the messages of a stream, one on each line, until it ends or breaks off. Skips comments and blank lines. */
async function* messages(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  try {
    for (;;) {
      const { done, value } = await reader.read().catch(() => ({ done: true }));
      if (done) return;
      const lines = (text + value).split("\n");
      text = lines.pop();
      for (const line of lines) {
        if (line.startsWith("data: ")) yield JSON.parse(line.slice("data: ".length));
      }
    }
  } finally {
    // A caller that stops reading closes the connection; cancel() rejects when the connection was lost.
    reader.cancel().catch(() => {});
  }
}

function outcome(results) {
  const errors = Object.entries(results).filter(([, result]) => result.error !== null);
  return {
    success: Object.values(results).every((result) => result.success),
    ...Object.fromEntries(Object.entries(results).map(([type, result]) => [`${type}Url`, result.url])),
    errors: Object.fromEntries(errors.map(([type, result]) => [type, result.error])),
  };
}

/* Returns the token that each POST needs, as this browser has it now: signing in again in another tab renews it. */
export function csrfToken() {
  const cookie = document.cookie.split("; ").find((part) => part.startsWith("csrftoken="));
  return cookie ? decodeURIComponent(cookie.slice("csrftoken=".length)) : "";
}
