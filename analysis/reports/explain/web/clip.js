"use strict";
start(() => {
  const epsilon = value("epsilon"), kind = value("kind"), task = value("task"), epoch = value("epoch");
  const grid = span(0.005, 2, 400);
  const [low, high] = kind === "none" ? [1 - epsilon, 1 + epsilon] : range(kind, epsilon);
  const curve = (a, f, more) => ({ x: grid, y: grid.map((r) => f(kind, r, a, epsilon)), ...more });
  chart("first", {
    x: [0, 2], y: [-2, 2], xLabel: "probability ratio r", yLabel: "in units of |A|", marks: [low, high],
    label: `The term (solid) and its gradient by r (dashed), for A > 0 (blue) and A < 0 (orange), range ${show(low)} to ${show(high)}.`,
    lines: [curve(1, term, { color: "blue" }), curve(-1, term, { color: "orange" }),
      curve(1, slope, { color: "blue", dashed: true }), curve(-1, slope, { color: "orange", dashed: true })],
  });
  const found = { free: [], flat: [], back: [] };
  for (const [ratio, advantage] of DATA[task][epoch]) {
    const outside = ratio < low || ratio > high;
    const flat = slope(kind, ratio, advantage, epsilon) === 0;
    found[flat ? "flat" : outside ? "back" : "free"].push([ratio, advantage]);
  }
  const dots = (points, color) => ({ x: points.map((p) => p[0]), y: points.map((p) => p[1]), color, size: 2.6 });
  const count = DATA[task][epoch].length, out = found.flat.length + found.back.length;
  chart("second", {
    x: [0, 2], y: [-4, 4], xLabel: "probability ratio r", yLabel: "advantage, standard deviations", marks: [low, high],
    label: `${count} samples: ${found.free.length} inside, ${found.flat.length} flat, ${found.back.length} outside with a gradient.`,
    points: [dots(found.free, "blue"), dots(found.flat, "gray"), dots(found.back, "orange")],
  });
  const share = out ? ` Of those outside, ${Math.round((100 * found.back.length) / out)} % still have a gradient.` : "";
  say(`Of ${count} samples after ${epoch} epochs, trained with ε = 0.2, ${out} lie outside of ${show(low)} to ${show(high)}: ` +
    `${found.flat.length} without a gradient, ${found.back.length} with one.` + share);
});
