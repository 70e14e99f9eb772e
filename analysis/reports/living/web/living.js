"use strict";
// The score of Table 1 as a function of its conventions, and what both pages share. Each function
// has a twin in Python, named beside it, and a test compares them.

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
// tasks' means; the error of each is drawn as Student's t, and scaled as the returns are.
function rowsOf(data, tasks, random, best) {
  const scale = scales(data, random, best), counted = tasks.filter((task) => scale[task].one > scale[task].zero);
  return data.rows.map((own, row) => {
    const runs = (task) => data.runs.filter((run) => run.row === row && run.task === task);
    const there = counted.filter((task) => runs(task).length);
    if (!there.length) return { score: NaN, low: NaN, high: NaN, runs: 0 };
    const score = mean(there.map((task) => mean(runs(task).map((run) => scored(run.result, scale[task])))));
    const known = there.every((task) => own.errors[task]);
    const parts = known ? there.map((task) => errors(data, own.errors[task], scale[task], 64 * row + task)) : [[NaN]];
    const draws = parts[0].map((_, i) => score + mean(parts.map((part) => part[i]))).sort((a, b) => a - b);
    return { score, low: quantile(draws, 0.025), high: quantile(draws, 0.975), runs: there.flatMap(runs).length };
  });
}

// analysis.statistics.estimates.replicates: quantiles of t in a random order.
function errors(data, [error, freedom], { zero, one }, seed) {
  const half = data.quantiles[String(freedom)], all = [...half, ...half.map((x) => -x)].map((x) => (x * error) / (one - zero));
  const random = mulberry32(seed);
  for (let i = all.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [all[i], all[j]] = [all[j], all[i]];
  }
  return all;
}

// Numbers from 0 to 1, the same for a seed on every machine.
function mulberry32(state) {
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
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
