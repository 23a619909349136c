"use strict";
(() => {
  const filter = document.getElementById("filter");
  const words = document.getElementById("words");
  const state = document.getElementById("state");
  const shown = document.getElementById("shown");
  const rows = [...document.querySelectorAll("tbody tr[data-host]")];
  const details = [...document.querySelectorAll("details.host")];
  const bars = [...document.querySelectorAll(".gantt .row[data-host]")];
  const apply = () => {
    const asked = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = new Set();
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      const fits = asked.every((word) => text.includes(word)) && (!state.value || row.dataset.state === state.value);
      row.hidden = !fits;
      if (fits) wanted.add(row.dataset.host);
    }
    for (const part of [...details, ...bars]) part.hidden = !wanted.has(part.dataset.host);
    if (rest && (asked.length || state.value)) rest.open = true;
    shown.textContent = `${wanted.size} of ${rows.length} hosts shown`;
  };
  const rest = document.querySelector("details.rest");
  const fold = (open) => {
    for (const part of details) if (!part.hidden) part.open = open;
    if (rest) rest.open = open;
  };
  const unfoldNamed = () => {
    const part = location.hash && document.getElementById(location.hash.slice(1));
    if (!(part instanceof HTMLDetailsElement)) return;
    for (let at = part; at; at = at.parentElement.closest("details")) at.open = true;
    part.scrollIntoView();
  };
  words.addEventListener("input", apply);
  state.addEventListener("change", apply);
  filter.addEventListener("submit", (event) => event.preventDefault());
  document.getElementById("unfold").addEventListener("click", () => fold(true));
  document.getElementById("fold").addEventListener("click", () => fold(false));
  addEventListener("hashchange", unfoldNamed);
  const printed = [];
  addEventListener("beforeprint", () => {
    if (details.length > 30) return;
    for (const part of document.querySelectorAll("details")) if (!part.open) { part.open = true; printed.push(part); }
  });
  addEventListener("afterprint", () => { for (const part of printed.splice(0)) part.open = false; });
  filter.hidden = false;
  apply();
  unfoldNamed();
})();
