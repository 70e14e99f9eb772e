"use strict";
start(() => {
  const task = value("task"), b = value("b"), c = value("c"), n = value("n");
  const mean = (b, c) => DATA[task].reduce((s, t) => s + baselineVariance(t, b, c), 0) / DATA[task].length;
  const grid = span(0, 1.5, 151), along = grid.map((x) => mean(b, x));
  const now = mean(b, c), best = grid[along.indexOf(Math.min(...along))];
  chart("first", {
    x: [0, 1.5], y: [0.3, 100], logY: true, xLabel: "c, of the signal Q - b - c V(s)",
    yLabel: "variance, the advantage's = 1",
    label: `Variance against c: lowest at c = ${show(best)}, ${show(now)} at c = ${show(c)}.`,
    lines: [{ x: grid, y: along, color: "blue" }], points: [{ x: [c], y: [now], color: "orange", size: 5 }],
    marks: [1],
  });
  const counts = span(0, 3, 61).map((x) => 10 ** x);
  chart("second", {
    x: [1, 1000], y: [0.001, 100], logX: true, logY: true, xLabel: "rollouts in a batch",
    yLabel: "variance of the batch's gradient",
    label: `Variance falls as 1 / n: ${show(now / n)} with ${n} rollouts.`,
    lines: [
      { x: counts, y: counts.map((k) => now / k), color: "orange" },
      { x: counts, y: counts.map((k) => mean(0, 1) / k), color: "blue", dashed: true },
    ],
    points: [{ x: [n], y: [now / n], color: "orange", size: 5 }],
  });
  say(`With Q - ${show(b)} - ${show(c)} V(s) one rollout's gradient has ${show(now)} times the variance of ` +
    `the advantage's; a batch of ${n} has ${show(now / n)}. At this b the best c is ${show(best)}.`);
});
