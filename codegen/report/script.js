"use strict";

// The page says everything without this script; with it tables sort, and charts tell of one mark at
// a time: the one under the pointer, or the one that the arrow keys have reached.

function valueOf(row, column) {
  const text = row.cells[column].textContent.trim();
  const number = Number.parseFloat(text.replace(/,/g, "").replace("−", "-"));
  return Number.isNaN(number) ? text : number;
}

function compare(a, b) {
  if (typeof a === typeof b) return typeof a === "number" ? a - b : a.localeCompare(b);
  // what is not known (–) is least
  return typeof a === "number" ? 1 : -1;
}

function makeSortable(table) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    if (heading.classList.contains("plain")) return;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    heading.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      const numeric = heading.classList.contains("n");
      const first = numeric && column > 0 ? "descending" : "ascending";
      const second = first === "ascending" ? "descending" : "ascending";
      const order = heading.getAttribute("aria-sort") === first ? second : first;
      for (const other of headings) {
        if (other.hasAttribute("aria-sort")) other.setAttribute("aria-sort", "none");
      }
      heading.setAttribute("aria-sort", order);
      const sign = order === "ascending" ? 1 : -1;
      const body = table.tBodies[0];
      const rows = [...body.rows];
      rows.sort((a, b) => sign * compare(valueOf(a, column), valueOf(b, column)));
      body.append(...rows);
    });
  });
}

function makeWalkable(chart) {
  const marks = [...chart.querySelectorAll(".mark")];
  const readout = chart.querySelector(".readout");
  const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
  readout.textContent = "Point at a mark, or reach one by Tab and the arrow keys.";
  marks.forEach((mark, index) => {
    mark.setAttribute("tabindex", index === 0 ? "0" : "-1");
    const label = mark.querySelector("title").textContent;
    for (const event of ["mouseenter", "focus"]) {
      mark.addEventListener(event, () => { readout.textContent = label; });
    }
    mark.addEventListener("keydown", (event) => {
      const ends = { Home: 0, End: marks.length - 1 };
      const next = event.key in ends ? ends[event.key] : index + (steps[event.key] ?? 0);
      if (next === index || !(next in marks)) return;
      event.preventDefault();
      mark.setAttribute("tabindex", "-1");
      marks[next].setAttribute("tabindex", "0");
      marks[next].focus();
    });
  });
}

document.querySelectorAll("table.sortable").forEach(makeSortable);
document.querySelectorAll(".chart").forEach(makeWalkable);
