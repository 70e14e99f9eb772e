"use strict";
start(() => {
  const task = Number(value("task")), row = Number(value("row")), step = value("step"), steps = DATA.steps, thousands = steps.map((each) => each / 1000);
  document.querySelector("output[for=step]").textContent = amount(steps[step]);
  const runs = (of) => DATA.runs.filter((run) => run.row === of && run.task === task);
  const average = (of) => steps.map((_, i) => {
    const there = runs(of).map((run) => run.curve[i]);
    return there.length && !there.includes(null) ? mean(there) : null;
  });
  const known = ({ x, y, ...more }) => {
    const kept = x.map((v, i) => [v, y[i]]).filter(([, v]) => v !== null);
    return { x: kept.map((p) => p[0]), y: kept.map((p) => p[1]), ...more };
  };
  const all = DATA.rows.map((_, i) => average(i)), paper = DATA.rows.map((own) => own.paper[task]);
  const curves = [
    ...all.map((y, i) => ({ y, i, color: "gray", text: `${DATA.rows[i].name}, mean of ${runs(i).length} seeds` })).filter(({ i }) => i !== row),
    ...runs(row).map((run) => ({ y: run.curve, i: row, color: "blue", text: `${DATA.rows[row].name}, seed ${run.seed}` })),
    { y: paper[row], i: row, color: "orange", dashed: true, text: `${DATA.rows[row].name}, the paper` },
  ];
  const drawn = chart("first", {
    x: [0, thousands.at(-1)], y: bounds([...all.flat(), ...curves.flatMap((each) => each.y)]), xLabel: "thousand environment steps",
    yLabel: `return, last ${DATA.episodes} episodes`, marks: [thousands[step]],
    label: `Learning curves on ${DATA.tasks[task]}: ${DATA.rows[row].name} in blue, the others in gray.`,
    lines: curves.map((each) => known({ x: thousands, ...each })),
  });
  const at = DATA.rows.map((_, i) => runs(i).map((run) => ({ run, i, y: run.curve[step] })).filter(({ y }) => y !== null));
  const range = bounds([...at.flat().map(({ y }) => y), ...paper.map((own) => own[step])]);
  const dots = chart("second", {
    x: range, y: [0, 1], names: DATA.rows.map((own) => own.name), xLabel: `return at step ${amount(steps[step])}`, yLabel: "",
    label: `Returns of ${DATA.rows.length} algorithms at step ${amount(steps[step])}; the table below has the numbers.`,
    points: DATA.rows.map((_, i) => ({ x: at[i].map(({ y }) => y), y: at[i].map(() => i), color: i === row ? "blue" : "gray", size: 4 })),
  });
  paper.forEach((own, i) => own[step] === null || diamond(dots, own[step], i, "orange"));
  const told = ({ text, y, i, k }) => say(`${text}: return ${amount(y)} at step ${amount(steps[k])}; the paper has ${amount(paper[i][k])} there.`);
  touch(drawn, curves.flatMap((each) => thousands.flatMap((x, k) => each.y[k] === null ? [] : [{ x: drawn.x(x), y: drawn.y(each.y[k]), own: { ...each, y: each.y[k], k } }])), ({ own }) => told(own));
  touch(dots, at.flat().map(({ run, i, y }) => ({ x: dots.x(y), y: dots.y(i), own: { text: `${DATA.rows[i].name}, seed ${run.seed}`, y, i, k: step } })), ({ own }) => told(own));
  tabulate([
    ["Algorithm", "Return", "Lowest and highest seed", "Seeds", "Paper"],
    ...DATA.rows.map((own, i) => {
      const values = at[i].map(({ y }) => y);
      return [own.name, amount(all[i][step]), values.length ? `${amount(Math.min(...values))} to ${amount(Math.max(...values))}` : "", String(values.length), amount(paper[i][step])];
    }),
  ]);
  say(`${DATA.rows[row].name} on ${DATA.tasks[task]}: return ${amount(all[row][step])} at step ${amount(steps[step])}, ` +
    `the mean of ${runs(row).length} seeds; the paper has ${amount(paper[row][step])} there.`);
});
