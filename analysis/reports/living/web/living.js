"use strict";
// The score of Table 1 as a function of its conventions, and what both pages share. Each function
// has a twin in Python, named beside it, and a test compares them.

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

// analysis.statistics.scoring.paper_score: what scores 0 and 1 in each task.
function scales(data, random, best) {
  return data.tasks.map((_, task) => {
    const results = data.rows.map((_, row) => data.runs.filter((run) => run.row === row && run.task === task).map((run) => run.result));
    const tops = best === "run" ? results.flat() : results.filter((own) => own.length).map(mean);
    return { zero: data.random[random][task], one: Math.max(...tops) };
  });
}

function scored(value, { zero, one }) {
  return (value - zero) / (one - zero);
}

// analysis.reports.table1.numbers.score: `{score, low, high, runs}` of each row. The mean of its
// tasks' means; the replicates are shifted and scaled as the returns are.
function rowsOf(data, tasks, random, best) {
  const scale = scales(data, random, best), counted = tasks.filter((task) => scale[task].one > scale[task].zero);
  return data.rows.map((own, row) => {
    const there = counted.filter((task) => own.replicates[task]);
    if (!there.length) return { score: NaN, low: NaN, high: NaN, runs: 0 };
    const runs = (task) => data.runs.filter((run) => run.row === row && run.task === task);
    const score = mean(there.map((task) => mean(runs(task).map((run) => scored(run.result, scale[task])))));
    const parts = there.map((task) => {
      const { mean, scale: spread, freedom, at } = own.replicates[task];
      return data.quantiles[freedom].map((_, i) => {
        const place = 64 * DIGITS.indexOf(at[2 * i]) + DIGITS.indexOf(at[2 * i + 1]);
        return scored(mean + spread * data.quantiles[freedom][place], scale[task]);
      });
    });
    const draws = parts[0].map((_, i) => mean(parts.map((part) => part[i]))).sort((a, b) => a - b);
    return { score, low: quantile(draws, 0.025), high: quantile(draws, 0.975), runs: there.flatMap(runs).length };
  });
}

function mean(values) {
  return values.reduce((a, b) => a + b, 0) / values.length;
}

// numpy.quantile, of ascending values.
function quantile(values, share) {
  const place = share * (values.length - 1), low = Math.floor(place), high = Math.ceil(place);
  return values[low] + (place - low) * (values[high] - values[low]);
}

// Calls `on` with the nearest of `items` (each has x and y in the drawing) when it is touched.
function touch(drawn, items, on) {
  const ask = (event) => {
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(drawn.svg.getScreenCTM().inverse());
    const far = ({ x, y }) => (x - at.x) ** 2 + (y - at.y) ** 2;
    let nearest = null;
    for (const item of items) if (nearest === null || far(item) < far(nearest)) nearest = item;
    if (nearest && far(nearest) < 15 ** 2) on(nearest);
  };
  drawn.svg.addEventListener("pointermove", ask);
  drawn.svg.addEventListener("pointerdown", ask);
}

function diamond(drawn, x, y, color) {
  const r = 4, [a, b] = [drawn.x(x), drawn.y(y)];
  drawn.svg.append(element("path", { d: `M${a - r} ${b}L${a} ${b - r}L${a + r} ${b}L${a} ${b + r}Z`, class: `diamond ${color}` }));
}

// Rows of cells as the page's table; the first row are headings, and so is the first cell of each.
function tabulate([head, ...body]) {
  const table = document.getElementById("table");
  const line = (cells, kind) => {
    const row = document.createElement("tr");
    cells.forEach((cell, i) => {
      const made = document.createElement(kind === "th" || i === 0 ? "th" : "td");
      made.scope = kind === "th" ? "col" : "row";
      if (made.tagName === "TD") made.removeAttribute("scope");
      made.textContent = cell;
      row.append(made);
    });
    return row;
  };
  table.replaceChildren(line(head, "th"), ...body.map((cells) => line(cells, "td")));
}

function bounds(values, room = 0.06) {
  const known = values.filter((value) => value !== null && Number.isFinite(value));
  const low = Math.min(...known), high = Math.max(...known), more = room * (high - low || 1);
  return [low - more, high + more];
}

function amount(value) {
  if (value === null || !Number.isFinite(value)) return "not known";
  return value.toLocaleString("en", { maximumFractionDigits: Math.abs(value) >= 100 ? 0 : 1 });
}

if (typeof module !== "undefined") module.exports = { quantile, rowsOf, scales, scored };
