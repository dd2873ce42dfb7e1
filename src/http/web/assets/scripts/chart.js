// Small charts.

import { s } from "./dom.js";

const MOST = 300000;
const LEAST = 30000;

/** Samples of long ago are forgotten. */
export function forget(samples, now) {
  while (samples.length && samples[0][0] < now - MOST) samples.shift();
}

/** What was measured from `now - 5 minutes` on, as [time, value], in `width` by `height`; `least` is the least top.
 *  Gives the time that is shown, and the highest value. */
export function draw(svg, samples, now, width, height, least) {
  const shown = samples.filter(([at, value]) => value !== null && at > now - MOST);
  // It is told when it changes: until now it is as it was.
  if (shown.length) shown.push([Math.max(now, shown.at(-1)[0]), shown.at(-1)[1]]);
  // What is known fills the chart.
  const span = Math.max(LEAST, now - (shown.length ? shown[0][0] : now));
  const highest = Math.max(0, ...shown.map(([, value]) => value));
  const top = Math.max(least, highest) * 1.1;
  const x = (at) => (width * (1 - (now - at) / span)).toFixed(1);
  const y = (value) => (height - 1 - (height - 2) * (value / top)).toFixed(1);
  const line = shown.map(([at, value]) => `${x(at)},${y(value)}`).join(" L");
  let [area, path] = svg.children;
  if (!area) {
    area = s("path", { class: "area" });
    path = s("path", { class: "line" });
    svg.append(area, path);
  }
  path.setAttribute("d", shown.length > 1 ? `M${line}` : "");
  const first = shown.length ? x(shown[0][0]) : 0;
  area.setAttribute("d", shown.length > 1 ? `M${first},${height} L${line} L${width},${height}Z` : "");
  return { span, highest };
}

/** An empty chart. */
export function chart(kind, width, height, label) {
  return s("svg", {
    class: `chart ${kind}`, viewBox: `0 0 ${width} ${height}`, width, height,
    preserveAspectRatio: "none", role: "img", "aria-label": label,
  });
}
