"use strict";
// Text goes into the page as text alone: nothing that a document holds is read as HTML.
const [form, query, key, status, results] = ["form", "query", "key", "status", "results"].map((id) => document.getElementById(id));

function highlight(parent, text, words) {
  const pattern = words.map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|");
  const parts = pattern ? text.split(new RegExp(`(${pattern})`, "giu")) : [text];
  parts.forEach((part, place) => {
    const piece = place % 2 ? document.createElement("mark") : document.createElement("span");
    piece.textContent = part;
    parent.append(piece);
  });
}

function show(answer) {
  const words = answer.query.split(/[^\p{L}\p{N}]+/u).filter((word) => word.length > 2);
  for (const result of answer.results) {
    const item = document.createElement("li");
    const title = document.createElement("h2");
    highlight(title, result.title || result.doc_id, words);
    const text = document.createElement("p");
    highlight(text, result.text.slice(0, 600), words);
    const about = document.createElement("small");
    about.textContent = `${result.doc_id}, score ${result.score.toFixed(3)}`;
    item.append(title, text, about);
    results.append(item);
  }
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  status.textContent = "Searching";
  const headers = { "Content-Type": "application/json", ...(key.value ? { "X-API-Key": key.value } : {}) };
  try {
    const reply = await fetch("/search", { method: "POST", headers, body: JSON.stringify({ query: query.value, number: 10 }) });
    const answer = await reply.json();
    results.replaceChildren();
    if (reply.ok) {
      status.textContent = `${answer.results.length} results in ${answer.seconds.toFixed(2)} s`;
      show(answer);
    } else {
      status.textContent = `${answer.reason}: ${answer.fix}`;
    }
  } catch {
    status.textContent = "The service does not answer. Is it running?";
  }
});
