// Says each date of a form in words while it is typed, as the server reads it: in the office's order.
"use strict";
(() => {
  const ORDERS = { day: [2, 1, 0], month: [2, 0, 1], year: [0, 1, 2] };
  const FORMAT = { day: "numeric", month: "long", year: "numeric", timeZone: "UTC" };

  const MONTHS = "January February March April May June July August September October November December".split(" ");

  // A month as a word, in whole or by its first three letters: "3 April 2026", "Apr 3, 2026".
  function withWord(text) {
    const parts = text.match(/^(\d{1,2}) ([a-z]+) (\d{4})$/i) ?? text.match(/^([a-z]+) (\d{1,2}),? (\d{4})$/i);
    if (!parts) return "";
    const [day, name] = Number(parts[1]) ? [parts[1], parts[2]] : [parts[2], parts[1]];
    const fits = (month) => [month, month.slice(0, 3)].some((form) => form.toLowerCase() === name.toLowerCase());
    return said(parts[3], MONTHS.findIndex(fits) + 1, day);
  }

  function said(year, month, day) {
    const date = new Date(Date.UTC(year, month - 1, day));
    return date.getUTCMonth() === month - 1 ? date.toLocaleDateString("en-GB", FORMAT) : "";
  }

  function words(text, order) {
    const parts = text.trim().match(/^(\d{1,4})([/. -])(\d{1,2})\2(\d{1,4})$/);
    if (!parts) return withWord(text.trim());
    const numbers = [parts[1], parts[3], parts[4]];
    const [year, month, day] = ORDERS[parts[1].length === 4 ? "year" : order].map((place) => numbers[place]);
    if (year.length !== 4 && year.length !== 2) return "";
    const full = year.length === 4 ? Number(year) : Number(year) + (Number(year) < 69 ? 2000 : 1900);
    return said(full, month, day);
  }

  function say(event) {
    const field = event.target;
    if (!field.matches?.(".vDateField")) return;
    const output = field.parentElement.parentElement.querySelector(`output[for="${field.id}"]`);
    if (output) output.value = words(field.value, output.dataset.order);
  }

  // The calendar of the admin fills the field in without an event, and gives it the focus.
  for (const kind of ["input", "change", "focusin", "focusout"]) document.addEventListener(kind, say);
})();
