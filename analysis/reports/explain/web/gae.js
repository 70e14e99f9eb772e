"use strict";
start(() => {
  const lambda = value("lambda"), gamma = value("gamma"), critic = value("critic");
  const own = DATA[critic], names = { bias: "blue", std: "orange" };
  const at = (measure) => interpolate(lambda, own.lambda, own[measure]);
  const top = 1.1 * Math.max(...own.bias, ...own.std);
  chart("first", {
    x: [0, 1], y: [0, top], xLabel: "λ", yLabel: "reward, root mean square",
    label: `Bias ${show(at("bias"))} and standard deviation ${show(at("std"))} at λ = ${show(lambda)}.`,
    lines: Object.entries(names).map(([key, color]) => ({ x: own.lambda, y: own[key], color })),
    points: Object.entries(names).map(([key, color]) => ({ x: [lambda], y: [at(key)], color, size: 5 })),
  });
  // The weight of the residual l steps later: the estimate of a reward of 1 there, if V is 0.
  const lags = Array.from({ length: 61 }, (_, l) => l), zeros = lags.map(() => 0);
  const weights = lags.map((l) => {
    const rewards = lags.map((t) => (t === l ? 1 : 0));
    return gae(rewards, zeros, zeros, lags.map(() => gamma), lags.map(() => false), lambda)[0];
  });
  const sum = weights.reduce((a, b) => a + b, 0);
  chart("second", {
    x: [0, 60], y: [0, 1.05], xLabel: "steps after the action", yLabel: "weight of the residual",
    label: `The weights (γλ)^l; their sum over 61 steps is ${show(sum)}.`,
    lines: [{ x: lags, y: weights, color: "blue" }], points: [{ x: lags, y: weights, color: "blue" }],
  });
  say(`At λ = ${show(lambda)} with ${document.getElementById("critic").selectedOptions[0].text}: bias ${show(at("bias"))}, ` +
    `standard deviation ${show(at("std"))}, where the true contrast is ${show(own.truth[0])} (reward). ` +
    `The first 61 weights add up to ${show(sum)} residuals.`);
});
