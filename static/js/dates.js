// Says each date of a form in words while it is typed, as the server reads it: in the office's order.
"use strict";
(() => {
  const ORDERS = { day: [2, 1, 0], month: [2, 0, 1], year: [0, 1, 2] };
  const FORMAT = { day: "numeric", month: "long", year: "numeric", timeZone: "UTC" };

  function words(text, order) {
    const parts = text.trim().match(/^(\d{1,4})([/. -])(\d{1,2})\2(\d{1,4})$/);
    if (!parts) return "";
    const numbers = [parts[1], parts[3], parts[4]];
    const [year, month, day] = ORDERS[parts[1].length === 4 ? "year" : order].map((place) => numbers[place]);
    if (year.length !== 4 && year.length !== 2) return "";
    const full = year.length === 4 ? Number(year) : Number(year) + (Number(year) < 69 ? 2000 : 1900);
    const date = new Date(Date.UTC(full, month - 1, day));
    return date.getUTCMonth() === month - 1 ? date.toLocaleDateString("en-GB", FORMAT) : "";
  }

  function say(event) {
    const field = event.target;
    if (!field.matches?.(".vDateField")) return;
    const output = field.parentElement.parentElement.querySelector(`output[for="${field.id}"]`);
    // A month written as a word says itself, and the server reads it.
    if (output) output.value = words(field.value, output.dataset.order);
  }

  // The calendar of the admin fills the field in without an event, and gives it the focus.
  for (const kind of ["input", "change", "focusin", "focusout"]) document.addEventListener(kind, say);
})();
