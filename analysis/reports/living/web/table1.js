"use strict";
const COLOR = { none: "gray", clip: "blue", kl_adaptive: "orange", kl_fixed: "green" };
const LOWEST = -0.5; // so that the rows stay apart

start(() => {
  const random = value("random"), best = value("best");
  const tasks = [...document.querySelectorAll(".task:checked")].map((box) => Number(box.value));
  const rows = rowsOf(DATA, tasks, random, best), scale = scales(DATA, random, best);
  const color = (row) => COLOR[DATA.rows[row].kind] || "pink";
  const runs = DATA.runs.filter((run) => tasks.includes(run.task));
  const spread = (run) => run.row + 0.62 * ((tasks.indexOf(run.task) * 3 + (run.seed % 3) + 0.5) / (3 * tasks.length) - 0.5);
  const chosen = DATA.runs.find((run) => run.row === Number(value("row")) && run.task === Number(value("of")) && String(run.seed) === value("seed"));
  const place = (run) => scored(run.result, scale[run.task]);
  const within = (x) => Math.min(Math.max(x, LOWEST), 1.02);
  const drawn = chart("first", {
    x: [LOWEST - 0.03, 1.05], y: [0, 1], names: DATA.rows.map((row) => row.label), xLabel: `score; what is below ${LOWEST} is drawn there`, yLabel: "",
    label: `Scores of ${DATA.rows.length} objectives over ${tasks.length} tasks; the table below has the numbers.`, marks: [0, 1],
    points: DATA.rows.map((_, row) => {
      const own = runs.filter((run) => run.row === row);
      return { x: own.map((run) => within(place(run))), y: own.map(spread), color: `${color(row)} faint`, size: 1.8 };
    }),
    lines: rows.map((row, i) => ({ x: [within(row.low), within(row.high)], y: [i, i], color: `${color(i)} thick` })),
  });
  rows.forEach((row, i) => {
    if (!row.runs) return;
    drawn.svg.append(element("circle", { cx: drawn.x(within(row.score)), cy: drawn.y(i), r: 3.2, class: color(i) }));
    if (DATA.rows[i].paper !== null) diamond(drawn, DATA.rows[i].paper, i, "ink");
  });
  if (chosen && tasks.includes(chosen.task)) {
    drawn.svg.append(element("circle", { cx: drawn.x(within(place(chosen))), cy: drawn.y(spread(chosen)), r: 5, class: "ring" }));
  }
  touch(drawn, runs.map((run) => ({ x: drawn.x(within(place(run))), y: drawn.y(spread(run)), run })), ({ run }) => {
    const now = [String(run.row), String(run.task), String(run.seed)];
    const at = ["row", "of", "seed"].map((id) => document.getElementById(id));
    if (at.every((select, i) => select.value === now[i])) return;
    at.forEach((select, i) => { select.value = now[i]; });
    at[0].dispatchEvent(new Event("input"));
  });
  curve(chosen, scale, color);
  const both = rows.map((row, i) => [row.score, DATA.rows[i].paper]);
  tabulate([
    ["Objective", "Score", "95 % interval", "Runs", "Paper", "Difference"],
    ...rows.map((row, i) => [
      DATA.rows[i].name, decimals(row.score), row.runs ? `[${decimals(row.low)}, ${decimals(row.high)}]` : "", String(row.runs),
      decimals(both[i][1]), both[i][1] === null ? "" : decimals(both[i][0] - both[i][1]),
    ]),
  ]);
  const first = rows.reduce((top, row, i) => (row.score > (rows[top]?.score ?? -Infinity) ? i : top), -1);
  const said = chosen ? `${DATA.rows[chosen.row].name}, ${DATA.tasks[chosen.task]}, seed ${chosen.seed}: return ${amount(chosen.result)}, score ${decimals(place(chosen))}. ` : "";
  say(first < 0 ? "Choose at least one task." : `${said}Over ${tasks.length} of ${DATA.tasks.length} tasks the best row is ${DATA.rows[first].name}, ` +
    `with ${decimals(rows[first].score)}; "${DATA.rows[0].name}" has ${decimals(rows[0].score)}` +
    (DATA.rows[0].paper === null ? "." : `, and ${decimals(DATA.rows[0].paper)} in the paper, over all its tasks.`));
});

function curve(run, scale, color) {
  if (!run) return;
  const own = DATA.runs.filter((other) => other.row === run.row && other.task === run.task);
  const { zero, one } = scale[run.task], steps = DATA.steps, thousands = steps.map((step) => step / 1000);
  chart("second", {
    x: [0, steps.at(-1) / 1000], y: bounds([...own.flatMap((other) => other.curve), zero, one]), xLabel: "thousand environment steps",
    yLabel: `return, last ${DATA.episodes} episodes`,
    label: `Learning curve of ${DATA.rows[run.row].name} on ${DATA.tasks[run.task]}, seed ${run.seed}; the dashed lines score 0 and 1.`,
    lines: [
      ...own.filter((other) => other !== run).map((other) => ({ x: thousands, y: other.curve, color: "gray" })),
      { x: thousands, y: run.curve, color: color(run.row) },
      ...[zero, one].map((level) => ({ x: [0, thousands.at(-1)], y: [level, level], color: "ink", dashed: true })),
    ],
  });
}

function decimals(x) {
  return x === null || !Number.isFinite(x) ? "" : (Math.round(100 * x) / 100 + 0).toFixed(2);
}
